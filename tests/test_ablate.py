"""The ablation: its variants are what they say, and what was done is never done twice."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from benchmarks import ablate
from r2f import config, evaluate

FOLDERS = ("rime", "flowers", "rime-test", "flowers-test")
FIGURE = {"value": 0.5, "error": 0.1}
PAIR = {"bloom": {"kid": {"gap_closed": FIGURE}, "colours": {"after": FIGURE}}, "frost": {"kid": {"gap_closed": FIGURE}},
        "way_back_of_rime": {"ssim": FIGURE, "ciede2000": FIGURE},
        "faults": {name: {"bloom": FIGURE, "flowers": FIGURE} for name in ("colour_noise", "checkerboard", "halo")}
        | {"light": {"bloom": FIGURE}, "droplets": {"bloom": FIGURE}}}


@pytest.fixture
def command(tmp_path):
    """The command line of an ablation of noise."""
    chance = np.random.default_rng(0)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(chance.integers(0, 256, (64, 80, 3), np.uint8)).save(tmp_path / name / f"{number}.png")
    return [*(f"--{name}={tmp_path / name}" for name in FOLDERS), f"--out={tmp_path / 'out'}", "--steps=4"]


@pytest.fixture
def calls(monkeypatch):
    """What would be run, in order; a training and a judgement leave what the real ones leave. `calls.fails` names what fails."""
    class Calls(list):
        fails = None

    made = Calls()

    def call(self, name, arguments, log, out=None):
        made.append((name, *arguments))
        if made.fails in (name, arguments[0]):
            log.write_text("reading\nA sentence that says why.\n")
            return 3
        if arguments[0] == "r2f.train":
            run = ablate.Run(Path(arguments[-1].removeprefix("--run=")))
            for folder in (run.path, run.pair, run.checkpoints / "step_00000004"):
                folder.mkdir(parents=True, exist_ok=True)
            run.config.write_text("{}")
            run.write_status(state="finished", step=4)
            run.append_metrics(step=4, pairs_per_second=2.0)
            (run.pair / "pair.json").write_text("{}")
        else:
            out.write_text(json.dumps({"pairs": [PAIR]}))
        return 0

    monkeypatch.setattr(ablate.Workers, "call", call)
    return made


def parsed(options: list[str]) -> config.Config:
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    given = vars(parser.parse_args(options))
    return config.preset(given.pop("preset"), **given)


@pytest.mark.parametrize("name", ablate.VARIANTS)
def test_the_command_line_of_a_variant_gives_its_settings(name):
    folders = dict(rime="/a", flowers="/b")
    ablation = ablate.Ablation(Path("/out"), dict(image_size=128, load_size=160, steps=10_000, seed=1, **folders), [])
    settings = ablation.settings(name)
    assert parsed([*ablate.options_of(settings), f"--run={settings.run}"]) == settings
    assert (settings.image_size, settings.seed, settings.evaluate_steps) == (128, 1, 0)
    assert settings.steps == (2_500 if name == "seed-2500" else 10_000)


def test_no_two_variants_are_the_same():
    changes = [json.dumps(settings, sort_keys=True) for _, settings in ablate.VARIANTS.values()]
    assert len(set(changes)) == len(changes) == len({what for what, _ in ablate.VARIANTS.values()})


def test_what_is_judged_is_not_done_again_and_its_checkpoints_are_gone(command, calls, tmp_path, capsys):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert ablate.main([*command, "--variants", "plain", "r2f"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers  # Ctrl-C ends what comes after
    assert [call[:2] for call in calls] == [(name, f"r2f.{what}") for name in ("plain", "r2f") for what in ("train", "evaluate")]
    assert not (tmp_path / "out/plain/checkpoints").exists()
    calls.clear()
    capsys.readouterr()
    assert ablate.main([*command, "--variants", "plain", "r2f"]) == 0 and not calls
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) == 5 and table[4] == "| real paintings |  |  |  |  |  |  | 0.50 | 0.50 | 0.50 |  |  |  |"
    assert table[2].startswith("| none of the extras | 4 | 0.500 ± 0.100 |") and table[2].endswith("| 2.00 |")
    assert ablate.main([f"--out={tmp_path / 'out'}", "--table"]) == 0 and not calls
    assert table[2] in capsys.readouterr().out


def test_a_training_that_was_begun_goes_on_and_one_that_was_done_is_only_judged(command, calls, tmp_path):
    ablate.main([*command, "--variants", "plain"])
    (tmp_path / "out/plain.json").unlink()
    calls.clear()
    ablate.main([*command, "--variants", "plain"])
    assert [call[1] for call in calls] == ["r2f.evaluate"]
    (tmp_path / "out/plain.json").unlink()
    ablate.Run(tmp_path / "out/plain").write_status(state="stopped", step=2)
    calls.clear()
    ablate.main([*command, "--variants", "plain"])
    assert [call[1:] for call in calls][0] == ("r2f.train", "--resume", f"--run={tmp_path / 'out/plain'}")


@pytest.mark.parametrize("failing", ["plain", "r2f.evaluate"])
def test_what_fails_says_why_and_holds_up_nothing_else(command, calls, capsys, failing):
    calls.fails = failing
    assert ablate.main([*command, "--variants", "plain", "r2f"]) == 1
    said = capsys.readouterr().out
    assert "plain: failed with exit code 3: A sentence that says why." in said
    assert ("r2f: judged" in said) == (failing == "plain")


def test_after_the_end_was_asked_for_nothing_new_begins(command, calls, monkeypatch, capsys):
    made = ablate.Workers.call

    def call(self, *arguments):
        code = made(self, *arguments)
        self.end()
        return code

    monkeypatch.setattr(ablate.Workers, "call", call)
    assert ablate.main([*command, "--variants", "plain", "r2f"]) == 0
    said = capsys.readouterr().out
    assert "r2f: not begun" in said and "| the r2f preset | 0 of 4 |" in said


def test_an_ablation_of_other_settings_is_not_mixed_in(command, calls, tmp_path, capsys):
    ablate.main([*command, "--variants", "plain"])
    assert ablate.main([*command, "--seed=1", "--variants", "plain"]) == 2
    assert "holds an ablation of other settings" in capsys.readouterr().err
    assert ablate.main([*command, "--settings", "nonsense=1"]) == 2
    assert ablate.main([f"--out={tmp_path / 'none'}", "--table"]) == 2
    assert ablate.main([f"--out={tmp_path / 'none'}"]) == 2
    assert "Name the pictures" in capsys.readouterr().err


@pytest.mark.parametrize("option,sentence", [
    ("--steps=30", "--steps is 30, and the ablation in OUT has 4; leave the option away, or choose another --out."),
    ("--seed=1", "--seed is 1, and the ablation in OUT has 0; "),
    ("--settings filters=8", "--settings filters is 8, and the ablation in OUT has 4; "),
    ("--settings blocks=3", "--settings blocks is 3, and the ablation in OUT has nothing; "),
    ("--prefixes=monet_", "--prefixes is monet_, and the ablation in OUT has nothing; "),
    ("--features=inception", "--features is inception, and the ablation in OUT has colour-and-gradients; "),
    ("--side=128", "--side is 128, and the ablation in OUT has 64; "),
    ("--most=9", "--most is 9, and the ablation in OUT has nothing; "),
    ("--drawn", "--rime is OUT/drawn/trainB, and the ablation in OUT has "),
])
def test_an_option_that_says_another_thing_than_the_ablation_that_is_there_is_refused(option, sentence, command, calls, tmp_path,
                                                                                      capsys):
    out = tmp_path / "out"
    ablate.main([*command, "--features=colour-and-gradients", "--side=64", "--settings", "filters=4", "--variants", "plain"])
    calls.clear()
    capsys.readouterr()
    for more in (["--table"], [] if option != "--drawn" else ["--table"]):
        assert ablate.main([f"--out={out}", *more, *option.split()]) == 2 and not calls
        said = capsys.readouterr()
        assert said.err.startswith(sentence.replace("OUT", str(out))) and said.err.count("\n") == 1 and not said.out
    assert not (out / "drawn").exists()


def test_what_says_the_same_as_the_ablation_that_is_there_is_let_through(command, calls, tmp_path, capsys):
    ablate.main([*command, "--side=64", "--settings", "filters=4", "blocks=2", "--variants", "plain"])
    calls.clear()
    same = [f"--out={tmp_path / 'out'}", "--steps=4", "--seed=0", "--side=64", "--settings", "blocks=2", "--variants", "plain"]
    for more in ([], ["--table"], ["--table", f"--rime={tmp_path / 'rime'}"]):
        assert ablate.main([*same, *more]) == 0 and not calls
        assert "| none of the extras | 4 |" in capsys.readouterr().out


def test_every_column_is_among_the_figures_of_a_pair():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 64, 64, 3), np.uint8)
    found = evaluate.figures(evaluate.paint(np.flipud, np.fliplr, *pictures), lambda some: some.mean((1, 2)))
    assert all(ablate.figure(found, *column) for column in ablate.COLUMNS.values())


@pytest.mark.crash
def test_a_variant_is_trained_and_judged_for_real(command, tmp_path):
    tiny = [f"{name}={value}" for name, value in TINY.items() if name not in ("steps", "sample_steps")]
    done = subprocess.run([sys.executable, "-m", "benchmarks.ablate", *command, "--variants", "penalty", "--settings", *tiny,
                           "--features=colour-and-gradients", "--side=64"], capture_output=True, text=True, timeout=900,
                          cwd=Path(__file__).parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "out/penalty.log").read_text()[-2000:]
    *_, row, _ = done.stdout.splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["plain + gradient penalty", "4"] and all(cells[2:])
    assert json.loads((tmp_path / "out/penalty.json").read_text())["pairs"][0]["step"] == 4
