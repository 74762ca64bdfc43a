"""A pupil paints at once what its teacher paints on average, and is trained, stopped and resumed like any other."""

import keras
import numpy as np
import pytest
from keras import ops
from machine import final_digest, losses, start
from tiny import TINY

from r2f import archive, config, pair, recorder, train
from r2f.distil import STRIDE, on_average
from r2f.run import Run


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A pair of another shape than the pupils'."""
    folder = tmp_path_factory.mktemp("teacher") / "pair"
    keras.utils.set_random_seed(7)
    arguments = config.preset("r2f", **TINY | dict(filters=8)).generator_arguments
    from r2f.networks import generator
    pair.save_pair(folder, {name: generator(**arguments, name=name) for name in ("bloom", "frost")}, {"networks": arguments})
    return folder


def weave(side):
    """What alternates every two pixels, in each direction and in both."""
    wave = np.where(np.arange(side) % STRIDE < STRIDE // 2, 1.0, -1.0)
    return np.stack([wave[:, None] + 0 * wave, wave + 0 * wave[:, None], wave[:, None] * wave], axis=-1).astype(np.float32)


def test_a_pattern_on_the_grid_is_gone_on_average_and_the_picture_stays():
    picture = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    network = lambda x, training: x + 0.3 * weave(x.shape[1])  # noqa: E731 - always at the same place of its grid
    assert np.abs(network(picture, False) - picture).max() > 0.29
    assert np.allclose(ops.convert_to_numpy(on_average(network, ops.convert_to_tensor(picture))), picture, atol=1e-6)


def settings(teacher, drawn_folder, **changes):
    return config.preset("r2f", **TINY | dict(teacher=str(teacher), data=str(drawn_folder), flip=False) | changes)


def test_only_the_generators_learn_each_from_its_teacher_and_from_the_others_pictures(teacher, drawn_folder):
    model = train.build(settings(teacher, drawn_folder))
    assert {id(each) for each in model.trainable_variables} == {
        id(each) for network in (model.bloom, model.frost) for each in network.trainable_variables}
    before = {name: getattr(model, name).get_weights() for name in ("bloom", "frost", "flower_judge", "rime_judge")}
    batch = np.random.default_rng(1).uniform(-1, 1, (2, 1, 32, 32, 3)).astype(np.float32)
    model.train_on_batch((batch[0], batch[1]))
    moved = {name for name, weights in before.items()
             if any(not np.array_equal(*each) for each in zip(weights, getattr(model, name).get_weights(), strict=True))}
    assert moved == {"bloom", "frost"}


def test_a_pupil_comes_nearer_to_its_teacher_and_resumed_it_is_the_same_bit_for_bit(teacher, drawn_folder, tmp_path, monkeypatch):
    whole, stopped, options = tmp_path / "whole", tmp_path / "stopped", (f"--teacher={teacher}", "--steps=60", "--log-steps=20")
    assert start(whole, drawn_folder, *options) == 0
    said = losses(whole)
    assert set(said[0]) > {"teacher_flower", "teacher_rime", "cycle_rime", "cycle_flower"} and "adversarial_rime" not in said[0]
    print("", *(f"step {line['step']}: {line['teacher_flower']:.3f} {line['teacher_rime']:.3f}" for line in said), sep="\n")
    assert said[-1]["teacher_flower"] < 0.85 * said[0]["teacher_flower"]
    assert pair.read_pair_json(Run(whole).pair)["networks"]["filters"] == TINY["filters"]

    record = recorder.Recorder.on_train_batch_end

    def stop_at_30(self, index, logs=None):
        if self.step + 1 == 30:
            self.run.stop.touch()
        record(self, index, logs)

    with monkeypatch.context() as patch:
        patch.setattr(recorder.Recorder, "on_train_batch_end", stop_at_30)
        assert start(stopped, drawn_folder, *options) == 0
    assert Run(stopped).read_status()["step"] == 30
    assert train.main(["--run", str(stopped), "--resume"]) == 0
    assert final_digest(stopped) == final_digest(whole)
    assert archive.export(Run(whole), None, tmp_path / "exported") == 0  # without its teacher
    assert pair.read_pair_json(tmp_path / "exported")["files"] == pair.read_pair_json(Run(whole).pair)["files"]


def test_a_light_weight_that_a_teacher_leaves_without_effect_is_said(teacher, tmp_path, caplog):
    command = ["--run", str(tmp_path / "pupil"), "--drawn", f"--teacher={teacher}", "--dry-run"]
    assert train.main([*command, "--preset=lite"]) == train.main([*command, "--light-weight=0"]) == 0 and not caplog.text
    assert train.main([*command, "--light-weight=3"]) == 0
    assert "--light-weight 3.0 has no effect: beside --teacher there is no light term" in caplog.text


def test_a_teacher_that_is_not_there_is_named(drawn_folder, tmp_path, capsys):
    assert start(tmp_path / "pupil", drawn_folder, "--teacher=nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
