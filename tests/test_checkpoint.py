import numpy as np
import pytest

from r2f import checkpoint
from r2f.checkpoint import BadCheckpoint


def state(value):
    return {"model/0000": np.full((3, 4), value, np.float32), "model/0001": np.array(value, np.int32)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = checkpoint.commit(tmp_path, 7, state(7))
    assert path.name == "step_00000007"
    restored = checkpoint.restore(checkpoint.latest(tmp_path))
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
    assert checkpoint.latest(tmp_path).name == "step_00000001"
    assert "step_00000002" in caplog.text


def test_a_commit_after_falling_back_is_kept_and_what_did_not_verify_goes(tmp_path):
    for step in (10, 20, 30):
        checkpoint.commit(tmp_path, step, state(step), milestone=step == 10)
    for step in (20, 30):
        (tmp_path / f"step_{step:08d}" / "state.safetensors").write_bytes(b"damaged")
    assert checkpoint.latest(tmp_path).name == "step_00000010"
    assert checkpoint.commit(tmp_path, 11, state(11)).exists()
    assert names(tmp_path) == ["step_00000010", "step_00000011"]


def test_a_failed_save_keeps_every_earlier_checkpoint(tmp_path, monkeypatch):
    checkpoint.commit(tmp_path, 1, state(1))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.commit(tmp_path, 2, state(2))
    assert names(tmp_path) == ["step_00000001"]


def test_no_checkpoint_at_all_is_none(tmp_path):
    assert checkpoint.latest(tmp_path) is None


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
