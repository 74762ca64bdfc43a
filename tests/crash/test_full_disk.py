"""Saves to a disk that is really full, really read-only, and a real limit on the size of files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from r2f import checkpoint
from r2f.saver import Saver

HERE = Path(__file__).parent


def state(step):
    return {"model/0000": np.random.default_rng(step).random(100_000, np.float32)}  # 400 kB


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() or not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", place],
                                                   capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def holds(folder, *steps):
    assert sorted(os.listdir(folder)) == [f"step_{step:08d}" for step in steps]
    path, found = checkpoint.newest(folder)
    assert checkpoint.step_of(path) == steps[-1] and np.array_equal(found["model/0000"], state(steps[-1])["model/0000"])


def test_a_full_disk_keeps_every_checkpoint_says_what_to_free_and_saves_again_when_there_is_room(small_disk, say):
    saver, folder = Saver(small_disk / "checkpoints"), small_disk / "checkpoints"
    for step in (1, 2):
        saver.save(step, state(step))
    saver.flush()
    (small_disk / "other").write_bytes(bytes(1_000_000))
    for step in (3, 4):
        saver.save(step, state(step))
        saver.flush()
        assert saver.saved_step == 2 and isinstance(saver.error, OSError)
        holds(folder, 1, 2)
    say(saver.trouble)
    assert "step 4 could not be written" in saver.trouble and "No space left on device" in saver.trouble
    assert "it takes 1 MB and 0 MB are free" in saver.trouble
    (small_disk / "other").unlink()
    saver.save(5, state(5))
    saver.flush()
    assert (saver.saved_step, saver.error, saver.trouble) == (5, None, None)
    holds(folder, 2, 5)


def test_a_disk_that_fills_at_any_byte_keeps_every_checkpoint(small_disk, say):
    folder, failed = small_disk / "checkpoints", 0
    for step in (1, 2):
        checkpoint.commit(folder, step, state(step))
    free = shutil.disk_usage(small_disk).free
    for left in range(0, 500_000, 4096):  # a page more each time
        (small_disk / "other").write_bytes(bytes(max(0, free - left)))
        try:
            checkpoint.commit(folder, 3, state(3))
            break
        except OSError:
            failed += 1
            holds(folder, 1, 2)
    holds(folder, 2, 3)
    say(f"a save that ran out of room after 0, 4, 8, ... kB: {failed} failures, every checkpoint kept each time")
    assert failed > 50


def test_a_disk_that_turns_read_only_keeps_every_checkpoint(small_disk, say):
    saver, folder = Saver(small_disk / "checkpoints"), small_disk / "checkpoints"
    for step in (1, 2):
        saver.save(step, state(step))
    saver.flush()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    saver.save(3, state(3))
    saver.flush()
    assert "make the folder writable again" in saver.trouble
    say(saver.trouble)
    holds(folder, 1, 2)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    saver.save(3, state(3))
    saver.close()
    holds(folder, 2, 3)


def test_a_limit_on_the_size_of_files_is_an_oserror_and_keeps_every_checkpoint(tmp_path):
    """Needs no right to mount: the same refusal in the middle of a write."""
    program = """
import resource, sys
from pathlib import Path
from test_full_disk import checkpoint, holds, state
folder = Path(sys.argv[1])
for step in (1, 2):
    checkpoint.commit(folder, step, state(step))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.commit(folder, 3, state(3))
except OSError as error:
    print(error.strerror)
holds(folder, 1, 2)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "checkpoints"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"})
    assert done.stdout == "File too large\n", done.stderr
