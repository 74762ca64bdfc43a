import time

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from r2f import compare, drawn
from r2f.compare import difference_map, way_back_figures


def noisy(picture, amount, seed=0):
    noise = np.random.default_rng(seed).normal(0, amount, picture.shape)
    return np.rint(picture + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("again", ["noise", "flower", "grey", "itself"])
def test_the_figures_equal_those_of_scikit_image(again):
    photo = drawn.rime(0, (97, 130))
    other = {"noise": lambda: noisy(photo, 20), "flower": lambda: drawn.flower(0, (97, 130)), "itself": photo.copy,
             "grey": lambda: np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)}[again]()
    figures = way_back_figures(photo, other)
    structure = structural_similarity(photo, other, channel_axis=2, data_range=255)
    colours = deltaE_ciede2000(rgb2lab(photo), rgb2lab(other))
    print(f"\n{again}: structure {figures.structure:.6f} and {structure:.6f}, "
          f"colour {figures.colour:.6f} and {colours.mean():.6f}")
    assert abs(figures.structure - structure) < 1e-9
    assert abs(figures.colour - colours.mean()) < 1e-5
    assert np.abs(compare.colour_difference(photo, other) - colours).max() < 1e-3


def test_every_kind_of_colour_differs_from_every_other_as_in_scikit_image():
    """Random pairs, and the greys, blacks and opposite hues for which the formula has cases of its own."""
    chance = np.random.default_rng(1)
    special = np.array([(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 255, 255), (0, 0, 255), (255, 255, 0)],
                       np.uint8)
    colours = np.concatenate([special, chance.integers(0, 256, (193, 3), dtype=np.uint8)])
    a, b = np.repeat(colours[:, None], len(colours), axis=1), np.repeat(colours[None], len(colours), axis=0)
    worst = np.abs(compare.colour_difference(a, b) - deltaE_ciede2000(rgb2lab(a), rgb2lab(b))).max()
    print(f"\n{a.shape[0] * a.shape[1]} pairs of colours, largest difference {worst:.1e}")
    assert worst < 1e-3  # of 100 between black and white; an eye notices 1


def test_a_large_photo_is_compared_at_a_megapixel_in_little_time():
    photo = np.array(Image.fromarray(drawn.rime(2, 256)).resize((4000, 3000)))
    other = photo[::-1].copy()
    started = time.process_time()
    figures, shown = way_back_figures(photo, other), difference_map(photo, other)
    seconds = time.process_time() - started
    print(f"\n12 megapixels: figures and map in {seconds:.2f} s")
    assert 0 < figures.structure < 1 and figures.colour > 1
    assert shown.shape == photo.shape and shown.dtype == np.uint8
    assert seconds < 10


def test_the_figures_of_a_bloom_take_a_small_part_of_the_time_that_a_visitor_waits():
    """A visitor waits for them: two comparisons of 512 pixels a side. Processor time, with much room for a busy machine."""
    photo, other = (np.array(Image.fromarray(draw(3, 96)).resize((512, 512))) for draw in (drawn.rime, drawn.flower))
    seconds = []
    for _ in range(5):
        started = time.process_time()
        way_back_figures(photo, other), compare.mean_colour_difference(photo, other)
        seconds.append(time.process_time() - started)
    print(f"\n512 x 512: figures in {min(seconds):.3f} s of processor time")
    assert min(seconds) < 0.35


def test_the_map_is_dark_where_nothing_changed_and_lighter_the_more_did():
    photo = np.full((60, 100, 3), 120, np.uint8)
    other = photo.copy()
    for place, step in enumerate((0, 5, 15, 40, 100)):
        other[:, 20 * place : 20 * (place + 1)] += np.uint8(step)
    shown = compare.lab(difference_map(photo, other))[30, 10::20, 0]
    assert shown[0] < 10 and (np.diff(shown) > 8).all()
    assert (np.diff(compare.lab(compare.COLOURS.astype(np.uint8))[:, 0]) > 8).all()


def test_pictures_of_two_sizes_are_not_compared():
    for ask in (way_back_figures, difference_map):
        with pytest.raises(ValueError, match="one size"):
            ask(drawn.rime(0, 40), drawn.rime(0, (40, 50)))
