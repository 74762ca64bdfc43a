"""How a painting comes about: an easel that holds plain shapes, a brush that follows them, and varnish."""

from math import ceil

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from r2f.drawn.space import axes, blurred, pack, toward, unit, unpack


class Easel:
    """What is to be painted, drawn in step: colours, directions of the strokes, where they must be fine."""

    def __init__(self, colour, direction, detail):
        self.colour = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
        self.direction = Image.fromarray((direction / np.pi % 1 * 255).astype(np.uint8))
        self.detail = Image.new("L", self.colour.size, detail)
        self.pens = [ImageDraw.Draw(image) for image in (self.colour, self.direction, self.detail)]
        self.scale = min(self.colour.size)
        self.extent = np.array(self.colour.size) / self.scale

    def shape(self, outline, colour, angle=None, detail=230):
        """A filled outline (P, 2) in short sides, painted along `angle`, or like what lies under it."""
        points = (np.asarray(outline) * self.scale).ravel().tolist()
        self.pens[0].polygon(points, tuple(np.clip(colour, 0, 255).astype(int).tolist()))
        if angle is not None:
            self.pens[1].polygon(points, int(angle / np.pi % 1 * 255))
            self.pens[2].polygon(points, detail)

    def limb(self, path, width, colour):
        """A line through (P, 2) with half widths (P,), painted along itself."""
        ahead = np.gradient(path, axis=0)
        across = unit(ahead[:, ::-1] * (1, -1)) * width[:, None]
        for i, angle in enumerate(np.arctan2(ahead[:-1, 1], ahead[:-1, 0])):
            left, right = path[i:i + 2] + across[i:i + 2], path[i:i + 2] - across[i:i + 2]
            self.shape(np.concatenate([left, right[::-1]]), colour, angle)


def canvas_size(shape):
    """Strokes are painted at twice the picture's pixels where that is affordable."""
    return tuple(side * (2 if min(shape) <= 1100 else 1) for side in shape)


def strokes(rng, canvas, path, radius, colour, length=None, dry=0.3, taper=None):
    """Drag a bristle brush along paths, later ones over earlier ones.

    canvas (H, W) uint32 holds red, green, blue and height of the paint. path (N, K, 2) and radius in pixels,
    colour (N, 3), length (N,) the fraction of the path to paint, dry in [0, 1] how soon the brush runs out of
    paint, taper (N, K) fractions of the radius.
    """
    rng = rng.spawn(1)[0]
    height, width = canvas.shape
    count, knots = path.shape[:2]
    dense = (knots - 1) * ceil(np.linalg.norm(np.diff(path, axis=1), axis=2).max() / 0.8) + 1
    lanes = max(3, ceil(2 * radius / 0.8))
    along, across = np.linspace(0, 1, dense, dtype=np.float32), np.linspace(-1, 1, lanes, dtype=np.float32)
    knot = np.minimum((along * (knots - 1)).astype(int), knots - 2)
    part = (along * (knots - 1) - knot)[:, None].astype(np.float32)
    length = np.ones(count) if length is None else length
    tuft = 2 + lanes // 12
    bristles = 0.6 * np.repeat(rng.random((count, ceil(lanes / tuft)), dtype=np.float32), tuft, 1)[:, :lanes]
    bristles += 0.4 * rng.random((count, lanes), dtype=np.float32)
    ridge = 90 + 110 * bristles + 55 * np.abs(across) ** 3
    coat = pack(colour[:, None] * (0.9 + 0.2 * bristles[..., None]), ridge)
    chunk = max(1, 1_500_000 // (dense * lanes))  # bounds the memory
    for first in range(0, count, chunk):
        some = slice(first, first + chunk)
        track = path[some, knot] * (1 - part) + path[some, knot + 1] * part  # (n, dense, 2)
        ahead = radius * unit(np.gradient(track, axis=1))
        if taper is not None:
            ahead *= taper[some, knot, None] * (1 - part) + taper[some, knot + 1, None] * part
        x = (track[..., 0, None] - ahead[..., 1, None] * across).astype(np.int32)
        y = (track[..., 1, None] + ahead[..., 0, None] * across).astype(np.int32)
        worn = along[:, None] / length[some, None, None]  # (n, dense, 1) paint used up
        keep = (bristles[some, None] > dry * (0.3 + 0.7 * worn)) & (across**2 < 1 - (2 * worn - 1) ** 4)
        keep &= (x >= 0) & (y >= 0) & (x < width) & (y < height)
        canvas.reshape(-1)[(y * width + x)[keep]] = np.broadcast_to(coat[some, None], keep.shape)[keep]


def paint(rng, easel):
    """Paint what is on the easel in curved strokes from coarse to fine: a canvas of `strokes`.

    After Hertzmann 1998, "Painterly rendering with curved brush strokes of multiple sizes".
    """
    goal, short = easel.colour, easel.scale
    direction = np.asarray(easel.direction, np.float32) / 255 * np.pi
    detail = np.asarray(easel.detail, np.float32) / 255
    canvas = pack(blurred(goal, 0.05 * short), 60)

    def pixel(place):
        column, row = np.clip(place, 0, np.array(goal.size) - 1).astype(int).T
        return row, column

    brushes = (0.030, 0.0, 8), (0.016, 0.0, 7), (0.009, 0.35, 5), (0.0055, 0.6, 4), (0.0036, 0.8, 3)
    for radius, need, steps in brushes:  # need: strokes only where so much detail is wanted
        looseness, radius = 0.5 + 20 * radius, radius * short
        if radius < 0.9:
            break
        wanted = blurred(goal, 0.35 * radius)
        place = np.mgrid[0:goal.width:1.5 * radius, 0:goal.height:1.5 * radius].reshape(2, -1).T
        place = rng.permutation(place + rng.uniform(-0.75, 0.75, place.shape) * radius).astype(np.float32)
        place = place[detail[pixel(place)] >= need * rng.uniform(0.6, 1.1, len(place))]
        if not len(place):
            break
        first, same, length = wanted[pixel(place)], np.ones(len(place), bool), np.zeros(len(place))
        heading = rng.choice((-1, 1), (len(place), 1)) * toward(direction[pixel(place)])
        path = [place]
        for _ in range(steps):  # along the direction, as long as the colour stays the same
            turn = toward(direction[pixel(path[-1])] + 0.12 * rng.standard_normal(len(place), np.float32))
            heading = 0.4 * heading + 0.6 * turn * np.where((turn * heading).sum(1, keepdims=True) < 0, -1, 1)
            path.append(path[-1] + 1.2 * radius * heading)
            same &= np.abs(wanted[pixel(path[-1])] - first).sum(1) < 90
            length += same / steps
        colour = first + looseness * (rng.normal(0, 6, (len(first), 1)) + rng.normal(0, 5, first.shape))
        strokes(rng, canvas, np.stack(path, 1), radius, colour, np.maximum(length, 0.3))
    return canvas


def varnish(rng, canvas, shape):
    """A canvas of `strokes` as (H, W, 3) uint8: light from the upper left on paint and weave."""
    colour = Image.fromarray(unpack(canvas)[..., :3]).resize(shape[::-1], Image.Resampling.BOX)
    relief = Image.fromarray(unpack(canvas)[..., 3]).filter(ImageFilter.GaussianBlur(0.8))
    slope = np.gradient(np.asarray(relief.resize(shape[::-1], Image.Resampling.BOX), np.float32))
    down, right = axes(shape)
    weave = 3 * np.sin(down * 2 * np.pi * 110) * np.sin(right * 2 * np.pi * 110)
    light = 0.5 * (slope[0] + slope[1]) + weave + rng.normal(0, 1.5, shape)
    return np.clip(np.asarray(colour) + light[..., None], 0, 255).astype(np.uint8)
