import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from r2f import config, keeper, runner
from r2f.images import write_picture
from r2f.run import Run, RunBusy
from r2f.runner import NoRun, StartFailed, start, status, stop
from tests.standin import COMMAND
from tests.tiny import TINY

LINUX = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="without process descriptors nothing is signalled")
NO_PICTURES = {"steps": 100_000}  # the stand-in needs none
PAGE = """
import sys
from r2f import runner
runner.start(sys.argv[1], {"steps": 100_000}, command=tuple(sys.argv[2:]))
print("started", flush=True)
sys.stdin.read()
"""


def begin(path, options=NO_PICTURES, **arguments) -> Run:
    return start(path, options, command=COMMAND, **arguments)


def until(condition, seconds=30.0):
    """Wait for a condition; returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - began


def training(run: Run, step: int = 1):
    until(lambda: status(run).state == "training" and status(run).step >= step)
    return status(run)


def open_page(run_path) -> subprocess.Popen:
    """Another process that starts a training and then does nothing, as a page does."""
    page = subprocess.Popen([sys.executable, "-c", PAGE, run_path, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert page.stdout.readline() == b"started\n"
    return page


def processes(word: str) -> dict[int, list[str]]:
    """State, parent and session by pid of every process whose command line has that word."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (path / "cmdline").read_bytes():
                found[int(path.name)] = path.joinpath("stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
    return found


def zombies(parent: int) -> list[int]:
    """Ended children that the process has not reaped."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, ppid = path.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(ppid) == parent:
            found.append(int(path.name))
    return found


def test_a_training_is_started_watched_stopped_resumed_and_finishes(root):
    run = begin(root / "a", wait_seconds=30)
    now = training(run, step=5)
    assert (now.total_steps, now.device, now.reason, now.last_checkpoint) == (100_000, "stand-in", None, None)
    assert now.pairs_per_second and now.eta_seconds and now.heartbeat_age_seconds < 30
    assert stop(run, 30) == "stopped"
    now = status(run)
    assert (now.state, now.reason, now.exit_code, now.running, now.resumable) == ("stopped", "stopped on request", 0, False, True)
    assert now.last_checkpoint == now.step
    assert f"stopped at step {now.step} of 100000, last checkpoint {now.step}" in now.sentence
    begin(run.path, {"steps": now.step + 3}, resume=True)
    until(lambda: status(run).state == "finished")
    assert (status(run).step, status(run).reason, status(run).resumable) == (now.step + 3, "finished", False)
    assert len((run.path / "held").read_text().split()) == 2
    assert stop(run) == "not running" and not runner.ask_to_stop(run)


def test_a_real_training_goes_through_start_stop_resume_and_finish(root, drawn_folder):
    run = start(root / "real", {**TINY, "data": str(drawn_folder), "steps": 4000}, wait_seconds=300)
    until(lambda: status(run).state == "training" and status(run).step >= 2, 300)
    assert status(run).running and run.read_metrics()
    assert stop(run, 120) == "stopped"
    now = status(run)
    assert (now.state, now.exit_code, now.last_checkpoint) == ("stopped", 0, now.step)
    start(run.path, {"steps": now.step + 4}, resume=True)
    until(lambda: not status(run).running, 300)
    after = status(run)
    assert (after.state, after.step, after.last_checkpoint) == ("finished", now.step + 4, now.step + 4)
    log = run.log_file.read_text()
    print(f"stopped at step {now.step}, resumed, finished at step {after.step}; train.log has {len(log.splitlines())} lines")
    assert f"resuming from step {now.step}" in log and log.count("ended: exit code 0") == 2


def test_settings_that_cannot_be_are_refused_at_once_with_the_trainers_sentence_and_leave_nothing(root):
    for options, sentence in (({"image_size": 30}, "image_size is 30; it must be a multiple of 4"),
                              ({"steps": "many"}, "argument --steps: invalid int value: 'many'"),
                              ({"preset": "grand"}, "grand"),
                              ({"colour": 3}, "There is no setting colour."),
                              (["--filters=0"], "filters is 0; it must be at least 1.")):
        with pytest.raises(StartFailed, match=sentence.replace("(", ".").replace(")", ".")):
            start(root / "bad", options)
    with pytest.raises(StartFailed, match="There is no run in .* to resume"):
        start(root / "bad", {}, resume=True)
    assert list(root.iterdir()) == []
    run = begin(root / "a", {"steps": 1})
    until(lambda: status(run).state == "finished")
    with pytest.raises(StartFailed, match="already holds a run; resume it"):
        begin(root / "a")


def test_what_the_trainer_says_before_it_fails_is_the_reason_of_the_end(root):
    sentence = "/nowhere/trainA is no folder; flowers are read from there."
    with pytest.raises(StartFailed) as error:
        begin(root / "a", ["--x-fail", sentence], wait_seconds=30)
    assert str(error.value) == sentence
    now = status(Run(root / "a"))
    assert (now.state, now.reason, now.exit_code) == ("failed", sentence, 2)
    run = begin(root / "b", [], wait_seconds=0)
    assert run.log_file.exists() and stop(run, 30) == "stopped"
    with pytest.raises(StartFailed, match="could not be started: .*no-such-python"):
        start(root / "c", {}, wait_seconds=30, command=("/no-such-python", "r2f.train"))


def race(root: Path, count: int, before: str = "") -> list[list[str]]:
    """Two pages start a training in the same directory at the same time, again and again: what each of them was told."""
    code = f"""
import sys, time
from r2f import run, runner
{before}
for line in sys.stdin:
    path, at = line.split()
    time.sleep(max(0, float(at) - time.time()))
    try:
        runner.start(path, {{"steps": 100_000}}, command=tuple(sys.argv[1:]))
        print("won", flush=True)
    except run.RunBusy:
        print("busy", flush=True)
    except runner.StartFailed:  # without a lock, the later one may find the other's run under way
        print("failed", flush=True)
"""
    pages = [subprocess.Popen([sys.executable, "-c", code, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
             for _ in range(2)]
    told = []
    for number in range(count):
        at = time.time() + (0.05 if number else 0.5)
        for page in pages:
            page.stdin.write(f"{root}/{number} {at}\n")
            page.stdin.flush()
        told.append(sorted(page.stdout.readline().strip() for page in pages))
        run = Run(root / str(number))
        training(run)
        with pytest.raises(RunBusy, match="Another training is running"):
            begin(run.path)
        assert stop(run, 30) == "stopped"
        assert len((run.path / "held").read_text().split()) == 1
    for page in pages:
        page.communicate()
    return told


def test_of_two_starts_at_the_same_time_exactly_one_runs(root):
    """P5: 10 races of two pages."""
    told = race(root, 10)
    print(f"10 races of two starts: exactly one began in {told.count(['busy', 'won'])} of them")
    assert told == [["busy", "won"]] * 10


def test_the_race_shows_a_lock_that_does_not_lock(root):
    """The negative control: pages that believe to hold every lock both begin."""
    told = race(root, 4, "run.try_lock = lambda handle, kind: True")
    print(f"4 races without a lock: both began in {told.count(['won', 'won'])} of them")
    assert ["won", "won"] in told


def cycles(root: Path, count: int) -> None:
    """Start and stop; no process is left over, dead or alive."""
    for cycle in range(count):
        run = begin(root / str(cycle))
        training(run)
        assert stop(run, 30) == "stopped"
        assert status(run).state == "stopped"
        time.sleep(0.05 * (cycle % 3))
    if Path("/proc").is_dir():
        until(lambda: not zombies(os.getpid()) and not processes(str(root)))
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("keeper of")])
    print(f"{count} cycles of start and stop: 0 zombies, 0 processes left")


def test_starting_and_stopping_leaves_no_zombie(root):
    cycles(root, 4)


@pytest.mark.crash
def test_starting_and_stopping_a_hundred_times_leaves_no_zombie(root):
    """P5, the long form."""
    cycles(root, 100)


def test_a_killed_page_takes_no_training_with_it_and_the_next_page_finds_it(root):
    page = open_page(root / "a")
    run = Run(root / "a")
    step = training(run).step
    page.kill()
    page.wait()
    assert training(run, step + 5).running  # this process is the next page
    with pytest.raises(RunBusy):
        begin(run.path)
    os.kill(status(run).pid, signal.SIGKILL)
    seconds = until(lambda: status(run).state == "interrupted")
    print(f"page killed, training goes on; trainer killed, known after {seconds:.2f} s")
    assert seconds < 5


def test_a_killed_trainer_is_interrupted_and_can_be_resumed_and_the_page_lives_on(root):
    page = open_page(root / "a")
    run = Run(root / "a")
    now = training(run, 5)
    (run.checkpoints / "step_00000004").mkdir(parents=True)
    os.kill(now.pid, signal.SIGKILL)
    seconds = until(lambda: status(run).state == "interrupted")
    after = status(run)
    print(f"trainer killed, known after {seconds:.2f} s: {after.sentence}")
    assert seconds < 5 and after.step >= now.step and after.exit_code == -9
    assert after.sentence.startswith(f"interrupted at step {after.step} of 100000, last checkpoint 4: killed by SIGKILL")
    assert run.log_tail()[-1].endswith("ended: killed by SIGKILL; the system does that when memory runs out")
    assert page.poll() is None
    if Path("/proc").is_dir():
        until(lambda: not zombies(page.pid))
    page.communicate()
    begin(run.path, {}, resume=True)
    training(run, after.step + 1)


@LINUX
def test_a_killed_keeper_takes_nothing_with_it(root):
    run = begin(root / "a")
    step = training(run).step
    keepers = [pid for pid in processes(str(run.path)) if pid != status(run).pid]
    for pid in keepers:
        os.kill(pid, signal.SIGKILL)
    training(run, step + 5)
    assert len(keepers) == 1 and not zombies(os.getpid())
    os.kill(status(run).pid, signal.SIGKILL)
    until(lambda: status(run).state == "interrupted")
    assert status(run).reason == "its process is gone" and status(run).exit_code is None
    begin(run.path, {}, resume=True)
    training(run)
    keepers = [pid for pid in processes(str(run.path)) if pid != status(run).pid]
    os.kill(keepers[0], signal.SIGTERM)  # it passes that on
    until(lambda: status(run).state == "stopped")
    assert (status(run).reason, status(run).exit_code) == ("stopped by SIGTERM", 143)


@LINUX
def test_a_training_that_does_not_answer_is_terminated_then_killed(root, monkeypatch):
    run = begin(root / "a", ["--x-deaf-to-requests"])
    training(run)
    assert runner.ask_to_stop(run)
    assert status(run).state == "stopping"
    assert stop(run, 0.3) == "terminated"
    assert (status(run).state, status(run).reason, status(run).exit_code) == ("stopped", "stopped by SIGTERM", 143)
    monkeypatch.setattr(runner, "AFTER_SIGTERM_SECONDS", 0.5)
    run = begin(root / "b", ["--x-deaf"])
    training(run)
    assert stop(run, 0.3) == "killed"
    assert (status(run).state, status(run).exit_code) == ("interrupted", -9)


@LINUX
def test_a_recycled_pid_is_never_signalled(root, monkeypatch):
    """P6: another process has the pid that status.json names, in each way in which it can be another."""
    monkeypatch.setattr(runner, "AFTER_SIGTERM_SECONDS", 0.2)
    monkeypatch.setattr(runner, "AFTER_SIGKILL_SECONDS", 0.2)
    monkeypatch.setattr(runner, "LAST_SECONDS", 0.2)
    (root / "a").mkdir()
    run, other = Run(root / "a"), Run(root / "other")
    sleep = "import sys, time; time.sleep(600)"
    bystanders = {
        "another program": subprocess.Popen([sys.executable, "-c", sleep]),
        "the trainer of another run": subprocess.Popen([*COMMAND, f"--run={other.path}"]),
        "a program that reads this run's lock file": subprocess.Popen(
            [sys.executable, "-c", f"file = open({str(run.lock)!r}, 'a'); " + sleep]),
        "another trainer by its command line": subprocess.Popen([sys.executable, "-c", sleep, "r2f.train"]),
    }
    until(other.is_running)
    with run.locked():  # somebody trains here, but not who status.json says
        for pid in (*(each.pid for each in bystanders.values()), os.getpid(), 2**22 + 1, 1, 0, -1, True, "12", None):
            run.write_status(state="training", step=3, pid=pid)
            assert stop(run, 0.1) == "still running"
            assert not runner.send(run, signal.SIGKILL)
    free = next(iter(bystanders.values()))
    run.write_status(state="training", step=3, pid=free.pid)
    assert stop(run, 0.1) == "not running"
    for what, process in bystanders.items():
        assert process.poll() is None, what
        process.kill()
        process.wait()
    print(f"{len(bystanders) + 8} pids that were not the training's: 0 signals sent")


def test_where_processes_cannot_be_told_nothing_is_signalled(root, monkeypatch):
    """As on macOS, which has no process descriptors."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(runner, "LAST_SECONDS", 0.2)
    run = begin(root / "a", ["--x-deaf-to-requests"])
    pid = training(run).pid
    assert stop(run, 0.2) == "still running"
    os.kill(pid, signal.SIGTERM)
    until(lambda: status(run).state == "stopped")


def test_a_token_of_the_page_reaches_neither_log_nor_files_nor_command_line_nor_environment(root, monkeypatch):
    """P10."""
    token = "hf_planted" + "A1b2C3" * 5
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "GRADIO_AUTH", "AWS_SECRET_ACCESS_KEY", "NVIDIA_API_KEY", "TF_TOKEN",
             "JAX_PASSWORD", "OAUTH_CLIENT_SECRET", "SPACE_ID", "DATABASE_URL", "GITHUB_PAT")
    for name in names:
        monkeypatch.setenv(name, token)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    run = begin(root / "a", ["--x-environment"])
    pid = training(run).pid
    places = [path.read_bytes() for path in run.path.rglob("*") if path.is_file()]
    if Path("/proc").is_dir():
        for each in (pid, *processes(str(run.path))):
            places += [Path(f"/proc/{each}/{file}").read_bytes() for file in ("cmdline", "environ")]
    assert sum(token.encode() in place for place in places) == 0
    passed_on = json.loads(next(line for line in run.log_tail() if line.startswith("{")))
    assert (passed_on["CUDA_VISIBLE_DEVICES"], passed_on["KERAS_BACKEND"]) == ("1", "jax")
    assert not set(names) & set(passed_on)
    print(f"{len(names)} variables with a planted token: 0 hits in {len(places)} files, command lines and environments")


def test_the_log_keeps_below_its_cap_and_its_newest_lines(root, monkeypatch):
    run = begin(root / "a", ["--x-print=2000", "--steps=100"])  # 20 MB in all
    largest = 0
    while status(run).running:
        largest = max(largest, run.log_file.stat().st_size)
        time.sleep(0.02)
    written = 100 * 2000 * 100
    print(f"{written / 1e6:.0f} MB printed: train.log ends at {run.log_file.stat().st_size / 1e6:.1f} MB and was at most "
          f"{largest / 1e6:.1f} MB; the cap is {keeper.LOG_BYTES / 1e6:.0f} MB and is looked after every {keeper.TICK_SECONDS} s")
    assert status(run).state == "finished"
    assert run.log_file.stat().st_size <= keeper.LOG_BYTES
    assert largest < written / 2
    tail = run.log_tail(3)
    assert tail[0].startswith("line 1998 of step 100") and tail[1].startswith("line 1999 of step 100")
    assert tail[2].endswith("ended: exit code 0")


def test_lines_written_while_the_log_is_cut_stay_in_order(tmp_path):
    log = tmp_path / "train.log"
    cuts = 0
    with open(log, "ab") as file:
        program = "for number in range(400_000): print(f'line {number:6}.', flush=True)"
        with subprocess.Popen([sys.executable, "-c", program], stdout=file) as writer:
            while writer.poll() is None:
                cuts += log.stat().st_size > 50_000
                keeper.shorten(log, 50_000)
    lines = log.read_text().splitlines()
    numbers = [int(line[5:-1]) for line in lines if re.fullmatch("line [ 0-9]{6}[.]", line)]
    lost = numbers[-1] + 1 - numbers[0] - len(numbers)
    print(f"{cuts} cuts under a writer that does nothing else; of the {len(numbers)} newest lines {lost} are lost")
    assert cuts > 20
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 399_000


def test_trainings_of_one_device_run_one_after_the_other_in_the_order_they_were_queued(root, monkeypatch):
    runs = []
    for name in ("z", "y", "x"):
        runs.append(begin(root / name))
        if name == "z":
            training(runs[0])
    until(lambda: [each.state for each in runner.runs(root)] == ["queued", "queued", "training"])
    monkeypatch.setattr(runner, "QUEUED_SECONDS", 0.5)
    began = time.monotonic()
    assert status(begin(root / "v", wait_seconds=60)).state == "queued" and time.monotonic() - began < 20
    assert stop(Run(root / "v"), 30) == "stopped"
    runner.delete(root, "v")
    assert [each.run.path.name for each in runner.runs(root)] == ["x", "y", "z"]
    queued = status(runs[1])
    assert queued.running and queued.pid is None and queued.sentence == "queued"
    with pytest.raises(RunBusy):
        begin(runs[1].path)
    with pytest.raises(RunBusy):
        runner.delete(root, "y")
    last = begin(root / "w")
    time.sleep(0.3)
    assert stop(last, 30) == "stopped"  # it leaves the queue
    assert (status(last).state, status(last).reason) == ("stopped", "stopped before it began")
    assert not (last.path / "held").exists()
    os.kill(training(runs[0]).pid, signal.SIGKILL)  # however it ends, the next one begins
    training(runs[1])
    assert [status(each).state for each in runs] == ["interrupted", "training", "queued"]
    assert stop(runs[1], 30) == "stopped"
    training(runs[2])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
def test_on_a_full_disk_a_queued_training_begins_when_its_turn_comes(root):
    run = Run(root / "a")
    lock = run.take()
    with open("/dev/full", "wb") as log:
        code = subprocess.run([sys.executable, "-m", "r2f.keeper", str(run.path), str(lock), *COMMAND, "--steps=1",
                               f"--run={run.path}"], stdout=log, pass_fds=(lock,)).returncode
    os.close(lock)
    assert (code, status(run).state, status(run).exit_code) == (0, "finished", 0)


def test_a_queued_training_outlives_an_instant_in_which_nothing_can_be_reached(root, monkeypatch):
    run, reached = Run(root / "a"), {"stat": os.stat, "iterdir": Path.iterdir}
    run.path.mkdir()
    for where, name in ((os, "stat"), (Path, "iterdir")):
        def stale(path, *, name=name, seen=[], **named):  # noqa: B006 - the first two calls fail
            if path in (run.stop, root) and len(seen) < 2:
                seen.append(path)
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
            return reached[name](path, **named)
        monkeypatch.setattr(where, name, stale)
    monkeypatch.setattr(keeper, "QUEUE_SECONDS", 0.01)
    os.close(keeper.wait_for_device(run, []))


def test_another_choice_of_devices_has_a_queue_of_its_own(root, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    first = begin(root / "a")
    training(first)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    training(begin(root / "b"))
    assert status(first).state == "training"


@pytest.mark.parametrize("content", [None, "", "{", '{"state": "tra', "[]", "null", "\udcff",
                                     '{"state": 7, "step": "x", "pid": {}}',
                                     '{"state": "training", "step": NaN, "heartbeat": 1e400, "total_steps": true}'])
def test_a_damaged_or_missing_status_is_survived(root, content):
    run = Run(root / "a")
    (run.checkpoints / "step_00000120").mkdir(parents=True)
    (run.checkpoints / ".step_00000130.tmp").mkdir()
    run.config.write_text('{"steps": 500}')
    run.lock.touch()
    if content is not None:
        run.status_file.write_bytes(content.encode(errors="surrogateescape"))
    now, = runner.runs(root)
    assert (now.state, now.step, now.total_steps, now.last_checkpoint) == ("interrupted", 120, 500, 120)
    assert now.sentence == "interrupted at step 120 of 500, last checkpoint 120: its process is gone"
    with run.locked():
        assert status(run).state == "training"
        run.stop.touch()
        assert status(run).state == "stopping"


def test_junk_beside_the_runs_is_left_out(root, tmp_path):
    run = begin(root / "a", {"steps": 1})
    until(lambda: status(run).state == "finished")
    (root / "file").write_text("no run")
    (root / "empty").mkdir()
    (root / "pictures").mkdir()
    (root / "pictures" / "config.json").write_text("{}")
    (root / "link").symlink_to(run.path)
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    (root / ".hidden").symlink_to(run.path)
    assert [each.run.path.name for each in runner.runs(root)] == ["a"]
    assert runner.runs(root / "nowhere") == [] and runner.runs(root / "file") == []
    for name in ("file", "empty", "pictures", "link", "dangling", ".hidden", "nowhere",
                 "..", ".", "", "a/..", "../runs/a", str(run.path), "a\n", "a ", " a", "-a", "_a", "a<b", "a\\b", "霜" * 65):
        with pytest.raises(NoRun):
            runner.delete(root, name)
    assert run.status_file.exists() and (root / "pictures" / "config.json").exists()


def test_only_a_run_that_is_not_running_is_deleted_and_what_it_links_to_stays(root, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "picture.png").touch()
    run = begin(root / "a")
    training(run)
    with pytest.raises(RunBusy):
        runner.delete(root, "a")
    assert stop(run, 30) == "stopped"
    run.samples.symlink_to(tmp_path / "precious")
    runner.delete(root, "a")
    assert [path.name for path in root.iterdir()] == [keeper.device_lock_name()]
    assert (tmp_path / "precious" / "picture.png").exists()
    training(begin(root / "a"))  # the name is free again


def test_what_the_trainer_says_of_memory_disk_and_quality_is_in_the_status_while_it_runs(root):
    run = Run(root / "a")
    said = dict(state="training", step=7, step_began=time.time() - 5, memory_now_megabytes=1000, gpu_megabytes=2000,
                gpu_total_megabytes=80_000, disk_free_megabytes=3000, doing="measuring quality", best={"step": 4, "score": 0.5},
                quality={"score": 0.4}, quality_note="a note", save_error="no room.", write_error="metrics of step 3 not written")
    with run.locked():
        run.write_status(**said)
        now = status(run)
        assert (now.memory_bytes, now.gpu_memory_bytes, now.gpu_memory_total_bytes, now.disk_free_bytes) == (
            1000 * 2**20, 2000 * 2**20, 80_000 * 2**20, 3 * 10**9)
        assert 5 <= now.step_seconds < 600 and now.doing == "measuring quality"
        assert (now.best_step, now.evaluation) == (4, {"score": 0.4})
        assert (now.trouble, now.note) == ("no room.; metrics of step 3 not written", "a note")
        run.write_status(state="training", step=7, best=[], quality=3, memory_now_megabytes="much", doing=None)
        now = status(run)
        assert (now.memory_bytes, now.best_step, now.evaluation, now.trouble, now.doing) == (None,) * 5
        run.write_status(**said)
    now = status(run)
    assert now.state == "interrupted" and (now.memory_bytes, now.step_seconds, now.doing) == (None, None, None)
    assert (now.best_step, now.evaluation, now.trouble) == (4, {"score": 0.4}, "no room.; metrics of step 3 not written")


def test_a_configuration_is_taken_over_as_options_of_another_start(root):
    settings = config.preset("lite", data="/pictures", drawn=False, zoom=False, steps=77, learning_rate=1e-4, run=str(root / "a"))
    run = Run(root / "a")
    run.path.mkdir()
    run.config.write_text(settings.to_json())
    options = runner.options_of(run)
    assert options == {"preset": "lite", "data": "/pictures", "zoom": False, "steps": 77, "learning_rate": 1e-4}
    again = runner.check(Run(root / "b"), runner.as_arguments(options), resume=False)
    assert replace(again, run=settings.run) == settings


def test_of_pictures_named_in_more_than_one_way_those_it_learned_from_are_taken_over(root):
    run = Run(root / "a")
    run.path.mkdir()
    run.config.write_text(replace(config.preset("paper", data="/d"), rime="/r", rime_test="/t").to_json())
    assert runner.options_of(run) == {"preset": "paper", "data": "/d"}


def test_folders_whose_names_are_not_utf_8_are_trained_from_and_stop_no_page(root):
    folder = os.fsdecode(b"/caf\xe9")
    run = begin(root / "a", {"rime": folder, "flowers": folder, "steps": 1})
    until(lambda: status(run).state == "finished")
    assert f"--rime={folder}".encode(errors="surrogateescape") in run.log_file.read_bytes()
    run.write_status(state="failed", reason=f"There is no folder {folder}.")
    assert json.dumps(status(run).sentence, ensure_ascii=False).encode()
    run.config.write_text(config.preset("lite", data=folder).to_json())
    with pytest.raises(NoRun, match="The configuration of a can't be taken over: the name of a folder is not UTF-8."):
        runner.options_of(run)


def test_the_configuration_of_a_run_that_failed_at_once_is_taken_over_too(root):
    begin(root / "a", ["--preset=lite", "--data=/nowhere", "--no-zoom", "--steps=9", "--x-fail", "There is no /nowhere."])
    until(lambda: status(Run(root / "a")).state == "failed")
    options = runner.options_of(Run(root / "a"))
    assert options == {"preset": "lite", "data": "/nowhere", "zoom": False, "steps": 9}
    begin(root / "a", options)  # mended, under the same name
    until(lambda: status(Run(root / "a")).state == "finished")


@pytest.mark.parametrize("content", [None, "{", "[3]", '{"colour": 3}', '{"image_size": "large"}', '{"preset": "grand"}',
                                     '{"image_size": 30}', "\udcff"])
def test_a_configuration_that_cannot_be_read_is_said_in_one_sentence(root, content):
    run = Run(root / "a")
    run.path.mkdir()
    if content is not None:
        run.config.write_bytes(content.encode(errors="surrogateescape"))
    for arguments in (None, 3, [3], ["--preset=grand"], ["--steps=many"]):
        run.write_status(state="failed", arguments=arguments)
        with pytest.raises(NoRun, match="^(a has no configuration|The configuration of a can't be taken over)") as error:
            runner.options_of(run)
        assert "\n" not in str(error.value)


def test_sample_sheets_are_listed_by_step_without_what_is_not_whole(root):
    run = Run(root / "a")
    assert runner.samples(run) == []
    run.samples.mkdir(parents=True)
    pixels = np.zeros((32, 192, 3), np.uint8)
    for step in (9_000, 10_000, 200, 100_000_000):
        write_picture(pixels, run.sample(step))
    for name in ("step_1.png", "step_00000300.jpg", ".step_00000300.png.ab12.part", "step_00000300.png.part", "notes.txt"):
        (run.samples / name).write_bytes(b"x")
    run.sample(400).touch()
    run.sample(500).mkdir()
    run.sample(600).symlink_to(run.sample(200))
    whole = [(step, run.sample(step)) for step in (200, 9_000, 10_000, 100_000_000)]
    assert runner.samples(run) == whole
    run.sample(200_000_000).write_bytes(run.sample(200).read_bytes()[:-3])  # a power cut
    run.sample(300_000_000).write_bytes(b"x")
    assert runner.samples(run) == whole
    shutil.rmtree(run.samples)
    run.samples.write_text("no folder")
    assert runner.samples(run) == []


def test_a_queued_run_names_those_it_waits_for(root, monkeypatch):
    first, second, third = (Run(root / name) for name in ("z", "y", "x"))
    training(begin(first.path))
    begin(second.path)
    until(lambda: runner.ahead(second) == ["z"])
    begin(third.path)
    assert runner.ahead(third) == ["z", "y"] and runner.ahead(first) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    training(begin(root / "elsewhere"))
    assert runner.ahead(third) == ["z", "y"]
    (root / "file").write_text("no run")
    assert stop(second, 30) == "stopped"
    assert runner.ahead(third) == ["z"] and runner.ahead(second) == []
    assert stop(first, 30) == "stopped"
    training(third)
    assert runner.ahead(third) == []
