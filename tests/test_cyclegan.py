"""One sum of losses has exactly the gradients of the published four updates, on each of the three backends.

objective_backend.py computes, in a process for each backend; here is what must hold. -s shows the figures.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from keras import ops
from objective_backend import NETWORKS

from r2f import checkpoint, config, train
from r2f.cyclegan import LIGHT_AGREEMENT, LIGHT_LOSSES, LOSSES, CycleGAN, light_lost

BACKENDS = ("tensorflow", "jax", "torch")
EAGER = ("tensorflow", "torch")  # JAX would compile every operation of what only these are asked
TOLERANCE = 1e-5  # part of the network's largest gradient; arithmetic is float32
TESTS = Path(__file__).parent

# The processor everywhere, because a GPU rounds float32 products; compile quickly rather than well; one
# thread, because on a busy machine PyTorch's would wait for each other.
ENVIRONMENT = dict(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu", JAX_DISABLE_MOST_OPTIMIZATIONS="1",
                   OMP_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")


class Report:
    """The arrays of one backend; a list of them is stored as `name/000`, `name/001`, ..."""

    def __init__(self, path: Path):
        with np.load(path) as file:
            self.arrays = dict(file)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def all(self, name: str) -> list[np.ndarray]:
        return [self.arrays[each] for each in sorted(self.arrays) if each.startswith(name + "/")]

    def by_network(self, name: str) -> dict[str, list[np.ndarray]]:
        arrays, counts = iter(self.all(name)), self.all("counts")
        networks = {network: list(islice(arrays, int(count)))
                    for network, count in zip(NETWORKS, counts, strict=True)}
        assert next(arrays, None) is None
        return networks


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A function from a backend's name to its Report; all of them are computed at the same time."""
    folder = tmp_path_factory.mktemp("objective")
    missing_torch = importlib.util.find_spec("torch") is None and not os.environ.get("CI")
    started, read = {}, {}
    for name in BACKENDS:
        if name == "torch" and missing_torch:
            continue
        with open(folder / f"{name}.log", "wb") as log:
            command = [sys.executable, TESTS / "objective_backend.py", folder / f"{name}.npz"]
            started[name] = subprocess.Popen(command, stdout=log, stderr=log,
                                             env={**os.environ, **ENVIRONMENT, "KERAS_BACKEND": name})

    def report(name: str) -> Report:
        if name not in started:
            pytest.skip("PyTorch is not installed: pip install torch (where CI is set, this fails instead)")
        if name not in read:
            if started[name].wait(timeout=600):
                log = (folder / f"{name}.log").read_text()
                pytest.fail(f"objective_backend.py failed on {name}:\n{log[-3000:]}", pytrace=False)
            read[name] = Report(folder / f"{name}.npz")
        return read[name]

    yield report
    for process in started.values():
        process.kill()
        process.wait()


@pytest.fixture(params=BACKENDS)
def backend(request, reports):
    reports(request.param)
    return request.param


def difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest difference, as a part of the largest expected value."""
    largest = max(np.abs(b).max() for b in expected)
    return max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True)) / largest


def differences(reports, backend: str, found: str, expected: str) -> list[float]:
    """One figure for each network; printed, because a promise with its figure says more."""
    reference = reports("tensorflow" if backend == "jax" else backend)
    theirs, ours = reference.by_network(expected), reports(backend).by_network(found)
    measured = {network: difference(ours[network], theirs[network]) for network in NETWORKS}
    figures = "  ".join(f"{network} {value:.1e}" for network, value in measured.items())
    print(f"\n{backend:10} {found:26} {figures}")
    return list(measured.values())


def test_a_step_of_fit_has_the_gradients_of_four_separate_updates(reports, backend):
    """Whatever `fit` compiles; read from the momenta of the optimizer."""
    assert max(differences(reports, backend, "fit", "reference")) < TOLERANCE


@pytest.mark.parametrize("backend", EAGER, indirect=True)
@pytest.mark.parametrize("without", ["", "_without_identity"])
def test_the_one_sum_has_the_gradients_of_four_separate_updates(reports, backend, without):
    assert max(differences(reports, backend, f"objective{without}", f"reference{without}")) < TOLERANCE


@pytest.mark.parametrize("backend", ["torch"], indirect=True)
def test_with_spectral_norm_and_gradient_penalty_too(reports, backend):
    """A slope is a small difference of two verdicts, so rounding weighs more."""
    assert max(differences(reports, backend, "objective_steady", "reference_steady")) < 5 * TOLERANCE


@pytest.mark.parametrize("backend", EAGER, indirect=True)
def test_the_comparison_finds_a_gradient_that_is_not_stopped(reports, backend):
    """Then the adversarial terms reach the discriminators, and the discriminators' terms the generators."""
    assert min(differences(reports, backend, "unstopped", "reference")) > 1000 * TOLERANCE


def test_the_three_backends_agree_on_the_losses(reports, backend):
    report, other = reports(backend), reports("tensorflow")
    for a, b in zip(report.all("start"), other.all("start"), strict=True):
        np.testing.assert_array_equal(a, b)
    ratio = np.abs(report["losses"] / other["losses"] - 1).max()
    print(f"\n{backend:10} losses differ from TensorFlow's by a part of at most {ratio:.1e}")
    assert len(report["losses"]) == len(LOSSES) + len(LIGHT_LOSSES) and ratio < TOLERANCE


def test_the_three_backends_agree_with_spectral_norm_and_gradient_penalty(reports, backend):
    """Also on where the power iterations stand after a step."""
    report, other = reports(backend), reports("tensorflow")
    ratio = np.abs(report["losses_steady"] / other["losses_steady"] - 1).max()
    apart = difference(report.all("directions"), other.all("directions"))
    print(f"\n{backend:10} losses differ by a part of at most {ratio:.1e}, directions by {apart:.1e}")
    assert ratio < TOLERANCE and apart < TOLERANCE
    for direction in report.all("directions"):  # and each has moved from its start, near ones, to a unit vector
        assert abs(np.linalg.norm(direction) - 1) < 1e-5


def test_all_four_networks_move_in_one_step_of_fit(reports, backend):
    before, after = reports(backend).by_network("start"), reports(backend).by_network("first_step")
    for network in NETWORKS:
        assert all((a != b).any() for a, b in zip(before[network], after[network], strict=True)), network


def test_the_averages_follow_one_step_behind_with_a_ramp(reports, backend):
    report = reports(backend)
    averages = [report.all(f"averages_{name}") for name in ("start", "first_step", "second_step")]
    # Bloom and frost come first among the weights.
    weights = [report.all(name)[:len(averages[0])] for name in ("start", "first_step")]
    for step, decay in ((0, 1 / 10), (1, 2 / 11)):
        for found, a, w in zip(averages[step + 1], averages[step], weights[step], strict=True):
            np.testing.assert_allclose(found, w + decay * (a - w), atol=1e-7)
    assert all((a != b).any() for a, b in zip(averages[2], averages[0], strict=True))


@pytest.mark.parametrize("backend", EAGER, indirect=True)
def test_an_identity_weight_of_0_leaves_its_passes_out(reports, backend):
    """Bloom sees the rime and frost's rime, two of each; with the identity term it also sees the flowers."""
    assert (reports(backend)["passes"], reports(backend)["passes_without_identity"]) == (6, 4)


def test_the_light_term_asks_only_that_light_and_dark_are_not_swapped():
    chance = np.random.default_rng(5)
    photos = chance.uniform(-1, 1, (3, 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2).astype("float32")
    plain = np.full_like(photos, 0.4) + chance.normal(0, 0.004, photos.shape).astype("float32")
    lost = lambda before, after: float(light_lost(before, after))  # noqa: E731
    assert lost(photos, photos) == lost(photos, 0.3 * photos - 0.5) == 0  # brightness and contrast are free
    assert lost(photos, photos[..., ::-1] ** 3) == 0  # and so are colours
    assert lost(photos, -photos) == pytest.approx(LIGHT_AGREEMENT + 1, abs=0.02)
    assert lost(photos, chance.uniform(-1, 1, photos.shape).astype("float32")) == pytest.approx(LIGHT_AGREEMENT, abs=0.1)
    assert lost(plain, -photos) < 0.05 * LIGHT_AGREEMENT + lost(plain, photos)
    mixed = np.stack([photos[0], -photos[1], photos[2]])
    assert lost(photos, mixed) == pytest.approx(lost(photos, -photos) / 3, abs=0.02)  # each picture by itself


def test_the_way_back_starts_from_a_picture_with_the_noise_of_the_configuration():
    small = dict(filters=2, blocks=1, discriminator_filters=2, image_size=32, load_size=32, pool_size=0)
    picture = np.zeros((1, 32, 32, 3), "float32")
    noise = np.asarray(CycleGAN(config.preset("r2f", cycle_noise=2.0, cycle_colour_noise=0.0, **small)).noisy(picture))
    expected = 2.0 / 127.5
    assert abs(noise.std() - expected) < 4 * expected / np.sqrt(2 * noise.size)
    assert abs(noise.mean()) < 4 * expected / np.sqrt(noise.size)
    assert CycleGAN(config.preset("r2f", cycle_noise=0.0, cycle_colour_noise=0.0, **small)).noisy(picture) is picture


def test_noise_of_colour_leaves_the_brightness_alone():
    small = dict(filters=2, blocks=1, discriminator_filters=2, image_size=32, load_size=32, pool_size=0)
    picture = np.zeros((1, 32, 32, 3), "float32")
    noise = np.asarray(CycleGAN(config.preset("r2f", cycle_noise=0.0, cycle_colour_noise=12.0, **small)).noisy(picture))
    assert np.abs(noise.mean(axis=-1)).max() < 1e-6
    expected = 12.0 / 127.5 * np.sqrt(2 / 3)  # one of three directions is taken away
    assert abs(noise.std() - expected) < 4 * expected / np.sqrt(2 * noise.size * 2 / 3)


def test_picture_and_what_is_sought_of_it_are_moved_alike_between_the_halves_of_the_cycle():
    small = dict(filters=2, blocks=1, discriminator_filters=2, image_size=32, load_size=32, pool_size=0, batch_size=2)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    model = CycleGAN(config.preset("r2f", cycle_shift=3, **small))
    seen = set()
    for _ in range(40):
        moved, sought = map(np.asarray, model.moved(x, 1 - x))
        np.testing.assert_allclose(sought, 1 - moved, atol=1e-6)
        seen |= {next((down, right) for down in range(4) for right in range(4)
                      if np.allclose(picture[down:, right:], before[:32 - down, :32 - right], atol=1e-6))
                 for picture, before in zip(moved, x, strict=True)}
    assert len(seen) == 16  # every move of 0 to 3 pixels
    still = CycleGAN(config.preset("r2f", cycle_shift=0, **small))
    assert all(each is x for each in still.moved(x, x))


@pytest.fixture(scope="module")
def tiny():
    """A model with every option of the discriminators."""
    small = dict(filters=2, blocks=1, discriminator_filters=2, image_size=32, load_size=32, pool_size=2, precision="float32")
    return train.build(config.preset("r2f", **small, discriminator_norm="both", gradient_penalty=6.0, identity_weight=5.0,
                                     identity_until=0.5, augment="none", steps=8))


@pytest.fixture(scope="module")
def batches():
    return np.random.default_rng(0).uniform(-1, 1, (4, 2, 1, 32, 32, 3)).astype("float32")


def test_the_gradient_penalty_is_half_the_squared_length_of_the_gradient(tiny, monkeypatch):
    """On average over directions; of a judge whose gradient is known."""
    chance = np.random.default_rng(0)
    weights = chance.normal(size=(4, 4, 3)).astype("float32")
    real, fake = chance.uniform(-1, 1, (2, 2000, 4, 4, 3)).astype("float32")

    def loss(penalty):
        monkeypatch.setattr(tiny, "config", replace(tiny.config, gradient_penalty=penalty))
        return float(tiny.discriminator_loss(lambda x, training: ops.sum(x * weights, axis=(1, 2, 3)), real, lambda x: x, fake))

    found, expected = (loss(6.0) - loss(0.0)) / 3, float((weights ** 2).sum())
    print(f"\npenalty {found:.1f}, squared length {expected:.1f}")
    assert abs(found / expected - 1) < 4 * np.sqrt(2 / 2000)


def test_the_identity_term_falls_to_0_at_its_part_of_the_run(tiny, batches):
    terms = {}
    for step in (0, 2, 4, 6):
        tiny.step.assign(step)
        tiny.compute_loss(x=batches[0], y_pred=tiny(batches[0]))
        terms[step] = np.array([float(tiny.trackers[f"identity_{name}"].result()) for name in ("flower", "rime")])
        for tracker in tiny.trackers.values():
            tracker.reset_state()
    assert terms[0].min() > 0 and not terms[4].any() and not terms[6].any()
    np.testing.assert_allclose(terms[2], terms[0] / 2, rtol=1e-6)
    assert tiny.left_of(1.0) == 1


def test_what_the_options_of_the_discriminators_keep_and_draw_is_part_of_the_state(tiny, batches):
    """So a training resumes exactly: the vectors of the spectral norm, the chance of the penalty's directions."""
    def go_on():
        losses = [float(tiny.compute_loss(x=pictures, y_pred=tiny(pictures))) for pictures in batches[2:]]
        return losses, checkpoint.state_of(tiny)

    for pictures in batches[:2]:
        tiny.compute_loss(x=pictures, y_pred=tiny(pictures))
    half = checkpoint.state_of(tiny)
    losses, whole = go_on()
    checkpoint.set_state(tiny, half)
    again, found = go_on()
    assert again == losses
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name], err_msg=name)
    for judge in (tiny.flower_judge, tiny.rime_judge):
        assert len(judge.non_trainable_variables) == 5  # a vector for each convolution
