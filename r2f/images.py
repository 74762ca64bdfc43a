"""Untrusted bytes to RGB arrays and back: the only decoder in the project.

A picture inside the package is a uint8 array (H, W, 3): sRGB, upright, opaque. Whatever a stranger sends
becomes one of those or an `UnreadablePicture`, whose message may be shown as it is. No picture takes more
than about 550 MB of memory, nor more than a few seconds. Knows nothing about networks, Keras or Gradio.
"""

import io
import math
import re
import secrets
import stat
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, features

MAX_PIXELS = 50_000_000  # width x height in the header; decoding takes about 7 bytes a pixel, at most 10
MAX_PIXELS_OF = {"WEBP": 25_000_000, "AVIF": 25_000_000}  # these decoders take 16 and 9 bytes a pixel
MAX_BYTES = 60_000_000  # of the file
MIN_SIDE = 32  # pixels
MAX_ASPECT = 20  # long side / short side
SRGB_LEVELS = 2  # a profile is sRGB if it changes no colour by more: its makers round its curve in several ways
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif"),
)

_FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"] + ["AVIF"] * features.check("avif")
_SAVE_OPTIONS = {
    # A fifth of the time of Pillow's own choice, and paintings take 1 % more: in them, what repeats are neighbours.
    ".png": {"format": "PNG", "compress_type": zlib.Z_RLE},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "quality": 95},
}
_UPRIGHT = {  # EXIF orientation -> how to turn the stored picture upright
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}

# For the whole process on purpose: this also covers decoders that are not ours (Gradio's), and changing the
# warnings' filters inside a call is not safe between threads.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)

Source = str | Path | bytes | BinaryIO | Image.Image


class UnreadablePicture(ValueError):
    """The picture cannot be used; the message is one sentence for whoever chose it, without server paths."""


class _Refusal(Exception):
    """Why a picture is refused: that sentence without its subject, the picture's name."""


def read_picture(source: Source, max_side: int | None = None) -> np.ndarray:
    """Decode one picture to a uint8 array (H, W, 3).

    `source` is a path, a file's bytes, an open binary file (read from where it stands) or a PIL picture. Its
    content decides what it is, not its name. Orientation is applied, transparency laid on white, 16 bits are
    scaled to 8, an embedded colour profile is converted to sRGB; of an animation the first frame counts. With
    `max_side` the picture is shrunk until its long side has at most that many pixels, which also saves work.

    Raises UnreadablePicture, and nothing else, for whatever is wrong with the picture.
    """
    if not (isinstance(source, (str, Path, bytes, Image.Image)) or hasattr(source, "read")):
        raise TypeError(f"a picture is read from {Source}, not {type(source)}")
    try:
        return _read(source, max_side)
    except Exception as error:  # Pillow raises nearly every built-in exception on damaged files
        raise UnreadablePicture(f"{_shown_name(source)} {_reason(error)}.") from error


def check_picture(path: str | Path) -> None:
    """Raises UnreadablePicture where a file's header says already that `read_picture` would; decodes nothing."""
    try:
        _open(_file_bytes(path))
    except Exception as error:
        raise UnreadablePicture(f"{_shown_name(path)} {_reason(error)}.") from error


def to_float(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) or (N, H, W, 3) to float32 in [-1, 1]."""
    if pixels.dtype != np.uint8:
        raise TypeError(f"to_float takes uint8, not {pixels.dtype}: is the picture converted already?")
    return pixels / np.float32(127.5) - np.float32(1)


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1], any shape, to uint8: rounded, clipped outside. Undoes `to_float` exactly.

    Raises ValueError on NaN.
    """
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"to_uint8 takes floats, not {values.dtype}: is the picture converted already?")
    levels = (values.astype(np.float32) + 1) * np.float32(127.5)
    if np.isnan(levels).any():
        raise ValueError("to_uint8 got NaN: the network that made this picture has diverged")
    return np.rint(levels).clip(0, 255).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """The PNG file of a uint8 picture (H, W, 3), without metadata."""
    return _encode(pixels, ".png")


def write_picture(pixels: np.ndarray, path: str | Path) -> None:
    """Write a uint8 picture (H, W, 3) as PNG, JPEG or WebP, by suffix (none: PNG), without metadata.

    The file appears whole or not at all. Its folder must exist. Raises ValueError for another suffix.
    """
    path = Path(path)
    write_file(_encode(pixels, path.suffix.lower() or ".png"), path)


def write_file(data: bytes, path: Path) -> None:
    """Write a file whole or not at all. Its folder must exist."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def resize(pixels: np.ndarray, size: tuple[int, int], box: tuple | None = None) -> np.ndarray:
    """A uint8 picture (H, W, 3) to (width, height); only what lies in the box (left, top, right, bottom; floats) is used."""
    if pixels.shape[1::-1] == size:
        return pixels
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, box))


def short_side_resize(pixels: np.ndarray, short_side: int) -> np.ndarray:
    """Resize a uint8 picture (H, W, 3), up or down, so that its short side has `short_side` pixels."""
    height, width = pixels.shape[:2]
    return resize(pixels, _scaled((width, height), short_side / min(width, height)))


def fit(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """Shrink a uint8 picture (H, W, 3) until its long side has at most `long_side` pixels."""
    height, width = pixels.shape[:2]
    return resize(pixels, _scaled((width, height), min(1, long_side / max(width, height))))


def pad_to_multiple(pixels: np.ndarray, multiple: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Reflect-pad (H, W, C) or (N, H, W, C), any dtype, to the next height and width divisible by `multiple`.

    Returns the padded array and where the original lies in it (top, left, height, width), for `crop_back`.
    A picture smaller than its padding is reflected repeatedly.
    """
    height, width = pixels.shape[-3:-1]
    rows, columns = -height % multiple, -width % multiple
    top, left = rows // 2, columns // 2
    margins = [(0, 0)] * (pixels.ndim - 3) + [(top, rows - top), (left, columns - left), (0, 0)]
    return np.pad(pixels, margins, mode="reflect"), (top, left, height, width)


def crop_back(padded: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Undo `pad_to_multiple`: a view of the part of (H, W, C) or (N, H, W, C) inside the box."""
    top, left, height, width = box
    return padded[..., top : top + height, left : left + width, :]


def list_pictures(folder: str | Path) -> list[Path]:
    """The files in `folder` with a picture's suffix (in any case), sorted; no subfolders, no hidden files.

    Only names are looked at, so a listed file may be unreadable. Raises OSError if there is no such folder.
    """
    return sorted(
        path
        for path in Path(folder).iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


class _MeteredFile(io.BytesIO):
    """Stops a parser that goes through millions of tiny chunks: for each of them it comes back here."""

    allowed_cpu_seconds = 1.0  # raised in proportion to the pixels once the header is known

    def __init__(self, data: bytes):
        super().__init__(data)
        self.started = time.thread_time()  # of this thread alone: a busy machine refuses no one

    def read(self, size: int | None = -1) -> bytes:
        if time.thread_time() - self.started > self.allowed_cpu_seconds:
            raise TimeoutError
        return super().read(size)


def _read(source, max_side: int | None) -> np.ndarray:
    if isinstance(source, Image.Image):
        image, drafted = source, None
        _check_size(image)
    else:
        image = _open(_file_bytes(source))
        # A JPEG can be decoded at 1/2, 1/4 or 1/8. Twice the size wanted keeps the quality.
        drafted = max_side and image.draft(None, _scaled(image.size, min(1, 2 * max_side / max(image.size))))
    image.load()
    orientation = _orientation(image)
    width, height = (
        drafted[1][2:] if drafted else image.size
    )  # fractions if the last row or column is partial
    size = _scaled((width, height), min(1, max_side / max(width, height)) if max_side else 1)
    factor = max(1, int(width / (2 * size[0])))
    pixels = _flatten(image, factor)
    del image  # gives back 4 bytes a pixel before the copies below
    pixels = resize(pixels, size, box=(0, 0, width / factor, height / factor))
    return np.ascontiguousarray(_UPRIGHT[orientation](pixels))


def _file_bytes(source) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        try:
            mode = Path(source).stat().st_mode
            if stat.S_ISDIR(mode):
                raise _Refusal("is a folder; please choose a single picture")
            if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
                raise _Refusal("is not a file; please choose a picture")
            with Path(source).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            raise _Refusal("cannot be opened; please choose the photo again") from error
    else:
        data = source.read(MAX_BYTES + 1)
    if not data:
        raise _Refusal("is empty; please choose the photo again")
    if len(data) > MAX_BYTES:
        raise _Refusal(f"is larger than {MAX_BYTES // 1_000_000} megabytes; please make it smaller first")
    return data


def _open(data: bytes) -> Image.Image:
    """Parse the header only; what would make decoding expensive is refused here."""
    formats = _FORMATS
    if data[4:8] == b"ftyp" and b"avif" not in data[8:64] and re.search(b"hei|hev|mif1|msf1", data[8:64]):
        try:
            import pillow_heif
        except ImportError as error:
            raise _Refusal("is in the HEIC format; please save or share it as a JPEG first") from error
        pillow_heif.register_heif_opener()
        formats = ["HEIF"]
    file = _MeteredFile(data)
    image = Image.open(file, formats=formats)
    _check_size(image)
    if image.format == "PNG":
        image.verify()  # the checksums, which decoding ignores; the picture is used up by this
        image = Image.open(file, formats=formats)
    if image.format in ("JPEG", "MPO"):
        _check_jpeg(data, image.width * image.height)
    # libtiff reserves a whole tile, however small the picture. Usual tiles are 256 or 512 pixels square.
    if image.format == "TIFF" and image.tag_v2.get(322, 0) * image.tag_v2.get(323, 0) > 2048**2:
        raise ValueError("TIFF tile size")
    file.allowed_cpu_seconds += image.width * image.height / 10e6  # 40 megapixels a second are usual
    return image


def _check_size(image: Image.Image) -> None:
    short, long = sorted(image.size)
    size = f"{image.width} × {image.height} pixels"
    limit = MAX_PIXELS_OF.get(image.format, MAX_PIXELS)
    if short * long > limit:
        raise _Refusal(_too_many(short * long, limit))
    if short < MIN_SIDE:
        raise _Refusal(f"is only {size}; please choose one of at least {MIN_SIDE} × {MIN_SIDE}")
    if long > MAX_ASPECT * short:
        raise _Refusal(f"is too long and narrow ({size}); please crop it first")


def _check_jpeg(data: bytes, pixels: int) -> None:
    """Refuse what libjpeg accepts: a file without end, which it fills up with grey, and any number of scans.

    A scan is a pass over the whole picture and costs 10 bytes in the file; progressive files have about 10.
    """
    next_marker = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
    markers, scans, position = 0, 0, 2
    while marker := next_marker.search(data, position):
        if marker[0] == b"\xff\xd9":  # the end of this picture; phones append others, and videos
            break
        markers += 1
        scans += marker[0] == b"\xff\xda"
        if markers > 10_000 or scans > 100 or scans * pixels > 20 * MAX_PIXELS:
            raise TimeoutError
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    else:
        raise EOFError("no end-of-image marker")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) if there is none or it is broken."""
    with suppress(Exception):
        orientation = image.getexif().get(0x0112)
        if orientation in _UPRIGHT:
            return orientation
    return 1


def _flatten(image: Image.Image, factor: int) -> np.ndarray:
    """Opaque sRGB of a loaded picture, reduced by a whole factor; in bands, to save whole copies."""
    pixels = np.empty((math.ceil(image.height / factor), math.ceil(image.width / factor), 3), np.uint8)
    white = _white_level(image)
    transforms = {}
    for top, band in _bands(image, factor):
        band = _plain_mode(band, white).reduce(factor)
        alpha = band.getchannel("A") if band.mode in ("LA", "RGBA") else None
        colour = band.convert(band.mode.removesuffix("A"))
        if colour.mode not in transforms:
            transforms[colour.mode] = _to_srgb(image.info.get("icc_profile"), colour.mode)
        transform = transforms[colour.mode]
        colour = transform.apply(colour) if transform else colour.convert("RGB")
        if alpha:
            colour = Image.composite(colour, Image.new("RGB", colour.size, "white"), alpha)
        pixels[top // factor : top // factor + colour.height] = np.asarray(colour)
    return pixels


def _bands(image: Image.Image, factor: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """(first row, strip) from top to bottom: about a megapixel each, heights divisible by the factor."""
    rows = factor * max(1, 2**20 // (image.width * factor))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _plain_mode(image: Image.Image, white: float | None) -> Image.Image:
    """Any of Pillow's modes to L, LA, RGB, RGBA or CMYK, 8 bits each."""
    if white:
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=white, neginf=0)
        return Image.fromarray(np.rint(values * (255 / white)).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("La", "LA") else "RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _white_level(image: Image.Image) -> float | None:
    """The number that means white in a grey picture of more than 8 bits; None for all others.

    16-bit modes say it; in 32-bit and float modes it is the smallest usual scale that holds every pixel.
    """
    if image.mode.startswith("I;16"):
        return 65535
    if image.mode not in ("I", "F"):
        return None
    brightest = max(np.nan_to_num(np.asarray(band, np.float32), posinf=0).max() for _, band in _bands(image))
    usual = (1, 255, 65535) if image.mode == "F" else (255, 65535)
    return next((white for white in usual if brightest <= white), float(brightest))


def _to_srgb(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From an embedded profile to sRGB; None if it is absent, broken, sRGB already or not of this mode."""
    with suppress(Exception):
        large = len(profile) > 1_000_000  # is not to be kept in memory
        return (_transform.__wrapped__ if large else _transform)(profile, mode)
    return None


@lru_cache(16)  # photos of one camera have one profile; a transform takes 7 ms to build and may serve several threads at once
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What a profile is called says little (there is a "Linear sRGB"), so it is asked what it does to some colours."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}[mode]:
        return None
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    greys = np.arange(256).repeat(3).reshape(-1, 3)
    colours = np.stack(np.meshgrid(*[np.arange(0, 256, 51)] * 3), -1).reshape(-1, 3)
    sample = Image.fromarray(np.concatenate([greys, colours]).astype(np.uint8)[None]).convert(mode)
    before, after = (np.asarray(each, int) for each in (sample.convert("RGB"), transform.apply(sample)))
    return transform if np.abs(after - before).max() > SRGB_LEVELS else None


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encode(pixels: np.ndarray, suffix: str) -> bytes:
    if suffix not in _SAVE_OPTIONS:
        raise ValueError(f"cannot write a picture as {suffix}; use one of {', '.join(_SAVE_OPTIONS)}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, **_SAVE_OPTIONS[suffix])
    return file.getvalue()


def _shown_name(source) -> str:
    """The file's name without its folders and control characters, if it has one."""
    path = source
    if not isinstance(source, (str, Path)):
        path = getattr(source, "filename", getattr(source, "name", None))
    name = re.split(r"[/\\]", str(path))[-1] if isinstance(path, (str, Path)) else ""
    return "".join(filter(str.isprintable, name))[:100] or "This picture"


def _reason(error: Exception) -> str:
    """The sentence that goes with an exception from reading, without its subject."""
    match error:
        case _Refusal():
            return str(error)
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            pixels = re.search(r"\d+", str(error))
            return _too_many(int(pixels[0]) if pixels else 2 * MAX_PIXELS, MAX_PIXELS)
        case Image.UnidentifiedImageError():
            return "is damaged or not a picture; please choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file"
        case TimeoutError():
            return "takes too long to read; please save it anew as a JPEG first"
        case MemoryError():
            return "needs more memory than there is; please make it smaller first"
        case _:
            return "is damaged or incomplete; please choose another copy of it"


def _too_many(pixels: int, limit: int) -> str:
    found, allowed = math.ceil(pixels / 1e6), limit // 1_000_000
    return f"has {found} megapixels, more than the {allowed} allowed; please make it smaller first"
