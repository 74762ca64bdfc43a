"""Photos of frosted trees from a distance: under a sky, in snow, in fog, against the light."""

import numpy as np
from PIL import Image

from r2f.drawn.camera import clear_layer, over, pick_weather, segments
from r2f.drawn.space import axes, blurred, extent, mix, noise, pick
from r2f.drawn.trees import draw_tree, grow_tree


def tree_photo(rng, shape):
    """A frosted tree in a snowy plain, alone or with a few more behind it."""
    weather = pick_weather(rng, 0.3, 0.25, 0.15, 0.08, 0.1, 0.06, 0.06)
    wide, tall = extent(shape)
    ground = tall * rng.uniform(0.76, 0.9)
    photo = _sky(rng, shape, weather, ground)
    photo = _far_row(rng, photo, weather, ground, 0.85, 0.10)
    photo = _far_row(rng, photo, weather, ground + 0.01, 0.7, 0.14)
    photo = _snow(rng, photo, weather, ground + 0.015, rng.uniform(-0.04, 0.04))
    layer, heavy = clear_layer(shape), rng.uniform(0.7, 2)
    habits = ("round", "wide", "willow", "tall", "shrub")
    for _ in range(pick(rng, (0, 0, 1, 1, 2, 3))):
        foot = wide * rng.uniform(-0.1, 1.1), ground + rng.uniform(0.012, 0.02)
        tree = grow_tree(rng, pick(rng, habits), 300)
        draw_tree(rng, layer, tree, foot, ground * rng.uniform(0.3, 0.6), weather, 0.25, 4000 * heavy)
    foot = wide * rng.uniform(0.25, 0.75), ground + rng.uniform(0.03, 0.07)
    tree = grow_tree(rng, pick(rng, habits, (0.35, 0.25, 0.15, 0.15, 0.1)))
    draw_tree(rng, layer, tree, foot, ground * rng.uniform(0.75, 1.15), weather, 0.03, 10000 * heavy)
    snow = _cast(photo, over(photo, layer)[1], weather, foot[1] - 0.005)
    photo = _bury(rng, over(snow, layer)[0], snow, foot[1])
    layer = clear_layer(shape)
    _grass(rng, layer, weather, foot, wide)
    return over(photo, layer)[0]


def woods_photo(rng, shape):
    """Trees in five rows that fade into fog."""
    weather = pick_weather(rng, 0.1, 0.2, 0.25, 0.15, 0.15, 0.15, 0.0)
    wide, tall = extent(shape)
    ground = tall * rng.uniform(0.6, 0.75)
    photo = _snow(rng, _sky(rng, shape, weather, ground), weather, ground)
    habits = rng.choice(("round", "tall", "willow"), 3)
    far, close = ([grow_tree(rng, habit, tips) for habit in habits] for tips in (160, 520))
    for near in np.linspace(0, 1, 5):
        layer, size, haze = clear_layer(shape), 0.14 * 6.5**near, 0.85 * (1 - near) ** 1.3
        level = ground + 0.01 + 0.22 * near**2.2
        x = rng.uniform(-0.3, 0.1)
        while x < wide + 0.2:
            if near < 0.9 or rng.random() < 0.6:
                foot = x, level + rng.normal(0, 0.012)
                tree, height = pick(rng, close if near > 0.6 else far), size * rng.uniform(0.75, 1.15)
                draw_tree(rng, layer, tree, foot, height, weather, haze, 600 + 5000 * near**2)
            x += size * rng.uniform(0.3, 0.9)
        snow = _snow(rng, photo, weather, level)
        photo = _bury(rng, over(snow, layer, 0.002 * (1 - near))[0], snow, level + 0.01)
    return photo


def canopy_photo(rng, shape):
    """Frosted boughs that fill the frame, against the sky."""
    weather = pick_weather(rng, 0.4, 0.25, 0.1, 0.1, 0.05, 0.05, 0.05)
    wide, tall = extent(shape)
    photo = _sky(rng, shape, weather, tall * 1.3)
    for haze, blur, height, count, twigs in ((0.5, 0.004, 1.2, 3, 3000), (0.0, 0.0, 1.7, 2, 11000)):
        layer = clear_layer(shape, blur)
        for _ in range(count):
            foot = rng.uniform(-0.2, wide + 0.2), tall + height * rng.uniform(0.2, 0.45)
            tree = grow_tree(rng, pick(rng, ("round", "wide", "willow")))
            draw_tree(rng, layer, tree, foot, height, weather, haze, twigs)
        photo, _ = over(photo, layer, blur)
    return photo


def _sky(rng, shape, weather, horizon):
    """Sky (H, W, 3) with thin cloud, fading to the horizon's colour at the height `horizon`."""
    down, _ = axes(shape)
    cloud = 0.35 * rng.uniform(0, 1) * noise(rng, shape, 2.5, 4, stretch=2.5) ** 2
    ramp = np.clip(down / horizon, 0, 1) ** 1.3
    return mix(weather.zenith, weather.horizon, np.clip(ramp + cloud, 0, 1))


def _snow(rng, photo, weather, level, slope=0.0):
    """The picture with drifted snow below `level`."""
    shape = photo.shape[:2]
    down, right = axes(shape)
    edge = level + slope * (right - 0.5) + 0.03 * (noise(rng, shape, 3, 3)[:1] - 0.5)
    depth = np.clip((down - edge) / (down.max() - level + 1e-6), 0, 1)
    light = np.clip(0.6 + 0.9 * (noise(rng, shape, 3, 6, stretch=4) - 0.5) + 0.2 * depth, 0, 1)
    haze = 0.6 * np.clip(0.7 - 1.6 * depth, 0, 1)
    snow = mix(mix(weather.shade, weather.lit, light), weather.horizon, haze)
    return mix(photo, snow, np.clip((down - edge) * min(shape) * 0.7, 0, 1))


def _bury(rng, photo, ground, level):
    """Let the snow come up over what stands in it: the bare ground again below an uneven `level`."""
    down, _ = axes(photo.shape[:2])
    edge = level - 0.022 + 0.03 * noise(rng, photo.shape[:2], 12, 3)
    return mix(photo, ground, np.clip((down - edge) / 0.012, 0, 1))


def _cast(photo, coverage, weather, ground):
    """The picture with the shadow, on the snow below `ground`, of what covers it there."""
    shape = photo.shape[:2]
    level, squash, slant = ground * min(shape), 0.35, weather.sun[0]
    mirror = (1, slant / squash, -slant / squash * level, 0, -1 / squash, level * (1 + 1 / squash))
    shadow = Image.fromarray((coverage * 255).astype(np.uint8)).transform(
        shape[::-1], Image.Transform.AFFINE, mirror, Image.Resampling.BILINEAR)
    shadow = blurred(shadow, 0.006 * min(shape)) / 255 * (np.arange(shape[0])[:, None] > level)
    return photo * (1 - 0.8 * shadow[..., None] * (1 - np.array(weather.shade, np.float32) / 255))


def _grass(rng, layer, weather, foot, wide):
    """Frosted blades of dead grass in tufts on the snow, half of them around the foot (2,) of the tree."""
    tufts = int(rng.integers(3, 24))
    root = np.stack([rng.uniform(0, wide, tufts), foot[1] + rng.uniform(-0.03, 0.09, tufts)], 1)
    root[::2, 0] = foot[0] + rng.normal(0, 0.1, len(root[::2]))
    tuft = np.repeat(np.arange(tufts), rng.integers(8, 50, tufts))
    blades = len(tuft)
    tall = (rng.uniform(0.01, 0.045, tufts)[tuft] * rng.beta(2, 2, blades))[:, None]
    lean, up = rng.normal(0, 0.25, (blades, 1)) * (1, 0), np.array((0, -1))
    base = root[tuft] + rng.standard_normal((blades, 2)) * (0.012, 0.002)
    knee = base + tall * (up + lean)
    tip = knee + 0.6 * tall * (0.6 * up + 2.5 * lean)
    colour = mix(mix(weather.bark, (140, 118, 90), 0.5), weather.lit, rng.beta(1.5, 1, blades))
    segments(layer, base, knee, np.tile((0.0014, 0.0012), (blades, 1)), colour)
    segments(layer, knee, tip, np.tile((0.0012, 0.0003), (blades, 1)), colour)


def _far_row(rng, photo, weather, ground, haze, height):
    """The picture with a row of distant trees along the ground."""
    layer = clear_layer(photo.shape[:2])
    models = [grow_tree(rng, habit, 160) for habit in ("round", "tall", "wide")]
    x = -0.1
    while x < extent(photo.shape[:2])[0] + 0.1:
        own = height * rng.uniform(0.5, 1.3)
        foot = x, ground + rng.uniform(-0.01, 0.01)
        draw_tree(rng, layer, pick(rng, models), foot, own, weather, haze, 900)
        x += own * rng.uniform(0.2, 0.8)
    return over(photo, layer, 0.0015)[0]
