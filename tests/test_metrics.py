"""Each figure is what its name says: compared with an independent computation, or made to move by the fault it should see."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from sklearn.metrics.pairwise import polynomial_kernel

from r2f import drawn, metrics


@pytest.fixture(scope="module")
def rime():
    return np.stack([drawn.rime(seed, 96, kind="twigs") for seed in range(6)])


@pytest.fixture(scope="module")
def flowers():
    return np.stack([drawn.flower(seed, 96, kind="ink") for seed in range(6)])


def chance(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_kid_agrees_with_scikit_learns_kernel_summed_picture_by_picture():
    x, y = chance(7, 40), chance(9, 40, seed=1) + 0.5
    options = dict(degree=3, gamma=1 / 40, coef0=1)
    within = [np.mean([polynomial_kernel(a[i:i + 1], a[j:j + 1], **options)[0, 0]
                       for i in range(len(a)) for j in range(len(a)) if i != j]) for a in (x, y)]
    assert abs(metrics.kid(x, y) - (sum(within) - 2 * polynomial_kernel(x, y, **options).mean())) < 1e-6


def test_kid_is_unbiased_it_is_as_often_below_zero_as_above_for_one_distribution():
    found = [metrics.kid(chance(12, 8, seed=seed), chance(10, 8, seed=1000 + seed)) for seed in range(200)]
    print(f"mean {np.mean(found):.4f}, deviation of the mean {np.std(found) / 200 ** 0.5:.4f}")
    assert abs(np.mean(found)) < 3 * np.std(found) / 200 ** 0.5


def test_kid_of_a_single_picture_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="at least|two pictures"):
        metrics.kid(chance(1, 8), chance(5, 8))


def test_the_floor_is_within_its_own_error_of_zero():
    compared = metrics.comparison(metrics.kid, chance(40, 16), chance(40, 16, seed=1) + 1, chance(40, 16, seed=2) + 1)
    print(compared)
    assert abs(compared["floor"]["value"]) < compared["floor"]["error"]


def test_doing_nothing_closes_no_gap_and_becoming_the_other_domain_closes_all_of_it():
    before, other = chance(60, 16), chance(60, 16, seed=1) + 1
    for distance in (metrics.kid, metrics.sliced_wasserstein):
        assert metrics.comparison(distance, before, before, other)["gap_closed"] == {"value": 0, "error": 0}
    closed = metrics.comparison(metrics.kid, before, chance(60, 16, seed=2) + 1, other)["gap_closed"]
    assert abs(closed["value"] - 1) < 3 * closed["error"] < 0.3


def test_the_error_of_a_figure_is_about_its_spread_over_new_pictures():
    def compared(seed):
        return metrics.comparison(metrics.kid, chance(40, 16, seed=seed), chance(40, 16, seed=seed + 1000) + 0.5,
                                  chance(40, 16, seed=seed + 2000) + 1, subsets=40)["gap_closed"]
    repeated = [compared(seed) for seed in range(40)]
    spread, error = np.std([each["value"] for each in repeated]), np.mean([each["error"] for each in repeated])
    print(f"spread over new pictures {spread:.4f}, mean error {error:.4f}")
    assert spread / 1.5 < error < spread * 1.5


def test_a_sliced_wasserstein_distance_of_a_shift_is_its_mean_projection():
    cloud = chance(500, 3)
    assert metrics.sliced_wasserstein(cloud, cloud[::-1]) == 0
    shift = metrics.sliced_wasserstein(cloud, cloud + [10, 0, 0])
    assert 3 < shift < 7  # half of it on average in three dimensions


def test_lab_is_scikit_images(rime):
    assert np.abs(metrics.lab(rime) - rgb2lab(rime)).max() < 0.01


def test_colours_and_gradients_are_nearer_within_a_domain_than_between(rime, flowers):
    for vectors, distance in ((metrics.colours, metrics.colour_distance), (metrics.gradients, metrics.sliced_wasserstein)):
        compared = metrics.comparison(distance, vectors(rime), vectors(rime), vectors(flowers), subsets=20)
        print(vectors.__name__, compared)
        assert compared["before"]["value"] > 1.3 * compared["floor"]["value"]


def test_gradients_tell_stripes_apart_by_direction():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 200
    horizontal, vertical = metrics.gradients(stripes)[0], metrics.gradients(stripes.swapaxes(1, 2))[0]
    assert horizontal[:8].argmax() == 0 and vertical[:8].argmax() == 4
    assert horizontal[4] < 1e-6 < horizontal[0]


def test_the_way_back_is_scikit_images_ssim_and_ciede2000(rime):
    found = metrics.way_back(rime[0], rime[1])
    assert found["ssim"] == structural_similarity(rime[0], rime[1], channel_axis=2, data_range=255)
    assert found["ciede2000"] == deltaE_ciede2000(rgb2lab(rime[0]), rgb2lab(rime[1])).mean()
    assert metrics.way_back(rime[0], rime[0]) == {"ssim": 1, "psnr": metrics.EQUAL_PSNR, "ciede2000": 0, "ciede2000_of_means": 0}


def test_a_checkerboard_is_seen_and_fine_texture_is_not_taken_for_one(rime):
    grid = rime.astype(int)
    grid[:, ::4, ::4] += 24
    clean, noisy = rime, (rime + 12 * chance(*rime.shape)).clip(0, 255).astype(np.uint8)
    found = {name: np.mean([metrics.checkerboard(picture) for picture in pictures]) for name, pictures in
             (("clean", clean), ("noise", noisy), ("grid of 4", grid.clip(0, 255).astype(np.uint8)))}
    print(found)
    assert found["clean"] < 1.6 and found["noise"] < 1.6 and found["grid of 4"] > 3


@pytest.mark.filterwarnings("error")
def test_a_picture_of_one_colour_has_no_checkerboard():
    """One of them made a whole evaluation no number."""
    assert all(metrics.checkerboard(np.full((80, 96, 3), colour, np.uint8)) == pytest.approx(1)
               for colour in (0, 90, 255, (120, 140, 200)))
    grid = np.full((80, 96, 3), 90, np.uint8)
    grid[::2] += 40
    assert 3 < metrics.checkerboard(grid) < np.inf


def test_a_halo_at_the_border_is_seen(rime):
    dark = rime.copy()
    for edge in (dark[:, :5], dark[:, -5:], dark[:, :, :5], dark[:, :, -5:]):
        edge //= 2
    plain, haloed = (np.mean([metrics.halo(picture) for picture in pictures]) for pictures in (rime, dark))
    print(f"plain {plain:.2f}, with a halo {haloed:.2f}")
    assert plain < 1.6 < 3 < haloed


def test_specks_of_colour_are_seen_and_specks_of_lightness_are_not(rime):
    specks = 20 * chance(*rime.shape[:3], 1)
    grey, coloured = ((rime + specks * weights).clip(0, 255).astype(np.uint8) for weights in ([1, 1, 1], [1, -0.5, 0.2]))
    plain, grey, coloured = (np.mean([metrics.colour_noise(picture) for picture in set_]) for set_ in (rime, grey, coloured))
    print(f"plain {plain:.2f}, grey specks {grey:.2f}, coloured specks {coloured:.2f}")
    assert coloured > 3 * grey and grey < plain + 1


def test_light_is_1_where_light_and_dark_stay_and_minus_1_where_they_are_swapped(rime):
    for picture in rime:
        assert metrics.light(picture, picture // 2 + 20) > 0.98  # darker, with less contrast
        assert metrics.light(picture, 255 - picture) < -0.95
    assert metrics.light(rime[0], np.full_like(rime[0], 90)) == 0


def test_droplets_are_counted_where_the_photo_is_flat_and_nowhere_else():
    rows, columns = np.mgrid[:128, :128]
    photo = np.full((128, 128, 3), 180, np.uint8)
    photo[64:] = np.random.default_rng(0).integers(0, 255, (64, 128, 1), np.uint8)  # twigs
    painting = np.full_like(photo, 150)
    for row, column in ((20, 30), (30, 90), (100, 60)):
        painting[(rows - row) ** 2 + (columns - column) ** 2 < 16] = (255, 240, 120)
    assert sorted(map(tuple, metrics.droplets(photo, painting))) == [(20, 30), (30, 90)]
    assert len(metrics.droplets(photo, photo)) == 0
    assert len(metrics.stains(photo, photo)) == 0


def test_what_a_training_needs_of_it_does_without_scikit_image():
    import subprocess
    import sys
    code = ("import sys; sys.modules['skimage'] = sys.modules['torch'] = sys.modules['scipy'] = None; import numpy as np; "
            "from r2f.evaluate import Yardstick, quick; from r2f import drawn; "
            "p = np.stack([drawn.rime(s, 64) for s in range(4)]); "
            "print(quick(lambda x: x, lambda x: x, Yardstick(p, p[::-1]))['score'])")
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 0
