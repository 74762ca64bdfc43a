"""What the README says to type is there: its commands are the newcomer's first contact."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import gradio
import yaml
from huggingface_hub.utils import filter_repo_objects

from r2f.pair import FILES

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


def test_what_the_readme_sends_to_a_space_is_enough_to_open_the_page(tmp_path):
    readme = (ROOT / "README.md").read_text()
    about = yaml.safe_load(re.search(r"```yaml\n---\n(.*?)---\n```", readme, re.DOTALL)[1])
    assert about["sdk"] == "gradio" and about["sdk_version"].split(".")[:2] == gradio.__version__.split(".")[:2]
    assert about["python_version"] in ("3.11", "3.12", "3.13") and len(about["short_description"]) <= 60  # more the Hub refuses
    upload = re.search(r"hf upload (.*?)\n```", readme.replace("\\\n", " "), re.DOTALL)[1]
    words = shlex.split(upload)
    wanted = [pattern for option, pattern in zip(words, words[1:], strict=False) if option == "--include"]
    here = [*ROOT.glob("*"), *(path for name in ("r2f", "checkpoints", "examples", "docs") for path in (ROOT / name).rglob("*"))]
    names = (path.relative_to(ROOT).as_posix() for path in here if path.is_file())
    for name in filter_repo_objects(names, allow_patterns=wanted):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    assert all((tmp_path / "checkpoints" / pair / name).is_file() for pair in ("lite", "r2f") for name in FILES)
    started = subprocess.Popen([sys.executable, about["app_file"]], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                               env={**os.environ, "SPACE_ID": "name/rime2flower", "GRADIO_SERVER_NAME": "0.0.0.0"})
    try:
        address = re.search(r"The page is at (\S+)", started.stdout.readline())[1]
        with urllib.request.urlopen(f"{address}config".replace("0.0.0.0", "127.0.0.1"), timeout=60) as answer:
            parts = [each["props"] for each in json.load(answer)["components"]]
        assert {"bloom", "own-copy"} <= (names := {each.get("elem_id") for each in parts}) and "train" not in names
        assert len(next(each["samples"] for each in parts if each.get("elem_id") == "examples")) == 9
    finally:
        started.terminate()
        started.wait(60)
