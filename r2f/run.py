"""The run directory: names, status, metrics, lock, requests.

Written by `train`, read by whoever watches; the two sides share nothing else. Knows nothing about Keras.
"""

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

LOCK_SECONDS = 0.5  # a trainer tries that long: whoever asks whether one is running holds the lock for an instant
HANDED_OVER = "R2F_LOCK"  # environment variable: the file descriptor of a lock that whoever started this process has taken for it
WHOLE_BYTES = 500_000  # metrics up to that size are read whole when points are asked for
LINE_BYTES = 1_000  # a generous guess of a line of train.log
REQUESTS = ("sample", "save")  # what a training can be asked for besides to stop


class RunBusy(RuntimeError):
    """Another process trains in this run directory."""


@dataclass(frozen=True)
class Run:
    """A training on disk. Its state is what its files say: "running" means that the lock is held."""

    path: Path

    config = property(lambda self: self.path / "config.json")
    status_file = property(lambda self: self.path / "status.json")
    metrics_file = property(lambda self: self.path / "metrics.jsonl")
    quality_file = property(lambda self: self.path / "quality.jsonl")
    samples = property(lambda self: self.path / "samples")
    checkpoints = property(lambda self: self.path / "checkpoints")
    pair = property(lambda self: self.path / "pair")
    best = property(lambda self: self.path / "best")
    events = property(lambda self: self.path / "tensorboard")
    lock = property(lambda self: self.path / "lock")
    stop = property(lambda self: self.path / "stop")
    log_file = property(lambda self: self.path / "train.log")

    def sample(self, step: int) -> Path:
        return self.samples / f"step_{step:08d}.png"

    @contextlib.contextmanager
    def locked(self):
        """Hold the run for this process: the kernel frees it when the process ends, however it ends. Raises RunBusy.

        Where whoever started this process took the lock for it, that one is held.
        """
        handle = self.handed_over()
        if handle is None:
            handle = self.take()
        try:
            yield
        finally:
            os.close(handle)

    def take(self) -> int:
        """The run's lock, held as long as the returned file descriptor is open here or in a process that inherited it.

        Requests from before are dropped: they were meant for another training. Raises RunBusy.
        """
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if try_lock(handle, fcntl.LOCK_EX) and same_file(handle, self.lock):  # else the run was deleted meanwhile
                    for request in (self.stop, *map(self.request, REQUESTS)):
                        request.unlink(missing_ok=True)
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
            if time.monotonic() > deadline:
                raise RunBusy(f"Another training is running in {self.path}; stop it first, or choose another run directory.")
            time.sleep(0.02)

    def handed_over(self) -> int | None:
        """The file descriptor under which this process inherited the run's lock, or None; it can be asked for once."""
        text = os.environ.get(HANDED_OVER, "")
        if not text.isdecimal() or not same_file(int(text), self.lock) or not try_lock(int(text), fcntl.LOCK_EX):
            return None
        del os.environ[HANDED_OVER]
        os.set_inheritable(int(text), False)
        return int(text)

    def is_running(self) -> bool:
        try:
            handle = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            return not try_lock(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)

    def request(self, what: str) -> Path:
        """The file whose presence asks the training for a "sample" or a "save"; it is removed once that was done."""
        return self.path / f"{what}.request"

    def ask(self, what: str) -> bool:
        """Ask the training for a sample sheet or a save after the step it is in. False where none is running.

        Raises ValueError for anything else than "sample" or "save", OSError where the directory can't be written.
        """
        if what not in REQUESTS:
            raise ValueError(f"A training can be asked for {' or '.join(REQUESTS)}, not for {what!r}.")
        if not self.is_running():
            return False
        self.request(what).touch()
        return True

    def asked_to_stop(self) -> bool:
        """Whether the stop file is there. Where the directory can't be reached at this moment, it is not: ask again."""
        return os.path.exists(self.stop)  # Path.exists raises then

    def asked(self, what: str) -> int | None:
        """The time of a request, nanoseconds, or None where there is none."""
        try:
            return os.stat(self.request(what)).st_mtime_ns
        except OSError:
            return None

    def write_status(self, **values) -> None:
        """Replace status.json in one piece; `heartbeat` is the time of writing."""
        write_json(self.status_file, {**values, "heartbeat": time.time()})

    def read_status(self) -> dict:
        """What status.json says, or {} where there is none that can be read."""
        return read_json(self.status_file)

    def append_metrics(self, **values) -> None:
        """One more line of metrics.jsonl."""
        append_line(self.metrics_file, values)

    def read_metrics(self, points: int | None = None) -> list[dict]:
        """Every whole line of metrics.jsonl by step; of what a resumed training went through again, only the later lines count.

        With `points`, about that many lines evenly spread, the first and the last among them, in a time that does not grow with
        the file. Where a large file has a stretch trained twice, a point just before the repetition may be of the first time.
        Lines with figures of quality are always among them; such a line may have no losses, where none were due at its step.
        """
        try:
            with open(self.metrics_file, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                whole = points is None or size <= WHOLE_BYTES
                lines = file.read(size).splitlines() if whole else spread_lines(file, size, points)
        except FileNotFoundError:
            return []
        by_step = {each["step"]: each for each in last_said(lines)}
        newest = max(by_step, default=-1)
        for each in self.read_quality():
            if each["step"] <= newest:  # else it is of a stretch that is being trained again
                by_step[each["step"]] = {**by_step.get(each["step"], {}), **each}
        return [by_step[step] for step in sorted(by_step)]

    def read_quality(self) -> list[dict]:
        """Every line of quality.jsonl, by step: the few lines of metrics that have figures of quality; "score" ranks them."""
        try:
            return last_said(self.quality_file.read_bytes().splitlines())
        except FileNotFoundError:
            return []

    def log_tail(self, lines: int = 50) -> list[str]:
        """The last lines of train.log; of a line that was overwritten on a terminal (a progress bar), what stood there last."""
        try:
            with open(self.log_file, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - lines * LINE_BYTES))
                text = file.read(lines * LINE_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return []
        return [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip("\n").split("\n")][-lines:] if text else []


def append_line(path: Path, values: dict) -> None:
    """One more JSON line of a file. A line torn by a crash is closed first, so that it can't swallow this one."""
    with open(path, "a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(values).encode() + b"\n")


def write_lines(path: Path, lines: list[dict]) -> None:
    """Replace a file of JSON lines in one piece."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(b"".join(json.dumps(each).encode() + b"\n" for each in lines))
    os.replace(temporary, path)


def last_said(lines: list[bytes]) -> list[dict]:
    """The values of JSON lines by step; of what a resumed training went through again, only the later lines."""
    kept, before = [], float("inf")
    for line in reversed(lines):  # from the end: a step that a later line has reached already is superseded
        try:
            values = json.loads(line)
            step = values["step"]
            if step < before:
                kept.append(values)
                before = step
        except (ValueError, TypeError, KeyError):
            continue  # a line torn by a crash
    return kept[::-1]


def spread_lines(file, size: int, points: int) -> list[bytes]:
    """About `points` whole lines of the first `size` bytes of an open file, evenly spread, in their order."""
    lines = {}
    for place in range(points - 1):
        offset = place * size // (points - 1)
        file.seek(max(0, offset - 1))
        if offset:
            file.readline()  # the rest of the line before
        start = file.tell()
        lines[start] = file.readline()
    file.seek(max(0, size - 16 * LINE_BYTES))
    return [*lines.values(), *file.read(16 * LINE_BYTES).splitlines()[-2:]]  # two, because the last one may be torn


def read_json(path: Path) -> dict:
    """The object in a JSON file, or {} where there is none that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def same_file(handle: int, path: Path) -> bool:
    """Whether an open file is the one at that path now."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def write_json(path: Path, values: dict, forced: bool = False) -> None:
    """Replace a JSON file in one piece; `forced` to disk where a power cut may not cost it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(values, indent=2) + "\n")  # in ASCII: the name of a folder need not be UTF-8
            if forced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if forced:
        folder = os.open(path.parent, os.O_RDONLY)
        with contextlib.suppress(OSError):  # some network file systems can't
            os.fsync(folder)
        os.close(folder)
