"""How near are two pictures? SSIM, CIEDE2000, and a map of where they differ.

Two uint8 pictures (H, W, 3) of one size in, figures or a picture out. Knows nothing about networks.
"""

from dataclasses import dataclass

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
    return WayBackFigures(structural_similarity(photo, again), float(colour_difference(photo, again).mean()))


def difference_map(photo: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Where two uint8 pictures (H, W, 3) differ to the eye, as a picture of that size: dark not, frost little, petal much."""
    height, width = photo.shape[:2]
    difference = colour_difference(*compared(photo, again))
    difference = box_mean(np.pad(difference, 2, mode="reflect"), 5)  # single pixels are noise, places are what one looks for
    colours = np.stack([np.interp(difference, SCALE, channel) for channel in COLOURS.T], axis=-1)
    picture = Image.fromarray(np.rint(colours).astype(np.uint8))
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR))


def compared(photo: np.ndarray, again: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if photo.shape != again.shape:
        raise ValueError(f"pictures of one size are compared, not {photo.shape} and {again.shape}")
    return fit(photo, COMPARED_SIDE), fit(again, COMPARED_SIDE)


def structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM (Wang et al. 2004, eq. 13) of two uint8 pictures (H, W, 3), 7 pixels a side at least: mean over pixels and channels.

    Windows of 7 x 7 with equal weights and sample covariances, as scikit-image has it by default.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    unbiased = WINDOW ** 2 / (WINDOW ** 2 - 1)
    mean_a, mean_b = box_mean(a, WINDOW), box_mean(b, WINDOW)
    var_a = unbiased * (box_mean(a * a, WINDOW) - mean_a ** 2)
    var_b = unbiased * (box_mean(b * b, WINDOW) - mean_b ** 2)
    covariance = unbiased * (box_mean(a * b, WINDOW) - mean_a * mean_b)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)
                  / ((mean_a ** 2 + mean_b ** 2 + c1) * (var_a + var_b + c2)))
    return float(similarity.mean())


def box_mean(values: np.ndarray, side: int) -> np.ndarray:
    """Means over all windows of side x side that lie inside: (H, W, ...) to (H - side + 1, W - side + 1, ...)."""
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
        values = np.moveaxis((sums[side:] - sums[:-side]) / side, 0, axis)
    return values


def lab(pixels: np.ndarray) -> np.ndarray:
    """uint8 sRGB (..., 3) to CIE L*a*b*, white D65 and 2 degrees, float64."""
    values = np.arange(256) / 255
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)[pixels]
    xyz = linear @ SRGB_TO_XYZ.T / D65
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """CIEDE2000 of two uint8 pictures (H, W, 3), pixel by pixel: float64 (H, W). Sharma, Wu & Dalal 2005, eq. 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(lab(a), -1, 0), np.moveaxis(lab(b), -1, 0)
    c_mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(c_mean7 / (c_mean7 + 25.0 ** 7))  # 1 + G
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * np.pi), np.arctan2(b2, a2) % (2 * np.pi)

    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = np.where(grey, 0, turn - 2 * np.pi * np.sign(turn) * (np.abs(turn) > np.pi))
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)

    h_sum = h1 + h2
    far = ~grey & (np.abs(h1 - h2) > np.pi)
    h_mean = np.where(grey, h_sum, (h_sum + np.where(far, np.where(h_sum < 2 * np.pi, 2 * np.pi, -2 * np.pi), 0)) / 2)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    t = (1 - 0.17 * np.cos(h_mean - np.radians(30)) + 0.24 * np.cos(2 * h_mean)
         + 0.32 * np.cos(3 * h_mean + np.radians(6)) - 0.20 * np.cos(4 * h_mean - np.radians(63)))
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / np.sqrt(20 + (l_mean - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    rotation = (-2 * np.sqrt(c_mean ** 7 / (c_mean ** 7 + 25.0 ** 7))
                * np.sin(np.radians(60) * np.exp(-((np.degrees(h_mean) - 275) / 25) ** 2)))
    squared = (dl / s_l) ** 2 + (dc / s_c) ** 2 + (dh / s_h) ** 2 + rotation * (dc / s_c) * (dh / s_h)
    return np.sqrt(np.maximum(squared, 0))
