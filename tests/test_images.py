"""P8: no picture uses more than the stated pixels, memory and time; a bad one gets one polite sentence."""

import ctypes
import io
import os
import re
import struct
import sys
import time
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from r2f import images
from r2f.images import (
    UnreadablePicture,
    crop_back,
    encode_png,
    fit,
    list_pictures,
    pad_to_multiple,
    read_picture,
    short_side_resize,
    to_float,
    to_uint8,
    write_picture,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Pillow's remarks on the damaged files below
    pytest.mark.filterwarnings(
        "error::PIL.Image.DecompressionBombWarning"
    ),  # r2f.images says so, pytest resets it
]

CPU_SECONDS, MEGABYTES = 2, 300  # the promise, for each of these files
FORMATS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "GIF": {},
    "TIFF": {},
    "AVIF": {},
}
COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


# ---------------------------------------------------------------- files to read


def quadrants(width=64, height=40) -> Image.Image:
    """A picture that shows how it is turned: red, green above blue, white."""
    picture = Image.new("RGB", (width, height))
    for index, colour in enumerate(COLOURS.values()):
        corner = (index % 2 * width // 2, index // 2 * height // 2)
        picture.paste(colour, (*corner, corner[0] + width // 2, corner[1] + height // 2))
    return picture


def corners(pixels: np.ndarray) -> list[str]:
    """The names of the colours in the four quadrants, row by row."""
    height, width = pixels.shape[:2]
    found = [
        pixels[y, x].astype(int) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)
    ]
    return [min(COLOURS, key=lambda name: np.abs(colour - COLOURS[name]).sum()) for colour in found]


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def photo(width=160, height=120) -> Image.Image:
    """Something like a photo: smooth, with some noise."""
    noise = np.random.default_rng(7).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height))


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def png(width, height, depth, colour_type, rows=b"", extra=b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff_with_tiles_of(side: int) -> bytes:
    """A grey TIFF of 64 x 64 pixels in one deflated tile of side x side, which holds only a bit of data."""
    data = zlib.compress(bytes(64 * 64))
    entries = [(256, 64), (257, 64), (258, 8), (259, 8), (262, 1), (277, 1), (322, side), (323, side)]
    entries += [(324, 200), (325, len(data))]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory).ljust(200, b"\0") + data


def gif_with_comment(megabytes: int) -> bytes:
    """Pillow joins the blocks of a comment one by one, which takes time in the square of its length."""
    data = encoded(Image.new("L", (64, 64)), "GIF")
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + b"\x21\xfe" + (b"\xff" + bytes(255)) * (megabytes * 4000) + b"\0" + data[start:]


def jpeg_with_scans(scans: int) -> bytes:
    data = encoded(Image.new("L", (400, 400), 99), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def claiming(data: bytes, position: int, layout: str, *sizes: int) -> bytes:
    """The file with other sizes in its header."""
    return data[:position] + struct.pack(layout, *sizes) + data[position + struct.calcsize(layout) :]


def wrong_profile() -> bytes:
    """A colour profile in which red and green have changed places."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    return data.replace(b"rXYZ", b"temp", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"temp", b"gXYZ", 1)


@cache
def good_files() -> dict[str, bytes]:
    """Files that must be read."""
    files = {}
    for mode in (
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
        "I;16B",
    ):
        picture = (
            Image.new(mode, (64, 40)) if mode in ("PA", "LAB", "HSV", "I;16B") else quadrants().convert(mode)
        )
        for kind, options in FORMATS.items():
            if (mode, kind) in {("I", "PNG"), ("YCbCr", "TIFF")}:  # deprecated; not read by Pillow itself
                continue
            try:
                files[f"{mode} {kind}"] = encoded(picture, kind, **options)
            except (OSError, ValueError, KeyError):  # Pillow does not write this mode in this format
                continue
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        for orientation in range(1, 9):
            files[f"{kind} orientation {orientation}"] = encoded(
                quadrants(), kind, exif=exif(orientation), **FORMATS[kind]
            )
    for compression in ("tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        files[f"TIFF {compression}"] = encoded(photo(), "TIFF", compression=compression)
    files["TIFF group4"] = encoded(photo().convert("1"), "TIFF", compression="group4")
    files["TIFF tiles"] = tiff_with_tiles_of(64)
    for name, options in {
        "progressive": {"progressive": True, "optimize": True},
        "4:4:4": {"subsampling": 0},
        "quality 1": {"quality": 1},
        "restart markers": {"restart_marker_rows": 1},
        "comment": {"comment": b"\xff\xda" * 500},
        "broken EXIF": {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(range(256))},
        "orientation 9": {"exif": exif(9)},
        "broken profile": {"icc_profile": b"\0\0\x10\0acsp" * 40},
        "profile of another mode": {"icc_profile": wrong_profile().replace(b"RGB XYZ ", b"CMYKXYZ ")},
    }.items():
        files[f"JPEG {name}"] = encoded(photo(), "JPEG", **options)
    files["JPEG with a film behind it"] = encoded(photo(), "JPEG") + b"\xff\xda\0\0" * 10_000
    files["MPO"] = encoded(photo(), "MPO", save_all=True, append_images=[photo()])
    for kind in ("GIF", "WEBP", "PNG", "AVIF", "TIFF"):
        later = [Image.new("RGB", (64, 40), "black")] * 3
        options = {} if kind == "TIFF" else {"duration": 100}
        files[f"animated {kind}"] = encoded(quadrants(), kind, save_all=True, append_images=later, **options)
    files["GIF interlaced"] = encoded(photo().convert("L"), "GIF", interlace=1)
    files["JPEG of 12 megapixels"] = encoded(photo(4000, 3000), "JPEG")
    files["PNG of 12 megapixels"] = encoded(photo(4000, 3000), "PNG", compress_level=1)
    files["WEBP of 3 megapixels"] = encoded(photo(2000, 1500), "WEBP", method=0)
    return files


@cache
def whole_files() -> dict[str, bytes]:
    kinds = {kind: encoded(photo(), kind, **options) for kind, options in FORMATS.items()}
    return kinds | {"progressive JPEG": encoded(photo(), "JPEG", progressive=True)}


@cache
def cut_files() -> dict[str, bytes]:
    """Files with their end missing, or full of zeros as an interrupted download leaves it."""
    files = {}
    for kind, data in whole_files().items():
        for percent in (10, 50, 90, 99):
            files[f"{percent} % of {kind}"] = data[: len(data) * percent // 100]
    for kind in ("JPEG", "progressive JPEG", "PNG", "GIF"):
        data = whole_files()[kind]
        files[f"{kind} with zeros in its second half"] = data[: len(data) // 2].ljust(len(data), b"\0")
    return files


@cache
def bad_files() -> dict[str, bytes]:
    """Files that must be refused, and fast."""
    small = {kind: encoded(Image.new("RGB", (1, 1)), kind) for kind in FORMATS}
    whole = whole_files()
    jpeg_size = whole["JPEG"].index(b"\xff\xc0") + 5
    progressive = whole["progressive JPEG"]
    second_scan = progressive.index(b"\xff\xda", progressive.index(b"\xff\xda") + 2)
    files = {f"one pixel {kind}": data for kind, data in small.items()}
    files |= {
        "empty": b"",
        "text": b"Dear reader,\nthis is not a picture.\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>',
        "pdf": b"%PDF-1.7\n",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n",
        "ppm, which we do not take": encoded(photo(), "PPM"),
        "noise": np.random.default_rng(1).bytes(5000),
        "only a JPEG's start": b"\xff\xd8\xff",
        "only a PNG's start": b"\x89PNG\r\n\x1a\n",
        "no height": png(64, 0, 8, 0),
        "too small": encoded(photo(100, 31), "PNG"),
        "too narrow": encoded(photo(40_000, 40), "PNG"),
        "PNG claiming 169 megapixels": png(13_000, 13_000, 8, 0, bytes(100_000)),
        "PNG claiming 56 megapixels": png(8_000, 7_000, 8, 0, bytes(100_000)),
        "PNG claiming 4e18 pixels": png(2**31 - 1, 2**31 - 1, 8, 0),
        "JPEG claiming 4295 megapixels": claiming(whole["JPEG"], jpeg_size, ">HH", 65_535, 65_535),
        "GIF claiming 4295 megapixels": claiming(whole["GIF"], 6, "<HH", 65_535, 65_535),
        "BMP claiming 900 megapixels": claiming(whole["BMP"], 18, "<ii", 30_000, 30_000),
        "BMP claiming 48 megapixels it has not": claiming(whole["BMP"], 18, "<ii", 8_000, 6_000),
        "WEBP claiming 26 megapixels": claiming(whole["WEBP"], 21, "<I", 5_099 | 4_999 << 14),
        "TIFF with a tile of 1.6 gigabytes": tiff_with_tiles_of(40_000),
        "PNG text bomb": png(
            64, 64, 8, 0, bytes(65 * 64), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))
        ),
        "PNG profile bomb": png(
            64, 64, 8, 0, bytes(65 * 64), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**7)))
        ),
        "PNG of a million texts": png(64, 64, 8, 0, bytes(65 * 64), chunk(b"tEXt", b"a\0b") * 10**6),
        "GIF comment bomb": gif_with_comment(20),
        "JPEG of ten million comments": whole["JPEG"][:2] + b"\xff\xfe\0\2" * 10**7 + whole["JPEG"][2:],
        "JPEG of ten million comments after its first scan": progressive[:second_scan]
        + b"\xff\xfe\0\2" * 10**7
        + progressive[second_scan:],
        "JPEG of 10000 scans": jpeg_with_scans(10_000),
        "larger than a file may be": bytes(images.MAX_BYTES + 1),
    }
    return files


def flips(data: bytes, count: int, seed: int) -> list[bytes]:
    """The file with one to four bytes changed, half of the time among its first 256."""
    random = np.random.default_rng(seed)
    changed = []
    for number in range(count):
        copy = bytearray(data)
        for position in random.integers(
            0, min(256, len(data)) if number % 2 else len(data), random.integers(1, 5)
        ):
            copy[position] ^= int(random.integers(1, 256))
        changed.append(bytes(copy))
    return changed


# ---------------------------------------------------------------- P8


def resident_megabytes(line: str) -> float:
    return int(re.search(rf"{line}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1000


def measured(data: bytes) -> tuple[np.ndarray | UnreadablePicture, float, float]:
    """What reading gives, its CPU seconds (busy cores do not count), the peak of its extra memory."""
    counts_memory = os.access("/proc/self/clear_refs", os.W_OK)
    if counts_memory:
        ctypes.CDLL(None).malloc_trim(
            0
        )  # memory that earlier files left behind would hide what this one takes
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = resident_megabytes("VmRSS")
    start = time.process_time()
    try:
        result = read_picture(data)
    except UnreadablePicture as refusal:
        result = refusal
    seconds = time.process_time() - start
    return result, seconds, resident_megabytes("VmHWM") - before if counts_memory else 0.0


def is_picture(result) -> bool:
    return (
        isinstance(result, np.ndarray)
        and result.dtype == np.uint8
        and result.ndim == 3
        and result.shape[2] == 3
        and min(result.shape[:2]) >= images.MIN_SIDE
        and result.flags.c_contiguous
        and result.flags.writeable
    )


def is_polite(result) -> bool:
    """One sentence that says what to do and shows nothing of the machinery."""
    return isinstance(result, UnreadablePicture) and bool(
        re.fullmatch(r"This picture (is|has|takes|needs) [^/\n]{5,90}; please [^/\n]{5,90}\.", str(result))
    )


def test_every_file_becomes_a_picture_or_one_polite_sentence_within_the_stated_time_and_memory(capsys):
    whole = {kind: read_picture(data) for kind, data in whole_files().items()}
    slowest, hungriest = (0.0, ""), (0.0, "")
    counts = {"read": 0, "refused": 0}

    def check(name, data, expected):
        nonlocal slowest, hungriest
        result, seconds, megabytes = measured(data)
        assert is_picture(result) or is_polite(result), (name, str(result))
        assert is_picture(result) in expected, (name, str(result))
        assert seconds <= CPU_SECONDS, (name, seconds)
        assert megabytes <= MEGABYTES, (name, megabytes)
        slowest, hungriest = max(slowest, (seconds, name)), max(hungriest, (megabytes, name))
        counts["read" if is_picture(result) else "refused"] += 1
        return result

    for name, data in good_files().items():
        check(name, data, {True})
    for name, data in bad_files().items():
        check(name, data, {False})
    for name, data in cut_files().items():
        result = check(name, data, {True, False})
        assert not is_picture(result) or any(
            np.array_equal(result, all_of_it) for all_of_it in whole.values()
        ), name
    files = sum(counts.values())
    for seed, kind in enumerate(("JPEG", "progressive JPEG", "PNG", "WEBP", "GIF", "TIFF")):
        for number, data in enumerate(flips(whole_files()[kind], 200, seed)):
            check(f"{kind} flip {number}", data, {True, False})
    with capsys.disabled():
        print(
            f"\nP8: {files} files + {sum(counts.values()) - files} flips, {counts['read']} read, "
            f"{counts['refused']} refused; slowest {slowest[0]:.2f} s CPU ({slowest[1]}), "
            f"hungriest {hungriest[0]:.0f} MB ({hungriest[1]})"
        )
    assert files >= 150


# ---------------------------------------------------------------- what a picture becomes


def test_every_orientation_is_shown_upright():
    stored = {
        1: "red green blue white",
        2: "green red white blue",
        3: "white blue green red",
        4: "blue white red green",
    }
    stored |= {
        5: "red blue green white",
        6: "blue red white green",
        7: "white green blue red",
        8: "green white red blue",
    }
    for name, data in good_files().items():
        if "orientation" not in name or name.endswith("9"):
            continue
        orientation = int(name[-1])
        pixels = read_picture(data)
        assert pixels.shape == ((64, 40, 3) if orientation > 4 else (40, 64, 3)), name
        assert corners(pixels) == stored[orientation].split(), name
        assert corners(read_picture(data, max_side=32)) == stored[orientation].split(), name


def test_orientation_of_a_pil_picture_counts_too_and_the_picture_stays_as_it_was():
    picture = Image.open(io.BytesIO(good_files()["JPEG orientation 6"]))
    assert read_picture(picture).shape == (64, 40, 3)
    assert picture.size == (64, 40)


@pytest.mark.parametrize("source", ["str", "path", "bytes", "stream", "PIL"])
def test_all_kinds_of_source_give_the_same_pixels(tmp_path, source):
    data = encoded(photo(), "PNG")
    path = tmp_path / "a photo with a wrong name.jpg"
    path.write_bytes(data)
    sources = {"str": str(path), "path": path, "bytes": data, "stream": io.BytesIO(data), "PIL": photo()}
    assert np.array_equal(read_picture(sources[source]), np.asarray(photo()))


def test_something_that_is_no_source_is_a_programmers_error():
    with pytest.raises(TypeError, match="NoneType"):
        read_picture(None)


@pytest.mark.parametrize(
    "name",
    [name for name in good_files() if re.fullmatch(r"(RGB|RGBA|CMYK|YCbCr|P|animated) [A-Z]+", name)],
)
def test_colours_survive_every_mode_and_format_and_animations_show_their_first_frame(name):
    assert corners(read_picture(good_files()[name])) == list(COLOURS)


def test_16_bit_mid_grey_stays_mid_grey():
    grey = Image.fromarray(np.full((40, 64), 128 * 257, np.uint16))
    row = b"\0" + struct.pack(">H", 128 * 257) * 64
    for data in (
        encoded(grey, "PNG"),
        encoded(grey, "TIFF"),
        encoded(Image.frombytes("I;16B", (64, 40), np.full(2560, 128 * 257, ">u2").tobytes()), "TIFF"),
        encoded(grey.convert("I"), "TIFF"),
        png(64, 40, 16, 2, (row + row[1:] * 2) * 40),
    ):
        assert (read_picture(data) == 128).all()
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(read_picture(encoded(Image.fromarray(ramp), "PNG"))[..., 0], np.rint(ramp / 257))


@pytest.mark.parametrize("white", [1, 255, 65535, 1e6])
def test_float_and_32_bit_pictures_are_scaled_to_their_white_and_nothing_in_them_breaks_it(white):
    values = np.full((40, 64), white / 2, np.float32)
    values[0, :4] = white, np.nan, -np.inf, -5
    pixels = read_picture(Image.fromarray(values))
    assert pixels[0, :4, 0].tolist() == [255, 0, 0, 0] and pixels[20, 20, 0] in (127, 128)
    if white > 1:
        assert read_picture(Image.fromarray(np.nan_to_num(values, neginf=0).astype(np.int32)))[20, 20, 0] in (
            127,
            128,
        )


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize("max_side", [None, 40])
def test_what_is_transparent_becomes_white_and_half_transparent_half_white(kind, max_side):
    picture = Image.new("RGBA", (64, 40), (255, 0, 0, 255))
    picture.paste((0, 0, 255, 0), (0, 0, 32, 40))
    if kind != "GIF":
        picture.paste((0, 0, 0, 128), (0, 20, 32, 40))
    pixels = read_picture(encoded(picture, kind, **FORMATS[kind]), max_side).astype(int)
    height, width = pixels.shape[:2]
    assert pixels[height // 4, width // 4].tolist() == [255, 255, 255]
    assert pixels[height // 4, width * 3 // 4].tolist() == [255, 0, 0]
    if kind != "GIF":
        assert np.abs(pixels[height * 3 // 4, width // 4] - 127).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa", "1", "L", "P", "RGB"])
def test_transparency_in_rarer_modes_becomes_white(mode):
    picture = Image.new(mode, (64, 40))
    if mode in ("1", "L", "P", "RGB"):
        picture = Image.open(
            io.BytesIO(encoded(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0))
        )
    assert (read_picture(picture) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_embedded_colour_profile_is_converted_to_srgb(kind):
    red = Image.new("RGB", (64, 40), "red")
    assert read_picture(encoded(red, kind, icc_profile=wrong_profile()))[20, 20].argmax() == 1  # green
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = photo()
    same = encoded(picture, kind, icc_profile=srgb, **FORMATS[kind])
    assert np.array_equal(read_picture(same), read_picture(encoded(picture, kind, **FORMATS[kind])))


def linear_profile() -> bytes:
    """A colour profile that is called sRGB and has no curve."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = data[(start := data.index(b"para")) : start + 32]
    return data.replace(curve, (b"para" + bytes(8) + struct.pack(">i", 65536)).ljust(32, b"\0"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_profile_is_srgb_by_what_it_does_not_by_its_name(mode):
    levels = np.arange(0, 256, 4, dtype=np.uint8).repeat(40).reshape(64, 40, 1).repeat(3, axis=2)
    picture = Image.fromarray(levels).convert(mode)
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(linear_profile())))
    light = levels / 255
    expected = 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    assert np.abs(read_picture(encoded(picture, "PNG", icc_profile=linear_profile())) - expected).max() < 2


def test_a_profile_that_comes_again_is_not_gone_through_again(monkeypatch):
    images._transform.cache_clear()
    built, build = [], ImageCms.buildTransform
    monkeypatch.setattr(ImageCms, "buildTransform", lambda *given: built.append(given) or build(*given))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, wrong_profile(), srgb, wrong_profile()):
        read_picture(encoded(photo(), "JPEG", icc_profile=profile))
    assert len(built) == 2


def test_max_side_shrinks_to_what_a_full_reading_would_give():
    for kind in ("JPEG", "PNG", "TIFF"):
        data = encoded(photo(1000, 751), kind)
        small = read_picture(data, max_side=75)
        assert small.shape == (56, 75, 3)
        assert np.abs(small.astype(int) - fit(read_picture(data), 75)).mean() < 3
        assert read_picture(data, max_side=5000).shape == (751, 1000, 3)


def test_max_side_makes_reading_a_jpeg_cheaper():
    def seconds(max_side):
        start = time.process_time()
        read_picture(good_files()["JPEG of 12 megapixels"], max_side)
        return time.process_time() - start

    assert min(seconds(256) for _ in range(3)) < min(seconds(None) for _ in range(3))


# ---------------------------------------------------------------- what is refused, and how


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("empty", "This picture is empty; please choose the photo again."),
        (
            "PNG claiming 169 megapixels",
            "This picture has 169 megapixels, more than the 50 allowed; please make it smaller first.",
        ),
        (
            "PNG claiming 56 megapixels",
            "This picture has 56 megapixels, more than the 50 allowed; please make it smaller first.",
        ),
        (
            "WEBP claiming 26 megapixels",
            "This picture has 26 megapixels, more than the 25 allowed; please make it smaller first.",
        ),
        ("too small", "This picture is only 100 × 31 pixels; please choose one of at least 32 × 32."),
        ("too narrow", "This picture is too long and narrow (40000 × 40 pixels); please crop it first."),
        (
            "text",
            "This picture is damaged or not a picture; "
            "please choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file.",
        ),
    ],
)
def test_the_sentence_says_what_is_wrong_and_what_to_do(name, sentence):
    with pytest.raises(UnreadablePicture) as refusal:
        read_picture(bad_files()[name])
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("as_type", [str, Path, open])
def test_the_sentence_names_the_file_but_not_its_folder(tmp_path, as_type):
    path = tmp_path / "holi\nday.jpg"
    path.touch()
    with pytest.raises(UnreadablePicture, match=r"^holiday\.jpg is empty; please choose the photo again\.$"):
        read_picture(path.open("rb") if as_type is open else as_type(path))


def test_folders_pipes_and_missing_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    expected = {
        "": "is a folder",
        "pipe.jpg": "is not a file",
        "none.jpg": "cannot be opened",
        "\0": "cannot be opened",
    }
    for name, reason in expected.items():
        with pytest.raises(UnreadablePicture, match=reason) as refusal:
            read_picture(f"{tmp_path}/{name}" if name else tmp_path)
        assert str(tmp_path.parent) not in str(refusal.value)


def test_heic_as_phones_save_it_is_read_upright_where_the_plugin_is():
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    heif.register_heif_opener()
    upright = photo().resize((96, 64))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "HEIF", exif=exif.tobytes(), quality=95)
    pixels = read_picture(file.getvalue())
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < 20  # it stores colours at half the size; turned, it is 60


def test_heic_has_its_own_sentence_where_it_cannot_be_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadablePicture, match="HEIC format; please save or share it as a JPEG first"):
        read_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


def test_a_size_limit_holds_for_pil_pictures_too(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 19_000)
    with pytest.raises(UnreadablePicture, match="megapixels"):
        read_picture(photo())


def test_pillow_refuses_bombs_for_everyone_in_the_process():
    assert Image.MAX_IMAGE_PIXELS == images.MAX_PIXELS


# ---------------------------------------------------------------- conversions, sizes, files


def test_all_256_values_survive_to_float_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    values = to_float(levels)
    assert values.dtype == np.float32 and values.min() == -1 and values.max() == 1
    for kind in (np.float32, np.float64, np.float16):
        assert np.array_equal(to_uint8(values.astype(kind)), levels)


def test_to_uint8_rounds_and_clips():
    assert to_uint8(np.array([-9, -1, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1, 1, np.inf])).tolist() == [
        0,
        0,
        1,
        0,
        255,
        255,
    ]


def test_converting_twice_or_converting_nan_is_an_error():
    with pytest.raises(TypeError, match="converted already"):
        to_float(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(TypeError, match="converted already"):
        to_uint8(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="NaN"):
        to_uint8(np.array([0.0, np.nan]))


@pytest.mark.parametrize("multiple", [1, 4, 16, 64])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 64), (63, 65), (128, 64)])
def test_padding_reaches_the_multiple_with_the_pictures_own_pixels_and_crops_back_exactly(size, multiple):
    batch = np.random.default_rng(3).random((2, *size, 3), dtype=np.float32)
    for pixels in (batch, batch[0]):
        padded, box = pad_to_multiple(pixels, multiple)
        height, width = padded.shape[-3:-1]
        assert height % multiple == width % multiple == 0
        assert height - size[0] < multiple and width - size[1] < multiple
        assert np.array_equal(crop_back(padded, box), pixels) and padded.dtype == pixels.dtype
        assert np.isin(padded, pixels).all()


def test_padding_reflects_without_repeating_the_edge():
    row = np.arange(5).reshape(1, 5, 1).repeat(4, axis=0)
    assert pad_to_multiple(row, 4)[0][0, :, 0].tolist() == [1, 0, 1, 2, 3, 4, 3, 2]


def test_resizing_keeps_the_aspect():
    pixels = np.asarray(photo(160, 120))
    assert short_side_resize(pixels, 60).shape == (60, 80, 3)
    assert short_side_resize(pixels, 240).shape == (240, 320, 3)
    assert fit(pixels, 80).shape == (60, 80, 3)
    assert fit(pixels, 500) is pixels
    assert fit(np.zeros((1, 900, 3), np.uint8), 90).shape == (1, 90, 3)


@pytest.mark.parametrize("name", ["a.png", "a", "a.JPG", "a.jpeg", "a.webp"])
def test_a_written_picture_reads_back_and_carries_no_metadata(tmp_path, name):
    pixels = np.asarray(photo())
    for _ in range(2):  # the second replaces the first
        write_picture(pixels, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    difference = np.abs(read_picture(tmp_path / name).astype(int) - pixels).mean()
    assert difference == 0 if name in ("a.png", "a") else difference < 3
    info = Image.open(tmp_path / name).info
    assert not {"exif", "icc_profile", "xmp", "comment", "Software"} & set(info)


def test_png_bytes_hold_exactly_the_pixels():
    assert np.array_equal(read_picture(encode_png(np.asarray(photo()))), np.asarray(photo()))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_picture(np.zeros((40, 40, 3), np.uint8), path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    "pixels, name",
    [
        (np.zeros((4, 4, 3)), "a.png"),
        (np.zeros((4, 4), np.uint8), "a.png"),
        (np.zeros((4, 4, 3), np.uint8), "a.doc"),
    ],
)
def test_writing_something_else_than_a_picture_is_an_error(tmp_path, pixels, name):
    with pytest.raises(ValueError):
        write_picture(pixels, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_lists_its_pictures_in_order_and_nothing_else(tmp_path):
    for name in ("b.JPG", "a.png", "c.webp", ".hidden.png", "notes.txt", "noending"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inner.png").touch()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.png", "b.JPG", "c.webp"]
    with pytest.raises(OSError):
        list_pictures(tmp_path / "none")
