"""The arrows of docs/ARCHITECTURE.md, held by reading the import statements."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "r2f"
MAY_IMPORT = {
    "config": set(),
    "images": set(),
    "drawn": {"drawn"},
    "source": {"images"},
    "shell": set(),
    "likeness": {"images"},
    "doctor": {"images", "source", "likeness", "shell"},
    "dataset": {"doctor", "source", "likeness"},
    "data": {"config", "images", "drawn", "source", "doctor", "dataset", "shell"},
    "networks": set(),
    "pool": set(),
    "augment": set(),
    "projected": {"networks"},
    "cyclegan": {"config", "networks", "pool", "augment", "projected", "features"},
    "distil": {"config", "cyclegan"},
    "judged": {"config", "cyclegan"},
    "run": set(),
    "files": set(),
    "checkpoint": {"run", "archive"},  # archive is its command line
    "archive": {"run", "config", "files", "checkpoint", "pair", "keras2", "card", "runner", "shell"},
    "card": {"files"},
    "keras2": {"files", "pair"},
    "hub": {"files", "pair"},
    "saver": {"checkpoint", "ending"},
    "pair": {"run", "files", "checkpoint", "networks"},
    "ending": set(),
    "allocator": set(),
    "quiet": set(),
    "heartbeat": {"run"},
    "preflight": {"config", "images", "data", "checkpoint", "pair"},
    "usage": set(),
    "events": {"shell"},
    "output": {"config", "images", "data", "cyclegan", "checkpoint", "pair"},
    "quality": {"config", "data", "evaluate", "output", "pair", "run"},
    "recorder": {"config", "images", "data", "networks", "cyclegan", "checkpoint", "saver", "pair", "run", "ending", "heartbeat",
                 "usage", "events", "output", "quality", "device"},
    "train": {"config", "data", "networks", "cyclegan", "distil", "checkpoint", "pair", "run", "preflight", "recorder", "ending",
              "allocator", "quiet", "heartbeat", "events", "output", "features", "shell", "device"},
    "brush": {"images", "networks"},
    "compare": {"images"},
    "bloom": {"images", "networks", "pair", "brush", "compare", "film", "allocator", "quiet"},
    "film": {"images"},
    "slim": {"networks"},
    "pupil": {"config", "data", "images", "networks", "pair", "bloom", "allocator", "output", "slim", "retouch", "distil",
              "judged", "features", "quiet", "ending"},
    "retouch": {"brush"},
    "keeper": {"run"},
    "runner": {"config", "keeper", "run", "device"},
    "device": {"networks", "preflight", "run", "runner", "usage"},
    "speed": {"config", "device", "images", "keeper", "preflight", "run", "runner"},
    "metrics": set(),
    "features": {"metrics", "shell"},
    "report": {"metrics"},
    "evaluate": {"metrics", "features", "report", "data", "images", "bloom", "pair", "allocator", "shell"},
    "ui": {"runner", "hub", "images", "bloom", "brush", "film", "compare", "pair", "config", "run", "archive", "ui",
           "device", "speed", "preflight", "drawn", "source", "doctor", "dataset"},
}
WITHOUT_KERAS = {"config", "images", "run", "drawn", "source", "shell", "likeness", "doctor", "dataset", "data",
                 "bloom", "brush", "compare", "film", "card", "device", "speed",
                 "files", "archive", "keras2", "hub", "checkpoint", "saver", "pair", "keeper", "runner", "ui",
                 "preflight", "heartbeat", "ending", "allocator", "quiet", "usage", "events", "metrics", "features",
                 "report", "evaluate"}


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
def test_no_module_speaks_to_one_backend(noun, path):
    names = set(imported(ast.walk(ast.parse(path.read_text()))))
    if noun == "features":  # a published extractor that exists for PyTorch only; imported where it is asked for
        names -= {"torch"}
    if noun == "events":  # TensorBoard's file format; imported where it is asked for, and nothing is computed with it
        names = {name for name in names if not name.startswith("tensorflow")}
    assert not {name.split(".")[0] for name in names} & {"tensorflow", "jax", "torch"}


# How loading a file can run what is in it. A pair, a checkpoint and a .h5 file are numbers and text here, and nothing more.
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pandas"}
LOADERS = {"load_model", "model_from_json", "model_from_config", "deserialize_keras_object", "Lambda", "saved_model", "TFSMLayer",
           "enable_unsafe_deserialization", "safe_mode", "allow_pickle", "read_pickle", "custom_objects"}
CALLS = {"eval", "exec", "compile"}  # the built-in functions: a network's own compile() is an attribute
TORCH_LOAD = {("torch", "load"), ("jit", "load"), ("hub", "load")}


def runs_what_it_loads(source: str) -> set[str]:
    """Everything in a module by which a file that it loads could run code."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import() | ast.ImportFrom():
                found |= {name for name in imported([node]) if name.split(".")[0] in UNPICKLERS or name.split(".")[-1] in LOADERS}
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.keyword(arg=name) if name in LOADERS:
                found.add(name)
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                found.add(name)
            case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id=owner) | ast.Attribute(attr=owner)), keywords=given) \
                    if (owner, name) in TORCH_LOAD and "weights_only=True" not in map(ast.unparse, given):
                found.add(f"{owner}.{name}")
    return found


@pytest.mark.parametrize("noun,path", [*modules(), pytest.param("app", PACKAGE.parent / "app.py", id="app.py")])
def test_no_module_loads_a_file_that_could_run_code(noun, path):
    assert not runs_what_it_loads(path.read_text())


@pytest.mark.parametrize("offender", [
    "import pickle", "from joblib import load", "from pickle import loads as read", "def f():\n    import dill",
    "import numpy\nnumpy.load(path, allow_pickle=True)", "import keras\nkeras.models.load_model(path)",
    "from keras.models import load_model as read", "keras.models.model_from_json(text)", "keras.layers.Lambda(f)",
    "keras.Sequential.from_config(config, custom_objects={})", "keras.config.enable_unsafe_deserialization()",
    "tf.saved_model.load(path)", "keras.layers.TFSMLayer(path)", "torch.load(path)", "torch.load(path, weights_only=False)",
    "eval(text)", "exec(text)",
])
def test_a_planted_offender_is_caught(offender):
    assert runs_what_it_loads(offender)


def test_an_honest_module_is_not_accused():
    assert not runs_what_it_loads("model.compile(optimizer='adam')\nnumpy.load(path)\nload(content)\njson.loads(text)")
