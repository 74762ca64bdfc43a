"""Without what TensorFlow says of itself while it is imported: how it was built, and which drivers it did not find.

It says so before it reads TF_CPP_MIN_LOG_LEVEL, as six lines, one of them called a warning, above whatever a program has to say.
Knows nothing about Keras.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

# In a process of its own, so that what an import says before it ends this one arrives, too: a processor without AVX, say.
SIEVE = """
import sys
for line in sys.stdin.buffer:
    if not line.startswith((b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
LAST_SECONDS = 5  # for the last lines; longer only where another process holds this one's standard error
_importing = threading.Lock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave TensorFlow's remarks out of standard error while it is imported inside, and later ones, too, by TF_CPP_MIN_LOG_LEVEL,
    unless somebody chose otherwise; everything else arrives, as it comes. Only one thread is inside at a time."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _importing, contextlib.ExitStack() as after:
        if "tensorflow" not in sys.modules:
            with contextlib.suppress(OSError):  # there is no standard error, or no room for a process: then so be it
                told = os.dup(2)
                after.callback(os.close, told)
                sieve = subprocess.Popen([sys.executable, "-E", "-S", "-c", SIEVE], stdin=subprocess.PIPE,
                                         start_new_session=True)  # Ctrl-C is not for it
                after.callback(end, sieve)
                os.dup2(sieve.stdin.fileno(), 2)
                after.callback(os.dup2, told, 2)
        yield


def end(sieve: subprocess.Popen) -> None:
    sieve.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        sieve.wait(LAST_SECONDS)
