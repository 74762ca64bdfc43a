"""What a folder of checkpoints must hold whatever happened, and the situations in which something happens to it.

Used by the experiments of this folder, each a program of its own: they change `os` under r2f.checkpoint, fork, and die.
"""

import errno
import json
import logging
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from disk import Disk

from r2f import checkpoint


def state(step: int, version: int = 0, numbers: int = 40) -> dict[str, np.ndarray]:
    """A state that tells what it is, and in which every byte counts."""
    chance = np.random.default_rng((step, version))
    return {"model/0000": chance.random((numbers // 4, 4), np.float32), "model/0001": np.array(step, np.int32),
            "optimizer/0000": chance.random(3), "seed/0000": np.array([step, version], np.uint32)}


def what(found: dict[str, np.ndarray], numbers: int = 40) -> tuple[int, int] | str:
    """(step, version) of a state, or what is wrong with it."""
    try:
        step, version = (int(each) for each in found["seed/0000"])
        wanted = state(step, version, numbers)
        same = set(found) == set(wanted) and all(checkpoint.identical(found[name], wanted[name]) for name in wanted)
    except (KeyError, ValueError, TypeError) as error:
        return f"a state of nothing that was ever saved ({error!r})"
    return (step, version) if same else f"a mixed or changed state of step {step}"


def newest(folder: Path, numbers: int = 40):
    """(step, version) that a resumed training would start from, None, or what is wrong."""
    try:
        found = checkpoint.newest(folder)
    except (checkpoint.BadCheckpoint, OSError) as error:
        return f"no checkpoint can be read: {error}"
    return None if found is None else what(found[1], numbers)


def violations(folder: Path, legal: set, at_least: int, damaged: tuple[str, ...] = (), numbers: int = 40) -> list[str]:
    """What is broken of the promise: the newest is legal, `at_least` so many verify, and what exists is whole."""
    wrong = []
    found = newest(folder, numbers)
    if found not in legal:
        wrong.append(f"resume would start from {found}, and not from one of {sorted(legal, key=str)}")
    good = [each for each in checkpoint.checkpoints(folder) if checkpoint.verifies(each)]
    if len(good) < at_least:
        wrong.append(f"{len(good)} verify and not {at_least}")
    wrong += [f"{each.name} exists and is not whole" for each in checkpoint.checkpoints(folder)
              if each not in good and each.name not in damaged]
    return wrong


@dataclass
class Situation:
    """What is there before, and the save that something happens to."""

    before: list[tuple]  # (step, version) that are committed first
    save: tuple[int, int]
    damaged: list[int] = field(default_factory=list)  # steps whose state is then damaged
    leftovers: bool = False
    valid = property(lambda self: [each for each in self.before if each[0] not in self.damaged])

    def lay(self, root: Path) -> Path:
        """Make it; returns the folder of checkpoints."""
        root.mkdir()
        folder = root / "checkpoints"
        with Disk(root):
            kept, checkpoint.KEPT = checkpoint.KEPT, 9
            for step, version in self.before:
                checkpoint.commit(folder, step, state(step, version), milestone=step == 1)
            checkpoint.KEPT = kept
        for step in self.damaged:
            content = folder / f"step_{step:08d}" / checkpoint.STATE
            content.write_bytes(b"damaged" + content.read_bytes()[7:])
        if self.leftovers:
            last = folder / f"step_{self.before[-1][0]:08d}"
            shutil.copytree(last, folder / f"{last.name}.old")
            for name in (f".step_{self.save[0]:08d}.tmp", ".step_00000002.old.tmp"):
                shutil.copytree(last, folder / name)
                (folder / name / checkpoint.MANIFEST).unlink()
        return folder

    @property
    def damaged_names(self) -> tuple[str, ...]:
        return tuple(f"step_{step:08d}{old}" for step in self.damaged for old in ("", ".old", ".old1"))

    def after(self, folder: Path, committed: bool | None) -> list[str]:
        """The violations after a save that succeeded, failed, or of which that can't be told (None)."""
        before = max(self.valid, default=None)
        legal = {self.save} if committed else {before, self.save}
        least = min(2, len(self.valid))
        if committed:
            least = min(2, len({step for step, _ in self.valid} | {self.save[0]}))
        return violations(folder, legal, least, self.damaged_names)


SITUATIONS = {
    "the first save": Situation([], (1, 0)),
    "a save that drops an older one": Situation([(1, 0), (2, 0), (3, 0)], (4, 0)),
    "a save of a step that is there": Situation([(1, 0), (2, 0), (3, 0)], (3, 1)),
    "a save after two damaged ones": Situation([(10, 0), (20, 0), (30, 0)], (11, 0), damaged=[20, 30]),
    "a save that replaces a damaged one": Situation([(10, 0), (20, 0)], (20, 1), damaged=[20]),
    "a save next to a damaged one": Situation([(10, 0), (20, 0)], (30, 0), damaged=[20]),
    "a save after one that was interrupted": Situation([(1, 0), (2, 0)], (3, 0), leftovers=True),
}


def report(**figures) -> None:
    """The last line of an experiment."""
    print(json.dumps(figures), flush=True)


def arguments() -> dict:
    """The experiment's arguments, one JSON object; "broken" names a way in which the protocol is broken on purpose."""
    logging.getLogger("r2f").setLevel(logging.CRITICAL)  # thousands of checkpoints that are passed over
    given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    if given.get("broken"):
        import broken
        broken.WAYS[given["broken"]]()
    return given


ERRNOS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "gone": errno.EIO}
