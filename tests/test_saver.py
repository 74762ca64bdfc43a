import errno
import threading
import time

import numpy as np
import pytest
from safetensors import SafetensorError

from r2f import checkpoint, saver
from r2f.saver import Saver


def state(value):
    return {"model/0000": np.full((3, 4), value, np.float32)}


@pytest.fixture
def slow(monkeypatch):
    """Saves last until `slow` is set."""
    go, commit = threading.Event(), checkpoint.commit

    def wait(*arguments):
        assert go.wait(30)
        return commit(*arguments)

    monkeypatch.setattr(checkpoint, "commit", wait)
    yield go
    go.set()


def test_a_save_does_not_wait_for_the_disk_and_flush_does(tmp_path, slow):
    mine = Saver(tmp_path)
    mine.save(1, state(1))
    assert mine.busy and mine.saved_step is None
    threading.Timer(0.1, slow.set).start()
    mine.flush()
    assert not mine.busy and mine.saved_step == 1
    assert checkpoint.newest(tmp_path)[0].name == "step_00000001"


def test_a_second_save_waits_for_the_first_so_that_both_are_written(tmp_path, slow):
    mine = Saver(tmp_path, saved_step=7)
    assert mine.saved_step == 7
    mine.save(8, state(8))
    threading.Timer(0.1, slow.set).start()
    mine.save(9, state(9))
    mine.close()
    assert mine.saved_step == 9
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["step_00000009", "step_00000008"]


def test_what_comes_after_runs_once_the_checkpoint_is_on_disk_and_in_the_saving_thread(tmp_path):
    seen = []
    mine = Saver(tmp_path)
    mine.save(3, state(3), after=lambda: seen.extend([checkpoint.newest(tmp_path)[0].name, mine.saved_step,
                                                      threading.get_ident()]))
    mine.flush()
    assert seen[:2] == ["step_00000003", 3] and seen[2] != threading.get_ident()


@pytest.mark.parametrize("code,remedy", [(errno.ENOSPC, "free that much there"), (errno.EROFS, "make the folder writable"),
                                         (errno.EIO, "copy the run's folder")])
def test_a_failed_save_is_told_in_one_sentence_with_a_remedy_and_forgotten_when_one_succeeds(tmp_path, monkeypatch, code, remedy):
    commit, mine = checkpoint.commit, Saver(tmp_path)

    def fail(*arguments):
        raise OSError(code, "it failed")

    monkeypatch.setattr(checkpoint, "commit", fail)
    mine.save(5, state(5), after=lambda: pytest.fail("it ran after a failure"))
    mine.flush()
    assert mine.error.errno == code and mine.saved_step is None
    assert mine.trouble.startswith(f"The checkpoint of step 5 could not be written to {tmp_path} (it failed): ")
    assert remedy in mine.trouble and mine.trouble.count(".") - str(tmp_path).count(".") == 1
    assert not mine.retry_due
    monkeypatch.setattr(saver, "RETRY_SECONDS", 0.0)
    assert mine.retry_due
    monkeypatch.setattr(checkpoint, "commit", commit)
    mine.save(6, state(6))
    mine.flush()
    assert (mine.error, mine.trouble, mine.saved_step, mine.retry_due) == (None, None, 6, False)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"),
                                   SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")])
def test_a_failure_of_what_comes_after_is_told_and_the_checkpoint_counts(tmp_path, error):
    def fail():
        raise error

    mine = Saver(tmp_path)
    mine.save(5, state(5), after=fail)
    mine.flush()
    assert mine.saved_step == 5 and mine.error.errno == errno.ENOSPC
    assert mine.trouble.startswith("What goes with the checkpoint of step 5 could not be written")


def test_a_defect_reaches_the_training_at_the_next_opportunity_and_only_once(tmp_path):
    def defect():
        raise ZeroDivisionError("a bug")

    mine = Saver(tmp_path)
    mine.save(1, state(1), after=defect)
    with pytest.raises(ZeroDivisionError):
        mine.save(2, state(2))
    mine.flush()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_is_refused_at_once_and_the_good_one_stays(tmp_path, bad):
    mine = Saver(tmp_path)
    mine.save(1, state(1))
    wrong = state(2)
    wrong["model/0000"][1, 2] = bad
    with pytest.raises(checkpoint.NotFinite, match="model/0000 is not finite in the state of step 2"):
        mine.save(2, wrong)
    with pytest.raises(checkpoint.NotFinite):
        checkpoint.commit(tmp_path, 2, wrong)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["step_00000001"]


def test_a_training_goes_on_while_a_large_state_is_written(tmp_path):
    """The thread that trains is never held up for long by the one that writes: what takes time lets go of the interpreter."""
    large = {f"model/{index:04d}": np.random.default_rng(index).random((1000, 1000), np.float32) for index in range(20)}  # 80 MB
    mine, longest, steps = Saver(tmp_path), 0.0, 0
    start = last = time.perf_counter()
    mine.save(1, large)
    while mine.busy:
        time.sleep(0.001)
        steps, longest, last = steps + 1, max(longest, time.perf_counter() - last), time.perf_counter()
    took = last - start
    assert mine.saved_step == 1
    assert longest < max(0.5, took / 2) and steps > 5
