import threading

import keras
import numpy as np
import pytest

from r2f import brush, drawn
from r2f.brush import FineBrush, paint_broad
from r2f.images import crop_back, pad_to_multiple, to_float, to_uint8
from r2f.networks import generator

TILE = 64  # pixels a side


def untrained(**options):
    """A generator that paints strongly and uses all of its layers: with its starting weights it would make nearly plain grey."""
    network = generator(4, 1, **options)
    chance = np.random.default_rng(0)
    for weight in network.weights:
        if len(weight.shape) == 4:
            weight.assign(chance.normal(0, (3 / np.prod(weight.shape[:3])) ** 0.5, weight.shape))
        elif weight.name == "gamma":
            weight.assign(np.ones(weight.shape))
    network.compile()
    return network


def in_one_piece(network, pixels):
    padded, box = pad_to_multiple(pixels, brush.STRIDE)
    return to_uint8(crop_back(np.asarray(network.predict_on_batch(to_float(padded)[None])[0]), box))


@pytest.mark.parametrize("options", [{}, dict(dtype="mixed_bfloat16"), dict(norm="blocks"),
                                     dict(residual="concat", upsampling="transposed", padding="zero", norm_before_tanh=True)],
                         ids=["ours", "ours in bfloat16", "norms in blocks", "the seed's"])
def test_a_picture_painted_in_tiles_is_the_picture_painted_in_one_piece_and_shows_no_seam(options, monkeypatch):
    monkeypatch.setattr(brush, "WORKING_PIXELS", TILE**2)
    photo = drawn.rime(0, (110, 141))
    network = untrained(**options)
    whole, tiled = in_one_piece(network, photo), FineBrush(network).paint(photo)
    difference = np.abs(tiled.astype(int) - whole)
    seam = seam_over_elsewhere(tiled)
    print(f"\nmean difference {difference.mean():.4f} of 255, largest {difference.max()}, contrast {whole.std():.0f}; "
          f"gradient at seams over elsewhere {seam:.3f}, in one piece {seam_over_elsewhere(whole):.3f}")
    assert whole.std() > 20
    assert difference.mean() < 2
    assert abs(seam / seam_over_elsewhere(whole) - 1) < 0.05


def seam_over_elsewhere(pixels):
    """Mean step between neighbours across the borders of the tiles, over the mean step everywhere."""
    at, elsewhere = [], []
    for axis, length in enumerate(pixels.shape[:2]):
        steps = np.moveaxis(np.abs(np.diff(pixels.astype(float), axis=axis)), axis, 0).mean(axis=(1, 2))
        borders = [core.stop - 1 for _, core in brush.spans(length)[:-1]]
        at += list(steps[borders])
        elsewhere += list(np.delete(steps, borders))
    return np.mean(at) / np.mean(elsewhere)


def test_statistics_of_its_own_for_every_tile_would_show(monkeypatch):
    """The negative control: what the test above measures does see it."""
    monkeypatch.setattr(brush, "WORKING_PIXELS", TILE**2)
    photo, network = drawn.rime(0, (64, 128)), untrained()
    whole, tiled = in_one_piece(network, photo), np.empty_like(photo)
    for _, core in brush.tiles(photo.shape):
        tiled[core] = in_one_piece(network, photo[core])
    difference = np.abs(tiled.astype(int) - whole).mean()
    print(f"\nstatistics of its own for every tile: mean difference {difference:.1f}, seams {seam_over_elsewhere(tiled):.2f}")
    assert difference > 4


def test_tiles_are_of_one_size_and_their_cores_fill_the_picture(monkeypatch):
    monkeypatch.setattr(brush, "WORKING_PIXELS", TILE**2)
    for shape in ((64, 64), (68, 400), (1000, 132), (32, 4000)):
        seen, sizes = np.zeros(shape, int), set()
        for window, core in brush.tiles(shape):
            seen[core] += 1
            sizes.add(tuple(side.stop - side.start for side in window))
            for side, inner, length in zip(window, core, shape, strict=True):
                assert side.start % brush.STRIDE == inner.start % brush.STRIDE == 0
                assert side.start == 0 or side.start <= inner.start - brush.HALO
                assert side.stop == length or side.stop >= inner.stop + brush.HALO
        assert (seen == 1).all() and len(sizes) == 1


def test_a_fine_brush_leaves_the_network_as_it_was():
    network, picture = untrained(), to_float(drawn.rime(1, 64))[None]
    before = np.asarray(network.predict_on_batch(picture))
    FineBrush(network).paint(drawn.rime(2, (40, 48)))
    assert np.array_equal(before, np.asarray(network.predict_on_batch(picture)))
    assert not any("given" in type(layer).__name__.lower() for layer in network.layers)


def test_the_broad_brush_carries_a_change_of_brightness_up_along_the_edges(monkeypatch):
    """A painting that turns bright to dark: enlarged and added, the change leaves the lost detail as it was, a halo."""
    monkeypatch.setattr(brush, "WORKING_PIXELS", 64 * 64)
    photo = drawn.rime(3, (256, 256))

    def half_as_bright(pixels):
        return (pixels // 2).astype(np.uint8)

    errors = {}
    for name, gains in (("guided", brush.GAINS), ("enlarged only", (0, 0))):
        monkeypatch.setattr(brush, "GAINS", gains)
        errors[name] = float(np.abs(paint_broad(half_as_bright, photo).astype(float) - half_as_bright(photo)).mean())
    print(f"\nmean error of 255: {errors}")
    assert errors["guided"] < 0.6 * errors["enlarged only"]


def test_a_change_that_is_the_same_everywhere_is_added_exactly(monkeypatch):
    monkeypatch.setattr(brush, "WORKING_PIXELS", 64 * 64)
    photo = drawn.rime(4, (150, 201)) // 2 + 40
    assert np.abs(paint_broad(lambda small: small + np.uint8(30), photo).astype(int) - photo - 30).max() <= 1
    assert np.array_equal(paint_broad(lambda small: small, photo), photo)


def test_a_brush_made_in_a_thread_whose_names_collide_paints_the_same(monkeypatch):
    """Keras counts the names of tensors anew in every thread, so a copy's first layer may be called what the input is called."""
    monkeypatch.setattr(brush, "WORKING_PIXELS", TILE**2)
    photo, network = drawn.rime(0, (110, 141)), untrained()
    taken, painted = network.input.name, []

    def number(name):
        return int(name.rpartition("_")[2]) if name[-1].isdigit() else 0

    def paint():
        while number(keras.KerasTensor((1,)).name) < number(taken) - 1:
            pass
        fine = FineBrush(network)
        assert fine.model.input.name in [layer.output.name for layer in fine.layers]
        painted.append(fine.paint(photo))

    thread = threading.Thread(target=paint)
    thread.start()
    thread.join()
    assert np.array_equal(painted[0], FineBrush(network).paint(photo))
