"""The figures of an evaluation and the pictures behind them, as one HTML file that needs nothing else.

Readable by day and by night, on paper and on a phone. Knows nothing about pairs or how figures are made.
"""

import base64
import io
import os
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from r2f import metrics

SHEET, FROST_SHEET = 24, 8  # pictures on the contact sheets
COLOUR_BINS, COLOUR_REACH = 72, 72  # of the plane of a and b: cells a side, Lab units from grey to the edge
OFTEN = 0.004  # share of a picture in one cell that is drawn in full
DIFFERENCE = 30  # CIEDE2000 at the bright end of a difference map
GLOW = np.array([(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)])  # dark to bright, evenly
PAIR_COLOURS = ("petal", "frost", "leaf", "dusk")
DASHES = ("", "1 4", "12 4", "12 4 1 4")  # of lines, once each of the colours is taken
PHOTOS, PAINTINGS = ("frost", "5 4"), ("ink", "")  # the lines of what no pair has made

WAY_BACK = {"ssim": ("SSIM", "1 is the photo itself", 3), "psnr": ("PSNR", "decibels", 2),
            "ciede2000": ("CIEDE2000", "mean over the pixels", 2), "ciede2000_of_means": ("CIEDE2000", "of the mean colours", 2)}
SPREAD = ("median", "smallest", "largest")
FAULTS = {"checkerboard": "power at periods of 2 and 4 pixels over that beside them; 1 is none",
          "halo": "change of colour at the border over that further inside; 1 is none",
          "colour_noise": "fine detail of colour, Lab units", "droplets": "spots a painting has where its photo is flat",
          "light": "correlation of the lightness before and after; below 0, light and dark are swapped",
          "stains": "spots a way back has and its photo has not"}
SETS = {"rime": "photos", "bloom": "bloom", "rime_again": "way back", "flowers": "real flowers", "frost": "frost"}
COMPARED = {"kid": "KID", "colours": "colours", "patterns": "patterns"}

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1f2730; --quiet: #5c6672; --line: #d9d6ce; --frost: #2b6690;
  --petal: #a32f6a; --leaf: #4d7a2f; --dusk: #b26a12; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --ink: #e6e9ec; --quiet: #a2acb7; --line: #343b44; --frost: #9fcbe8;
  --petal: #f2a3c6; --leaf: #a9d38a; --dusk: #eab676; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.55 "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, Georgia, "DejaVu Serif", serif; }
h1 { font-size: 2.1rem; font-weight: 500; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; font-weight: 600; margin: 3.2rem 0 .8rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p, figcaption { max-width: 46rem; } figcaption, .quiet { color: var(--quiet); font-size: .94rem; }
figcaption { margin-top: .7rem; } figure { margin: 0; } b { font-weight: 600; }
code { font: .84em/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { margin: .6rem 0; padding: .7rem .9rem; border-left: 3px solid var(--line); white-space: pre-wrap; }
img { display: block; width: 100%; height: auto; border-radius: 2px; }
.scroll { overflow-x: auto; margin-bottom: 1.8rem; } details { margin-top: 1rem; }
summary { cursor: pointer; margin-bottom: .6rem; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem 0 .28rem 1.6rem; text-align: right; vertical-align: baseline; white-space: nowrap; font-weight: 400; }
th:first-child, td:first-child { padding-left: 0; text-align: left; white-space: normal; }
thead th { color: var(--quiet); font-size: .9rem; border-bottom: 1px solid var(--ink); }
tbody tr.part th { padding-top: 1rem; font-style: italic; } tbody tr:last-child > * { border-bottom: 1px solid var(--ink); }
td small, th small { color: var(--quiet); font-size: .84em; }
svg { display: block; width: 100%; height: auto; overflow: visible; } svg text { font-size: 13px; fill: var(--ink); }
svg .quiet { fill: var(--quiet); } svg .axis { stroke: var(--line); } .ink { color: var(--ink); }
.petal { color: var(--petal); } .frost { color: var(--frost); }
.leaf { color: var(--leaf); } .dusk { color: var(--dusk); }
.plates { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1.2rem; text-align: center; }
.plane { border: 1px solid var(--line); border-radius: 50%; margin-bottom: .4rem; } svg.chart { max-width: 36rem; }
.headline { display: flex; flex-wrap: wrap; gap: .4rem 2.6rem; margin: 1.4rem 0; }
.headline div { font-size: 1.9rem; line-height: 1.25; } .headline small { color: var(--quiet); font-size: .95rem; }
.headline span { display: block; color: var(--quiet); font-size: .95rem; }
.block { margin-bottom: 2rem; }
.group { display: grid; grid-template-columns: repeat(var(--cells), 1fr); gap: 3px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--least), 1fr)); gap: 14px 20px; }
.heads { color: var(--quiet); font-size: .88rem; text-align: center; margin-bottom: .3rem; }
.case { margin-bottom: 1.1rem; } .case p { margin: 0 0 .3rem; }
.scale, .ends { max-width: 16rem; } .scale { height: .7rem; border-radius: 2px; }
.ends { display: flex; justify-content: space-between; }
.key svg { display: inline; width: 2rem; height: .5rem; margin-right: .4em; }
.key span { display: inline-block; margin-right: 1.4em; }
@media (max-width: 36rem) { body { padding: 1.5rem .9rem 3rem; font-size: 1rem; } h1 { font-size: 1.6rem; }
  th, td { padding-left: .8rem; font-size: .9rem; } .many .group { grid-template-columns: repeat(3, 1fr); }
  .many .painting { grid-column: 2; } .many .again { grid-column: 3; } .many .heads { display: none; }
  .plates.three { grid-template-columns: repeat(3, 1fr); gap: .5rem; } }
@media print { body { max-width: none; } .group, .case { break-inside: avoid; } }
"""


def page(found: dict, painted: list, names: list[str]) -> str:
    """The report: `found` as `evaluate` prints it, what each pair painted (evaluate.Painted), and the photos' names."""
    pairs = found["pairs"]
    titles = titled([pair["pair"] for pair in pairs])
    beside = f" beside {', '.join(titles[1:])}" if titles[1:] else ""
    body = [
        f"<h1>How good is {escape(titles[0] + beside)}?</h1>",
        f"<p class=quiet>Measured on {found['rime']['count']} rime photos and {found['flowers']['count']} flower paintings, as "
        f"squares of {found['side']} pixels. Every way back starts from the 8-bit picture. KID compares features of "
        f"{escape(found['features'])}. ± is one standard error.</p>",
        *(headline(pair, title) for pair, title in zip(pairs, titles, strict=True)),
        f"<pre><code>{escape(found['command'])}</code></pre>",
        section("Does rime become flowers?", gap_chart(pairs, titles), agreement_table(pairs, titles)),
        section("Does the photo come back?", way_back_table(pairs, titles), *cases(pairs[0], painted[0], names)),
        section("The same photos every time", sheet(painted[0].rime, [(each.bloom, each.rime_again) for each in painted],
                                                    SHEET, ("photo", "painting", "way back"), titles)),
        section("Colours", colour_planes(painted, titles)),
        section("Patterns", roses(painted, titles)),
        section("What is ugly", faults_table(pairs, titles)),
        section("Flowers into rime", sheet(painted[0].flowers, [(each.frost, each.flowers_again) for each in painted],
                                           FROST_SHEET, ("painting", "frost", "way back"), titles)),
    ]
    return ("<!doctype html>\n<html lang=en><meta charset=utf-8>"
            "<meta name=viewport content='width=device-width, initial-scale=1'>"
            f"<title>{escape(titles[0])}: figures</title><style>{STYLE}</style>\n" + "\n".join(body) + "\n</html>\n")


def headline(pair: dict, title: str) -> str:
    """The four figures to remember, and exactly which files they are of."""
    figures = ((pair["bloom"]["kid"]["gap_closed"], 2, "gap closed by bloom"),
               (pair["frost"]["kid"]["gap_closed"], 2, "gap closed by frost"),
               (pair["way_back_of_rime"]["ssim"], 3, "way back, SSIM"),
               (pair["way_back_of_rime"]["ciede2000"], 2, "way back, CIEDE2000"))
    digests = ", ".join(f"{escape(Path(file).stem)} <code>{escape(sha256[:12])}</code>"
                        for file, sha256 in pair["sha256"].items())
    cells = "".join(f"<div>{number(value, digits)}<span>{what}</span></div>" for value, digits, what in figures)
    known = {name: escape(str(pair[name])) for name in ("step", "preset", "image_size") if pair[name] is not None}
    words = {"step": "step {}", "preset": "preset {}", "image_size": "learned at {} pixels"}
    told = "".join(f", {words[name].format(value)}" for name, value in known.items())
    return (f"<div class=headline>{cells}</div><p class='quiet block'><b>{escape(title)}</b>{told}; SHA-256 {digests}</p>")


def titled(folders: list[str]) -> list[str]:
    """The shortest ends of the folders' paths that differ; a run's pair is called like the run."""
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    parts = [each[:-1] if each[-1] == "pair" and len(each) > 1 else each for each in parts]
    for length in range(1, 1 + max(map(len, parts))):
        titles = ["/".join(each[-length:]) for each in parts]
        if len(set(titles)) == len(titles):
            return titles
    return [f"{folder} ({place})" for place, folder in enumerate(folders, 1)]


def section(title: str, *parts: str) -> str:
    return f"<h2>{title}</h2>" + "\n".join(parts)


def picture(pixels: np.ndarray, alt: str, kind: str = "") -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=86, method=4)
    data = base64.b64encode(file.getvalue()).decode()
    height, width = pixels.shape[:2]
    return (f"<img class='{kind}' decoding=async width={width} height={height} alt='{escape(alt, quote=True)}' "
            f"src='data:image/webp;base64,{data}'>")


def number(value: dict | float, digits: int, factor: float = 1) -> str:
    """A figure and its error, a minus sign that is one."""
    if isinstance(value, dict):
        return f"{number(value['value'] * factor, digits)} <small>± {value['error'] * factor:.{digits}f}</small>"
    return f"{value:.{digits}f}".replace("-", "−")


def table(heads: list[str], rows: list[tuple]) -> str:
    """Rows of cells; a row of one cell is the title of those below it."""
    lines = [f"<tr class=part><th colspan={len(heads)}>{row[0]}</th></tr>" if len(row) == 1 else
             f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows]
    return (f"<div class=scroll><table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead>"
            f"<tbody>{''.join(lines)}</tbody></table></div>")


def key(titles: list[str], strokes: list[tuple[str, str]]) -> str:
    return "<p class=key>" + "".join(
        f'<span><svg class="{colour}" viewBox="0 0 32 8"><line x2="32" y1="4" y2="4" stroke="currentColor" stroke-width="3" '
        f'stroke-dasharray="{dash}"/></svg>{escape(title)}</span>' for title, (colour, dash) in zip(titles, strokes, strict=True)
    ) + "</p>"


def strokes_of(pairs: list) -> list[tuple[str, str]]:
    """The colour and the dashes of each pair's lines."""
    count = len(PAIR_COLOURS)
    return [(PAIR_COLOURS[place % count], DASHES[place // count % len(DASHES)]) for place in range(len(pairs))]


def gap_chart(pairs: list[dict], titles: list[str]) -> str:
    """Every gap closed with its error, on one axis from doing nothing to perfect."""
    rows = [(way, kind) for way in ("bloom", "frost") for kind in COMPARED]
    gaps = [[pair[way][kind]["gap_closed"] for pair in pairs] for way, kind in rows]
    least = max(-1.0, min(0.0, *(gap["value"] - 2 * gap["error"] for row in gaps for gap in row)))
    left, width, pitch = 112, 300, 12 * len(pairs) + 16
    height = len(rows) * pitch

    def x(value):
        return round(left + width * (min(max(value, least), 1) - least) / (1 - least), 1)

    parts = [f'<line class="axis" x1="{x(tick)}" x2="{x(tick)}" y1="0" y2="{height}" stroke-width="{1 + (tick in (0, 1))}"/>'
             f'<text class="quiet" x="{x(tick)}" y="{height + 17}" text-anchor="middle">{number(tick, 2)}</text>'
             for tick in (quarter / 4 for quarter in range(int(np.ceil(least * 4)), 5))]
    for place, ((way, kind), row) in enumerate(zip(rows, gaps, strict=True)):
        middle = place * pitch + pitch / 2
        parts.append(f'<text x="{left - 12}" y="{middle + 4}" text-anchor="end">{way}, {COMPARED[kind]}</text>')
        for line, (gap, (colour, dash)) in enumerate(zip(row, strokes_of(pairs), strict=True)):
            y, value, error = middle + 12 * (line - (len(row) - 1) / 2), gap["value"], gap["error"]
            parts.append(f'<g class="{colour}" stroke="currentColor" fill="currentColor"><line x1="{x(value - 2 * error)}" '
                         f'x2="{x(value + 2 * error)}" y1="{y}" y2="{y}" stroke-width="2" stroke-dasharray="{dash}"/>'
                         f'<circle cx="{x(value)}" cy="{y}" r="4"/></g>')
    return (f'<figure>{key(titles, strokes_of(pairs)) if len(titles) > 1 else ""}<svg class="chart" role="img" '
            f'viewBox="0 0 {left + width + 18} {height + 24}" aria-label="gap closed">{"".join(parts)}</svg>'
            "<figcaption><b>Gap closed</b>: which part of the distance to the other domain is gone. 0 is doing nothing, 1 is "
            "what can't be told from the other domain. Lines are two standard errors to each side.</figcaption></figure>")


def agreement_table(pairs: list[dict], titles: list[str]) -> str:
    scales = {"kid": (1000, 1, "× 1000"), "colours": (1, 2, "Lab units"), "patterns": (1, 3, "L a pixel")}
    rows = []
    for way, (this, other) in {"bloom": ("rime", "flowers"), "frost": ("flowers", "rime")}.items():
        for kind, (factor, digits, unit) in scales.items():
            each = [pair[way][kind] for pair in pairs]
            rows += [(f"{COMPARED[kind]}, {way}, {unit}",),
                     (f"{this} to {other}, before", *(number(one["before"], digits, factor) for one in each)),
                     (f"{way}({this}) to {other}", *(number(one["after"], digits, factor) for one in each)),
                     (f"floor: {other} to other {other}", *(number(one["floor"], digits, factor) for one in each)),
                     ("<b>gap closed</b>", *(f"<b>{number(one['gap_closed'], 2)}</b>" for one in each))]
    return ("<details><summary>The distances behind it</summary>" + table(["", *map(escape, titles)], rows) +
            "<p class=quiet>KID is the squared distance of feature means under a cubic kernel, unbiased. Colours and patterns "
            "are sliced Wasserstein distances of Lab colours and of oriented-gradient histograms; they have a floor above 0, "
            "because two small samples never agree.</p></details>")


def way_back_table(pairs: list[dict], titles: list[str]) -> str:
    rows = []
    for way, words in (("way_back_of_rime", "photo, painting, photo again"),
                       ("way_back_of_flowers", "painting, rime, painting again")):
        rows.append((words,))
        for figure, (label, unit, digits) in WAY_BACK.items():
            for place, (title, pair) in enumerate(zip(titles, pairs, strict=True)):
                values = pair[way][figure]
                rows.append(("" if place else f"{label} <small>{unit}</small>", *[escape(title)] * (len(pairs) > 1),
                             number(values, digits), *(number(values[kind], digits) for kind in SPREAD)))
    return table(["", *["pair"] * (len(pairs) > 1), "mean", *SPREAD], rows)


def cases(pair: dict, painted, names: list[str]) -> list[str]:
    """Best, median and worst way back of the first pair, with a map of where colours differ."""
    each = pair["way_back_of_rime"]["of_each"]
    order = np.argsort(each["ssim"], kind="stable")[::-1]
    parts = ["<figure style='--cells: 4'><div class='group heads'><span>photo</span><span>painting</span><span>way back</span>"
             "<span>difference</span></div>"]
    for word, place in (("Best", order[0]), ("Median", order[len(order) // 2]), ("Worst", order[-1])):
        photo, again = painted.rime[place], painted.rime_again[place]
        level = (metrics.colour_difference_map(photo, again) / DIFFERENCE).clip(0, 1) * (len(GLOW) - 1)
        glow = np.stack([np.interp(level, range(len(GLOW)), GLOW[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
        cells = zip((photo, painted.bloom[place], again, glow), ("photo", "painting", "way back", "difference"), strict=True)
        parts.append(f"<div class=case><p><b>{word}</b> <span class=quiet>SSIM {each['ssim'][place]:.3f}, CIEDE2000 "
                     f"{each['ciede2000'][place]:.1f}; {escape(names[place])}</span></p><div class=group>"
                     + "".join(picture(pixels, f"{alt}, {word.lower()} way back") for pixels, alt in cells) + "</div></div>")
    stops = ", ".join(f"rgb{tuple(map(int, colour))}" for colour in GLOW)
    return [*parts, f"<div class=scale style='background: linear-gradient(90deg, {stops})'></div><div class='ends quiet'>"
            f"<span>0</span><span>CIEDE2000</span><span>{DIFFERENCE} and more</span></div></figure>"]


def sheet(first: np.ndarray, others: list[tuple], count: int, words: tuple[str, str, str], titles: list[str]) -> str:
    """Pictures and what each pair makes of them, and the way back; always the same of the same set."""
    places = [place * len(first) // min(count, len(first)) for place in range(min(count, len(first)))]
    many, cells = len(others) > 1, 1 + 2 * len(others)
    heads = "".join(f"<span>{escape(word)}</span>" for word in (words[0], *(
        f"{title}: {word}" if many else word for title in titles for word in words[1:])))
    groups = [f"<div class=group>{picture(first[place], words[0])}" + "".join(
        picture(painting[place], f"{words[1]} by {title}", "painting") + picture(again[place], f"{words[2]} by {title}", "again")
        for title, (painting, again) in zip(titles, others, strict=True)) + "</div>" for place in places]
    return (f"<figure class='{'many' if many else ''}' style='--cells: {cells}; --least: {'100%' if many else '19rem'}'>"
            + (f"<div class='group heads'>{heads}</div>" if many else "") + f"<div class=sheet>{''.join(groups)}</div>"
            f"<figcaption>{words[0].capitalize()}, {words[1]}, {words[2]}"
            + (f"; the pairs from left to right: {escape(', '.join(titles))}" if many else "")
            + f". {len(places)} of {len(first)}, evenly spaced.</figcaption></figure>")


def sets_of(painted: list, titles: list[str]) -> list[tuple[str, np.ndarray]]:
    return [("rime", painted[0].rime), *((f"bloom, {title}" if len(titles) > 1 else "bloom", each.bloom)
                                         for title, each in zip(titles, painted, strict=True)), ("flowers", painted[0].flowers)]


def colour_planes(painted: list, titles: list[str]) -> str:
    plates = "".join(f"<div>{picture(colour_plane(pixels), f'colours of {title}', 'plane')}{escape(title)}</div>"
                     for title, pixels in sets_of(painted, titles))
    return (f"<figure><div class='plates {'three' if len(painted) == 1 else ''}'>{plates}</div><figcaption>How often each hue "
            "occurs: grey in the middle, red to the right, yellow up, green to the left, blue down; the further out, the more "
            "saturated. Each spot has its own colour, the denser the more often.</figcaption></figure>")


def colour_plane(pixels: np.ndarray) -> np.ndarray:
    """How often each pair of a and b occurs, in its own colour, the denser the more often: RGBA (S, S, 4)."""
    colour = metrics.colours(pixels).reshape(-1, 3)
    edges = np.linspace(-COLOUR_REACH, COLOUR_REACH, COLOUR_BINS + 1)
    share = np.histogram2d(-colour[:, 2], colour[:, 1], (edges, edges))[0] / len(colour)
    density = 255 * (share / OFTEN).clip(0, 1)[..., None] ** 0.35
    middle = (edges[1:] + edges[:-1]) / 2
    shown = srgb(np.stack(np.broadcast_arrays(60.0, middle[None, :], -middle[:, None]), axis=-1))
    plane = np.concatenate([shown, density], axis=-1).astype(np.uint8)
    return np.asarray(Image.fromarray(plane).resize((288, 288), Image.Resampling.BILINEAR))


def srgb(colour: np.ndarray) -> np.ndarray:
    """CIELAB to sRGB from 0 to 255, clipped."""
    y = (colour[..., 0] + 16) / 116
    f = np.stack([y + colour[..., 1] / 500, y, y - colour[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.2069, f ** 3, (f - 16 / 116) / 7.787) * [0.95047, 1.0, 1.08883]
    linear = (xyz @ np.array([[3.240479, -0.969256, 0.055648], [-1.537150, 1.875992, -0.204043],
                              [-0.498535, 0.041556, 1.057311]])).clip(0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def roses(painted: list, titles: list[str]) -> str:
    """The oriented gradients of every set, as one rose for each scale."""
    sets = sets_of(painted, titles)
    strokes = [PHOTOS, *strokes_of(painted), PAINTINGS]
    means = [metrics.gradients(pixels).mean(0).reshape(len(metrics.SCALES), -1) for _, pixels in sets]
    plates = []
    for scale, *rows in zip(metrics.SCALES, *means, strict=True):
        most, outlines = max(row.max() for row in rows), []
        for row, (colour, dash) in zip(rows, strokes, strict=True):
            angles, lengths = np.arange(2 * len(row)) * np.pi / len(row), 88 * np.tile(row, 2) / most
            points = " ".join(f"{100 + length * np.sin(angle):.1f},{100 + length * np.cos(angle):.1f}"
                              for angle, length in zip(angles, lengths, strict=True))
            outlines.append(f'<polygon class="{colour}" points="{points}" fill="none" stroke="currentColor" stroke-width="2" '
                            f'stroke-linejoin="round" stroke-dasharray="{dash}"/>')
        rings = "".join(f'<circle class="axis" cx="100" cy="100" r="{radius}" fill="none"/>' for radius in (44, 88))
        plates.append(f'<div><svg viewBox="0 0 200 200" role="img" aria-label="gradients, {scale} pixels">{rings}'
                      f'{"".join(outlines)}</svg>detail of {scale} pixel{"s" if scale > 1 else ""}<br>'
                      f'<span class="quiet">outer ring: {most:.2f} L a pixel</span></div>')
    return (f"<figure>{key([title for title, _ in sets], strokes)}"
            f"<div class='plates three'>{''.join(plates)}</div><figcaption>How strongly the "
            "lightness changes in each direction: up and down where there are horizontal edges, to the sides where there are "
            "vertical ones.</figcaption></figure>")


def faults_table(pairs: list[dict], titles: list[str]) -> str:
    rows = []
    for title, pair in zip(titles, pairs, strict=True):
        if len(pairs) > 1:
            rows.append((escape(title),))
        for name, meaning in FAULTS.items():
            digits = 1 if name in ("droplets", "stains") else 2
            rows.append((f"{name.replace('_', ' ')} <small>{meaning}</small>",
                         *(number(pair["faults"][name][kind], digits) if kind in pair["faults"][name] else "" for kind in SETS)))
    return table(["", *SETS.values()], rows)
