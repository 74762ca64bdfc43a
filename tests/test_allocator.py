"""A program that asks the C library to keep memory starts itself anew, once; what it is told is looked at from outside."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from r2f.allocator import TUNABLES

ROOT = Path(__file__).parents[1]
GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other settings")
PROGRAM = """import os, sys
from r2f.allocator import keep_memory
print(os.getpid(), flush=True)
keep_memory()
print(os.environ.get("GLIBC_TUNABLES"), sys.argv[1:])"""


def said(**environment):
    given = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "--run", "a b"], cwd=ROOT, env=given | environment, text=True,
                               stdout=subprocess.PIPE)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 0
    return process.pid, lines


@GLIBC
def test_a_program_starts_anew_once_with_its_arguments_and_its_process_id():
    pid, lines = said()
    assert lines[:2] == [str(pid)] * 2 and len(lines) == 3
    assert all(f"glibc.malloc.{name}={value}" in lines[2] for name, value in TUNABLES.items())
    assert lines[2].endswith("['--run', 'a b']")


def test_what_somebody_chose_is_left_as_it_is():
    _, lines = said(GLIBC_TUNABLES="glibc.malloc.hugetlb=0")
    assert lines[1:] == ["glibc.malloc.hugetlb=0 ['--run', 'a b']"]


@GLIBC
def test_the_c_library_knows_these_settings():
    """It says nothing of those that it does not know; a program of its own lists those it does."""
    loader = next(Path("/lib").glob("*/ld-linux-*.so.*"), None) or next(Path("/lib64").glob("ld-linux-*.so.*"))
    known = subprocess.run([loader, "--list-tunables"], capture_output=True, text=True, check=True).stdout
    assert all(f"glibc.malloc.{name}:" in known for name in TUNABLES), known


@GLIBC
@pytest.mark.parametrize("program, late", [  # and what takes long to import is imported once
    (["-m", "r2f.train", "--dry-run", "--run=x"], "keras"), (["-m", "r2f.pupil", "--help"], "keras"),
    (["app.py", "--help"], "numpy"), (["-m", "r2f.bloom", "--help"], None), (["-m", "r2f.evaluate", "--help"], None)])
def test_what_paints_or_trains_runs_so(program, late):
    given = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, "-X", "importtime", *program], cwd=ROOT, env=given, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count("| r2f.allocator\n") == 2
    assert not late or len(re.findall(rf"\| +{late}\n", done.stderr)) == 1
