import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import TINY

from r2f import checkpoint
from r2f.checkpoint import BadCheckpoint, BadPair
from r2f.config import Config
from r2f.networks import generator


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


@pytest.fixture(scope="module")
def networks():
    arguments = Config(**TINY).generator_arguments
    return {name: generator(**arguments, name=name) for name in checkpoint.NETWORKS}


@pytest.fixture
def pair(tmp_path, networks):
    checkpoint.save_pair(tmp_path / "pair", networks, {"networks": Config(**TINY).generator_arguments, "step": 1})
    return tmp_path / "pair"


def rewritten(pair, change):
    """Change the arrays of bloom.safetensors and make the digest match again, as an attacker would."""
    arrays = load_file(pair / "bloom.safetensors")
    save_file(change(arrays), pair / "bloom.safetensors")
    info = json.loads((pair / "pair.json").read_text())
    info["files"]["bloom.safetensors"]["sha256"] = checkpoint.digest(pair / "bloom.safetensors")
    (pair / "pair.json").write_text(json.dumps(info))


def test_a_pair_comes_back_to_half_precision(pair, networks):
    loaded, info = checkpoint.load_pair(pair)
    assert info["step"] == 1
    for name in checkpoint.NETWORKS:
        for a, b in zip(loaded[name].get_weights(), networks[name].get_weights(), strict=True):
            assert np.array_equal(a, b.astype(np.float16))
    assert names(pair) == ["bloom.safetensors", "frost.safetensors", "pair.json"]
    assert names(pair.parent) == ["pair"]


def test_a_pair_is_replaced_and_its_card_stays(pair, networks):
    (pair / "README.md").write_text("a card")
    checkpoint.save_pair(pair, networks, {"networks": Config(**TINY).generator_arguments, "step": 2})
    assert checkpoint.read_pair_json(pair)["step"] == 2
    assert (pair / "README.md").read_text() == "a card"


def test_a_weight_that_is_not_finite_never_reaches_a_pair(tmp_path, networks):
    broken = generator(**Config(**TINY).generator_arguments)
    weights = broken.get_weights()
    weights[0][0, 0, 0, 0] = np.inf
    broken.set_weights(weights)
    with pytest.raises(BadPair, match="not finite"):
        checkpoint.save_pair(tmp_path / "pair", {**networks, "frost": broken}, {"networks": Config(**TINY).generator_arguments})
    assert not (tmp_path / "pair").exists()


def first(arrays):
    return sorted(arrays)[0]


@pytest.mark.parametrize("change,says", [
    (lambda a: {**a, "extra": np.zeros(1, np.float16)}, "does not hold the weights"),
    (lambda a: {k: v for k, v in a.items() if k != first(a)}, "does not hold the weights"),
    (lambda a: {**a, first(a): a[first(a)].astype(np.float32)}, "F32"),
    (lambda a: {**a, first(a): np.zeros((1, 1), np.float16)}, "not F16"),
    (lambda a: {**a, first(a): np.full_like(a[first(a)], np.nan)}, "not finite"),
])
def test_a_hostile_pair_is_refused_with_one_sentence(pair, change, says):
    rewritten(pair, change)
    with pytest.raises(BadPair, match=says):
        checkpoint.load_pair(pair)


def edit(pair, **values):
    info = json.loads((pair / "pair.json").read_text())
    (pair / "pair.json").write_text(json.dumps({**info, **values}))


def test_absurd_or_unknown_descriptions_of_a_pair_are_refused(pair):
    arguments = Config(**TINY).generator_arguments
    wide = {**arguments, "filters": 128, "blocks": 16, "residual": "concat"}
    for networks in (wide, {**arguments, "filters": 100_000}, {**arguments, "blocks": True}, {**arguments, "extra": 1}, {}, [1]):
        edit(pair, networks=networks)
        with pytest.raises(BadPair, match="pair.json"):
            checkpoint.load_pair(pair)
    edit(pair, format=99)
    with pytest.raises(BadPair, match="format 99"):
        checkpoint.load_pair(pair)


def test_a_damaged_missing_or_linked_file_of_a_pair_is_refused(pair, tmp_path):
    path = pair / "frost.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(BadPair, match="damaged"):
        checkpoint.load_pair(pair)
    path.unlink()
    with pytest.raises(BadPair, match="missing"):
        checkpoint.load_pair(pair)
    (tmp_path / "elsewhere").write_bytes(content)
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(BadPair, match="link"):
        checkpoint.load_pair(pair)
    with pytest.raises(BadPair, match="no pair.json"):
        checkpoint.load_pair(tmp_path)


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
