"""From what a visitor sent to the pictures on the page, and everything made of them afterwards.

A `Result` is a photo with its painting and its way back; strength, triptych, film and the map of differences are made from its
files, without the networks. Knows nothing about components or words.
"""

import base64
import contextlib
import io
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from r2f import images
from r2f.bloom import BRUSHES, SIZES, Bloomer, fit, strength, triptych
from r2f.brush import WORKING_PIXELS, paint_broad
from r2f.compare import WayBackFigures, difference_map, mean_colour_difference, way_back_figures
from r2f.film import film
from r2f.images import UnreadablePicture, check_picture, read_picture
from r2f.ui.painters import Painters

SHOWN_SIDE = 1280  # pixels: larger pictures are shown at that size, and taken home at their own
MEASURED_SIDE = 512  # pixels: the figures are of the pictures at that size
DIRECTIONS = ("bloom", "frost")
KINDS = {"bloom": ("flower", "rime-again"), "frost": ("rime", "flower-again")}  # what files are called
RESULT_SECONDS, MOST_RESULTS = 3600, 2000
OWN_KEY = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{32}")  # of a result: two halves

NOT_FOR_BROWSERS = (".heic", ".heif", ".tif", ".tiff")


class NoPhoto(ValueError):
    """Nothing was sent, or a setting that there is not; the message says which."""


class Wilted(LookupError):
    """There is no such result, or it is older than an hour."""


@dataclass(frozen=True)
class Result:
    """What became of one photo. Files are PNG in the cache."""

    own_key: str  # unguessable: who knows it brought the photo, and may have the file back, which may say where it was taken
    source: Path  # what was sent
    direction: str
    size: str
    brush: str
    pair: str
    whole: bool  # painted as large as the photo
    shown: tuple[str, str, str]  # photo, painting, way back, at most SHOWN_SIDE large and of one size
    painting: str  # as painted, of any size
    again: str

    @property
    def key(self) -> str:
        """What a link has: who knows it may see the pictures."""
        return self.own_key.partition(".")[0]

    # Counted when first asked for: pictures are seen before they are measured. Each raises Wilted once the files are gone.
    @cached_property
    def figures(self) -> WayBackFigures:
        """Of the way back."""
        return way_back_figures(self.measured(0), self.measured(2))

    @cached_property
    def away(self) -> float:
        """How far the painting is from the photo, CIEDE2000."""
        return mean_colour_difference(self.measured(0), self.measured(1))

    def measured(self, place: int) -> np.ndarray:
        return images.fit(pixels_of(self.shown[place]), MEASURED_SIDE)


class Results:
    """The results of the last hour by their key, and those under way. Safe to share between threads."""

    def __init__(self):
        self.results: OrderedDict[str, tuple[float, Result]] = OrderedDict()
        self.coming: dict[str, object] = {}  # own keys of results under way, and what was sent
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def promised(self, wanted: object, data: object) -> Iterator[str]:
        """The own key of a result under way: the one that the browser chose, so that it finds the result whatever becomes of
        the page meanwhile, or another where that won't do."""
        with self.lock:
            taken = {own.partition(".")[0] for own in self.coming} | self.results.keys()
            if not (isinstance(wanted, str) and OWN_KEY.fullmatch(wanted) and wanted.partition(".")[0] not in taken):
                wanted = new_key()
            self.coming[wanted] = data
        try:
            yield wanted
        finally:
            del self.coming[wanted]

    def under_way(self, own_key: object) -> object:
        """What was sent to become the result of that key, while it is being painted; None at any other time."""
        return self.coming.get(own_key) if isinstance(own_key, str) else None

    def add(self, result: Result) -> Result:
        with self.lock:
            self.results[result.key] = (time.monotonic(), result)
            while len(self.results) > MOST_RESULTS:
                self.results.popitem(last=False)
        return result

    def get(self, key: object) -> Result:
        """By the key of a link, or by a result's own. Raises Wilted."""
        made, result = self.results.get(key.partition(".")[0] if isinstance(key, str) else "", (0.0, None))
        if not result or time.monotonic() - made > RESULT_SECONDS or not all(map(Path.exists, map(Path, result.shown))):
            raise Wilted
        return result


def paint(painters: Painters, data: object, direction: str, size: str, brush: str, pair: str | None,
          own_key: str | None = None) -> Result:
    """Gradio's FileData of an upload to a Result, under that key or a new one.

    Raises NoPhoto, UnreadablePicture, PainterAsleep.
    """
    path = path_of(data)
    photo = read(path, size)
    bloomer = painters.bloomer(pair)
    painting, again = there_and_back(bloomer, photo, direction, brush)
    whole = size == "full" or max(photo.shape) < SIZES[size]
    kinds = KINDS[direction]
    stem = path.stem[:80]
    small = [images.fit(each, SHOWN_SIDE) for each in (photo, painting, again)]
    names = [f"{stem}{end}" for end in ("", f"-{kinds[0]}", f"-{kinds[1]}")]
    with ThreadPoolExecutor() as threads:  # Pillow lets go of Python's lock while it compresses
        shown = tuple(threads.map(save_png, small, names))
    large = [shown[place] if small[place].shape == each.shape else save_png(each, f"{stem}-{kinds[place - 1]}")
             for place, each in ((1, painting), (2, again))]
    name = pair or painters.first_name
    return Result(own_key or new_key(), path, direction, size, brush, name, whole, shown, *large)


def new_key() -> str:
    return f"{secrets.token_hex(16)}.{secrets.token_hex(16)}"


def check(data: object) -> None:
    """`check_picture` of an upload, if there is one."""
    with contextlib.suppress(NoPhoto):
        check_picture(path_of(data))


def as_browsers_show(data: object) -> str | None:
    """An upload that most browsers can't show, as a PNG of the same pixels in the cache; None for any other."""
    try:
        path = path_of(data)
        if path.suffix.lower() in NOT_FOR_BROWSERS:
            return save_png(read(path, "full"), path.stem[:80])
    except (NoPhoto, UnreadablePicture):
        pass  # said when it is to bloom
    return None


def path_of(data: object) -> Path:
    path = data.get("path") if isinstance(data, dict) else None
    if not path or not isinstance(path, str):
        raise NoPhoto("no photo")
    return Path(path)


def read(source: Path | bytes, size: str) -> np.ndarray:
    """A picture in one of the sizes on offer, (H, W, 3)."""
    if size not in SIZES:
        raise NoPhoto(f"there is no size {size!r}; choose one of {', '.join(SIZES)}.")
    return fit(read_picture(source, max_side=SIZES[size]), size)


def there_and_back(bloomer: Bloomer, photo: np.ndarray, direction: str, brush: str) -> tuple[np.ndarray, np.ndarray]:
    """Painting and way back of a photo, or rime and way back of a painting; each (H, W, 3)."""
    if direction not in DIRECTIONS or brush not in BRUSHES:
        raise NoPhoto(f"there is no brush {brush!r}; choose one of {', '.join(BRUSHES)}.")
    if direction == "bloom":
        painting, again = bloomer.round_trip(photo, brush=brush)
    else:
        painting = bloomer.frost(photo, brush=brush)
        again = bloomer.bloom(painting_pixels := np.asarray(painting), brush=brush)
        return painting_pixels, np.asarray(again)
    return np.asarray(painting), np.asarray(again)


def at_strength(result: Result, percent: float) -> str:
    """The shown painting, bloomed so far only (0 to 100): a PNG in the cache."""
    photo, painting = pixels_of(result.shown[0]), pixels_of(result.shown[1])
    if percent >= 100:
        return result.shown[1]
    name = named(result, f"{KINDS[result.direction][0]}-{percent:.0f}")
    return save_png(strength(photo, painting, percent / 100), name)


def whole_painting(painters: Painters, result: Result, percent: float) -> str:
    """The painting exactly as large as the photo (24 megapixels at most): a PNG in the cache.

    Where the broad brush would carry a small painting up anyway, it carries up the one at hand: what is taken home is what was
    looked at, and nothing is painted again.
    """
    photo, painting = read(result.source, "full"), pixels_of(result.painting)
    if not result.whole:
        if result.brush == "broad" and photo.shape[0] * photo.shape[1] > WORKING_PIXELS:
            painting = paint_broad(lambda small: images.resize(painting, small.shape[1::-1]), photo)
        else:
            bloomer = painters.bloomer(result.pair)
            painting = np.asarray(getattr(bloomer, result.direction)(photo, brush=result.brush))
    if percent < 100:
        painting = strength(photo, painting, percent / 100)
    return save_png(painting, named(result, KINDS[result.direction][0]))


def files_of(result: Result, percent: float) -> tuple[str, str]:
    """Painting at that strength and way back, as large as they were painted: PNG files in the cache."""
    painting = result.painting
    if percent < 100:
        photo = read(result.source, result.size)
        painting = save_png(strength(photo, pixels_of(painting), percent / 100), named(result, KINDS[result.direction][0]))
    return painting, result.again


def triptych_of(result: Result, percent: float) -> str:
    """Photo, painting and way back side by side, in the size that was painted up to SHOWN_SIDE: a PNG in the cache."""
    photo, _, again = map(pixels_of, result.shown)
    painting = pixels_of(at_strength(result, percent))
    sheet = triptych(*map(Image.fromarray, (photo, painting, again)))
    return save_png(np.asarray(sheet), named(result, "triptych"))


def film_of(result: Result, percent: float, seconds: float, suffix: str) -> str:
    """The film of the painting growing out of the photo: a file in the cache. `suffix` is .mp4 or .webp."""
    folder = Path(get_upload_folder()) / secrets.token_hex(32)
    folder.mkdir(parents=True)
    path = folder / f"{named(result, 'film')}{suffix}"
    film(pixels_of(result.shown[0]), pixels_of(at_strength(result, percent)), path, seconds=min(6.0, max(3.0, float(seconds))))
    return str(path)


def difference_of(result: Result) -> str:
    """Where photo and way back differ: a PNG in the cache."""
    return save_png(difference_map(pixels_of(result.shown[0]), pixels_of(result.shown[2])), named(result, "difference"))


def named(result: Result, kind: str) -> str:
    return f"{result.source.stem[:80]}-{kind}"


def pixels_of(path: str) -> np.ndarray:
    """A PNG of our own, (H, W, 3). Raises Wilted if it is gone."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError as error:
        raise Wilted from error


def save_png(pixels: np.ndarray, stem: str) -> str:
    """A PNG file in Gradio's cache."""
    return save_bytes_to_cache(images.encode_png(pixels), f"{stem}.png", get_upload_folder())


def data_url(pixels: np.ndarray) -> str:
    """A small picture (H, W, 3) as a `data:` address, for what should not reach the disk."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
