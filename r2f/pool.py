"""The image pool: a discriminator is also shown fakes of the past, so that it does not forget them.

Shrivastava et al. 2017, arXiv:1612.07828, section 2.3; 50 pictures as in Zhu et al. 2017, section 4.
"""

import keras
from keras import ops


class ImagePool(keras.layers.Layer):
    """A fixed number of earlier fakes, on the device, part of the saved state.

    The law: a batch is stored and returned as it is while there is room for all of it. After that each fake is returned
    as it is half of the time; otherwise a stored one is returned in its place and replaced by it. No stored picture is
    returned twice in a batch. With a size of 0 every fake is returned as it is.
    """

    def __init__(self, size: int, image_size: int, seed: int, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.size = size
        self.seed = keras.random.SeedGenerator(seed)
        if size:
            self.pictures = self.add_weight((size, image_size, image_size, 3), initializer="zeros", trainable=False,
                                            name="pictures")
            self.filled = self.add_weight((), initializer="zeros", dtype="int32", trainable=False, name="filled")

    def call(self, fakes):
        """Fakes (N, image_size, image_size, 3) to the pictures to show, the same shape; N at most the pool's size."""
        if not self.size:
            return fakes
        count = fakes.shape[0]
        filled = ops.convert_to_tensor(self.filled)
        filling = filled + count <= self.size
        # A random order of the filled slots; empty ones come last.
        order = keras.random.uniform((self.size,), seed=self.seed)
        order = ops.where(ops.arange(self.size) < filled, order, 2.0)
        slots = ops.where(filling, ops.minimum(filled + ops.arange(count), self.size - 1),
                          ops.cast(ops.argsort(order)[:count], "int32"))
        swap = keras.random.uniform((count, 1, 1, 1), seed=self.seed) < 0.5
        stored = ops.take(self.pictures, slots, axis=0)
        self.pictures.assign(ops.scatter_update(
            self.pictures, slots[:, None], ops.where(ops.logical_or(filling, swap), fakes, stored)))
        self.filled.assign(ops.where(filling, filled + count, filled))
        return ops.where(ops.logical_and(ops.logical_not(filling), swap), stored, fakes)
