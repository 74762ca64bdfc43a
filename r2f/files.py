"""Files that others made: opened once and without links, read up to a limit, their JSON taken strictly.

Knows nothing about what is in them. Every refusal is one sentence that may be shown.
"""

import errno
import json
import math
import os
import reprlib
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

REPLACED_SECONDS = 2.0  # a reader waits that long for a writer that is between two renames


class BadFile(ValueError):
    """A file that is refused; the message says why."""


class Missing(BadFile):
    """There is no such file or folder."""


@contextmanager
def opened(folder: Path, names: tuple[str, ...]) -> Iterator[dict]:
    """Plain files of a folder by name, opened together: a folder that is replaced meanwhile is still read as it was.

    Neither the folder nor a file may be a link. Raises BadFile, Missing.
    """
    deadline = time.monotonic() + REPLACED_SECONDS
    with ExitStack() as stack:
        while True:
            handle = None
            try:
                handle = open_folder(folder)
                stack.callback(os.close, handle)
                files = {name: stack.enter_context(open_plain(folder / name, name, handle)) for name in names}
                break
            except Missing:
                if time.monotonic() > deadline or not was_replaced(folder, handle):
                    raise
                stack.close()
                time.sleep(0.005)
        yield files


def open_folder(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Missing(f"{folder} is missing.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        if os.path.islink(folder):
            raise BadFile(f"{folder} is a link; name the folder itself.") from error
        raise BadFile(f"{folder} can't be opened as a folder: {shortened(getattr(error, 'strerror', error))}.") from error


def open_plain(path: Path, name: str | None = None, folder: int | None = None):
    """A plain file, unbuffered, for reading; `name` and `folder` (a handle) say where to look it up. Raises BadFile, Missing."""
    try:  # without O_NONBLOCK a pipe would hold this up for ever
        handle = os.open(name or path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError as error:
        raise Missing(f"{path} is missing.") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            raise BadFile(f"{path} is a link; it must be a file of its own.") from error
        raise BadFile(f"{path} can't be opened: {shortened(getattr(error, 'strerror', error))}.") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadFile(f"{path} is not a plain file.")
    return open(handle, "rb", buffering=0)


def was_replaced(folder: Path, handle: int | None) -> bool:
    """Whether another folder has the name by now, or will have it in an instant."""
    try:
        now = os.stat(folder, follow_symlinks=False)
    except OSError:
        return folder.with_name(f".{folder.name}.old").exists()
    return handle is None or not os.path.samestat(now, os.fstat(handle))


def size_of(file) -> int:
    return os.fstat(file.fileno()).st_size


def read_whole(file, most_bytes: int, path: Path) -> bytes:
    """The bytes of an opened file; no more than it was said to have are ever held. Raises BadFile."""
    size = size_of(file)
    if size > most_bytes:
        raise BadFile(f"{path} is too large: it has {size:,} bytes, and at most {most_bytes:,} are read.")
    try:
        file.seek(0)
        parts, left = [], size + 1
        while left and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise BadFile(f"{path} can't be read: {error.strerror}.") from error
    if left != 1:
        raise BadFile(f"{path} changed while it was read.")
    return b"".join(parts) if len(parts) != 1 else parts[0]


def strict_json(content: bytes):
    """JSON in UTF-8, without a name that is there twice or a number that is not finite. Raises ValueError."""
    def unique(pairs):
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a name is there twice")
        return values

    def finite(text):
        if not math.isfinite(value := float(text)):
            raise ValueError(f"{shortened(text)} is not a finite number")
        return value

    try:
        values = json.loads(content.decode("utf-8"), object_pairs_hook=unique, parse_float=finite, parse_constant=finite)
        json.dumps(values, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no text
        return values
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeError as error:
        raise ValueError("it is not UTF-8 text") from error


def shortened(value) -> str:
    """What a file says, safe to put into a sentence: one line of at most 80 characters."""
    text = str(value) if isinstance(value, (str, Exception)) else reprlib.repr(value)
    text = "".join(each if each.isprintable() else " " for each in text[:200]).rstrip(".")
    return text if len(text) <= 80 else text[:79] + "…"
