"""What teachers painted, retouched: light, waves, specks, blue skies, edges, strokes."""

import numpy as np

from r2f import retouch
from r2f.brush import luminance

WAVES = 40 * np.sin(2 * np.pi * np.arange(96) / 12)[:, None, None]  # from top to bottom, a period of 12 pixels


def pixels(values, shape=(96, 128, 3)):
    return np.rint(np.broadcast_to(values, shape)).astype(np.uint8)


def test_turned_swaps_light_and_dark_and_keeps_the_colours():
    picture = np.random.default_rng(0).integers(60, 160, (20, 30, 3), dtype=np.uint8)
    made = retouch.turned(picture)
    slope, level = retouch.TURNED
    np.testing.assert_allclose(luminance(made), slope * luminance(picture) + level, atol=0.6)
    np.testing.assert_allclose(made - luminance(made)[..., None], picture - luminance(picture)[..., None], atol=1.2)


def test_waves_go_from_a_plain_sky_and_stay_where_there_are_twigs():
    photo = np.full((96, 128, 3), 200, np.uint8)
    photo[:, 64:] = np.random.default_rng(1).integers(0, 256, (96, 64, 1))
    made = retouch.calmed(photo, pixels(100 + WAVES + np.linspace(0, 60, 128)[None, :, None])).astype(float)
    left, right = (made[:, part].mean(2).std(0).mean() for part in (slice(0, 48), slice(80, 128)))
    print(f"waves of {WAVES.std():.1f}: {left:.1f} in the sky, {right:.1f} in the twigs")
    assert left < 2 and right > 25
    slow = np.diff(made[:, 12:40].mean((0, 2)))  # what changes slowly stays
    np.testing.assert_allclose(slow.mean(), 60 / 127, rtol=0.2)


def test_colours_of_one_painting_and_strokes_of_the_other():
    red, other = pixels([180, 60, 60]), pixels(100 + WAVES)
    made = retouch.stroked(red, other).astype(float)
    np.testing.assert_allclose(made.mean((0, 1)), [180, 60, 60], atol=3)
    inside = slice(24, 72)
    np.testing.assert_allclose(made[inside] - made[inside].mean((0, 1)), np.broadcast_to(WAVES, made.shape)[inside], atol=6)


def test_specks_of_colour_go_and_edges_and_strokes_of_light_and_dark_stay():
    picture = pixels(100 + WAVES)
    picture[:, 64:] = pixels([170, 90, 60])[:, 64:]  # an edge between two colours
    speck = picture.copy()
    speck[30:32, 20:22] = 200, 60, 200
    made = retouch.speckless(speck).astype(int)
    assert (np.ptp(made[28:34, 18:24], axis=-1) <= 3).all()  # grey again
    np.testing.assert_allclose(luminance(made), luminance(speck), atol=1.5)
    np.testing.assert_allclose(made[:, 64:], picture[:, 64:], atol=3)
    np.testing.assert_allclose(made[40:, :64], picture[40:, :64], atol=3)


def test_a_deep_blue_sky_stays_blue_with_the_paintings_light_and_everything_else_is_as_it_was_painted():
    photo = pixels([235, 235, 240])  # frost
    photo[:, 32:64], photo[:, 64:96], photo[:, 96:] = [30, 90, 200], [190, 190, 235], [200, 60, 30]  # deep blue, haze, a coat
    photo[40:42, 10:12] = [30, 90, 200]  # too small for a sky
    painting = pixels(np.array([60, 120, 30]) + WAVES[..., :1] / 2)
    made = retouch.blue_kept(photo, painting)
    np.testing.assert_allclose(luminance(made), luminance(painting), atol=2)
    for elsewhere in (slice(0, 24), slice(72, 88), slice(104, 128)):
        np.testing.assert_allclose(made[:, elsewhere].astype(int), painting[:, elsewhere], atol=2)
    red, green, blue = made[:, 40:56].mean((0, 1))
    print(f"sky, painted 60, 120, 30: {red:.0f}, {green:.0f}, {blue:.0f}")
    assert blue > green + 30 > red + 30


def test_a_pale_blue_sky_stays_blue_where_it_is_plain_and_blue_rime_does_not():
    photo = pixels([175, 200, 232])
    photo[::3, 64:] = [120, 145, 177]  # branches, of the same blue
    painting = pixels(np.array([120, 120, 40]) + WAVES[..., :1] / 2)
    made = retouch.blue_kept(photo, painting)
    np.testing.assert_allclose(luminance(made), luminance(painting), atol=2)
    np.testing.assert_allclose(made[:, 88:].astype(int), painting[:, 88:], atol=2)
    red, green, blue = made[:, 8:56].mean((0, 1))
    print(f"sky, painted 120, 120, 40: {red:.0f}, {green:.0f}, {blue:.0f}")
    assert blue > green > red


def test_edges_are_stronger_where_there_are_twigs_and_a_plain_sky_keeps_its_texture_and_all_its_colours():
    photo = pixels([185, 205, 230])
    photo[:, 64::2] = [100, 90, 80]
    painting = pixels([150, 140, 130])
    painting[:, ::2] += 20
    made = retouch.crisped(photo, painting).astype(float)
    np.testing.assert_allclose(made[:, :48], painting[:, :48], atol=1)
    contrast = made[:, 72:124].std(axis=1).mean()
    print(f"contrast 10.0: {made[:, :48].std(axis=1).mean():.1f} in the sky, {contrast:.1f} in the twigs")
    assert 13 < contrast < 10 * retouch.CRISP + 1
    np.testing.assert_allclose(np.ptp(made - painting, axis=-1), 0, atol=1)


def test_pale_colours_become_stronger_and_strong_ones_and_light_and_dark_stay():
    painting = pixels([150, 150, 150])
    painting[:, 32:64], painting[:, 64:96], painting[:, 96:] = [170, 150, 120], [200, 120, 130], [235, 40, 40]
    made = retouch.vivid(painting)
    np.testing.assert_allclose(luminance(made), luminance(painting), atol=1)
    np.testing.assert_allclose(made[:, 96:].astype(int), painting[:, 96:], atol=3)
    from_grey, before = (np.ptp(each[0, ::32].astype(int), axis=-1) for each in (made, painting))
    print(f"from grey: {before} before, {from_grey} after")
    assert from_grey[0] == 0 and abs(from_grey[1] / before[1] - retouch.VIVID) < 0.05 and from_grey[2] > before[2] + 10
