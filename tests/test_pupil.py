"""A small pair learns what a large one painted once: bloom from its paintings, frost from its own bloom's and from its rime."""

import errno
import json
import signal
from dataclasses import replace

import keras
import numpy as np
import pytest
from tiny import TINY

from r2f import config, drawn, judged, pair, pupil, retouch
from r2f.augment import shift
from r2f.bloom import Bloomer
from r2f.compare import mean_colour_difference
from r2f.images import to_float
from r2f.judged import (
    FAR,
    FINE_COLOUR_WEIGHT,
    MOVED_WEIGHT,
    PLAIN_COLOUR_WEIGHT,
    RED,
    JudgedBloom,
    JudgedBoth,
    JudgedFrost,
    fine_colour,
    plain_colour,
)
from r2f.networks import discriminator, generator


def made(folder, seed, **changes):
    """A pair that was never trained."""
    keras.utils.set_random_seed(seed)
    arguments = config.preset("r2f", **TINY | changes).generator_arguments
    pair.save_pair(folder, {name: generator(**arguments, name=name) for name in ("bloom", "frost")}, {"networks": arguments})
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A pupil and a teacher of another shape."""
    folder = tmp_path_factory.mktemp("pairs")
    return made(folder / "pupil", 1), made(folder / "teacher", 2, filters=8)


def options(pairs, drawn_folder, out):
    return [str(pairs[0]), f"--teacher={pairs[1]}", f"--rime={drawn_folder / 'trainB'}", f"--flowers={drawn_folder / 'trainA'}",
            f"--output={out}", "--side=32", "--batch-size=1", "--bloom-steps=60", "--frost-steps=20", "--learning-rate=0.003"]


def test_a_pupil_comes_nearer_to_its_teacher_and_the_same_command_gives_the_same_pair(pairs, drawn_folder, tmp_path, monkeypatch):
    out, again, kept = tmp_path / "out", tmp_path / "again", tmp_path / "kept"
    assert pupil.main([*options(pairs, drawn_folder, out), f"--paintings={kept}"]) == 0
    info = pair.read_pair_json(out)
    assert info["step"] == 60 and info["pictures"] == {"rime": 6, "flowers": 5} and info["networks"]["filters"] == TINY["filters"]
    before, teacher, after = (Bloomer.load(each) for each in (*pairs, out))
    for name, picture in (("bloom", drawn.rime(0, (32, 48))), ("frost", drawn.flower(0, (32, 48)))):
        far, near = (mean_colour_difference(each.paint(name, picture), teacher.paint(name, picture)) for each in (before, after))
        print(f"{name}: {far:.1f} from its teacher, then {near:.1f}")
        assert near < far
    files = list(kept.iterdir())
    assert len(files) == 6 + 5
    monkeypatch.setattr(Bloomer, "load", lambda folder: teacher)
    asked = []
    paint = Bloomer.paint
    monkeypatch.setattr(Bloomer, "paint", lambda self, *given: asked.append(self is teacher) or paint(self, *given))
    assert pupil.main([*options(pairs, drawn_folder, again), f"--paintings={kept}"]) == 0
    assert not any(asked) and len(asked) == 6  # only its own bloom painted
    assert pair.read_pair_json(again)["files"] == info["files"]


def test_a_pupil_can_be_made_slimmer_first(pairs, drawn_folder, tmp_path, capsys):
    command = [*options((pairs[1], pairs[0]), drawn_folder, tmp_path / "out"), "--bloom-steps=2", "--frost-steps=2"]
    assert pupil.main([*command, "--filters=6"]) == 0
    assert pair.load_pair(tmp_path / "out")[1]["networks"]["filters"] == 6
    assert pupil.main([*command, "--filters=9"]) == 2
    assert f"{pairs[1]}: it has 8 filters" in capsys.readouterr().err


@pytest.mark.parametrize("before, said", [
    (None, (3, 9)), (7, (3, 9)), ({"rime": 939, "flowers": 5}, (939, 9)), ({"rime": "many", "flowers": True}, (3, 9))])
def test_a_pair_goes_on_saying_how_many_pictures_it_learned_from_before(before, said):
    assert pupil.at_least({"rime": 3, "flowers": 9}, before) == dict(zip(("rime", "flowers"), said, strict=True))


@pytest.mark.usefixtures("untraced")
def test_it_learns_retouched_paintings_of_some_photos(pairs, drawn_folder, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(pupil, "Lessons", lambda both, settings: shown.append(both))
    monkeypatch.setattr(pupil, "learn", lambda *given: 0.0)
    command = options(pairs, drawn_folder, tmp_path / "out")
    for retouched in ([], [f"--strokes={pairs[0]}"], [f"--strokes={pairs[0]}", "--turn-strokes"], ["--no-specks"],
                      ["--no-specks", "--keep-blue"], ["--no-specks", "--vivid", "--keep-blue", "--crisp"]):
        assert pupil.main([*command, "--photos=3", *retouched]) == 0
    plain, stroked, turned, speckless, blue, most = (blooms for blooms, frosts in zip(shown[::2], shown[1::2], strict=True))
    assert len(plain) == 3 and len(shown[1]) == 3 + 5
    first, second = (Bloomer.load(each) for each in (pairs[1], pairs[0]))
    for (photo, painting), (_, with_strokes), (_, with_turned), (_, without_specks), (_, with_blue), (
            _, all_four) in zip(plain, stroked, turned, speckless, blue, most, strict=True):
        assert (painting == first.bloom(photo)).all()
        strokes = np.asarray(second.bloom(photo))
        assert (with_strokes == retouch.stroked(painting, retouch.calmed(photo, strokes))).all()
        assert (with_turned == retouch.stroked(painting, retouch.calmed(photo, retouch.turned(strokes)))).all()
        assert (without_specks == retouch.speckless(painting)).all() and (without_specks != painting).any()
        assert (with_blue == retouch.blue_kept(photo, without_specks)).all()
        assert (all_four == retouch.crisped(photo, retouch.blue_kept(photo, retouch.vivid(without_specks)))).all()
        assert (all_four != with_blue).any()


def test_on_average_over_small_moves_a_pattern_on_the_grid_is_gone_and_the_picture_stays(tmp_path):
    picture = np.random.default_rng(0).integers(60, 190, (40, 47, 3), dtype=np.uint8)

    class Weaving:
        info = {"files": {"bloom.safetensors": {"sha256": "0"}}}

        def paint(self, name, picture):  # always at the same place of its grid
            down, right = (np.where(np.arange(side) % 4 < 2, 40, -40) for side in picture.shape[:2])
            return (picture + np.stack([down[:, None] + 0 * right, right + 0 * down[:, None], down[:, None] * right // 40], -1)
                    ).astype(np.uint8)

    plain = Weaving().paint("bloom", picture)
    assert np.abs(plain.astype(int) - picture).max() == 40
    assert (pupil.on_average(Weaving(), "bloom", picture) == picture).all()
    for _ in range(2):  # painted, then read
        assert (pupil.painted(Weaving(), "bloom", [picture], tmp_path, average=True)[0] == picture).all()
    assert len(list(tmp_path.iterdir())) == 1


def test_both_learn_at_once_what_is_painted_and_the_way_back(pairs):
    networks = pair.load_pair(pairs[0])[0]
    photo = drawn.rime(1, 32)
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=1, learning_rate=3e-3, steps=200)
    pupil.learn("both", pupil.together(networks), pupil.ThereAndBack([(photo, 255 - photo)], settings))
    bloomer = Bloomer(networks, {})
    flower, again = bloomer.round_trip(photo)
    there, back = (mean_colour_difference(np.asarray(made), sought) for made, sought in ((flower, 255 - photo), (again, photo)))
    before = [mean_colour_difference(np.asarray(made), sought) for made, sought in
              zip(Bloomer.load(pairs[0]).round_trip(photo), (255 - photo, photo), strict=True)]
    print(f"{before[0]:.0f} and {before[1]:.0f} off, then {there:.1f} and {back:.1f}")
    assert there < before[0] / 2 and back < before[1] / 2


def fine(pictures):
    """What a mean over 3 x 3 pixels takes from the colours, weighed."""
    colours = np.asarray(pictures) - np.mean(pictures, axis=-1, keepdims=True)
    smooth = np.lib.stride_tricks.sliding_window_view(colours, (3, 3), (1, 2)).mean((-2, -1))
    return FINE_COLOUR_WEIGHT * np.abs(colours[:, 1:-1, 1:-1] - smooth).mean()


def test_fine_colours_are_neither_light_and_dark_nor_broad_ones():
    flat, rows = np.zeros((1, 16, 16, 3), "float32"), np.arange(16, dtype="float32").reshape(1, 16, 1, 1)
    assert float(fine_colour(flat + np.float32([1, -1, 0]))) == float(fine_colour(flat + rows % 2)) == 0
    assert float(fine_colour(flat + rows / 16 * np.float32([1, -1, 0]))) == pytest.approx(0, abs=1e-6)
    speck = flat.copy()
    speck[0, 8, 8] = 0.9, 0, 0.9
    assert float(fine_colour(speck)) == pytest.approx((8 + 8) / 9 * 1.2 / 14 ** 2 / 3, rel=1e-4)


def test_colours_far_from_the_photo_and_red_ones_cost_something_where_it_is_plain_and_nowhere_else():
    photo = np.zeros((1, 32, 32, 3), "float32")
    photo[:, :, 16:] = np.indices((32, 16, 1)).sum(0) % 2 - 0.5  # twigs, to the right
    painted = lambda *colour: np.broadcast_to(np.float32(colour), photo.shape)  # noqa: E731
    cost = lambda picture, until=16: float(plain_colour(photo[:, :, :until], picture[:, :, :until]))  # noqa: E731
    gold = painted(0.6, 0.3, -0.9)
    assert cost(gold) == pytest.approx(np.hypot(np.hypot(0.6, 0.3), 0.9) - FAR, rel=1e-3)
    assert cost(gold, 32) == pytest.approx(cost(gold) * 8 / 24, rel=1e-3)  # of 32 columns 24 are looked at; 8 of them see no twig
    assert cost(painted(0.25, -0.25, 0)) == pytest.approx(0.5 - RED, rel=1e-3)  # dull, but red
    assert cost(painted(0.8, 0.9, 1.0)) == cost(painted(-0.5, -0.4, -0.7)) == 0  # light or dark, and of any pale colour
    gold_photo = np.broadcast_to(np.float32([0.6, 0.4, -0.8]), photo.shape)
    assert float(plain_colour(gold_photo, gold)) == 0  # as the photo


def one_step(name, model, lessons):
    """What the terms of a judged step come to, and the names of the networks that it moves."""
    parts = {part: getattr(model, part) for part in ("bloom", "flower_judge", "frost", "rime_judge")}
    before = {part: network.get_weights() for part, network in parts.items()}
    pupil.learn(name, model, lessons)
    return ({term: float(each.result()) for term, each in model.trackers.items()},
            {part for part, network in parts.items()
             if any(not np.array_equal(*each) for each in zip(before[part], network.get_weights(), strict=True))})


@pytest.mark.usefixtures("untraced")
def test_beside_a_discriminator_bloom_alone_learns_from_its_teacher_and_from_paintings(pairs, monkeypatch):
    """Its two terms are what the formulas say, and the discriminator learns to tell paintings from its pictures."""
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=2, steps=1, learning_rate=1e-3,
                             augment="none", discriminator_filters=4, teacher_weight=3.0, pool_size=0, averaging=0.0)
    networks, info = pair.load_pair(pairs[0])
    monkeypatch.setattr(judged, "FAR", 0.0)  # so small a network paints nearly in grey
    model = JudgedBloom(replace(settings, **info["networks"]), networks, calm_skies=True)
    photos, flowers = [drawn.rime(each, 32) for each in range(4)], [drawn.flower(each, 32) for each in range(3)]
    lessons = pupil.BesideReal([(photo, 255 - photo) for photo in photos], settings, flowers)
    (photo, flower), sought = lessons[0]
    assert photo.shape == flower.shape == sought.shape == (2, 32, 32, 3) and np.allclose(photo, -sought, atol=1e-6)
    assert any(np.allclose(flower[0], to_float(turned), atol=1e-6) for each in flowers for turned in (each, each[:, ::-1]))
    painted = np.asarray(networks["bloom"](photo))
    verdicts = [keras.ops.convert_to_numpy(model.flower_judge(each)) for each in (painted, flower)]
    before = networks["bloom"].get_weights()
    told, moved = one_step("bloom", model, lessons)
    assert told == pytest.approx({"teacher_flower": 3 * np.abs(painted - sought).mean(),
                                  "adversarial_flower": ((verdicts[0] - 1) ** 2).mean(),
                                  "discriminator_flower": ((verdicts[1] - 1) ** 2).mean() / 2 + (verdicts[0] ** 2).mean() / 2,
                                  "fine_colour_flower": fine(painted),
                                  "plain_colour": PLAIN_COLOUR_WEIGHT * float(plain_colour(photo, painted))}, rel=1e-4)
    assert told["plain_colour"] > 0
    assert moved == {"bloom", "flower_judge"}
    assert all(np.array_equal(*each) for each in zip(before, networks["bloom"].get_weights(), strict=True))


@pytest.mark.usefixtures("untraced")
def test_beside_a_discriminator_frost_learns_from_its_teacher_from_photos_and_the_way_back(pairs):
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=2, steps=1, learning_rate=1e-3,
                             augment="none", discriminator_filters=4, teacher_weight=3.0, cycle_weight=7.0, pool_size=0,
                             averaging=0.0)
    networks, info = pair.load_pair(pairs[0])
    model = JudgedFrost(replace(settings, **info["networks"]), networks)
    photos, flowers = [drawn.rime(each, 32) for each in range(4)], [drawn.flower(each, 32) for each in range(3)]
    back = pupil.Lessons([(255 - photo, photo) for photo in photos], settings)
    lessons = pupil.BesideReal([(flower, flower // 2) for flower in flowers], settings, photos, back)
    (flower, real, painting), (sought, photo) = lessons[0]
    assert np.allclose(flower, 2 * sought + 1, atol=4 / 255) and np.allclose(painting, -photo, atol=1e-6)
    assert any(np.allclose(real[0], to_float(turned), atol=1e-6) for each in photos for turned in (each, each[:, ::-1]))
    made, again = (np.asarray(networks["frost"](each)) for each in (flower, painting))
    verdicts = [keras.ops.convert_to_numpy(model.rime_judge(each)) for each in (made, real)]
    told, moved = one_step("frost", model, lessons)
    assert told == pytest.approx({"teacher_rime": 3 * np.abs(made - sought).mean(),
                                  "adversarial_rime": ((verdicts[0] - 1) ** 2).mean(),
                                  "discriminator_rime": ((verdicts[1] - 1) ** 2).mean() / 2 + (verdicts[0] ** 2).mean() / 2,
                                  "fine_colour_rime": fine(made), "cycle_rime": 7 * np.abs(again - photo).mean()}, rel=1e-4)
    assert moved == {"frost", "rime_judge"}


def test_beside_a_discriminator_both_learn_and_a_moved_photo_is_to_become_the_moved_painting(pairs, monkeypatch):
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=2, steps=1, learning_rate=1e-3,
                             augment="none", discriminator_filters=4, teacher_weight=3.0, cycle_weight=7.0, cycle_noise=0.0,
                             pool_size=0, averaging=0.0)
    networks, info = pair.load_pair(pairs[0])
    model = JudgedBoth(replace(settings, **info["networks"]), networks)
    moved = lambda each: shift(each, *(np.full((2, 1, 1, 1), pixels, "float32") for pixels in (2, 1)))  # noqa: E731
    monkeypatch.setattr(model, "moved", lambda *both: [moved(each) for each in both])
    photos, flowers = [drawn.rime(each, 32) for each in range(4)], [drawn.flower(each, 32) for each in range(3)]
    lessons = pupil.BesideReal([(photo, 255 - photo) for photo in photos], settings, flowers)
    (photo, flower), sought = lessons[0]
    bloom, frost = networks["bloom"], networks["frost"]
    painted = bloom(photo)
    terms = {"teacher_flower": 3 * np.abs(painted - sought).mean(),
             "adversarial_flower": np.mean((keras.ops.convert_to_numpy(model.flower_judge(painted)) - 1) ** 2),
             "fine_colour_flower": fine(painted),
             "moved_flower": MOVED_WEIGHT * np.abs(bloom(moved(photo)) - moved(painted)).mean(),
             "cycle_rime": 7 * np.abs(frost(moved(painted)) - moved(photo)).mean()}
    assert terms["moved_flower"] > 0.01  # what its grid of 4 pixels leaves
    told, learned = one_step("both", model, lessons)
    assert told.pop("discriminator_flower") > 0
    assert told == pytest.approx(terms, rel=1e-4)
    assert learned == {"bloom", "frost", "flower_judge"}


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_a_discriminator_learns_to_tell_paintings_from_what_the_teacher_painted(norm):
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=2, steps=60, learning_rate=3e-3,
                             discriminator_filters=8, discriminator_norm=norm)
    photos, flowers = [drawn.rime(each, 32) for each in range(4)], [drawn.flower(each, 32) for each in range(4)]
    lessons = pupil.Verdicts([(photo, photo) for photo in photos], settings, flowers)
    pictures, verdicts = lessons[0]
    assert pictures.shape == (4, 32, 32, 3) and verdicts.ravel().tolist() == [1, 1, 0, 0]
    network = discriminator(8, 3, norm)
    loss = pupil.learn("discriminator", network, lessons)
    real, fake = (keras.ops.convert_to_numpy(network(to_float(np.stack(each)))).mean() for each in (flowers, photos))
    print(f"{norm}: loss {loss:.3f}, paintings {real:.2f}, photos {fake:.2f}")
    assert real > fake + 0.2


def test_a_pair_that_a_discriminator_judged_is_written_while_it_learns(pairs, drawn_folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pupil, "KEEP_STEPS", 2)
    command = [*options(pairs, drawn_folder, tmp_path / "out"), "--bloom-steps=3", "--frost-steps=0", "--calm-skies",
               "--teacher-weight=2", "--judge-steps=4", "--discriminator-filters=4", "--no-zoom"]
    written, save = [], pair.save_pair
    monkeypatch.setattr(pair, "save_pair", lambda folder, networks, info: written.append(save(folder, networks, info)))
    with caplog.at_level("INFO", "r2f"):
        assert pupil.main(command) == 0
    assert len(written) == 2
    assert any(line.startswith("discriminator: step 4 of 4, loss ") for line in caplog.messages)
    said = next(line for line in caplog.messages if line.startswith("bloom: step 3 of 3"))
    assert {each.split()[0] for each in said.split(", ")[1:]} == {"loss", "teacher_flower", "adversarial_flower",
                                                                  "discriminator_flower", "fine_colour_flower", "plain_colour"}
    before, after = (pair.read_pair_json(each)["files"] for each in (pairs[0], tmp_path / "out"))
    assert before["frost.safetensors"] == after["frost.safetensors"] and before["bloom.safetensors"] != after["bloom.safetensors"]
    assert pupil.main([*command[:-3], "--teacher-weight=-1"]) == 2


@pytest.mark.usefixtures("untraced")
def test_bloom_learns_on_together_with_frost_after_a_discriminator_judged_it(pairs, drawn_folder, tmp_path, monkeypatch):
    """And the same command gives the same pair, whatever was drawn by chance before."""
    command = [*options(pairs, drawn_folder, tmp_path / "out"), "--bloom-steps=2", "--frost-steps=0", "--teacher-weight=2",
               "--judge-steps=1", "--discriminator-filters=4", "--together-steps=3"]
    monkeypatch.setattr(pupil, "KEEP_STEPS", 2)  # once after bloom's steps, once among those of both, once at the end
    written, save = [], pair.save_pair
    monkeypatch.setattr(pair, "save_pair", lambda folder, *given: (save(folder, *given),
                                                                   written.append(pair.read_pair_json(folder)["files"])))
    for _ in range(2):
        assert pupil.main(command) == 0
    first, again = written[:3], written[3:]
    assert first == again
    assert first[0]["bloom.safetensors"] != first[2]["bloom.safetensors"]


def test_frost_alone_can_be_judged(pairs, drawn_folder, tmp_path, caplog):
    command = [*options(pairs, drawn_folder, tmp_path / "out"), "--bloom-steps=0", "--frost-steps=3", "--teacher-weight=1",
               "--judge-steps=2", "--discriminator-filters=4"]
    with caplog.at_level("INFO", "r2f"):
        assert pupil.main(command) == 0
    said = next(line for line in caplog.messages if line.startswith("frost: step 3 of 3"))
    assert {each.split()[0] for each in said.split(", ")[1:]} == {"loss", "teacher_rime", "adversarial_rime",
                                                                  "discriminator_rime", "fine_colour_rime", "cycle_rime"}
    before, after = (pair.read_pair_json(each)["files"] for each in (pairs[0], tmp_path / "out"))
    assert before["bloom.safetensors"] == after["bloom.safetensors"] and before["frost.safetensors"] != after["frost.safetensors"]


def test_the_weights_are_asked_for_before_they_are_kept(monkeypatch):
    """On JAX they are with the training until a callback asks for its model."""
    monkeypatch.setattr(pupil, "KEEP_STEPS", 2)
    order = []
    monkeypatch.setattr(pupil.Progress, "model", property(lambda self: order.append("asked")))
    progress = pupil.Progress("bloom", 9, lambda: order.append("kept"))
    for index in range(4):
        progress.on_train_batch_end(index, {})
    assert order == ["asked", "kept"] * 2


def test_bloom_can_be_left_as_it_is(pairs, drawn_folder, tmp_path, monkeypatch):
    asked, paint, networks = [], Bloomer.paint, pair.read_pair_json(pairs[1])["networks"]
    monkeypatch.setattr(Bloomer, "paint", lambda self, name, picture: asked.append(
        name if self.info["networks"] == networks else "its own") or paint(self, name, picture))
    assert pupil.main([*options(pairs, drawn_folder, tmp_path / "out"), "--bloom-steps=0", "--frost-steps=3"]) == 0
    before, after = (pair.read_pair_json(each)["files"] for each in (pairs[0], tmp_path / "out"))
    assert before["bloom.safetensors"] == after["bloom.safetensors"] and before["frost.safetensors"] != after["frost.safetensors"]
    assert pair.read_pair_json(tmp_path / "out")["step"] == 3
    assert asked == ["frost"] * 5 + ["its own"] * 6  # no teacher painted a photo in vain


def test_bloom_learns_what_it_is_shown(pairs):
    """One picture, its negative: the loss falls to a small part."""
    network = pair.load_pair(pairs[0])[0]["bloom"]
    photo = drawn.rime(1, 32)
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=1, learning_rate=3e-3)
    first = pupil.learn("bloom", network, pupil.Lessons([(photo, 255 - photo)], replace(settings, steps=1)))
    last = pupil.learn("bloom", network, pupil.Lessons([(photo, 255 - photo)], replace(settings, steps=150)))
    print(f"L1 {first:.3f}, then {last:.3f}")
    assert last < first / 2


def test_crops_of_both_are_of_the_same_place():
    picture = np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    settings = config.preset("lite", image_size=32, load_size=40, zoom=False, batch_size=3, steps=4)
    lessons = pupil.Lessons([(picture, 255 - picture)] * 2, settings)
    assert len(lessons) == 4
    for step in range(4):
        x, y = lessons[step]
        assert x.shape == y.shape == (3, 32, 32, 3) and np.allclose(x, -y, atol=1e-6)
    zoomed = pupil.Lessons([(picture, 255 - picture)] * 2, replace(settings, zoom=True))
    x, y = zoomed[0]
    assert x.shape == (3, 32, 32, 3) and np.allclose(x, -y, atol=3 / 255)  # rounded on either side


@pytest.mark.parametrize("shape, size", [((40, 60), (40, 60)), ((40, 100), (40, 60)), ((90, 40), (60, 40))])
def test_what_is_long_is_cut_to_its_middle(shape, size):
    down, along = np.mgrid[:shape[0], :shape[1]]
    cut = pupil.middle(np.stack([down, along, along], axis=-1))
    assert cut.shape == (*size, 3)
    for axis in (0, 1):
        assert cut[..., axis].min() + cut[..., axis].max() == shape[axis] - 1


def interrupted(monkeypatch, name, presses=1):
    """Ctrl-C in the sixth step of a lesson; gives a list of the last step of each."""
    said, steps = pupil.Progress.on_train_batch_end, {}

    def step(self, index, logs=None):
        if self.name == name and index == 5:
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
        said(self, index, logs)
        steps[self.name] = index + 1

    monkeypatch.setattr(pupil.Progress, "on_train_batch_end", step)
    return steps


@pytest.fixture
def heard():
    """Ctrl-C as a person's program has it; tests that run in the background of a script inherit that it is ignored."""
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, ours)


@pytest.mark.usefixtures("untraced", "heard")
def test_stopped_it_keeps_what_it_learned(pairs, monkeypatch, caplog):
    network = pair.load_pair(pairs[0])[0]["bloom"]
    before = network.get_weights()
    photo = np.zeros((32, 32, 3), np.uint8)
    steps, kept = interrupted(monkeypatch, "bloom"), []
    settings = config.preset("lite", image_size=32, load_size=32, zoom=False, batch_size=1, steps=9)
    handler = signal.getsignal(signal.SIGINT)
    with caplog.at_level("INFO", "r2f"):
        pupil.learn("bloom", network, pupil.Lessons([(photo, 255 - photo)], settings), lambda: kept.append(network.get_weights()))
    assert "stopped" in caplog.text and steps == {"bloom": 6}
    assert any(not np.array_equal(*each) for each in zip(before, network.get_weights(), strict=True))
    assert len(kept) == 1 and all(map(np.array_equal, kept[0], network.get_weights()))
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.usefixtures("untraced", "heard")
def test_ctrl_c_ends_a_lesson_and_a_second_one_the_program_and_both_leave_the_pair(pairs, drawn_folder, tmp_path, monkeypatch,
                                                                                   capsys):
    command = [*options(pairs, drawn_folder, tmp_path / "out"), "--bloom-steps=7", "--frost-steps=7"]
    with monkeypatch.context() as patch:
        steps = interrupted(patch, "bloom")
        assert pupil.main(command) == 0
    assert steps == {"bloom": 6, "frost": 7}
    first = pair.read_pair_json(tmp_path / "out")["files"]
    monkeypatch.setattr(pupil, "KEEP_STEPS", 3)
    interrupted(monkeypatch, "frost", presses=2)
    assert pupil.main(command) == 130
    assert capsys.readouterr().err.endswith(f"Stopped; {tmp_path / 'out'} is as it was written last, if at all.\n")
    last = pair.read_pair(tmp_path / "out")[1]["files"]
    assert last["bloom.safetensors"] != first["bloom.safetensors"] and last["frost.safetensors"] != first["frost.safetensors"]


@pytest.mark.usefixtures("untraced")
def test_a_full_disk_ends_no_lesson_but_the_program_if_it_is_full_to_the_end(pairs, drawn_folder, tmp_path, monkeypatch, capsys,
                                                                            caplog):
    monkeypatch.setattr(pupil, "KEEP_STEPS", 2)
    command = [*options(pairs, drawn_folder, tmp_path / "out"), "--bloom-steps=5", "--frost-steps=0"]
    save, tried = pair.write_arrays, []

    def full(times):
        def write(*given):
            tried.append(len(tried))
            if len(tried) <= times:
                raise OSError(errno.ENOSPC, "No space left on device")
            save(*given)
        return write

    monkeypatch.setattr(pair, "write_arrays", full(1))
    with caplog.at_level("INFO", "r2f"):
        assert pupil.main(command) == 0
    said = next(line for line in caplog.messages if "full" in line)
    assert said.startswith(f"bloom: The pair was not written: the disk of {tmp_path} is full (") and "free some" in said
    assert pair.read_pair_json(tmp_path / "out")["step"] == 5 and len(tried) == 1 + 2 + 2
    before = (tmp_path / "out" / "pair.json").read_bytes()
    tried.clear()
    monkeypatch.setattr(pair, "write_arrays", full(99))
    capsys.readouterr()
    assert pupil.main(command) == 5
    assert len(tried) == 3 and (tmp_path / "out" / "pair.json").read_bytes() == before
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("The pair was not written: the disk of")


def test_a_disk_that_fills_while_the_teacher_paints_leaves_what_it_painted(pairs, drawn_folder, tmp_path, monkeypatch, capsys):
    write, written = pupil.write_picture, []

    def full(picture, path):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(picture, path)
        written.append(path)

    monkeypatch.setattr(pupil, "write_picture", full)
    assert pupil.main([*options(pairs, drawn_folder, tmp_path / "out"), f"--paintings={tmp_path / 'kept'}"]) == 5
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"A painting was not kept: the disk of {tmp_path / 'kept'} is full (") and "not painted again" in last
    assert sorted((tmp_path / "kept").iterdir()) == sorted(written) and not (tmp_path / "out").exists()


def test_where_no_pair_can_be_written_nothing_is_painted(pairs, drawn_folder, tmp_path, monkeypatch, capsys):
    """What is in the folder stays, and the pairs that are learned from do."""
    monkeypatch.setattr(pupil, "painted", lambda *given: pytest.fail("painted in vain"))
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "empty"):
        (tmp_path / name).mkdir()
    for name in ("mine/photo.jpg", "file"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "link").symlink_to("empty")
    before = sorted(tmp_path.rglob("*"))
    for out, word in (("mine", "photo.jpg"), (".", "no name"), ("file", "is a file"), ("link", "is a link"),
                      ("file/out", "can't be written"), (pairs[0], "stays as it is"), (pairs[1], "stays as it is")):
        assert pupil.main(options(pairs, drawn_folder, out)) == 2, out
        said = capsys.readouterr().err
        assert word in said and said.endswith(".\n") and said.count("\n") == 1, said
    strokes = made(tmp_path.parent / f"{tmp_path.name}-strokes", 3)
    for out, more, word in ((strokes, f"--strokes={strokes}", "stays as it is"), ("new", "--paintings=file", "can't be written"),
                            ("new", "--paintings=new/kept", "for the pair alone")):
        assert pupil.main([*options(pairs, drawn_folder, out), more]) == 2
        said = capsys.readouterr().err
        assert word in said and said.count("\n") == 1, said
    assert sorted(tmp_path.rglob("*")) == before


def described_anew(folder, change):
    """A pair whose pair.json describes its networks otherwise."""
    info = json.loads((folder / "pair.json").read_text())
    change(info["networks"])
    (folder / "pair.json").write_text(json.dumps(info))
    return folder


@pytest.mark.usefixtures("untraced")
def test_a_pair_that_says_less_or_more_of_its_networks_learns_beside_a_discriminator(pairs, drawn_folder, tmp_path, monkeypatch,
                                                                                     capsys):
    """Older pairs say nothing of `norm`, those of import-h5 say `epsilon_on`."""
    older = described_anew(made(tmp_path / "older", 3, norm="everywhere"), lambda said: said.pop("norm"))
    imported = described_anew(made(tmp_path / "imported", 4), lambda said: said.update(epsilon_on="variance"))
    more = ["--bloom-steps=2", "--frost-steps=0", "--teacher-weight=1", "--judge-steps=0", "--discriminator-filters=4"]
    for each in (older, imported):
        assert pupil.main([*options((each, pairs[1]), drawn_folder, tmp_path / "out"), *more]) == 0
        before, after = (pair.read_pair(folder)[1] for folder in (each, tmp_path / "out"))
        assert after["networks"] == before["networks"] and after["files"] != before["files"]
    other = described_anew(made(tmp_path / "other", 4), lambda said: said.update(epsilon_on="deviation"))
    monkeypatch.setattr(pupil, "painted", lambda *given: pytest.fail("painted in vain"))
    capsys.readouterr()
    assert pupil.main([*options((other, pairs[1]), drawn_folder, tmp_path / "out"), *more]) == 2
    said = capsys.readouterr().err
    assert f"{other} came from .h5 files" in said and "leave --teacher-weight away" in said and said.count("\n") == 1


def test_calm_skies_need_a_discriminator(pairs, drawn_folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        pupil.main([*options(pairs, drawn_folder, tmp_path / "out"), "--calm-skies"])
    assert "--calm-skies is for learning beside a discriminator; add --teacher-weight" in capsys.readouterr().err


def test_calm_skies_are_refused_where_bloom_learns_nothing(pairs, drawn_folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        pupil.main([*options(pairs, drawn_folder, tmp_path / "out"), "--calm-skies", "--teacher-weight=3", "--bloom-steps=0",
                    "--together-steps=0", "--frost-steps=3"])
    assert "frost alone learns here; leave it away" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_named(pairs, drawn_folder, tmp_path, capsys):
    given = options(pairs, drawn_folder, tmp_path / "out")
    for wrong, word in ((f"--teacher={tmp_path / 'nowhere'}", "nowhere"), (f"--rime={tmp_path / 'nothing'}", "nothing"),
                        ("--side=30", "image_size")):
        assert pupil.main([*given, wrong]) == 2
        said = capsys.readouterr().err
        assert word in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
