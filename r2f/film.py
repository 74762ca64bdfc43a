"""The bloom film: a flower opens out of the ice, from the brightest crystals outwards along the photo's own structure.

A photo and its painting in, a video file out. And the film of a training, from its sample sheets. Knows nothing about networks.
"""

import contextlib
import functools
import hashlib
import heapq
import os
import re
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from r2f.images import UnreadablePicture, fit, read_picture

FRAMES_PER_SECOND = {".mp4": 25, ".webp": 12.5}
LONG_SIDE = {".mp4": 1280, ".webp": 640}  # pixels, at most; chat programs shrink more, and an animated WebP is large
PHOTO_SECONDS, PAINTING_SECONDS = 0.3, 0.7  # how long the film rests on its first and on its last picture
GRID_SIDE = 208  # pixels of the long side of the grid that the flower grows on
SEEDS = 9  # crystals that bloom first
SEED_DELAY = 0.05  # of the time a seed would need for the whole picture, by which each opens after the one before
FRONT = 0.16  # width of the front where ice turns into flower, as a part of the growth
LEVELS = 4095  # arrival times are counted in these
BT709, VIDEO_RANGE = 1, 1  # ITU-T H.273, tables 2 to 4; levels 16 to 235
GLOW = 0.55  # how much of the front's light is the painting's own

MOST_SHEETS = 100  # of a training's film: more are not told apart in its seconds
SHEET_SECONDS, LEARNED_SECONDS = 0.6, 1.6  # for each of few sheets, and for the last one
MOST_SECONDS = 20.0
MOST_ROWS = 4  # of a sheet: on a phone, more would be too small
FADE = 0.4  # part of a sheet's time in which it becomes the next
SHEET_WIDTH = 640  # pixels that smaller sheets are enlarged to, about
COLUMNS = ("rime", "flower", "rime again", "flower", "rime", "flower again")
BAR = 70  # pixels for titles and step
INK, FAINT, PAPER = (236, 240, 244), (128, 140, 152), (18, 22, 27)
_making = threading.Lock()  # one film of a training at a time, however many ask


def film(photo: np.ndarray, painting: np.ndarray, path: str | Path, seconds: float = 4.0, long_side: int | None = None) -> Path:
    """Write the film of two uint8 pictures (H, W, 3) of one size as MP4 or animated WebP, by suffix. Gives the path.

    The first frame is the photo and the last is the painting, shrunk to `long_side` pixels at most (default: LONG_SIDE) and
    even sides, as near as the codec comes. The MP4 is H.264 in yuv420p with its index in front. The file appears whole or not
    at all. Raises ValueError for another suffix, pictures of two sizes, or a length outside 2 to 10 seconds.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in LONG_SIDE:
        raise ValueError(f"cannot write a film as {suffix or 'a file without suffix'}; use one of {', '.join(LONG_SIDE)}")
    if photo.shape != painting.shape:
        raise ValueError(f"a film is made of two pictures of one size, not {photo.shape} and {painting.shape}")
    if not 2 <= seconds <= 10:
        raise ValueError(f"a film lasts 2 to 10 seconds, not {seconds}")
    first, last = (even(fit(pixels, long_side or LONG_SIDE[suffix])) for pixels in (photo, painting))
    rate = FRAMES_PER_SECOND[suffix]
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        (write_mp4 if suffix == ".mp4" else write_webp)(frames(first, last, seconds, rate), part, rate)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def learning_film(samples: list[tuple[int, Path]], folder: str | Path, name: str) -> Path:
    """The film of a training: its sample sheets one after the other, with their steps, as an MP4 in the folder. Gives its path.

    `samples` are (step, sheet) by step; a sheet has six columns of square pictures. At most MOST_SHEETS are shown, evenly chosen,
    the first and the newest among them, in at most MOST_SECONDS; sides are even and at most LONG_SIDE, as of the bloom film. The
    file is named after `name`, the newest step and the sheets: asked for again, it is there already. A sheet that can't be read
    is left out. Raises ValueError where fewer than two are left, or `name` could leave the folder.
    """
    if not re.fullmatch(r"[^./\\\0][^/\\\0]*", name):
        raise ValueError(f"{name!r} can't name a film.")
    chosen, folder = evenly(samples, MOST_SHEETS), Path(folder)
    content = hashlib.sha256(repr([(step, str(path), *changed(path)) for step, path in chosen]).encode()).hexdigest()[:12]
    path = folder / f"{name}-step-{chosen[-1][0] if chosen else 0}-{content}.mp4"
    with _making:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)  # whoever tidies the folder up sees that it is in use
            return path
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            write_mp4(learning_frames(chosen), part, FRAMES_PER_SECOND[".mp4"])
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def evenly(values: list, most: int) -> list:
    """At most that many of them, evenly spread, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def changed(path: Path) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size
    return 0, 0


def learning_frames(samples: list[tuple[int, Path]]) -> Iterator[Image.Image]:
    """The pictures of a training's film; no more than two sheets are held at a time. Raises ValueError."""
    sheets = readable(samples)
    before, after = next(sheets, None), next(sheets, None)
    if after is None:
        raise ValueError("A film of a training needs at least two sample sheets, and there are fewer that can be read.")
    rate, last_step = FRAMES_PER_SECOND[".mp4"], samples[-1][0]
    each = min(SHEET_SECONDS, (MOST_SECONDS - LEARNED_SECONDS) / (len(samples) - 1)) * rate  # frames, not always a whole number
    number = place = 0
    while after is not None:
        while number < (place + 1) * each:
            through = number / each - place
            mixed = float(smooth(np.float64((through - 1 + FADE) / FADE)))
            picture = Image.blend(before[1], after[1], mixed)
            reached = before[0] + through * (after[0] - before[0])
            yield captioned(picture, (after if mixed > 0.5 else before)[0], reached, last_step)
            number += 1
        before, after, place = after, next(sheets, None), place + 1
    yield from [captioned(before[1], before[0], before[0], last_step)] * round(LEARNED_SECONDS * rate)


def readable(samples: list[tuple[int, Path]]) -> Iterator[tuple[int, Image.Image]]:
    """(step, sheet) of those that can be read, cut to MOST_ROWS and brought to the film's size, which is the first one's."""
    size = None
    for step, path in samples:
        with contextlib.suppress(UnreadablePicture):
            sheet = read_picture(path)
            sheet = sheet[:MOST_ROWS * (sheet.shape[1] // len(COLUMNS))]
            larger = max(1, round(SHEET_WIDTH / sheet.shape[1]))
            sheet = sheet.repeat(larger, axis=0).repeat(larger, axis=1) if larger > 1 else sheet
            picture = Image.fromarray(even(fit(sheet, LONG_SIDE[".mp4"] - BAR)))
            size = size or picture.size
            yield step, picture if picture.size == size else picture.resize(size)  # resumed with other samples


def captioned(sheet: Image.Image, step: int, reached: float, last_step: int) -> Image.Image:
    """The sheet with its columns' titles above and the step below, over a line that grows as the training goes on."""
    above, below = 26, BAR - 26
    frame = Image.new("RGB", (sheet.width, above + sheet.height + below), PAPER)
    frame.paste(sheet, (0, above))
    pen, bottom, column = ImageDraw.Draw(frame), above + sheet.height + below, sheet.width / len(COLUMNS)
    for place, title in enumerate(COLUMNS):
        pen.text(((place + 0.5) * column, above / 2), title, FAINT, font(14), anchor="mm")
    pen.text((12, bottom - 25), f"step {step:,}", INK, font(22), anchor="lm")
    pen.rectangle((0, bottom - 5, sheet.width * reached / max(last_step, 1), bottom), INK)
    return frame


@functools.cache
def font(size: int):
    return ImageFont.load_default(size)


def even(pixels: np.ndarray) -> np.ndarray:
    """Without the last row or column where there is an odd number: yuv420p has one colour for 2 x 2 pixels."""
    return np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])


def frames(photo: np.ndarray, painting: np.ndarray, seconds: float, rate: float) -> Iterator[Image.Image]:
    """The pictures of the film, all of one size. The first is the photo and the last ones are the painting, exactly."""
    ice, flower = Image.fromarray(photo), Image.fromarray(painting)
    arrival = np.rint(arrival_times(photo) * LEVELS).astype(np.uint16)
    light = glow(flower)
    total = round(seconds * rate)
    resting, held = max(1, round(PHOTO_SECONDS * rate)), max(1, round(PAINTING_SECONDS * rate))
    growing = total - resting - held
    yield from [ice] * resting
    levels = np.arange(LEVELS + 1) / LEVELS
    for number in range(1, growing + 1):
        time = ease(number / (growing + 1)) * (1 + 2 * FRONT) - FRONT
        age = (time - levels) / FRONT  # of each level: 0 where the front's light arrives, 1 where the flower is there
        opened = np.rint(255 * smooth(age)).astype(np.uint8)[arrival]
        shine = np.rint(255 * GLOW * smooth(age + 1) * (1 - smooth(age))).astype(np.uint8)[arrival]
        frame = Image.composite(flower, ice, Image.fromarray(opened))
        yield Image.composite(light, frame, Image.fromarray(shine))
    yield from [flower] * held


def smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth step between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def ease(x: float) -> float:
    """Time as the growth feels it: it begins gently, and comes to rest gently."""
    return 0.7 * x + 0.3 * x * x * (3 - 2 * x)


def glow(flower: Image.Image) -> Image.Image:
    """The light at the front: the painting's own colours, spread out and brightened."""
    spread = flower.filter(ImageFilter.BoxBlur(max(flower.size) / 160))
    return spread.point([round(255 * (level / 255) ** 0.45) for level in range(256)] * 3)


def arrival_times(photo: np.ndarray) -> np.ndarray:
    """When the flower reaches each pixel of a uint8 picture (H, W, 3): float32 (H, W), 0 first and 1 last.

    It starts at the brightest crystals and runs fast along the photo's structure (twigs, needles, the edges of frost), slowly
    over what is plain; around each crystal in petals. Within a place, what is bright turns first.
    """
    height, width = photo.shape[:2]
    brightness = luminance(fit(photo, GRID_SIDE))
    structure = local_contrast(brightness)
    times = grown(structure, seeds(structure * (0.25 + brightness)))
    order = np.empty(times.size)
    order[np.argsort(times, axis=None)] = np.linspace(0, 1, times.size)
    even_pace = 0.65 * order.reshape(times.shape) + 0.35 * times / times.max()  # so that the film neither waits nor rushes
    times = np.array(Image.fromarray(even_pace.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
    bright = luminance(photo)
    radius = max(height, width) / 40
    detail = (bright - blurred(bright, radius)).clip(-0.3, 0.3)
    times = times - 0.35 * detail
    low, high = np.percentile(times, (0.05, 99.95))
    return ((times - low) / max(high - low, 1e-6)).clip(0, 1).astype(np.float32)


def luminance(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)


def blurred(plane: np.ndarray, radius: float) -> np.ndarray:
    """A float plane (H, W), blurred; two boxes are near enough to a Gaussian."""
    picture = Image.fromarray(np.rint(plane * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius))) / np.float32(255)


def local_contrast(brightness: np.ndarray) -> np.ndarray:
    """How much is going on around each cell, 0 to 1."""
    contrast = blurred(3 * np.abs(brightness - blurred(brightness, 3)), 1)
    return (contrast / max(np.percentile(contrast, 97), 0.02)).clip(0, 1)


def seeds(crystals: np.ndarray) -> list[tuple[int, int]]:
    """The cells (row, column) with the strongest crystals, apart from each other, in order."""
    height, width = crystals.shape
    rows, columns = np.mgrid[0:height, 0:width]
    middle = np.hypot((rows / height - 0.5), (columns / width - 0.5))
    left = crystals * (1.2 - middle)  # a flower that opens in a corner is seen too late
    apart, chosen = 0.2 * np.hypot(height, width), []
    for _ in range(SEEDS):
        row, column = np.unravel_index(np.argmax(left), left.shape)
        chosen.append((int(row), int(column)))
        left = np.where(np.hypot(rows - row, columns - column) < apart, -1, left)
    return chosen


def grown(structure: np.ndarray, starts: list[tuple[int, int]]) -> np.ndarray:
    """First arrival at each cell (Dijkstra 1959): along structure 5 times as fast, and in 5 or 6 petals around each start."""
    height, width = structure.shape
    rows, columns = np.mgrid[0:height, 0:width]
    slowness, petals = 1 / (0.25 + structure), []
    for number, (row, column) in enumerate(starts):
        angle = np.arctan2(rows - row, columns - column)
        petals.append((slowness * (1 + 0.5 * np.cos((5 + number % 2) * angle + 2.4 * number))).ravel().tolist())
    times = [np.inf] * structure.size
    delay = SEED_DELAY * np.hypot(height, width)
    queue = [(number * delay, row * width + column, number) for number, (row, column) in enumerate(starts)]
    steps = [(dy, dx, (dy * dy + dx * dx) ** 0.5) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    while queue:
        time, cell, number = heapq.heappop(queue)
        if time >= times[cell]:
            continue
        times[cell] = time
        row, column = divmod(cell, width)
        slow = petals[number]
        for dy, dx, length in steps:
            if 0 <= row + dy < height and 0 <= column + dx < width:
                there = cell + dy * width + dx
                arrival = time + length * (slow[cell] + slow[there]) / 2
                if arrival < times[there]:
                    heapq.heappush(queue, (arrival, there, number))
    return np.array(times).reshape(height, width)


def write_mp4(pictures: Iterator[Image.Image], path: Path, rate: float) -> None:
    import av  # loads its codecs; the page starts faster without
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as file:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = file.add_stream("libx264", rate=int(rate), options={"crf": "18", "preset": "veryfast"})
                stream.width, stream.height = picture.size
                stream.pix_fmt = "yuv420p"
                # What players assume of a film of this size, said aloud; else some show other colours than the photo's.
                context = stream.codec_context
                context.colorspace = context.color_primaries = context.color_trc = BT709
                context.color_range = VIDEO_RANGE
            frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p", dst_colorspace=BT709,
                                                               dst_color_range=VIDEO_RANGE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def write_webp(pictures: Iterator[Image.Image], path: Path, rate: float) -> None:
    first, *others = pictures
    first.save(path, format="WEBP", save_all=True, append_images=others, duration=round(1000 / rate), loop=0, quality=80,
               method=2)
