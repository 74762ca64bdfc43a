"""How long does a visitor wait for the painting and the way back?

    python -m benchmarks.round_trip

Seconds from a decoded photo to both pictures, with the pair at hand and warm, for three sizes of a drawn photo.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from r2f import drawn
from r2f.bloom import DEFAULT_PAIR, Bloomer

SIZES = ((512, 512), (1024, 1024), (3000, 4000))  # pixels, height and width


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    bloomer = Bloomer.load(options.pair)
    photo = Image.fromarray(drawn.rime(1, 512))
    print("| photo | seconds |\n|---|---:|")
    for height, width in SIZES:
        pixels, seconds = np.asarray(photo.resize((width, height))), []
        bloomer.round_trip(pixels)  # the first picture of a size costs the network's tracing
        for _ in range(options.repeats):
            started = time.perf_counter()
            bloomer.round_trip(pixels)
            seconds.append(time.perf_counter() - started)
        print(f"| {width} x {height} | {statistics.median(seconds):.2f} |")


if __name__ == "__main__":
    main()
