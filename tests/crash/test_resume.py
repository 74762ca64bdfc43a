"""A real `python -m r2f.train`, killed, stopped and signalled, ends with the numbers of one that nobody disturbed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import OPTIONS, TINY

from r2f import checkpoint, config, pair, preflight, train
from r2f.ending import SAME_REQUEST_SECONDS
from r2f.run import Run

ROOT = Path(__file__).parents[2]
STEPS = 600
MORE = [f"--steps={STEPS}", "--log-steps=5", "--checkpoint-steps=20"]
# Like `python -m r2f.train`, with a disk that takes a minute for a checkpoint.
SLOW_DISK = """import sys, time
from r2f import checkpoint, train
force = checkpoint.force
checkpoint.force = lambda path: (time.sleep(60), force(path))
sys.exit(train.main(sys.argv[1:]))"""


def started(run, drawn_folder, program=("-m", "r2f.train"), **options):
    more = ["--resume"] if run.config.exists() else ["--data", drawn_folder, *OPTIONS, *MORE]
    return subprocess.Popen([sys.executable, *program, "--run", run.path, *more], cwd=ROOT, text=True,
                            **{"stderr": subprocess.PIPE, **options})


def at_step(run, step, process):
    """Wait until the metrics have reached that step. The greatest age of the heartbeat meanwhile, seconds."""
    age = 0.0
    while not any(line["step"] >= step for line in run.read_metrics(50)):
        assert process.poll() is None, process.stderr.read()
        now, status = time.time(), run.read_status()
        if status.get("pid") == process.pid:
            age = max(age, now - status["heartbeat"])
        time.sleep(0.02)
    return age


def newest_step(run):
    found = checkpoint.newest(run.checkpoints)
    return checkpoint.step_of(found[0]) if found else None


def digests(run):
    return checkpoint.read_manifest(checkpoint.newest(run.checkpoints)[0])["files"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, drawn_folder):
    run = Run(tmp_path_factory.mktemp("runs") / "undisturbed")
    assert train.main(["--run", str(run.path), "--data", str(drawn_folder), *OPTIONS, *MORE]) == 0
    return run


@pytest.mark.crash
def test_killed_stopped_and_signalled_it_ends_with_the_digest_of_an_undisturbed_run(undisturbed, drawn_folder, tmp_path):
    run, said = Run(tmp_path / "run"), []

    process = started(run, drawn_folder)
    age = at_step(run, random.randint(25, 60), process)
    said.append(f"heartbeat: never older than {age:.1f} s while it read pictures, traced the step and trained")
    assert age < 30
    process.kill()
    assert process.wait() == -signal.SIGKILL and not run.is_running()
    lost = run.read_metrics()[-1]["step"] - newest_step(run)
    said.append(f"kill -9: {lost} steps or a few more lost, with a checkpoint every 20")
    assert run.read_status()["state"] == "training", "it had no time to say anything"

    process = started(run, drawn_folder)
    at_step(run, 100, process)
    run.stop.touch()
    asked = time.monotonic()
    assert process.wait(120) == 0
    status = run.read_status()
    assert (status["state"], status["reason"]) == ("stopped", "stopped on request")
    assert newest_step(run) == status["step"] == status["last_checkpoint"] < STEPS
    said.append(f"stop file: exit code 0 after {time.monotonic() - asked:.2f} s, at step {status['step']}")

    process = started(run, drawn_folder)
    at_step(run, status["step"] + 40, process)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    assert process.wait(120) == 143
    status = run.read_status()
    assert (status["state"], status["reason"]) == ("stopped", "stopped by SIGTERM")
    assert newest_step(run) == status["step"] == status["last_checkpoint"] < STEPS
    assert pair.read_pair_json(run.pair)["step"] == status["step"]
    assert not run.is_running()
    said.append(f"SIGTERM: exit code 143 after {time.monotonic() - asked:.2f} s, at step {status['step']}")

    # The last part has nobody who listens: standard output and error closed, and the terminal gone.
    process = started(run, drawn_folder, stderr=None, preexec_fn=lambda: (os.close(1), os.close(2)))
    assert process.wait(600) == 0
    assert run.read_status()["state"] == "finished"
    assert digests(run) == digests(undisturbed)
    assert [line["step"] for line in run.read_metrics()] == list(range(5, STEPS + 1, 5))
    print("", *said, f"the end: {digests(run)['state.safetensors']['sha256'][:16]}, as undisturbed", sep="\n")


def test_a_second_signal_ends_at_once_whatever_the_main_thread_is_doing(tmp_path):
    """Without Keras: what listens is the same, and the main thread sits in one call that it does not come back from."""
    code = ("import ctypes, os, signal\n"
            "from r2f.ending import EndRequest\n"
            "with EndRequest() as request:\n"
            "    request.starting = False\n"
            "    os.write(1, b'here')\n"
            "    while True: ctypes.CDLL(None).sleep(60)\n")
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout.read(4) == b"here"
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None, "the first one waits for the end of the step"
        if number == signal.SIGTERM:
            process.send_signal(number)  # as a shutdown does, which signals the keeper too, and that passes it on
            time.sleep(SAME_REQUEST_SECONDS)
            assert process.poll() is None, "told twice at the same time, it is asked once"
        process.send_signal(number)
        asked = time.monotonic()
        assert process.wait(10) == 128 + number
        print(f"\na second {number.name}: gone after {1000 * (time.monotonic() - asked):.0f} ms")


@pytest.mark.crash
def test_a_second_signal_ends_at_once_in_the_middle_of_a_save(drawn_folder, tmp_path):
    run = Run(tmp_path / "run")
    process = started(run, drawn_folder, ("-c", SLOW_DISK))
    at_step(run, 5, process)
    process.send_signal(signal.SIGINT)
    while not list(run.checkpoints.glob(".step_*.tmp/state.safetensors")):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    assert process.wait(30) == 130
    print(f"\na second SIGINT in the middle of a save: gone after {1000 * (time.monotonic() - asked):.0f} ms")
    assert newest_step(run) is None and not run.is_running()
    process = started(run, drawn_folder)
    assert process.wait(600) == 0


@pytest.mark.crash
def test_killed_again_and_again_at_random_moments(undisturbed, drawn_folder, tmp_path):
    run, seed, kills, in_save = Run(tmp_path / "run"), time.time_ns() % 10_000, 0, 0
    chance, reached = random.Random(seed), 0
    while True:
        process = started(run, drawn_folder)
        goal = reached + chance.randint(20, 120)
        while process.poll() is None and not any(line["step"] >= goal for line in run.read_metrics(50)):
            time.sleep(0.005)
        time.sleep(chance.random() * 0.2)
        process.kill()
        if process.wait() == 0:
            break
        kills, reached = kills + 1, newest_step(run) or 0
        in_save += any(run.checkpoints.glob(".step_*.tmp"))
    print(f"\nseed {seed}: killed {kills} times, {in_save} times in a save; the end is the undisturbed one")
    assert kills >= 5
    assert digests(run) == digests(undisturbed)


@pytest.mark.crash
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk takes root")
def test_on_a_disk_that_is_really_full_it_goes_on_and_ends_with_a_sentence(drawn_folder, tmp_path):
    """A disk with room for one or two checkpoints."""
    run, disk = Run(tmp_path / "disk" / "run"), tmp_path / "disk"
    disk.mkdir()
    size = checkpoint_bytes() * 3 // 2 + 600_000
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        command = [sys.executable, "-m", "r2f.train", "--run", run.path, "--data", drawn_folder, *OPTIONS, *MORE, "--steps=100",
                   "--no-preflight"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        print("\n" + done.stderr.splitlines()[-1])
        assert done.returncode == 5
        assert newest_step(run) in (20, 40)
        assert run.read_metrics()[-1]["step"] == 100
        assert "free that much there" in run.read_status()["reason"]
        subprocess.run(["mount", "-o", f"remount,size={10 * size}", disk], check=True)
        command = [sys.executable, "-m", "r2f.train", "--run", run.path, "--resume", "--no-preflight"]
        assert subprocess.run(command, cwd=ROOT).returncode == 0
        assert newest_step(run) == 100
    finally:
        subprocess.run(["umount", disk], check=False)


def checkpoint_bytes():
    return preflight.estimate(config.preset("r2f", **TINY), (0, 0)).checkpoint_bytes
