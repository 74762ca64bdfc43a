"""The folder of everything visitors brought and got: bounded by age and by size, and gone with its page.

Gradio's own cleaning knows neither the size of the folder nor the files of batches. Knows nothing about pictures or pages.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from r2f.run import try_lock

log = logging.getLogger("r2f")

MOST_SECONDS = 3600  # a file not used for that long goes
MOST_BYTES = 4_000_000_000  # of all files; the oldest go first
YOUNG_SECONDS = 60  # a file this young may be in use; it goes only when the folder is twice too large
SWEEP_SECONDS = 20
PREFIX = "rime2flower-"  # of a page's own folder
HELD = "held"  # a file in it, locked as long as its page lives


def sweep(folder: Path, keep: frozenset[Path] = frozenset(), most_bytes: int = MOST_BYTES,
          most_seconds: float = MOST_SECONDS) -> int:
    """Delete what is too old, then the oldest until the rest fits; `keep` stays. Gives the bytes that are left."""
    now, files = time.time(), []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            if path not in keep:
                files.append((status.st_mtime, status.st_size, path))
    files.sort(key=lambda file: file[0])
    left = sum(size for _, size, _ in files)
    for modified, size, path in files:
        young = now - modified < YOUNG_SECONDS and left <= 2 * most_bytes
        if now - modified > most_seconds or (left > most_bytes and not young):
            try:
                path.unlink(missing_ok=True)
                left -= size
            except OSError as error:
                log.warning("a file of the cache can't be deleted: %s", error)
                continue
            try:
                path.parent.rmdir()  # if it was the last one
            except OSError:
                continue
    return left


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a page's own folder, so that no other page takes it for what one left that was killed; and delete what such have left.

    A page that is told to end takes its folder with it. One that is killed can't, and photos would stay for ever.
    """
    with open(folder / HELD, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for other in folder.parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):  # another user's, or gone meanwhile
                drop_if_left(other)
        yield


def drop_if_left(folder: Path) -> None:
    """Delete the folder of a page that is no more. Raises OSError."""
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return
    with open(folder / HELD, "rb") as file:
        if time.time() - os.fstat(file.fileno()).st_mtime > YOUNG_SECONDS and try_lock(file.fileno(), fcntl.LOCK_EX):
            shutil.rmtree(folder, ignore_errors=True)


def files_in(folder: Path) -> frozenset[Path]:
    """The files there now: those of the page itself, which stay."""
    return frozenset(path for path in Path(folder).rglob("*") if path.is_file())


def keep_bounded(folder: str | Path) -> None:
    """Sweep the folder for ever, in a thread of its own; what is there now stays."""
    folder = Path(folder)
    keep = files_in(folder)

    def work():
        while True:
            time.sleep(SWEEP_SECONDS)
            sweep(folder, keep)

    threading.Thread(target=work, name="cache", daemon=True).start()
