"""Each kind of augmentation does what it says with given draws, and lets gradients through."""

import numpy as np
import pytest
from keras import ops
from objective_backend import gradients

from r2f import augment
from r2f.augment import Augmentation, colour, cutout, shift, translation
from r2f.config import AUGMENTATIONS

ALMOST_1 = float(np.nextafter(np.float32(1), np.float32(0)))  # the largest draw


def pictures(count=2, height=32, width=48):
    return np.random.default_rng(0).uniform(-1, 1, (count, height, width, 3)).astype("float32")


def draws(*values):
    return np.asarray(values, "float32").reshape(-1, 1, 1, 1)


def apply(function, *arguments):
    return ops.convert_to_numpy(function(*[ops.convert_to_tensor(each) for each in arguments]))


@pytest.mark.parametrize("kinds", [(), *[(kind,) for kind in AUGMENTATIONS], AUGMENTATIONS])
@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (3, 32, 48, 3)])
def test_the_shape_and_type_of_the_pictures_stay(kinds, shape):
    changed = apply(Augmentation(kinds, seed=0), np.zeros(shape, "float32"))
    assert changed.shape == shape and changed.dtype == np.float32


def test_without_kinds_the_pictures_stay_as_they_are():
    x = pictures()
    np.testing.assert_array_equal(apply(Augmentation((), seed=0), x), x)


@pytest.mark.parametrize("draw, rows, columns", [
    ((0.0, 0.5), -4, 0), ((ALMOST_1, 0.5), 4, 0), ((0.5, 0.0), 0, -6), ((0.5, ALMOST_1), 0, 6),
    ((0.3, 0.8), -2, 4),
])
def test_translation_moves_by_whole_pixels_and_grey_moves_in(draw, rows, columns):
    x = pictures(count=1)  # 32 x 48: an eighth is 4 rows and 6 columns
    around = np.pad(x, ((0, 0), (6, 6), (6, 6), (0, 0)))
    expected = around[:, 6 - rows:38 - rows, 6 - columns:54 - columns]
    np.testing.assert_array_equal(apply(translation, x, draws(draw[0]), draws(draw[1])), expected)


def test_translation_moves_each_picture_of_a_batch_by_its_own_draws_and_every_distance_is_equally_likely():
    point = np.zeros((90, 32, 48, 3), "float32")
    point[:, 16, 24] = 1
    moved = apply(translation, point, draws(*np.arange(90) / 90), draws(*np.full(90, 0.5)))
    rows = [np.argwhere(each[..., 0])[0][0] - 16 for each in moved]
    assert [rows.count(distance) for distance in range(-4, 5)] == [10] * 9


def test_shift_moves_each_picture_by_its_own_pixels_and_mirrors_what_moves_in():
    x = pictures()
    moved = apply(shift, x, draws(3, 0), draws(0, 2))
    np.testing.assert_array_equal(moved[0], np.pad(x[0], ((3, 0), (0, 0), (0, 0)), mode="reflect")[:32])
    np.testing.assert_array_equal(moved[1], np.pad(x[1], ((0, 0), (2, 0), (0, 0)), mode="reflect")[:, :48])


@pytest.mark.parametrize("top, left", [(0.5, 0.5), (0.0, 0.0), (ALMOST_1, 0.25)])
def test_cutout_puts_one_grey_rectangle_of_a_quarter_of_each_side(top, left):
    x = pictures(count=1)
    _, height, width, _ = x.shape
    changed = apply(cutout, x, draws(top), draws(left))[0]
    grey = (changed == 0).all(axis=2)
    rows, columns = np.flatnonzero(grey.any(axis=1)), np.flatnonzero(grey.any(axis=0))
    assert grey.sum() == len(rows) * len(columns)
    np.testing.assert_array_equal(changed[~grey], x[0][~grey])
    for found, side, draw in ((rows, height, top), (columns, width, left)):
        low, high = side * (draw - augment.CUTOUT / 2), side * (draw + augment.CUTOUT / 2)
        assert abs(found[0] - max(low, 0)) <= 1 and abs(found[-1] - min(high, side - 1)) <= 1


def test_colour_with_the_middle_draw_changes_nothing():
    half = draws(0.5, 0.5)
    np.testing.assert_allclose(apply(colour, pictures(), half, half, half), pictures(), atol=1e-6)


@pytest.mark.parametrize("draw, sign", [(0.0, -1), (ALMOST_1, 1)])
def test_colour_is_mild_and_each_of_its_draws_changes_one_thing(draw, sign):
    x, half, draw = pictures(count=1), draws(0.5), draws(draw)
    grey, mean = x.mean(axis=3, keepdims=True), x.mean()
    np.testing.assert_allclose(apply(colour, x, draw, half, half), x + sign * augment.BRIGHTNESS, atol=1e-5)
    np.testing.assert_allclose(apply(colour, x, half, draw, half),
                               grey + (x - grey) * (1 + sign * augment.SATURATION), atol=1e-5)
    np.testing.assert_allclose(apply(colour, x, half, half, draw),
                               mean + (x - mean) * (1 + sign * augment.CONTRAST), atol=1e-5)
    assert max(augment.BRIGHTNESS, augment.SATURATION, augment.CONTRAST) <= 0.2


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_each_picture_of_a_batch_and_each_call_is_drawn_anew(kind):
    layer, same = Augmentation((kind,), seed=1), np.repeat(pictures(count=1), 6, axis=0)
    first, second = apply(layer, same), apply(layer, same)
    assert len({each.tobytes() for each in [*first, *second]}) > 6


@pytest.mark.parametrize("kinds", [*[(kind,) for kind in AUGMENTATIONS], AUGMENTATIONS])
def test_gradients_flow_to_the_pictures(kinds):
    """Of the sum: not zero wherever the pixel is still in the picture, which is most of it."""
    (gradient,) = gradients(lambda x: ops.sum(Augmentation(kinds, seed=2)(x)), [pictures()])
    assert np.isfinite(gradient).all()
    for each in gradient:
        assert (each != 0).mean() > 0.6
