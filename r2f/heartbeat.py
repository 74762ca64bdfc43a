"""status.json of a training, written every second by a thread of its own.

A step, the tracing of the first one, or a write to a slow disk can take minutes. Whoever watches tells from two of its times
what is going on: while `heartbeat` is fresh the process lives, and `step_began` says for how long it has been in this step.
Knows nothing about what the values mean.
"""

import contextlib
import threading

from r2f.run import Run

SECONDS = 1.0


class Heartbeat:
    """Writes its values as the run's status until it is left; the only writer of status.json in the process."""

    def __init__(self, run: Run, **values):
        self.run, self.values = run, values
        self.lock, self.over = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.beat, name="heartbeat", daemon=True)

    def __enter__(self):
        self.write()
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()
        self.write()

    def beat(self):
        while not self.over.wait(SECONDS):
            self.write()

    def say(self, **values) -> None:
        """Values of the next beat; those not named stay as they are."""
        with self.lock:
            self.values = {**self.values, **values}

    def write(self) -> None:
        """Write now. On a full disk the status stays as it was: the training is worth more."""
        with self.lock, contextlib.suppress(OSError):
            self.run.write_status(**self.values)
