"""How long does a visitor wait for the painting and the way back?

    python -m benchmarks.round_trip

Seconds from a decoded photo to both pictures as PNG files, with the pair at hand and warm, for three sizes of a drawn photo; the
frames a second of a camera's 256 x 256 pixels; and the most memory that the process ever held.
"""

import argparse
import resource
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from r2f import drawn
from r2f.allocator import keep_memory
from r2f.bloom import BRUSHES, DEFAULT_PAIR, Bloomer
from r2f.images import encode_png

SIZES = ((512, 512), (1024, 1024), (3000, 4000))  # pixels, height and width
LIVE_SIDE, LIVE_FRAMES = 256, 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR)
    parser.add_argument("--brush", choices=BRUSHES, default="broad")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    bloomer = Bloomer.load(options.pair)
    photo = Image.fromarray(drawn.rime(1, 512))
    print("| photo | seconds | of these, PNG |\n|---|---:|---:|")
    for height, width in SIZES:
        pixels, rows = np.asarray(photo.resize((width, height))), []
        bloomer.round_trip(pixels, options.brush)  # the first picture of a size costs the network's tracing
        for _ in range(options.repeats):
            started = time.perf_counter()
            pictures = bloomer.round_trip(pixels, options.brush)
            painted = time.perf_counter()
            for picture in pictures:
                encode_png(np.asarray(picture))
            rows.append((time.perf_counter() - started, time.perf_counter() - painted))
        seconds, encoding = map(statistics.median, zip(*rows, strict=True))
        print(f"| {width} x {height} | {seconds:.2f} | {encoding:.2f} |", flush=True)
    frame, started = np.asarray(photo.resize((LIVE_SIDE, LIVE_SIDE))), 0.0
    for number in range(LIVE_FRAMES + 1):
        if number == 1:
            started = time.perf_counter()
        bloomer.live(frame)
    print(f"\nlive, {LIVE_SIDE} x {LIVE_SIDE}: {LIVE_FRAMES / (time.perf_counter() - started):.1f} frames a second")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    keep_memory()  # as the page does
    main()
