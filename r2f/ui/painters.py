"""The pairs a visitor may choose from, and the painters that are awake.

On offer are the page's own pair, the shipped ones, the newest pair of every run, and what was fetched from the Hub. A pair is
loaded in the background when it is first wanted; a bloom asked for before that simply waits. Imports no Keras itself.
"""

import logging
import math
import re
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from r2f.bloom import CHECKPOINTS, Bloomer
from r2f.pair import BadPair, read_pair_json

log = logging.getLogger("r2f")

RUNS = CHECKPOINTS.parent / "runs"
MOST_AWAKE = 3  # pairs in memory besides the page's own; the one unused for longest goes to sleep
MOST_FETCHED = 4  # pairs from the Hub that are offered


class PainterAsleep(RuntimeError):
    """The pair can't be loaded; the message is one sentence for whoever looks at the page."""


@dataclass(frozen=True)
class Offer:
    """A pair that can be chosen: its name on the page, its folder, and what pair.json says ({} where it can't be read)."""

    name: str
    folder: Path
    info: dict

    @property
    def edition(self) -> str:
        """Changes when the pair's weights do: a run's pair is replaced as it learns."""
        return str(self.info.get("files"))


class Painters:
    """Bloomers by the name of their pair; `first` is the page's own and stays awake. Safe to share between threads."""

    def __init__(self, first: str | Path, checkpoints: Path = CHECKPOINTS, runs: Path = RUNS, hub: bool = False):
        """`hub`: whether visitors may fetch pairs from the Hub."""
        self.first, self.checkpoints, self.runs, self.hub = Path(first), Path(checkpoints), Path(runs), hub
        self.fetched: OrderedDict[str, Path] = OrderedDict()
        self.loading: Future[Bloomer] = Future()  # the page's own
        self.loading.set_running_or_notify_cancel()  # a visitor who leaves while waiting may not cancel it
        self.awake: OrderedDict[tuple[str, str], Future[Bloomer]] = OrderedDict()
        self.lock, self.warned = threading.Lock(), set()

    @property
    def first_name(self) -> str:
        """lite for checkpoints/lite, runs/mine for runs/mine/pair, the folder's name elsewhere."""
        folder = self.first.resolve()
        if folder.name == "pair" and folder.parent.parent == self.runs.resolve():
            return f"runs/{folder.parent.name}"
        return folder.name

    def offers(self) -> dict[str, Offer]:
        """What can be chosen right now, the page's own first."""
        folders = self.shipped()
        for found in sorted(self.runs.glob("[!.]*/pair/pair.json"), key=changed, reverse=True):
            folders.setdefault(f"runs/{found.parent.parent.name}", found.parent)
        return self.read(folders | self.fetched)

    def shipped(self) -> dict[str, Path]:
        """The folders of the page's own pair and of those beside it, by their names."""
        folders = {self.first_name: self.first}
        for found in sorted(self.checkpoints.glob("*/pair.json")):
            folders.setdefault(found.parent.name, found.parent)
        return folders

    def read(self, folders: dict[str, Path]) -> dict[str, Offer]:
        """Those of the folders that hold a pair."""
        offers = {}
        for name, folder in folders.items():
            try:
                offers[name] = Offer(name, folder, read_pair_json(folder))
            except BadPair as error:
                if name == self.first_name:
                    offers[name] = Offer(name, folder, {})
                else:
                    self.warn_once(f"{name} is not offered: {error}")
        return offers

    def wake(self) -> None:
        """Start loading the page's own pair, in a thread of its own; to be called once."""
        threading.Thread(target=self._load, args=(self.first, self.loading), name="painter", daemon=True).start()

    def bloomer(self, name: str | None = None) -> Bloomer:
        """The Bloomer of a pair on offer, waited for. Raises PainterAsleep."""
        if name in (None, "", self.first_name):
            return self.loading.result()
        offer = self.offers().get(name) if isinstance(name, str) else None
        if not offer:
            raise PainterAsleep("This painter is not here any more; please choose another one.")
        self.loading.exception()  # until Keras is there: two threads should not import it at once
        key = (name, offer.edition)
        with self.lock:
            future, new = self.awake.get(key), key not in self.awake
            if new:
                future = self.awake[key] = Future()
                for old in [k for k in self.awake if k[0] == name and k != key]:
                    del self.awake[old]
                while len(self.awake) > MOST_AWAKE:
                    self.awake.popitem(last=False)
            self.awake.move_to_end(key)
        if new:
            self._load(offer.folder, future)
        try:
            return future.result()
        except PainterAsleep:
            with self.lock:
                self.awake.pop(key, None)
            raise

    def warn_once(self, sentence: str) -> None:
        """The offers are made anew for every look."""
        if sentence not in self.warned:
            self.warned.add(sentence)
            log.warning("%s", sentence)

    def fastest(self) -> str:
        """The name of the pair with the least work for a picture: the page's own or a shipped one, whatever is being trained or
        was fetched."""
        def work(offer):
            networks = offer.info.get("networks", {})
            blocks = networks.get("blocks", 99) * (0.2 if networks.get("separable") else 1)
            return networks.get("filters", 999) ** 2 * (2 + blocks)
        return min(self.read(self.shipped()).values(), key=work).name

    def fetch(self, repository: str, revision: str) -> str:
        """Bring a pair from the Hub, pinned to the commit that the revision names now; its name here. Raises PainterAsleep."""
        if not self.hub:
            raise PainterAsleep("Painters can be fetched only where the page runs for its own machine.")
        from r2f.hub import fetch_pair
        repository = str(repository or "").strip()
        try:
            folder = fetch_pair(repository, str(revision or "").strip() or None)
        except BadPair as error:
            raise PainterAsleep(str(error)) from error
        name = f"{repository}@{folder.name[:10]}"
        with self.lock:
            self.fetched[name] = folder
            while len(self.fetched) > MOST_FETCHED:
                self.fetched.popitem(last=False)
        return name

    def _load(self, folder: Path, future: Future) -> None:
        try:
            read_pair_json(folder)  # finds most faults in a moment; importing Keras takes seconds
            future.set_result(Bloomer.load(folder))
        except BadPair as error:
            log.error("%s", error)
            future.set_exception(PainterAsleep(f"The painter can't wake up: {without(error, folder)}"))
        except Exception:
            log.exception("the pair %s could not be loaded", folder)
            future.set_exception(PainterAsleep("The painter can't wake up; its terminal says why."))


def changed(path: Path) -> float:
    """When a file was changed; 0 for one that was deleted meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def without(error: Exception, folder: Path) -> str:
    """The error's sentence without the machine's paths."""
    return str(error).replace(f"{folder}/", "").replace(str(folder), folder.name)


def quality_of(offer: Offer) -> tuple[float, float] | None:
    """(gap closed, way back) that a pair's training measured on held-out pictures; None if it did not."""
    quality = offer.info.get("quality")
    try:
        found = float(quality["gap_closed_bloom"]), float(quality["way_back"])
    except (TypeError, KeyError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None


def way_back_of(offer: Offer) -> tuple[float, float] | None:
    """(structure, colour) of the way back from the model card; None if it does not say."""
    try:
        card = (offer.folder / "README.md").read_text(encoding="utf-8")[:100_000]
    except (OSError, ValueError):
        return None
    structure = re.search(r"photo to way back, SSIM\s+mean\s+([\d.]+)", card)
    colour = re.search(r"photo to way back, CIEDE2000\s+mean\s+([\d.]+)", card)
    return (float(structure[1]), float(colour[1])) if structure and colour else None
