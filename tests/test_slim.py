"""A slimmer generator makes nearly the same picture: exactly the same where the channels that go say nothing of their own."""

import keras
import numpy as np
import pytest
from tiny import TINY

from r2f import config, slim
from r2f.networks import InstanceNorm, generator

SHAPE = config.preset("lite", **TINY).generator_arguments


def doubled(narrow):
    """The same function with every channel there twice."""
    wide = generator(**SHAPE | {"filters": 2 * SHAPE["filters"]})
    for old, new in zip(narrow.layers, wide.layers, strict=True):
        if isinstance(old, keras.layers.Conv2D):
            kernel = np.asarray(old.kernel)
            kernel = kernel if kernel.shape[2] == 3 else np.repeat(kernel, 2, axis=2) / 2
            last = kernel.shape[3] == 3
            new.kernel.assign(kernel if last else np.repeat(kernel, 2, axis=3))
            if old.use_bias:
                new.bias.assign(np.asarray(old.bias) if last else np.repeat(np.asarray(old.bias), 2))
        elif isinstance(old, InstanceNorm):
            for weight, wider in ((old.gamma, new.gamma), (old.beta, new.beta)):
                wider.assign(np.repeat(np.asarray(weight), 2))
    return wide


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(3)
    return [random.uniform(-1, 1, (32, 40, 3)).astype("float32") for _ in range(4)]


@pytest.fixture(scope="module")
def narrow():
    """A generator that was never trained, but all of whose weights do something."""
    keras.utils.set_random_seed(4)
    random, network = np.random.default_rng(5), generator(**SHAPE, name="bloom")
    for weight in network.trainable_weights:
        if weight.path.endswith(("gamma", "beta", "bias")):
            weight.assign(random.uniform(0.2, 1, weight.shape))
    return network


def test_channels_that_are_there_twice_go_without_a_trace(narrow, pictures):
    wide = doubled(narrow)
    made = slim.slim(wide, SHAPE | {"filters": 2 * SHAPE["filters"]}, SHAPE["filters"], pictures)
    assert made.name == wide.name and made.count_params() == narrow.count_params()
    new = np.random.default_rng(6).uniform(-1, 1, (1, 48, 36, 3)).astype("float32")  # not one it was fitted to
    expected, before, after = (np.asarray(network.predict_on_batch(new)) for network in (narrow, wide, made))
    assert np.abs(before - expected).max() < 1e-4
    print(f"\nlargest difference {np.abs(after - expected).max():.1e} of a range of 2")
    assert np.abs(after - expected).max() < 0.02


def test_what_is_lost_is_less_than_where_channels_are_only_cut_off(narrow, pictures, monkeypatch):
    fewer = SHAPE["filters"] - 1
    right = np.asarray(narrow.predict_on_batch(pictures[0][None]))

    def lost():
        made = slim.slim(narrow, SHAPE, fewer, pictures)
        return np.abs(np.asarray(made.predict_on_batch(pictures[0][None])) - right).mean()

    fitted = lost()
    monkeypatch.setattr(slim, "folded", lambda kernel, seen, keep: (kernel[:, :, keep], 0.0))
    cut = lost()
    print(f"\nmean difference {fitted:.3f} fitted, {cut:.3f} cut off")
    assert fitted < cut


@pytest.mark.parametrize("shape, filters, said", [
    (SHAPE | {"residual": "concat"}, 1, "only these can be made slimmer"),
    (SHAPE | {"norm": "everywhere"}, 1, "choose another pair"),
    (SHAPE, SHAPE["filters"], "choose one of these"), (SHAPE, 0, "choose one of these")])
def test_what_can_not_be_made_slimmer_is_said_in_a_sentence(narrow, pictures, shape, filters, said):
    with pytest.raises(slim.CannotSlim, match=said):
        slim.slim(narrow, shape, filters, pictures)
