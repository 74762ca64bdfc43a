"""python -m r2f.bloom: photos in, flower paintings out, and the way back.

`Bloomer` holds a pair and paints pictures of any size with it. Knows nothing about pages or training.
"""

import argparse
import errno
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from r2f import images
from r2f.allocator import keep_memory
from r2f.brush import STRIDE, WORKING_PIXELS, FineBrush, paint_broad
from r2f.compare import WayBackFigures, difference_map, way_back_figures
from r2f.film import film
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
from r2f.quiet import quiet

__all__ = ["Bloomer", "WayBackFigures", "difference_map", "film", "fit", "strength", "triptych", "way_back_figures"]

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
DEFAULT_PAIR = CHECKPOINTS / "lite"
BRUSHES = ("broad", "fine")
KINDS = {False: ("flower", "rime-again"), True: ("rime", "flower-again")}  # painting and way back; with --frost
SIZES = {"512": 512, "1024": 1024, "full": None}  # pixels of the long side
FULL_PIXELS = 24_000_000  # the most that "full" means
GAP = 8  # pixels of white between the pictures of a triptych


class Bloomer:
    """A pair, ready to paint: bloom (rime -> flower) and frost (flower -> rime). Safe to share between threads.

    Pictures go in as whatever `images.read_picture` takes, or as a uint8 array (H, W, 3), from 32 pixels a side up; they come out
    as PIL pictures of the same size. A picture that can't be read raises `images.UnreadablePicture`.
    """

    def __init__(self, networks: dict, info: dict):
        self.networks, self.info = networks, info
        self.fine = {}  # the fine brushes, made when first asked for
        self.lock = threading.Lock()  # one picture at a time uses all the cores already

    @classmethod
    def load(cls, folder: str | Path = DEFAULT_PAIR, precision: str = "auto") -> "Bloomer":
        """The pair in a folder, its files verified. `precision` as in Config. Raises `pair.BadPair`."""
        with quiet():
            import keras

        from r2f.networks import dtype_policy
        from r2f.pair import load_pair
        networks, info = load_pair(folder, dtype_policy(precision))
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # or it warns of the third size of picture, as of a mistake
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

    def live(self, frame: np.ndarray, name: str = "bloom") -> np.ndarray | None:
        """One frame of a camera, uint8 (H, W, 3), to the same at its own size.

        None while another picture is being painted: a frame is dropped, never queued up.
        """
        if not self.lock.acquire(blocking=False):
            return None
        try:
            return self.paint_whole(name, frame)
        finally:
            self.lock.release()

    def paint(self, name: str, pixels: np.ndarray, brush: str = "broad") -> np.ndarray:
        """One generator over a uint8 picture (H, W, 3), the same size out. The brushes differ above `brush.WORKING_PIXELS`."""
        if brush not in BRUSHES:
            raise ValueError(f"there is no brush {brush!r}; use one of {', '.join(BRUSHES)}")
        if brush == "fine" and pixels.shape[0] * pixels.shape[1] > WORKING_PIXELS:
            with self.lock:
                if name not in self.fine:
                    self.fine[name] = FineBrush(self.networks[name])
                return self.fine[name].paint(pixels)
        return paint_broad(lambda small: self.paint_small(name, small), pixels)

    def paint_small(self, name: str, pixels: np.ndarray) -> np.ndarray:
        with self.lock:
            return self.paint_whole(name, pixels)

    def paint_whole(self, name: str, pixels: np.ndarray) -> np.ndarray:
        padded, box = pad_to_multiple(pixels, STRIDE)
        painted = self.networks[name].predict_on_batch(to_float(padded)[None])
        return to_uint8(crop_back(np.asarray(painted)[0], box))


def strength(photo: np.ndarray, painted: np.ndarray, amount: float) -> np.ndarray:
    """Between two uint8 pictures (H, W, 3) of one size: `amount` 0 is the photo, 1 the painting, exactly.

    Mixed in sRGB as it is: mixed as light, the white of the rime would wash the painting's colours out.
    """
    if not 0 <= amount <= 1:
        raise ValueError(f"the strength is from 0 to 1, not {amount}")
    return np.asarray(Image.blend(Image.fromarray(photo), Image.fromarray(painted), amount))


def fit(pixels: np.ndarray, size: str) -> np.ndarray:
    """Shrink a uint8 picture (H, W, 3) to one of SIZES, where it is larger; "full" is at most FULL_PIXELS."""
    if size not in SIZES:
        raise ValueError(f"there is no size {size!r}; use one of {', '.join(SIZES)}")
    height, width = pixels.shape[:2]
    return images.fit(pixels, SIZES[size] or int(max(height, width) * min(1, (FULL_PIXELS / (height * width)) ** 0.5)))


def pixels_of(picture) -> np.ndarray:
    return picture if isinstance(picture, np.ndarray) else read_picture(picture)


def triptych(*pictures: Image.Image) -> Image.Image:
    """Pictures of equal size side by side, as photo, painting, way back."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place * (width + GAP), 0))
    return sheet


class BadPlaces(ValueError):
    """Photos that can't be taken from where they are, or results that can't go where they should; the message says why."""


def photos_in(arguments: list[str]) -> list[Path]:
    """The files that were named, and the pictures in the folders that were named. Raises BadPlaces for a closed folder."""
    found = []
    for name in map(Path, arguments):
        try:
            found += list_pictures(name) if name.is_dir() else [name]
        except OSError as error:
            raise BadPlaces(f"The folder {name} can't be read ({error.strerror}); make it readable, or name other photos."
                            ) from error
    return found


def stems(photos: list[Path]) -> list[str]:
    """What the results of each photo are called: its stem, with a number where an earlier photo is called that already."""
    names: dict[str, None] = {}  # in order
    for path in photos:
        free = (f"{path.stem}-{number}" if number > 1 else path.stem for number in count(1))
        names[next(name for name in free if name not in names)] = None
    return list(names)


def targets(stem: str, options: argparse.Namespace) -> dict[str, Path]:
    """Where what becomes of a photo goes, by kind, in the order in which `results` gives it."""
    painting, again = KINDS[options.frost]
    asked = {f"{painting}.png": True, f"{again}.png": options.way_back, "triptych.png": options.triptych,
             "film.mp4": options.film}
    return {Path(name).stem: options.output / f"{stem}-{name}" for name, is_asked in asked.items() if is_asked}


def check_places(photos: list[Path], options: argparse.Namespace) -> None:
    """Raises BadPlaces where a photo would be overwritten, or what is painted would be painted again by the next run."""
    for name in options.photos:
        if os.path.isdir(name) and os.path.exists(options.output) and os.path.samefile(name, options.output):
            raise BadPlaces(f"The photos come from {options.output}, and the next run would take their paintings for photos; "
                            "choose another folder with -o.")
    taken = {identity(path) for path in photos} - {None}
    for stem in stems(photos):
        for target in targets(stem, options).values():
            if identity(target) in taken:
                raise BadPlaces(f"{target} is one of the photos, and would be overwritten; choose another folder with -o.")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file that is, however it is named; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def main(arguments: list[str] | None = None) -> int:
    """`python -m r2f.bloom`: 0 if all was painted, 1 if some of it was not, 2 if it can't be begun, 130 after Ctrl-C."""
    from r2f.pair import BadPair
    options = parsed(arguments)
    if missing := [str(Path(name)) for name in options.photos if not os.path.exists(name)]:
        print(f"There is no {' and no '.join(missing)}; check the path.", file=sys.stderr)
        return 2
    try:
        photos = photos_in(options.photos)
        check_places(photos, options)
    except BadPlaces as error:
        print(error, file=sys.stderr)
        return 2
    if not photos:
        print(f"There are no pictures in {', '.join(options.photos)}; name photos, or folders that hold some.", file=sys.stderr)
        return 2
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"The folder {options.output} can't be made ({error.strerror}); name another one with -o.", file=sys.stderr)
        return 2
    done, failed = 0, Counter()
    painted = "paintings froze" if options.frost else "photos bloomed"
    try:
        bloomer = Bloomer.load(options.pair, options.precision)
        for path, stem in tqdm(list(zip(photos, stems(photos), strict=True)), unit="photo", disable=None):
            try:
                photo = read_picture(path)
            except UnreadablePicture as error:
                failed["read"] += 1
                tqdm.write(str(error), file=sys.stderr)
                continue
            try:
                places = targets(stem, options)
                for kind, picture in results(bloomer, fit(photo, options.size) if options.size else photo, options):
                    if kind == "film":
                        film(*picture, places[kind])
                    else:
                        write_picture(picture, places[kind])
                done += 1
            except OSError as error:
                failed["written"] += 1
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    tqdm.write(f"What {path.name} became can't be written: the disk of {options.output} is full; free some of "
                               "it, then begin again with this photo.", file=sys.stderr)
                    break
                tqdm.write(f"What {path.name} became can't be written to {options.output} ({error.strerror or error}); "
                           "give it a shorter name, or name another folder with -o.", file=sys.stderr)
    except BadPair as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped; {done} of {len(photos)} {painted}, in {options.output}.", file=sys.stderr)
        return 128 + signal.SIGINT
    said = "".join(f"; {count} could not be {what}" for what, count in failed.items())
    print(f"{done} of {len(photos)} {painted}, in {options.output}{said}")
    return 1 if failed else 0


def results(bloomer: Bloomer, photo: np.ndarray, options: argparse.Namespace) -> Iterator[tuple[str, np.ndarray | tuple]]:
    """What was asked for, by kind: uint8 pictures (H, W, 3), and the two that the film goes from and to."""
    there, back = ("frost", "bloom") if options.frost else ("bloom", "frost")
    kind, kind_again = KINDS[options.frost]
    painted = bloomer.paint(there, photo, options.brush)
    shown = strength(photo, painted, options.strength / 100)
    yield kind, shown
    if options.way_back or options.triptych:
        again = bloomer.paint(back, painted, options.brush)
    if options.way_back:
        yield kind_again, again
    if options.triptych:
        yield "triptych", np.asarray(triptych(*map(Image.fromarray, (photo, shown, again))))
    if options.film:
        yield "film", (photo, shown)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m r2f.bloom", description="Turn photos of rime into flower paintings.")
    parser.add_argument("photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="photos, or folders of photos")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="folder for the results, made if need "
                        "be; another than the folders of photos")
    parser.add_argument("--pair", default=DEFAULT_PAIR, type=Path, metavar="DIR",
                        help="folder of the pair (default: checkpoints/lite)")
    parser.add_argument("--frost", action="store_true", help="the other way: turn flower paintings into rime, <stem>-rime.png")
    parser.add_argument("--way-back", action="store_true",
                        help="also write <stem>-rime-again.png (with --frost, <stem>-flower-again.png), from the full painting")
    parser.add_argument("--triptych", action="store_true", help="also write <stem>-triptych.png: photo, painting, way back")
    parser.add_argument("--film", action="store_true", help="also write <stem>-film.mp4: the flower opens out of the ice")
    parser.add_argument("--brush", default="broad", choices=BRUSHES,
                        help="photos above a megapixel: paint small and enlarge (broad, the default), or at full size (fine)")
    parser.add_argument("--strength", default=100, type=percent, metavar="PERCENT",
                        help="from the photo, 0, to the painting, 100 (default)")
    parser.add_argument("--size", choices=SIZES,
                        help="shrink photos to a long side of 512 or 1024 pixels, or to 24 megapixels (default: as they are)")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="arithmetic (default auto)")
    return parser.parse_args(arguments)


def percent(text: str) -> float:
    value = float(text.removesuffix("%"))
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 100")
    return value


if __name__ == "__main__":
    keep_memory()
    sys.exit(main())
