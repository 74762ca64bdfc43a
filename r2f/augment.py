"""Differentiable augmentation of everything the discriminators see, so that a thousand pictures last for a long training;
and the moves between the halves of the cycle.

Zhao et al. 2020, arXiv:2006.10738. Colour is kept mild here: colour is what the two domains differ in.
"""

import keras
from keras import ops

TRANSLATION = 1 / 8  # at most, part of the side (the paper's)
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
    """Pictures (N, H, W, 3) moved by whole pixels, grey (0) moving in; two draws (N, 1, 1, 1) in [0, 1)."""
    def places(side, draw):
        most = int(side * TRANSLATION)
        return positions(side) - (ops.floor(draw * (2 * most + 1)) - most)

    return taken_from(x, places(x.shape[1], down), places(x.shape[2], right))


def shift(x, down, right):
    """Pictures (N, H, W, 3) moved down and right by whole pixels, (N, 1, 1, 1) each and at least 0; mirrored where that leaves a
    border."""
    return taken_from(x, ops.abs(positions(x.shape[1]) - down), ops.abs(positions(x.shape[2]) - right))


def positions(side):
    return ops.reshape(ops.arange(side, dtype="float32"), (1, side, 1, 1))


def taken_from(x, rows, columns):
    """Pictures (N, H, W, 3): the rows and columns of x with the numbers given, (N, side, 1, 1); grey (0) where x has none.

    A choice of rows is a product with a matrix of 0 and 1: differentiable, and fast everywhere.
    """
    def choice(places, side):
        return ops.cast(places[..., 0] == ops.reshape(positions(side), (1, 1, side)), "float32")  # (N, side, side)

    return ops.einsum("nab,nbwc,nvw->navc", choice(rows, x.shape[1]), x, choice(columns, x.shape[2]))


def cutout(x, top, left):
    """Pictures (N, H, W, 3) with a grey (0) square; two draws (N, 1, 1, 1) in [0, 1) place its centre."""
    height, width = x.shape[1], x.shape[2]
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1, 1))
    outside = ops.logical_or(ops.abs(rows - top * height) > height * CUTOUT / 2,
                             ops.abs(columns - left * width) > width * CUTOUT / 2)
    return ops.where(outside, x, 0.0)
