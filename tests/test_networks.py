"""The networks are those of the papers: what they see, how many parameters they have, what they take."""

from itertools import combinations, product

import keras
import numpy as np
import pytest
from keras import layers, ops
from objective_backend import gradients

from r2f import config, networks
from r2f.networks import InstanceNorm, NarrowConv2D, ReflectPad, ResizeConv2D, SpectralConv2D, discriminator, generator

SMALL = dict(filters=4, blocks=2)
SEPARABLE = dict(**SMALL, separable=True, upsampling="transposed")
IN_BLOCKS = dict(**SMALL, norm="blocks")
CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose, layers.SeparableConv2D)


def pictures(height, width, count=1):
    return np.random.default_rng(0).uniform(-1, 1, (count, height, width, 3)).astype("float32")


def run(network, x):
    return ops.convert_to_numpy(network(x))


@pytest.mark.parametrize("strides, expected", [(3, 70), (4, 142)])
def test_one_verdict_sees_a_patch_of(strides, expected, monkeypatch):
    """Measured: the part of the picture where the gradient of one verdict is not zero.

    Instance norm is taken out, because its statistics are of the whole picture; the weights are all positive,
    so that no two paths cancel.
    """
    monkeypatch.setattr(networks.InstanceNorm, "call", lambda self, x: x)
    judge = discriminator(strides=strides) if strides == 3 else discriminator(filters=8, strides=strides)
    for layer in judge.layers:
        layer.set_weights([np.full(weight.shape, 1 / weight[..., 0].size if weight.ndim == 4 else 0)
                           for weight in layer.get_weights()])

    def one_verdict(x):
        verdicts = judge(x)
        return verdicts[0, verdicts.shape[1] // 2, verdicts.shape[2] // 2, 0]

    side = 2 * expected + 2 ** (strides + 1)
    (gradient,) = gradients(one_verdict, [np.ones((1, side, side, 3), "float32")])
    rows, columns = np.nonzero(gradient[0].sum(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (expected, expected)
    assert len(rows) == expected ** 2  # no hole in it


def test_a_discriminator_gives_a_map_of_verdicts_in_float32():
    verdicts = run(discriminator(filters=4), pictures(64, 96, count=2))
    assert verdicts.shape == (2, 8, 12, 1) and verdicts.dtype == np.float32
    assert run(discriminator(filters=4, strides=4), pictures(64, 96)).shape == (1, 4, 6, 1)


def test_one_generator_takes_pictures_of_any_height_and_width():
    network = generator(**SMALL)
    assert network.input_shape == (None, None, None, 3)
    for height, width in ((32, 32), (36, 52), (64, 40), (8, 100)):
        painting = run(network, pictures(height, width, count=2))
        assert painting.shape == (2, height, width, 3)
        assert np.abs(painting).max() <= 1


@pytest.mark.parametrize("residual, upsampling, padding, separable", list(product(
    ("add", "concat"), ("resize", "transposed"), ("reflect", "zero"), (False, True))))
def test_every_kind_of_generator_builds_and_runs(residual, upsampling, padding, separable):
    network = generator(4, 2, residual, upsampling, padding, separable)
    assert run(network, pictures(32, 40)).shape == (1, 32, 40, 3)
    kinds = [type(layer) for layer in network.layers]
    assert (layers.Concatenate in kinds, layers.Add in kinds) == (residual == "concat", residual == "add")
    assert kinds.count(ResizeConv2D) == (2 if upsampling == "resize" else 0)
    assert kinds.count(layers.Conv2DTranspose) == (2 if upsampling == "transposed" else 0)
    assert kinds.count(layers.SeparableConv2D) == (2 * SMALL["blocks"] if separable else 0)


@pytest.mark.parametrize("border, around", [("symmetric", ReflectPad(1)), ("constant", layers.ZeroPadding2D(1))])
@pytest.mark.parametrize("bias", [False, True])
def test_resize_and_convolution_in_one_are_the_two_one_after_the_other(border, around, bias):
    x = np.random.default_rng(0).normal(size=(2, 9, 14, 5)).astype("float32")
    one, convolution = ResizeConv2D(6, border, use_bias=bias), layers.Conv2D(6, 3, use_bias=bias)
    enlarged = around(layers.UpSampling2D(2, interpolation="nearest")(x))
    expected = run(convolution, enlarged)
    assert run(one, x).shape == expected.shape == (2, 18, 28, 6)
    weights = [np.random.default_rng(1).normal(size=weight.shape) for weight in convolution.get_weights()]
    one.set_weights(weights)
    convolution.set_weights(weights)
    expected = run(convolution, enlarged)
    assert np.abs(run(one, x) - expected).max() < 1e-5 * np.abs(expected).max()
    same = ResizeConv2D.from_config(one.get_config())
    assert (same.border, same.filters, same.use_bias) == (border, 6, bias)


@pytest.mark.parametrize("dtype, error", [("float32", 1e-5), ("mixed_bfloat16", 0)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_to_few_channels_is_a_convolution(dtype, error, bias):
    x = np.random.default_rng(0).normal(size=(2, 15, 12, 5)).astype("float32")
    one, convolution = (kind(3, 7, use_bias=bias, dtype=dtype) for kind in (NarrowConv2D, layers.Conv2D))
    one.build(x.shape)
    convolution.build(x.shape)
    weights = [np.random.default_rng(1).normal(size=weight.shape) for weight in convolution.get_weights()]
    one.set_weights(weights)
    convolution.set_weights(weights)
    expected = run(convolution, x)
    assert run(one, x).shape == expected.shape == (2, 9, 6, 3)
    assert np.abs(run(one, x) - expected).max() <= error * np.abs(expected).max()


def test_a_concatenating_block_widens_by_four_times_the_filters():
    network = generator(**SMALL, residual="concat")
    widths = [layer.output.shape[-1] for layer in network.layers if isinstance(layer, layers.Concatenate)]
    assert widths == [4 * 4 * 2, 4 * 4 * 3]


def test_reflect_padding_leaves_no_halo_at_the_border_and_zero_padding_does():
    plain = np.full((1, 32, 32, 3), 0.5, "float32")
    reflect, zero = (np.ptp(run(generator(**SMALL, padding=kind), plain)) for kind in ("reflect", "zero"))
    assert reflect < 1e-4 < 1e-2 < zero


def test_norms_in_the_blocks_alone_let_brightness_and_hue_through_and_norms_everywhere_do_not():
    """A photo and the same with a tint: instance norm after the first convolution takes the tint away again."""
    photo = pictures(32, 32) / 2
    tinted = photo + np.array([0.3, -0.1, -0.3], "float32")
    inside = slice(8, -8)  # mirrored borders are tinted, too, but norms see all of the picture
    everywhere, blocks = (
        np.abs(run(network, tinted) - run(network, photo))[:, inside, inside].max() / np.abs(run(network, photo)).max()
        for network in (generator(**SMALL), generator(**IN_BLOCKS)))
    print(f"\na tint changes what an untrained generator makes by {everywhere:.6f} and {blocks:.3f} of its largest value")
    assert everywhere < 1e-3 < 0.05 < blocks


def test_without_outer_norms_a_block_begins_as_the_identity():
    network = generator(**IN_BLOCKS)
    adds = [layer for layer in network.layers if isinstance(layer, layers.Add)]
    before, after = (run(keras.Model(network.input, tensor), pictures(32, 32)) for tensor in (adds[0].input[0], adds[-1].output))
    np.testing.assert_array_equal(before, after)


def test_the_generators_have_as_many_parameters_as_the_published_and_the_seeds():
    """The seed's had a bias in front of each instance norm too, without effect: part of its 35.28 million."""
    published = generator(**config.preset("paper").generator_arguments).count_params()
    concatenating = generator(**config.preset("seed").generator_arguments)
    biases = sum(layer.gamma.shape[0] for layer in concatenating.layers if isinstance(layer, InstanceNorm))
    print(f"\npaper {published:,}, seed {concatenating.count_params():,} and {biases:,} parameters")
    assert 11_380_000 <= published <= 11_390_000
    assert round((concatenating.count_params() + biases) / 1e6, 2) == 35.28


def test_no_two_layers_start_with_equal_weights():
    """One initializer object shared by two layers would give them the same weights."""
    all_networks = (generator(**SMALL), generator(**SEPARABLE), discriminator(4), discriminator(4))
    weights = [weight for network in all_networks for weight in network.get_weights()]
    kernels = [weight.ravel() for weight in weights if weight.ndim == 4]
    assert len(kernels) > 20
    for a, b in combinations(kernels, 2):
        shorter = min(a.size, b.size)
        assert (a[:shorter] != b[:shorter]).any()


def test_every_kernel_starts_with_the_papers_spread():
    for network in (generator(**SMALL), generator(**SEPARABLE), discriminator(16)):
        weights = np.concatenate([weight.ravel() for weight in network.get_weights() if weight.ndim == 4])
        assert abs(weights.std() - 0.02) < 4 * 0.02 / np.sqrt(2 * weights.size)


def test_instance_norm_equals_group_normalization_with_a_group_for_each_channel():
    chance = np.random.default_rng(0)
    x = chance.normal(3, 5, (2, 12, 20, 6)).astype("float32")
    ours, theirs = InstanceNorm(), layers.GroupNormalization(groups=-1, epsilon=1e-5)
    weights = [chance.normal(size=6), chance.normal(size=6)]
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights(weights)
    assert np.abs(run(ours, x) - run(theirs, x)).max() < 1e-5


def test_instance_norm_does_not_look_at_the_other_pictures_of_a_batch():
    x = pictures(16, 16, count=3)
    layer = InstanceNorm()
    np.testing.assert_allclose(run(layer, x)[1], run(layer, x[1:2])[0], atol=1e-6)


@pytest.mark.parametrize("make", [generator, discriminator])
def test_mixed_precision_computes_in_bfloat16_and_gives_float32(make):
    options = SMALL if make is generator else dict(filters=4)
    mixed, full = make(**options, dtype="mixed_bfloat16"), make(**options, dtype="float32")
    mixed.set_weights(full.get_weights())
    x = pictures(32, 32)
    assert run(mixed, x).dtype == run(full, x).dtype == np.float32
    assert {keras.backend.standardize_dtype(v.dtype) for v in mixed.variables} == {"float32"}
    assert {layer.compute_dtype for layer in mixed.layers if isinstance(layer, CONVOLUTIONS)} == {"bfloat16"}
    assert 0 < np.abs(run(mixed, x) - run(full, x)).max() < 0.05


@pytest.mark.parametrize("network", [
    lambda: generator(**SMALL),
    lambda: generator(**SEPARABLE),
    lambda: generator(**SMALL, norm_before_tanh=True),
    lambda: generator(**IN_BLOCKS),
    lambda: generator(**IN_BLOCKS, upsampling="transposed"),
    lambda: discriminator(4),
    lambda: discriminator(4, strides=4),
    lambda: discriminator(4, norm="spectral"),
    lambda: discriminator(4, norm="both"),
], ids=["generator", "separable, transposed", "norm before tanh", "norms in blocks", "norms in blocks, transposed",
        "discriminator", "discriminator of 142", "spectral", "both"])
def test_a_convolution_has_a_bias_exactly_where_no_instance_norm_follows(network):
    """Instance norm takes a bias away again: it would be trained by rounding errors."""
    network = network()
    norms = [layer for layer in network.layers if isinstance(layer, InstanceNorm)]
    convolutions = [layer for layer in network.layers if isinstance(layer, CONVOLUTIONS)]
    before_norm = [norm.input._keras_history.operation for norm in norms]
    assert all(layer in convolutions for layer in before_norm)
    for layer in convolutions:
        assert layer.use_bias == (layer not in before_norm), layer.name


def spectral_layer(**options):
    layer = SpectralConv2D(8, 4, strides=2, padding="same", use_bias=False, **options)
    layer.build((1, 16, 16, 5))
    layer.kernel.assign(np.random.default_rng(1).normal(0, 3, (4, 4, 5, 8)))
    return layer, np.random.default_rng(0).normal(size=(1, 16, 16, 5)).astype("float32")


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer, x = spectral_layer()
    largest = np.linalg.svd(ops.convert_to_numpy(layer.kernel).reshape(-1, 8), compute_uv=False)[0]
    plain = layers.Conv2D(8, 4, strides=2, padding="same", use_bias=False)
    plain.build(x.shape)
    plain.kernel.assign(layer.kernel / largest)
    for calls in (1, 100):
        for _ in range(calls):
            found = ops.convert_to_numpy(layer(x, training=True))
        apart = np.abs(found - run(plain, x)).max() / np.abs(found).max()
        print(f"\nafter {calls} calls off by a part of {apart:.1e}")
        assert apart < {1: 0.5, 100: 1e-5}[calls]


def test_spectral_norm_moves_its_vector_only_in_training_and_gives_the_same_kernel_without():
    layer, x = spectral_layer()
    before = ops.convert_to_numpy(layer.direction)
    judged = ops.convert_to_numpy(layer(x, training=False))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.direction), before)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), judged)
    assert (ops.convert_to_numpy(layer.direction) != before).any()


def test_the_length_of_a_spectral_kernel_has_no_gradient():
    """It is divided away; a singular value that were held still would leave one."""
    layer, x = spectral_layer()

    def loss(kernel):
        with keras.StatelessScope(state_mapping=[(layer.kernel, kernel), (layer.direction, layer.direction.value)]):
            return ops.sum(layer(x) ** 3)

    kernel = ops.convert_to_numpy(layer.kernel)
    (gradient,) = gradients(loss, [kernel])
    assert abs((gradient * kernel).sum()) < 1e-5 * np.linalg.norm(gradient) * np.linalg.norm(kernel)


def test_spectral_norm_computes_in_bfloat16_with_its_vector_in_float32():
    (mixed, x), (full, _) = spectral_layer(dtype="mixed_bfloat16"), spectral_layer()
    found, expected = (layer(x, training=True) for layer in (mixed, full))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(mixed.direction.dtype) == "float32"
    np.testing.assert_allclose(run(lambda x: ops.cast(x, "float32"), found), run(lambda x: x, expected), atol=0.1)
    np.testing.assert_allclose(ops.convert_to_numpy(mixed.direction), ops.convert_to_numpy(full.direction), atol=0.01)


def test_whatever_holds_it_steady_a_discriminator_starts_from_the_same_kernels():
    """So that an ablation changes one thing."""
    judges = {}
    for norm in ("instance", "spectral", "both"):
        keras.utils.set_random_seed(3)
        judges[norm] = discriminator(4, norm=norm)
        kinds = [type(layer) for layer in judges[norm].layers]
        assert (InstanceNorm in kinds, SpectralConv2D in kinds) == (norm != "spectral", norm != "instance")
        assert run(judges[norm], pictures(64, 96, count=2)).shape == (2, 8, 12, 1)
    kernels = [[weight for weight in judge.get_weights() if weight.ndim == 4] for judge in judges.values()]
    for first, *others in zip(*kernels, strict=True):
        assert all((first == other).all() for other in others)


def test_auto_precision_is_bfloat16_exactly_where_the_hardware_has_it(monkeypatch):
    for has, policy in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr(networks, "has_bfloat16", lambda has=has: has)
        assert networks.dtype_policy("auto") == policy
    assert networks.dtype_policy("bfloat16") == "mixed_bfloat16"
