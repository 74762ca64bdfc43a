"""The estimate is held against what was measured, and against what the networks and files really are."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from r2f import checkpoint, config, preflight
from r2f.bloom import CHECKPOINTS
from r2f.config import Config

# The most that a process held in four steps, megabytes: TensorFlow 2.21, two CPU cores with avx512_bf16, random pictures.
# bfloat16 where not said; `python -m r2f.train` on such a machine writes the like of it into metrics.jsonl, memory_megabytes.
MEASURED = [
    ("lite", dict(image_size=64), 1340), ("lite", dict(image_size=128), 1427), ("lite", dict(image_size=256), 1754),
    ("lite", dict(image_size=128, precision="float32"), 1389), ("lite", dict(image_size=128, batch_size=4), 1616),
    ("r2f", dict(image_size=128), 1822), ("r2f", dict(image_size=256), 2434),
    ("r2f", dict(image_size=256, precision="float32"), 2732),
]


def test_the_estimate_of_memory_is_near_what_was_measured():
    print()
    for name, changes, measured in MEASURED:
        settings = config.preset(name, load_size=512, **changes)
        needs = preflight.estimate(settings, (0, 0))
        without_saving = needs.memory_bytes - needs.checkpoint_bytes  # no save came in those four steps
        error = without_saving / 1e6 / (measured * 1.048576) - 1
        print(f"{name} {changes}: measured {measured} MiB, estimated {without_saving / 2 ** 20:.0f} MiB, {error:+.0%}")
        assert abs(error) < 0.15


@pytest.mark.parametrize("settings", [
    config.preset("r2f", filters=6, blocks=2), config.preset("lite", filters=4, blocks=1), config.preset("paper", filters=4),
    config.preset("seed", filters=4, blocks=3), config.preset("r2f", filters=5, blocks=2, separable=True),
    config.preset("r2f", filters=5, blocks=2, norm="blocks"), config.preset("r2f", filters=5, blocks=2, norm="everywhere"),
], ids=lambda settings: settings.preset)
def test_it_counts_the_weights_that_the_networks_have(settings):
    from r2f.networks import discriminator, generator
    assert preflight.generator_parameters(settings) == generator(**settings.generator_arguments).count_params()
    judge = discriminator(settings.discriminator_filters, settings.discriminator_strides)
    assert preflight.discriminator_parameters(settings) == judge.count_params()


def test_the_checkpoint_it_counts_is_the_one_that_is_written(tmp_path):
    from r2f import train
    settings = config.preset("r2f", filters=8, blocks=2, image_size=64, load_size=64, discriminator_filters=16)
    state = checkpoint.state_of(train.build(settings))
    written = sum(path.stat().st_size for path in checkpoint.commit(tmp_path, 1, state).iterdir())
    counted = preflight.estimate(settings, (0, 0)).checkpoint_bytes
    print(f"\na checkpoint of {written} bytes, {counted} counted")
    assert 0.98 < counted / written <= 1


# The same on one such core with lite and each of two teachers, shipped pairs: what the larger one takes more, megabytes.
TEACHERS_APART = [(128, 89), (256, 160)]


def test_a_teacher_counts_by_the_size_of_its_own_networks(tmp_path):
    print()
    for side, measured in TEACHERS_APART:
        small, large = (preflight.estimate(config.preset("lite", image_size=side, load_size=512, teacher=teacher), (0, 0))
                        for teacher in (str(CHECKPOINTS / "lite"), str(CHECKPOINTS / "r2f")))
        apart = (large.memory_bytes - small.memory_bytes) / 2 ** 20
        print(f"{side} pixels: measured {measured} MiB, estimated {apart:.0f} MiB")
        assert abs(apart / measured - 1) < 0.25
        assert large.step_bytes - small.step_bytes == large.memory_bytes - small.memory_bytes
        assert large.checkpoint_bytes == small.checkpoint_bytes  # it is in none
    alone, gone = (config.preset("lite", teacher=teacher) for teacher in (str(CHECKPOINTS / "lite"), str(tmp_path / "gone")))
    assert preflight.estimate(gone, (0, 0)) == preflight.estimate(alone, (0, 0))  # taken for one of the pupil's size


def test_the_checkpoint_it_counts_beside_a_teacher_is_the_one_that_is_written(tmp_path):
    from r2f import train
    settings = config.preset("lite", image_size=64, load_size=64, discriminator_filters=16, teacher=str(CHECKPOINTS / "lite"))
    state = checkpoint.state_of(train.build(settings))
    written = sum(path.stat().st_size for path in checkpoint.commit(tmp_path, 1, state).iterdir())
    counted = preflight.estimate(settings, (0, 0)).checkpoint_bytes
    print(f"\na checkpoint of {written} bytes, {counted} counted")
    assert 0.98 < counted / written <= 1


def test_more_of_anything_needs_more():
    plain = Config(steps=1000, sample_steps=0)
    base = preflight.estimate(plain, (200, 200))
    for changes in (dict(image_size=320), dict(batch_size=2), dict(filters=64), dict(blocks=12), dict(load_size=400),
                    dict(precision="float32", image_size=260)):
        assert preflight.estimate(replace(plain, **changes), (200, 200)).memory_bytes > base.memory_bytes, changes
    for changes in (dict(milestone_steps=100), dict(sample_steps=10), dict(filters=64), dict(add_drawn=50), dict(log_steps=1),
                    dict(tensorboard=True)):
        assert preflight.estimate(replace(plain, **changes), (200, 200)).disk_bytes > base.disk_bytes, changes
    best = base.disk_bytes - preflight.estimate(replace(plain, evaluate_steps=0), (200, 200)).disk_bytes
    assert best == 2 * base.pair_bytes  # the best pair, and the one that takes its place
    assert preflight.estimate(plain, (2000, 200)).pictures_bytes == pytest.approx(5.5 * base.pictures_bytes)


def test_what_fits_has_no_problems_and_what_does_not_gets_one_sentence_each(tmp_path, monkeypatch):
    settings = Config(milestone_steps=1000)
    monkeypatch.setattr(preflight, "available_memory", lambda: 64_000_000_000)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda place: preflight.shutil._ntuple_diskusage(1, 1, 10 ** 15))
    assert preflight.problems(settings, tmp_path / "not" / "there" / "yet", pictures=(200, 200)) == []
    monkeypatch.setattr(preflight, "available_memory", lambda: 1_000_000_000)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda place: preflight.shutil._ntuple_diskusage(1, 1, 10 ** 9))
    disk, memory = preflight.problems(settings, tmp_path / "run", pictures=(200, 200))
    print(f"\n{disk}\n{memory}")
    assert "1,000 MB are free there; free " in disk and disk.endswith("or fewer milestones than one every 1000 steps.")
    assert "1,000 MB are available; choose a smaller --image-size." in memory
    assert preflight.problems(settings, tmp_path / "run", gpu=True, pictures=(200, 200)) == [disk]
    many = preflight.problems(settings, tmp_path / "run", pictures=(20_000, 20_000))[1]
    assert many.endswith("choose a smaller --load-size, or fewer pictures.")


def test_what_a_resumed_run_has_on_disk_already_is_not_asked_for_again(tmp_path, monkeypatch):
    settings = Config()
    needs = preflight.estimate(settings, (1, 1)).disk_bytes
    monkeypatch.setattr(preflight, "available_memory", lambda: None)
    free = needs + preflight.SPARE_BYTES - 500_000
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda place: preflight.shutil._ntuple_diskusage(1, 1, free))
    assert len(preflight.problems(settings, tmp_path, pictures=(1, 1))) == 1
    (tmp_path / "state").write_bytes(bytes(1_000_000))
    assert preflight.problems(settings, tmp_path, pictures=(1, 1)) == []


def test_pictures_are_counted_by_their_names_and_few_are_warned_of(drawn_folder, tmp_path):
    assert preflight.count_pictures(Config(data=str(drawn_folder))) == (6, 5)
    named = Config(rime=str(drawn_folder / "trainB"), flowers=str(drawn_folder / "trainA"))
    assert preflight.count_pictures(named) == (6, 5)
    assert preflight.count_pictures(replace(named, prefixes="0,1")) == (6, 2)
    assert preflight.count_pictures(Config(rime=str(tmp_path / "nowhere"))) == (0, 0)
    assert preflight.count_pictures(Config(drawn=True)) == (200, 200)
    assert ["only 6 rime photos" in text for text in preflight.warnings(named, (6, 500))] == [True]
    assert preflight.warnings(named, (100, 100)) == []


def test_it_needs_no_keras():
    code = "import sys, json, r2f.preflight; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert not {"keras", "tensorflow", "jax", "torch"} & set(modules)


def test_the_memory_of_a_container_counts_where_it_is_less_than_the_machines(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 400000\n")
    monkeypatch.setattr(preflight, "CGROUP", tmp_path)
    assert preflight.available_memory() == 900_000
    (tmp_path / "memory.max").write_text("max\n")
    assert (preflight.available_memory() or 10 ** 7) > 1_000_000
