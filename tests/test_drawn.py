import numpy as np
import pytest
from PIL import Image

from r2f import drawn

KINDS = [(draw, kind) for draw, kinds in ((drawn.rime, drawn.RIME_KINDS), (drawn.flower, drawn.FLOWER_KINDS))
         for kind in kinds]


def small(picture, side=12):
    """The composition without its texture."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX), np.float32)


@pytest.mark.parametrize("draw, kind", KINDS)
def test_a_kind_draws_the_same_bytes_again_and_is_not_blank(draw, kind):
    np.random.seed(1)
    first = draw(5, 40, kind=kind)
    np.random.seed(2)  # the global state plays no part
    assert first.shape == (40, 40, 3) and first.dtype == np.uint8
    assert first.tobytes() == draw(5, 40, kind=kind).tobytes()
    assert first.std() > 10 and small(first).std() > 5


@pytest.mark.parametrize("draw, kind", KINDS)
def test_a_larger_picture_shows_the_same_composition(draw, kind):
    little, same, other = (small(draw(seed, size, kind=kind)) for seed, size in ((3, 48), (3, 96), (4, 48)))
    assert np.abs(little - same).mean() < 0.6 * np.abs(little - other).mean()


@pytest.mark.parametrize("draw", [drawn.rime, drawn.flower])
@pytest.mark.parametrize("size", [np.int64(8), (32, 56), (57, 41)])
def test_any_size_is_drawn_exactly(draw, size):
    expected = (size, size) if np.isscalar(size) else size
    assert draw(6, size).shape == (*expected, 3)


def test_seeds_differ_and_flowers_are_more_colourful_than_rime():
    pictures = {draw: [draw(seed, 32) for seed in range(8)] for draw in (drawn.rime, drawn.flower)}
    assert len({picture.tobytes() for same in pictures.values() for picture in same}) == 16
    rime, flower = (np.mean([np.ptp(small(picture), axis=2).mean() for picture in same])
                    for same in pictures.values())
    assert flower > 1.2 * rime


def test_a_wrong_kind_or_size_is_named():
    with pytest.raises(ValueError, match="kind 'rose' is not drawn here"):
        drawn.rime(0, 32, kind="rose")
    with pytest.raises(ValueError, match="size 4 is too small"):
        drawn.flower(0, 4)


def test_a_data_set_has_four_folders_and_keeps_what_exists(tmp_path):
    kept = tmp_path / "trainA" / "flower_00000.png"
    kept.parent.mkdir()
    kept.write_bytes(b"mine")
    drawn.write_dataset(tmp_path, count_train=2, count_test=1, size=32, progress=False)
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert written == ["testA/flower_00002.png", "testB/rime_00002.png", "trainA/flower_00000.png",
                       "trainA/flower_00001.png", "trainB/rime_00000.png", "trainB/rime_00001.png"]
    assert kept.read_bytes() == b"mine"
    with Image.open(tmp_path / "testB" / "rime_00002.png") as picture:
        assert np.array_equal(np.asarray(picture), drawn.rime(2, 32))


def test_in_low_sun_the_frost_is_warm_and_the_sky_stays_blue():
    for seed, warm in ((2168, True), (2010, False)):
        photo = drawn.rime(seed, 96, kind="tree").reshape(-1, 3).astype(int)
        bright, sky = (photo[part].mean(0) for part in (photo.min(1) > 215, slice(0, 96)))
        print(f"seed {seed}: frost {bright.round()}, sky {sky.round()}")
        assert (bright[0] > bright[2] + 4) == warm and sky[2] > sky[0] + 40
