"""The trainer, through its command line. One process trains several runs here: tracing the step is what costs time."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import OPTIONS

from r2f import checkpoint, config, pair, train
from r2f.images import read_picture
from r2f.run import Run


def start(path, drawn_folder, *more):
    return train.main(["--run", str(path), "--data", str(drawn_folder), *OPTIONS, *more])


def losses(path):
    """Metrics without what depends on the clock and the process."""
    other = ("pairs_per_second", "seconds", "memory_megabytes")
    return [{k: v for k, v in line.items() if k not in other} for line in Run(path).read_metrics()]


def final_digest(path):
    return checkpoint.verify(checkpoint.latest(Run(path).checkpoints))["files"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, drawn_folder):
    """A run that nobody disturbed, 8 steps long."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert start(path, drawn_folder, "--sample-steps=4", "--milestone-steps=4") == 0
    return path


def test_a_run_leaves_everything_in_its_directory(finished):
    run = Run(finished)
    assert sorted(path.name for path in finished.iterdir()) == [
        "checkpoints", "config.json", "lock", "metrics.jsonl", "pair", "samples", "status.json"]
    assert [path.name for path in sorted(run.checkpoints.iterdir())] == ["step_00000004", "step_00000008"]
    assert read_picture(run.sample(8)).shape == (2 * 32, 6 * 32, 3)
    status = run.read_status()
    assert (status["state"], status["step"], status["last_checkpoint"]) == ("finished", 8, 8)
    lines = run.read_metrics()
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert all(np.isfinite(line[name]) for line in lines for name in ("loss", *train.LOSSES))
    assert [line["learning_rate"] for line in lines] == pytest.approx([2e-4, 2e-4, 1e-4, 0], abs=1e-9)


def test_the_pair_of_a_run_is_the_averaged_generators(finished):
    networks, info = pair.load_pair(Run(finished).pair)
    assert (info["step"], info["preset"], info["image_size"]) == (8, "r2f", 32)
    assert info["pictures"] == {"rime": 6, "flowers": 5}
    assert set(networks) == {"bloom", "frost"}


def test_the_same_command_twice_gives_the_same_metrics_and_the_same_weights(finished, tmp_path, drawn_folder):
    assert start(tmp_path / "again", drawn_folder, "--sample-steps=4") == 0
    assert losses(tmp_path / "again") == losses(finished)
    assert final_digest(tmp_path / "again") == final_digest(finished)


def test_stopped_and_resumed_equals_undisturbed_bit_for_bit(finished, tmp_path, drawn_folder, monkeypatch):
    path, record = tmp_path / "stopped", train.Recorder.on_train_batch_end

    def stop_at_5(self, index, logs=None):  # between two lines of metrics
        if self.step + 1 == 5:
            self.run.stop.touch()
        record(self, index, logs)

    with monkeypatch.context() as patch:
        patch.setattr(train.Recorder, "on_train_batch_end", stop_at_5)
        assert start(path, drawn_folder) == 0
    assert Run(path).read_status()["state"] == "stopped"
    assert Run(path).read_status()["step"] == 5
    assert train.main(["--run", str(path), "--resume"]) == 0
    assert losses(path) == losses(finished)
    assert final_digest(path) == final_digest(finished)


def test_on_jax_too_stopped_and_resumed_equals_undisturbed():
    name = "test_stopped_and_resumed_equals_undisturbed_bit_for_bit"
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{name}"], check=True,
                   cwd=Path(__file__).parent.parent, env={**os.environ, "KERAS_BACKEND": "jax"})


def test_a_finished_run_resumed_writes_its_pair_again_and_has_nothing_else_to_do(finished, caplog):
    before = final_digest(finished)
    shutil.rmtree(Run(finished).pair)  # as if the trainer had been killed between checkpoint and pair
    with caplog.at_level(logging.INFO):
        assert train.main(["--run", str(finished), "--resume"]) == 0
    assert "nothing to do" in caplog.text
    assert final_digest(finished) == before
    assert Run(finished).read_status()["state"] == "finished"
    assert pair.read_pair_json(Run(finished).pair)["step"] == 8


def test_a_number_that_is_not_finite_ends_the_run_and_names_it(tmp_path, drawn_folder, capsys):
    assert start(tmp_path / "run", drawn_folder, "--learning-rate=1e38") == train.EXIT_NOT_FINITE
    message = capsys.readouterr().err
    assert "at step" in message and "last good checkpoint is of step 0" in message
    assert Run(tmp_path / "run").read_status()["state"] == "failed"
    assert not Run(tmp_path / "run").pair.exists()


def test_a_run_that_breaks_says_so_in_its_status(tmp_path, drawn_folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train.data, "load_pictures", full)
    with pytest.raises(OSError, match="No space left"):
        start(tmp_path / "run", drawn_folder)
    assert Run(tmp_path / "run").read_status()["state"] == "failed"
    assert "No space left" in Run(tmp_path / "run").read_status()["reason"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_after_its_step_with_a_checkpoint(number, tmp_path, drawn_folder):
    run = Run(tmp_path / "run")
    command = [sys.executable, "-m", "r2f.train", "--run", run.path, "--data", drawn_folder, *OPTIONS, "--steps=100000"]
    process = subprocess.Popen(command, cwd=Path(train.__file__).parent.parent, stderr=subprocess.PIPE, text=True)
    while not run.read_metrics():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    os.kill(process.pid, number)
    assert process.wait(60) == 128 + number
    status = run.read_status()
    assert (status["state"], status["reason"]) == ("stopped", f"stopped by {number.name}")
    assert checkpoint.latest(run.checkpoints).name == f"step_{status['step']:08d}"
    assert status["last_checkpoint"] == status["step"]
    assert not run.is_running()


@pytest.mark.parametrize("arguments,says", [
    ([], "--run runs/NAME"),
    (["--run", "RUN"], "--rime DIR and --flowers DIR"),
    (["--run", "RUN", "--rime", "nowhere", "--flowers", "nowhere"], "There is no folder nowhere to take rime photos from"),
    (["--run", "RUN", "--filters", "0"], "filters is 0"),
    (["--run", "RUN", "--resume", "--drawn"], "There is no run"),
])
def test_bad_input_gets_one_sentence_and_exit_code_2(tmp_path, arguments, says, capsys):
    arguments = [str(tmp_path / "run") if each == "RUN" else each for each in arguments]
    assert train.main(arguments) == train.EXIT_BAD_INPUT == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_run_is_never_overwritten_and_never_shared(finished, drawn_folder, capsys):
    assert start(finished, drawn_folder) == 2
    assert "--resume" in capsys.readouterr().err
    with Run(finished).locked():
        assert train.main(["--run", str(finished), "--resume"]) == train.EXIT_BUSY == 75
    assert "Another training is running" in capsys.readouterr().err


def test_a_structural_difference_is_refused_when_resuming(finished, capsys):
    assert train.main(["--run", str(finished), "--resume", "--filters", "8"]) == 2
    assert "filters 4, not 8" in capsys.readouterr().err


def test_dry_run_prints_the_configuration_and_writes_nothing(tmp_path, capsys):
    assert train.main(["--run", str(tmp_path / "run"), "--preset", "seed", "--drawn", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["residual"] == "concat"
    assert list(tmp_path.iterdir()) == []


def test_the_learning_rate_is_constant_then_falls_linearly_to_zero():
    schedule = train.ConstantThenLinear(2e-4, 100, 0.5)
    assert [float(schedule(step)) for step in (0, 50, 75, 100)] == pytest.approx([2e-4, 2e-4, 1e-4, 0])
    constant = train.ConstantThenLinear(2e-4, 100, 1.0)
    assert float(constant(99)) == pytest.approx(2e-4)


def test_the_presets_build():
    settings = config.preset("lite", image_size=32, load_size=32, filters=2, blocks=1, discriminator_filters=2)
    model = train.build(settings)
    assert model.bloom.count_params() == model.bloom_average.count_params()


def test_a_training_starts_from_a_pair_of_the_same_shape(finished, tmp_path, drawn_folder, capsys):
    path = tmp_path / "further"
    assert start(path, drawn_folder, f"--start-from={Run(finished).pair}", "--steps=1", "--learning-rate=0") == 0
    (before, _), (after, _) = pair.load_pair(Run(finished).pair), pair.load_pair(Run(path).pair)
    for name in before:
        assert all(map(np.array_equal, before[name].get_weights(), after[name].get_weights()))
    assert start(tmp_path / "other", drawn_folder, f"--start-from={Run(finished).pair}", "--filters=8") == 2
    assert "has filters 4 and this training 8; add --filters 4" in capsys.readouterr().err
