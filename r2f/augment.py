"""Differentiable augmentation of everything the discriminators see, so that a thousand pictures last for a long training.

Zhao et al. 2020, arXiv:2006.10738. Colour is kept mild here: colour is what the two domains differ in.
"""

import keras
from keras import ops

SHIFT = 1 / 8  # at most, part of the side (the paper's)
CUTOUT = 1 / 4  # side of the grey square, part of the side (the paper has 1/2, for whole-picture discriminators)
BRIGHTNESS = 0.1  # added at most, of a range of 2
SATURATION = 0.2  # a factor of 1 plus or minus this
CONTRAST = 0.2


class Augmentation(keras.layers.Layer):
    """The same kinds of change for real pictures and fakes, drawn anew for each picture."""

    def __init__(self, kinds: tuple[str, ...], seed: int, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.kinds = kinds
        self.seed = keras.random.SeedGenerator(seed)

    def call(self, x):
        """Pictures (N, H, W, 3) to changed pictures, the same shape."""
        draw = lambda: keras.random.uniform((x.shape[0], 1, 1, 1), seed=self.seed)  # noqa: E731
        if "colour" in self.kinds:
            x = colour(x, draw(), draw(), draw())
        if "translation" in self.kinds:
            x = translation(x, draw(), draw())
        if "cutout" in self.kinds:
            x = cutout(x, draw(), draw())
        return x


def colour(x, brightness, saturation, contrast):
    """Pictures (N, H, W, 3) and three draws (N, 1, 1, 1) in [0, 1)."""
    x = x + (2 * brightness - 1) * BRIGHTNESS
    grey = ops.mean(x, axis=3, keepdims=True)
    x = grey + (x - grey) * (1 + (2 * saturation - 1) * SATURATION)
    mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * (1 + (2 * contrast - 1) * CONTRAST)


def translation(x, down, right):
    """Pictures (N, H, W, 3) moved by whole pixels, grey (0) moving in; two draws (N, 1, 1, 1) in [0, 1).

    A move of rows is a product with a matrix of 0 and 1: differentiable, and fast everywhere.
    """
    def moved(side, draw):
        most = int(side * SHIFT)
        offset = ops.floor(ops.reshape(draw, (-1, 1, 1)) * (2 * most + 1)) - most
        positions = ops.arange(side, dtype="float32")
        return ops.cast(positions[None, :, None] - offset == positions[None, None, :], "float32")  # (N, side, side)

    return ops.einsum("nab,nbwc,nvw->navc", moved(x.shape[1], down), x, moved(x.shape[2], right))


def cutout(x, top, left):
    """Pictures (N, H, W, 3) with a grey (0) square; two draws (N, 1, 1, 1) in [0, 1) place its centre."""
    height, width = x.shape[1], x.shape[2]
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1, 1))
    outside = ops.logical_or(ops.abs(rows - top * height) > height * CUTOUT / 2,
                             ops.abs(columns - left * width) > width * CUTOUT / 2)
    return ops.where(outside, x, 0.0)
