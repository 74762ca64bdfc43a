"""How near are two pictures? SSIM, CIEDE2000, and a map of where they differ.

Two uint8 pictures (H, W, 3) of one size in, figures or a picture out. Knows nothing about networks.
"""

from dataclasses import dataclass
from math import pi, radians

import numpy as np
from PIL import Image

from r2f.images import fit

COMPARED_SIDE = 1000  # pixels: larger pictures are shrunk to this long side first
WINDOW = 7  # pixels a side, of SSIM
SRGB_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
D65 = np.array([0.95047, 1.0, 1.08883])
# Dark ice where nothing changed, through frost to petal: each colour is lighter than the one before it, so that the map
# reads the same in print and to colour-blind eyes. The scale is CIEDE2000; 2 is about what an attentive eye notices.
SCALE = (0, 2, 6, 12, 20, 32)
COLOURS = np.array([(13, 18, 32), (33, 52, 92), (92, 98, 160), (190, 112, 168), (246, 158, 158), (255, 236, 208)])


@dataclass(frozen=True)
class WayBackFigures:
    """How near the way back comes to the photo."""

    structure: float  # SSIM of Wang et al. 2004, 1 where the two are equal
    colour: float  # CIEDE2000, mean over the pixels, 0 where the two are equal


def way_back_figures(photo: np.ndarray, again: np.ndarray) -> WayBackFigures:
    """The figures of two uint8 pictures (H, W, 3) of one size; large ones are compared at a long side of COMPARED_SIDE."""
    photo, again = compared(photo, again)
    return WayBackFigures(structural_similarity(photo, again), mean_colour_difference(photo, again))


def mean_colour_difference(a: np.ndarray, b: np.ndarray) -> float:
    """The mean CIEDE2000 of two uint8 pictures (H, W, 3) of one size; large ones are compared at a long side of COMPARED_SIDE."""
    return float(colour_difference(*compared(a, b)).mean(dtype=np.float64))


def difference_map(photo: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Where two uint8 pictures (H, W, 3) differ to the eye, as a picture of that size: dark not, frost little, petal much."""
    height, width = photo.shape[:2]
    difference = colour_difference(*compared(photo, again))
    difference = box_sum(np.pad(difference, 2, mode="reflect"), 5) / 25  # single pixels are noise, places are what one looks for
    colours = np.stack([np.interp(difference, SCALE, channel) for channel in COLOURS.T], axis=-1)
    picture = Image.fromarray(np.rint(colours).astype(np.uint8))
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR))


def compared(photo: np.ndarray, again: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if photo.shape != again.shape:
        raise ValueError(f"pictures of one size are compared, not {photo.shape} and {again.shape}")
    return fit(photo, COMPARED_SIDE), fit(again, COMPARED_SIDE)


def structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM (Wang et al. 2004, eq. 13) of two uint8 pictures (H, W, 3), 7 pixels a side at least: mean over pixels and channels.

    Windows of 7 x 7 with equal weights and sample covariances, as scikit-image has it by default. Sums over windows and their
    products are integers below 2**31, so they are exact; a channel at a time, they stay in the processor's cache.
    """
    n = WINDOW ** 2
    c1, c2 = (0.01 * 255 * n) ** 2, (0.03 * 255) ** 2 * n * (n - 1)
    means = []
    for one, other in zip(np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0), strict=True):
        one, other = one.astype(np.int32), other.astype(np.int32)
        sum_a, sum_b = box_sum(one, WINDOW), box_sum(other, WINDOW)
        squares, product = sum_a * sum_a + sum_b * sum_b, sum_a * sum_b
        variances = n * box_sum(one * one + other * other, WINDOW) - squares
        covariance = n * box_sum(one * other, WINDOW) - product
        similarity = (2 * product + c1) / (squares + c1) * ((2 * covariance + c2) / (variances + c2))
        means.append(similarity.mean())
    return float(np.mean(means))


def box_sum(values: np.ndarray, side: int) -> np.ndarray:
    """Sums over all windows of side x side that lie inside: (H, W) to (H - side + 1, W - side + 1)."""
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        count = len(values) - side + 1
        sums = values[:count] + values[1 : count + 1]
        for place in range(2, side):
            sums += values[place : count + place]
        values = np.moveaxis(sums, 0, axis)
    return values


def lab(pixels: np.ndarray) -> np.ndarray:
    """uint8 sRGB (..., 3) to CIE L*a*b*, white D65 and 2 degrees, float32."""
    values = np.arange(256) / 255
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92).astype(np.float32)[pixels]
    xyz = linear @ (SRGB_TO_XYZ.T / D65).astype(np.float32)
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """CIEDE2000 of two uint8 pictures (H, W, 3), pixel by pixel: float32 (H, W). Sharma, Wu & Dalal 2005, eq. 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(lab(a), -1, 0), np.moveaxis(lab(b), -1, 0)
    stretch = 1.5 - 0.5 * chroma_share((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)  # 1 + G
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * pi), np.arctan2(b2, a2) % (2 * pi)

    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = np.where(grey, 0, turn - 2 * pi * np.sign(turn) * (np.abs(turn) > pi))
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)

    h_sum = h1 + h2
    far = ~grey & (np.abs(h1 - h2) > pi)
    h_mean = np.where(grey, h_sum, (h_sum + np.where(far, np.where(h_sum < 2 * pi, 2 * pi, -2 * pi), 0).astype(np.float32)) / 2)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    t = (1 - 0.17 * np.cos(h_mean - radians(30)) + 0.24 * np.cos(2 * h_mean)
         + 0.32 * np.cos(3 * h_mean + radians(6)) - 0.20 * np.cos(4 * h_mean - radians(63)))
    from_middle = (l_mean - 50) ** 2
    s_l = 1 + 0.015 * from_middle / np.sqrt(20 + from_middle)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    rotation = -2 * chroma_share(c_mean) * np.sin(radians(60) * np.exp(-((np.degrees(h_mean) - 275) / 25) ** 2))
    squared = (dl / s_l) ** 2 + (dc / s_c) ** 2 + (dh / s_h) ** 2 + rotation * (dc / s_c) * (dh / s_h)
    return np.sqrt(np.maximum(squared, 0))


def chroma_share(chroma: np.ndarray) -> np.ndarray:
    """Near 0 for greys, near 1 for strong colours: the root of C^7 / (C^7 + 25^7), which the formula holds twice."""
    seventh = (chroma * chroma * chroma) ** 2 * chroma  # a power would take longer than all the rest
    return np.sqrt(seventh / (seventh + 25.0 ** 7))
