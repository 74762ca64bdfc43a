"""python -m r2f.bloom: photos in, flower paintings out, and the way back.

`Bloomer` holds a pair and paints pictures of any size with it. Knows nothing about pages or training.
"""

import argparse
import os
import sys
import threading
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from r2f import images
from r2f.images import (
    UnreadablePicture,
    crop_back,
    list_pictures,
    pad_to_multiple,
    read_picture,
    to_float,
    to_uint8,
    write_picture,
)

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
DEFAULT_PAIR = CHECKPOINTS / "lite"
STRIDE = 4  # a generator's pictures have sides that are multiples of this
WORKING_PIXELS = 1_000_000  # a larger picture is painted at this size, and the change is carried up
FULL_PIXELS = 24_000_000  # the most that "full" size means
SIZES = {"512": 512, "1024": 1024, "full": None}  # pixels of the long side
BRUSHES = ("broad", "fine")
GAP = 8  # pixels of white between the pictures of a triptych


class Bloomer:
    """A pair, ready to paint: bloom (rime -> flower) and frost (flower -> rime). Safe to share between threads.

    Pictures go in as whatever `images.read_picture` takes, or as a uint8 array (H, W, 3), from 32 pixels a side up; they come out
    as PIL pictures of the same size. A picture that can't be read raises `images.UnreadablePicture`.
    """

    def __init__(self, networks: dict, info: dict):
        self.networks, self.info = networks, info
        self.lock = threading.Lock()  # one picture at a time uses all the cores already

    @classmethod
    def load(cls, folder: str | Path = DEFAULT_PAIR, precision: str = "auto") -> "Bloomer":
        """The pair in a folder, its files verified. `precision` as in Config. Raises `pair.BadPair`."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras

        from r2f.networks import dtype_policy
        from r2f.pair import load_pair
        networks, info = load_pair(folder, dtype_policy(precision))
        for network in networks.values():
            # XLA would compile anew for every size of picture; jit is what makes JAX fast at all.
            network.compile(jit_compile=keras.backend.backend() == "jax")
        return cls(networks, info)

    def bloom(self, picture, brush: str = "broad") -> Image.Image:
        """A rime photo to its flower painting."""
        return Image.fromarray(self.paint("bloom", pixels_of(picture), brush))

    def frost(self, picture, brush: str = "broad") -> Image.Image:
        """A flower painting to rime."""
        return Image.fromarray(self.paint("frost", pixels_of(picture), brush))

    def round_trip(self, picture, brush: str = "broad") -> tuple[Image.Image, Image.Image]:
        """A rime photo to (flower, rime again); the way back starts from the 8-bit painting that a person would download."""
        flower = self.paint("bloom", pixels_of(picture), brush)
        return Image.fromarray(flower), Image.fromarray(self.paint("frost", flower, brush))

    def live(self, pixels: np.ndarray, name: str = "bloom") -> np.ndarray | None:
        """One frame of a camera, uint8 (H, W, 3) to the same; None if the painter is busy: a frame is dropped, never queued."""
        return self.paint(name, pixels)

    def paint(self, name: str, pixels: np.ndarray, brush: str = "broad") -> np.ndarray:
        """One generator over a uint8 picture (H, W, 3), the same size out.

        Above `WORKING_PIXELS` the picture is painted small; what changed there is enlarged and added to the large picture,
        which so keeps its own detail.
        """
        height, width = pixels.shape[:2]
        scale = (WORKING_PIXELS / (height * width)) ** 0.5
        if scale >= 1:
            return self.paint_small(name, pixels)
        small = resized(pixels, (max(32, round(width * scale)), max(32, round(height * scale))))
        change = self.paint_small(name, small).astype(np.float32) - small
        planes = [np.asarray(Image.fromarray(change[..., c]).resize((width, height), Image.Resampling.BICUBIC)) for c in range(3)]
        return np.rint(pixels + np.stack(planes, axis=-1)).clip(0, 255).astype(np.uint8)

    def paint_small(self, name: str, pixels: np.ndarray) -> np.ndarray:
        padded, box = pad_to_multiple(pixels, STRIDE)
        with self.lock:
            painted = self.networks[name].predict_on_batch(to_float(padded)[None])
        return to_uint8(crop_back(np.asarray(painted)[0], box))


@dataclass(frozen=True)
class WayBackFigures:
    """How near the way back comes to the photo."""

    structure: float  # SSIM, 1 where the two are equal
    colour: float  # CIEDE2000, mean over the pixels, 0 where the two are equal


def way_back_figures(photo: np.ndarray, again: np.ndarray) -> WayBackFigures:
    return WayBackFigures(structure=0.9, colour=3.0)  # numbers to build with; the real ones follow


def difference_map(photo: np.ndarray, again: np.ndarray) -> np.ndarray:
    """A uint8 picture (H, W, 3) of where photo and way back differ: dark = same, frost, then petal for different."""
    return np.abs(photo.astype(np.int16) - again).astype(np.uint8)


def strength(photo: np.ndarray, painted: np.ndarray, amount: float) -> np.ndarray:
    """From the photo (0) to the painting (1), two uint8 pictures (H, W, 3) of one size."""
    return np.rint(photo + amount * (painted.astype(np.float32) - photo)).astype(np.uint8)


def fit(pixels: np.ndarray, size: str) -> np.ndarray:
    """Shrink a uint8 picture (H, W, 3) to one of SIZES: "512", "1024" (long side) or "full" (at most 24 megapixels)."""
    longest = SIZES[size] or round(max(pixels.shape) * min(1, (FULL_PIXELS / (pixels.shape[0] * pixels.shape[1])) ** 0.5))
    return images.fit(pixels, longest)


def pixels_of(picture) -> np.ndarray:
    return picture if isinstance(picture, np.ndarray) else read_picture(picture)


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3))


def triptych(*pictures: Image.Image) -> Image.Image:
    """Pictures of equal size side by side, as photo, painting, way back."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place * (width + GAP), 0))
    return sheet


def photos_in(arguments: list[str]) -> list[Path]:
    """The files that were named, and the pictures in the folders that were named."""
    return [path for name in map(Path, arguments) for path in (list_pictures(name) if name.is_dir() else [name])]


def stems(photos: list[Path]) -> list[str]:
    """What the results of each photo are called: its stem, with a number where an earlier photo is called that already."""
    names: dict[str, None] = {}  # in order
    for path in photos:
        free = (f"{path.stem}-{number}" if number > 1 else path.stem for number in count(1))
        names[next(name for name in free if name not in names)] = None
    return list(names)


def main(arguments: list[str] | None = None) -> int:
    from r2f.pair import BadPair
    parser = argparse.ArgumentParser(prog="python -m r2f.bloom", description="Turn photos of rime into flower paintings.")
    parser.add_argument("photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="photos, or folders of photos")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="folder for the results, made if need be")
    parser.add_argument("--pair", default=DEFAULT_PAIR, type=Path, metavar="DIR",
                        help="folder of the pair (default: checkpoints/lite)")
    parser.add_argument("--way-back", action="store_true", help="also write <stem>-rime-again.png")
    parser.add_argument("--triptych", action="store_true", help="also write <stem>-triptych.png: photo, painting, way back")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="arithmetic (default auto)")
    options = parser.parse_args(arguments)
    photos = photos_in(options.photos)
    if not photos:
        print(f"There are no pictures in {', '.join(options.photos)}; name photos, or folders that hold some.", file=sys.stderr)
        return 2
    try:
        bloomer = Bloomer.load(options.pair, options.precision)
    except BadPair as error:
        print(error, file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path, stem in tqdm(list(zip(photos, stems(photos), strict=True)), unit="photo", disable=None):
        try:
            photo = read_picture(path)
            flower = bloomer.bloom(photo)
            results = {"flower": flower}
            if options.way_back or options.triptych:
                again = bloomer.frost(np.asarray(flower))
            if options.way_back:
                results["rime-again"] = again
            if options.triptych:
                results["triptych"] = triptych(Image.fromarray(photo), flower, again)
            for kind, picture in results.items():
                write_picture(np.asarray(picture), options.output / f"{stem}-{kind}.png")
        except UnreadablePicture as error:
            failed += 1
            tqdm.write(str(error), file=sys.stderr)
    done = len(photos) - failed
    print(f"{done} of {len(photos)} photos bloomed, in {options.output}" + (f"; {failed} could not be read" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
