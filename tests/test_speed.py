import json
import os
import threading
import time
from dataclasses import asdict, replace

import pytest

from r2f import config, device, runner, speed
from r2f.bloom import CHECKPOINTS
from r2f.device import Device, DeviceError
from r2f.run import Run
from r2f.speed import DeviceBusy, calibrate
from tests.standin import COMMAND
from tests.test_runner import begin, training, until
from tests.tiny import TINY

SETTINGS = config.Config(**TINY)
CPU = Device("cpu", "processor", 8_000_000_000, 2, 0, "tensorflow 2.21.0", "bfloat16")


@pytest.fixture(autouse=True)
def known_device(monkeypatch):
    monkeypatch.setattr(device, "_cache", {})
    monkeypatch.setattr(device, "describe", lambda _: CPU)
    monkeypatch.setattr(device, "known", lambda _: CPU)


def stand_in(monkeypatch, *options):
    monkeypatch.setattr(runner, "COMMAND", (*COMMAND, *options))


def test_a_few_steps_of_the_real_trainer_are_timed_and_nothing_is_left_but_the_figure(root):
    seen = []
    found = calibrate(SETTINGS, root, limit_seconds=600, progress=seen.append)
    print(f"{found.pairs_per_second:.2f} pairs per second, tiny settings")
    assert found.exact and found.pairs_per_second > 0.01 and seen and max(seen) <= 1
    assert sorted(path.name for path in root.iterdir()) == [runner.device_lock_name(), device.MEMORY_FILE]
    kept, = json.loads((root / device.MEMORY_FILE).read_text())["speeds"][device.machine_key()]
    assert kept["config"]["data"] == kept["config"]["run"] == "" and kept["pairs_per_second"] == found.pairs_per_second
    assert speed.of(SETTINGS, root) == found
    training(begin(root / "a"))  # the device is free again


def test_what_was_measured_holds_for_equal_steps_and_is_carried_over_to_others_by_counting(root, monkeypatch):
    stand_in(monkeypatch)
    lite = config.preset("lite", rime="somewhere", flowers="elsewhere", identity_weight=5.0)
    assert speed.of(lite, root) is None and speed.hours(lite, root) is None
    assert speed.sentence(lite, root) == "no GPU here: processor, 2 cores, 8 GB; its speed was not measured yet"
    assert calibrate(lite, root).pairs_per_second == 100
    longer = config.preset("lite", steps=360_000, seed=3, learning_rate=1e-4, sample_steps=7, identity_weight=2.0)
    assert speed.of(longer, root).exact and speed.hours(longer, root) == 1.0
    assert speed.sentence(longer, root) == "no GPU here: about 60 minutes on this CPU (2 cores)"
    larger = speed.of(replace(lite, image_size=256, load_size=448), root)
    without = speed.of(replace(lite, identity_weight=0.0), root)  # 4 passes of each generator instead of 6
    batches = speed.of(replace(lite, batch_size=4), root)  # an update for 4 pairs
    print(f"100 at 128 pixels: {larger.pairs_per_second:.0f} at 256, {without.pairs_per_second:.0f} without identity, "
          f"{batches.pairs_per_second:.0f} in batches of 4")
    assert 25 < larger.pairs_per_second < 35 and 105 < without.pairs_per_second < 150 and 100 < batches.pairs_per_second < 130
    assert not larger.exact and larger.measured == speed.of(lite, root).measured
    assert speed.Speed(100, True, 0).hours(config.preset("lite", batch_size=4, steps=90_000)) == 1.0
    assert speed.of(lite, root).hours(lite, from_step=59_999) == pytest.approx(1 / 100 / 3600)


def test_a_teacher_decides_how_long_a_step_takes(root, monkeypatch):
    """By its own size: the shipped pairs have 16 and 48 filters."""
    stand_in(monkeypatch)
    plain = config.preset("lite")
    small, large = (config.preset("lite", teacher=str(CHECKPOINTS / name)) for name in ("lite", "r2f"))
    calibrate(plain, root)
    for taught in (small, large):
        assert not speed.of(taught, root).exact
    assert speed.of(large, root).pairs_per_second < 50 < speed.of(small, root).pairs_per_second
    calibrated = speed.calibration_of(large, "cpu")
    assert calibrated.teacher == large.teacher and not calibrated.start_from  # it is measured with its teacher
    calibrate(large, root)
    assert speed.of(large, root).exact and speed.of(plain, root).exact
    assert speed.of(replace(large, teacher=os.path.relpath(CHECKPOINTS / "r2f"), teacher_weight=1.0), root).exact
    assert not speed.of(small, root).exact


def test_on_a_processor_large_pictures_are_measured_small_and_on_a_gpu_as_they_are(root, monkeypatch):
    stand_in(monkeypatch)
    plain = config.preset("r2f")
    assert speed.calibration_of(plain, "cpu").image_size == 128 and speed.calibration_of(plain, "cpu").load_size == 160
    assert speed.calibration_of(plain, "gpu").image_size == 256
    assert speed.calibration_of(config.preset("lite", image_size=64), "cpu").image_size == 64
    found = calibrate(plain, root)
    assert not found.exact and 25 < found.pairs_per_second < 30 and speed.of(plain, root) == found


def test_nothing_is_measured_while_a_training_runs_or_waits(root, monkeypatch):
    stand_in(monkeypatch)
    training(begin(root / "mine"))
    with pytest.raises(DeviceBusy, match="mine trains there"):
        calibrate(SETTINGS, root)
    assert runner.stop(Run(root / "mine"), 60) == "stopped"
    with speed.device_lock(root), pytest.raises(DeviceBusy, match="in use"):  # another page measures
        calibrate(SETTINGS, root)
    assert calibrate(SETTINGS, root).pairs_per_second == 100


def test_measuring_gives_way_to_a_training(root, monkeypatch):
    stand_in(monkeypatch, "--x-step-seconds=600")
    said = []

    def measure():
        try:
            calibrate(SETTINGS, root, limit_seconds=600)
        except DeviceBusy as error:
            said.append(str(error))

    measuring = threading.Thread(target=measure)
    measuring.start()
    until(lambda: (root / runner.device_lock_name()).exists(), 60)
    run = begin(root / "mine")
    training(run)
    measuring.join(60)
    print(said)
    assert said and said[0].startswith("mine ")
    assert runner.status(run).state == "training"


def test_two_who_ask_at_once_wait_for_one_measurement(root, monkeypatch):
    stand_in(monkeypatch)
    timed, times = speed.timed, []
    monkeypatch.setattr(speed, "timed", lambda *arguments: times.append(0) or time.sleep(3) or timed(*arguments))
    found = []
    both = [threading.Thread(target=lambda: found.append(calibrate(SETTINGS, root))) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(60)
    assert len(times) == 1 and len(found) == 2 and found[0] == found[1]


@pytest.mark.parametrize("options,limit,sentence", [
    (["--x-fail", "flowers are gone."], 60, "flowers are gone."),
    (["--x-step-seconds=600"], 1, "Nothing was measured within 1 seconds: the machine is busy, or too small for these networks."),
])
def test_what_goes_wrong_is_one_sentence(root, monkeypatch, options, limit, sentence):
    stand_in(monkeypatch, *options)
    with pytest.raises(DeviceError) as error:
        calibrate(SETTINGS, root, limit)
    assert str(error.value) == sentence
    assert speed.of(SETTINGS, root) is None
    stand_in(monkeypatch)
    assert calibrate(SETTINGS, root).pairs_per_second == 100  # nothing is held any more


def test_too_little_memory_is_said_before_anything_is_started(root, monkeypatch):
    monkeypatch.setattr("r2f.preflight.available_memory", lambda: 10**6)
    with pytest.raises(DeviceError, match="MB of memory"):
        calibrate(SETTINGS, root)


def test_trainings_that_the_page_started_are_measurements_too(root):
    run = begin(root / "mine")
    training(run, 8)
    assert runner.stop(run, 60) == "stopped"
    assert not speed.of(SETTINGS, root).exact  # the stand-in's configuration is another
    run.config.write_text(SETTINGS.to_json())
    assert speed.of(SETTINGS, root).exact and speed.of(SETTINGS, root).pairs_per_second == 100
    run.write_status(**{**run.read_status(), "machine": "another"})
    assert speed.of(SETTINGS, root) is None


def test_the_newest_of_equal_measurements_counts_and_others_versions_are_left_out(root):
    other = config.preset("lite")
    kept = [dict(config=asdict(SETTINGS), pairs_per_second=1.0, measured=2.0), {"config": {"colour": 3}}, 7,
            dict(config=asdict(other), pairs_per_second=5.0, measured=9.0),
            dict(config=asdict(SETTINGS), pairs_per_second=3.0, measured=4.0)]
    (root / device.MEMORY_FILE).write_text(json.dumps({"devices": {}, "speeds": {device.machine_key(): kept}}))
    assert speed.of(SETTINGS, root) == speed.Speed(3.0, True, 4.0)
    assert speed.of(other, root).pairs_per_second == 5.0


@pytest.mark.parametrize("place", ["file.jpg", "file.jpg/runs"])
def test_a_folder_of_runs_that_is_a_file_gets_one_sentence(tmp_path, capsys, place):
    (tmp_path / "file.jpg").write_bytes(b"mine")
    assert speed.main(["--runs", str(tmp_path / place), "--preset=lite", "--measure"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / place} can't be the folder of runs (") and said.count("\n") == 1
    assert said.endswith("; name another folder with --runs.\n")
    assert (tmp_path / "file.jpg").read_bytes() == b"mine"


def test_after_ctrl_c_it_says_where_the_rest_is_and_nothing_goes_on(root, capsys, monkeypatch):
    def interrupted(lines):
        raise KeyboardInterrupt
    stand_in(monkeypatch)
    monkeypatch.setattr(speed, "rate_of", interrupted)  # while the trainer runs
    assert speed.main(["--runs", str(root), "--preset=lite", "--measure"]) == 130
    assert capsys.readouterr().err == f"Stopped; what was measured until now is remembered in {root}.\n"
    with speed.device_lock(root):
        assert speed.of(config.preset("lite"), root) is None


def test_hours_are_said_in_words():
    words = {1e-4: "about 1 minute", 0.5: "about 30 minutes", 1.4: "about 84 minutes", 1.6: "about 2 hours", 30: "about 30 hours",
             47: "about 2 days", 24_000: "about 1,000 days"}
    assert {hours: speed.in_words(hours) for hours in words} == words
