"""Folders of pictures -> two lists of decoded pictures -> the batch of any step.

Everything that is drawn by chance is a function of (seed, step), so a resumed training sees exactly what an uninterrupted one
would have. Pictures are decoded once, before the first step; a bad file is named and left out then, never at hour five.

`python -m r2f.data check` says what is wrong with pictures, `prepare` makes a data set of two folders.
"""

import argparse
import logging
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from r2f import dataset, doctor, drawn, source
from r2f.config import Config
from r2f.images import UnreadablePicture, list_pictures, read_picture, resize, short_side_resize, to_float, write_picture
from r2f.shell import python

log = logging.getLogger("r2f")

RIME, FLOWER = 0, 1  # the streams of chance of the two domains
WHAT = ("rime photos", "flower paintings", "held-out pictures")  # is looked for in the folders
SHEETS = (".png", ".jpg", ".jpeg", ".webp")  # what a contact sheet can be
DRAWN_TRAIN, DRAWN_TEST = 200, 24  # pictures of each domain in the embedded data set
FIRST_ADDED = 1_000_000  # seed of the first added picture: none of them is among the examples or in the embedded data set


class NoPictures(ValueError):
    """Pictures were asked for where there are none; the message says what was looked for and where."""


@dataclass(frozen=True)
class Pictures:
    """The four sets of a training, each a list of uint8 arrays (H, W, 3) whose short side is `load_size`."""

    rime: list[np.ndarray]
    flowers: list[np.ndarray]
    rime_test: list[np.ndarray]
    flowers_test: list[np.ndarray]


def load_pictures(config: Config) -> Pictures:
    """Decode what the configuration names. Without a test set, the samples show pictures of the training set.

    Raises NoPictures, which says what was looked for and where.
    """
    rime_folder, flowers_folder, *test_folders = folders(config)
    rime = load_folder(rime_folder, WHAT[0], config.load_size)
    flowers = load_folder(flowers_folder, WHAT[1], config.load_size, prefixes(config))
    flowers = most_colourful(flowers, config.colourful)
    tests = [load_folder(folder, WHAT[2], config.load_size, most=config.sample_count)
             if folder else train[:config.sample_count] for folder, train in zip(test_folders, (rime, flowers), strict=True)]
    if config.add_drawn:  # without ink on white paper, which teaches white backgrounds
        added = drawn.write_dataset(Path(config.run) / "added", config.add_drawn, 0, config.load_size, first_seed=FIRST_ADDED,
                                    flower_kinds=tuple(kind for kind in drawn.FLOWER_KINDS if kind != "ink"))
        rime, flowers = (pictures + load_folder(added / name, f"drawn {what}", config.load_size)
                         for pictures, name, what in ((rime, "trainB", "rime"), (flowers, "trainA", "flowers")))
    return Pictures(rime, flowers, *tests)


def folders(config: Config) -> list[Path | None]:
    """Where the rime, the flowers, the held-out rime and the held-out flowers are; None for held-out ones that there are not.

    Raises NoPictures where no pictures were named, or what was named as a data set is none.
    """
    if config.drawn or config.data:
        root = drawn_folder(config) if config.drawn else Path(config.data)
        found = [root / name for name in ("trainB", "trainA", "testB", "testA")]
        must_be_folder(root, "pictures")
        if not all(folder.is_dir() for folder in found[:2]):
            raise NoPictures(f"{root} is no data set: it needs the folders trainA (flowers) and trainB (rime); name one that has "
                             "them, or give --rime DIR and --flowers DIR instead of --data.")
        # A folder that was named must be there. One without pictures is what earlier versions made of `prepare --test 0`.
        return found[:2] + [folder if folder.is_dir() and any(folder.iterdir()) else None for folder in found[2:]]
    if config.rime and config.flowers:
        return [Path(name) if name else None for name in (config.rime, config.flowers, config.rime_test, config.flowers_test)]
    raise NoPictures("No pictures were named; give --rime DIR and --flowers DIR, or --data DIR with trainA (flowers) "
                     "and trainB (rime), or --drawn.")


def check_folders(config: Config) -> None:
    """Raises NoPictures where no pictures were named, or a folder that was named is not there. Reads and draws nothing."""
    if not config.drawn:
        for folder, what in zip(folders(config), (*WHAT, WHAT[2]), strict=True):
            if folder:
                must_be_folder(folder, what)


def must_be_folder(folder: Path, what: str) -> None:
    """Raises NoPictures for anything else."""
    if folder.is_file():
        raise NoPictures(f"{folder} is a file, not a folder to take {what} from; if it is a zip, unpack it first, or make a data "
                         f"set of it with {python()} -m r2f.data prepare.")
    if not folder.is_dir():
        raise NoPictures(f"There is no folder {folder} to take {what} from; check the path.")


def prefixes(config: Config) -> tuple[str, ...]:
    """What the file names of the flowers it learns from begin with; () for all."""
    return tuple(part.strip() for part in config.prefixes.split(",") if part.strip())


def most_colourful(pictures: list[np.ndarray], part: float) -> list[np.ndarray]:
    """That part of the pictures, those with the largest mean chroma, in the order in which they came."""
    if part == 1:
        return pictures
    small = [Image.fromarray(each).resize((64, 64), Image.Resampling.BOX).convert("LAB") for each in pictures]
    chroma = [np.hypot(*np.moveaxis(np.asarray(each)[..., 1:].astype(np.int8).astype(float), -1, 0)).mean() for each in small]
    kept = np.sort(np.argsort(chroma)[-max(1, round(part * len(pictures))):])
    return [pictures[place] for place in kept]


def load_folder(folder: Path, what: str, load_size: int, prefixes: tuple[str, ...] = (), most: int | None = None):
    """The folder's pictures, uint8 (H, W, 3) with that short side, in the order of their names; bad files are logged.

    `most` takes that many, evenly spaced. Raises NoPictures where none is left.
    """
    must_be_folder(folder, what)
    paths = [path for path in list_pictures(folder) if not prefixes or path.name.startswith(prefixes)]
    if most and len(paths) > most:
        paths = [paths[i * len(paths) // most] for i in range(most)]

    def load(path):
        try:
            return short_side_resize(read_picture(path), load_size)
        except UnreadablePicture as error:
            return error

    with ThreadPoolExecutor(doctor.THREADS) as threads:
        loaded = list(tqdm(threads.map(load, paths), total=len(paths), desc=f"reading {what}", unit="picture", disable=None))
    bad = [each for each in loaded if isinstance(each, UnreadablePicture)]
    for each in bad:
        log.warning("left out: %s", each)
    pictures = [each for each in loaded if not isinstance(each, UnreadablePicture)]
    if not pictures:
        named = f" whose names begin with {' or '.join(prefixes)}" if prefixes else ""
        if paths:
            found = f"none of the {len(paths)} that are there can be opened"
        else:
            found = "check the names" if prefixes else "pictures in its subfolders are not looked for"
        raise NoPictures(f"There are no readable {what}{named} in {folder}: {found}.")
    log.info("%s: %d pictures from %s, %d left out", what, len(pictures), folder, len(bad))
    return pictures


def drawn_folder(config: Config) -> Path:
    """The embedded data set, drawn into the run directory once, where it can be looked at and a resumed run finds it."""
    return drawn.write_dataset(Path(config.run) / "drawn", DRAWN_TRAIN, DRAWN_TEST, config.load_size)


def batch(pictures: Pictures, config: Config, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The rime and the flowers of a step (counted from 0): two float32 arrays (batch_size, S, S, 3) in [-1, 1]."""
    return (domain_batch(pictures.rime, RIME, config, step), domain_batch(pictures.flowers, FLOWER, config, step))


def domain_batch(pictures: list[np.ndarray], domain: int, config: Config, step: int) -> np.ndarray:
    """Every picture is shown once before any is shown again; the two domains are drawn independently of each other."""
    chance = np.random.default_rng((config.seed, domain, 1, step))
    crops = []
    for position in range(step * config.batch_size, (step + 1) * config.batch_size):
        turn, place = divmod(position, len(pictures))
        order = np.random.default_rng((config.seed, domain, 0, turn)).permutation(len(pictures))
        crops.append(crop(pictures[order[place]], config, chance))
    return to_float(np.stack(crops))


def crop(picture: np.ndarray, config: Config, chance: np.random.Generator) -> np.ndarray:
    """A square of the picture at `image_size`, mirrored half of the time; the aspect is kept. Also of several pictures at once,
    stacked along their channels: the same square of each."""
    height, width = picture.shape[:2]
    side = int(chance.integers(config.image_size, min(height, width) + 1)) if config.zoom else config.image_size
    top, left = chance.integers(height - side + 1), chance.integers(width - side + 1)
    square = picture[top:top + side, left:left + side]
    if side != config.image_size:
        square = np.concatenate([resize(each, (config.image_size, config.image_size))
                                 for each in np.split(square, square.shape[2] // 3, axis=2)], axis=2)
    if config.flip and chance.random() < 0.5:
        square = square[:, ::-1]
    return square


def centre_crop(picture: np.ndarray, side: int) -> np.ndarray:
    """The largest centred square of a picture (H, W, 3), resized to (side, side, 3)."""
    square = min(picture.shape[:2])
    top, left = (picture.shape[0] - square) // 2, (picture.shape[1] - square) // 2
    return short_side_resize(picture[top:top + square, left:left + square], side)


def main(arguments: list[str] | None = None) -> int:
    """`python -m r2f.data`: 0 if all is well, 1 if `check` found something to mend, 2 if it can't be done, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m r2f.data", description="Look at pictures to learn from, and prepare them.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what is wrong with pictures; exit code 1 if something is")
    check.add_argument("sources", nargs="+", metavar="DIR_OR_ZIP",
                       help="a folder or zip of pictures, or of a data set with trainA (flowers) and trainB (rime)")
    check.add_argument("--json", action="store_true", help="print JSON, with every list in full")
    prepare = commands.add_parser("prepare", help="leave out duplicates, hold out test pictures, write a data set")
    prepare.add_argument("--rime", required=True, metavar="DIR_OR_ZIP",
                         help="rime photos; of a folder or zip with several folders, the one named rime")
    prepare.add_argument("--flowers", required=True, metavar="DIR_OR_ZIP",
                         help="flower paintings; of several folders, the one named flower-painting, flowers or flower")
    prepare.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="folder of the data set, made here")
    prepare.add_argument("--test", type=int, metavar="N",
                         help=f"pictures of each domain to hold out (default {dataset.TEST}, at most a sixth, at "
                              f"least {dataset.LEAST_TEST} of {dataset.SPARED * dataset.LEAST_TEST} or more)")
    prepare.add_argument("--seed", type=int, default=0, help="another seed holds out other pictures (default 0)")
    prepare.add_argument("--min-side", type=int, default=0, metavar="PIXELS",
                         help="leave out pictures with a shorter short side (default 0: none)")
    for each in (check, prepare):
        each.add_argument("--image-size", type=int, default=Config.image_size, metavar="PIXELS",
                          help=f"side of the crops it is for, which says what is too small (default {Config.image_size})")
        each.add_argument("--sheet", type=Path, metavar="FILE", help=f"also write a contact sheet: {', '.join(SHEETS)}")
    options = parser.parse_args(arguments)
    if options.sheet and (options.sheet.suffix.lower() not in SHEETS or not options.sheet.absolute().parent.is_dir()):
        parser.error(f"--sheet is {options.sheet}; it must be one of {', '.join(SHEETS)}, in a folder that is there")
    try:
        with tempfile.TemporaryDirectory(prefix="r2f-") as folder, tqdm(desc="looking", unit="picture", disable=None) as bar:
            return {"check": _check, "prepare": _prepare}[options.command](options, Path(folder), progress_to(bar))
    except (source.BadSource, dataset.NotOurs, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def progress_to(bar: tqdm):
    """The doctor's `progress(done, total)`, shown on a bar."""
    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()
    return progress


def _check(options, unpacked: Path, progress) -> int:
    report = doctor.examine(source.together(options.sources, unpacked), options.image_size, progress)
    changed = dataset.differences(options.sources[0], report) if len(options.sources) == 1 else []
    print(report.to_json() if options.json else doctor.to_text(report), end="")
    print("".join(f"{each}\n" for each in changed[:10]), end="", file=sys.stderr)
    if options.sheet:
        write_picture(doctor.contact_sheet(report), options.sheet)
    return 0 if report.healthy and not changed else 1


def _prepare(options, unpacked: Path, progress) -> int:
    rime, flowers = (source.find(place, unpacked, domain)[0]
                     for place, domain in ((options.rime, "rime"), (options.flowers, "flower")))
    earlier = dataset.read_info(options.output)
    info, report = dataset.prepare(rime, flowers, options.output, options.test, options.seed, options.image_size,
                                   options.min_side, progress)
    print(doctor.to_text(report))
    if options.sheet:
        write_picture(doctor.contact_sheet(report), options.sheet)
    if info == earlier:
        print("The same data set is there already; nothing was changed.")
    for note in info["notes"]:
        print(note)
    counts = ", ".join(f"{name} {count:,}" for name, count in info["counts"].items())
    print(f"{options.output}: {counts}; {len(info['left_out']):,} left out, each with its reason in dataset.json.\n"
          f"Learn from it (with --preset r2f for a graphics card): {python()} -m r2f.train "
          f"--data {shlex.quote(str(options.output))} --run runs/mine --preset lite")
    return 0


if __name__ == "__main__":
    sys.exit(main())
