"""How far does a pair take a photo, and does it find the way back?

    python -m benchmarks.way_back examples --pair checkpoints/lite --sheet sheet.jpg

For every picture in the folder: how far the painting is from the photo (CIEDE2000, mean over the pixels), and how near the way
back, made from the 8-bit painting, comes to it again (SSIM of Wang et al. 2004 and CIEDE2000, both scikit-image's). The sheet
shows photo, painting, way back of each.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from tqdm import tqdm

from r2f.bloom import DEFAULT_PAIR, Bloomer
from r2f.images import UnreadablePicture, list_pictures, read_picture, write_picture

GAP = 6  # pixels of white on the sheet


def colour_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean())


def figures(photo: np.ndarray, flower: np.ndarray, again: np.ndarray) -> dict[str, float]:
    """Three uint8 pictures (H, W, 3) to the three figures of one photo."""
    return {"photo to painting, CIEDE2000": colour_difference(photo, flower),
            "photo to way back, CIEDE2000": colour_difference(photo, again),
            "photo to way back, SSIM": float(structural_similarity(photo, again, channel_axis=2, data_range=255))}


def sheet(rows: list[tuple[np.ndarray, ...]], columns: int, side: int) -> np.ndarray:
    """Triptychs, cut to squares of `side` pixels, `columns` of them side by side."""
    width = 3 * side + 4 * GAP
    page = Image.new("RGB", (columns * width, -(-len(rows) // columns) * (side + GAP) + GAP), "white")
    for place, row in enumerate(rows):
        left, top = place % columns * width, place // columns * (side + GAP) + GAP
        for number, picture in enumerate(row):
            page.paste(ImageOps.fit(Image.fromarray(picture), (side, side)), (left + GAP + number * (side + GAP), top))
    return np.asarray(page)


def main(arguments: list[str] | None = None) -> int:
    """0 if every picture was measured, 1 if some could not be read, 2 if there are none."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of photos")
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR)
    parser.add_argument("--max-side", type=int, help="shrink larger photos to this many pixels first")
    parser.add_argument("--most", type=int, help="take that many photos, evenly spaced")
    parser.add_argument("--frost", action="store_true", help="the folder holds flower paintings: freeze them, and back")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet there")
    parser.add_argument("--columns", type=int, default=2, help="triptychs side by side on the sheet")
    parser.add_argument("--side", type=int, default=256, help="pixels of a picture on the sheet")
    options = parser.parse_args(arguments)

    paths = list_pictures(options.folder) if options.folder.is_dir() else []
    if not paths:
        print(f"There are no pictures in {options.folder}; name a folder that holds some.", file=sys.stderr)
        return 2
    if options.most and len(paths) > options.most:
        paths = [paths[i * len(paths) // options.most] for i in range(options.most)]
    bloomer = Bloomer.load(options.pair)
    there, back = (bloomer.frost, bloomer.bloom) if options.frost else (bloomer.bloom, bloomer.frost)
    rows, table = [], []
    for path in tqdm(paths, unit="photo", disable=None):
        try:
            photo = read_picture(path, max_side=options.max_side)
        except UnreadablePicture as error:
            tqdm.write(f"left out: {error}", file=sys.stderr)
            continue
        painting = there(photo)
        rows.append((photo, np.asarray(painting), np.asarray(back(painting))))
        table.append(figures(*rows[-1]))
    for name in table[0] if table else ():
        values = np.array([row[name] for row in table])
        print(f"{name:30}  mean {values.mean():6.3f}  median {np.median(values):6.3f}  "
              f"from {values.min():6.3f} to {values.max():6.3f}")
    step = bloomer.info.get("step")
    print(f"{len(table)} of {len(paths)} pictures, pair at {'an unknown step' if step is None else f'step {step}'}")
    if options.sheet and rows:
        write_picture(sheet(rows, options.columns, options.side), options.sheet)
    return 0 if len(table) == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main())
