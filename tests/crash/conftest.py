"""How the experiments of this folder are run: each in a process of its own, for they change `os`, fork and die."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def experiment(tmp_path):
    """run(name, **arguments): the figures that an experiment reports."""
    def run(name: str, **arguments) -> dict:
        command = [sys.executable, HERE / f"{name}.py", json.dumps({"scratch": str(tmp_path), **arguments})]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)}, capture_output=True, text=True,
                              timeout=3600)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def say(capsys):
    """Print a figure past pytest's capture: a test without its figure proves little."""
    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}")

    return say
