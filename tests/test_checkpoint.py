import contextlib
import errno
import json
import os
import re
import stat

import numpy as np
import pytest
from safetensors import SafetensorError

from r2f import checkpoint
from r2f.checkpoint import BadCheckpoint


def state(value):
    return {"model/0000": np.full((3, 4), value, np.float32), "model/0001": np.array(value, np.int32)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = checkpoint.commit(tmp_path, 7, state(7))
    assert path.name == "step_00000007"
    restored = checkpoint.restore(checkpoint.newest(tmp_path)[0])
    assert all(np.array_equal(restored[name], array) and restored[name].dtype == array.dtype for name, array in state(7).items())


def test_the_newest_two_and_the_milestones_are_kept_and_leftovers_are_swept(tmp_path):
    (tmp_path / ".step_00000001.tmp").mkdir()
    for step in (1, 2, 3, 4):
        checkpoint.commit(tmp_path, step, state(step), milestone=step == 1)
    assert names(tmp_path) == ["step_00000001", "step_00000003", "step_00000004"]


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "no manifest", "empty manifest"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, damage, caplog):
    checkpoint.commit(tmp_path, 1, state(1))
    newest = checkpoint.commit(tmp_path, 2, state(2))
    data, manifest = newest / "state.safetensors", newest / "manifest.json"
    match damage:
        case "cut":
            data.write_bytes(data.read_bytes()[:-1])
        case "flip":
            data.write_bytes(data.read_bytes()[:-1] + bytes([data.read_bytes()[-1] ^ 1]))
        case "missing":
            data.unlink()
        case "no manifest":
            manifest.unlink()
        case "empty manifest":
            manifest.write_text("{}")
    assert checkpoint.newest(tmp_path)[0].name == "step_00000001"
    assert "step_00000002" in caplog.text


def test_a_commit_after_falling_back_is_kept_and_what_did_not_verify_goes(tmp_path):
    for step in (10, 20, 30):
        checkpoint.commit(tmp_path, step, state(step), milestone=step == 10)
    for step in (20, 30):
        (tmp_path / f"step_{step:08d}" / "state.safetensors").write_bytes(b"damaged")
    assert checkpoint.newest(tmp_path)[0].name == "step_00000010"
    assert checkpoint.commit(tmp_path, 11, state(11)).exists()
    assert names(tmp_path) == ["step_00000010", "step_00000011"]


def test_a_failed_save_keeps_every_earlier_checkpoint(tmp_path, monkeypatch):
    checkpoint.commit(tmp_path, 1, state(1))

    def full(*arguments):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint.commit(tmp_path, 2, state(2))
    assert names(tmp_path) == ["step_00000001"]


def test_no_checkpoint_at_all_is_none(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    assert checkpoint.newest(tmp_path / "none") is None


def test_checkpoints_of_which_none_verifies_are_an_error_and_not_a_start_from_nothing(tmp_path):
    for step in (1, 2):
        (checkpoint.commit(tmp_path, step, state(step)) / "state.safetensors").write_bytes(b"damaged")
    with pytest.raises(BadCheckpoint, match="none of the 2 checkpoints in .* verifies; start a new run"):
        checkpoint.newest(tmp_path)


def test_the_newest_is_that_of_the_highest_step_however_many_digits_it_has(tmp_path):
    for step in (99_999_999, 100_000_000):
        checkpoint.commit(tmp_path, step, state(step))
    path, found = checkpoint.newest(tmp_path)
    assert path.name == "step_100000000" and found["model/0001"] == 100_000_000


def test_a_checkpoint_says_its_size_and_digest_and_one_from_before_sizes_is_still_read(tmp_path):
    path = checkpoint.commit(tmp_path, 1, state(1), milestone=True)
    described = checkpoint.verify(path)["files"]["state.safetensors"]
    assert described["bytes"] == (path / "state.safetensors").stat().st_size
    old = {"step": 1, "milestone": True, "files": {"state.safetensors": described["sha256"]}}
    (path / "manifest.json").write_text(json.dumps(old))
    assert checkpoint.newest(tmp_path)[1]["model/0001"] == 1


def test_the_last_good_one_is_kept_however_many_newer_ones_are_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "KEPT", 9)
    for step in (1, 2, 3, 4):
        checkpoint.commit(tmp_path, step, state(step))
    for step in (2, 3, 4):
        (tmp_path / f"step_{step:08d}" / "state.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(checkpoint, "KEPT", 2)
    checkpoint.commit(tmp_path, 5, state(5))
    assert "step_00000001" in names(tmp_path)
    checkpoint.commit(tmp_path, 6, state(6))
    assert names(tmp_path) == ["step_00000005", "step_00000006"]


def test_a_checkpoint_that_may_not_be_read_is_an_error_and_not_a_reason_to_take_an_older_one(tmp_path, monkeypatch):
    for step in (1, 2):
        checkpoint.commit(tmp_path, step, state(step))

    def refuse(path, *arguments):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checkpoint, "open", refuse, raising=False)
    with pytest.raises(PermissionError, match="step_00000002"):
        checkpoint.newest(tmp_path)


@pytest.mark.parametrize("code,goes_on", [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False), (errno.ENOSPC, False)])
def test_a_mounted_cloud_that_cannot_force_directories_is_no_failure_and_a_broken_disk_is(tmp_path, monkeypatch, code, goes_on):
    fsync = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    with contextlib.nullcontext() if goes_on else pytest.raises(OSError, match=re.escape(os.strerror(code))):
        checkpoint.commit(tmp_path / "deep" / "checkpoints", 1, state(1))
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
    with pytest.raises(OSError):
        checkpoint.write_arrays(tmp_path / "x", state(1))


def test_the_state_of_a_model_is_a_copy_that_later_steps_do_not_change():
    import keras

    class Holder:
        metrics_variables = []

        def __init__(self):
            self.variables = [keras.Variable(np.arange(6, dtype=np.float32).reshape(2, 3)), keras.Variable(3, dtype="int32")]

    model = Holder()
    model.optimizer = Holder()
    before = checkpoint.state_of(model)
    for variable in [*model.variables, *model.optimizer.variables]:
        variable.assign_add(keras.ops.ones(variable.shape, variable.dtype))
    assert np.array_equal(before["model/0000"], np.arange(6).reshape(2, 3)) and before["optimizer/0001"] == 3
    checkpoint.set_state(model, before)
    assert np.array_equal(keras.ops.convert_to_numpy(model.variables[0]), before["model/0000"])
    lent = np.arange(12.0)
    assert not np.shares_memory(checkpoint.own(lent[:6]), lent) and checkpoint.own(lent[::2]).flags.c_contiguous


def test_a_state_that_does_not_fit_changes_nothing():
    class Variable:
        shape = (2,)

        def assign(self, value):
            raise AssertionError("assigned")

    class Holder:
        variables = [Variable()]

    class Model(Holder):
        optimizer = Holder()
        metrics_variables = []

    with pytest.raises(BadCheckpoint, match="another configuration"):
        checkpoint.set_state(Model(), {"model/0000": np.zeros(2)})
    with pytest.raises(BadCheckpoint, match="shape"):
        checkpoint.set_state(Model(), {"model/0000": np.zeros(2), "optimizer/0000": np.zeros(3)})
