import errno

import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from r2f import bloom, brush, drawn
from r2f.bloom import Bloomer, strength
from r2f.config import Config
from r2f.images import read_picture, write_picture
from r2f.networks import generator
from r2f.pair import NETWORKS, save_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """An untrained pair: what it paints is no flower, but its size and its way through the code are real."""
    arguments = Config(**TINY).generator_arguments
    folder = tmp_path_factory.mktemp("pairs") / "tiny"
    save_pair(folder, {name: generator(**arguments) for name in NETWORKS}, {"networks": arguments})
    return folder


@pytest.fixture(scope="module")
def bloomer(pair):
    return Bloomer.load(pair, "float32")


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (201, 150), (32, 500)])
def test_any_size_goes_in_and_the_same_size_comes_out(bloomer, size):
    picture = drawn.rime(0, size)
    flower, again = bloomer.round_trip(picture)
    assert flower.size == again.size == (size[1], size[0])
    assert flower.mode == "RGB"


def test_the_way_back_starts_from_the_painting_as_it_would_be_downloaded(bloomer):
    picture = drawn.rime(1, 64)
    flower, again = bloomer.round_trip(picture)
    assert np.array_equal(np.asarray(again), np.asarray(bloomer.frost(flower)))
    assert np.array_equal(np.asarray(flower), np.asarray(bloomer.bloom(picture)))


def test_a_photo_comes_as_a_path_as_bytes_or_as_a_picture(bloomer, tmp_path):
    write_picture(drawn.rime(2, 40), tmp_path / "photo.png")
    expected = np.asarray(bloomer.bloom(drawn.rime(2, 40)))
    for source in (tmp_path / "photo.png", (tmp_path / "photo.png").read_bytes(), Image.open(tmp_path / "photo.png")):
        assert np.array_equal(np.asarray(bloomer.bloom(source)), expected)


def test_a_large_photo_is_painted_small_and_keeps_its_own_detail(bloomer, monkeypatch):
    photo = drawn.rime(3, (160, 240))
    monkeypatch.setattr(brush, "WORKING_PIXELS", 60 * 90)
    sizes = []
    paint_small = bloomer.paint_small
    monkeypatch.setattr(bloomer, "paint_small", lambda name, pixels: sizes.append(pixels.shape) or paint_small(name, pixels))
    assert bloomer.bloom(photo).size == (240, 160)
    assert sizes == [(60, 90, 3)]
    monkeypatch.setattr(bloomer, "paint_small", lambda name, pixels: pixels)  # a generator that changes nothing
    assert np.array_equal(np.asarray(bloomer.bloom(photo)), photo)


def test_the_fine_brush_is_taken_above_a_megapixel_and_any_other_brush_is_refused(bloomer, monkeypatch):
    photo = drawn.rime(7, (90, 120))
    assert np.array_equal(bloomer.paint("bloom", photo, "fine"), bloomer.paint("bloom", photo, "broad"))
    for module in (bloom, brush):
        monkeypatch.setattr(module, "WORKING_PIXELS", 64 * 64)
    expected = bloomer.paint_small("bloom", photo)
    assert np.abs(np.asarray(bloomer.bloom(photo, brush="fine")).astype(int) - expected).max() <= 1
    with pytest.raises(ValueError, match="no brush 'thick'; use one of broad, fine"):
        bloomer.bloom(photo, brush="thick")


def test_a_frame_is_dropped_while_another_picture_is_being_painted(bloomer):
    frame = drawn.rime(8, (48, 64))
    assert np.array_equal(bloomer.live(frame), np.asarray(bloomer.bloom(frame)))
    with bloomer.lock:
        assert bloomer.live(frame) is None
    assert bloomer.live(frame, "frost").shape == frame.shape


def test_strength_goes_from_exactly_the_photo_to_exactly_the_painting():
    photo, painted = drawn.rime(9, 40), drawn.flower(9, 40)
    assert np.array_equal(strength(photo, painted, 0), photo)
    assert np.array_equal(strength(photo, painted, 1), painted)
    half = strength(photo, painted, 0.5).astype(float)
    assert np.abs(half - (photo.astype(float) + painted) / 2).max() <= 1
    for amount in (-0.1, 1.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            strength(photo, painted, amount)


def test_a_size_shrinks_what_is_larger_and_nothing_else(monkeypatch):
    monkeypatch.setattr(bloom, "FULL_PIXELS", 600 * 900)
    for size, name, expected in (((700, 1400), "512", (256, 512)), ((100, 200), "1024", (100, 200)),
                                 ((600, 900), "full", (600, 900)), ((1200, 1800), "full", (600, 900))):
        assert bloom.fit(np.zeros((*size, 3), np.uint8), name).shape[:2] == expected
    assert np.prod(bloom.fit(np.zeros((1231, 1801, 3), np.uint8), "full").shape[:2]) <= bloom.FULL_PIXELS
    with pytest.raises(ValueError, match="no size 'huge'; use one of 512, 1024, full"):
        bloom.fit(np.zeros((40, 40, 3), np.uint8), "huge")


def photos(folder):
    folder.mkdir()
    write_picture(drawn.rime(4, (40, 56)), folder / "tree.png")
    write_picture(drawn.rime(5, (48, 48)), folder / "twig.jpg")
    return folder


def test_the_command_writes_flower_way_back_and_triptych(pair, tmp_path, capsys):
    assert bloom.main([str(photos(tmp_path / "in")), "-o", str(tmp_path / "out"), "--pair", str(pair),
                       "--way-back", "--triptych"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{stem}-{kind}.png" for stem in ("tree", "twig") for kind in ("flower", "rime-again", "triptych")]
    assert read_picture(tmp_path / "out" / "tree-flower.png").shape == (40, 56, 3)
    assert read_picture(tmp_path / "out" / "tree-triptych.png").shape == (40, 3 * 56 + 2 * bloom.GAP, 3)
    assert "2 of 2 photos bloomed" in capsys.readouterr().out


def test_the_command_takes_size_strength_brush_and_direction_and_writes_the_film(pair, tmp_path, capsys):
    write_picture(drawn.rime(4, (400, 700)), tmp_path / "tree.png")
    command = [str(tmp_path / "tree.png"), "-o", str(tmp_path / "out"), "--pair", str(pair), "--size", "512"]
    assert bloom.main([*command, "--strength", "0", "--brush", "fine", "--film"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tree-film.mp4", "tree-flower.png"]
    assert np.array_equal(read_picture(tmp_path / "out" / "tree-flower.png"), bloom.fit(drawn.rime(4, (400, 700)), "512"))
    assert bloom.main([*command, "--frost", "--way-back", "--strength=50%"]) == 0
    assert "1 of 1 paintings froze, in" in capsys.readouterr().out
    assert {"tree-rime.png", "tree-flower-again.png"} < {path.name for path in (tmp_path / "out").iterdir()}
    with pytest.raises(SystemExit):
        bloom.main([*command, "--strength", "120"])
    assert "120 is not from 0 to 100" in capsys.readouterr().err


def test_a_bad_file_is_reported_and_the_others_are_done(pair, tmp_path, capsys):
    folder = photos(tmp_path / "in")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a photo")
    assert bloom.main([str(folder), "-o", str(tmp_path / "out"), "--pair", str(pair)]) == 1
    output = capsys.readouterr()
    assert "broken.jpg" in output.err
    assert "2 of 3 photos bloomed" in output.out and "1 could not be read" in output.out
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_an_output_that_is_no_folder_gets_one_sentence_before_the_pair_is_loaded(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Bloomer, "load", None)
    (tmp_path / "out").write_text("mine")
    folder = photos(tmp_path / "in")
    for output in ("out", "out/deeper"):
        assert bloom.main([str(folder), "-o", str(tmp_path / output)]) == 2
        said = capsys.readouterr().err
        assert f"{output} can't be made (" in said and said.endswith("; name another one with -o.\n") and said.count("\n") == 1
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("named,sentence", [
    (("nowhere/",), "There is no nowhere; check the path.\n"),
    (("in", "in/tre.png", "other"), "There is no in/tre.png and no other; check the path.\n")])
def test_a_path_that_is_not_there_is_said_before_anything_is_loaded_or_made(named, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Bloomer, "load", None)
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "in")
    assert bloom.main([*named, "-o", "out"]) == 2
    assert capsys.readouterr().err == sentence
    assert not (tmp_path / "out").exists()


def test_a_photo_whose_name_is_too_long_for_its_painting_is_reported_and_the_others_are_done(pair, tmp_path, capsys):
    folder = photos(tmp_path / "in")
    long = "a" * 245 + ".png"
    (folder / "tree.png").rename(folder / long)
    assert bloom.main([str(folder), "-o", str(tmp_path / "out"), "--pair", str(pair)]) == 1
    output = capsys.readouterr()
    assert f"What {long} became can't be written" in output.err and "Traceback" not in output.err
    assert "1 of 2 photos bloomed" in output.out and "1 could not be written" in output.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["twig-flower.png"]


def test_a_full_disk_ends_it_with_one_sentence(pair, tmp_path, capsys, monkeypatch):
    tried = []

    def write(pixels, path):
        tried.append(path.name)
        raise OSError(errno.ENOSPC, "No space left on device")
    folder = photos(tmp_path / "in")
    monkeypatch.setattr(bloom, "write_picture", write)
    assert bloom.main([str(folder), "-o", str(tmp_path / "out"), "--pair", str(pair)]) == 1
    output = capsys.readouterr()
    assert tried == ["tree-flower.png"] and output.err.count("is full") == 1 and "free some of it" in output.err
    assert "0 of 2 photos bloomed" in output.out and "1 could not be written" in output.out


def test_two_photos_of_one_stem_do_not_overwrite_each_other(pair, tmp_path):
    folder = photos(tmp_path / "in")
    write_picture(drawn.rime(6, 40), folder / "tree.jpg")
    assert bloom.main([str(folder), "-o", str(tmp_path / "out"), "--pair", str(pair)]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "tree-2-flower.png", "tree-flower.png", "twig-flower.png"]


def test_a_number_given_to_a_photo_is_never_another_photos_name():
    photos = [bloom.Path(name) for name in ("a/tree.jpg", "b/tree.jpg", "a/tree-2.jpg", "a/tree.png")]
    assert bloom.stems(photos) == ["tree", "tree-2", "tree-2-2", "tree-3"]


def test_an_empty_folder_and_a_folder_that_is_no_pair_get_one_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert bloom.main([str(tmp_path / "empty"), "-o", str(tmp_path / "out")]) == 2
    assert "no pictures in" in capsys.readouterr().err
    assert bloom.main([str(photos(tmp_path / "in")), "-o", str(tmp_path / "out"), "--pair", str(tmp_path / "empty")]) == 2
    assert "is not a pair" in capsys.readouterr().err


def test_a_photo_is_never_overwritten_and_paintings_are_not_painted_again(pair, tmp_path, capsys, monkeypatch):
    folder = photos(tmp_path / "in")
    write_picture(drawn.flower(1, 40), folder / "tree-flower.png")  # the person's own
    (tmp_path / "same").symlink_to(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    named = [str(folder / name) for name in ("tree.png", "tree-flower.png")]
    with monkeypatch.context() as patch:
        patch.setattr(Bloomer, "load", None)
        for arguments, sentence in (
                ([str(folder), "-o", str(folder)], f"The photos come from {folder}, and the next run would take their paintings"),
                ([str(folder), "-o", str(tmp_path / "same")], "choose another folder with -o.\n"),
                ([*named, "-o", str(folder)], f"{folder / 'tree-flower.png'} is one of the photos, and would be overwritten; "
                                              "choose another folder with -o.\n"),
                ([*named, "-o", str(tmp_path / "same")], "is one of the photos")):
            assert bloom.main([*arguments, "--pair", str(pair)]) == 2
            said = capsys.readouterr()
            assert sentence in said.err and said.err.count("\n") == 1 and not said.out
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert bloom.main([named[1], "-o", str(folder), "--pair", str(pair)]) == 0  # beside the photo, where nothing is in the way
    assert (folder / "tree-flower-flower.png").exists()
    for _ in range(2):  # what is there is the first run's own
        assert bloom.main([str(folder), "-o", str(tmp_path / "out"), "--pair", str(pair)]) == 0
    assert "4 of 4 photos bloomed" in capsys.readouterr().out and len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize("options", [(), ("--frost", "--way-back", "--triptych", "--film"), ("--way-back", "--film")])
def test_what_is_written_is_what_was_checked_before(pair, tmp_path, options):
    command = [str(photos(tmp_path / "in") / "tree.png"), "-o", str(tmp_path / "out"), "--pair", str(pair), *options]
    assert bloom.main(command) == 0
    assert set(bloom.targets("tree", bloom.parsed(command)).values()) == set((tmp_path / "out").iterdir())


def test_a_folder_that_may_not_be_read_gets_one_sentence(tmp_path, capsys, monkeypatch):
    def closed(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))
    monkeypatch.setattr(bloom, "list_pictures", closed)
    monkeypatch.setattr(Bloomer, "load", None)
    assert bloom.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (f"The folder {tmp_path} can't be read (Permission denied); make it readable, or name "
                                       "other photos.\n")


@pytest.mark.parametrize("frost,sentence", [(False, "Stopped; 1 of 2 photos bloomed, in "),
                                            (True, "Stopped; 1 of 2 paintings froze, in ")])
def test_after_ctrl_c_it_says_how_many_are_there(pair, tmp_path, capsys, monkeypatch, frost, sentence):
    def write(pixels, path):
        if path.name.startswith("twig"):
            raise KeyboardInterrupt
        write_picture(pixels, path)
    monkeypatch.setattr(bloom, "write_picture", write)
    command = [str(photos(tmp_path / "in")), "-o", str(tmp_path / "out"), "--pair", str(pair), *["--frost"] * frost]
    assert bloom.main(command) == 130
    output = capsys.readouterr()
    assert output.err.splitlines()[-1] == f"{sentence}{tmp_path / 'out'}." and "Traceback" not in output.err
    assert output.out == "" and len(list((tmp_path / "out").iterdir())) == 1
