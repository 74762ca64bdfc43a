"""The two kinds of network: the ResNet generator and the PatchGAN discriminator.

Zhu et al. 2017, arXiv:1703.10593, section 7.2: c7s1-64, d128, d256, R256 blocks, u128, u64, c7s1-3; C64-C128-C256-C512.
Both take pictures of any height and width, float32 in [-1, 1], NHWC. Knows nothing about training.
"""

from pathlib import Path

import keras
from keras import layers, ops


def dtype_policy(precision: str) -> str:
    """The Keras dtype policy for "float32", "bfloat16", or "auto": bfloat16 where the hardware multiplies it."""
    if precision == "auto":
        precision = "bfloat16" if has_bfloat16() else "float32"
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]


def device() -> str:
    """Where Keras computes, such as "cpu:0" or "cuda:0"; asked of a tensor, because backends name their devices differently."""
    return str(ops.convert_to_tensor(0.0).device).lower().rpartition("device:")[2]


def on_gpu() -> bool:
    return "gpu" in device() or "cuda" in device()


def has_bfloat16() -> bool:
    if on_gpu():
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return keras.backend.backend() != "jax" and ("avx512_bf16" in flags or "amx_bf16" in flags)


@keras.saving.register_keras_serializable(package="r2f")
class ReflectPad(layers.Layer):
    """Mirror `amount` pixels at each border: zero padding leaves haloes there."""

    def __init__(self, amount: int, **kwargs):
        super().__init__(**kwargs)
        self.amount = amount

    def call(self, x):
        return ops.pad(x, [[0, 0], [self.amount] * 2, [self.amount] * 2, [0, 0]], mode="reflect")

    def compute_output_shape(self, shape):
        grow = lambda side: None if side is None else side + 2 * self.amount  # noqa: E731
        return (shape[0], grow(shape[1]), grow(shape[2]), shape[3])


@keras.saving.register_keras_serializable(package="r2f")
class ResizeConv2D(layers.Conv2D):
    """Nearest-neighbour resize to twice the size, then a convolution of 3 x 3 with a border of one pixel (Odena et al. 2016).

    (N, H, W, C) to (N, 2 H, 2 W, filters). Of nine pixels that a kernel meets there, only four differ, so four kernels of
    2 x 2, sums of the nine weights, make the even and the odd rows and columns from the small picture: the same numbers up to
    rounding, with four ninths of the products. `border` is a mode of `ops.pad`: "symmetric" mirrors the large picture.
    """

    kind = "Conv2D"  # what a pair's files call it: its weights are those of the convolution

    def __init__(self, filters: int, border: str = "symmetric", **kwargs):
        super().__init__(filters, **{"kernel_size": 3, **kwargs})
        self.border = border

    def get_config(self):
        return {**super().get_config(), "border": self.border}

    def compute_output_shape(self, shape):
        double = lambda side: None if side is None else 2 * side  # noqa: E731
        return (shape[0], double(shape[1]), double(shape[2]), self.filters)

    def call(self, x):
        count, height, width, _ = ops.shape(x)
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode=self.border)
        first, middle, last = ops.unstack(ops.cast(self.kernel, self.compute_dtype), 3, axis=0)
        parts = []
        for down, rows in enumerate(([first, middle + last], [first + middle, last])):
            left, middle_column, right = ops.unstack(ops.stack(rows), 3, axis=1)
            for along, columns in enumerate(([left, middle_column + right], [left + middle_column, right])):
                window = x[:, down:down + height + 1, along:along + width + 1]
                parts.append(ops.conv(window, ops.stack(columns, axis=1), padding="valid"))
        x = ops.reshape(ops.stack(parts, axis=3), (count, height, width, 2, 2, self.filters))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (count, 2 * height, 2 * width, self.filters))
        return x + ops.cast(self.bias, self.compute_dtype) if self.use_bias else x


@keras.saving.register_keras_serializable(package="r2f")
class NarrowConv2D(layers.Conv2D):
    """A convolution to a few channels, without a border: (N, H, W, C) to (N, H - rows + 1, W - columns + 1, filters).

    A processor computes 8 or 16 channels in the time of 3. So each row of the kernel has outputs of its own, in one convolution
    of 1 x columns, and these are added up, each row shifted to its place: the same numbers up to rounding, in half the time.
    Not in bfloat16, which would round every row's part.
    """

    kind = "Conv2D"  # what a pair's files call it: its weights are those of the convolution

    def call(self, x):
        if self.compute_dtype != "float32":
            return super().call(x)
        rows, columns, width, filters = self.kernel.shape
        height = ops.shape(x)[1] - rows + 1
        kernel = ops.reshape(ops.transpose(self.kernel, (1, 2, 0, 3)), (1, columns, width, rows * filters))
        parts = ops.conv(x, kernel, padding="valid")
        x = sum(parts[:, row:row + height, :, row * filters:(row + 1) * filters] for row in range(rows))
        return x + self.bias if self.use_bias else x


@keras.saving.register_keras_serializable(package="r2f")
class InstanceNorm(layers.Layer):
    """Each picture's channels to mean 0 and variance 1, then scaled and shifted (Ulyanov et al. 2016, arXiv:1607.08022).

    Equals `GroupNormalization(groups=-1)` and takes less time on a CPU. Statistics are float32 whatever the precision.
    `epsilon_on` "deviation" is keras-contrib's layer, which adds 1e-3 to the standard deviation: for pairs from elsewhere.
    """

    epsilon = 1e-5
    deviation_epsilon = 1e-3

    def __init__(self, epsilon_on: str = "variance", scale: str = "ones", **kwargs):
        super().__init__(**kwargs)
        self.epsilon_on, self.scale = epsilon_on, scale

    def build(self, shape):
        self.gamma = self.add_weight((shape[-1],), initializer=self.scale, name="gamma")
        self.beta = self.add_weight((shape[-1],), initializer="zeros", name="beta")

    def call(self, x):
        x = ops.cast(x, "float32")
        mean, variance = ops.moments(x, axes=(1, 2), keepdims=True)
        return self.normalise(x, mean, variance)

    def normalise(self, x, mean, variance):
        gamma, beta = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        if self.epsilon_on == "deviation":
            scale = gamma / (ops.sqrt(variance) + self.deviation_epsilon)
        else:
            scale = gamma * ops.rsqrt(variance + self.epsilon)
        return ops.cast(x * scale + (beta - mean * scale), self.compute_dtype)


class GivenNorm(InstanceNorm):
    """An `InstanceNorm` for part of a picture: mean and variance are not those of x but set beforehand, for the whole."""

    def build(self, shape):
        super().build(shape)
        self.mean, self.variance = (self.add_weight((1, 1, 1, shape[-1]), initializer="zeros", trainable=False, name=name,
                                                    autocast=False) for name in ("mean", "variance"))

    def call(self, x):
        return self.normalise(ops.cast(x, "float32"), self.mean, self.variance)


@keras.saving.register_keras_serializable(package="r2f")
class SpectralConv2D(layers.Conv2D):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    The value comes from one power iteration a call, in float32. Where it stood is a weight, and so part of every checkpoint;
    it starts from ones, the same on every backend. Two calls before the next update see the same kernel if what the first one
    assigns is forgotten, or there is only one.
    """

    def build(self, shape):
        super().build(shape)
        self.direction = self.add_weight((self.filters,), initializer="ones", trainable=False, autocast=False, name="direction")

    def call(self, x, training=False):
        kernel = ops.cast(self.kernel, "float32")
        matrix = ops.reshape(kernel, (-1, self.filters))
        still = ops.stop_gradient(matrix)
        left = unit(ops.matmul(still, self.direction))
        right = unit(ops.matmul(left, still))
        if training:
            self.direction.assign(right)
        largest = ops.sum(left * ops.matmul(matrix, right))  # its gradient is that of the singular value
        x = self.convolution_op(x, ops.cast(kernel / largest, self.compute_dtype))
        return x + ops.cast(self.bias, self.compute_dtype) if self.use_bias else x


def unit(vector):
    return vector * ops.rsqrt(ops.sum(vector ** 2) + 1e-12)


def weights_normal():
    """A new initializer for every layer: one shared object would give two layers the same weights."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def generator(filters=64, blocks=9, residual="add", upsampling="resize", padding="reflect", separable=False, norm="everywhere",
              norm_before_tanh=False, epsilon_on="variance", dtype=None, name=None) -> keras.Model:
    """A picture to a picture of the other domain: (N, H, W, 3) float in [-1, 1] to the same, H and W multiples of 4.

    `norm` "everywhere" is the paper's: an instance norm after every convolution. It takes the mean and contrast of every channel
    away, and with them how bright a photo is and of which hue. "blocks" has them inside the residual blocks alone, each block
    beginning as the identity, so that brightness and hue have a way through.

    `residual` "add" is the paper's block; "concat" is the seed project's, which widens by 4 * filters a block.
    `upsampling` "resize" is nearest-neighbour resize and convolution (Odena et al. 2016), "transposed" the paper's.
    `epsilon_on` is the instance norms'; no training sets it, the pairs made from the seed project's own files need it.
    `dtype` is a Keras dtype policy such as "mixed_bfloat16"; the output is float32 in any case.
    """
    everywhere = norm == "everywhere"

    def conv(x, width, kernel, stride=1, bias=False, plain=True, start=weights_normal, kind=layers.Conv2D):
        if padding == "reflect":
            x = ReflectPad(kernel // 2, dtype=dtype)(x)
        options = dict(strides=stride, padding="valid" if padding == "reflect" else "same", use_bias=bias, dtype=dtype)
        if plain:
            return kind(width, kernel, kernel_initializer=start(), **options)(x)
        return layers.SeparableConv2D(width, kernel, depthwise_initializer=weights_normal(),
                                      pointwise_initializer=weights_normal(), **options)(x)

    def normed(x, scale="ones"):
        return InstanceNorm(epsilon_on, scale, dtype=dtype)(x)

    def relu(x):
        return layers.Activation("relu", dtype=dtype)(x)

    # Outside the blocks. Without a norm, a convolution keeps the size of what goes in (He et al. 2015).
    start = weights_normal if everywhere else keras.initializers.HeNormal

    def finished(x):
        return relu(normed(x) if everywhere else x)

    def down(x, width, kernel, stride=1):
        return finished(conv(x, width, kernel, stride, bias=not everywhere, start=start))

    def block(x):
        y = relu(normed(conv(x, 4 * filters, 3, plain=not separable)))
        y = normed(conv(y, 4 * filters, 3, plain=not separable), "ones" if everywhere else "zeros")
        return (layers.Add if residual == "add" else layers.Concatenate)(dtype=dtype)([x, y])

    def up(x, width):
        options = dict(use_bias=not everywhere, kernel_initializer=start(), dtype=dtype)
        if upsampling == "resize":
            return finished(ResizeConv2D(width, "symmetric" if padding == "reflect" else "constant", **options)(x))
        return finished(layers.Conv2DTranspose(width, 3, strides=2, padding="same", **options)(x))

    picture = keras.Input((None, None, 3))
    x = down(picture, filters, 7)  # (N, H, W, filters)
    x = down(x, 2 * filters, 3, stride=2)  # (N, H/2, W/2, 2 filters)
    x = down(x, 4 * filters, 3, stride=2)  # (N, H/4, W/4, 4 filters)
    for _ in range(blocks):
        x = block(x)
    x = up(x, 2 * filters)  # (N, H/2, W/2, 2 filters)
    x = up(x, filters)  # (N, H, W, filters)
    x = conv(x, 3, 7, bias=not norm_before_tanh, kind=NarrowConv2D if padding == "reflect" else layers.Conv2D)
    x = normed(x) if norm_before_tanh else x
    return keras.Model(picture, layers.Activation("tanh", dtype="float32")(x), name=name)


def discriminator(filters=64, strides=3, norm="instance", dtype=None, name=None) -> keras.Model:
    """A picture to a map of verdicts, real near 1 and fake near 0: (N, H, W, 3) to (N, about H / 2**strides, ..., 1).

    One verdict sees a patch of 70 x 70 pixels with 3 strides (Isola et al. 2017, arXiv:1611.07004, appendix 6.1.2), 142 with 4.
    `norm` "instance" is the paper's, "spectral" a `SpectralConv2D` everywhere in its place, "both" one and the other.
    """
    def conv(x, width, stride, bias=False):
        kind = layers.Conv2D if norm == "instance" else SpectralConv2D
        return kind(width, 4, strides=stride, padding="same", use_bias=bias, kernel_initializer=weights_normal(),
                    dtype=dtype)(x)

    def leaky(x):
        return layers.LeakyReLU(negative_slope=0.2, dtype=dtype)(x)

    picture = keras.Input((None, None, 3))
    x = leaky(conv(picture, filters, 2, bias=True))
    widths = [filters * min(2 ** i, 8) for i in range(1, strides)]
    for width, stride in [(width, 2) for width in widths] + [(filters * 8, 1)]:
        x = conv(x, width, stride, bias=norm == "spectral")
        x = leaky(x if norm == "spectral" else InstanceNorm(dtype=dtype)(x))
    x = conv(x, 1, 1, bias=True)
    return keras.Model(picture, layers.Activation("linear", dtype="float32")(x), name=name)
