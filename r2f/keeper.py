"""python -m r2f.keeper: the small process beside a training that the page started; `runner` starts it.

It waits until the device is free, starts the trainer, keeps train.log short, passes SIGTERM on, and writes down how the training
ended, however it ended. It holds no state that the training needs: killed, it takes nothing with it, and the page may come and
go. The run's lock is taken before the keeper starts and inherited from process to process, so that there is no instant at which
a second training could slip in. Imports no Keras and never `train`.
"""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from r2f.run import HANDED_OVER, Run, read_json, same_file, try_lock, write_json

LOG_BYTES = 4_000_000  # train.log is cut back to the newest half of this when it has grown larger
TICK_SECONDS = 0.2  # between two looks at the trainer and its log
QUEUE_SECONDS = 0.5  # between two looks at the device
FINAL = ("stopped", "finished", "failed", "interrupted")  # states after which a training does nothing any more
EXIT_SENTENCES = (2, 3, 75)  # exit codes before which the trainer prints one sentence that says everything
EXIT_SIGNAL = 128
ARGPARSE = "python -m r2f.train: error: "  # what argument parsing puts before its sentence
MARK = "---"  # begins the keeper's own lines in train.log


def keep(run: Run, lock: int, command: list[str]) -> None:
    """Wait for the device, run the command, record its end. `lock` is the file descriptor that holds the run's lock."""
    asked = []  # signals that came and are still to be passed on
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: asked.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    device = wait_for_device(run, asked)
    if device is None:
        return record_end(run, "stopped", "stopped before it began")
    note(f"started: {' '.join(command)}")

    def say_starting():
        """Runs in the new process before it becomes the trainer, so that nothing it writes later is overwritten."""
        with contextlib.suppress(OSError):  # a full disk: the trainer will say so
            run.write_status(**{**run.read_status(), "state": "starting", "pid": os.getpid(), "reason": None})

    # The trainer, not the keeper, is what must keep others from the run and the device: it inherits both locks.
    environment = {**os.environ, HANDED_OVER: str(lock), "PYTHONUNBUFFERED": "1"}
    try:
        trainer = subprocess.Popen(command, pass_fds=(lock, device), env=environment, preexec_fn=say_starting)
    except OSError as error:
        return record_end(run, "failed", f"The trainer could not be started: {error}")
    while True:
        code = trainer.poll()
        with contextlib.suppress(OSError):
            shorten(run.log_file, LOG_BYTES)  # once more after the end
        if code is not None:
            break
        while asked:
            trainer.send_signal(asked.pop())
        time.sleep(TICK_SECONDS)
    last_words = [line for line in run.log_tail(200) if line.strip()][-1:]
    note(f"ended: {how_it_ended(code)}")
    record_end(run, *verdict(run.read_status(), code, last_words), exit_code=code)


def wait_for_device(run: Run, asked: list) -> int | None:
    """The file descriptor of the device's lock, once it is free and every training that was queued earlier has had it.

    None when this training was asked to stop first.
    """
    path = run.path.parent / device_lock_name()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    while not (first_in_line(run) and try_lock(handle, fcntl.LOCK_EX)):
        if asked or run.asked_to_stop():
            os.close(handle)
            return None
        time.sleep(QUEUE_SECONDS)
    if run.asked_to_stop():  # asked while it was waiting for its turn
        os.close(handle)
        return None
    return handle


def device_lock_name() -> str:
    """One lock a choice of devices: pages with different CUDA_VISIBLE_DEVICES don't wait for each other."""
    return ".device" + re.sub(r"[^0-9A-Za-z]+", "-", "-" + os.environ.get("CUDA_VISIBLE_DEVICES", "")).rstrip("-")


def first_in_line(run: Run) -> bool:
    """Whether no training of the same root has been queued for the same device for longer."""
    def place(each: Run):
        said = read_json(each.status_file)
        waits = said.get("state") == "queued" and said.get("waits_for") == device_lock_name()
        return (said["queued"], each.path.name) if waits and isinstance(said.get("queued"), float) else None

    mine = place(run)
    try:
        for path in run.path.parent.iterdir():
            other = place(Run(path))
            if mine and other and other < mine and Run(path).is_running():
                return False
    except OSError:  # the root can't be reached at this moment
        return False
    return True


def shorten(log: Path, limit: int) -> None:
    """Cut a log that has grown above the limit back to its newest half, in place: the trainer has it open for appending.

    The newest half moves to the front, then whatever the trainer has written in the meantime, until nothing more has come: lines
    keep their order, and only what is written between the last look and the cut, two system calls, is lost.
    """
    size = log.stat().st_size
    if size <= limit:
        return
    with open(log, "r+b", buffering=0) as file:
        newest = os.pread(file.fileno(), limit // 2, size - limit // 2)
        moved = f"{MARK} older lines were dropped\n".encode() + newest[newest.find(b"\n") + 1:]
        front, read = 0, size
        while moved:
            front += os.pwrite(file.fileno(), moved, front)
            moved = os.pread(file.fileno(), limit, read)
            read += len(moved)
        os.ftruncate(file.fileno(), front)


def verdict(said: dict, code: int, last_words: list[str]) -> tuple[str, str | None]:
    """State and reason of a training that has ended, from what its status says, its exit code and its last line."""
    words = last_words[0].removeprefix(ARGPARSE) if last_words and not last_words[0].startswith(MARK) else None
    if code in EXIT_SENTENCES:
        return "failed", words or how_it_ended(code)
    if said.get("state") in FINAL:
        return said["state"], said.get("reason")
    if 0 < code < EXIT_SIGNAL:
        return "failed", words or how_it_ended(code)
    return "interrupted", how_it_ended(code)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code == -signal.SIGKILL:
        return "killed by SIGKILL; the system does that when memory runs out"
    if code < 0:
        return f"killed by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}"
    return f"exit code {code}"


def record_end(run: Run, state: str, reason: str | None, **values) -> None:
    """Complete status.json while the lock is still held; its heartbeat stays the trainer's last."""
    with contextlib.suppress(OSError):
        write_json(run.status_file, {**run.read_status(), "state": state, "reason": reason, "ended": time.time(), **values})


def note(text: str) -> None:
    """A line of the keeper's own in train.log; on a full disk the training is worth more."""
    with contextlib.suppress(OSError):  # names of folders in it need not be UTF-8
        os.write(1, f"{MARK} {time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode(errors="surrogateescape"))


def main(arguments: list[str]) -> int:
    path, lock, *command = arguments
    run = Run(Path(path))
    if not lock.isdecimal() or not same_file(int(lock), run.lock) or not command:
        print("python -m r2f.keeper is started by the page; to train from a terminal use python -m r2f.train.", file=sys.stderr)
        return 2
    keep(run, int(lock), command)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
