"""The trainer, through its command line, and step by step. One process trains several runs here: tracing the step costs time."""

import errno
import json
import logging
import logging.handlers
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from machine import STEPS, different, final_digest, losses, start, state_at

from r2f import checkpoint, config, data, ending, output, pair, preflight, recorder, saver, train
from r2f.cyclegan import LOSSES
from r2f.device import cores, hardware
from r2f.ending import NotFinite, NotSaved
from r2f.images import read_picture
from r2f.recorder import Recorder
from r2f.run import Run, read_json, write_json
from r2f.shell import python


def test_a_run_leaves_everything_in_its_directory(finished):
    run = Run(finished)
    assert sorted(path.name for path in finished.iterdir()) == [
        "checkpoints", "config.json", "lock", "metrics.jsonl", "pair", "samples", "setup.json", "status.json"]
    assert [path.name for path in sorted(run.checkpoints.iterdir())] == [f"step_{step:08d}" for step in range(1, STEPS + 1)]
    assert read_picture(run.sample(8)).shape == (2 * 32, 6 * 32, 3)
    status = run.read_status()
    assert (status["state"], status["step"], status["last_checkpoint"]) == ("finished", 8, 8)
    assert not status.get("save_error") and not status.get("write_error")
    lines = run.read_metrics()
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert all(np.isfinite(line[name]) for line in lines for name in ("loss", *LOSSES))
    assert [line["learning_rate"] for line in lines] == pytest.approx([2e-4, 2e-4, 1e-4, 0], abs=1e-9)


def test_the_pair_of_a_run_is_the_averaged_generators(finished, machine):
    networks, info = pair.load_pair(Run(finished).pair)
    assert (info["step"], info["preset"], info["image_size"]) == (8, "r2f", 32)
    assert info["pictures"] == {"rime": 6, "flowers": 5}
    checkpoint.set_state(machine.model, state_at(finished, 8))
    for name, network in networks.items():
        for ours, theirs in zip(getattr(machine.model, f"{name}_average").get_weights(), network.get_weights(), strict=True):
            assert np.array_equal(ours.astype(np.float16).astype(np.float32), theirs)


def test_stopped_and_resumed_equals_undisturbed_bit_for_bit(finished, machine, tmp_path, drawn_folder, monkeypatch, caplog):
    monkeypatch.setattr(train, "build", machine.built)
    path, record = tmp_path / "stopped", recorder.Recorder.on_train_batch_end

    def stop_at_5(self, index, logs=None):  # between two lines of metrics
        if self.step + 1 == 5:
            self.run.stop.touch()
        record(self, index, logs)

    with monkeypatch.context() as patch:
        patch.setattr(recorder.Recorder, "on_train_batch_end", stop_at_5)
        with caplog.at_level(logging.INFO):
            assert start(path, drawn_folder) == 0
    assert caplog.text.count(f"Stopped and saved at step 5; go on with: {python()} -m r2f.train --run {path} --resume\n") == 1
    assert Run(path).read_status()["state"] == "stopped"
    assert Run(path).read_status()["step"] == 5
    with caplog.at_level(logging.INFO):
        assert train.main(["--run", str(path), "--resume", "--log-steps=2", "--sample-count=1"]) == 0
    assert caplog.text.count(f"Finished after 8 steps; the pair is in {path / 'pair'}.\n") == 1
    assert "sample_count changed from 2 to 1" in caplog.text and "bit for bit" not in caplog.text
    assert losses(path) == losses(finished)
    assert not different(state_at(path, 8), state_at(finished, 8))


def test_from_every_step_on_the_end_is_the_same_bit_for_bit(finished, machine, tmp_path):
    """At, before and after a line of metrics, while the pools fill and when they are full, and one step before the end."""
    end, compared = state_at(finished, STEPS), 0
    for step in range(1, STEPS):
        machine.go_on(tmp_path / str(step), state_at(finished, step), step)
        assert not different(state_at(tmp_path / str(step), STEPS), end)
        compared += len(end)
    assert {"model", "optimizer", "metrics"} == {name.partition("/")[0] for name in end}
    print(f"\nresumed at {STEPS - 1} steps: {compared} arrays compared, 0 differ")


def variables(machine, words):
    """Names in a state of the variables whose description has one of the words."""
    return [name for name, _ in checkpoint.named_variables(machine.model)
            if any(word in output.described(machine.model, name) for word in words)]


@pytest.mark.parametrize("what,words", [
    ("the first moments", ("momentum",)), ("the second moments", ("velocity",)), ("the optimizer's count", ("iteration",)),
    ("a pool", ("flower_pool's flower_pool/pictures",)), ("a pool's fill", ("rime_pool's rime_pool/filled",)),
    ("a pool's seed generator", ("rime_pool's seed",)), ("the noise's seed generator", ("the model's seed",)),
    ("the augmentation's seed generator", ("augment's seed",)), ("an average", ("bloom_average's",)),
    ("the losses so far", ("the sum of",)),
])
def test_the_comparison_notices_what_is_left_out_of_a_checkpoint(what, words, finished, machine, tmp_path):
    state, names = state_at(finished, 3), variables(machine, words)
    assert names
    for name in names:
        state[name] = np.zeros_like(state[name])
    machine.go_on(tmp_path / "run", state, 3)
    found = different(state_at(tmp_path / "run", STEPS), state_at(finished, STEPS))
    same = losses(tmp_path / "run") == losses(finished)[1:]
    print(f"\nwithout {what}: {len(found)} of {len(state)} arrays differ, metrics are {'the same' if same else 'others'}")
    assert found or not same


def test_the_comparison_notices_another_order_of_the_pictures(finished, machine, tmp_path):
    class Shifted(train.Batches):
        def __getitem__(self, index):
            return super().__getitem__(index + 1)

    machine.go_on(tmp_path / "run", state_at(finished, 3), 3, Shifted)
    assert different(state_at(tmp_path / "run", STEPS), state_at(finished, STEPS))


def test_on_jax_too_every_step_goes_on_to_the_same_end(tmp_path):
    names = ("test_train.py::test_from_every_step_on_the_end_is_the_same_bit_for_bit",
             "test_train.py::test_the_pair_of_a_run_is_the_averaged_generators",
             "test_recorder.py::test_measuring_changes_no_number_of_the_training")
    here = Path(__file__).parent
    # The same steps are compiled again and again: quickly rather than well.
    cached = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
              "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(here / name) for name in names)],
                   check=True, cwd=here.parent, env={**os.environ, "KERAS_BACKEND": "jax", **cached})


def test_a_finished_run_resumed_writes_its_pair_again_and_has_nothing_else_to_do(finished, caplog):
    before = final_digest(finished)
    shutil.rmtree(Run(finished).pair)  # as if the trainer had been killed between checkpoint and pair
    with caplog.at_level(logging.INFO):
        assert train.main(["--run", str(finished), "--resume"]) == 0
    assert "nothing to do" in caplog.text
    assert final_digest(finished) == before
    assert Run(finished).read_status()["state"] == "finished"
    assert pair.read_pair_json(Run(finished).pair)["step"] == 8


def test_other_pictures_than_before_are_noticed_when_resuming(finished, tmp_path, drawn_folder, caplog):
    other = tmp_path / "other"
    shutil.copytree(drawn_folder, other)
    (other / "trainA" / "0.png").unlink()
    with caplog.at_level(logging.INFO):
        assert train.main(["--run", str(finished), "--resume", "--data", str(other)]) == 0
    assert "flowers changed from 5 with SHA-256" in caplog.text and "rime changed" not in caplog.text
    assert train.main(["--run", str(finished), "--resume", "--data", str(drawn_folder)]) == 0


def test_what_a_run_is_resumed_on_is_told_where_it_changed(finished, monkeypatch, caplog):
    written = read_json(finished / train.SETUP)
    assert written["hardware"] == hardware() and written["cores"] == cores()
    monkeypatch.setattr(train, "hardware", lambda: "Another Processor")
    monkeypatch.setattr(train, "cores", lambda: 500)
    with caplog.at_level(logging.INFO):
        assert train.main(["--run", str(finished), "--resume"]) == 0
    assert f"hardware changed from {hardware()} to Another Processor: the rest is not bit for bit" in caplog.text
    assert f"cores changed from {cores()} to 500" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    del written["hardware"]  # as an earlier version wrote it
    write_json(finished / train.SETUP, written)
    with caplog.at_level(logging.INFO):
        assert train.main(["--run", str(finished), "--resume"]) == 0
    assert "bit for bit" not in caplog.text and read_json(finished / train.SETUP)["hardware"] == hardware()


# --- numbers that are not finite


def test_a_diverged_training_ends_with_exit_code_3(finished, machine, tmp_path, drawn_folder, monkeypatch, capsys):
    checkpoint.set_state(machine.model, state_at(finished, 1))
    monkeypatch.setattr(train, "build", lambda settings: machine.model)  # its step is traced already
    monkeypatch.setattr(data, "batch", lambda *arguments: 2 * (np.full((1, 32, 32, 3), np.inf, np.float32),))
    assert start(tmp_path / "run", drawn_folder) == ending.EXIT_NOT_FINITE == 3
    message = capsys.readouterr().err
    assert "is not finite at step 2. There is no checkpoint yet" in message
    status = Run(tmp_path / "run").read_status()
    assert status["state"] == "failed" and status["reason"] in message
    assert not Run(tmp_path / "run").pair.exists() and not Run(tmp_path / "run").checkpoints.exists()


def test_nan_in_a_loss_ends_the_run_at_the_next_line_of_metrics_and_names_the_last_good_checkpoint(finished, machine, tmp_path):
    class Broken(train.Batches):
        def __getitem__(self, index):
            rime, flowers = super().__getitem__(index)[0]
            return ((rime * np.float32("nan") if self.start + index == 4 else rime, flowers),)

    with pytest.raises(NotFinite, match=r"\w+ is not finite at step 6. The last good checkpoint is of step 4"):
        machine.go_on(tmp_path / "run", state_at(finished, 3), 3, Broken, checkpoint_steps=4)
    assert [path.name for path in checkpoint.checkpoints(tmp_path / "run" / "checkpoints")] == ["step_00000004"]
    assert pair.read_pair_json(tmp_path / "run" / "pair")["step"] == 4
    with pytest.raises(NotFinite, match="is not finite at step 5. There is no checkpoint yet"):  # a save comes before the line
        machine.go_on(tmp_path / "other", state_at(finished, 3), 3, Broken, checkpoint_steps=5)
    assert not (tmp_path / "other" / "pair").exists()


@pytest.mark.parametrize("words,value,says", [
    ("bloom_average's", np.inf, "bloom_average's "),  # no loss ever shows it
    ("velocity", np.inf, r"\S+"),  # a weight is not finite one step later
    ("flower_pool's flower_pool/pictures", np.nan, "flower_pool's |adversarial|discriminator"),
])
def test_infinity_in_any_part_of_the_state_reaches_no_checkpoint_and_no_pair(words, value, says, finished, machine, tmp_path):
    state = state_at(finished, 5)
    name = variables(machine, (words,))[0]
    state[name] = state[name].copy()
    state[name].flat[-1] = value
    with pytest.raises(NotFinite, match=f"^({says}).* is not finite at step [678]. There is no checkpoint yet"):
        machine.go_on(tmp_path / "run", state, 5)
    assert not (tmp_path / "run" / "checkpoints").exists() and not (tmp_path / "run" / "pair").exists()


# --- disks and memory


def full(*arguments, **named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_where_saves_fail_training_goes_on_and_tries_again(finished, machine, tmp_path, monkeypatch):
    commit, save_if_due, about_saves, tried, said = checkpoint.commit, Recorder.save_if_due, Recorder.about_saves, [], []

    def full_until_7(folder, step, *rest, **named):
        tried.append(step)
        return full() if 4 < step < 7 else commit(folder, step, *rest, **named)

    def once_no_save_is_in_flight(self):
        self.saver.flush()
        save_if_due(self)

    def watched(self):
        said.append(about_saves(self))
        return said[-1]

    monkeypatch.setattr(checkpoint, "commit", full_until_7)
    monkeypatch.setattr(saver, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(Recorder, "save_if_due", once_no_save_is_in_flight)
    monkeypatch.setattr(Recorder, "about_saves", watched)
    made = machine.go_on(tmp_path / "run", state_at(finished, 3), 3, checkpoint_steps=5)
    status = Run(tmp_path / "run").read_status()
    assert status["state"] == "finished" and status["last_checkpoint"] == STEPS and status["save_error"] is None
    assert tried == [5, 6, 7, 8] and made.saver.saved_step == STEPS
    assert any(re.match("The checkpoint of step [56] could not be written", each["save_error"] or "") for each in said), said
    assert not different(state_at(tmp_path / "run", STEPS), state_at(finished, STEPS))


def test_where_the_last_save_fails_the_run_says_so_and_what_to_free(finished, machine, tmp_path, monkeypatch):
    commit = checkpoint.commit
    monkeypatch.setattr(checkpoint, "commit", lambda folder, step, *rest, **named:
                        full() if step > 4 else commit(folder, step, *rest, **named))
    with pytest.raises(NotSaved, match="Step 8 was reached, but not all of it was saved. The checkpoint of step 8 could "
                       "not be written .* The newest checkpoint is of step 4; --resume goes on from it."):
        machine.go_on(tmp_path / "run", state_at(finished, 3), 3, checkpoint_steps=4)
    assert not different(state_at(tmp_path / "run", 4), state_at(finished, 4))


def test_where_metrics_samples_and_status_fail_training_goes_on_and_metrics_come_later(finished, machine, tmp_path, monkeypatch):
    append, tried = Run.append_metrics, []

    def full_twice(self, **values):
        tried.append(values["step"])
        return full() if len(tried) < 3 else append(self, **values)

    monkeypatch.setattr(Run, "append_metrics", full_twice)
    monkeypatch.setattr(Run, "write_status", full)
    monkeypatch.setattr(recorder, "write_picture", full)
    made = machine.go_on(tmp_path / "run", state_at(finished, 1), 1, sample_steps=3)
    assert tried[:3] == [2, 2, 2]
    assert [line["step"] for line in Run(tmp_path / "run").read_metrics()] == [2, 4, 6, 8]
    assert made.heartbeat.values["write_error"].startswith(f"samples of step 8 not written: the disk of {tmp_path / 'run'}")


def too_much_of(name):
    """The real error of running out of memory: asks for 4 petabytes."""
    if name == "numpy":
        return np.ones((1 << 20, 1 << 29), np.float64)
    if name == "tensorflow":
        return pytest.importorskip("tensorflow").ones((1 << 20, 1 << 29), "float64")
    if name == "jax":
        return pytest.importorskip("jax.numpy").ones((1 << 20, 1 << 29), "float32").block_until_ready()
    return pytest.importorskip("torch").ones((1 << 20, 1 << 29))


@pytest.mark.parametrize("library", ["numpy", "tensorflow", "jax", "torch"])
def test_running_out_of_memory_ends_with_a_sentence_on_what_to_change(library, tmp_path, drawn_folder, monkeypatch, capsys):
    monkeypatch.setattr(train, "build", lambda settings: too_much_of(library))
    assert start(tmp_path / "run", drawn_folder) == ending.EXIT_MEMORY == 4
    message = capsys.readouterr().err
    assert "Memory ran out. Start a new run with a smaller --image-size (now 32)" in message
    assert Run(tmp_path / "run").read_status()["state"] == "failed"
    assert Run(tmp_path / "run").read_status()["reason"] in message


def test_a_full_disk_at_the_start_ends_with_a_sentence(tmp_path, drawn_folder, monkeypatch, capsys):
    monkeypatch.setattr(data, "load_pictures", full)
    assert start(tmp_path / "run", drawn_folder) == ending.EXIT_DISK == 5
    assert f"disk of {tmp_path / 'run'} is full" in capsys.readouterr().err
    status = Run(tmp_path / "run").read_status()
    assert status["state"] == "failed" and "is full" in status["reason"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("at", ["mkdir", "open"])
def test_a_run_that_cannot_be_made_or_written_gets_a_sentence(at, number, tmp_path, drawn_folder, monkeypatch, capsys):
    path, do = tmp_path / "made" / "run", getattr(os, at)

    def refused(place, *arguments, **named):
        if str(place).startswith(str(path.parent if at == "mkdir" else path)):
            raise OSError(number, os.strerror(number), str(place))
        return do(place, *arguments, **named)

    monkeypatch.setattr(os, at, refused)
    assert start(path, drawn_folder) == ending.EXIT_DISK == 5
    said = f"The training could not go on: {path} can't be written ({os.strerror(number)}); make it writable.\n"
    assert capsys.readouterr().err == said


def test_a_folder_of_pictures_that_cannot_be_read_is_not_taken_for_the_run(tmp_path, drawn_folder, monkeypatch):
    def refused(settings):
        raise PermissionError(errno.EACCES, "Permission denied", str(drawn_folder / "trainB"))

    monkeypatch.setattr(data, "load_pictures", refused)
    with pytest.raises(PermissionError):
        start(tmp_path / "run", drawn_folder)


def test_what_nobody_foresaw_is_in_the_status_and_raised(tmp_path, drawn_folder, monkeypatch):
    monkeypatch.setattr(data, "load_pictures", lambda settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        start(tmp_path / "run", drawn_folder)
    status = Run(tmp_path / "run").read_status()
    assert (status["state"], status["reason"]) == ("failed", "ZeroDivisionError: division by zero")


def test_what_will_not_fit_is_refused_before_pictures_are_read(tmp_path, drawn_folder, monkeypatch, capsys):
    monkeypatch.setattr(preflight, "available_memory", lambda: 10_000_000)
    monkeypatch.setattr(data, "load_pictures", full)
    assert start(tmp_path / "run", drawn_folder) == 2
    assert "10 MB are available" in (message := capsys.readouterr().err) and "--no-preflight" in message
    assert message.count("\n") == 1
    assert start(tmp_path / "run", drawn_folder, "--no-preflight") == ending.EXIT_DISK


@pytest.mark.skipif(sys.platform == "darwin", reason="there every name is UTF-8")
def test_folders_whose_names_are_not_utf_8_are_trained_from_and_into(machine, drawn_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "build", machine.built)
    said = logging.handlers.BufferingHandler(1000)
    monkeypatch.setattr(train.log, "handlers", [said])
    monkeypatch.setattr(train.log, "propagate", False)  # pytest -n can't hand on a report with such a name in it
    pictures, path = (tmp_path / os.fsdecode(name) for name in (b"caf\xe9", b"frost \xff"))
    shutil.copytree(drawn_folder, pictures)
    monkeypatch.setattr(train.log, "level", logging.INFO)
    assert start(path, pictures, "--steps=1") == 0
    assert train.main(["--run", str(path), "--resume", "--steps=2"]) == 0
    assert read_json(Run(path).config)["data"] == str(pictures) and Run(path).read_status()["state"] == "finished"
    assert pair.read_pair_json(Run(path).pair)["step"] == 2
    assert any(str(pictures) in record.getMessage() for record in said.buffer)
    assert not list(path.glob(".*"))


def test_a_run_finds_its_pictures_wherever_it_is_resumed_from(drawn_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(drawn_folder.parent)
    assert start(tmp_path / "run", drawn_folder.name, "--steps=2") == 0
    assert read_json(Run(tmp_path / "run").config)["data"] == str(drawn_folder)
    monkeypatch.chdir("/")
    assert train.main(["--run", str(tmp_path / "run"), "--resume"]) == 0


# --- signals, stop requests, heartbeat; tests/crash/test_resume.py has those with processes of their own


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 0)])
def test_asked_to_end_before_the_first_step_it_ends_at_once(number, code, tmp_path, drawn_folder, monkeypatch, capsys):
    load = data.load_pictures

    def asked(settings):
        if number is None:
            Run(tmp_path / "run").stop.touch()
            return load(settings)
        os.kill(os.getpid(), number)
        time.sleep(30)

    monkeypatch.setattr(data, "load_pictures", asked)
    began = time.monotonic()
    assert start(tmp_path / "run", drawn_folder) == code
    assert time.monotonic() - began < 20
    status = Run(tmp_path / "run").read_status()
    by = f"stopped by {number.name}" if number else "stopped on request"
    assert (status["state"], status["reason"]) == ("stopped", f"{by} before the first step was done")
    assert capsys.readouterr().err.count(status["reason"]) == 1
    assert not (tmp_path / "run" / "config.json").exists(), "it can be started again"
    assert not Run(tmp_path / "run").is_running()


def test_the_heart_beats_through_a_long_step_and_says_since_when_it_lasts(finished, machine, tmp_path, monkeypatch):
    seen, over = [], threading.Event()

    def slow(self, index, logs=None):
        if self.step == 6:
            self.run.stop.touch()  # is noticed at the end of this step
            time.sleep(4)

    def watch():
        while not over.wait(0.05):
            status = Run(tmp_path / "run").read_status()
            if status.get("state") == "training":
                seen.append((time.time() - status["heartbeat"], status["heartbeat"] - status["step_began"]))

    monkeypatch.setattr(recorder.Recorder, "on_train_batch_begin", slow)
    watcher = threading.Thread(target=watch)
    watcher.start()
    machine.go_on(tmp_path / "run", state_at(finished, 5), 5)
    over.set()
    watcher.join()
    age, in_step = max(age for age, _ in seen), max(in_step for _, in_step in seen)
    print(f"\na step of 4 s: the heartbeat was never older than {age:.1f} s; the status said {in_step:.1f} s in this step")
    assert age < 3 and in_step > 2
    assert Run(tmp_path / "run").read_status()["state"] == "stopped"
    assert Run(tmp_path / "run").read_status()["step"] == 7


# --- settings, and other runs


@pytest.mark.parametrize("arguments,says", [
    ([], "--run runs/NAME"),
    (["--run", "RUN"], "--rime DIR and --flowers DIR"),
    (["--run", "RUN", "--rime", "nowhere", "--flowers", "nowhere"],
     f"There is no folder {os.path.abspath('nowhere')} to take rime photos from"),
    (["--run", "RUN", "--rime", "PICTURES/a.png", "--flowers", "PICTURES"], "a.png is a file, not a folder to take rime photos"),
    (["--run", "RUN", "--data", "PICTURES"], "is no data set: it needs the folders trainA (flowers) and trainB (rime)"),
    (["--run", "RUN", "--drawn", "--start-from", "nowhere"], "nowhere is not a pair"),
    (["--run", "RUN", "--drawn", "--teacher", "nowhere"], "nowhere is not a pair"),
    (["--run", "RUN", "--filters", "0"], "filters is 0"),
    (["--run", "RUN", "--rime", "PICTURES", "--data", "PICTURES"], "more than one way, by --data and --rime; give"),
    (["--run", "RUN", "--resume", "--drawn"], "There is no run"),
    (["--run", "FILE", "--drawn"], "is a file; choose a directory"),
    (["--run", "PICTURES", "--drawn"], "holds other files and no run (a.png, b.png, c.png, …)"),
])
def test_bad_input_gets_one_sentence_and_exit_code_2(tmp_path, arguments, says, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "pictures").mkdir()
    for name in "abcd":
        (tmp_path / "pictures" / f"{name}.png").touch()
    places = {"RUN": tmp_path / "run", "FILE": tmp_path / "file", "PICTURES": tmp_path / "pictures"}
    for name, place in places.items():
        arguments = [each.replace(name, str(place)) for each in arguments]
    assert train.main(arguments) == ending.EXIT_BAD_INPUT == 2
    message = capsys.readouterr().err
    assert says in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4 and not (tmp_path / "pictures" / "status.json").exists()


def test_a_run_that_the_page_has_begun_says_in_its_status_what_was_wrong(tmp_path):
    Run(tmp_path).write_status(state="queued")
    assert train.main(["--run", str(tmp_path), "--data", str(tmp_path / "nowhere")]) == 2
    status = Run(tmp_path).read_status()
    assert status["state"] == "failed" and "There is no folder" in status["reason"]


def test_a_run_is_never_overwritten_and_never_shared(finished, drawn_folder, capsys):
    before = Run(finished).read_status()
    assert start(finished, drawn_folder) == 2
    assert "holds a finished training of 8 steps; choose another --run, or train it further" in capsys.readouterr().err
    with Run(finished).locked():
        assert train.main(["--run", str(finished), "--resume"]) == ending.EXIT_BUSY == 75
    assert "Another training is running" in capsys.readouterr().err
    assert Run(finished).read_status() == before


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


def test_a_training_starts_from_a_pair_of_the_same_shape_and_is_resumed_without_it(finished, machine, tmp_path, drawn_folder,
                                                                                  monkeypatch, capsys):
    monkeypatch.setattr(train, "build", machine.built)
    path, given = tmp_path / "further", tmp_path / "pair"
    shutil.copytree(Run(finished).pair, given)
    assert start(path, drawn_folder, f"--start-from={given}", "--steps=1") == 0
    assert [path.name for path in checkpoint.checkpoints(Run(path).checkpoints)] == ["step_00000001", "step_00000000"]
    checkpoint.set_state(machine.model, state_at(path, 0))
    for name, network in pair.load_pair(given)[0].items():
        for own in (getattr(machine.model, name), getattr(machine.model, f"{name}_average")):
            assert all(map(np.array_equal, own.get_weights(), network.get_weights()))
    end = state_at(path, 1)
    shutil.rmtree(Run(path).checkpoints / "step_00000001")  # as if it had been killed in its first step
    shutil.rmtree(given)
    assert train.main(["--run", str(path), "--resume"]) == 0
    assert not different(state_at(path, 1), end)
    assert start(tmp_path / "other", drawn_folder, f"--start-from={Run(finished).pair}", "--filters=8") == 2
    assert "has filters 4 and this training 8; add --filters 4" in capsys.readouterr().err


def test_a_training_starts_from_a_pair_that_is_older_than_the_setting_of_its_norms(tmp_path):
    settings = config.preset("paper", image_size=32, load_size=32, filters=2, blocks=1, discriminator_filters=2, pool_size=0,
                             start_from=str(tmp_path / "pair"))
    model = train.build(settings)
    networks = {name: value for name, value in settings.generator_arguments.items() if name != "norm"}
    pair.save_pair(tmp_path / "pair", {"bloom": model.bloom, "frost": model.frost}, {"networks": networks})
    train.start_from(model, settings)
    with pytest.raises(config.ConfigError, match="has norm everywhere and this training blocks; add --norm everywhere"):
        train.start_from(model, replace(settings, norm="blocks"))
