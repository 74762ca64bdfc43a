"""How a photo comes about: the light of a day, layers of segments over each other, and the developing."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from r2f.drawn.space import axes, blurred, pack, pick, unpack


class _Weather(NamedTuple):
    """Colours of a day, and where its light comes from."""

    zenith: tuple
    horizon: tuple
    lit: tuple  # frost in the light
    shade: tuple  # frost in the shade
    bark: tuple
    sun: tuple = (-0.6, -0.7)


_CLEAR = _Weather((20, 74, 170), (140, 186, 234), (255, 254, 250), (138, 162, 208), (62, 52, 50))
_MILD = _Weather((58, 116, 200), (196, 218, 242), (254, 252, 248), (150, 172, 212), (66, 56, 54))
_OVERCAST = _Weather((150, 160, 176), (206, 211, 218), (240, 242, 246), (150, 158, 172), (50, 47, 48))
_WHITE = _Weather((222, 227, 233), (240, 242, 245), (246, 247, 249), (164, 172, 184), (58, 54, 54))
_DUSK = _Weather((126, 128, 190), (250, 204, 190), (255, 238, 232), (146, 138, 188), (64, 48, 64))
_MORNING = _Weather((96, 128, 176), (222, 208, 214), (250, 244, 244), (136, 150, 190), (58, 50, 56))
_LOW_SUN = _Weather((48, 108, 196), (190, 214, 238), (253, 238, 222), (180, 174, 186), (68, 54, 48))


def pick_weather(rng, *odds):
    """One of the days, by their odds, with the light from the left or the right."""
    weather = pick(rng, (_CLEAR, _MILD, _OVERCAST, _WHITE, _DUSK, _MORNING, _LOW_SUN), odds)
    return weather._replace(sun=(rng.choice((-0.6, 0.6)), -0.7))


def clear_layer(shape, blur=0.0):
    """A transparent layer, (h, w) packed RGBA: finer than the picture where it is to be sharp."""
    fine = int(np.clip(round(768 / min(shape)), 2, 4)) if blur < 0.003 else 1
    return np.zeros((shape[0] * fine, shape[1] * fine), np.uint32)


def segments(layer, start, end, width, colour):
    """Draw opaque segments with round caps, later ones over earlier ones.

    start, end (S, 2) and width, (S,) or (S, 2) at start and end, in short sides; colour (S, 3).
    """
    scale, bound = min(layer.shape), np.array(layer.shape[::-1])
    start, end = (np.asarray(ends * scale, np.float32) for ends in (start, end))
    width = np.maximum(np.reshape(width, (len(start), -1)) * scale, 0.8).astype(np.float32)
    seen = (np.maximum(start, end) > -width.max(1, keepdims=True)) & (np.minimum(start, end) < bound)
    seen = seen.all(1)
    start, along, width, paint = start[seen], (end - start)[seen], width[seen], pack(colour[seen], 255)
    length = np.linalg.norm(along, axis=1) + 1e-3
    across = along[:, ::-1] * (1, -1) / length[:, None]
    thick = width[:, 0] > 4
    gap = np.where(thick, 0.65, 0.9)  # between samples, in pixels
    cap = np.where(thick, 0.5 * width[:, 0], 0) / length
    steps = np.ceil(length * (1 + 2 * cap) / gap).astype(np.int32) + 1
    lanes = np.ceil(width.max(1) / gap).astype(np.int32)
    samples = steps * lanes
    block = np.cumsum(samples) // 500_000  # bounds the memory
    for number in np.unique(block):
        first, last = np.searchsorted(block, number), np.searchsorted(block, number, "right")
        counts = samples[first:last]
        which = np.repeat(np.arange(first, last), counts)
        rank = np.arange(len(which), dtype=np.int32) - np.repeat(np.cumsum(counts) - counts, counts)
        step, lane = np.divmod(rank, lanes[which])
        ahead = step / ((steps - 1) / (1 + 2 * cap)).astype(np.float32)[which] - cap[which]
        aside = (lane + 0.5) / lanes[which] - 0.5
        beyond = np.maximum(-ahead, ahead - 1) / np.maximum(2 * cap, 1e-6)[which]
        drawn = (beyond <= 0) | (beyond**2 + aside**2 < 0.25)
        aside *= width[which, 0] + (width[:, -1] - width[:, 0])[which] * ahead
        x, y = ((begin[which] + ahead * ahead_by[which] + aside * aside_by[which]).astype(np.int32)
                for begin, ahead_by, aside_by in zip(start.T, along.T, across.T, strict=True))
        drawn &= (x >= 0) & (y >= 0) & (x < bound[0]) & (y < bound[1])
        layer.reshape(-1)[(y * bound[0] + x)[drawn]] = paint[which[drawn]]


def over(photo, layer, blur=0.0):
    """A (H, W, 3) picture under a layer, blur in short sides; and the layer's coverage (H, W) in [0, 1]."""
    marks = Image.fromarray(unpack(layer)).convert("RGBa").reduce(layer.shape[0] // photo.shape[0])
    marks = blurred(marks, blur * min(photo.shape[:2]))  # colour times coverage, so that edges blur cleanly
    coverage = marks[..., 3] / 255
    return photo * (1 - coverage[..., None]) + marks[..., :3], coverage


def develop(rng, photo):
    """White balance, glow around the brightest parts, vignette, and grain: (H, W, 3) float -> uint8."""
    shape = photo.shape[:2]
    bright = Image.fromarray(np.clip((photo.min(2) - 190) * 3, 0, 255).astype(np.uint8))
    down, right = axes(shape)
    corner = (down / down.max() - 0.5) ** 2 + (right / right.max() - 0.5) ** 2
    balance = rng.normal(1.02, 0.02) * rng.normal(1, 0.015, 3)
    photo = photo * balance + 0.07 * blurred(bright, 0.02 * min(shape))[..., None]
    photo *= 1 - 0.24 * corner[..., None]
    grain = 0.5 * rng.standard_normal((*shape, 3), np.float32) + rng.standard_normal((*shape, 1), np.float32)
    return np.clip(photo + 2.5 * grain + 0.5, 0, 255).astype(np.uint8)
