"""The plane of a picture, measured in short sides, and the colours and smooth noise that fill it."""

from math import ceil

import numpy as np
from PIL import Image, ImageFilter


def pick(rng, options, odds=None):
    """One of the options, each as likely as its odds say, or all alike."""
    return options[rng.choice(len(options), p=odds)]


def extent(shape):
    """Width and height (2,) in short sides."""
    return np.array(shape[::-1]) / min(shape)


def axes(shape):
    """Row and column coordinates (H, 1), (1, W) in short sides."""
    down, right = (np.arange(side, dtype=np.float32) / min(shape) for side in shape)
    return down[:, None], right[None]


def toward(angle):
    """Unit vectors (..., 2) along angles (...,)."""
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def unit(vectors):
    """Vectors (..., D) scaled to length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def spin(angle):
    """The matrix that turns row vectors by an angle: (P, 2) @ (2, 2)."""
    return np.array([toward(angle), toward(angle + np.pi / 2)])


def mix(first, second, amount):
    """Blend two colours: (..., 3) and amounts (...,) in [0, 1] -> (..., 3)."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return first + (second - first) * np.asarray(amount, np.float32)[..., None]


def pack(colour, last):
    """Colours (..., 3) and a fourth byte (...,), in [0, 255], as one uint32 a pixel, painted in one go."""
    red, green, blue = np.moveaxis(np.clip(colour, 0, 255).astype(np.uint32), -1, 0)
    return red | green << 8 | blue << 16 | np.asarray(last, np.uint32) << 24


def unpack(packed):
    """(H, W) uint32 -> (H, W, 4) uint8."""
    return np.ascontiguousarray(packed).view(np.uint8).reshape(*packed.shape, 4)


def blurred(image, radius):
    """A Pillow image blurred by a radius in pixels, as float32."""
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(radius))), np.float32)


def noise(rng, shape, cells, octaves=1, stretch=1.0):
    """Smooth noise (H, W) in [0, 1]: `cells` bumps a short side, `stretch` times as many downwards."""
    rng = rng.spawn(1)[0]
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rate = cells * 2**octave / min(shape)
        grid = rng.random((ceil(height * rate * stretch) + 2, ceil(width * rate) + 2), dtype=np.float32)
        smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += 0.5**octave * np.asarray(smooth)
    total /= 2 - 0.5 ** (octaves - 1)
    return np.clip((total - 0.5) * (1 + 0.25 * octaves) + 0.5, 0, 1)
