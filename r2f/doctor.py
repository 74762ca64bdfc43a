"""The data doctor: what is wrong with the pictures, before a training spends hours on them.

Counts, what can't be read, what is too small, the same picture twice or nearly so, test pictures that are also trained on,
grey and empty pictures, a contact sheet, and plain advice. Looks and tells; changes nothing. Knows nothing about networks.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from r2f.images import UnreadablePicture, list_pictures, read_picture, short_side_resize
from r2f.likeness import Look, Picture, alike, group, look, with_pixels
from r2f.shell import python
from r2f.source import BadSource, Folder

FEW, ENOUGH = 100, 800  # pictures of a domain to learn from
THREADS = min(8, os.cpu_count() or 1)  # each may hold a whole photo: many cores may share little memory
NOUNS = {"rime": "rime photos", "flower": "flower paintings", "": "pictures"}


@dataclass(frozen=True)
class Findings:
    """What there is to say about one folder; names of files, and sentences for those that can't be read."""

    name: str
    domain: str
    test: bool
    pictures: int  # readable ones
    unreadable: tuple[str, ...]
    short_side: tuple[int, int, int]  # pixels: least, median, most
    too_small: tuple[str, ...]
    grey: tuple[str, ...]
    blank: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The doctor's findings. A group is two or more pictures that show the same, as "folder/name"."""

    image_size: int  # pixels of the training that "too small" is measured by
    folders: tuple[Findings, ...]
    same: tuple[tuple[str, ...], ...]  # pixel for pixel
    alike: tuple[tuple[str, ...], ...]  # nearly: another size or compression, a watermark, a margin, mirrored
    leaks: tuple[tuple[str, ...], ...]  # groups of either kind with pictures to learn from and held-out ones
    in_both: tuple[tuple[str, ...], ...]  # groups of either kind with rime and flowers
    advice: tuple[str, ...]
    pictures: tuple[Picture, ...]
    groups: tuple[tuple[Picture, ...], ...]  # of either kind; what is alike in several steps is one group
    sources: tuple[Folder, ...]

    @property
    def healthy(self) -> bool:
        """Nothing that should be mended before a training: all readable, nothing twice."""
        return not (self.groups or any(folder.unreadable for folder in self.folders))

    @property
    def few(self) -> bool:
        """Too few pictures of a domain to learn from."""
        return any(folder.pictures < FEW for folder in self.folders if not folder.test)

    def summary(self) -> dict:
        """What JSON can hold of it: everything but the pictures one by one."""
        return {"healthy": self.healthy} | {key: value for key, value in asdict(self).items()
                                            if key not in ("pictures", "groups", "sources")}

    def to_json(self) -> str:
        return json.dumps(self.summary(), indent=2, ensure_ascii=False) + "\n"


COLUMNS = ("folder", "pictures", "unreadable", "least", "median", "most", "too small", "grey", "empty")


def rows(report: Report) -> list[list]:
    """A table with a line for each folder, under COLUMNS; least, median and most are of the short sides, in pixels."""
    return [[each.name, each.pictures, len(each.unreadable), *each.short_side, len(each.too_small), len(each.grey),
             len(each.blank)] for each in report.folders]


def lists(report: Report) -> list[tuple[str, list[str]]]:
    """(heading, lines) for everything that was found, the empty ones left out."""
    found = [("Can't be read", [sentence for each in report.folders for sentence in each.unreadable])]
    for heading, name in ((f"Smaller than {report.image_size} pixels", "too_small"), ("Without colour", "grey"),
                          ("Empty: a single colour", "blank")):
        found.append((heading, [f"{each.name}/{file}" for each in report.folders for file in getattr(each, name)]))
    for heading, groups in (("The same picture", report.same), ("Nearly the same picture", report.alike),
                            ("Both trained on and held out", report.leaks), ("Both rime and flower", report.in_both)):
        found.append((heading, [" = ".join(group) for group in groups]))
    return [(heading, lines) for heading, lines in found if lines]


def to_text(report: Report, most: int = 10) -> str:
    """The report for a terminal; of every list at most that many lines."""
    table = [list(COLUMNS)] + [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows(report)]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in table]
    lines.append("(least, median, most: short side in pixels)")
    for heading, found in lists(report):
        lines += ["", f"{heading} ({len(found):,}):", *(f"  {each}" for each in found[:most])]
        lines += [f"  and {len(found) - most:,} more"] if len(found) > most else []
    advice = (sentence.replace("`python ", f"`{python()} ") for sentence in report.advice)
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in advice)]) + "\n"


def examine(folders: list[Folder], image_size: int = 256, progress: Callable[[int, int], None] | None = None) -> Report:
    """Look at every picture in the folders. `image_size` is the side of the crops that the training will see, in pixels.

    `progress(done, total)` is called after each picture, in the caller's thread; what it raises ends the examination. Raises
    BadSource for a folder that is not there or has no readable picture.
    """
    if len({folder.name for folder in folders}) < len(folders):
        raise ValueError(f"two folders have the same name: {', '.join(folder.name for folder in folders)}")
    for folder in folders:
        if not folder.path.is_dir():
            raise BadSource(f"There is no folder {folder.path}; check the path.")
    files = [(folder, path) for folder in folders for path in list_pictures(folder.path)]
    looks = []
    with ThreadPoolExecutor(THREADS) as threads:
        try:
            for done, seen in enumerate(threads.map(lambda file: look(file[0].name, file[1]), files), 1):
                looks.append(seen)
                if progress:
                    progress(done, len(files))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    unreadable = [(folder.name, str(seen)) for (folder, _), seen in zip(files, looks, strict=True) if not isinstance(seen, Look)]
    looks = [seen for seen in looks if isinstance(seen, Look)]
    pictures = with_pixels(looks, {folder.name: folder.path for folder in folders})
    findings = tuple(_findings(folder, pictures, unreadable, image_size) for folder in folders)
    for each in findings:
        if not each.pictures:
            raise BadSource(f"None of the {len(each.unreadable):,} files in {each.name} can be read as a picture."
                            if each.unreadable else f"There are no pictures (JPEG, PNG or WEBP) in {each.name}.")
    groups = group(pictures, alike(looks))
    held_out, domain = {each.name: each.test for each in folders}, {each.name: each.domain for each in folders}

    def labels(wanted):
        return tuple(tuple(picture.label for picture in some) for some in groups if wanted(some))

    report = Report(image_size, findings,
                    same=labels(lambda some: len({picture.pixels for picture in some}) == 1),
                    alike=labels(lambda some: len({picture.pixels for picture in some}) > 1),
                    leaks=labels(lambda some: len({held_out[picture.folder] for picture in some}) == 2),
                    in_both=labels(lambda some: len({domain[picture.folder] for picture in some} - {""}) == 2),
                    advice=(), pictures=tuple(pictures), groups=tuple(groups), sources=tuple(folders))
    return replace(report, advice=tuple(_advice(report)))


def at_size(report: Report, image_size: int) -> Report:
    """The report as it would be for a training with crops of that side, in pixels; nothing is looked at again."""
    folders = tuple(replace(each, too_small=tuple(picture.name for picture in report.pictures
                                                  if picture.folder == each.name and picture.short_side < image_size))
                    for each in report.folders)
    report = replace(report, image_size=image_size, folders=folders)
    return replace(report, advice=tuple(_advice(report)))


def _findings(folder: Folder, pictures: list[Picture], unreadable: list[tuple[str, str]], image_size: int) -> Findings:
    mine = [picture for picture in pictures if picture.folder == folder.name]
    sides = [picture.short_side for picture in mine] or [0]
    return Findings(folder.name, folder.domain, folder.test, len(mine),
                    tuple(sentence for name, sentence in unreadable if name == folder.name),
                    (min(sides), int(np.median(sides)), max(sides)),
                    tuple(picture.name for picture in mine if picture.short_side < image_size),
                    tuple(picture.name for picture in mine if picture.grey),
                    tuple(picture.name for picture in mine if picture.blank))


def _advice(report: Report):
    """Plain sentences, the most important first."""
    warmth = {}
    for domain in ("rime", "flower"):
        names = [each.name for each in report.folders if each.domain == domain]
        warmth[domain] = [picture.warmth for picture in report.pictures if picture.folder in names]
    # Rime is blue and grey, paintings of flowers are warm: the median picture tells, a single one does not.
    if all(warmth.values()) and np.median(warmth["rime"]) > np.median(warmth["flower"]) + 10:
        yield "The rime is warmer in colour than the flowers: are the two folders mixed up?"
    if report.in_both:
        yield f"{_number(report.in_both, 'picture')} among the rime and among the flowers as well; take each out of one of them."
    if report.leaks:
        yield (f"{_number(report.leaks, 'picture')} both trained on and held out, so the samples will flatter; "
               "`python -m r2f.data prepare` makes a clean split.")
    again = sum(len(group) - 1 for group in report.groups)
    if again:
        yield (f"{_number(again, 'picture')} there again, or nearly so: shown more often and nothing new to learn from. "
               "`python -m r2f.data prepare` makes a data set without them.")
    bad = sum(len(each.unreadable) for each in report.folders)
    if bad:
        yield f"{_number(bad, 'file')} unreadable; a training names such files and goes on without."
    for folder, each in zip(report.sources, report.folders, strict=True):
        if folder.elsewhere:
            yield f"{_number(folder.elsewhere, 'picture')} in folders below {each.name}, where a training does not look."
        if each.blank:
            yield f"{_number(each.blank, 'picture')} empty in {each.name}; take them out."
        if each.test:
            continue
        noun = NOUNS[each.domain] + ("" if each.domain else f" in {each.name}")
        if each.pictures < FEW:
            yield f"{each.pictures:,} {noun}: too few to learn from; expect stains of colour. Some hundreds do much better."
        elif each.pictures < ENOUGH:
            yield f"{each.pictures:,} {noun}: expect texture, not shape."
        else:
            yield f"{each.pictures:,} {noun}: as many as the published CycleGANs had of horses and of zebras (about a thousand)."
        if len(each.too_small) > each.pictures / 10:
            yield (f"{_number(each.too_small, 'picture')} smaller than {report.image_size} pixels in {each.name} and will be "
                   "enlarged, which teaches blur; train with a smaller --image-size, or leave them out.")
        if each.domain == "flower" and len(each.grey) > each.pictures / 20:
            yield f"{_number(each.grey, 'picture')} without colour in {each.name}: the generator will learn to paint grey."


def _number(what, noun: str) -> str:
    """1 picture is, 2 pictures are."""
    count = what if isinstance(what, int) else len(what)
    return f"{count:,} {noun} is" if count == 1 else f"{count:,} {noun}s are"


def contact_sheet(report: Report, columns: int = 12, lines: int = 4, side: int = 96) -> np.ndarray:
    """What there is to see, uint8 (H, W, 3): of each folder as many pictures as fit into so many lines of squares (half of
    the lines for held-out ones), evenly spaced in the order of their names; then those that show the same, group by group.
    """
    paths = {folder.name: folder.path for folder in report.sources}
    gap, heading = 4, 26
    font = ImageFont.load_default(15)
    bands = []
    for number, each in enumerate(report.folders, 1):
        mine = [picture for picture in report.pictures if picture.folder == each.name]
        count = min(len(mine), columns * max(1, lines // 2 if each.test else lines))
        shown = [mine[place * len(mine) // count] for place in range(count)]
        neutral = f"folder {number}, {NOUNS[each.domain]}" if each.domain else f"folder {number}"
        called = each.name if _can_draw(font, each.name) else neutral
        bands.append((f"{called}: {count:,} of {len(mine):,} pictures", shown))
    flow, count = [], 0
    for some in report.groups:
        some, left_on_line = some[:columns], columns - len(flow) % columns
        before = [None] * (left_on_line if len(some) > left_on_line else 0)
        if len(flow) + len(before) + len(some) > columns * lines:
            break
        flow += before + [*some]
        flow += [None] * (len(flow) % columns > 0)
        count += 1
    if flow:
        bands.append((f"The same or nearly: {count:,} of {len(report.groups):,} groups", flow))

    tile = side + gap
    heights = [heading + -(-len(shown) // columns) * tile for _, shown in bands]
    sheet = Image.new("RGB", (columns * tile + gap, sum(heights) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    top = 0
    for (title, shown), height in zip(bands, heights, strict=True):
        pen.text((gap, top + 6), title, "black", font)
        with ThreadPoolExecutor(THREADS) as threads:
            tiles = threads.map(lambda picture: picture and _square(paths[picture.folder] / picture.name, side), shown)
            for place, square in enumerate(tiles):
                if square is not None:
                    line, column = divmod(place, columns)
                    sheet.paste(Image.fromarray(square), (gap + column * tile, top + heading + line * tile))
        top += height
    return np.array(sheet)


def _can_draw(font: ImageFont.FreeTypeFont, text: str) -> bool:
    """Whether the font has all of these letters; those that it lacks look like one that there will never be."""
    lacking = bytes(font.getmask("\uffff"))
    return all(bytes(font.getmask(letter)) != lacking for letter in set(text))


def _square(path, side: int) -> np.ndarray | None:
    """The middle of the picture, (side, side, 3); nothing if it has gone since."""
    try:
        pixels = short_side_resize(read_picture(path, 4 * side), side)
    except UnreadablePicture:
        return None
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top:top + side, left:left + side]
