"""A bare tree grown in three dimensions, and the frost that it is drawn with."""

from typing import NamedTuple

import numpy as np

from r2f.drawn.branches import colonize, pieces
from r2f.drawn.camera import segments
from r2f.drawn.space import mix, unit


class _Tree(NamedTuple):
    """A bare tree of height 1 whose foot is the origin; y down, z towards the viewer."""

    start: np.ndarray  # (S, 3)
    end: np.ndarray  # (S, 3)
    radius: np.ndarray  # (S,)
    twig: float  # length of its twigs
    droop: float  # how much they hang


def grow_tree(rng, habit, tips=520):
    """A tree grown into a crown of lobes and gaps: target points gather in clumps inside an ellipsoid."""
    width, low, twig, droop, stems = {  # of the crown its width and lower edge, of the twigs length and droop
        "round": (0.42, 0.25, 0.10, -0.05, 1), "tall": (0.20, 0.15, 0.09, -0.10, 1),
        "wide": (0.60, 0.30, 0.10, 0.0, 2), "willow": (0.42, 0.40, 0.26, 0.45, 1),
        "shrub": (0.60, 0.10, 0.16, -0.15, 6)}[habit]
    clumps = int(rng.integers(14, 30))
    heart = unit(rng.standard_normal((clumps, 3))) * rng.uniform(0.45, 0.95, (clumps, 1))
    targets = heart[rng.integers(0, clumps, tips)] + 0.26 * rng.standard_normal((tips, 3))
    targets = targets * (width, (1 - low) / 2, width) - (0, (1 + low) / 2, 0)
    targets = targets[targets[:, 1] < -0.6 * low]
    fan = 0.22 * width * np.linspace(-1, 1, stems) if stems > 1 else np.zeros(1)
    aims = rng.normal(0, 0.08, (stems, 3)) * (1, 0, 1) + (0, -1.1 * low, 0)
    aims[:, 0] += fan
    nearest = ((targets[:, None] - aims) ** 2 @ (1, 0, 1)).argmin(1)
    rise = np.linspace(0, 1, 10)[:, None]
    parts = []
    for stem, aim in enumerate(aims):
        foot = 0.03 * rng.standard_normal(3) * (1, 0, 1) * (stems > 1)
        trunk = foot + rise * aim + 0.006 * np.cumsum(rng.standard_normal((10, 3)), 0) * (rise > 0)
        own = targets[nearest == stem]
        if len(own):
            parts.append(pieces(*colonize(rng, own, trunk, 0.03, 0.045, 0.25, lift=0.15)))
    start, end, flow = (np.concatenate(part) for part in zip(*parts, strict=True))
    radius = 0.0016 * (flow * 520 / tips) ** 0.44 * (1 + 0.5 * np.exp(np.minimum(end[:, 1], 0) / 0.03))
    return _Tree(start, end, radius, twig, droop)


def draw_tree(rng, layer, tree, foot, height, weather, haze, twigs):
    """Draw a tree with about `twigs` twigs at foot (2,); haze in [0, 1] fades it into the horizon."""
    turn = rng.uniform(0, 2 * np.pi)
    rng = rng.spawn(1)[0]  # the rest is texture: there is more of it in larger pictures
    scale, sun = min(layer.shape), np.array(weather.sun)
    twigs = int(twigs * np.clip(scale / 1300, 0.2, 1.6))
    young = tree.radius < 0.006
    long = _sprout(rng, tree.start[young], tree.end[young], twigs // 4, tree.twig, tree.droop)
    short = _sprout(rng, *long, twigs, 0.25 * tree.twig + 0.01, 0.5 * tree.droop)
    start, end = (np.concatenate(part) for part in zip((tree.start, tree.end), long, short, strict=True))
    radius = [tree.radius, np.full(len(long[0]), 0.0014), np.full(len(short[0]), 0.0011)]
    radius = np.concatenate(radius) * height
    spin = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    start, end = start @ spin, end @ spin
    middle = (start + end) / 2
    light = 1.15 * np.exp(-_shadow(middle, np.array([*sun, 0.5]))) + 0.14 * rng.standard_normal(len(middle))
    frost = mix(weather.shade, weather.lit, np.clip(light, -0.3, 1))
    wood = mix(weather.bark, weather.shade, 0.08 + 0.12 * rng.random(len(radius)) + 0.6 * haze)
    start, end, depth = start[:, :2] * height + foot, end[:, :2] * height + foot, middle[:, 2]

    old = radius > 0.003 * height
    chip = np.repeat(np.flatnonzero(old & (radius * scale > 3)), 12)
    aside = rng.uniform(-0.8, 0.8, (len(chip), 1)) * radius[chip, None] * sun
    cut = np.sort(rng.uniform(-0.1, 1.1, (len(chip), 2, 1)), axis=1)
    chips = [start[chip] + aside + cut[:, side] * (end - start)[chip] for side in (0, 1)]
    on = rng.choice(np.flatnonzero(radius < 0.012 * height), int(twigs * 5 * min(height * scale / 1300, 2)))
    base = start[on] + rng.random((len(on), 1)) * (end - start)[on] + 0.9 * radius[on, None] * sun
    crystal = 0.004 * height * (rng.standard_normal((len(on), 2)) + sun) * rng.gamma(2, 0.5, (len(on), 1))
    hair = np.minimum(radius, 0.8 / scale) if scale > 1200 else radius  # where there is room for crystals
    marks = (  # start, end, width at both, colour, depth
        (start[old], end[old], 2 * radius[old], 2 * radius[old], wood[old], depth[old] - 0.01),
        (*chips, 0.12 * radius[chip], 0.05 * radius[chip], wood[chip] * rng.uniform(0.6, 1.4, (len(chip), 1)),
         depth[chip] - 0.004),
        (start[~old], end[~old], 2 * hair[~old], 2 * hair[~old], frost[~old], depth[~old]),
        (base, base + crystal, np.full(len(on), 0.0016 * height), np.full(len(on), 0.0005 * height),
         frost[on] + rng.normal(0, 14, (len(on), 1)), depth[on] + 0.01 * rng.random(len(on))))
    start, end, wide, narrow, colour, depth = (np.concatenate(part) for part in zip(*marks, strict=True))
    order = depth.argsort(kind="stable")
    colour = mix(colour, weather.horizon, haze)
    segments(layer, start[order], end[order], np.stack([wide, narrow], 1)[order], colour[order])


def _sprout(rng, start, end, count, length, droop):
    """`count` twigs of three segments at random places of (S, 3) segments; droop > 0 lets them hang."""
    where = rng.integers(0, len(start), count)
    joints = [start[where] + rng.random((count, 1)) * (end - start)[where]]
    heading = unit((end - start)[where]) + 0.6 * rng.standard_normal((count, 3))
    reach = length * rng.uniform(0.4, 1.0, (count, 1)) / 3
    for _ in range(3):
        heading = unit(heading + (0, droop, 0) + 0.15 * rng.standard_normal((count, 3)))
        joints.append(joints[-1] + reach * heading)
    return np.concatenate(joints[:3]), np.concatenate(joints[1:])


def _shadow(points, sun, cells=24):
    """Optical depth (P,) of the crown between each of the points (P, 3) and the sun, by their own density."""
    low, high = points.min(0), points.max(0) + 1e-6
    density, _ = np.histogramdd(points, cells, list(zip(low, high, strict=True)))
    density = np.minimum(density / np.percentile(density[density > 0], 80), 2)
    total = np.zeros(len(points))
    for distance in (0.0, 0.05, 0.10, 0.16, 0.24):
        cell = ((points + distance * sun - low) / (high - low) * cells).astype(int)
        inside = ((cell >= 0) & (cell < cells)).all(1)
        total[inside] += density[tuple(cell[inside].T)]
    return 0.32 * total
