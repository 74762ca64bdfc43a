"""The held-out pictures of a training, and the best pair, without a training; tests/test_train.py has it inside one."""

import errno
import os
from types import SimpleNamespace

import numpy as np
import pytest

from r2f import data, drawn, evaluate, pair, quality
from r2f.config import Config
from r2f.images import write_picture
from r2f.quality import Quality
from r2f.run import Run, append_line

NETWORKS = dict(filters=4, blocks=1, residual="add", upsampling="resize", padding="reflect", separable=False,
                norm_before_tanh=False)
INFO = {"networks": NETWORKS, "image_size": 32, "step": 7, "preset": "lite"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set with 8 held-out rime photos, and paintings by two hands: 12 with names in a_, colourful ones first, 2 in b_."""
    root = tmp_path_factory.mktemp("held-out")
    for name in ("trainA", "trainB", "testA", "testB"):
        (root / name).mkdir()
    for seed in range(8):
        write_picture(drawn.rime(seed, (40, 48)), root / "testB" / f"{seed}.png")
    for seed in range(14):
        painting = drawn.flower(seed, (40, 48), kind="ink")
        if seed < 8:  # a third of the green is gone: the most colourful
            painting = painting * np.array([1, 0.3, 1])
        write_picture(painting.astype(np.uint8), root / "testA" / f"{'a' if seed < 12 else 'b'}_{seed:02d}.png")
    return root


@pytest.fixture(scope="module")
def model():
    from r2f.networks import generator
    return SimpleNamespace(bloom_average=generator(**NETWORKS), frost_average=generator(**NETWORKS))


def settings(folder, **changes):
    return Config(**{"data": str(folder), "image_size": 32, "load_size": 40, "evaluate_count": 12, **changes})


def opened(tmp_path, folder, start=0, **changes):
    (tmp_path / "run").mkdir(exist_ok=True)
    return Quality(Run(tmp_path / "run"), settings(folder, **changes), start)


@pytest.fixture
def scored(monkeypatch):
    """A list of the scores that measuring will find, one after the other."""
    scores = []
    monkeypatch.setattr(evaluate, "quick", lambda *arguments: {"score": scores.pop(0)})
    return scores


def measure(it, model, step, line=None):
    it.measure(model, step, lambda: False)
    it.keep(model, {**INFO, "step": step}, line or {})


def test_held_out_flowers_are_chosen_like_those_to_learn_from(folder):
    everything = quality.yardstick(settings(folder, evaluate_count=100))
    assert (everything.rime.shape, everything.flowers.shape) == ((8, 32, 32, 3), (14, 32, 32, 3))
    by_name = quality.yardstick(settings(folder, evaluate_count=100, prefixes="a_"))
    assert np.array_equal(by_name.flowers, everything.flowers[:12])
    colourful = quality.yardstick(settings(folder, evaluate_count=8, prefixes="a_", colourful=8 / 12))
    assert np.array_equal(colourful.flowers, everything.flowers[:8])
    fewer = quality.yardstick(settings(folder, evaluate_count=10))
    assert len(fewer.flowers) == 10 and len(fewer.rime) == 8
    assert quality.yardstick(settings(folder)).digest != everything.digest


def test_where_there_is_too_little_to_measure_on_one_sentence_says_so(folder, tmp_path, caplog):
    for changes, sentence in ((dict(prefixes="b_"), "Figures need at least 8 held-out flower paintings; .*/testA has 2 readable "
                                                    "ones whose names begin with b_."),
                              (dict(prefixes="a_", colourful=0.5), "at least 16 .* has 12 readable ones"),
                              (dict(data="", rime="somewhere", flowers="elsewhere"), "no held-out pictures were named; give")):
        caplog.clear()
        it = opened(tmp_path, folder, **changes)
        print(it.note)
        assert it.yardstick is None and it.best == {} and len(caplog.records) == 1
        with pytest.raises(data.NoPictures, match=sentence):
            quality.yardstick(settings(folder, **changes))
    caplog.clear()
    it = opened(tmp_path, folder, evaluate_steps=0)
    assert it.yardstick is None and it.note is None and not caplog.records


def test_the_best_pair_is_kept_with_its_figures_and_becomes_the_runs(folder, model, scored, tmp_path):
    it, run = opened(tmp_path, folder), Run(tmp_path / "run")
    scored += [0.2, 0.5, 0.5]
    for step in (10, 20, 30):
        measure(it, model, step, {"step": step, "loss": 1 / step})
    kept = pair.read_pair_json(run.best)
    assert (kept["step"], kept["quality"]["step"], kept["quality"]["score"]) == (20, 20, 0.5)
    assert kept["quality"]["held_out"] == {"rime": 8, "flowers": 12, "sha256": it.yardstick.digest}
    assert [(each["step"], each["score"], each["loss"]) for each in run.read_quality()] \
        == [(10, 0.2, 0.1), (20, 0.5, 0.05), (30, 0.5, 1 / 30)]
    pair.save_pair(run.pair, {"bloom": model.bloom_average, "frost": model.frost_average}, {**INFO, "step": 30})
    it.crown()
    assert pair.read_pair(run.pair)[1] == kept


def test_what_was_the_best_is_known_from_the_disk_and_only_of_the_same_pictures(folder, model, scored, tmp_path, caplog):
    it, run = opened(tmp_path, folder), Run(tmp_path / "run")
    scored += [0.4, 0.3, 0.2]
    measure(it, model, 10)
    measure(it, model, 20)
    again = opened(tmp_path, folder, start=15)
    assert (again.best, again.latest["step"], again.measured) == (it.best, 10, {10})
    assert [each["step"] for each in run.read_quality()] == [10], "what comes after is measured again"
    other = opened(tmp_path, folder, start=15, evaluate_count=9)
    assert other.best == {} and "not those of before" in caplog.text
    measure(other, model, 20)
    assert pair.read_pair_json(run.best)["step"] == 20
    (run.best / "pair.json").write_text("{}")
    assert opened(tmp_path, folder, start=20).best == {}


def test_a_full_disk_leaves_the_best_pair_as_it_was_and_a_later_one_is_kept(folder, model, scored, tmp_path, monkeypatch):
    it, run = opened(tmp_path, folder), Run(tmp_path / "run")
    scored += [0.1, 0.5, 0.4]
    measure(it, model, 10)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(pair, "save_pair", full)
        with pytest.raises(OSError):
            measure(it, model, 20)
    assert it.best["step"] == pair.read_pair_json(run.best)["step"] == 10
    assert [each["step"] for each in run.read_quality()] == [10, 20]
    measure(it, model, 30)
    assert it.best["step"] == pair.read_pair_json(run.best)["step"] == 30


def test_a_figure_that_is_no_number_is_no_score(folder, model, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "quick", lambda *arguments: {"way_back": 1.0, "score": float("nan")})
    with pytest.raises(ArithmeticError, match="score can't be told"):
        opened(tmp_path, folder).measure(model, 10, lambda: False)


def test_asked_to_end_it_gives_up_after_the_picture_it_is_at(folder, tmp_path):
    seen = []
    network = SimpleNamespace(predict_on_batch=lambda batch: seen.append(1) or batch)
    it = opened(tmp_path, folder)
    assert it.measure(SimpleNamespace(bloom_average=network, frost_average=network), 10, lambda: len(seen) >= 3) is None
    assert len(seen) == 3 and it.latest == {} and not Run(tmp_path / "run").quality_file.exists()


def test_a_line_torn_by_a_crash_is_passed_over(folder, tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    append_line(run.quality_file, {"step": 5, "score": 0.1})
    with open(run.quality_file, "a") as file:
        file.write('{"step": 6, "sco')
    assert opened(tmp_path, folder, start=10).latest == {"step": 5, "score": 0.1}
