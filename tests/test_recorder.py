"""What a training leaves behind besides its checkpoints, and what it can be asked for; tests/test_train.py has the rest of it."""

import errno
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from machine import STEPS, different, losses, state_at

from r2f import checkpoint, drawn, evaluate, events, pair, recorder, train
from r2f.cyclegan import LOSSES
from r2f.images import write_picture
from r2f.recorder import Recorder
from r2f.run import Run
from r2f.shell import python

FULL = OSError(errno.ENOSPC, "No space left on device")


def full(*arguments, **named):
    raise FULL


@pytest.fixture(scope="module")
def measured(tmp_path_factory, drawn_folder):
    """The settings of a training that is measured at every second step."""
    root = tmp_path_factory.mktemp("measured")
    for name in ("trainA", "trainB"):
        shutil.copytree(drawn_folder / name, root / name)
    for name, draw in (("testA", drawn.flower), ("testB", drawn.rime)):
        (root / name).mkdir()
        for seed in range(8):
            write_picture(draw(seed, (40, 48)), root / name / f"{seed}.png")
    return dict(data=str(root), evaluate_steps=2, evaluate_count=8)


@pytest.fixture
def scores(machine, monkeypatch):
    """By step, the score that measuring will find, or the error that it will end with."""
    found = {}

    def quick(bloom, frost, yardstick):
        score = found[int(machine.model.step.value)]
        bloom(yardstick.rime[0])
        if isinstance(score, Exception):
            raise score
        return {"score": score, "way_back": 0.5}

    monkeypatch.setattr(evaluate, "quick", quick)
    return found


def pair_step(folder):
    return pair.read_pair_json(folder)["step"]


def in_step(monkeypatch, step, do):
    """Have something done while a step is being computed."""
    monkeypatch.setattr(Recorder, "on_train_batch_begin", lambda self, index, logs=None: self.step == step - 1 and do())


# --- quality


def test_measuring_changes_no_number_of_the_training(finished, machine, measured, tmp_path):
    run = Run(tmp_path / "run")
    machine.go_on(run.path, state_at(finished, 3), 3, **measured)
    assert not different(state_at(run.path, STEPS), state_at(finished, STEPS))
    lines, quality, before = losses(run.path), run.read_quality(), losses(finished)[1:]
    assert [each["step"] for each in quality] == [4, 6, 8]
    assert [{name: line[name] for name in earlier} for line, earlier in zip(lines, before, strict=True)] == before
    for line, each in zip(lines, quality, strict=True):
        assert {"score", "way_back", "gap_closed_bloom", "kid_frost", "colour_noise", "measuring_seconds", "loss"} <= set(each)
        assert line["score"] == each["score"]
    best = max(quality, key=lambda each: each["score"])
    arrays, info = pair.read_pair(run.pair)
    assert (info["step"], info["quality"]["score"]) == (best["step"], best["score"])
    checkpoint.set_state(machine.model, state_at(finished, best["step"]))
    for name in arrays:
        for key, variable in pair.pair_variables(getattr(machine.model, f"{name}_average")):
            assert np.array_equal(checkpoint.to_numpy(variable).astype(np.float16), arrays[name][key])
    status = run.read_status()
    print(f"best {status['best']}, newest {status['quality']}")
    assert status["best"] == {"step": best["step"], "score": best["score"]} and status["quality"]["step"] == STEPS
    assert status["doing"] is status["quality_note"] is status["write_error"] is None


def test_the_pair_is_the_newest_until_the_end_and_then_the_best_also_of_before_a_stop(finished, machine, measured, scores,
                                                                                    tmp_path, monkeypatch):
    scores.update({4: 0.5, 6: 0.3, 8: 0.2})
    run = Run(tmp_path / "run")
    in_step(monkeypatch, 7, run.stop.touch)
    assert machine.go_on(run.path, state_at(finished, 3), 3, **measured).step == 7
    assert run.read_status()["state"] == "stopped"
    assert (pair_step(run.pair), pair_step(run.best)) == (7, 4)
    run.stop.unlink()
    machine.go_on(run.path, state_at(run.path, 7), 7, **measured)
    assert (pair_step(run.pair), pair_step(run.best)) == (4, 4)
    assert run.read_status()["best"] == {"step": 4, "score": 0.5} and run.read_status()["quality"]["score"] == 0.2
    assert [each["step"] for each in run.read_quality()] == [4, 6, 8]


def test_asked_to_end_while_it_measures_it_ends_and_measures_when_it_goes_on(finished, machine, measured, scores, tmp_path,
                                                                           monkeypatch):
    run, quick = Run(tmp_path / "run"), evaluate.quick
    scores.update({4: 0.1, 6: 0.7, 8: 0.2})

    def asked_meanwhile(bloom, frost, yardstick):
        if int(machine.model.step.value) == 6:
            run.stop.touch()
        return quick(bloom, frost, yardstick)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "quick", asked_meanwhile)
        assert machine.go_on(run.path, state_at(finished, 3), 3, **measured).step == 6
    assert run.read_status()["state"] == "stopped"
    assert [each["step"] for each in run.read_quality()] == [4] and pair_step(run.best) == 4
    run.stop.unlink()
    machine.go_on(run.path, state_at(run.path, 6), 6, **measured)
    assert [(each["step"], each["score"]) for each in run.read_quality()] == [(4, 0.1), (6, 0.7), (8, 0.2)]
    assert not different(state_at(run.path, STEPS), state_at(finished, STEPS))
    assert pair_step(run.pair) == 6


@pytest.mark.parametrize("error", [ValueError("no features today"), MemoryError("too many pictures"), FULL], ids=repr)
def test_whatever_fails_in_measuring_is_said_and_the_training_goes_on(error, finished, machine, measured, scores, tmp_path):
    scores.update({4: 0.1, 6: error, 8: error})
    run = Run(tmp_path / "run")
    machine.go_on(run.path, state_at(finished, 3), 3, **measured)
    status = run.read_status()
    print(status["write_error"])
    assert status["state"] == "finished" and not different(state_at(run.path, STEPS), state_at(finished, STEPS))
    assert re.match(r"quality of step 8 (failed: \w+Error: |not written: the disk of )", status["write_error"])
    assert status["best"]["step"] == status["quality"]["step"] == pair_step(run.pair) == 4


def test_with_too_few_held_out_pictures_the_status_says_so_in_one_sentence(finished):
    assert re.fullmatch("Quality is not measured: Figures need at least 8 held-out rime photos; .* has 2 readable ones.",
                        Run(finished).read_status()["quality_note"])
    assert not Run(finished).best.exists() and not Run(finished).quality_file.exists()


def test_a_finished_run_whose_best_pair_was_not_put_in_place_gets_it_when_it_is_resumed(finished, machine, measured, scores,
                                                                                       tmp_path, monkeypatch):
    monkeypatch.setattr(train, "build", machine.built)
    scores.update({4: 0.5, 6: 0.3, 8: 0.2})
    run = Run(tmp_path / "run")
    shutil.copytree(finished, run.path)
    machine.go_on(run.path, state_at(finished, 3), 3, **measured)
    shutil.rmtree(run.pair)  # as if the trainer had been killed before
    assert train.main(["--run", str(run.path), "--resume",
                       *(f"--{name.replace('_', '-')}={value}" for name, value in measured.items())]) == 0
    assert pair_step(run.pair) == 4


# --- samples


def test_a_short_training_has_a_sample_too_that_of_its_last_step(finished, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "cores", lambda: 1)
    run = Run(tmp_path / "run")
    machine.go_on(run.path, state_at(finished, 5), 5, sample_steps=1000)
    assert [path.name for path in run.samples.iterdir()] == [f"step_{STEPS:08}.png"]
    assert run.read_status()["device"] == "cpu (1 core)"


# --- requests


def test_a_sample_and_a_save_are_made_at_the_end_of_the_step_in_which_they_are_asked_for(finished, machine, tmp_path,
                                                                                       monkeypatch):
    run, save, saved = Run(tmp_path / "run"), Recorder.save, []
    in_step(monkeypatch, 5, lambda: (run.request("sample").touch(), run.request("save").touch()))
    monkeypatch.setattr(Recorder, "save", lambda self: (saved.append(self.step), save(self)))
    machine.go_on(run.path, state_at(finished, 3), 3)
    assert saved == [5, STEPS] and [path.name for path in run.samples.iterdir()] == ["step_00000005.png"]
    assert (run.checkpoints / "step_00000005").exists()
    assert not run.request("sample").exists() and not run.request("save").exists()


def test_a_request_that_cant_be_removed_is_answered_once(finished, machine, tmp_path, monkeypatch):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    for what in ("sample", "save"):
        run.request(what).touch()
    sheets, saved, save, unlink = [], [], Recorder.save, Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **named: full() if self.suffix == ".request" else unlink(self, **named))
    monkeypatch.setattr(recorder, "write_picture", lambda sheet, path: sheets.append(path.name))
    monkeypatch.setattr(Recorder, "save", lambda self: (saved.append(self.step), save(self)))
    machine.go_on(run.path, state_at(finished, 3), 3)
    assert sheets == ["step_00000004.png"] and saved == [4, STEPS]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
def test_a_run_folder_that_cannot_be_reached_for_a_moment_ends_nothing(number, finished, machine, tmp_path, monkeypatch):
    run, stat, asked = Run(tmp_path / "run"), os.stat, []

    def gone(path, **named):
        if path == run.stop:
            asked.append(path)
            raise OSError(number, os.strerror(number), str(path))
        return stat(path, **named)

    monkeypatch.setattr(os, "stat", gone)
    machine.go_on(run.path, state_at(finished, 6), 6)
    assert asked and run.read_status()["state"] == "finished"


# --- memory, disk, event files


def test_status_and_metrics_say_what_is_held_of_memory_and_what_is_left_of_the_disk(finished):
    status, lines = Run(finished).read_status(), Run(finished).read_metrics()
    print({name: value for name, value in status.items() if name.endswith("megabytes")})
    assert status["memory_megabytes"] >= 100 and status["disk_free_megabytes"] > 0
    assert {"memory_now_megabytes", "gpu_megabytes", "gpu_total_megabytes"} <= set(status)
    assert all({"memory_megabytes", "memory_now_megabytes", "gpu_megabytes"} <= set(line) for line in lines)


def test_event_files_have_every_line_figure_and_sheet(finished, machine, measured, tmp_path):
    tensorflow, run, found = pytest.importorskip("tensorflow"), Run(tmp_path / "run"), {}
    machine.go_on(run.path, state_at(finished, 3), 3, tensorboard=True, sample_steps=4, **measured)
    for event in tensorflow.compat.v1.train.summary_iterator(str(next(run.events.iterdir()))):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value
    assert {f"losses/{name}" for name in ("loss", *LOSSES)} <= set(found)
    assert {"rates/learning_rate", "rates/pairs_per_second", "quality/score", "memory/memory_megabytes", "samples"} <= set(found)
    for line in run.read_metrics():
        assert found["losses/loss"][line["step"]].simple_value == pytest.approx(line["loss"])
        assert found["quality/score"][line["step"]].simple_value == pytest.approx(line["score"], abs=1e-6)
    assert {step: each.image.encoded_image_string for step, each in found["samples"].items()} \
        == {step: run.sample(step).read_bytes() for step in (4, 8)}


def test_a_disk_too_full_for_event_files_ends_nothing(finished, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(events.Events, "write", full)
    machine.go_on(tmp_path / "run", state_at(finished, 5), 5, tensorboard=True)
    status = Run(tmp_path / "run").read_status()
    assert status["state"] == "finished" and status["write_error"].startswith("event file of step 8 not written: the disk of")


def test_without_tensorflow_event_files_are_refused_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(events, "available", lambda: False)
    assert train.main(["--run", str(tmp_path / "run"), "--drawn", "--tensorboard"]) == 2
    assert f"{python()} -m pip install tensorflow-cpu" in (message := capsys.readouterr().err) and message.count("\n") == 1
    assert not (tmp_path / "run").exists()
