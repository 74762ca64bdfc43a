"""python -m r2f.evaluate: how good is a pair? Every figure with its error, on pictures it never saw.

`quick` measures a little of it during a training. What a figure means is in `metrics`, what the report looks like in `report`.
"""

import argparse
import hashlib
import json
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from r2f import metrics
from r2f.allocator import keep_memory
from r2f.data import NoPictures, centre_crop, must_be_folder
from r2f.features import NoFeatures, colour_and_gradients, named_features
from r2f.images import UnreadablePicture, list_pictures, read_picture, write_file
from r2f.shell import python

log = logging.getLogger("r2f")

SIDE = 256  # pixels of the squares that are painted and measured
SMALLEST_SIDE, LEAST_PICTURES = 64, 4  # of what can be measured
COLOUR_SUBSETS = 20  # sorting tens of thousands of colours takes time
QUICK_SUBSETS = 50
DIGITS = 6  # of a figure; the last ones of a float depend on the machine


class NothingToMeasure(ValueError):
    """An evaluation that can't be done; the message says why and what to do."""


@dataclass(frozen=True)
class HeldOut:
    """Pictures of one domain as squares of one size, uint8 (N, S, S, 3), and the files they are from."""

    folder: Path
    names: list[str]
    pixels: np.ndarray

    def describe(self) -> dict:
        """What they are, so that figures can be tied to them; the SHA-256 is of the squares."""
        return {"folder": str(self.folder), "count": len(self.names), "sha256": hashlib.sha256(self.pixels.tobytes()).hexdigest()}


@dataclass(frozen=True)
class Painted:
    """What a pair makes of held-out pictures, all uint8 (N, S, S, 3); every generator starts from 8-bit pictures."""

    rime: np.ndarray
    bloom: np.ndarray
    rime_again: np.ndarray
    flowers: np.ndarray
    frost: np.ndarray
    flowers_again: np.ndarray


def held_out(folder: Path, what: str, side: int = SIDE, most: int | None = None, prefixes: tuple[str, ...] = (),
             least: int = LEAST_PICTURES) -> HeldOut:
    """A folder's pictures, in the order of their names: the largest centred square of each, resized. `most` takes that many,
    evenly spaced. A file that can't be read is logged and left out. Raises NoPictures where fewer than `least` are left."""
    must_be_folder(folder, what)
    paths = [path for path in list_pictures(folder) if not prefixes or path.name.startswith(prefixes)]
    paths = evenly(paths, most or len(paths))
    names, squares = [], []
    for path in tqdm(paths, desc=f"reading {what}", unit="picture", disable=None):
        try:
            squares.append(centre_crop(read_picture(path), side))
            names.append(path.name)
        except UnreadablePicture as error:
            log.warning("left out: %s", error)
    if len(squares) < least:
        named = f" whose names begin with {' or '.join(prefixes)}" if prefixes else ""
        raise NoPictures(f"Figures need at least {least} {what}; {folder} has {len(squares)} readable ones{named}.")
    return HeldOut(folder, names, np.stack(squares))


def evenly(items, most: int):
    """At most that many of a list, evenly spaced: always the same ones of the same list."""
    return [items[place * len(items) // most] for place in range(most)] if most < len(items) else items


def paint(bloom: Callable, frost: Callable, rime: np.ndarray, flowers: np.ndarray, bar: Callable = iter) -> Painted:
    """Both domains there and back through two callables from a uint8 picture (H, W, 3) to one; `bar` wraps what takes time."""
    there = [(bloom, frost, picture) for picture in rime] + [(frost, bloom, picture) for picture in flowers]
    changed, again = [], []
    for first, second, picture in bar(there):
        changed.append(np.asarray(first(picture)))
        again.append(np.asarray(second(changed[-1])))
    count = len(rime)
    return Painted(rime, np.stack(changed[:count]), np.stack(again[:count]),
                   flowers, np.stack(changed[count:]), np.stack(again[count:]))


def figures(painted: Painted, features: Callable) -> dict:
    """Every figure of what a pair painted, as JSON takes it. `features` is a callable from pictures (N, H, W, 3) to (N, D)."""
    parts = {
        "bloom": lambda: agreement(painted.rime, painted.bloom, painted.flowers, features),
        "frost": lambda: agreement(painted.flowers, painted.frost, painted.rime, features),
        "way_back_of_rime": lambda: way_back(painted.rime, painted.rime_again),
        "way_back_of_flowers": lambda: way_back(painted.flowers, painted.flowers_again),
        "faults": lambda: faults(painted),
    }
    return rounded({name: part() for name, part in tqdm(parts.items(), desc="measuring", unit="part", disable=None)})


def agreement(before: np.ndarray, after: np.ndarray, real: np.ndarray, features: Callable) -> dict:
    """How far pictures were from the other domain before and after: KID, colours (Lab units), patterns (L a pixel)."""
    compared = {"kid": (features, metrics.kid, metrics.SUBSETS),
                "colours": (metrics.colours, metrics.colour_distance, COLOUR_SUBSETS),
                "patterns": (metrics.gradients, metrics.sliced_wasserstein, metrics.SUBSETS)}
    return {name: metrics.comparison(distance, *map(vectors, (before, after, real)), subsets)
            for name, (vectors, distance, subsets) in compared.items()}


def way_back(pictures: np.ndarray, again: np.ndarray) -> dict:
    """Spread of each figure of the way back, and the figures of every picture in their order."""
    each = [metrics.way_back(first, second) for first, second in zip(pictures, again, strict=True)]
    columns = {name: [row[name] for row in each] for name in each[0]}
    return {**{name: metrics.spread(values) for name, values in columns.items()}, "of_each": columns}


def faults(painted: Painted) -> dict:
    """What is ugly, each beside what photos and real paintings have of it; see `metrics`."""
    sets = {"rime": painted.rime, "bloom": painted.bloom, "rime_again": painted.rime_again,
            "flowers": painted.flowers, "frost": painted.frost}
    found = {measure.__name__: {name: metrics.spread([measure(picture) for picture in pictures])
                                for name, pictures in sets.items()}
             for measure in (metrics.checkerboard, metrics.halo, metrics.colour_noise)}
    found["light"] = {kind: metrics.spread(list(map(metrics.light, before, getattr(painted, kind))))
                      for kind, before in (("bloom", painted.rime), ("frost", painted.flowers))}
    for measure, kind in ((metrics.droplets, "bloom"), (metrics.stains, "rime_again")):
        found[measure.__name__] = {kind: metrics.spread([len(measure(photo, other)) for photo, other in
                                                         zip(painted.rime, getattr(painted, kind), strict=True)])}
    return found


@dataclass(frozen=True)
class Yardstick:
    """Held-out pictures, uint8 (N, S, S, 3) and (M, S, S, 3), at least 4 of each, and what is measured of them once."""

    rime: np.ndarray
    flowers: np.ndarray
    features: Callable = colour_and_gradients

    @cached_property
    def vectors(self) -> dict[str, np.ndarray]:
        return {"rime": self.features(self.rime), "flowers": self.features(self.flowers)}

    @cached_property
    def colour_noise(self) -> float:
        """That of real paintings."""
        return float(np.mean([metrics.colour_noise(picture) for picture in self.flowers]))

    @cached_property
    def apart(self) -> float:
        """How far a photo is from another one of the set, in Lab units a pixel."""
        return lab_distance(self.rime, np.roll(self.rime, 1, axis=0))

    @cached_property
    def digest(self) -> str:
        """Of the pictures: scores of another digest can't be compared."""
        return hashlib.sha256(self.rime.tobytes() + self.flowers.tobytes()).hexdigest()


def lab_distance(pictures: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean([np.linalg.norm(metrics.lab(picture) - metrics.lab(other), axis=-1).mean()
                          for picture, other in zip(pictures, others, strict=True)]))


def quick(bloom: Callable, frost: Callable, yardstick: Yardstick) -> dict[str, float]:
    """A few figures of a pair in training.

    `bloom` and `frost` are callables from a uint8 picture (H, W, 3) to one. Needs no package beyond the trainer's own. Takes
    two passes through a generator for every picture, and for the rest about 20 ms a picture of 128 pixels on one core. With
    fewer than about 40 pictures of each domain the error is as large as what checkpoints differ by.

    Returns floats by name, for metrics.jsonl: `kid_bloom` and `gap_closed_bloom` with its error, the same for frost;
    `way_back`, 1 for the photo itself and 0 for no nearer than another photo of the set; `colour_noise`, that of the
    paintings over that of real ones; and `score`, by which checkpoints are ranked, the higher the better: gap closed by
    bloom x way back, divided by the colour noise where that is above 1. A pair that does nothing scores 0, and so does
    one that forgets the photo.
    """
    painted, vectors, found = paint(bloom, frost, yardstick.rime, yardstick.flowers), yardstick.vectors, {}
    for name, before, after, real in (("bloom", "rime", painted.bloom, "flowers"), ("frost", "flowers", painted.frost, "rime")):
        compared = metrics.comparison(metrics.kid, vectors[before], yardstick.features(after), vectors[real], QUICK_SUBSETS)
        found |= {f"kid_{name}": compared["after"]["value"], f"gap_closed_{name}": compared["gap_closed"]["value"],
                  f"gap_closed_{name}_error": compared["gap_closed"]["error"]}
    found["way_back"] = 1 - lab_distance(painted.rime, painted.rime_again) / max(yardstick.apart, 1e-6)
    noise = np.mean([metrics.colour_noise(picture) for picture in painted.bloom])
    found["colour_noise"] = float(noise / max(yardstick.colour_noise, 1e-6))
    gap = found["gap_closed_bloom"]
    score = gap * max(found["way_back"], 0) / max(found["colour_noise"], 1) if gap > 0 else gap
    return rounded({**found, "score": float(score)})


def rounded(value):
    """Figures to `DIGITS` digits, however deep they lie."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def check_features(features: Callable, name: str, pictures: np.ndarray) -> None:
    """Raises NoFeatures unless two pictures, uint8 (2, S, S, 3), give two rows of finite numbers."""
    try:
        vectors = np.asarray(features(pictures), float)
    except Exception as error:  # it is anyone's
        raise NoFeatures(f"The features {name} can't be made of two pictures ({type(error).__name__}: {error}); "
                         "name a function from uint8 (N, H, W, 3) to (N, D).") from error
    if vectors.ndim != 2 or len(vectors) != len(pictures) or not vectors.size:
        raise NoFeatures(f"The features {name} of two pictures have the shape {vectors.shape}, not (2, D); "
                         "name a function from uint8 (N, H, W, 3) to (N, D).")
    if not np.isfinite(vectors).all():
        raise NoFeatures(f"The features {name} are not finite; name a function that gives finite numbers.")


def evaluate(folder: Path, rime: HeldOut, flowers: HeldOut, features: Callable, precision: str) -> tuple[dict, Painted]:
    """A pair's figures, tied to its SHA-256, and what it painted. Raises BadPair."""
    from r2f.bloom import Bloomer
    bloomer = Bloomer.load(folder, precision)
    painted = paint(bloomer.bloom, bloomer.frost, rime.pixels, flowers.pixels,
                    lambda pictures: tqdm(pictures, desc=f"painting with {folder.absolute().name}", unit="picture", disable=None))
    info = bloomer.info
    return {"pair": str(folder), "sha256": {name: file["sha256"] for name, file in sorted(info["files"].items())},
            **{name: info.get(name) for name in ("preset", "step", "image_size")}, **figures(painted, features)}, painted


def main(arguments: list[str] | None = None) -> int:
    """`python -m r2f.evaluate`: 0 when all is written, 2 where something can't be measured or written, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return measured(arguments)
    except KeyboardInterrupt:
        print("Stopped before it was done; the same command begins anew.", file=sys.stderr)
        return 128 + signal.SIGINT


def measured(arguments: list[str]) -> int:
    """What the arguments ask for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m r2f.evaluate", description="Measure how good a pair is, on pictures it "
                                     "never saw. Prints JSON; the same command prints the same JSON.")
    parser.add_argument("pair", type=Path, metavar="PAIR", help="folder of the pair")
    parser.add_argument("--rime", required=True, type=Path, metavar="DIR", help="rime photos that the pair never saw")
    parser.add_argument("--flowers", required=True, type=Path, metavar="DIR", help="flower paintings that the pair never saw")
    parser.add_argument("--prefixes", default="", metavar="A,B",
                        help="take only flower paintings whose names begin so, as in training")
    parser.add_argument("--features", default="efficientnet-lite0", metavar="NAME",
                        help="what KID compares: efficientnet-lite0 (default), inception, colour-and-gradients, or "
                             "module:function from uint8 (N, H, W, 3) to (N, D)")
    parser.add_argument("--against", nargs="+", default=[], type=Path, metavar="PAIR", help="other pairs to show beside it")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="also write report.html and figures.json there")
    parser.add_argument("--side", type=int, default=SIDE, help=f"pixels of the squares that are painted (default {SIDE})")
    parser.add_argument("--most", type=int, metavar="N",
                        help="take that many pictures of each domain, evenly spaced (default: all)")
    parser.add_argument("--precision", default="float32", choices=("auto", "float32", "bfloat16"),
                        help="arithmetic of the generators (default float32: the same on every machine)")
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from r2f.pair import BadPair, read_pair_json
    try:
        for folder in (options.pair, *options.against):
            read_pair_json(folder)  # a wrong path is said at once, not after the first pair
        if options.side < SMALLEST_SIDE:
            raise NothingToMeasure(f"--side {options.side} is too small to measure; give at least {SMALLEST_SIDE}.")
        if options.most is not None and options.most < LEAST_PICTURES:
            raise NothingToMeasure(f"--most {options.most} is too few to measure; give at least {LEAST_PICTURES}.")
        require("skimage", "scikit-image")
        features = named_features(options.features)
        prefixes = tuple(part.strip() for part in options.prefixes.split(",") if part.strip())
        rime = held_out(options.rime, "rime photos", options.side, options.most)
        flowers = held_out(options.flowers, "flower paintings", options.side, options.most, prefixes)
        check_features(features, options.features, rime.pixels[:2])
        if options.report:
            make_folder(options.report)
        results = [evaluate(folder, rime, flowers, features, options.precision)
                   for folder in (options.pair, *options.against)]
    except (BadPair, NoPictures, NoFeatures, NothingToMeasure, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    found = {"command": shlex.join(["python", "-m", "r2f.evaluate", *arguments]), "features": options.features,
             "side": options.side, "precision": options.precision, "rime": rime.describe(), "flowers": flowers.describe(),
             "pairs": [pair for pair, _ in results]}
    # What is not UTF-8 in the name of a file, backslashreplace writes as JSON does.
    figures_json = (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    print(figures_json.decode(), end="", flush=True)
    if options.report:
        from r2f.report import page
        html = page(found, [painted for _, painted in results], rime.names).encode("utf-8", "replace")
        try:
            for name, content in (("figures.json", figures_json), ("report.html", html)):
                write_file(content, options.report / name)
        except OSError as error:
            print(unwritten(options.report, error), file=sys.stderr)
            return 2
        log.info("%s", options.report / "report.html")
    return 0


def make_folder(folder: Path) -> None:
    """Raises NothingToMeasure where the report's folder can't be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NothingToMeasure(unwritten(folder, error)) from error


def unwritten(folder: Path, error: OSError) -> str:
    return (f"The report can't be written to {folder} ({error.strerror or error}); make room there, or name another folder with "
            "--report.")


def require(module: str, package: str) -> None:
    try:
        __import__(module)
    except ImportError as error:
        raise NothingToMeasure(f"An evaluation needs {package}; run: "
                               f"{python()} -m pip install -r requirements-eval.txt") from error


if __name__ == "__main__":
    keep_memory()
    sys.exit(main())
