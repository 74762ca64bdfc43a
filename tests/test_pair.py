import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import hostile_pairs
import numpy as np
import pytest
from tiny import TINY

from r2f import pair as pair_module
from r2f.config import Config, preset
from r2f.networks import generator
from r2f.pair import (
    CHOICES,
    NETWORKS,
    BadPair,
    NotReplaced,
    check_place,
    checked_arguments,
    exchange,
    load_pair,
    pair_variables,
    read_pair,
    read_pair_json,
    save_pair,
    weight_shapes,
    write_pair,
)

ARGUMENTS = Config(**TINY).generator_arguments


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def networks():
    return {name: generator(**ARGUMENTS, name=name) for name in NETWORKS}


@pytest.fixture
def pair(tmp_path, networks):
    save_pair(tmp_path / "pair", networks, {"networks": ARGUMENTS, "step": 1})
    return tmp_path / "pair"


def test_a_pair_comes_back_to_half_precision(pair, networks):
    loaded, info = load_pair(pair)
    assert info["step"] == 1
    for name in NETWORKS:
        for a, b in zip(loaded[name].get_weights(), networks[name].get_weights(), strict=True):
            assert np.array_equal(a, b.astype(np.float16))
    assert names(pair) == ["bloom.safetensors", "frost.safetensors", "pair.json"]
    assert names(pair.parent) == ["pair"]


def test_a_pair_needs_no_step_and_no_size(tmp_path, networks):
    """Older pairs, and those from other trainers, know neither."""
    for info in ({}, {"step": None, "image_size": None}, {"step": 0, "image_size": 256}):
        save_pair(tmp_path / "pair", networks, {"networks": ARGUMENTS, **info})
        assert read_pair_json(tmp_path / "pair").get("step") == info.get("step")


def test_a_pair_in_single_precision_comes_back_exactly(tmp_path, networks):
    arrays = {name: {key: np.asarray(v) for key, v in pair_variables(networks[name])} for name in NETWORKS}
    write_pair(tmp_path / "pair", arrays, {"networks": {**ARGUMENTS, "epsilon_on": "deviation"}}, numbers="float32")
    loaded, info = load_pair(tmp_path / "pair")
    assert info["numbers"] == "float32"
    for name in NETWORKS:
        assert all(map(np.array_equal, loaded[name].get_weights(), networks[name].get_weights()))
    assert {layer.epsilon_on for layer in loaded["bloom"].layers if hasattr(layer, "epsilon_on")} == {"deviation"}


def test_a_pair_is_replaced_and_its_card_stays(pair, networks, monkeypatch):
    (pair / "README.md").write_text("a card")
    for step, swap in ((2, exchange), (3, lambda a, b: False)):  # with the exchange of names, and where there is none
        monkeypatch.setattr(pair_module, "exchange", swap)
        save_pair(pair, networks, {"networks": ARGUMENTS, "step": step})
        assert read_pair_json(pair)["step"] == step
        assert (pair / "README.md").read_text() == "a card"
        assert names(pair.parent) == ["pair"]


def test_a_pair_takes_the_place_of_nothing_else(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "run/checkpoints", "empty", "pair/pair.json"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("photos/1.jpg", "file"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "nowhere").symlink_to("gone")
    before = sorted(tmp_path.rglob("*"))
    for name, says in (("photos", "1.jpg"), ("run", "checkpoints"), ("file", "is a file"), ("link", "is a link"),
                       ("nowhere", "is a link"), (".", "no name"), ("empty/..", "no name"), ("pair", "pair.json")):
        with pytest.raises(NotReplaced, match=says) as refusal:
            save_pair(Path(name), networks, {"networks": ARGUMENTS})
        assert "; name a new folder for the pair." in str(refusal.value) and "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before
    save_pair(tmp_path / "empty", networks, {"networks": ARGUMENTS})
    read_pair(tmp_path / "empty")


def test_what_lies_beside_a_pair_stays_when_it_is_replaced(pair, networks, monkeypatch):
    """A training replaces its pair for days; whoever looks into the folder may leave something there."""
    (pair / "sheets").mkdir()
    for name in ("README.md", ".DS_Store", "sheets/1.png"):
        (pair / name).write_text("mine")
    (pair / "newest").symlink_to("sheets/1.png")
    for step, swap in ((2, exchange), (3, lambda a, b: False)):
        monkeypatch.setattr(pair_module, "exchange", swap)
        save_pair(pair, networks, {"networks": ARGUMENTS, "step": step})
        assert read_pair(pair)[1]["step"] == step
        assert all((pair / name).read_text() == "mine" for name in ("README.md", ".DS_Store", "newest"))
        assert names(pair.parent) == ["pair"] and len(names(pair)) == 3 + 4
    with pytest.raises(NotReplaced, match="other things than a pair"):
        check_place(pair)


def test_a_weight_that_is_not_finite_never_reaches_a_pair(tmp_path, networks):
    for value in (np.inf, np.nan, 1e6):  # the last is too large for half precision
        broken = generator(**ARGUMENTS)
        weights = broken.get_weights()
        weights[0][0, 0, 0, 0] = value
        broken.set_weights(weights)
        with pytest.raises(BadPair, match="not finite"):
            save_pair(tmp_path / "pair", {**networks, "frost": broken}, {"networks": ARGUMENTS})
        assert names(tmp_path) == []


def test_the_weights_of_every_kind_of_generator_are_known_without_building_it():
    for residual, upsampling, norm, separable in itertools.product(
            CHOICES["residual"], CHOICES["upsampling"], CHOICES["norm"], (False, True)):
        arguments = {"filters": 2, "blocks": 2, "residual": residual, "upsampling": upsampling, "separable": separable,
                     "norm": norm, "norm_before_tanh": upsampling == "transposed"}
        built = {key: tuple(variable.shape) for key, variable in pair_variables(generator(**arguments))}
        assert list(built.items()) == list(weight_shapes(arguments).items()), arguments


def test_the_presets_may_be_published_and_far_larger_ones_may_not():
    for name in ("r2f", "lite", "paper", "seed"):
        checked_arguments({"networks": preset(name).generator_arguments})
    for change in ({"filters": 128, "blocks": 16, "residual": "concat"}, {"filters": 100_000}, {"blocks": True}, {"extra": 1},
                   {"filters": 1, "blocks": 100_000}, {"residual": "lambda"}, {"filters": 10 ** 4000}):
        with pytest.raises(BadPair, match="pair.json") as refusal:
            checked_arguments({"networks": {**ARGUMENTS, **change}})
        assert len(str(refusal.value)) < 400


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures memory as Linux tells it")
def test_every_hostile_pair_is_refused_with_one_sentence_before_memory_is_taken(pair, tmp_path):
    """In a process of its own, which measures the peak of its own memory."""
    folders = hostile_pairs.make_all(pair, tmp_path / "corpus")
    result = subprocess.run([sys.executable, hostile_pairs.__file__, pair], input=json.dumps(folders), text=True, timeout=120,
                            capture_output=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    print(f"\n{len(report['refused'])} of {report['folders']} hostile pairs refused with one sentence, "
          f"at most {report['extra_megabytes']} MB for one, the slowest in {report['slowest_seconds']} s")
    assert 90 < report["megabytes_of_100"] < 110  # the measurement works
    assert report["wrong"] == {} and not report["keras"]
    assert report["folders"] == len(report["refused"]) >= 40
    assert report["extra_megabytes"] < 50
    assert report["slowest_seconds"] < 5
    for name, sentence in report["refused"].items():
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500 + 2 * len(str(tmp_path)), (name, sentence)


@pytest.mark.parametrize("name,says", [
    ("no pair.json", "is not a pair: it has no pair.json"),
    ("the folder is a link", "is a link; name the folder itself"),
    ("weights are a link", "is a link"),
    ("weights missing", "is missing, so the pair is not whole"),
    ("a byte changed", "is damaged: its SHA-256"),
    ("cut short", "is damaged: it has"),
    ("an extra key", "does not hold the weights"),
    ("a key missing", "does not hold the weights"),
    ("another dtype", "F32"),
    ("another shape", "not F16"),
    ("a weight that is not a number", "not finite"),
    ("a path in a name", "bloom.safetensors and frost.safetensors, and no others"),
    ("format of the future", "has format 99; this version reads format 1"),
    ("a step that is a page", "has step <script>alert.1.</script>; it must be a whole number"),
    ("a size that is a page", "has image_size <b>; it must be a whole number"),
    ("a step that is true", "has step True; it must be a whole number"),
    ("nested deeply", "nested too deeply"),
    ("the header's length is a lie", "its header can't have"),
    ("overlapping offsets", "does not begin where another ends"),
])
def test_the_sentence_says_what_is_wrong(pair, tmp_path, name, says):
    with pytest.raises(BadPair, match=says):
        load_pair(hostile_pairs.make(name, pair, tmp_path / "hostile"))


def test_the_bytes_that_are_used_are_the_bytes_that_were_checked(pair, monkeypatch):
    """Someone swaps the file between the digest and the reading: there is no between."""
    other = bytes(reversed((pair / "bloom.safetensors").read_bytes()))
    sha256 = pair_module.hashlib.sha256

    def swap_after(content):
        (pair / "bloom.safetensors").write_bytes(other)
        return sha256(content)

    expected, _ = read_pair(pair)
    monkeypatch.setattr(pair_module.hashlib, "sha256", swap_after)
    arrays, _ = read_pair(pair)
    assert (pair / "bloom.safetensors").read_bytes() == other
    assert all(np.array_equal(arrays["bloom"][key], expected["bloom"][key]) for key in expected["bloom"])


@pytest.mark.parametrize("swap", [exchange, lambda a, b: False], ids=["exchange of names", "two renames"])
def test_whoever_reads_while_a_pair_is_replaced_gets_a_whole_one(pair, networks, monkeypatch, swap):
    """`step` and a weight are written together; a reader that saw two pairs mixed would see them differ."""
    monkeypatch.setattr(pair_module, "exchange", swap)
    arrays = {name: {key: np.zeros(v.shape) for key, v in pair_variables(networks[name])} for name in NETWORKS}
    key, done, reads, failures = next(iter(arrays["bloom"])), threading.Event(), [0], []

    def write(step):
        for name in NETWORKS:
            arrays[name][key][...] = step % 1000
        write_pair(pair, arrays, {"networks": ARGUMENTS, "step": step})

    def read():
        while not done.is_set():
            try:
                found, info = read_pair(pair)
                if {float(found[name][key].flat[0]) for name in NETWORKS} != {info["step"] % 1000}:
                    failures.append("mixed")
            except BadPair as error:
                failures.append(str(error))
            reads[0] += 1

    write(0)
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(1, 100):
        write(step)
    done.set()
    for reader in readers:
        reader.join()
    print(f"\n{len(failures)} of {reads[0]} reads failed while the pair was replaced 99 times")
    assert not failures and reads[0] > 100
