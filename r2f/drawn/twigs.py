"""The photo of a few twigs close by, and the crystals on them."""

import numpy as np

from r2f.drawn.branches import bough, pieces
from r2f.drawn.camera import clear_layer, over, pick_weather, segments
from r2f.drawn.space import extent, mix, noise, pick, toward, unit


def twigs_photo(rng, shape):
    """A close-up: crystals on the windward side of a few twigs, the rest out of focus."""
    weather = pick_weather(rng, 0.3, 0.2, 0.2, 0.0, 0.15, 0.15, 0.0)
    grounds = ((weather.zenith, weather.horizon), ((28, 30, 36), (96, 98, 106)),
               ((66, 56, 48), (158, 148, 140)), ((40, 58, 60), (132, 152, 160)))
    dark, bright = pick(rng, grounds, (0.5, 0.2, 0.15, 0.15))
    photo = mix(dark, bright, noise(rng, shape, 1.5, 2))
    wind, crystal, tips = rng.uniform(0, 2 * np.pi), rng.uniform(0.018, 0.042), int(rng.integers(12, 80))
    for blur, haze, boughs in ((0.035, 0.55, 3), (0.010, 0.3, 1), (0.0, 0.0, int(rng.integers(1, 3)))):
        layer = clear_layer(shape, blur)
        for _ in range(boughs):
            start, end, flow = pieces(*bough(rng, extent(shape), tips, 0.02, 0.35))
            radius = 0.0025 * flow**0.3
            wood = mix(weather.bark, weather.shade, 0.25 * rng.random(len(start)))
            segments(layer, start, end, 2 * radius, mix(wood, bright, haze))
            density = 8 if blur else 30
            base, tip, colour = _crystals(rng, start, end, flow, radius, wind, crystal, weather, density)
            width = np.tile((0.012, 0.002) if blur else (0.006, 0.001), (len(base), 1))
            segments(layer, base, tip, width, mix(colour, bright, haze))
        photo, _ = over(photo, layer, blur)
    return photo


def _crystals(rng, start, end, flow, radius, wind, size, weather, density):
    """`density` crystals on each piece of a bough: base (C, 2), tip (C, 2), colour (C, 3); nearest last."""
    count = density * len(start)
    on = rng.integers(0, len(start), count)
    along = unit((end - start)[on])
    side = rng.choice((-1, 1), (count, 1)) * along[:, ::-1] * (1, -1)
    base = start[on] + rng.random((count, 1)) * (end - start)[on]
    base += side * radius[on, None] * rng.uniform(0, 0.9, (count, 1))
    heading = side * rng.uniform(0.2, 1, (count, 1)) + along * rng.uniform(0, 0.5, (count, 1))
    heading = unit(heading + 0.35 * rng.standard_normal((count, 2)) + 0.6 * toward(wind))
    windward = np.clip(0.55 + 0.6 * (heading @ toward(wind)), 0.12, 1)
    length = size * windward * rng.gamma(2.5, 0.4, count) * rng.gamma(3, 0.33, len(start))[on]
    length *= np.sqrt(np.minimum(flow[on] / 4, 1))
    light = np.linspace(0.1, 1, count) + 0.2 * (heading @ (-0.5, -0.8)) + 0.15 * rng.standard_normal(count)
    return base, base + heading * length[:, None], mix(weather.shade, weather.lit, np.clip(light, 0, 1))
