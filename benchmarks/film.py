"""How long does a bloom film take to make, how large is it, and how near do its first and last frame come?

    python -m benchmarks.film

Films of 4 seconds of the example photos at a long side of 1024 pixels: medians. First and last frame are decoded again and
compared with the photo and the painting (PSNR): what is missing is what the codec loses.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from PIL import Image

from r2f.bloom import DEFAULT_PAIR, Bloomer
from r2f.film import even, film
from r2f.images import fit, list_pictures, read_picture

SIDE = 1024  # pixels


def ends(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last frame."""
    if path.suffix == ".webp":
        with Image.open(path) as file:
            first = np.asarray(file.convert("RGB"))
            file.seek(file.n_frames - 1)
            return first, np.asarray(file.convert("RGB"))
    with av.open(str(path)) as file:
        first = last = None
        for frame in file.decode(video=0):
            first, last = first or frame, frame
        return first.to_ndarray(format="rgb24"), last.to_ndarray(format="rgb24")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(np.float32) - b).mean()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("examples"))
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR)
    parser.add_argument("--most", type=int, default=4, help="take that many photos (default 4)")
    options = parser.parse_args(arguments)
    paths = list_pictures(options.folder)[:options.most] if options.folder.is_dir() else []
    if not paths:
        print(f"There are no pictures in {options.folder}; name a folder that holds some.", file=sys.stderr)
        return 2
    bloomer = Bloomer.load(options.pair)
    print("| film | seconds to make | kilobytes | first frame, dB | last frame, dB |\n|---|---:|---:|---:|---:|")
    rows: dict[str, list] = {".mp4": [], ".webp": []}
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            picture = Image.fromarray(read_picture(path))
            photo = np.asarray(picture.resize([round(side * SIDE / max(picture.size)) for side in picture.size]))
            painting = np.asarray(bloomer.bloom(photo))
            for suffix, figures in rows.items():
                started = time.perf_counter()
                made = film(photo, painting, Path(folder, f"film{suffix}"))
                seconds = time.perf_counter() - started
                first, last = ends(made)
                was, became = (even(fit(pixels, max(first.shape))) for pixels in (photo, painting))
                figures.append((seconds, made.stat().st_size / 1000, psnr(first, was), psnr(last, became)))
    for suffix, figures in rows.items():
        seconds, size, first, last = map(statistics.median, zip(*figures, strict=True))
        print(f"| {suffix[1:]} | {seconds:.1f} | {size:.0f} | {first:.1f} | {last:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
