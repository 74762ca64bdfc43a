"""How a training ends: the exit codes, the errors with a sentence, and the signals that ask for the end.

Knows nothing about Keras, checkpoints or what a training does.
"""

import contextlib
import errno
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

# 0: all steps are done, or stopped by a stop file. 128 + n: ended by signal n. 1 is Python's own, for what nobody foresaw.
EXIT_BAD_INPUT, EXIT_NOT_FINITE, EXIT_MEMORY, EXIT_DISK, EXIT_BUSY, EXIT_SIGNAL = 2, 3, 4, 5, 75, 128

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SAME_REQUEST_SECONDS = 2.0  # a machine that shuts down tells every process, and the keeper passes on what it was told
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
MEMORY_ERRORS = {"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"}  # Python's, TensorFlow's, PyTorch's
MEMORY_WORDS = ("RESOURCE_EXHAUSTED", "can't allocate memory", "CUDA_ERROR_OUT_OF_MEMORY")  # in errors of JAX and PyTorch


class NotFinite(ArithmeticError):
    """A loss, a weight or a moment became infinite or not a number."""


class NotSaved(OSError):
    """The end of a training could not be written."""


class Ended(BaseException):
    """The end was asked for before the first step was done; `number` is the signal, 0 for a stop request.

    No Exception: it comes at any instant of the start, and nothing on its way may take it for a failure of its own.
    """

    def __init__(self, number: int):
        super().__init__(f"{asked_by(number)} before the first step was done")
        self.number = number


def asked_by(number: int) -> str:
    return f"stopped by {signal.Signals(number).name}" if number else "stopped on request"


class EndRequest:
    """SIGTERM, SIGINT and SIGHUP ask for the end; a second one ends the process at once, whatever it is doing.

    A SIGTERM or SIGHUP within `SAME_REQUEST_SECONDS` of the first signal is the same request, told twice. A person's Ctrl-C
    always counts.

    Python runs a handler between two instructions of the main thread, which can spend minutes inside one step or one write.
    So a thread of its own is told of each signal through a pipe. While `starting`, the first signal raises Ended in the main
    thread; later `number` says which one came, and the training looks at it after each step.
    """

    def __init__(self):
        self.number, self.starting = 0, True

    def __enter__(self):
        self.ear, self.mouth = os.pipe()
        os.set_blocking(self.mouth, False)
        self.mouth_before = signal.set_wakeup_fd(self.mouth, warn_on_full_buffer=False)
        # Under nohup SIGHUP is ignored, and stays so.
        self.before = {number: signal.signal(number, self.handle) for number in SIGNALS
                       if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN}
        self.thread = threading.Thread(target=self.listen, name="signals", daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self.mouth_before)
        os.close(self.mouth)  # ends the thread
        self.thread.join()
        os.close(self.ear)

    def listen(self):
        while numbers := os.read(self.ear, 1):
            if numbers[0] not in self.before:
                continue
            if not self.number:
                self.number, first = numbers[0], time.monotonic()
            elif numbers[0] == signal.SIGINT or time.monotonic() - first > SAME_REQUEST_SECONDS:
                os._exit(EXIT_SIGNAL + numbers[0])

    def handle(self, number, frame):
        if self.starting:
            self.starting = False
            raise Ended(number)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, NumPy, TensorFlow, JAX or PyTorch means that memory ran out."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & MEMORY_ERRORS) or any(words in str(error) for words in MEMORY_WORDS)


def no_room(error: BaseException) -> bool:
    """Whether an error means that a disk or a quota is full."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def closed(error: BaseException, folder: Path) -> bool:
    """Whether an error means that a folder, or what it was to be made in, can't be written."""
    if not isinstance(error, OSError) or error.errno not in CLOSED or not isinstance(error.filename, str | os.PathLike):
        return False
    mine, refused = (Path(os.path.abspath(each)) for each in (folder, error.filename))
    return refused.is_relative_to(mine) or (mine.is_relative_to(refused) and not os.path.exists(mine))


def what_to_free(error: OSError, folder: Path) -> str:
    """What stands in the way of writing to a folder, and what to do about it, in a few words."""
    if not no_room(error):
        return f"{folder} can't be written ({error.strerror or error}); make it writable"
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free // 1_000_000
        return f"the disk of {folder} is full ({free} MB are free); free some of it, or raise your quota"
    return f"the disk of {folder} is full; free some of it, or raise your quota"


def keep_standard_files() -> None:
    """Where standard input, output or error was closed by whoever started this, nothing else may get its number.

    Otherwise the next file opened would: a checkpoint, say, into which a library then writes its messages.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", errors="backslashreplace"))  # noqa: SIM115 - for the life of the process


def say(text: str) -> None:
    """One line to standard error, if anybody still listens."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def let_go_of_output() -> None:
    """Whoever read the output may be gone; Python would end with an exit code of its own for what it could not write."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
