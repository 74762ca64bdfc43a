import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_doctor import folder, scene

from r2f import doctor, likeness
from r2f.images import list_pictures, read_picture, write_picture
from r2f.source import Folder

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def photos():
    return [read_picture(path, 192) for path in list_pictures(EXAMPLES)]


def test_the_size_is_that_of_the_upright_picture(tmp_path):
    turned = Image.fromarray(scene(0, 1200, 1600))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "phone.jpg", exif=exif)
    [picture] = doctor.examine([Folder("rime", tmp_path)]).pictures
    assert (picture.width, picture.height) == (1200, 1600)


def test_the_same_pixels_are_the_same_picture_however_they_are_packed(tmp_path):
    big = scene(0, 300, 400)  # is looked at smaller than it is
    one = folder(tmp_path / "one", {"a.png": big, "b.png": scene(1), "c.png": big})
    Image.fromarray(big).save(one.path / "d.bmp")
    changed = big.copy()
    changed[150, 200] += 100
    write_picture(changed, one.path / "e.png")
    report = doctor.examine([one])
    assert len({picture.pixels for picture in report.pictures if picture.name in ("a.png", "c.png", "d.bmp")}) == 1
    assert len({picture.pixels for picture in report.pictures}) == 3
    assert report.alike == (("one/a.png", "one/c.png", "one/d.bmp", "one/e.png"),)
    (one.path / "e.png").unlink()
    assert doctor.examine([one]).same == (("one/a.png", "one/c.png", "one/d.bmp"),)


def other_versions(pixels):
    """The ways in which one picture comes back in collections from the web."""
    image = Image.fromarray(pixels)
    height, width = pixels.shape[:2]
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=30)
    yield "JPEG at 30", np.asarray(Image.open(jpeg))
    yield "60 % of the size", np.asarray(image.resize((width * 6 // 10, height * 6 // 10), Image.Resampling.BICUBIC))
    yield "2 % of margin cut", pixels[height // 50:-height // 50, width // 50:-width // 50]
    yield "brighter", (pixels * 1.15 + 10).clip(0, 255).astype(np.uint8)
    yield "without colour", np.asarray(image.convert("L").convert("RGB"))
    yield "mirrored", pixels[:, ::-1]
    marked = pixels.copy()
    marked[-height // 10:, -width // 4:] = 255
    yield "watermark", marked


def test_a_picture_that_comes_back_changed_is_recognized_and_others_are_not(tmp_path, photos):
    versions = [dict(other_versions(pixels)) for pixels in photos]
    ways = list(versions[0])
    web = {f"{number} {way}.png": np.ascontiguousarray(version) for number, some in enumerate(versions)
           for way, version in some.items()}
    originals = {f"{number} original.png": pixels for number, pixels in enumerate(photos)}
    groups = doctor.examine([folder(tmp_path / "web", originals | web)]).groups
    found = {way: sum(any({f"{number} {way}.png", f"{number} original.png"} <= {picture.name for picture in group}
                          for group in groups) for number in range(len(photos))) for way in ways}
    wrong = sum(len({picture.name.split()[0] for picture in group}) - 1 for group in groups)
    print(f"of {len(photos)} photos recognized:", ", ".join(f"{way} {count}" for way, count in found.items()),
          f"| {wrong} photos taken for another")
    assert not wrong
    assert all(count >= 0.75 * len(photos) for count in found.values())


def test_what_is_alike_by_a_third_picture_is_one_group():
    pictures = [likeness.Picture("rime", f"{place}.png", 64, 64, str(place), str(place % 4), False, False, 0.0)
                for place in range(6)]
    groups = likeness.group(pictures, [(2, 3), (1, 2)])  # and 0 = 4, 1 = 5 by their pixels
    assert [[picture.name[0] for picture in group] for group in groups] == [["0", "4"], ["1", "2", "3", "5"]]


def test_many_pictures_are_compared_in_blocks(tmp_path):
    flat = folder(tmp_path / "rime", {f"{seed:02}.png": scene(seed % 37) for seed in range(40)})
    looks = [likeness.look("rime", path) for path in sorted(flat.path.iterdir())]
    assert likeness.alike(looks, block=7) == likeness.alike(looks) == [(0, 37), (1, 38), (2, 39)]


def looks_of(tones, steps):
    """Looks of grey pictures with these colours and steps, (N, 2, 768) and (N, 2, 64); every seventh is empty."""
    pictures = [likeness.Picture("rime", f"{place}.png", 64, 64, str(place), str(place), False, place % 7 == 6, 0.0)
                for place in range(len(tones))]
    return [likeness.Look(*each) for each in zip(pictures, map(str, range(len(tones))), tones, steps, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_the_groups_are_those_of_all_pairs(seed):
    chance = np.random.default_rng(seed)
    steps = chance.choice(np.float32([-1, 1]), (9, 2, 64))[chance.integers(9, size=150)]
    tones = np.zeros((150, 2, 768), np.float32)
    tones[..., :12] = chance.normal(size=(150, 2, 12))
    looks = looks_of(tones / np.linalg.norm(tones, axis=2, keepdims=True), steps)

    def same(one, other, mirrored):
        correlation, agreeing = one.tones[0] @ other.tones[mirrored], (one.steps[0] == other.steps[mirrored]).sum()
        return correlation >= 0.92 or (agreeing >= 60 and correlation >= 0.5)
    pairs = [(one, other) for other in range(150) for one in range(other)
             if not looks[one].picture.blank and not looks[other].picture.blank
             and (same(looks[one], looks[other], 0) or same(looks[one], looks[other], 1))]
    pictures = [each.picture for each in looks]
    groups = likeness.group(pictures, pairs)
    assert len(groups) > 3 and max(map(len, groups)) > 3
    assert all(likeness.group(pictures, likeness.alike(looks, block)) == groups for block in (1, 16, 512))


def test_many_equal_pictures_need_no_memory_for_their_pairs():
    count = 1400
    looks = looks_of(np.full((count, 2, 768), 768 ** -0.5, np.float32), np.ones((count, 2, 64), np.float32))
    tracemalloc.start()
    pairs = likeness.alike(looks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs == [(0, place) for place in range(1, count) if place % 7 != 6]
    assert peak < 60e6  # all 700,000 pairs took 90 MB more
