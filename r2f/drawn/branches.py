"""Lines that branch: grown towards points in two or three dimensions, not yet drawn."""

import numpy as np

from r2f.drawn.space import toward, unit


def colonize(rng, targets, stem, step, kill, wobble, lift=0.0):
    """Grow branches towards targets.

    After Runions et al. 2007, "Modeling trees with a space colonization algorithm":
    targets (T, D), stem (S, D) a first polyline, D = 2 or 3 -> nodes (N, D), parent (N,) index of the node
    before, flow (N,) number of nodes that hang on each. A target is reached at distance `kill`.
    """
    nodes, parent = stem, np.arange(-1, len(stem) - 1)
    gap = ((targets[:, None] - nodes) ** 2).sum(-1)
    near, gap = gap.argmin(1), gap.min(1)
    for _ in range(90):
        far = gap > kill**2
        targets, near, gap = targets[far], near[far], gap[far]
        if not len(targets):
            break
        growing, index = np.unique(near, return_inverse=True)
        heading = unit(_sums(index, unit(targets - nodes[near]), len(growing)))
        heading += wobble * rng.standard_normal(heading.shape)
        heading[:, 1] -= lift
        fresh = nodes[growing] + step * unit(heading)
        distance = ((targets[:, None] - fresh) ** 2).sum(-1)
        closer = distance.min(1) < gap
        near[closer] = len(nodes) + distance.argmin(1)[closer]
        gap = np.minimum(gap, distance.min(1))
        nodes, parent = np.concatenate([nodes, fresh]), np.concatenate([parent, growing])
    flow = np.ones(len(nodes))
    for child in range(len(nodes) - 1, 0, -1):
        flow[parent[child]] += flow[child]
    inner = np.flatnonzero(flow[1:] > 1) + 1
    for _ in range(2):  # rounder bends
        ahead = _sums(parent[1:], nodes[1:] * flow[1:, None], len(nodes))[inner] / (flow[inner, None] - 1)
        nodes[inner] = 0.5 * nodes[inner] + 0.25 * nodes[parent[inner]] + 0.25 * ahead
    return nodes, parent, flow


def _sums(index, vectors, count):
    """The sum (count, D) of the vectors (V, D) that share an index (V,)."""
    return np.stack([np.bincount(index, column, count) for column in vectors.T], 1)


def pieces(nodes, parent, flow):
    """The segments of a grown branch: start (B, D), end (B, D), flow (B,)."""
    return nodes[parent[1:]], nodes[1:], flow[1:]


def chains(parent, flow):
    """A grown branch as long lines: lists of nodes from where each forks off to its tip, thickest first."""
    thickest = np.full(len(parent), -1)
    for child in np.argsort(flow[1:], kind="stable") + 1:
        thickest[parent[child]] = child
    forks = [child for child in range(1, len(parent)) if thickest[parent[child]] != child]
    lines = [[0]] + [[parent[child], child] for child in forks]
    for line in lines:
        while thickest[line[-1]] >= 0:
            line.append(thickest[line[-1]])
    return sorted(lines, key=lambda line: -flow[line[1]])


def bough(rng, extent, tips, step, wobble):
    """A crooked bough that comes in over the border, as `colonize` returns it in two dimensions."""
    angle = rng.uniform(0, 2 * np.pi)
    inward, across = toward(angle), toward(angle + np.pi / 2)
    centre = extent * rng.uniform(0.3, 0.7, 2)
    targets = centre + inward * rng.uniform(-0.5, 0.7, (tips, 1)) + across * rng.normal(0, 0.23, (tips, 1))
    knots = int(0.7 / step)
    bends = 0.07 * np.sqrt(step) * np.cumsum(rng.standard_normal((knots, 2)), 0)
    stem = centre - inward * np.linspace(1.1, 0.35, knots)[:, None] + bends
    return colonize(rng, targets, stem, step, 1.4 * step, wobble)
