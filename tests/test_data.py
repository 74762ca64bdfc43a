import json

import numpy as np
import pytest
from test_doctor import folder, scene
from tiny import TINY

from r2f import data
from r2f.config import Config
from r2f.images import write_picture
from r2f.shell import python


def settings(folder, **overrides):
    return Config(**{**TINY, "data": str(folder), **overrides})


def test_the_seed_projects_layout_is_read_with_a_as_flower_and_b_as_rime(drawn_folder):
    pictures = data.load_pictures(settings(drawn_folder))
    assert [len(each) for each in (pictures.rime, pictures.flowers, pictures.rime_test, pictures.flowers_test)] == [6, 5, 2, 2]
    assert all(min(each.shape[:2]) == 40 and each.dtype == np.uint8 for each in pictures.rime)


def test_two_plain_folders_do_as_well(drawn_folder):
    pictures = data.load_pictures(Config(**TINY, rime=str(drawn_folder / "trainB"), flowers=str(drawn_folder / "trainA")))
    assert len(pictures.rime) == 6
    assert np.array_equal(pictures.rime_test[0], pictures.rime[0])


def test_a_bad_file_is_named_and_left_out(drawn_folder, tmp_path, caplog):
    write_picture(data.read_picture(drawn_folder / "trainB" / "0.png"), tmp_path / "good.png")
    (tmp_path / "broken.jpg").write_bytes((drawn_folder / "trainB" / "1.png").read_bytes()[:200])
    with caplog.at_level("INFO"):
        assert len(data.load_folder(tmp_path, "rime photos", 40)) == 1
    assert "broken.jpg" in caplog.text
    assert "1 left out" in caplog.text


@pytest.mark.parametrize("prefixes,count", [((), 5), (("0", "1"), 2)])
def test_prefixes_choose_flowers_by_the_beginning_of_their_names(drawn_folder, prefixes, count):
    assert len(data.load_folder(drawn_folder / "trainA", "flower paintings", 40, prefixes)) == count


def test_missing_and_empty_folders_say_what_was_looked_for_and_where(tmp_path, drawn_folder):
    with pytest.raises(data.NoPictures, match="no folder .*nowhere.* rime photos"):
        data.load_pictures(Config(rime=str(tmp_path / "nowhere"), flowers=str(tmp_path)))
    (tmp_path / "album.zip").touch()
    with pytest.raises(data.NoPictures, match="album.zip is a file, not a folder to take rime photos from; if it is a zip"):
        data.load_pictures(Config(rime=str(tmp_path / "album.zip"), flowers=str(tmp_path)))
    for root, sentence in ((tmp_path, "is no data set: it needs the folders trainA"), (tmp_path / "album.zip", "is a file"),
                           (tmp_path / "nowhere", "There is no folder .*nowhere to take pictures from")):
        with pytest.raises(data.NoPictures, match=sentence):
            data.load_pictures(Config(data=str(root)))
    with pytest.raises(data.NoPictures, match="no readable rime photos in .*: pictures in its subfolders are not looked for"):
        data.load_pictures(Config(rime=str(tmp_path), flowers=str(tmp_path)))
    (tmp_path / "torn.jpg").write_text("no picture")
    with pytest.raises(data.NoPictures, match="no readable rime photos in .*: none of the 1 that are there can be opened"):
        data.load_pictures(Config(rime=str(tmp_path), flowers=str(tmp_path)))
    with pytest.raises(data.NoPictures, match="no folder .*mistyped"):
        data.load_pictures(Config(**TINY, rime=str(drawn_folder / "trainB"), flowers=str(drawn_folder / "trainA"),
                                  rime_test=str(tmp_path / "mistyped")))
    with pytest.raises(data.NoPictures, match="whose names begin with rose_ in .*: check the names"):
        data.load_pictures(Config(**TINY, data=str(drawn_folder), prefixes="rose_"))
    with pytest.raises(data.NoPictures, match="--rime DIR and --flowers DIR"):
        data.load_pictures(Config())


def test_a_batch_is_a_function_of_seed_and_step(drawn_folder):
    chosen = settings(drawn_folder, batch_size=2)
    pictures = data.load_pictures(chosen)
    first, again = data.batch(pictures, chosen, 7), data.batch(pictures, chosen, 7)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(each.shape == (2, 32, 32, 3) and each.dtype == np.float32 and abs(each).max() <= 1 for each in first)
    assert not np.array_equal(first[0], data.batch(pictures, chosen, 8)[0])
    assert not np.array_equal(first[0], data.batch(pictures, settings(drawn_folder, batch_size=2, seed=1), 7)[0])


def test_every_picture_is_shown_once_before_any_is_shown_again(drawn_folder):
    flat = [np.full((40, 40, 3), shade, np.uint8) for shade in range(6)]
    pictures = data.Pictures(flat, flat[:5], flat, flat)
    chosen = settings(drawn_folder)
    shown = [round(float((data.domain_batch(flat, data.RIME, chosen, step)[0, 0, 0, 0] + 1) * 127.5)) for step in range(18)]
    assert [sorted(shown[i:i + 6]) for i in (0, 6, 12)] == [list(range(6))] * 3
    assert shown[:6] != shown[6:12]
    assert pictures.rime is flat


def test_a_crop_keeps_the_aspect_and_may_be_mirrored():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :, 0] = np.arange(80)  # brightness grows from left to right by 1 a pixel
    chosen = Config(**{**TINY, "zoom": False})
    slopes = {int(np.sign(np.diff(data.crop(picture, chosen, np.random.default_rng(seed))[0, :, 0].astype(int)).mean()))
              for seed in range(20)}
    assert slopes == {-1, 1}
    assert data.crop(picture, chosen, np.random.default_rng(0)).shape == (32, 32, 3)


def test_the_embedded_data_set_needs_no_files_and_is_drawn_once(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "DRAWN_TRAIN", 2)
    monkeypatch.setattr(data, "DRAWN_TEST", 1)
    settings = Config(**TINY, drawn=True, run=str(tmp_path))
    pictures = data.load_pictures(settings)
    assert [len(each) for each in (pictures.rime, pictures.flowers, pictures.rime_test, pictures.flowers_test)] == [2, 2, 1, 1]
    assert not np.array_equal(pictures.rime[0], pictures.rime[1])
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert np.array_equal(data.load_pictures(settings).rime[1], pictures.rime[1])
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}


def test_the_most_colourful_part_of_the_flowers_is_kept_in_order(drawn_folder):
    grey, red, pale = (np.full((40, 40, 3), colour, np.uint8) for colour in ((120, 120, 120), (200, 0, 0), (140, 120, 120)))
    kept = data.most_colourful([red, grey, pale], 2 / 3)
    assert [each[0, 0].tolist() for each in kept] == [[200, 0, 0], [140, 120, 120]]
    assert len(data.load_pictures(settings(drawn_folder, colourful=0.4)).flowers) == 2


def test_drawn_pictures_can_be_added_to_each_domain_and_are_drawn_once(drawn_folder, tmp_path):
    chosen = settings(drawn_folder, add_drawn=2, run=str(tmp_path))
    pictures = data.load_pictures(chosen)
    assert (len(pictures.rime), len(pictures.flowers)) == (8, 7)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    data.load_pictures(chosen)
    assert len(before) == 4 and {path: path.stat().st_mtime_ns for path in before} == before


@pytest.fixture
def sources(tmp_path):
    """Ten rime photos, one of them twice, and nine flower paintings in a folder among others."""
    folder(tmp_path / "rime", {f"{seed}.png": scene(seed) for seed in range(10)} | {"copy.png": scene(3)})
    folder(tmp_path / "art" / "flower-painting", {f"{seed}.png": scene(seed) for seed in range(20, 29)})
    folder(tmp_path / "art" / "landscape", {"a.png": scene(50)})
    return tmp_path


def test_prepare_makes_what_a_training_reads(sources, capsys):
    command = ["prepare", "--rime", str(sources / "rime"), "--flowers", str(sources / "art"), "-o", str(sources / "my set"),
               "--test", "2", "--sheet", str(sources / "sheet.png")]
    assert data.main(command) == 0
    said = capsys.readouterr().out
    assert "trainA 7, trainB 8; 1 left out" in said
    assert said.endswith(f": {python()} -m r2f.train --data '{sources / 'my set'}' --run runs/mine --preset lite\n")
    pictures = data.load_pictures(settings(sources / "my set"))
    assert [len(each) for each in (pictures.rime, pictures.flowers, pictures.rime_test, pictures.flowers_test)] == [8, 7, 2, 2]
    assert min(data.read_picture(sources / "sheet.png").shape[:2]) > 200
    assert data.main(command) == 0
    assert "there already; nothing was changed" in capsys.readouterr().out
    assert data.main(["check", str(sources / "my set"), "--image-size", "32"]) == 0
    assert capsys.readouterr().out.startswith("folder  pictures")


def test_a_training_reads_what_was_prepared_without_held_out_pictures(sources, capsys):
    rime, flowers, out = sources / "rime", sources / "art", sources / "all"
    assert data.main(["prepare", "--rime", str(rime), "--flowers", str(flowers), "-o", str(out), "--test=0"]) == 0
    assert "trainA 9, trainB 10" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["dataset.json", "trainA", "trainB"]
    assert len(data.load_pictures(settings(out)).rime_test) == TINY["sample_count"]
    for name in ("testA", "testB"):  # as it was once prepared
        (out / name).mkdir()
    assert len(data.load_pictures(settings(out)).rime_test) == TINY["sample_count"]


def test_check_says_what_is_wrong_by_its_exit_code(sources, capsys):
    assert data.main(["check", str(sources / "rime"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["same"] == [["rime/3.png", "rime/copy.png"]]
    assert data.main(["check", str(sources / "art" / "flower-painting"), str(sources / "art" / "landscape")]) == 0


@pytest.mark.parametrize("command,sentence", [
    ("check {}/nowhere", "There is no folder or zip"), ("check {}", "has 3 folders with pictures"),
    ("prepare --rime {}/rime --flowers {}/art -o {}/rime", "was not made by this command"),
    ("prepare --rime {}/rime --flowers {}/art -o {}/mine --test 10", "--test is 10 and there are 10 rime photos")])
def test_what_cant_be_done_is_said_in_one_line(sources, capsys, command, sentence):
    before = sorted(sources.rglob("*"))
    assert data.main(command.replace("{}", str(sources)).split()) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert sorted(sources.rglob("*")) == before
