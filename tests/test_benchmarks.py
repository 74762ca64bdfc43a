"""The benchmarks run, so that they can't rot. What they measure is not judged here."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmarks import brushes, film, way_back
from r2f import drawn
from r2f.images import write_picture


class Painter:
    """A pair that leaves pictures as they are, of which nothing else is known."""

    info: dict = {}

    def bloom(self, picture):
        return picture

    frost = bloom


@pytest.fixture
def painter(monkeypatch):
    for module in (way_back, film):
        monkeypatch.setattr(module.Bloomer, "load", lambda folder: Painter())


def test_the_benchmark_of_a_training_step_prints_one_table_in_which_every_network_moved():
    """It ends with an error itself where a network did not move."""
    command = [sys.executable, "-m", "benchmarks.train_step", "--quick", "--steps=1", "--warmup=1"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=600, cwd=Path(__file__).parents[1],
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    table = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in done.stdout.splitlines() if line.startswith("|")][2:]
    assert [(trainer, networks) for trainer, networks, *_ in table] == [
        ("ours", "ours"), ("ours", "ours"), ("seed's recipe", "ours"),
        ("ours", "seed's"), ("seed's recipe", "seed's")]
    assert all(float(seconds) > 0 for _, _, _, seconds, *_ in table)
    assert table[-1][-1] == "1.0"


def test_the_benchmark_of_a_look_at_a_training_prints_one_table():
    """Its other half, a real page with visitors, takes minutes: `python -m benchmarks.train_page --quick` runs both."""
    command = [sys.executable, "-m", "benchmarks.train_page", "--quick", "--only=looks"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=600, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line for line in done.stdout.splitlines() if line.startswith("| processor time")]
    print(*rows, sep="\n")
    assert len(rows) == 3 and all(" ms, at most " in row for row in rows)


def test_the_way_back_of_readable_pictures_is_measured_and_the_others_are_named(painter, tmp_path, capsys):
    for seed in range(2):
        write_picture(drawn.rime(seed, (40, 48)), tmp_path / f"{seed}.png")
    assert way_back.main([str(tmp_path)]) == 0
    assert "2 of 2 pictures, pair at an unknown step" in capsys.readouterr().out
    (tmp_path / "1a.jpg").write_bytes(b"no photo")
    assert way_back.main([str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]) == 1
    said = capsys.readouterr()
    assert "left out: 1a.jpg" in said.err and "Traceback" not in said.err
    assert "2 of 3 pictures" in said.out and re.search(r"SSIM +mean  1\.000", said.out)
    assert (tmp_path / "sheet.png").exists()
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert way_back.main([str(tmp_path)]) == 1
    assert "0 of 1 pictures" in capsys.readouterr().out


@pytest.mark.parametrize("module", [way_back, film])
@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_without_pictures_gets_one_sentence(module, name, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module.Bloomer, "load", None)
    (tmp_path / "empty").mkdir()
    assert module.main([str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.err == f"There are no pictures in {tmp_path / name}; name a folder that holds some.\n" and not said.out


def test_a_picture_without_borders_of_tiles_has_a_dash_for_its_seams():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small, large = (np.random.default_rng(0).integers(0, 256, (height, 64, 3), np.uint8) for height in (600, 1200))
        assert brushes.seams(small, small) == "–"
        assert brushes.seams(large, large) == "1.0000"
