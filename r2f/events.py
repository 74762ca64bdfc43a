"""TensorBoard's event files: numbers and pictures by step.

TensorFlow has both parts of the format, records and messages, and is needed only where these files are asked for, whichever
backend trains; nothing is computed here. Knows nothing about what the values mean.
"""

import contextlib
import errno
import importlib.util
import io
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from r2f.shell import python


def available() -> bool:
    """Whether event files can be written here; loads nothing."""
    return importlib.util.find_spec("tensorflow") is not None


def missing() -> str:
    """What to do where they can't be."""
    return ("tensorboard needs TensorFlow to write its files, and it is not installed; run: "
            f"{python()} -m pip install tensorflow-cpu, or leave --tensorboard away.")


class Events:
    """Writes one event file of a folder, which has others of earlier trainings of the same run; begun when first needed.

    What an earlier file says of steps after `start` is taken back. After a write that failed, the next one begins a new file:
    TensorBoard reads no further than to a record that is torn.
    """

    def __init__(self, folder: Path, start: int):
        self.folder, self.start, self.writer = Path(folder), start, None

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Values by tag ("losses/cycle_rime"). Raises OSError."""
        self.write(step, lambda summary: [summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])

    def picture(self, step: int, tag: str, png: bytes) -> None:
        """A PNG file. Raises OSError."""
        width, height = Image.open(io.BytesIO(png), formats=["PNG"]).size
        self.write(step, lambda summary: [summary.Value(tag=tag, image=summary.Image(
            width=width, height=height, colorspace=3, encoded_image_string=png))])

    def write(self, step: int, values) -> None:
        from tensorflow.core.framework.summary_pb2 import Summary
        from tensorflow.core.util.event_pb2 import Event
        with self.or_begin_again() as writer:
            event = Event(wall_time=time.time(), step=step, summary=Summary(value=values(Summary)))
            writer.write(event.SerializeToString())
            writer.flush()
        self.start = step

    @contextlib.contextmanager
    def or_begin_again(self) -> Iterator:
        from tensorflow import errors
        try:
            if self.writer is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.writer = self.begin()
            yield self.writer
        except (OSError, errors.OpError) as error:
            self.close()
            if isinstance(error, OSError):
                raise
            code = errno.ENOSPC if isinstance(error, errors.ResourceExhaustedError) else errno.EIO
            raise OSError(code, os.strerror(code), str(self.folder)) from error

    def begin(self):
        from tensorflow import io as records
        from tensorflow.core.util.event_pb2 import Event, SessionLog
        now = time.time()
        # TensorBoard knows an event file by its name, and reads those of a folder in the order of their names.
        name = f"events.out.tfevents.{now:017.6f}.{socket.gethostname()}.{os.getpid()}"
        writer = records.TFRecordWriter(os.fsencode(self.folder / name))
        writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        again = SessionLog(status=SessionLog.START)
        writer.write(Event(wall_time=now, step=self.start + 1, session_log=again).SerializeToString())
        return writer

    def close(self) -> None:
        from tensorflow import errors
        if self.writer is not None:
            with contextlib.suppress(OSError, errors.OpError):
                self.writer.close()
            self.writer = None
