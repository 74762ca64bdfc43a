"""The run directory: names, status, metrics, lock, stop request.

Written by `train`, read by whoever watches; the two sides share nothing else. Knows nothing about Keras.
"""

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCK_SECONDS = 0.5  # a trainer tries that long: whoever asks whether one is running holds the lock for an instant


class RunBusy(RuntimeError):
    """Another process trains in this run directory."""


@dataclass(frozen=True)
class Run:
    """A training on disk. Its state is what its files say: "running" means that the lock is held."""

    path: Path

    config = property(lambda self: self.path / "config.json")
    status_file = property(lambda self: self.path / "status.json")
    metrics_file = property(lambda self: self.path / "metrics.jsonl")
    samples = property(lambda self: self.path / "samples")
    checkpoints = property(lambda self: self.path / "checkpoints")
    pair = property(lambda self: self.path / "pair")
    lock = property(lambda self: self.path / "lock")
    stop = property(lambda self: self.path / "stop")

    def sample(self, step: int) -> Path:
        return self.samples / f"step_{step:08d}.png"

    @contextmanager
    def locked(self):
        """Hold the run for this process: the kernel frees it when the process ends, however it ends. Raises RunBusy."""
        self.path.mkdir(parents=True, exist_ok=True)
        handle, deadline = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), time.monotonic() + LOCK_SECONDS
        try:
            while not try_lock(handle, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise RunBusy(f"Another training is running in {self.path}; stop it first, or choose another --run.")
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)

    def is_running(self) -> bool:
        try:
            handle = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)

    def write_status(self, **values) -> None:
        """Replace status.json in one piece; `heartbeat` is the time of writing."""
        write_json(self.status_file, {**values, "heartbeat": time.time()})

    def read_status(self) -> dict:
        """What status.json says, or {} before there is one."""
        try:
            return json.loads(self.status_file.read_text())
        except FileNotFoundError:
            return {}

    def append_metrics(self, **values) -> None:
        """One more line of metrics.jsonl. A line torn by a crash is closed first, so that it can't swallow this one."""
        with open(self.metrics_file, "a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(values).encode() + b"\n")

    def read_metrics(self) -> list[dict]:
        """Every whole line of metrics.jsonl; where a resumed training wrote a step again, the later line counts."""
        lines = {}
        if self.metrics_file.exists():
            for line in self.metrics_file.read_bytes().splitlines():
                try:
                    values = json.loads(line)
                    lines[values["step"]] = values
                except (ValueError, TypeError, KeyError):
                    continue  # a line torn by a crash
        return [lines[step] for step in sorted(lines)]


def try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def write_json(path: Path, values: dict) -> None:
    """Replace a JSON file in one piece."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)
