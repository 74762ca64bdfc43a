"""The photo of a window pane, and the ice ferns that grow on it."""

import numpy as np
from PIL import Image

from r2f.drawn.camera import clear_layer, segments
from r2f.drawn.space import axes, blurred, extent, mix, noise, pick, toward, unpack


def window_photo(rng, shape):
    """Ice ferns on a window pane in cold light, or before a sunrise."""
    short, (down, _) = min(shape), axes(shape)
    night, day = pick(rng, (
        ((10, 30, 78), (92, 140, 205)), ((24, 60, 120), (150, 190, 226)), ((48, 62, 92), (196, 206, 216)),
        ((30, 32, 70), (238, 176, 140)), ((16, 60, 90), (140, 200, 214))))
    ramp = down / down.max() if rng.random() < 0.5 else 1 - down / down.max()
    pane = mix(night, day, np.clip(0.75 * ramp + 0.7 * (noise(rng, shape, 2, 2) - 0.35), 0, 1))
    start, end, level, worn = _ferns(rng, extent(shape))
    glint = np.array((255, 225, 180, 140))[level] * (1 - 0.5 * worn) * rng.uniform(0.75, 1.0, len(level))
    width = np.array((0.0046, 0.0032, 0.0022, 0.0016))[level] * (1.1 - 0.8 * worn)
    layer, order = clear_layer(shape), level.argsort(kind="stable")[::-1]
    segments(layer, start[order], end[order], width[order], np.repeat(glint[order, None], 3, 1))
    veins = Image.fromarray(unpack(layer)[..., 0]).reduce(layer.shape[0] // shape[0])
    thickness = sum(share * blurred(veins, radius * short) / 255  # ice webs between the veins
                    for radius, share in ((0.0006, 0.75), (0.005, 0.4), (0.02, 0.3)))
    thickness *= 0.55 + 0.7 * noise(rng, shape, 3, 3)
    thickness += 0.07 * (noise(rng, shape, 90, 3) - 0.3) * noise(rng, shape, 4, 2)
    slope = np.gradient(thickness)
    sparkle = (slope[0] * rng.choice((-1, 1)) + slope[1]) * (short / 256) ** 0.5
    photo = mix(pane, mix(day, (250, 252, 255), 0.72), np.clip(1.1 * thickness, 0, 0.95))
    return photo + 120 * np.clip(sparkle, -0.5, 0.6)[..., None]


def _ferns(rng, bound):
    """Ice ferns that grow all at once from a few places until they meet.

    Segments start (S, 2), end (S, 2), level (S,) of branching from 0, worn (S,) in [0, 1] along their branch.
    """
    cells, step = 420, 0.0042  # cells of the pane per short side: one holds one branch; growth per tick
    taken = np.zeros(np.ceil(bound[::-1] * cells).astype(int) + 1, int)
    sources, each = int(rng.integers(6, 22)), int(rng.integers(2, 6))
    place = rng.random((sources, 2)) * bound
    edge = rng.random(sources) < 0.5
    place[edge, 1] = np.where(rng.random(edge.sum()) < 0.7, 0.995, 0.005) * bound[1]
    tips = np.zeros(sources * each, [("place", float, 2), ("angle", float), ("curl", float), ("level", int),
                                     ("age", int), ("life", int), ("name", int), ("parent", int)])
    tips["place"] = np.repeat(place, each, 0) + 0.01 * rng.standard_normal((len(tips), 2))
    tips["angle"], tips["curl"] = rng.uniform(0, 2 * np.pi, len(tips)), rng.normal(0, 0.016, len(tips))
    tips["life"], tips["name"] = rng.integers(100, 280, len(tips)), np.arange(1, len(tips) + 1)
    named, grown = len(tips), []
    while len(tips):
        tips["angle"] += tips["curl"] + 0.02 * rng.standard_normal(len(tips))
        fresh = tips["place"] + step * toward(tips["angle"])
        inside = ((fresh > 0) & (fresh < bound)).all(1)
        column, row = (np.clip(fresh, 0, bound) * cells).astype(int).T
        there = taken[row, column]
        free = (there == 0) | (there == tips["name"]) | (tips["age"] < 2)
        free |= (there == tips["parent"]) & (tips["age"] < 4)
        alive = inside & free & (tips["age"] < tips["life"])
        tips, fresh = tips[alive], fresh[alive]
        taken[row[alive], column[alive]] = tips["name"]
        tips["age"] += 1
        grown.append((tips["place"].copy(), fresh, tips["level"], tips["age"] / tips["life"]))
        tips["place"] = fresh
        forking = (tips["level"] < 3) & (tips["age"] % np.array((3, 4, 3, 9))[tips["level"]] == 0)
        buds = np.repeat(tips[forking], 2)
        hand = np.tile((-1, 1), len(buds) // 2)
        chosen = rng.random(len(buds)) < 0.8
        buds, hand = buds[chosen], hand[chosen]
        buds["angle"] += hand * rng.normal(1.0, 0.06, len(buds))
        buds["curl"] = 0.3 * buds["curl"] - 0.008 * hand
        buds["level"], buds["age"] = buds["level"] + 1, 0
        buds["life"] = np.array((0, 60, 15, 5))[buds["level"]] * rng.uniform(0.5, 1.2, len(buds))
        buds["parent"], buds["name"] = buds["name"], named + 1 + np.arange(len(buds))
        named += len(buds)
        tips = np.concatenate([tips, buds])
    return tuple(np.concatenate(part) for part in zip(*grown, strict=True))
