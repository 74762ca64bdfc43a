"""A state handed to the Saver is a copy on every backend: some lend the memory of their variables, and steps write into it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = """
import keras
import numpy as np
from r2f import checkpoint

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.1), "mse")
x, y = np.random.default_rng(0).random((64, 8), np.float32), np.ones((64, 1), np.float32)
model.fit(x, y, verbose=0, shuffle=False)
before = checkpoint.state_of(model)
kept = {name: array.copy() for name, array in before.items()}
model.fit(x, y, verbose=0, shuffle=False)
first = checkpoint.state_of(model)
assert all(np.array_equal(before[name], kept[name]) for name in kept), "the snapshot changed with the model"
assert sum(not np.array_equal(first[name], kept[name]) for name in kept) > 6, "nothing was trained"
checkpoint.set_state(model, before)
model.fit(x, y, verbose=0, shuffle=False)
again = checkpoint.state_of(model)
print(keras.backend.backend(), len(kept), all(np.array_equal(first[name], again[name]) for name in kept if "metrics" not in name))
"""


@pytest.mark.crash
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_snapshot_stays_as_it_was_while_the_training_goes_on(backend, say):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parent.parent.parent)})
    assert done.returncode == 0, done.stderr[-2000:]
    say(f"{done.stdout.strip()}: snapshot unchanged by a later step, and the step repeated from it")
    assert done.stdout.split()[0] == backend and done.stdout.split()[-1] == "True"
