"""A discriminator that looks at pictures through a network that learned to name what is on photos.

A discriminator that begins from nothing needs more pictures than a few hundred paintings to tell paintings apart. This one's
eyes are those of EfficientNet-Lite1 and stay as they are; only small heads learn (Sauer et al. 2021, arXiv:2111.01007). What
measures the pairs in the end is another network, so that none learns for its examination. Knows nothing about files.
"""

import keras
import numpy as np
from keras import layers

from r2f.networks import SpectralConv2D, weights_normal

WIDER = {24, 40, 80, 192}  # channels of a block that halves its picture
# Channels of the maps that are looked at, each a stage's last block: pixels to a step, root mean square on paintings and photos
SEEN = {24: (4, 10.0), 40: (8, 8.0), 112: (16, 6.0), 320: (32, 2.4)}
CHANNELS = 64  # of every map after mixing
BATCH_NORM_EPSILON = 1e-3


def eyes(weights: dict[str, np.ndarray], dtype=None) -> keras.Model:
    """A picture (N, H, W, 3) in [-1, 1] to four maps of features, (N, about H / 4, ..., 24) to (N, about H / 32, ..., 320).

    `weights` are those of `features.lite1_weights`. Its batch norms, which measure nothing any more, are in the convolutions.
    """
    def conv(x, name, norm, stride=1, bounded=True):
        kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)  # (height, width, in, out)
        scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        options = dict(strides=stride, padding="same", trainable=False, dtype=dtype)
        if "depthwise" in name:
            layer = layers.DepthwiseConv2D(kernel.shape[0], **options)
            kernel = (kernel * scale).transpose(0, 1, 3, 2)
        else:
            layer = layers.Conv2D(len(scale), kernel.shape[0], **options)
            kernel = kernel * scale
        x = layer(x)
        layer.set_weights([kernel, weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale])
        return layers.ReLU(6, dtype=dtype)(x) if bounded else x

    picture = keras.Input((None, None, 3))
    x = layers.Rescaling(127.5 / 128, 0.5 / 128, dtype=dtype)(picture)  # as it was trained: (p - 127) / 128 for p from 0 to 255
    x = conv(x, "_conv_stem", "_bn0", 2)
    maps, width = {}, None
    for number in range(len([name for name in weights if name.endswith("_depthwise_conv.weight")])):
        block = f"_blocks.{number}"
        out = len(weights[f"{block}._project_conv.weight"])
        y = conv(x, f"{block}._expand_conv", f"{block}._bn0") if f"{block}._expand_conv.weight" in weights else x
        y = conv(y, f"{block}._depthwise_conv", f"{block}._bn1", 2 if out in WIDER and out != width else 1)
        y = conv(y, f"{block}._project_conv", f"{block}._bn2", bounded=False)
        x, width = (layers.Add(dtype=dtype)([x, y]) if out == width else y), out
        maps[out] = x
    return keras.Model(picture, [maps[each] for each in SEEN], name="eyes")


def projected_discriminator(weights: dict[str, np.ndarray], dtype=None, name=None) -> keras.Model:
    """A picture to a map of verdicts, real near 1 and fake near 0: (N, H, W, 3) to (N, about H / 4, ..., 4), one for each map of
    `eyes`, the coarse ones repeated. H and W are multiples of 32. `weights` are those of `features.lite1_weights`.

    The maps are mixed across channels and from coarse to fine by kernels that were drawn once and stay, so that no head can
    look at a few channels alone.
    """
    def drawn(x, kernel):
        return layers.Conv2D(CHANNELS, kernel, padding="same", use_bias=False, trainable=False, dtype=dtype,
                             kernel_initializer=keras.initializers.HeNormal())(x)

    def head(x):
        x = SpectralConv2D(CHANNELS, 3, padding="same", kernel_initializer=weights_normal(), dtype=dtype)(x)
        x = layers.LeakyReLU(negative_slope=0.2, dtype=dtype)(x)
        return SpectralConv2D(1, 3, padding="same", kernel_initializer=weights_normal(), dtype=dtype)(x)

    seen = eyes(weights, dtype)
    verdicts, coarser = [], None
    for x, (pixels, size) in zip(reversed(seen.outputs), reversed(SEEN.values()), strict=True):
        x = drawn(layers.Rescaling(1 / size, dtype=dtype)(x), 1)
        if coarser is not None:
            x = layers.Add(dtype=dtype)([x, layers.UpSampling2D(interpolation="bilinear", dtype=dtype)(coarser)])
        coarser = drawn(x, 3)
        verdicts.append(layers.UpSampling2D(pixels // 4, dtype=dtype)(head(coarser)))
    verdicts = layers.Concatenate(dtype=dtype)(verdicts)
    return keras.Model(seen.input, layers.Activation("linear", dtype="float32")(verdicts), name=name)
