"""What teachers painted, retouched before a pupil learns it: the colours of one with the strokes of another.

A CycleGAN may swap light and dark by chance, and a training may fill plain skies with waves, turn blue ones bottle green, leave
specks of colour or paint softly and palely; none of these must be learned. Knows nothing about pairs or files.
"""

import numpy as np
from PIL import Image, ImageFilter

from r2f.brush import enlarged, luminance

TURNED = -0.8, 215.0  # a painting's brightness, 0 to 255, times the one plus the other: paintings are darker than photos
PLAIN = 4.0  # standard deviation of the brightness in a window, 0 to 255, below which a photo is plain there
WINDOW = 8  # pixels to a side, of that window
WAVES = 16  # pixels: what changes faster goes from plain places
SPECKS = 5  # pixels to a side, of the window whose median a colour becomes
BLUE_HUES = 285, 300, 338, 349  # degrees in the plane of Cb and Cr: blue from the second to the third, less to the outer ones
BLUE_STRENGTHS = 25, 55  # from grey, 0 to 128: not yet deep blue, deep blue
PALE_STRENGTHS = 12, 24  # the same of a pale blue, which is kept where the photo is plain
PALE_PLAIN = 8.0  # as PLAIN, of a sky, in which there may be clouds
BLUE_SIDE = 4  # pixels to a side: what is smaller is no sky
BLUE_KEPT = 0.85  # what the photo's colour weighs where it is blue; the rest is the painting's
VIVID = 1.3  # how much farther from grey than they were painted colours become
STRONG = 40, 100  # from grey, 0 to 128: colours that still become so much farther, those that stay
CRISP = 1.5  # how much stronger than it was painted a stroke's light and dark become
EDGES = 3  # pixels: what of them changes faster does
STROKES = 24  # pixels: what changes faster is a stroke, what changes more slowly a colour


def turned(picture: np.ndarray) -> np.ndarray:
    """A picture, uint8 (H, W, 3), with its light and dark swapped and its colours kept, that is what they differ from grey by."""
    slope, level = TURNED
    return to_pixels(picture + (slope - 1) * luminance(picture)[..., None] + level)


def calmed(photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    """A painting, uint8 (H, W, 3), without what changes fast where its photo, of the same size, is plain."""
    weight = plainness(photo, PLAIN)
    smooth = lowered(painting * weight, WAVES) / lowered(weight, WAVES).clip(1e-3)
    return to_pixels(painting + weight * (smooth - painting))


def speckless(painting: np.ndarray) -> np.ndarray:
    """A painting, uint8 (H, W, 3), with its light and dark as they are and each colour the median of those around it."""
    light, *colours = Image.fromarray(painting).convert("YCbCr").split()
    smooth = (plane.filter(ImageFilter.MedianFilter(SPECKS)) for plane in colours)
    return np.asarray(Image.merge("YCbCr", (light, *smooth)).convert("RGB"))


def vivid(painting: np.ndarray) -> np.ndarray:
    """A painting, uint8 (H, W, 3), with its light and dark as they are and stronger colours, but for those that are strong."""
    made = to_ycbcr(painting)
    colours = made[..., 1:] - 128
    strength = np.linalg.norm(colours, axis=-1, keepdims=True)
    return from_ycbcr(np.concatenate([made[..., :1], 128 + colours * np.interp(strength, STRONG, (VIVID, 1))], axis=-1))


def blue_kept(photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    """A painting, uint8 (H, W, 3), with its light and dark as they are, nearly as blue where its photo, of the same size, is deep
    blue, or pale blue in a plain place or within a window of one. A sky behind blossoms may be blue; a generator that must tell
    it from white frost may find green or olive for it."""
    kept, made = to_ycbcr(photo), to_ycbcr(painting)
    blue, red = np.moveaxis(lowered(kept[..., 1:], BLUE_SIDE) - 128, -1, 0)
    hue, strength = np.degrees(np.arctan2(red, blue)) % 360, np.hypot(blue, red)
    around = np.minimum(strength, np.linalg.norm(lowered(kept[..., 1:], WINDOW) - 128, axis=-1))
    plain = Image.fromarray(to_pixels(255 * plainness(photo, PALE_PLAIN)[..., 0]))
    plain = plain.filter(ImageFilter.MinFilter(WINDOW + 1)).filter(ImageFilter.MaxFilter(3 * WINDOW + 1))  # less what is small
    pale = np.asarray(plain) / 255 * np.interp(around, PALE_STRENGTHS, (0, 1))
    sky = np.maximum(np.interp(strength, BLUE_STRENGTHS, (0, 1)), pale) * np.interp(hue, BLUE_HUES, (0, 1, 1, 0))
    made[..., 1:] += BLUE_KEPT * sky[..., None] * (kept[..., 1:] - made[..., 1:])
    return from_ycbcr(made)


def crisped(photo: np.ndarray, painting: np.ndarray) -> np.ndarray:
    """A painting, uint8 (H, W, 3), with stronger edges of light and dark, but where its photo, of the same size, is plain.
    Generators paint more softly than painters."""
    light = luminance(painting)[..., None]
    return to_pixels(painting + (CRISP - 1) * (1 - plainness(photo, PLAIN)) * (light - lowered(light, EDGES)))


def plainness(photo: np.ndarray, varied: float) -> np.ndarray:
    """How plain a photo is around each pixel, (H, W, 1): 1 where nothing varies, 0.37 where brightness, 0 to 255, has the given
    standard deviation."""
    grey = luminance(photo)[..., None]
    variance = lowered(grey * grey, WINDOW) - lowered(grey, WINDOW) ** 2
    return np.exp(-variance.clip(0) / varied ** 2)


def stroked(colours: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """A painting with the strokes of another one of the same photo, both uint8 (H, W, 3)."""
    strokes = strokes.astype(np.float32)
    return to_pixels(lowered(colours, STROKES) + strokes - lowered(strokes, STROKES))


def lowered(picture: np.ndarray, factor: int) -> np.ndarray:
    """A picture (H, W, C) without what changes faster than in so many pixels, float32: made small and large again."""
    height, width = picture.shape[:2]
    size = -(-width // factor), -(-height // factor)
    planes = (Image.fromarray(np.ascontiguousarray(plane, np.float32)) for plane in np.moveaxis(picture, -1, 0))
    small = (np.asarray(plane.resize(size, Image.Resampling.BILINEAR)) for plane in planes)
    return np.stack([enlarged(plane, (width, height)) for plane in small], axis=-1)


def to_ycbcr(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("YCbCr")).astype(np.float32)


def from_ycbcr(values: np.ndarray) -> np.ndarray:
    planes = map(Image.fromarray, np.moveaxis(to_pixels(values), -1, 0))
    return np.asarray(Image.merge("YCbCr", tuple(planes)).convert("RGB"))


def to_pixels(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)
