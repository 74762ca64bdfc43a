"""Single petals, flowers, leaves and bouquets as plain shapes on an easel, wherever a scene wants them."""

import numpy as np

from r2f.drawn.space import pick, spin, toward

RING = toward(np.linspace(0, 2 * np.pi, 14, endpoint=False))  # outline of a unit circle

_SPECIES = {  # rings of (petals, reach, width, notch, brightness), radius of the eye
    "five": (((5, 1.0, 0.66, 0.12, 4),), 0.17),
    "poppy": (((5, 1.0, 0.95, 0.05, -10), (4, 0.7, 0.8, 0.0, 14)), 0.2),
    "daisy": (((15, 1.0, 0.15, 0.0, -10), (12, 0.9, 0.13, 0.0, 10)), 0.26),
    "sunflower": (((19, 1.0, 0.16, 0.0, -30), (16, 0.84, 0.16, 0.0, 10)), 0.45),
    "rose": (((7, 1.0, 0.62, 0.05, -16), (7, 0.84, 0.6, 0.05, 4), (6, 0.66, 0.6, 0.04, -12),
              (5, 0.48, 0.6, 0.0, 10), (4, 0.3, 0.6, 0.0, -30)), 0.08),
}
_EYES = {"five": (206, 176, 84), "poppy": (40, 24, 34), "daisy": (222, 160, 40), "sunflower": (86, 50, 24)}


def petal(length, width, notch=0.0):
    """Outline (P, 2) of a petal along +x from the origin."""
    turn = np.linspace(0, 2 * np.pi, 18)
    x = length * (0.5 - 0.5 * np.cos(turn)) - notch * length * np.exp(-((turn - np.pi) / 0.35) ** 2)
    return np.stack([x, width * np.sin(turn) * (0.55 - 0.35 * np.cos(turn))], 1)


def bloom(easel, rng, centre, radius, species, colour, tilt=1.0, turn=0.0):
    """One flower: rings of petals, squashed by `tilt` along the direction `turn`."""
    rings, eye = _SPECIES[species]
    core = np.array(_EYES.get(species, np.array(colour) * 0.55))
    squash = spin(-turn) @ np.diag((tilt, 1.0)) @ spin(turn)
    shades = ((1.0, 0.74), (0.9, 1.0), (0.74, 1.07), (0.42, 0.88))[:4 if radius > 0.03 else 2]  # rim to heart
    for petals, reach, width, notch, bright in rings:
        for angle in rng.uniform(0, 2 * np.pi) + rng.permutation(petals) * 2 * np.pi / petals:
            angle += rng.normal(0, 0.1)
            own = radius * reach * rng.uniform(0.85, 1.1)
            lit = np.array(colour) * (1 + (bright + 30 * np.cos(angle + 2.3) + rng.normal(0, 7)) / 200)
            outline = petal(own, own * width, notch) @ spin(angle) @ squash
            for part, shade in shades:
                brush = (angle + (np.pi / 2 if species == "rose" else 0)) if part == 1 else None
                easel.shape(outline * part + centre, lit * shade ** np.array((1.0, 1.1, 0.8)), brush)
    disc = RING * radius * eye @ squash
    easel.shape(disc + centre, core, rng.uniform(0, np.pi))
    easel.shape(0.6 * disc + centre - 0.04 * radius, core + 26)
    if species == "five" and radius > 0.025:
        for stamen in 0.42 * radius * toward(rng.uniform(0, 2 * np.pi, 9)) @ squash:
            easel.shape(centre + stamen + 0.3 * disc, core * 0.75)


def leaf(easel, rng, foot, length, angle, colour):
    """One leaf along an angle; a long one has a lighter middle."""
    outline = petal(length, length * rng.uniform(0.22, 0.42))
    easel.shape(outline @ spin(angle) + foot, colour, angle, 180)
    if length > 0.04:
        easel.shape(outline * (0.95, 0.45) @ spin(angle) + foot, np.array(colour) + 22)


def gather(easel, rng, heart, reach, count, size):
    """Flowers of one bouquet about a place, the outer ones first, each over its own shadow."""
    bouquet = pick(rng, (
        (("rose", (222, 130, 130)), ("rose", (240, 200, 180)), ("daisy", (250, 246, 234))),
        (("sunflower", (232, 170, 36)), ("sunflower", (214, 140, 30))),
        (("poppy", (206, 52, 36)), ("daisy", (250, 246, 236)), ("five", (70, 90, 170))),
        (("rose", (254, 246, 228)), ("rose", (232, 196, 90))),
        (("rose", (170, 40, 56)), ("rose", (226, 150, 160))),
        (("five", (110, 90, 170)), ("rose", (250, 234, 236)), ("poppy", (230, 140, 60)))))
    for ring in np.sqrt(np.linspace(1, 0, count)):
        angle = rng.uniform(0, 2 * np.pi)
        place = heart + reach * ring * toward(angle) + rng.normal(0, 0.02, 2)
        species, colour = pick(rng, bouquet)
        own = size * rng.uniform(0.55, 1.15)
        easel.shape(place + 0.006 + own * RING, (44, 62, 46), angle, 150)
        tone = np.array(colour) * rng.uniform(0.9, 1.08)
        bloom(easel, rng, place, own, species, tone, rng.uniform(0.6, 1), angle)
