"""Many photos at once: a worker paints them one after the other, whether anyone is looking or not.

A `Batch` outlives the handler that started it, and the tab. Its files lie in the cache: pictures to look at as they come, and at
the end a zip of all paintings with a table of figures. Knows nothing about components.
"""

import contextlib
import csv
import io
import logging
import os
import secrets
import stat
import struct
import threading
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gradio.utils import get_upload_folder

from r2f import images
from r2f.bloom import stems
from r2f.compare import way_back_figures
from r2f.images import MAX_BYTES, PICTURE_SUFFIXES, UnreadablePicture, encode_png
from r2f.source import path_inside
from r2f.ui.painters import PainterAsleep, Painters
from r2f.ui.painting import KINDS, MEASURED_SIDE, read, save_png, there_and_back

log = logging.getLogger("r2f")

MOST_PHOTOS = 50
MOST_WAITING = 8  # batches
MOST_ZIP_BYTES = 600_000_000  # unpacked
MOST_PACKING = 200  # times; photos are packed already
MOST_LIST_BYTES = 1_000_000  # of a zip's list of names; reading a longer one would take much memory
MOST_PACKED_BYTES = 2_000_000_000  # of what is painted; more would fill the cache, and what others have there would go
BATCH_SECONDS, MOST_BATCHES = 3600, 500  # that are remembered
SHOWN_SIDE = 640  # pixels
PACKED_FULL = f"The zip is full with {MOST_PACKED_BYTES // 1_000_000_000} gigabytes; please send the other photos as a new batch."


class BadBatch(ValueError):
    """The batch can't begin. `key` is one of `words.SENTENCES`, or the message is a sentence for whoever sent the files."""

    def __init__(self, message: str = "", key: str = "", **values):
        super().__init__(message or key)
        self.key, self.values = key, values


@dataclass(frozen=True)
class Source:
    """One photo to come: a file, or an entry of a zip."""

    name: str
    path: Path
    entry: str | None = None

    def content(self) -> Path | bytes:
        if self.entry is None:
            return self.path
        with zipfile.ZipFile(self.path) as archive, archive.open(self.entry) as file:
            return file.read(MAX_BYTES + 1)  # whatever the list says about its size


@dataclass(eq=False)
class Batch:
    """Photos on their way; its fields are written by the worker and read by whoever looks."""

    sources: list[Source]
    direction: str = "bloom"
    size: str = "1024"
    brush: str = "broad"
    pair: str | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    state: str = "waiting"  # painting, done, stopped
    made: float = field(default_factory=time.monotonic)
    started: float = 0.0
    ended: float = 0.0  # 0 until it is done or stopped
    seconds: float = 0.0
    rows: list[dict] = field(default_factory=list)  # of the table of figures
    shown: list[tuple[str, str]] = field(default_factory=list)  # (PNG in the cache, name)
    refused: list[str] = field(default_factory=list)  # sentences
    packing: Path | None = None  # the zip in the making
    zip: str | None = None
    csv: str | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def done(self) -> int:
        return len(self.rows)

    @property
    def eta_seconds(self) -> float | None:
        if self.state != "painting" or not self.done:
            return None
        return (time.monotonic() - self.started) / self.done * (len(self.sources) - self.done)


class Batches:
    """The batches under way and those of the last hour by their key, and the worker. Safe to share between threads."""

    def __init__(self, painters: Painters):
        self.painters = painters
        self.batches: dict[str, Batch] = {}
        self.waiting: deque[Batch] = deque()
        self.lock = threading.Lock()
        self.come = threading.Condition(self.lock)
        self.worker: threading.Thread | None = None

    def begin(self, paths: list[Path], **how) -> Batch:
        """Queue the photos, or what is in a zip among them. Raises BadBatch."""
        batch = Batch(sources_in(paths), **how)
        with self.come:
            for old in [each for each in self.batches.values() if each.ended]:
                if time.monotonic() - old.ended > BATCH_SECONDS or len(self.batches) >= MOST_BATCHES:
                    del self.batches[old.key]
            if len(self.waiting) >= MOST_WAITING:
                raise BadBatch(key="many_busy")
            self.waiting.append(batch)
            self.batches[batch.key] = batch
            self.come.notify()
            if not self.worker:
                self.worker = threading.Thread(target=self._work, name="batches", daemon=True)
                self.worker.start()
        return batch

    def get(self, key: object) -> Batch | None:
        return self.batches.get(key) if isinstance(key, str) else None

    def stop(self, batch: Batch) -> None:
        """After the photo it is at; at once where its turn has not come."""
        batch.cancel.set()
        with self.lock:
            if batch in self.waiting:
                self.waiting.remove(batch)
                batch.state, batch.ended = "stopped", time.monotonic()

    def before(self, batch: Batch) -> int:
        """How many batches come first."""
        return sum(other.state in ("waiting", "painting") and other.made < batch.made for other in list(self.batches.values()))

    def keep_files(self) -> None:
        """What batches under way paint from, and have painted, counts as just used, or the cache would be swept of it."""
        under_way = [batch for batch in list(self.batches.values()) if not batch.ended]
        files = {source.path for batch in under_way for source in batch.sources}
        files |= {Path(picture) for batch in under_way for picture, _ in batch.shown}
        for path in files | {batch.packing for batch in under_way if batch.packing}:
            with contextlib.suppress(OSError):
                os.utime(path)

    def _work(self) -> None:
        while True:
            with self.come:
                self.come.wait_for(lambda: self.waiting)
                batch = self.waiting.popleft()
            try:
                run(batch, self.painters, self.keep_files)
            except Exception as error:  # the next batch must have its turn
                if not isinstance(error, PainterAsleep):
                    log.exception("a batch failed")
                batch.refused.append(str(error) if isinstance(error, PainterAsleep) else "This batch could not be finished.")
                batch.state = "stopped"
            batch.ended = time.monotonic()


def sources_in(paths: list[Path]) -> list[Source]:
    """The photos to paint, zips looked into. Raises BadBatch."""
    sources: list[Source] = []
    for path in paths:
        if path.suffix.lower() == ".zip":
            sources += pictures_in(path)
        else:
            sources.append(Source(path.name, path))
    if not sources:
        raise BadBatch(key="many_none")
    if len(sources) > MOST_PHOTOS:
        raise BadBatch(key="many_too_many", most=MOST_PHOTOS, given=len(sources))
    return sources


def pictures_in(path: Path) -> list[Source]:
    """The pictures in a zip. Nothing is ever unpacked to disk, so names do no harm; one that tries is refused all the same."""
    name, pictures = path.name, []
    try:
        listed = list_bytes(path)
    except OSError as error:
        raise BadBatch(f"{name} cannot be opened; please choose the photo again.") from error
    if listed > MOST_LIST_BYTES:
        raise BadBatch(f"{name} holds too many files; please send at most {MOST_PHOTOS} photos.")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise BadBatch(f"{name} is damaged or not a zip; please pack it anew.") from error
    for info in infos:
        inside = path_inside(info.filename)
        if inside is None:
            raise BadBatch(f"{name} has an entry whose name leads out of it; please pack it anew.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadBatch(f"{name} holds a link; please pack the photos themselves.")
        if "__MACOSX" not in inside.parts and not inside.name.startswith(".") and inside.suffix.lower() in PICTURE_SUFFIXES:
            pictures.append((inside, info))
    infos = [info for _, info in pictures]
    if any(info.flag_bits & 1 for info in infos):
        raise BadBatch(f"{name} is locked with a password; please pack it without one.")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise BadBatch(f"{name} is packed in an unusual way; please make a plain zip.")
    if sum(info.file_size for info in infos) > MOST_ZIP_BYTES or \
            any(info.file_size > MOST_PACKING * max(1, info.compress_size) for info in infos):
        raise BadBatch(f"{name} would unpack to far more than it is; please pack photos only.")
    if not infos:
        raise BadBatch(f"{name} holds no pictures.")
    return [Source(inside.name, path, info.filename) for inside, info in pictures]


def list_bytes(path: Path) -> int:
    """How long a zip's list of names claims to be, before anything reads it."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 66_000))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or len(end) < place + 22:
        return 0  # no zip; reading it says so
    length = struct.unpack_from("<L", end, place + 12)[0]
    large = end.rfind(b"PK\x06\x06")
    return struct.unpack_from("<Q", end, large + 40)[0] if length == 0xFFFFFFFF and 0 <= large <= len(end) - 56 else length


def run(batch: Batch, painters: Painters, before_each: Callable[[], None]) -> None:
    """Paint a batch. One bad file never stops the rest; what was done before a stop can be taken home too."""
    batch.state, batch.started = "painting", time.monotonic()
    folder = Path(get_upload_folder()) / secrets.token_hex(32)
    folder.mkdir(parents=True)
    bloomer = painters.bloomer(batch.pair)
    table, archive_path = folder / "figures.csv", folder / "rime2flower.zip"
    batch.packing = archive_path
    with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_STORED) as archive:
        for source, stem in zip(batch.sources, stems([Path(source.name) for source in batch.sources]), strict=True):
            if batch.cancel.is_set():
                break
            if archive_path.stat().st_size > MOST_PACKED_BYTES:
                batch.refused.append(PACKED_FULL)
                break
            before_each()
            batch.rows.append(paint_one(batch, bloomer, source, stem, archive))
        text = table_of(batch.rows).encode("utf-8-sig")
        archive.writestr("figures.csv", text)
    table.write_bytes(text)
    batch.zip, batch.csv = str(archive_path), str(table)
    batch.seconds = time.monotonic() - batch.started
    batch.state = "stopped" if batch.done < len(batch.sources) else "done"


def paint_one(batch: Batch, bloomer, source: Source, stem: str, archive: zipfile.ZipFile) -> dict:
    """One photo; its line of the table."""
    started, row = time.monotonic(), {"photo": source.name}
    try:
        try:
            photo = read(source.content(), batch.size)
        except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, RuntimeError, NotImplementedError,
                zlib.error) as error:
            raise UnreadablePicture(f"{source.name} cannot be opened; please choose the photo again.") from error
        painting, again = there_and_back(bloomer, photo, batch.direction, batch.brush)
        figures = way_back_figures(images.fit(photo, MEASURED_SIDE), images.fit(again, MEASURED_SIDE))
        for kind, picture in zip(KINDS[batch.direction], (painting, again), strict=True):
            archive.writestr(f"{stem}-{kind}.png", encode_png(picture))
        batch.shown.append((save_png(images.fit(painting, SHOWN_SIDE), f"{stem[:80]}-{KINDS[batch.direction][0]}"), source.name))
        row |= {"width": photo.shape[1], "height": photo.shape[0], "structure": round(figures.structure, 4),
                "colour": round(figures.colour, 3), "seconds": round(time.monotonic() - started, 2), "said": ""}
    except UnreadablePicture as error:
        said = str(error).replace("This picture", source.name, 1)
        batch.refused.append(said)
        row |= {"said": said}
    except Exception:
        log.exception("%s of a batch failed", source.name)
        said = f"{source.name} could not be painted."
        batch.refused.append(said)
        row |= {"said": said}
    return row


def table_of(rows: list[dict]) -> str:
    """The figures as CSV. A name that a spreadsheet would run as a formula is made plain text."""
    file = io.StringIO()
    writer = csv.DictWriter(file, ["photo", "width", "height", "structure", "colour", "seconds", "said"], restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
                         for key, value in row.items()})
    return file.getvalue()
