import numpy as np
import pytest
from PIL import Image
from tiny import TINY

from r2f import bloom, drawn
from r2f.bloom import Bloomer
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
    monkeypatch.setattr(bloom, "WORKING_PIXELS", 60 * 90)
    sizes = []
    paint_small = bloomer.paint_small
    monkeypatch.setattr(bloomer, "paint_small", lambda name, pixels: sizes.append(pixels.shape) or paint_small(name, pixels))
    assert bloomer.bloom(photo).size == (240, 160)
    assert sizes == [(60, 90, 3)]
    monkeypatch.setattr(bloomer, "paint_small", lambda name, pixels: pixels)  # a generator that changes nothing
    assert np.array_equal(np.asarray(bloomer.bloom(photo)), photo)


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


def test_a_bad_file_is_reported_and_the_others_are_done(pair, tmp_path, capsys):
    folder = photos(tmp_path / "in")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a photo")
    assert bloom.main([str(folder), "-o", str(tmp_path / "out"), "--pair", str(pair)]) == 1
    output = capsys.readouterr()
    assert "broken.jpg" in output.err
    assert "2 of 3 photos bloomed" in output.out and "1 could not be read" in output.out
    assert len(list((tmp_path / "out").iterdir())) == 2


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
