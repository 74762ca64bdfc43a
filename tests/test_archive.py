import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import TINY

from r2f import checkpoint
from r2f.archive import main
from r2f.config import Config
from r2f.cyclegan import CycleGAN
from r2f.keras2 import read_here
from r2f.pair import NETWORKS, pair_variables, read_pair
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
        folder = tmp_path / numbers
        assert main(["import-h5", *FILES, "-o", str(folder), *options]) == 0
        arrays, info = read_pair(folder)
        assert (info["step"], info["preset"], info["image_size"], info.get("numbers", "float16")) == (2500, "seed", 32, numbers)
        for name, path in (("frost", FILES[0]), ("bloom", FILES[1])):
            assert all(np.array_equal(arrays[name][key], array.astype(numbers)) for key, array in read_here(path)[1].items())
    assert "bloom from g_model_BtoA_002500.h5" in capsys.readouterr().out


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
