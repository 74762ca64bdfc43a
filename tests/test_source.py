import io
import os
import random
import stat
import zipfile

import numpy as np
import pytest

from r2f import source
from r2f.images import encode_png

PNG = encode_png(np.full((40, 40, 3), 90, np.uint8))


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)
    return root


def pack(path, *names, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name in names:
            file.writestr(name, PNG)
    return path


def test_a_folder_of_pictures_is_itself(tmp_path):
    [folder] = source.find(fill(tmp_path / "rime", "a.png", "b.png", "deeper/c.png"))
    assert (folder.name, folder.path, folder.domain, folder.test) == ("rime", tmp_path / "rime", "rime", False)
    assert folder.elsewhere == 1


def test_the_two_public_downloads_are_found_below_the_folder_they_unpack_to(tmp_path):
    weather = fill(tmp_path / "weather", "dataset/dew/a.png", "dataset/rime/a.png", "dataset/rime/b.png", "dataset/snow/a.png")
    art = fill(tmp_path / "wikiart", "flower-painting/a.png", "landscape/a.png")
    assert source.find(weather, domain="rime")[0].path == weather / "dataset/rime"
    assert source.find(art, domain="flower")[0] == source.Folder("flower", art / "flower-painting", "flower")
    with pytest.raises(source.BadSource, match=r"wikiart has 2 folders with pictures: flower-painting \(1\), landscape \(1\)"):
        source.find(art, domain="rime")


def test_a_prepared_data_set_has_up_to_four_folders(tmp_path):
    root = fill(tmp_path / "mine", "trainA/a.png", "trainB/a.png", "testA/a.png", "testB/a.png")
    folders = source.find(root)
    assert [(each.name, each.domain, each.test) for each in folders] == [
        ("trainA", "flower", False), ("trainB", "rime", False), ("testA", "flower", True), ("testB", "rime", True)]
    zipped = pack(tmp_path / "mine.zip", *(f"mine/{each.name}/a.png" for each in folders))
    assert [each.name for each in source.find(zipped, tmp_path / "here")] == [each.name for each in folders]


def test_folders_behind_links_are_found_once_each(tmp_path):
    disk = fill(tmp_path / "disk", "1/a.png", "2/a.png", "2/b.png")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "trainA").symlink_to(disk / "1")
    (linked / "trainB").symlink_to(disk / "2")
    assert [(each.name, each.path) for each in source.find(linked)] == [(name, linked / name) for name in ("trainA", "trainB")]
    rime = fill(tmp_path / "photos", "rime/a.png", ".kept/b.png", ".kept/c.png") / "rime"
    (rime / "round").symlink_to(rime.parent)
    (rime.parent / "all").symlink_to(rime)
    (rime.parent / "gone").symlink_to(tmp_path / "nowhere")
    (rime.parent / "sorted").symlink_to(".kept")
    assert {str(path): count for path, count in source._counts(rime.parent).items()} == {"rime": 1, "sorted": 2}


def test_folders_of_the_same_name_are_told_apart_by_more_of_their_paths(tmp_path):
    fill(tmp_path, "rime/train/a.png", "rime/test/a.png", "flowers/train/a.png")
    folders = source.together([tmp_path / "rime/train", tmp_path / "rime/test", tmp_path / "flowers/train"])
    assert [(each.name, each.domain, each.test) for each in folders] == [
        ("rime/train", "rime", False), ("rime/test", "rime", True), ("flowers/train", "flower", False)]
    with pytest.raises(source.BadSource, match="named twice"):
        source.together([tmp_path / "rime/train"] * 2)


@pytest.mark.parametrize("make,sentence", [
    (lambda root: root / "nowhere", "no folder or zip .*nowhere; check the path"),
    (lambda root: fill(root / "empty", "deeper/.hidden/a.png"), "There are no pictures .* in empty")], ids=["missing", "empty"])
def test_where_nothing_is_found_the_sentence_says_what_was_looked_for(tmp_path, make, sentence):
    with pytest.raises(source.BadSource, match=sentence):
        source.find(make(tmp_path))


def test_a_zip_gives_its_pictures_and_nothing_else(tmp_path):
    zipped = pack(tmp_path / "rime.zip", "x/dataset/rime/a.png", "x/dataset/rime/b.JPG", "x/dataset/rime/notes.txt", "run.sh",
                  "__MACOSX/x/dataset/rime/._a.png", "x/dataset/rime/.b.png", "x/dataset/dew/c.png",
                  compression=zipfile.ZIP_DEFLATED)
    [folder] = source.find(zipped, tmp_path / "here")
    assert sorted(str(path.relative_to(tmp_path / "here")) for path in (tmp_path / "here").rglob("*")) == [
        "rime", "rime/a.png", "rime/b.JPG"]
    assert folder.domain == "rime"
    assert (folder.path / "a.png").read_bytes() == PNG


def test_a_zip_of_several_folders_says_what_can_be_done_with_it(tmp_path):
    both = pack(tmp_path / "both.zip", "rime/a.png", "flowers/a.png")
    with pytest.raises(source.BadSource, match="; unpack it and name the one that is meant, or make a data set with r2f.data"):
        source.find(both, tmp_path / "out")
    assert [len(source.find(both, tmp_path / "out", domain)) for domain in ("rime", "flower")] == [1, 1]
    with pytest.raises(source.BadSource, match=r"dew \(1\), snow \(1\); unpack it and name the one that is meant\.$"):
        source.find(pack(tmp_path / "weather.zip", "dew/a.png", "snow/a.png"), tmp_path / "new", "rime")


def test_names_that_only_look_strange_do_no_harm(tmp_path):
    zipped = pack(tmp_path / "rime.zip", "photos\\a.png", "photos\\Screenshot 12:30:05.png", "to do: mail.txt")
    folder = source.unpack(zipped, tmp_path / "out")
    assert sorted(os.listdir(folder)) == ["Screenshot 12:30:05.png", "a.png"]
    assert sorted(os.listdir(source.unpack(pack(tmp_path / "at.zip", "12:30.png"), tmp_path / "at"))) == ["12:30.png"]


def with_link(path):
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/hostname")


def with_bytes(path, changes, name="a.png"):
    """A zip in which `changes` (from, to) were made in the table of contents."""
    pack(path, name)
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    entry = bytearray(data[start:])
    for place, value in changes.items():
        entry[place:place + len(value)] = value
    path.write_bytes(data[:start] + bytes(entry))


def with_long_contents(path):
    pack(path, "a.png")
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 12:end + 16] = (50_000_000).to_bytes(4, "little")  # bytes of the table of contents
    data[end + 16:end + 20] = (0).to_bytes(4, "little")
    data[:0] = bytes(50_000_000)
    path.write_bytes(data)


HOSTILE = {
    "parent": (lambda path: pack(path, "a.png", "../../evil.png"), "outside its folder"),
    "backslash": (lambda path: pack(path, "..\\..\\evil.png"), "outside its folder"),
    "absolute": (lambda path: pack(path, "/tmp/evil.png"), "outside its folder"),
    "drive": (lambda path: pack(path, "C:\\evil.png"), "outside its folder"),
    "drive below": (lambda path: pack(path, "./c:evil.png"), "outside its folder"),
    "network": (lambda path: pack(path, "\\\\server\\evil.png"), "outside its folder"),
    "parent of a text": (lambda path: pack(path, "a.png", "b\\..\\..\\evil.txt"), r"\(b\\..\\..\\evil.txt\)"),
    "link": (with_link, "holds a link"),
    "twice": (lambda path: pack(path, "a.png", "a.png"), "holds a.png twice"),
    "password": (lambda path: with_bytes(path, {8: b"\1\0"}), "password"),
    "lzma": (lambda path: pack(path, "a.png", compression=zipfile.ZIP_LZMA), "unusual way"),
    "too many": (lambda path: pack(path, *(f"{number}.png" for number in range(9))), "9 pictures, more than the 8 allowed"),
    "bomb": (lambda path: with_bytes(path, {24: (4_000_000_000).to_bytes(4, "little")}), "unpacks to 4.0 GB"),
    "says less than it holds": (lambda path: with_bytes(path, {24: (9).to_bytes(4, "little")}), "damaged"),
    "long contents": (with_long_contents, "table of contents is too long"),
    "half": (lambda path: path.write_bytes(pack(path, "a.png").read_bytes()[:60]), "damaged or not a plain zip"),
    "no zip": (lambda path: path.write_bytes(b"hello"), "damaged or not a plain zip"),
    "nothing in it": (lambda path: pack(path), "There are no pictures"),
    "long name": (lambda path: pack(path, "a" * 300 + ".png"), "can't be unpacked"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make,sentence", HOSTILE.values(), ids=HOSTILE)
def test_a_zip_that_tries_tricks_is_refused_with_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, make, sentence):
    monkeypatch.setattr(source, "MOST_FILES", 8)
    monkeypatch.setattr(source, "MOST_BYTES", 1_000_000_000)
    make(tmp_path / "bad.zip")
    with pytest.raises(source.BadSource, match=sentence) as caught:
        source.find(tmp_path / "bad.zip", tmp_path / "a" / "b")
    assert str(tmp_path / "bad.zip") not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "bad.zip"]


def test_a_file_larger_than_a_picture_may_be_is_cut_just_above_that(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 5_000)
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(3_000_000))
    assert (source.unpack(tmp_path / "large.zip", tmp_path / "out") / "a.png").stat().st_size == 5_001


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "SPARE_BYTES", 10**18)
    with pytest.raises(source.BadSource, match="GB of the disk are free"):
        source.unpack(pack(tmp_path / "a.zip", "a.png"), tmp_path / "out")


def test_a_zip_never_goes_into_a_folder_that_is_in_use(tmp_path):
    fill(tmp_path / "out", "mine.png")
    with pytest.raises(source.BadSource, match="exists already"):
        source.unpack(pack(tmp_path / "a.zip", "a.png"), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["mine.png"]


def test_damaged_zips_raise_nothing_but_the_promised_error(tmp_path):
    buffer = io.BytesIO()
    pack(buffer, "x/a.png", "x/b.png", "x/c.png", compression=zipfile.ZIP_DEFLATED)
    whole, chance, refused = buffer.getvalue(), random.Random(0), 0
    for number in range(200):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "a.zip").write_bytes(data)
        try:
            source.find(tmp_path / "a.zip", tmp_path / "out" / str(number))
        except source.BadSource:
            refused += 1
    outside = sorted(path.name for path in tmp_path.iterdir() if path.name not in ("a.zip", "out"))
    print(f"200 damaged zips: {refused} refused, {200 - refused} unpacked, {len(outside)} files outside")
    assert refused > 100
    assert not outside
