"""Standard error is for what a person can use: nothing of TensorFlow's, everything of anybody else's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY

from r2f import config, drawn, pair
from r2f.images import write_picture
from r2f.networks import generator

ROOT = Path(__file__).parent.parent
SAID = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR", "I0000 00:00:1 port.cc:153] on."


def python(*arguments, **how):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=300, **how)


def test_a_person_who_lets_a_photo_bloom_reads_no_warning(tmp_path):
    arguments = config.preset("r2f", **TINY).generator_arguments
    pair.save_pair(tmp_path / "pair", {name: generator(**arguments, name=name) for name in ("bloom", "frost")},
                   {"networks": arguments})
    write_picture(drawn.rime(0, 64), tmp_path / "twig.png")
    done = python("-m", "r2f.bloom", tmp_path / "twig.png", "-o", tmp_path / "out", "--pair", tmp_path / "pair")
    assert done.returncode == 0 and (tmp_path / "out" / "twig-flower.png").exists()
    assert done.stderr == ""


@pytest.mark.parametrize("end, code", [("", 0), ("os.abort()", -6), ("raise SystemExit(3)", 3)])
def test_what_others_say_meanwhile_arrives_whatever_the_end(end, code):
    lines = "".join(f"{line}\n" for line in ("first", *SAID, "second"))
    program = ["import os", "from r2f.quiet import quiet", "with quiet():", f"    os.write(2, {lines.encode()!r})", f"    {end}",
               "os.write(2, b'third')"]
    done = python("-c", "\n".join(program))
    assert done.returncode == code
    assert done.stderr == "first\nsecond\n" + ("" if end else "third")


@pytest.mark.skipif(os.name == "nt", reason="a shell closes it")
def test_without_a_standard_error_there_is_nothing_to_keep_quiet():
    done = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable,
                           "from r2f.quiet import quiet\nwith quiet():\n    print('imported')"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "imported\n"
