"""What every test may use: small drawn pictures on disk, a folder for runs, a training that is over."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")  # as r2f.train has it, which not every test imports first
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import pytest  # noqa: E402

from r2f import drawn, runner  # noqa: E402
from r2f.images import write_picture  # noqa: E402


def pytest_collection_modifyitems(items):
    """Between two files with a browser come files that only compute, so that workers seldom have a browser each: a page, its
    server and their test are busy in turns, and two of these at once keep each other waiting."""
    files = list(dict.fromkeys(item.path for item in items))
    watched = [each for each in files if each.parent.name == "browser"]
    others = [each for each in files if each not in watched]
    between = -(-len(others) // (len(watched) + 1))
    place = {each: (2 * (index // between), index) for index, each in enumerate(others)}
    place |= {each: (2 * index - 1, 0) for index, each in enumerate(watched)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    """The seed's layout, trainA trainB testA testB (A = flower, B = rime), with a few drawn pictures of 64 x 48 pixels."""
    root = tmp_path_factory.mktemp("drawn")
    for name, draw, seeds in (("trainA", drawn.flower, range(5)), ("trainB", drawn.rime, range(6)),
                              ("testA", drawn.flower, range(10, 12)), ("testB", drawn.rime, range(10, 12))):
        (root / name).mkdir()
        for seed in seeds:
            write_picture(draw(seed, (48, 64)), root / name / f"{seed}.png")
    return root


@pytest.fixture
def untraced():
    """TensorFlow computes at once. To trace and optimize a step takes longer than a few of them do."""
    import tensorflow
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture
def root(tmp_path):
    """A folder for runs; whatever still trains in it at the end is ended."""
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    for each in runner.runs(folder):
        if each.running:
            assert runner.stop(each.run, 5) != "still running"


@pytest.fixture(scope="session")
def finished(tmp_path_factory, drawn_folder):
    """A run that nobody disturbed, 8 steps long, every step's checkpoint kept."""
    from machine import start
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert start(path, drawn_folder, "--sample-steps=4", "--milestone-steps=1") == 0
    return path


@pytest.fixture(scope="session")
def machine(finished):
    """One model whose step is traced once, for every test that trains it; see machine.py."""
    from machine import Machine
    return Machine(finished)
