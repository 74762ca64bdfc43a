"""What the README says to type is there: its commands are the newcomer's first contact."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "checkpoints").glob("*/README.md")), *sorted((ROOT / "docs").glob("*.md"))]
HELPS = """
import contextlib, io, json, runpy, sys
texts = {}
for name in json.loads(sys.argv[1]):
    run = runpy.run_module if name[0] == "-m" else runpy.run_path
    sys.argv = [*(name[1:] if name[0] == "-m" else name), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            run(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            assert not end.code, name
    texts[" ".join(name)] = said.getvalue()
print(json.dumps(texts))
"""
WITH_SUBCOMMANDS = ("r2f.data", "r2f.checkpoint")


def commands():
    """The lines of the shell blocks that start one of our programs."""
    for document in DOCUMENTS:
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", document.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if "python" not in line:
                    continue
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # KERAS_BACKEND=jax python …
                    words = words[1:]
                if words and words[0] in (".venv/bin/python", "python"):
                    yield words[1:]


def program(words):
    """What to ask for help: a script, a module, or a module with its subcommand."""
    return words[:3 if words[1] in WITH_SUBCOMMANDS else 2] if words[0] == "-m" else words[:1]


def helps(programs, home):
    """The help of each program, all asked for in one process, which imports Keras only once."""
    names = sorted(set(programs))
    done = subprocess.run([sys.executable, "-c", HELPS, json.dumps(names)], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(home), "GLIBC_TUNABLES": ""})
    texts = json.loads(done.stdout.splitlines()[-1])
    return {name: texts[" ".join(name)] for name in names}


def test_every_option_in_the_documents_exists(tmp_path):
    seen, texts = 0, helps((tuple(program(words)) for words in commands()), tmp_path)
    for words in commands():
        text = texts[tuple(program(words))]
        assert "usage:" in text.lower(), f"{' '.join(words)}: no help"
        for word in words:
            if word.startswith("--"):
                assert re.search(rf"{re.escape(word.split('=')[0])}\b", text), f"{' '.join(words)}: {word} is no option"
                seen += 1
    assert seen >= 8


def test_every_file_that_the_documents_link_to_exists():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_make_target_in_the_readme_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets
