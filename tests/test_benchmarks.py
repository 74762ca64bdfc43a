"""The benchmarks run, so that they can't rot. What they measure is not judged here."""

import os
import subprocess
import sys
from pathlib import Path


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
