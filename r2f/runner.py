"""Start, stop, list and watch trainings from a page that may be closed, restarted or killed at any time.

Nothing is remembered here: a training is what its run directory says, and it runs while its lock is held. A training that is
started here belongs to a `keeper`, a small process in a session of its own, and goes on without the page. Never imports `train`
and no Keras; the two meet in files, and in SIGTERM and SIGKILL for a training that does not answer.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path

from r2f import config
from r2f.config import Config, ConfigError
from r2f.device import machine_key
from r2f.keeper import FINAL, device_lock_name
from r2f.run import Run, read_json

TRAINER = "r2f.train"  # stands in the command line of every process that may be signalled
COMMAND = (sys.executable, "-m", TRAINER)
POLL_SECONDS = 0.1
QUEUED_SECONDS = 5.0  # a training that has been queued for so long is waiting for the device, not for its keeper to wake up
AFTER_SIGTERM_SECONDS = 20.0  # a trainer that was told to end finishes its step and saves
AFTER_SIGKILL_SECONDS = 10.0
LAST_SECONDS = 2.0  # for one that has just ended by itself
# What a training gets of the page's environment; a page may hold tokens, a training needs none.
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
             "PYTHONPATH", "PYTHONHASHSEED", "VIRTUAL_ENV")
PASSED_ON_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "XLA_", "TF_", "KERAS_", "JAX_", "OMP_")
SECRET = re.compile("TOKEN|KEY|SECRET|PASSW|CREDENTIAL|AUTH|COOKIE")  # never, whatever the prefix
NAME = re.compile(r"[^\W_](?:[\w. -]{0,62}[\w.-])?")  # letters and digits of any script
SHEET = re.compile(r"step_(\d{8,})\.png")
PNG_END = b"IEND\xaeB`\x82"  # the last chunk: a file that was torn by a power cut lacks it


class StartFailed(ValueError):
    """The training can't start or has ended before its first step; the message is the sentence to show."""


class NoRun(ValueError):
    """A name that is no plain name, or not that of a run under this root."""


@dataclass(frozen=True)
class Status:
    """A run at one moment, from its lock and its files.

    `state` is one of
      queued        waits until the device is free
      starting      loads Keras and the pictures, traces the first step
      training
      stopping      was asked to stop, or has come to its end, and still holds the lock
      stopped       saved and ended before its last step, on request or by SIGTERM or SIGINT; can be resumed
      finished      all steps are done
      failed        ended itself, and `reason` says why
      interrupted   gone without having said so: killed, or the machine went down; can be resumed
    """

    run: Run
    state: str
    step: int
    total_steps: int | None
    last_checkpoint: int | None  # step of the newest checkpoint on disk
    pairs_per_second: float | None  # only while training, like the time left
    eta_seconds: float | None
    device: str | None
    started: float | None  # seconds since 1970
    heartbeat_age_seconds: float | None  # since the trainer last wrote its status
    reason: str | None  # why it ended
    exit_code: int | None  # negative: the signal that killed it; None where no keeper saw the end
    pid: int | None  # the trainer's, as it wrote it: for showing, never for signalling
    queued: float | None = None  # when it was started or queued, seconds since 1970
    step_seconds: float | None = None  # how long it has been in its present step; only while training
    memory_bytes: int | None = None  # that the trainer holds; only while it runs, like the next three
    gpu_memory_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    doing: str | None = None  # what else than training steps it does just now
    trouble: str | None = None  # what could not be saved or written, though the training goes on
    best_step: int | None = None  # the step with the best figures of quality so far
    evaluation: dict | None = None  # the newest figures of quality, by name
    note: str | None = None  # why there are none, where that needs saying

    @property
    def running(self) -> bool:
        """Whether some process holds the run: only then may it be stopped, only otherwise resumed or deleted."""
        return self.state not in FINAL

    @property
    def resumable(self) -> bool:
        return not self.running and self.state != "finished" and self.run.config.exists()

    @property
    def sentence(self) -> str:
        """One line for a person."""
        of = f" of {self.total_steps}" if self.total_steps else ""
        saved = "no checkpoint" if self.last_checkpoint is None else f"last checkpoint {self.last_checkpoint}"
        why = f": {self.reason}" if self.reason and self.reason != "finished" else ""
        if self.state in ("queued", "starting"):
            return self.state + (f" at step {self.step}{of}" if self.step else "") + why
        return f"{self.state} at step {self.step}{of}, {saved}{why}"


def start(path: Path | str, options: dict | list[str], resume: bool = False, wait_seconds: float = 0.0,
          command: tuple[str, ...] = COMMAND) -> Run:
    """Start a training in the run directory, or queue it behind the one on the same device and under the same parent folder.

    `options` are settings of Config by name, or options of `python -m r2f.train`; a `run` among them is overruled. Returns at
    once, or, given `wait_seconds`, when the training has begun, really queues, or that time is over. Raises RunBusy; StartFailed
    for settings that can't be, for a path that holds a run already (without `resume`) or none (with it), and for a failure
    within `wait_seconds`, with the trainer's own sentence; OSError where the directory can't be written.
    """
    run, begun = Run(Path(path)), time.monotonic()
    arguments = as_arguments(options) if isinstance(options, dict) else list(options)
    if not run.is_running():  # otherwise the next line but one says so
        check(run, arguments, resume)  # before anything is created
    lock = run.take()
    try:
        settings = check(run, arguments, resume)  # again, now that nobody else can change the run
        before = run.read_status() if resume else {}
        run.write_status(**{**before, "state": "queued", "step": before.get("step", 0), "total_steps": settings.steps,
                            "pid": None, "exit_code": None, "queued": time.time(), "started": time.time(),
                            "waits_for": device_lock_name(), "machine": machine_key(), "reason": None,
                            "arguments": arguments})
        with open(run.log_file, "ab") as log:
            # A process of our own package with a list of arguments: no shell, no terminal, no file but the log and the lock.
            keeper = subprocess.Popen(
                [sys.executable, "-m", "r2f.keeper", str(run.path), str(lock), *command, *arguments,
                 *(["--resume"] if resume else []), f"--run={run.path}"],
                env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,), start_new_session=True)
    finally:
        os.close(lock)  # the keeper has it now
    # Reaps the keeper when it ends. Should this process end first, the keeper becomes a child of init, which reaps it.
    threading.Thread(target=keeper.wait, name=f"keeper of {run.path.name}", daemon=True).start()
    while (waited := time.monotonic() - begun) < wait_seconds:
        now = status(run)
        if now.state == "failed":
            raise StartFailed(now.reason)
        if now.state not in ("queued", "starting", "stopping") or now.state == "queued" and waited > QUEUED_SECONDS:
            break
        time.sleep(POLL_SECONDS)
    return run


def as_arguments(options: dict) -> list[str]:
    """Settings of Config by name as a command line. Raises StartFailed for a name that Config does not have."""
    unknown = sorted(set(options) - {each.name for each in fields(Config)})
    if unknown:
        raise StartFailed(f"There is no setting {', '.join(unknown)}.")
    arguments = []
    for name, value in options.items():
        option = name.replace("_", "-")
        if name == "run":
            continue
        arguments.append(f"--{'' if value else 'no-'}{option}" if isinstance(value, bool) else f"--{option}={value}")
    return arguments


def as_options(arguments: list[str]) -> dict:
    """A command line as settings of Config by name; options that Config does not have are left out. Raises StartFailed."""
    class Parser(argparse.ArgumentParser):
        def error(self, message):
            raise StartFailed(message)

    parser = Parser(add_help=False)
    config.add_arguments(parser)
    return vars(parser.parse_known_args(arguments)[0])


def options_of(run: Run) -> dict:
    """The settings that a run was started with, as options for another start: its preset and what differs from it, with folders.

    Without its run directory. Raises NoRun where neither its configuration nor the command line it was started with can be read,
    and for names of folders that are no text.
    """
    try:
        settings = config.from_json(run.config.read_text(encoding="utf-8"))
    except FileNotFoundError:  # it failed before its first step
        arguments = run.read_status().get("arguments")
        try:
            if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
                raise NoRun(f"{run.path.name} has no configuration that could be taken over.")
            options = as_options(arguments)
            settings = config.preset(options.pop("preset", "r2f"), **options)
        except (StartFailed, ConfigError) as error:
            raise NoRun(f"The configuration of {run.path.name} can't be taken over: {error}") from error
    except (ConfigError, TypeError, ValueError, OSError) as error:
        raise NoRun(f"The configuration of {run.path.name} can't be taken over: {error}") from error
    plain = config.preset(settings.preset)
    unused = {name for names in config.SOURCES if names != config.source_of(settings) for name in names}
    options = {"preset": settings.preset, **{
        each.name: getattr(settings, each.name) for each in fields(Config)
        if each.name not in {"run", "preset"} | unused and getattr(settings, each.name) != getattr(plain, each.name)}}
    try:
        "".join(map(str, options.values())).encode()
    except UnicodeEncodeError as error:
        raise NoRun(f"The configuration of {run.path.name} can't be taken over: the name of a folder is not UTF-8.") from error
    return options


def check(run: Run, arguments: list[str], resume: bool) -> Config:
    """The Config that the trainer will make of these arguments, found without Keras. Raises StartFailed."""
    options = as_options(arguments) | {"run": str(run.path)}
    if resume and not run.config.exists():
        raise StartFailed(f"There is no run in {run.path} to resume.")
    if not resume and run.config.exists():
        raise StartFailed(f"{run.path} already holds a run; resume it, or choose another name.")
    try:
        if resume:
            return config.resumed(config.from_json(run.config.read_text(encoding="utf-8")), options)[0]
        return config.preset(options.pop("preset", "r2f"), **options)
    except ConfigError as error:
        raise StartFailed(str(error)) from error


def environment() -> dict[str, str]:
    """What of this process's environment a training gets: nothing that may hold a secret."""
    passed_on = {name: value for name, value in os.environ.items()
                 if (name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)) and not SECRET.search(name)}
    package = str(Path(__file__).parents[1])  # so that -m finds this package wherever the page was started
    passed_on["PYTHONPATH"] = os.pathsep.join(filter(None, (package, passed_on.get("PYTHONPATH"))))
    return passed_on


def status(run: Run) -> Status:
    """What a run is doing now. Never raises for what the directory holds or lacks."""
    held = run.is_running()  # before the files: what ends a training writes them first and frees the lock last
    said = run.read_status()
    state = said.get("state")
    if held == (state in FINAL):  # they disagree: it began or ended between the two looks, or was killed
        held = run.is_running()
    if held:
        if state in FINAL or run.asked_to_stop():
            state = "stopping"
        elif state not in ("queued", "starting"):
            state = "training"
    elif state not in FINAL:
        state = "interrupted"
    heartbeat, last, now = number(said, "heartbeat"), last_checkpoint(run), time.time()
    active = said if state in ("training", "stopping") else {}
    began, best = number(active, "step_began"), said.get("best")

    def in_bytes(name: str, unit: int = 2**20) -> int | None:
        megabytes = number(active, f"{name}_megabytes")
        return None if megabytes is None else int(megabytes * unit)

    return Status(
        run=run, state=state, step=int(number(said, "step") or last or 0),
        total_steps=whole(number(said, "total_steps") or number(read_json(run.config), "steps")), last_checkpoint=last,
        pairs_per_second=number(said, "pairs_per_second") if state in ("training", "stopping") else None,
        eta_seconds=number(said, "eta_seconds") if state == "training" else None,
        device=text(said, "device"), started=number(said, "started"),
        heartbeat_age_seconds=None if heartbeat is None else max(0.0, now - heartbeat),
        reason=text(said, "reason") or ("its process is gone" if state == "interrupted" else None),
        exit_code=whole(number(said, "exit_code")), pid=whole(number(said, "pid")), queued=number(said, "queued"),
        step_seconds=None if began is None else max(0.0, now - began),
        memory_bytes=in_bytes("memory_now"), gpu_memory_bytes=in_bytes("gpu"), gpu_memory_total_bytes=in_bytes("gpu_total"),
        disk_free_bytes=in_bytes("disk_free", 10**6), doing=text(active, "doing"),
        trouble="; ".join(filter(None, (text(said, "save_error"), text(said, "write_error")))) or None,
        best_step=whole(number(best, "step")) if isinstance(best, dict) else None,
        evaluation=said["quality"] if isinstance(said.get("quality"), dict) else None, note=text(said, "quality_note"))


def number(values: dict, name: str) -> float | None:
    value = values.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else None


def whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def text(values: dict, name: str) -> str | None:
    value = values.get(name)  # the name of a folder in it need not be UTF-8
    return value.encode(errors="replace").decode() if isinstance(value, str) and value else None


def last_checkpoint(run: Run) -> int | None:
    """The step of the newest checkpoint, which exists only when it is whole; it is not verified here."""
    return max(checkpoints(run), default=None)


def checkpoints(run: Run) -> list[int]:
    """The steps of a run's checkpoints, ascending; they are not verified here."""
    with contextlib.suppress(OSError):
        return sorted(int(name[5:]) for name in os.listdir(run.checkpoints) if re.fullmatch(r"step_\d{8,}", name))
    return []


def samples(run: Run) -> list[tuple[int, Path]]:
    """(step, path) of a run's sample sheets, by step. What is empty, no file of its own, or not yet whole is left out."""
    found = []
    with contextlib.suppress(OSError), os.scandir(run.samples) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # deleted meanwhile
                if (name := SHEET.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False) and entry.stat().st_size:
                    found.append((int(name[1]), Path(entry.path)))
    found.sort()
    while found and not ends_whole(found[-1][1]):  # only the newest ones can have been torn
        found.pop()
    return found


def ends_whole(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(-min(len(PNG_END), os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:
        return False


def ahead(run: Run) -> list[str]:
    """The names of the runs that a queued one waits for, the one that trains first; [] for a run that does not wait."""
    mine = run.read_status()
    if mine.get("state") != "queued" or not run.is_running():
        return []
    found = []
    for path in run.path.parent.iterdir():
        said = read_json(path / "status.json") if path != run.path and NAME.fullmatch(path.name) else {}
        if said.get("waits_for") != mine.get("waits_for") or not Run(path).is_running():
            continue
        since = number(said, "queued") or 0.0
        place = (since, path.name) if said.get("state") == "queued" else (-1.0, path.name)
        if place < ((number(mine, "queued") or 0.0), run.path.name):
            found.append((place, path.name))
    return [name for _, name in sorted(found)]


def runs(root: Path | str) -> list[Status]:
    """Every run in a folder, the one started last first; whatever is no run is left out: other folders, files, links."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    found = [status(Run(Path(root) / name)) for name in names if is_run(Path(root) / name)]
    return sorted(found, key=lambda each: (each.started or 0.0, each.run.path.name), reverse=True)


def is_run(path: Path) -> bool:
    """Whether a path is a directory, not a link, in which a training was started."""
    return (bool(NAME.fullmatch(path.name)) and not path.is_symlink() and path.is_dir()
            and Run(path).lock.is_file() and (Run(path).status_file.is_file() or Run(path).config.is_file()))


def named(root: Path | str, name: str) -> Run:
    """The run of that name under the root, there or not. Raises NoRun for a name that is no plain name."""
    if not NAME.fullmatch(name):
        raise NoRun(f"{name!r} can't name a run; use up to 64 letters, digits, blanks, dots, dashes and underscores, "
                    "beginning with a letter or a digit and not ending in a blank.")
    return Run(Path(root) / name)


def ask_to_stop(run: Run) -> bool:
    """Ask a training to save and end after its step, without waiting. False where none is running."""
    if not run.is_running():
        return False
    run.stop.touch()
    return True


def stop(run: Run, grace_seconds: float = 60.0) -> str:
    """End a training: ask it, wait, then SIGTERM, then SIGKILL. Returns what happened:

    "not running"; "stopped", it answered the request (or had just ended); "terminated", it answered SIGTERM and saved if it
    could; "killed"; "still running", where it did not answer and no process could be told for certain to be this training.
    """
    deadline = time.monotonic() + grace_seconds
    if not ask_to_stop(run):
        return "not running"
    while time.monotonic() < deadline:
        if not run.is_running():
            return "stopped"
        run.stop.touch()  # again: a trainer that is just starting drops requests from before
        time.sleep(POLL_SECONDS)
    for number, seconds, happened in ((signal.SIGTERM, AFTER_SIGTERM_SECONDS, "terminated"),
                                      (signal.SIGKILL, AFTER_SIGKILL_SECONDS, "killed")):
        if send(run, number) and gone(run, seconds):
            return happened
    return "stopped" if gone(run, LAST_SECONDS) else "still running"


def gone(run: Run, seconds: float) -> bool:
    """Whether nobody holds the run any more, within that time."""
    deadline = time.monotonic() + seconds
    while run.is_running():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def send(run: Run, number: int) -> bool:
    """Signal the run's trainer; False, and nothing is signalled, where its process can't be told for certain.

    A pid may have been given to another process since it was written down. So the process is first held by a descriptor, which
    can't be recycled, and only then looked at: it must have this run's lock file open, and be a trainer by its command line.
    Needs Linux; elsewhere False.
    """
    pid = status(run).pid
    if not pid or pid == os.getpid() or not hasattr(os, "pidfd_open"):
        return False
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not run.is_running() or not is_trainer(pid, run):
            return False
        signal.pidfd_send_signal(process, number)
        return True
    except ProcessLookupError:  # it has ended meanwhile
        return False
    finally:
        os.close(process)


def is_trainer(pid: int, run: Run) -> bool:
    """Whether the process has the run's lock file open and is a trainer by its command line."""
    process = Path(f"/proc/{pid}")
    try:
        if TRAINER.encode() not in (process / "cmdline").read_bytes().split(b"\0"):
            return False
        mine = os.stat(run.lock)
        for handle in os.listdir(process / "fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile, or a pipe
                if os.path.samestat(os.stat(process / "fd" / handle), mine):
                    return True
    except OSError:
        pass  # it has ended, or belongs to somebody else
    return False


def delete(root: Path | str, name: str) -> None:
    """Delete a run with everything in it. Raises RunBusy where it is running, NoRun where it is no run of this root."""
    run = named(root, name)
    if not is_run(run.path):
        raise NoRun(f"There is no run {name} in {root}.")
    doomed = run.path.with_name(f".deleted-{name}-{os.getpid()}-{time.time_ns()}")
    with run.locked():
        os.rename(run.path, doomed)  # so it is gone at once or not at all
    shutil.rmtree(doomed)
    for leftover in doomed.parent.glob(".deleted-*"):  # of a deletion that was killed
        shutil.rmtree(leftover, ignore_errors=True)
