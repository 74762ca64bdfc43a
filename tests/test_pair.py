import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import TINY

from r2f.checkpoint import digest
from r2f.config import Config
from r2f.networks import generator
from r2f.pair import NETWORKS, BadPair, load_pair, read_pair_json, save_pair


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def networks():
    arguments = Config(**TINY).generator_arguments
    return {name: generator(**arguments, name=name) for name in NETWORKS}


@pytest.fixture
def pair(tmp_path, networks):
    save_pair(tmp_path / "pair", networks, {"networks": Config(**TINY).generator_arguments, "step": 1})
    return tmp_path / "pair"


def rewritten(pair, change):
    """Change the arrays of bloom.safetensors and make the digest match again, as an attacker would."""
    arrays = load_file(pair / "bloom.safetensors")
    save_file(change(arrays), pair / "bloom.safetensors")
    info = json.loads((pair / "pair.json").read_text())
    info["files"]["bloom.safetensors"]["sha256"] = digest(pair / "bloom.safetensors")
    (pair / "pair.json").write_text(json.dumps(info))


def test_a_pair_comes_back_to_half_precision(pair, networks):
    loaded, info = load_pair(pair)
    assert info["step"] == 1
    for name in NETWORKS:
        for a, b in zip(loaded[name].get_weights(), networks[name].get_weights(), strict=True):
            assert np.array_equal(a, b.astype(np.float16))
    assert names(pair) == ["bloom.safetensors", "frost.safetensors", "pair.json"]
    assert names(pair.parent) == ["pair"]


def test_a_pair_is_replaced_and_its_card_stays(pair, networks):
    (pair / "README.md").write_text("a card")
    save_pair(pair, networks, {"networks": Config(**TINY).generator_arguments, "step": 2})
    assert read_pair_json(pair)["step"] == 2
    assert (pair / "README.md").read_text() == "a card"


def test_a_weight_that_is_not_finite_never_reaches_a_pair(tmp_path, networks):
    broken = generator(**Config(**TINY).generator_arguments)
    weights = broken.get_weights()
    weights[0][0, 0, 0, 0] = np.inf
    broken.set_weights(weights)
    with pytest.raises(BadPair, match="not finite"):
        save_pair(tmp_path / "pair", {**networks, "frost": broken}, {"networks": Config(**TINY).generator_arguments})
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
        load_pair(pair)


def edit(pair, **values):
    info = json.loads((pair / "pair.json").read_text())
    (pair / "pair.json").write_text(json.dumps({**info, **values}))


def test_absurd_or_unknown_descriptions_of_a_pair_are_refused(pair):
    arguments = Config(**TINY).generator_arguments
    wide = {**arguments, "filters": 128, "blocks": 16, "residual": "concat"}
    for networks in (wide, {**arguments, "filters": 100_000}, {**arguments, "blocks": True}, {**arguments, "extra": 1}, {}, [1]):
        edit(pair, networks=networks)
        with pytest.raises(BadPair, match="pair.json"):
            load_pair(pair)
    edit(pair, format=99)
    with pytest.raises(BadPair, match="format 99"):
        load_pair(pair)


def test_a_damaged_missing_or_linked_file_of_a_pair_is_refused(pair, tmp_path):
    path = pair / "frost.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(BadPair, match="damaged"):
        load_pair(pair)
    path.unlink()
    with pytest.raises(BadPair, match="missing"):
        load_pair(pair)
    (tmp_path / "elsewhere").write_bytes(content)
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(BadPair, match="link"):
        load_pair(pair)
    with pytest.raises(BadPair, match="no pair.json"):
        load_pair(tmp_path)
