"""Saving while the training goes on: one thread that writes a checkpoint, so that no step waits for the disk.

Knows nothing about models: it is handed numbers and a step. What a checkpoint is, `checkpoint` says; when one is due and what
to do about one that failed, `train` decides.

The rule for a save that fails (disk full, read-only, quota, a disk that breaks): every earlier checkpoint stays; `trouble` says
in one sentence what happened and what to do, for status.json; the training goes on, and `retry_due` asks for another save a
minute later. Only a run whose last save fails has failed: what it learned since `saved_step` would be lost.
"""

import errno
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from r2f import checkpoint
from r2f.ending import no_room

log = logging.getLogger("r2f")

RETRY_SECONDS = 60.0  # after a failed save


class Saver:
    """Writes checkpoints into a folder, one at a time, in a thread of its own.

    Only the holder of the run's lock may have one, and only one thread may use it. A process that ends without `flush` loses at
    most the save in flight; what is on disk stays valid.

    saved_step: the step of the last checkpoint that was committed, or None; changes when a save is done.
    error: the OSError of the last save, or None when that succeeded.
    trouble: one sentence about it: what happened, and what to do about it.
    """

    def __init__(self, folder: Path, saved_step: int | None = None):
        self.folder, self.saved_step = Path(folder), saved_step
        self.error: OSError | None = None
        self.trouble: str | None = None
        self._thread: threading.Thread | None = None
        self._defect: BaseException | None = None  # neither a full nor a broken disk: a bug, for the training thread to raise
        self._tried_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether a save is in flight. A periodic save waits for a step at which none is, rather than for the disk."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def retry_due(self) -> bool:
        """Whether the last save failed, and so long ago that another should be tried."""
        return self.error is not None and not self.busy and time.monotonic() - self._tried_at >= RETRY_SECONDS

    def save(self, step: int, state: dict[str, np.ndarray], milestone: bool = False,
             after: Callable[[], None] | None = None) -> None:
        """Start to commit the state. It must be a copy, as `checkpoint.state_of` makes: the training changes its own meanwhile.

        Waits for a save that is still in flight, so that every step that was asked for is written. `after` runs in the saving
        thread once the checkpoint is on disk, to write the pair, say; it must read nothing that the training changes. A failure
        to write ends up in `error`. Raises checkpoint.NotFinite for a state that may not be saved, and whatever else a save
        before this one raised that is no OSError.
        """
        self.flush()
        checkpoint.check_finite(step, state)
        self._thread = threading.Thread(target=self._write, args=(step, state, milestone, after), name="saver", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        """Wait until no save is in flight. Raises what a save raised that is no OSError."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._defect is not None:
            defect, self._defect = self._defect, None
            raise defect

    def close(self) -> None:
        """`flush`, at the end of the run."""
        self.flush()

    def _write(self, step, state, milestone, after):
        what = f"The checkpoint of step {step}"
        try:
            checkpoint.commit(self.folder, step, state, milestone)
            self.saved_step = step
            if after is not None:
                what = f"What goes with the checkpoint of step {step}"
                with checkpoint.system_errors(self.folder):
                    after()
            self.error = self.trouble = None
        except OSError as error:
            self.trouble = explain(error, what, self.folder, sum(array.nbytes for array in state.values()))
            self._tried_at, self.error = time.monotonic(), error
            log.warning("%s", self.trouble)
        except BaseException as defect:
            self._defect = defect


def explain(error: OSError, what: str, folder: Path, size: int) -> str:
    """One sentence about a save that failed, of `size` bytes, into a folder: what happened, and what to do about it."""
    failed = f"{what} could not be written to {folder} ({error.strerror or error})"
    if no_room(error):
        return f"{failed}: it takes {megabytes(size)} MB and {free(folder)}; free that much there, or raise your quota."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{failed}: make the folder writable again."
    return f"{failed}: look after that disk, and copy the run's folder to another one."


def megabytes(size: int) -> int:
    return -(-size // 1_000_000)


def free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free // 1_000_000} MB are free"
    except OSError:
        return "how much is free can't be told"
