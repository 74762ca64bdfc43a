"""Visits to the data doctor: a worker unpacks zips, looks at pictures and prepares data sets, whether anyone is watching or not.

A `Visit` outlives the handler that asked for it, and the tab; who asks again for the same pictures finds it. What is unpacked or
prepared stays on the disk, in the folder `pictures` under the root. Knows nothing about components or trainings.
"""

import hashlib
import logging
import queue
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from r2f import dataset, doctor, source
from r2f.doctor import Report
from r2f.images import encode_png, list_pictures
from r2f.source import BadSource, Folder

log = logging.getLogger("r2f")

MOST_VISITS, MOST_WAITING = 12, 4  # that are remembered; that wait for their turn
MOST_PICTURES = 20_000  # that are looked at in one visit: minutes, not hours
MOST_BYTES = 40_000_000_000  # of everything unpacked and prepared under the root
SHEET = dict(columns=8, lines=3, side=112)  # of the contact sheet: a telephone shows eight pictures beside each other
ENDED = ("done", "failed", "stopped")


class Stopped(Exception):
    """Whoever asked for the visit has asked for its end."""


class Crowded(BadSource):
    """Too many visits are waiting."""


@dataclass
class Visit:
    """One look at some pictures; its fields are written by the worker and read by whoever watches."""

    key: str
    work: Callable[["Visit"], None]
    state: str = "waiting"  # then unpacking, looking or preparing; then one of ENDED
    done: int = 0
    total: int = 0
    report: Report | None = None
    sheet: bytes | None = None  # PNG
    folders: dict[str, str] = field(default_factory=dict)  # what has come of it: rime and flowers, or data, where they lie now
    said: str = ""  # why it failed
    cancel: threading.Event = field(default_factory=threading.Event)
    then: dict[str, Callable[["Visit"], None]] = field(default_factory=dict)  # called when it is done, by who asked

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self.cancel.is_set():
            raise Stopped


class Visits:
    """The last visits by their key, and the worker. Safe to share between threads."""

    def __init__(self, root: Path):
        self.pictures = Path(root) / "pictures"
        self.visits: OrderedDict[str, Visit] = OrderedDict()
        self.waiting: queue.Queue[Visit] = queue.Queue(MOST_WAITING)
        self.lock = threading.Lock()
        self.worker: threading.Thread | None = None

    def get(self, key: object) -> Visit | None:
        return self.visits.get(key) if isinstance(key, str) else None

    def look(self, folders: list[Folder], image_size: int, then: dict[str, Callable[[Visit], None]] | None = None) -> Visit:
        """Look at the pictures in these folders; each of `then`, by who asked, is called when that is done. Raises Crowded."""
        return self._begin(key_of(folders), lambda visit: examine(visit, folders, image_size), then or {})

    def unpack(self, zips: dict[str, Path]) -> Visit:
        """Unpack a zip for each domain ("rime", "flower") to folders that stay. Raises Crowded."""
        key = key_of([Folder(domain, path.parent) for domain, path in zips.items()])
        return self._begin(key, lambda visit: unpack(visit, zips, self.pictures), {})

    def prepare(self, rime: Folder, flowers: Folder, image_size: int) -> Visit:
        """Make a data set without duplicates, with held-out pictures. Raises Crowded."""
        key = key_of([rime, flowers])
        out = self.pictures / f"set-{key[:10]}"
        return self._begin(f"prepare-{key}", lambda visit: prepare(visit, rime, flowers, image_size, out), {})

    def _begin(self, key: str, work: Callable[[Visit], None], then: dict[str, Callable[[Visit], None]]) -> Visit:
        with self.lock:
            now = self.visits.get(key)
            if now and not now.ended and not now.cancel.is_set():
                now.then |= then
                return now
            visit = Visit(key, work, then=then)
            try:
                self.waiting.put_nowait(visit)
            except queue.Full as error:
                raise Crowded("The doctor has many visitors already; please try again in a few minutes.") from error
            self.visits[key] = visit
            self.visits.move_to_end(key)
            for old in [each for each in self.visits if self.visits[each].ended][:max(0, len(self.visits) - MOST_VISITS)]:
                del self.visits[old]
            if not self.worker:
                self.worker = threading.Thread(target=self._work, name="visits", daemon=True)
                self.worker.start()
        return visit

    def _work(self) -> None:
        while True:
            visit = self.waiting.get()
            try:
                visit.progress(0, 0)
                visit.work(visit)
                visit.progress(visit.total, visit.total)
                self._end(visit)
            except Stopped:
                visit.state = "stopped"
            except (BadSource, dataset.NotOurs) as error:
                visit.said, visit.state = str(error), "failed"
            except Exception as error:  # the next visit must have its turn
                log.exception("a visit to the doctor failed")
                visit.said = f"The pictures could not be looked at ({type(error).__name__}); the page's log says more."
                visit.state = "failed"


    def _end(self, visit: Visit) -> None:
        """Whoever sees that it is done also sees what came of `then`; and nobody can add one when it is too late."""
        while True:
            with self.lock:
                if not visit.then:
                    visit.state = "done"
                    return
                then = visit.then.pop(next(iter(visit.then)))
            then(visit)


def key_of(folders: list[Folder]) -> str:
    """The same for the same folders, as long as nothing is put there or taken away."""
    def changed(path: Path) -> int:
        try:
            return path.stat().st_mtime_ns
        except OSError:
            return 0
    said = [(each.name, each.domain, str(each.path), changed(each.path)) for each in folders]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def examine(visit: Visit, folders: list[Folder], image_size: int) -> None:
    visit.state = "looking"
    count = sum(len(list_pictures(folder.path)) for folder in folders)
    if count > MOST_PICTURES:
        raise BadSource(f"There are {count:,} pictures, and the doctor looks at {MOST_PICTURES:,} at most; take some of them.")
    visit.report = doctor.examine(folders, image_size, visit.progress)
    visit.sheet = encode_png(doctor.contact_sheet(visit.report, **SHEET))


def unpack(visit: Visit, zips: dict[str, Path], pictures: Path) -> None:
    visit.state = "unpacking"
    for domain, path in zips.items():
        try:
            folder = pictures / f"{domain}-{plain(path.stem)}-{digest_of(path, visit)[:8]}"
        except OSError as error:  # it was brought long ago
            raise BadSource(f"{path.name} cannot be opened; please choose the zip again.") from error
        if not folder.is_dir():  # otherwise the very same zip was unpacked before
            check_room(pictures)
            source.unpack(path, folder, domain, visit.progress)
        visit.folders["rime" if domain == "rime" else "flowers"] = str(folder)


def prepare(visit: Visit, rime: Folder, flowers: Folder, image_size: int, out: Path) -> None:
    visit.state = "preparing"
    check_room(out.parent)
    dataset.prepare(rime, flowers, out, image_size=image_size, progress=visit.progress)
    visit.folders["data"] = str(out)


def check_room(pictures: Path) -> None:
    """Raises BadSource where too much was put there already."""
    there = sum(path.stat().st_size for path in pictures.rglob("*") if path.is_file()) if pictures.is_dir() else 0
    if there > MOST_BYTES:
        raise BadSource(f"{pictures} holds {there / 1e9:.0f} GB, and {MOST_BYTES / 1e9:.0f} GB are the most; "
                        "delete what no run needs there.")


def digest_of(path: Path, visit: Visit) -> str:
    """SHA-256 of a file; a large one takes seconds, so it can be stopped."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
            visit.progress(visit.done, visit.total)
    return digest.hexdigest()


def plain(stem: str) -> str:
    """A file's stem as part of a folder's name."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", stem)[:40].strip("-") or "zip"

