"""What stands behind the form of a new training: the doctor looks first, then it is started, queued, or refused in a sentence.

Knows nothing about components.
"""

import html
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from r2f import runner
from r2f.config import Config
from r2f.run import RunBusy
from r2f.source import Folder
from r2f.ui import train_form, train_needs
from r2f.ui.train_form import complaint
from r2f.ui.visit import Crowded, Visit, Visits, key_of
from r2f.ui.words import both

MOST_QUEUED = 8


class Desk:
    """What the events of this room share: the root, the doctor, the pairs on offer. Holds nothing that a restart may not lose."""

    def __init__(self, root: Path, pairs: Callable[[], Mapping]):
        self.root, self.pairs, self.visits, self.lock = Path(root), pairs, Visits(root), threading.Lock()
        # Of trainings that waited for the doctor, by visit and the name each was to have: sentence, and its name if it has one.
        self.outcomes: dict[tuple[str, str], tuple[str, str]] = {}

    def read(self, values: dict) -> tuple[Config | None, dict[str, str], list[Folder]]:
        return train_form.read(values, self.root, self.pairs())

    def visit_of(self, folders: list[Folder]) -> Visit | None:
        return self.visits.get(key_of(folders)) if folders else None

    def visit(self, now: dict, values: dict) -> Visit | None:
        """The visit that the room shows: the one that makes folders of what is there, or the one to these folders."""
        making = self.visits.get(now.get("watched"))
        if making and values["source"] == ("folders" if making.key.startswith("prepare-") else "zips"):
            return making
        return self.visit_of(self.read(values)[2])

    def begin(self, values: dict) -> tuple[str, str]:
        """Begin to learn, or let the doctor look first. Gives a sentence in HTML, and the run's name if there is one now."""
        settings, faults, folders = self.read(values)
        if settings is None:
            return faults.get("also") or both("ts_mend"), ""
        name = train_form.text(values, "name")
        if problems := train_needs.problems(settings, self.root, name):
            return " ".join(problems), ""
        if not folders:
            return self.start(settings, name)
        visit = self.visit_of(folders)
        if visit and visit.state == "failed":
            return complaint(visit.said), ""
        if visit and visit.state == "done":
            return self.start(settings, name)

        def then(visit: Visit) -> None:
            fit = visit.report.healthy
            self.outcomes[visit.key, name] = self.start(settings, name) if fit else (both("ts_read_first"), "")

        try:
            self.visits.look(folders, settings.image_size, {name: then})
        except Crowded as error:
            return complaint(error), ""
        return both("ts_look_first"), ""

    def start(self, settings: Config, name: str) -> tuple[str, str]:
        with self.lock:  # two tabs
            running = [each.run.path.name for each in runner.runs(self.root) if each.running]
            if len(running) > MOST_QUEUED:
                return both("ts_crowded", count=len(running) - 1), ""
            try:
                runner.start(self.root / name, train_form.options_of(settings))
            except RunBusy:
                return both("ts_busy"), ""
            except (runner.StartFailed, OSError) as error:
                return html.escape(str(error), quote=False), ""
        if running:
            return both("ts_queued", name=name, ahead=", ".join(reversed(running))), name
        return both("ts_begun", name=name), name
