"""Does the fine brush paint what the network would paint in one piece, and what do the brushes cost?

    python -m benchmarks.brushes
    python -m benchmarks.brushes --width 4000 --height 3000 --no-whole

One direction (bloom) over a drawn photo: in one piece, with the fine brush, with the broad brush, each in a process of its own.
Seconds with the pair at hand, the tracing of the networks included; the most memory that the process ever held; how far the
picture is from the one painted in one piece; and the mean step between neighbours across the borders of the fine brush's
tiles over that elsewhere, divided by the same figure of the picture in one piece; a dash where one tile holds all of it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from r2f import brush, drawn
from r2f.bloom import DEFAULT_PAIR, Bloomer


def seams(painted: np.ndarray, whole: np.ndarray) -> str:
    """How much stronger tiles' borders show in a picture than in the one painted in one piece, uint8 (H, W, 3) each; a dash
    where there are none."""
    if all(len(brush.spans(length)) == 1 for length in whole.shape[:2]):
        return "–"
    return f"{seam_over_elsewhere(painted) / seam_over_elsewhere(whole):.4f}"


def seam_over_elsewhere(pixels: np.ndarray) -> float:
    at, elsewhere = [], []
    for axis, length in enumerate(pixels.shape[:2]):
        steps = np.moveaxis(np.abs(np.diff(pixels.astype(np.int16), axis=axis)), axis, 0).mean(axis=(1, 2))
        borders = [core.stop - 1 for _, core in brush.spans(length)[:-1]]
        at += list(steps[borders])
        elsewhere += list(np.delete(steps, borders))
    return float(np.mean(at) / np.mean(elsewhere))


def paint(how: str, options: argparse.Namespace, path: Path) -> None:
    photo = drawn.rime(1, (options.height, options.width))
    bloomer = Bloomer.load(options.pair)
    started = time.perf_counter()
    painted = bloomer.paint_small("bloom", photo) if how == "whole" else bloomer.paint("bloom", photo, how)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.savez(path, painted=painted, figures=(seconds, peak))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR)
    parser.add_argument("--width", type=int, default=3000)
    parser.add_argument("--height", type=int, default=2000)
    parser.add_argument("--no-whole", action="store_true", help="leave out the picture in one piece, which takes most memory")
    parser.add_argument("--how", help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.how:
        return paint(options.how, options, options.to)
    print(f"{options.width} x {options.height} pixels\n")
    print("| brush | seconds | peak MB | mean difference of 255 | seams |\n|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        whole = None
        for how in (["whole"] if not options.no_whole else []) + ["fine", "broad"]:
            path = Path(folder, f"{how}.npz")
            again = [sys.executable, "-m", "benchmarks.brushes", *sys.argv[1:]]
            subprocess.run([*again, f"--how={how}", f"--to={path}"], check=True)
            with np.load(path) as file:
                painted, (seconds, peak) = file["painted"], file["figures"]
            whole = painted if how == "whole" else whole
            row = [how, f"{seconds:.1f}", f"{peak:.0f}", "", ""]
            if whole is not None:
                row[3] = f"{np.abs(painted.astype(np.int16) - whole).mean():.3f}"
                row[4] = seams(painted, whole) if how != "broad" else ""
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
