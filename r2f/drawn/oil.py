"""The scenes that are painted in oil: each sets up an easel and leaves the strokes to the brush."""

import numpy as np

from r2f.drawn.branches import bough, chains
from r2f.drawn.brush import Easel, canvas_size
from r2f.drawn.flowers import RING, bloom, gather, leaf
from r2f.drawn.space import mix, noise, pick, toward

_WHOLE = np.array(((-1, 0), (9, 0), (9, 9), (-1, 9)))  # everything below y = 0


def blossom_scene(rng, shape):
    """Blossoming branches against a plain sky, after Van Gogh's Almond Blossom."""
    low, high, petal = pick(rng, (
        ((64, 150, 160), (120, 196, 190), (246, 240, 228)), ((40, 92, 160), (98, 150, 200), (250, 232, 232)),
        ((196, 160, 60), (226, 196, 110), (252, 244, 230)), ((30, 60, 90), (60, 104, 130), (248, 196, 200)),
        ((150, 186, 160), (206, 220, 190), (238, 160, 176)),
        ((176, 120, 110), (222, 176, 150), (250, 240, 226)),
        ((120, 160, 200), (190, 210, 224), (226, 110, 130))))
    easel = _prime(rng, shape, low, high)
    wood = np.array(pick(rng, ((104, 100, 70), (110, 84, 70), (84, 92, 92))))
    size = rng.uniform(0.036, 0.064)
    for _ in range(rng.integers(2, 4)):
        nodes, parent, flow = bough(rng, easel.extent, 34, 0.03, 0.45)
        width = 0.0010 * flow**0.62 + 0.0011
        for chain in chains(parent, flow)[::-1]:
            for shift, paint, share in ((0.0, wood * 0.45, 1.3), (0.0, wood, 0.9), (-0.4, wood + 52, 0.35)):
                easel.limb(nodes[chain] + shift * width[chain, None], width[chain] * share, paint)
        tips = np.flatnonzero(flow < 14)
        for heart in rng.choice(tips, min(len(tips), 17), replace=False):
            for _ in range(rng.integers(1, 5)):
                centre = nodes[heart] + rng.normal(0, 0.8 * size, 2)
                if rng.random() < 0.3:
                    leaf(easel, rng, centre, size, rng.uniform(0, 7), (120, 140, 70))
                tone = petal + rng.normal(0, 6, 3)
                bloom(easel, rng, centre, size * rng.uniform(0.45, 1.1), "five", tone, rng.uniform(0.5, 1),
                      rng.uniform(0, 7))
    return easel


def vase_scene(rng, shape):
    """A bouquet in a vase on a table."""
    wall, table, vase = (np.array(colour) for colour in pick(rng, (
        ((70, 130, 140), (170, 130, 70), (196, 206, 210)), ((58, 44, 34), (92, 62, 40), (110, 120, 150)),
        ((214, 190, 110), (190, 140, 70), (120, 150, 90)), ((120, 140, 170), (150, 100, 80), (230, 224, 210)),
        ((40, 60, 60), (110, 80, 60), (60, 90, 160)), ((190, 200, 190), (160, 150, 140), (70, 100, 170)),
        ((96, 120, 90), (120, 90, 70), (214, 190, 150)))))
    easel = _prime(rng, shape, wall - 22, wall + 18)
    wide, tall = easel.extent
    edge = tall * rng.uniform(0.78, 0.88)
    easel.shape(_WHOLE + (0, edge), table, 0.05, 60)
    x, foot = wide / 2 + rng.normal(0, 0.05), edge + rng.uniform(0.05, 0.09)
    rise, deep = np.linspace(0, 1, 20), rng.uniform(0.24, 0.34)
    profile = rng.uniform(0.05, 0.1) + rng.uniform(0.02, 0.1) * np.sin(np.pi * rise ** rng.uniform(0.6, 1.6))
    profile += 0.02 * (rise > 0.93)
    easel.shape((x + 0.05, foot) + RING * (0.2, 0.03), table * 0.6, 0.05, 150)
    for left, right, light in ((-1, 1, 0.62), (-0.97, 0.72, 0.84), (-0.92, 0.4, 1.0), (-0.7, 0.0, 1.12),
                               (-0.55, -0.36, 1.35)):
        sides = [np.stack([x + profile * side, foot - deep * rise], 1) for side in (left, right)]
        easel.shape(np.concatenate([sides[0], sides[1][::-1]]), vase * light, np.pi / 2, 190)
    heart = np.array([x, foot - deep - rng.uniform(0.16, 0.22)])
    green = np.array(pick(rng, ((52, 92, 52), (84, 110, 60), (40, 80, 74))))
    for angle in rng.uniform(0, 2 * np.pi, 70):
        place = heart + rng.uniform(0, 0.26) * toward(angle)
        angle, tone = angle + rng.normal(0, 0.5), green * rng.uniform(0.5, 1.3)
        leaf(easel, rng, place, rng.uniform(0.07, 0.19), angle, tone)
    reach = np.array([0.31, 0.27]) * rng.uniform(0.85, 1.15)
    gather(easel, rng, heart, reach, int(rng.integers(26, 46)), 0.085)
    return easel


def bunch_scene(rng, shape):
    """Large flowers and their leaves that fill the canvas."""
    low, high = pick(rng, (
        ((24, 36, 40), (60, 74, 64)), ((40, 70, 96), (110, 140, 160)), ((90, 110, 70), (170, 180, 120)),
        ((60, 40, 36), (120, 84, 60)), ((150, 170, 170), (210, 214, 196))))
    easel = _prime(rng, shape, low, high)
    green = np.array(pick(rng, ((60, 100, 56), (84, 116, 64), (50, 92, 90), (110, 120, 60))))
    for angle in rng.uniform(0, 2 * np.pi, 150):
        tone = green * rng.uniform(0.5, 1.35) + rng.normal(0, 6, 3)
        leaf(easel, rng, rng.uniform(-0.1, 1.1, 2) * easel.extent, rng.uniform(0.1, 0.3), angle, tone)
    quarters = rng.permutation(((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)))
    for quarter in quarters[:rng.integers(3, 5)]:
        heart = (quarter + rng.uniform(-0.12, 0.12, 2)) * easel.extent
        gather(easel, rng, heart, 0.28, int(rng.integers(5, 12)), 0.13)
    return easel


def meadow_scene(rng, shape):
    """A field of flowers that widens towards the viewer, under a low or a high sky."""
    zenith, haze = pick(rng, (((96, 146, 206), (226, 228, 222)), ((150, 172, 200), (240, 226, 204)),
                              ((120, 180, 200), (236, 238, 224)), ((232, 160, 96), (246, 214, 150)),
                              ((140, 140, 190), (236, 206, 206))))
    easel = _prime(rng, shape, zenith, haze, 2.5, 0.4)
    wide, tall = easel.extent
    horizon = tall * rng.uniform(0.12, 0.45)
    ground = np.array(pick(rng, ((96, 130, 60), (124, 136, 70), (70, 110, 76), (150, 140, 80))))
    woods = np.array(pick(rng, ((70, 104, 110), (90, 110, 140), (60, 96, 70))))
    skyline = noise(rng, (8, 64), 3, 3)[0]
    for x in np.arange(-0.05, wide + 0.1, 0.016):
        size = 0.012 + 0.13 * max(np.interp(x / wide * 63, np.arange(64), skyline) - 0.35, 0)
        for _ in range(3):
            middle = (x, horizon) + rng.uniform(-1, 0.1, 2) * size
            easel.shape(middle + 0.6 * size * RING, woods * rng.uniform(0.75, 1.2), rng.uniform(1, 2), 150)
    easel.shape(_WHOLE + (0, horizon), ground, 1.5, 150)
    colours = np.array(pick(rng, (
        ((206, 52, 40), (226, 90, 50), (240, 220, 200)), ((226, 110, 160), (240, 170, 200), (200, 70, 130)),
        ((120, 90, 180), (160, 130, 210), (230, 220, 240)), ((240, 190, 50), (236, 150, 40), (250, 236, 190)),
        ((236, 236, 226), (210, 60, 60), (90, 110, 190)), ((230, 120, 90), (240, 190, 180), (250, 226, 130))
    )))
    patches = noise(rng, (64, 64), 5, 2)
    largest, crowd = rng.uniform(0.02, 0.055), rng.uniform(0.2, 0.6)
    for near in np.sort(rng.random(1100)) ** 1.2:
        across = rng.random()
        foot = np.array([across * wide, horizon + (tall * 1.05 - horizon) * near])
        size = (0.004 + largest * near) * rng.uniform(0.6, 1.2)
        angle, patch = -np.pi / 2 + rng.normal(0, 0.3), patches[int(63 * near), int(63 * across)]
        leaf(easel, rng, foot, size * 2.6, angle, ground * rng.uniform(0.6, 1.3) + rng.normal(0, 8, 3))
        if rng.random() < crowd * 2 * patch:
            colour = colours[int(3 * patch + rng.uniform(-0.6, 0.6)) % 3] * rng.uniform(0.85, 1.1)
            centre = foot + 1.8 * size * toward(angle)
            if size > 0.02:
                bloom(easel, rng, centre, size, "poppy", colour, rng.uniform(0.4, 0.9), angle)
            else:
                easel.shape(centre + size * RING[::2] * (1, 0.7), colour, rng.uniform(0, 3))
    return easel


def pond_scene(rng, shape):
    """Water lilies on water that mirrors sky and trees, after Monet."""
    water, mirror, pad = (np.array(colour) for colour in pick(rng, (
        ((44, 70, 130), (130, 150, 196), (74, 122, 88)), ((40, 84, 84), (130, 176, 150), (110, 140, 70)),
        ((90, 80, 140), (226, 180, 190), (90, 120, 110)), ((60, 100, 140), (190, 206, 200), (96, 140, 96)),
        ((40, 56, 70), (190, 150, 90), (80, 100, 60)))))
    easel = _prime(rng, shape, water, mirror, 2, 0.15, np.pi / 2, 80)
    petal = np.array(pick(rng, ((240, 206, 212), (244, 240, 226), (226, 130, 150), (240, 216, 140))))
    for near in np.sort(rng.uniform(0.02, 1, 9)):
        island, size = (rng.uniform(0, 1), near) * easel.extent, 0.022 + 0.06 * near
        spots = island + rng.normal(0, size, (int(rng.integers(8, 26)), 2)) * (3.2, 0.75)
        for spot in spots[spots[:, 1].argsort(kind="stable")]:
            own = size * rng.uniform(0.6, 1.3)
            rim, tone = own * RING * (1, 0.34), pad * rng.uniform(0.75, 1.2) + rng.normal(0, 8, 3)
            easel.shape(spot + 0.012 + rim, water * 0.7, 0.05, 150)
            easel.shape(spot + rim, tone, 0.05, 190)
            easel.shape(spot + rim * (0.7, 0.5) - (0, 0.1 * own), tone * 1.22)
            if rng.random() < 0.22:
                lily = spot - (0, 0.25 * own)
                bloom(easel, rng, lily, 0.62 * own, "daisy", petal * 0.86, 0.55, np.pi / 2)
                bloom(easel, rng, lily - (0, 0.12 * own), 0.45 * own, "five", petal * 1.05, 0.7, np.pi / 2)
    return easel


def _prime(rng, shape, low, high, cells=2.0, swirl=1.0, angle=0.0, detail=60):
    """An easel with a mottled ground between two colours, its strokes swirling about `angle`."""
    size = canvas_size(shape)
    ground = mix(low, high, noise(rng, size, cells, 3))
    return Easel(ground, angle + swirl * np.pi * (noise(rng, size, 2, 2) - 0.5), detail)
