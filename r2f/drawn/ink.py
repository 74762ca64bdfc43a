"""The painting in ink and colour on paper, from the first stroke to the seal."""

import numpy as np
from PIL import Image, ImageDraw

from r2f.drawn.branches import bough, chains
from r2f.drawn.brush import canvas_size, strokes
from r2f.drawn.flowers import petal
from r2f.drawn.space import blurred, extent, mix, noise, pick, spin, toward, unpack


def ink_painting(rng, shape):
    """Plum blossom or peonies in ink and colour on paper, with a line of writing and a seal."""
    size = canvas_size(shape)
    scale = min(size)
    sheet, red = (np.array(pick(rng, colours)) for colours in (
        ((242, 238, 228), (236, 226, 202), (222, 206, 176), (226, 226, 220), (206, 204, 186)),
        ((206, 40, 56), (226, 96, 130), (178, 30, 70), (236, 150, 160), (220, 120, 60))))
    brushed = np.full(size, 0xFFFFFFFF, np.uint32)
    stain, pen = Image.new("RGB", size[::-1], "white"), Image.new("L", size[::-1], 255)
    peony = rng.random() < 0.35
    for _ in range(1 if peony else rng.integers(1, 3)):
        nodes, parent, flow = bough(rng, extent(shape), 34, 0.03, 0.45)
        width = 0.0014 * flow**0.62 + 0.0008
        nodes, width = nodes * scale, width * scale
        for chain in chains(parent, flow):
            thick = max(width[chain].max(), 1.2)
            for light, dark, dry in ((90, 150, 0.1), (10, 60, 0.8)):  # a wet stroke, then a dry one over it
                tone = np.full((1, 3), rng.uniform(light, dark))
                taper = width[None, chain] / thick * rng.uniform(0.8, 1.15, len(chain))
                strokes(rng, brushed, nodes[None, chain], thick, tone, dry=dry, taper=taper)
        tips = np.flatnonzero(flow < (40 if peony else 12))
        for heart in nodes[rng.choice(tips, min(len(tips), 3 if peony else 22), replace=False)]:
            if peony:
                for angle in rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.9, rng.integers(4, 8)):
                    _ink_leaf(rng, brushed, heart, scale * rng.uniform(0.14, 0.3), angle)
                _wash(rng, stain, pen, heart, scale * rng.uniform(0.1, 0.16), red, (11, 10, 9, 8, 6))
            else:
                for _ in range(rng.integers(1, 4)):
                    centre = heart + rng.normal(0, 0.025, 2) * scale
                    _wash(rng, stain, pen, centre, scale * rng.uniform(0.016, 0.044), red, (5,))
    _write(rng, stain, pen, brushed)
    wet = blurred(stain, 0.0015 * scale)
    rim = np.minimum(wet - blurred(stain, 0.008 * scale), 0)  # colour gathers where a wet petal ends
    grain = 26 * (noise(rng, size, 30, 3)[..., None] - 0.5) * (wet < 250)
    wet = np.clip(wet + 0.6 * rim + grain, 0, 255) / 255
    under = np.clip(2.5 * (1 - wet.min(2)), 0, 0.85)  # petals lie over the branch
    ink = mix(unpack(brushed)[..., :3], (255, 255, 255), under) / 255
    paper = mix(sheet - 16, sheet + 8, 0.8 * noise(rng, size, 2, 6) + 0.2 * noise(rng, size, 60, 2, 0.3))
    picture = paper * ink * wet * (0.15 + 0.85 * np.asarray(pen, np.float32)[..., None] / 255)
    picture = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    picture = np.asarray(picture.resize(shape[::-1], Image.Resampling.BOX))
    return np.clip(picture + rng.normal(0, 2, shape)[..., None], 0, 255).astype(np.uint8)


def _wash(rng, stain, pen, centre, radius, colour, rings):
    """A flower of wet petals, rings from the outside in, and its stamens in ink."""
    wet, ink = ImageDraw.Draw(stain), ImageDraw.Draw(pen)
    single = len(rings) == 1
    squash = np.diag(rng.uniform(0.6, 1, 2))
    for depth, petals in enumerate(rings):
        reach = radius * (1 - depth / (len(rings) + 0.6))
        for angle in rng.uniform(0, 2 * np.pi) + np.arange(petals) * 2 * np.pi / petals:
            angle += rng.normal(0, 0.1)
            own, pale = reach * rng.uniform(0.85, 1.1), rng.uniform(0.1, 0.55)
            for part, darker in ((1.0, 0.0), (0.75, 0.14), (0.45, 0.28)):
                outline = part * own * petal(1.0, 0.8 if single else 0.55, 0.08) @ spin(angle) @ squash
                outline += centre + rng.normal(0, 0.012 * radius * len(rings) ** 0.7, outline.shape)
                tone = mix(colour, (255, 255, 255), np.clip(pale + (darker if single else -darker), 0, 0.9))
                wet.polygon(outline.ravel().tolist(), tuple(tone.astype(int).tolist()))
    dot = max(0.06 * radius / len(rings), 0.8)
    for stamen in centre + radius * rng.uniform(0.25, 0.5, (9, 1)) * toward(rng.uniform(0, 2 * np.pi, 9)):
        ink.line((*centre, *stamen), 110, 1)
        ink.ellipse((*(stamen - dot), *(stamen + dot)), 60)


def _ink_leaf(rng, brushed, foot, length, angle):
    """A leaf in three wide strokes of the brush."""
    reach = np.linspace(0, 1, 7)[:, None]
    taper = np.sin(np.pi * np.linspace(0.12, 1, 7)) ** 0.7 + 0.05
    for side in (-0.35, 0.35, 0.0):
        ahead = toward(angle + side)
        path = foot + length * (reach * ahead + reach**2 * rng.normal(0, 0.15) * ahead[::-1] * (1, -1))
        tone = rng.uniform(40, 130) + np.array([-8, 4, -4])
        strokes(rng, brushed, path[None], length * 0.13, tone[None], dry=0.5, taper=taper[None])


def _write(rng, stain, pen, brushed):
    """A column of invented characters and a red seal in the emptiest corner."""
    ink, wet = ImageDraw.Draw(pen), ImageDraw.Draw(stain)
    branches = Image.fromarray(((brushed & 255) < 200).astype(np.uint8) * 255)
    busy = np.asarray(branches.resize((8, 8), Image.Resampling.BOX))
    corners = {(0.1, 0.08): busy[:3, :2], (0.9, 0.08): busy[:3, 6:],
               (0.1, 0.6): busy[4:, :2], (0.9, 0.6): busy[4:, 6:]}
    cell = min(pen.size) * rng.uniform(0.022, 0.034)
    middle = np.array(min(corners, key=lambda corner: corners[corner].mean())) * pen.size
    for _ in range(rng.integers(4, 10)):
        for _ in range(rng.integers(4, 8)):
            start = rng.uniform(-0.45, 0.45, 2)
            slant = np.array(pick(rng, ((1, 0.1), (0.05, 1), (0.6, 0.6), (-0.5, 0.7))))
            end = np.clip(start + slant * rng.uniform(0.3, 0.8), -0.5, 0.5)
            dark, width = int(rng.integers(0, 60)), max(int(cell * rng.uniform(0.06, 0.16)), 1)
            ink.line((*(middle + start * cell), *(middle + end * cell)), dark, width)
        middle = middle + (0, 1.25 * cell)
    middle, half = middle + (0, 0.7 * cell), 0.62 * cell
    wet.rectangle((*(middle - half), *(middle + half)), (196, 44, 36))
    for start in rng.uniform(-0.75, 0.75, (9, 2)):
        end = np.clip(start + pick(rng, ((0, 0.9), (0.9, 0))), -0.8, 0.8)
        ends = (*(middle + start * half), *(middle + end * half))
        wet.line(ends, (244, 226, 214), max(int(0.13 * half), 1))
