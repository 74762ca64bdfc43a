"""The arrows of docs/ARCHITECTURE.md, held by reading the import statements."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "r2f"
MAY_IMPORT = {
    "config": set(),
    "images": set(),
    "drawn": {"drawn"},
    "data": {"config", "images", "drawn"},
    "networks": set(),
    "pool": set(),
    "augment": set(),
    "cyclegan": {"config", "networks", "pool", "augment"},
    "run": set(),
    "checkpoint": {"run"},
    "pair": {"run", "checkpoint", "networks"},
    "train": {"config", "images", "data", "networks", "cyclegan", "checkpoint", "pair", "run"},
    "bloom": {"images", "networks", "pair"},
    "film": {"images"},
    "ui": {"images", "bloom", "pair", "config", "run", "ui"},
}
WITHOUT_KERAS = {"config", "images", "run", "drawn", "data", "bloom", "checkpoint", "pair", "ui"}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        noun = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if noun != "__init__":
            yield pytest.param(noun, path, id=str(path.relative_to(PACKAGE)))


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("noun,path", list(modules()))
def test_a_module_imports_only_what_the_architecture_allows(noun, path):
    assert noun in MAY_IMPORT, f"r2f/{noun}.py is not in docs/ARCHITECTURE.md"
    tree = ast.parse(path.read_text())
    ours = {name.split(".")[1] for name in imported(ast.walk(tree)) if name.startswith("r2f.")}
    assert ours <= MAY_IMPORT[noun]
    at_module_level = {name.split(".")[0] for name in imported(tree.body)}
    if noun in WITHOUT_KERAS:
        assert not at_module_level & {"keras", "tensorflow", "jax", "torch"}, "importing Keras costs seconds"
    if noun != "ui":
        assert "gradio" not in at_module_level


@pytest.mark.parametrize("noun,path", list(modules()))
def test_no_module_speaks_to_one_backend_or_unpickles(noun, path):
    names = set(imported(ast.walk(ast.parse(path.read_text()))))
    assert not {name.split(".")[0] for name in names} & {"tensorflow", "jax", "torch", "pickle", "joblib", "dill"}
    for forbidden in ("load_model", "allow_pickle=True", "enable_unsafe_deserialization"):
        assert forbidden not in path.read_text()
