"""Rime and flowers drawn by code from a seed: example photos, test pictures, a data set without a download.

Rime is drawn as a camera would see it: branches grow by space colonization, crystals grow on their windward
side, and what is far away fades into fog or out of focus. Flowers are drawn as plain shapes first and then
painted: strokes of a bristle brush follow the shapes from coarse to fine, and light falls on their relief.
Knows nothing about networks or training; needs NumPy and Pillow only.

Lengths and positions are in short sides of the picture, x to the right and y down. Nothing of the composition
depends on the number of pixels, so a seed shows the same picture at every size of the same aspect ratio;
texture (fine twigs, crystals, bristles, grain) is drawn anew for the pixels there are. Random streams of
their own (`rng.spawn`) keep texture from disturbing the composition.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from r2f.drawn.brush import paint, varnish
from r2f.drawn.camera import develop
from r2f.drawn.ink import ink_painting
from r2f.drawn.landscape import canopy_photo, tree_photo, woods_photo
from r2f.drawn.oil import blossom_scene, bunch_scene, meadow_scene, pond_scene, vase_scene
from r2f.drawn.space import pick
from r2f.drawn.twigs import twigs_photo
from r2f.drawn.window import window_photo

RIME_KINDS = ("tree", "woods", "canopy", "twigs", "window")
FLOWER_KINDS = ("blossom", "ink", "vase", "bunch", "meadow", "pond")


def rime(seed: int, size: int | tuple[int, int] = 256, kind: str | None = None) -> np.ndarray:
    """A photo of rime ice, (H, W, 3) uint8 RGB.

    seed is any whole number from 0, size the side or (height, width) in pixels, and kind one of RIME_KINDS;
    without it the seed chooses. The same arguments give the same bytes, on one machine with one version of
    NumPy and Pillow.
    """
    rng, shape, kind = _setting(seed, 1, size, kind, RIME_KINDS)
    photo = {"tree": tree_photo, "woods": woods_photo, "canopy": canopy_photo, "twigs": twigs_photo,
             "window": window_photo}[kind]
    return develop(rng, photo(rng, shape))


def flower(seed: int, size: int | tuple[int, int] = 256, kind: str | None = None) -> np.ndarray:
    """A flower painting, (H, W, 3) uint8 RGB; arguments as for `rime`, with kind one of FLOWER_KINDS."""
    rng, shape, kind = _setting(seed, 2, size, kind, FLOWER_KINDS)
    if kind == "ink":
        return ink_painting(rng, shape)
    scene = {"blossom": blossom_scene, "vase": vase_scene, "bunch": bunch_scene, "meadow": meadow_scene,
             "pond": pond_scene}[kind]
    return varnish(rng, paint(rng, scene(rng, shape)), shape)


def write_dataset(folder: str | Path, count_train: int = 400, count_test: int = 40,
                  size: int | tuple[int, int] = 286, progress: bool = True,
                  flower_kinds: tuple[str, ...] = FLOWER_KINDS, first_seed: int = 0) -> Path:
    """Write folder/trainA and testA (flowers), trainB and testB (rime) as PNG; keep files that exist.

    Without all of FLOWER_KINDS, the kinds named take turns.
    """
    folder = Path(folder)
    some = flower_kinds != FLOWER_KINDS
    pictures = [(folder / f"{split}{side}" / f"{draw.__name__}_{seed:05d}.png", draw, seed,
                 flower_kinds[seed % len(flower_kinds)] if some and draw is flower else None)
                for split, first, count in (("train", first_seed, count_train), ("test", first_seed + count_train, count_test))
                for side, draw in (("A", flower), ("B", rime)) for seed in range(first, first + count)]
    for path, draw, seed, kind in tqdm(pictures, desc=f"drawing {folder}", unit="picture", disable=None if progress else True):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            Image.fromarray(draw(seed, size, kind)).save(unfinished, format="PNG")
            unfinished.replace(path)
    return folder


def _setting(seed, domain, size, kind, kinds):
    """The picture's own random stream, its (height, width), and its kind."""
    height, width = (size, size) if np.isscalar(size) else size
    if min(height, width) < 8:
        raise ValueError(f"size {size} is too small to draw; both sides must be at least 8 pixels")
    if kind is not None and kind not in kinds:
        raise ValueError(f"kind {kind!r} is not drawn here; choose one of {', '.join(kinds)}")
    rng = np.random.default_rng([domain, seed])
    chosen = pick(rng, kinds)
    return rng, (int(height), int(width)), kind or chosen
