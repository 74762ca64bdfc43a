"""The objective of CycleGAN on one backend against a plain reference, written down for test_cyclegan to read.

A process has one Keras backend, so test_cyclegan runs this once for each:

    KERAS_BACKEND=jax python tests/objective_backend.py RESULT.npz

Weights and pictures come from NumPy, so they are the same on every backend. Nothing is judged here: the file
holds gradients, losses and weights, and the test compares them. `gradients` serves the other tests too.
"""

import sys
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from r2f import train  # noqa: E402, I001 - before keras: it sets the environment that keras reads
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

from r2f import config  # noqa: E402
from r2f.cyclegan import LIGHT_LOSSES, LOSSES, SLOPE_STEP, CycleGAN  # noqa: E402

NETWORKS = ("bloom", "frost", "flower_judge", "rime_judge")
PUBLISHED = dict(norm="everywhere", cycle_weight=10.0, identity_weight=5.0, cycle_shift=0, cycle_noise=0.0,
                 cycle_colour_noise=0.0)
SMALL = dict(PUBLISHED, filters=4, blocks=2, discriminator_filters=8, image_size=32, load_size=32, batch_size=2,
             augment="none", precision="float32", light_weight=2.0)
STEADY = dict(SMALL, discriminator_norm="both", gradient_penalty=1.0)  # the discriminators with what is optional
STEP_AWAY = np.random.default_rng(2).normal(size=(2, 32, 32, 3)).astype("float32")  # instead of chance, which backends differ in


def gradients(function, values: list) -> list[np.ndarray]:
    """The gradients of `function(*values)`, a scalar, at these arrays, on whichever backend this is."""
    backend = keras.backend.backend()
    values = [ops.convert_to_tensor(value) for value in values]
    if backend == "tensorflow":
        import tensorflow as tf
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = function(*values)
        found = tape.gradient(result, values, unconnected_gradients="zero")
    elif backend == "jax":
        import jax
        found = jax.grad(function, argnums=tuple(range(len(values))))(*values)
    else:
        import torch
        values = [value.detach().clone().requires_grad_() for value in values]
        found = torch.autograd.grad(function(*values), values, allow_unused=True, materialize_grads=True)
    return [ops.convert_to_numpy(each) for each in found]


def weight_gradients(loss, variables: list) -> list[np.ndarray]:
    """The gradients of `loss()` with respect to these variables; what it assigns to others is forgotten."""
    def at(*values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss()

    return gradients(at, arrays(variables))


def square(verdicts, target):
    return ops.mean(ops.square(verdicts - target))


def l1(a, b):
    return ops.mean(ops.abs(a - b))


def reference_losses(model: CycleGAN, x, y) -> dict:
    """What each network minimises, written out as the paper has it: four losses, a call for each picture."""
    bloom, frost, flower_judge, rime_judge = (getattr(model, name) for name in NETWORKS)
    fake_flower = ops.convert_to_tensor(ops.convert_to_numpy(bloom(x)))
    fake_rime = ops.convert_to_tensor(ops.convert_to_numpy(frost(y)))

    def cycle():
        return model.config.cycle_weight * (l1(frost(bloom(x)), x) + l1(bloom(frost(y)), y))

    def identity(generator, picture):
        return model.config.identity_weight * l1(generator(picture), picture)

    def light(before, after):  # Pearson's correlation, written out over cells of 4 x 4 pixels
        a, b = (ops.mean(ops.reshape(each, (2, 8, 4, 8, 4, 3)), axis=(2, 4, 5)) for each in (before, after))
        a, b = (each - ops.mean(each, axis=(1, 2), keepdims=True) for each in (a, b))
        of_a, of_b = (ops.mean(each ** 2, axis=(1, 2)) for each in (a, b))
        correlation = ops.mean(a * b, axis=(1, 2)) / ops.sqrt((of_a + 0.001) * (of_b + 0.001))
        return model.config.light_weight * ops.mean(ops.relu(0.7 * ops.sqrt(of_a / (of_a + 0.001)) - correlation))

    def slope(judge, picture):
        if not model.config.gradient_penalty:
            return 0.0
        away = (judge(picture + SLOPE_STEP * STEP_AWAY) - judge(picture)) / SLOPE_STEP
        return model.config.gradient_penalty / 2 * ops.mean(away ** 2)

    return {
        "bloom": lambda: square(flower_judge(bloom(x)), 1) + cycle() + identity(bloom, y) + light(x, bloom(x)),
        "frost": lambda: square(rime_judge(frost(y)), 1) + cycle() + identity(frost, x) + light(y, frost(y)),
        "flower_judge": lambda: (square(flower_judge(y), 1) + square(flower_judge(fake_flower), 0)) / 2
        + slope(flower_judge, y),
        "rime_judge": lambda: (square(rime_judge(x), 1) + square(rime_judge(fake_rime), 0)) / 2
        + slope(rime_judge, x),
    }


class OneBatch(keras.utils.PyDataset):
    """What `fit` reads for one step."""

    def __init__(self, pictures):
        super().__init__()
        self.pictures = pictures

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return (self.pictures,)


def variables_of(model: CycleGAN) -> list:
    """The weights of the four networks, in the order of NETWORKS."""
    return [variable for name in NETWORKS for variable in getattr(model, name).trainable_variables]


def arrays(variables) -> list[np.ndarray]:
    return [ops.convert_to_numpy(variable.value) for variable in variables]


def averages_of(model: CycleGAN) -> list[np.ndarray]:
    return arrays(variable for average, _ in model.averages() for variable in average.weights)


def set_weights(model: CycleGAN) -> None:
    """Weights that are the same on every backend, with the published spread, and norms moved off 1 and 0."""
    chance = np.random.default_rng(1)
    for name in NETWORKS:
        network = getattr(model, name)
        network.set_weights([chance.normal(0, 0.02, weight.shape) + (weight if weight.ndim == 1 else 0)
                             for weight in network.get_weights()])
    for average, network in model.averages():
        average.set_weights(network.get_weights())


def objective_gradients(model: CycleGAN, pictures) -> list[np.ndarray]:
    """The gradients of the one sum with respect to all four networks."""
    pictures = [ops.convert_to_tensor(each) for each in pictures]

    def loss():
        return model.compute_loss(x=pictures, y_pred=model(pictures, training=True))

    return weight_gradients(loss, variables_of(model))


def reference_gradients(model: CycleGAN, pictures) -> list[np.ndarray]:
    losses = reference_losses(model, *[ops.convert_to_tensor(each) for each in pictures])
    return [gradient for name in NETWORKS
            for gradient in weight_gradients(losses[name], getattr(model, name).trainable_variables)]


def pictures_through_bloom(model: CycleGAN, pictures) -> int:
    seen, call = [], model.bloom.call

    def counted(inputs, **options):
        seen.append(inputs.shape[0])
        return call(inputs, **options)

    with patch.object(model.bloom, "call", counted):
        model([ops.convert_to_tensor(each) for each in pictures])
    return sum(seen)


def report() -> dict:
    """Everything test_cyclegan compares, as arrays by name; a list of arrays is `name/0`, `name/1`, ..."""
    chance = np.random.default_rng(0)
    pictures = tuple(chance.uniform(-1, 1, (2, 32, 32, 3)).astype("float32") for _ in range(2))
    found = {}

    model = train.build(config.preset("r2f", **SMALL))
    set_weights(model)
    found["counts"] = [np.array(len(getattr(model, name).trainable_variables)) for name in NETWORKS]
    found["start"], found["averages_start"] = arrays(variables_of(model)), averages_of(model)
    if keras.backend.backend() != "jax":  # it would compile every operation, which takes half a minute; its weights are the same
        found["reference"] = reference_gradients(model, pictures)
        found["passes"] = np.array(pictures_through_bloom(model, pictures))
        found["objective"] = objective_gradients(model, pictures)
        with patch.object(ops, "stop_gradient", lambda x: x):  # the fault that the comparison must find
            found["unstopped"] = objective_gradients(model, pictures)

        other = CycleGAN(config.preset("r2f", **SMALL | dict(identity_weight=0.0)))
        set_weights(other)
        found["passes_without_identity"] = np.array(pictures_through_bloom(other, pictures))
        found["reference_without_identity"] = reference_gradients(other, pictures)
        found["objective_without_identity"] = objective_gradients(other, pictures)

    with patch.object(keras.random, "normal", lambda shape, stddev, seed: ops.convert_to_tensor(stddev * STEP_AWAY)):
        steady = train.build(config.preset("r2f", **STEADY))
        set_weights(steady)
        if keras.backend.backend() == "torch":  # the quickest without compiling
            found["reference_steady"] = reference_gradients(steady, pictures)
            found["objective_steady"] = objective_gradients(steady, pictures)
        logs = steady.fit(OneBatch(pictures), verbose=0).history
    found["losses_steady"] = np.array([logs[name][0] for name in LOSSES + LIGHT_LOSSES])
    judges = (steady.flower_judge, steady.rime_judge)
    found["directions"] = arrays(variable for judge in judges for variable in judge.non_trainable_variables)

    logs = model.fit(OneBatch(pictures), verbose=0).history
    found["losses"] = np.array([logs[name][0] for name in LOSSES + LIGHT_LOSSES])
    # After one step Adam's momentum is 1 - beta_1 of the gradient: what the compiled step really used.
    momenta = [variable for variable in model.optimizer.variables if variable.path.endswith("_momentum")]
    found["fit"] = [momentum / (1 - model.config.beta_1) for momentum in arrays(momenta)]
    found["first_step"], found["averages_first_step"] = arrays(variables_of(model)), averages_of(model)
    model.fit(OneBatch(pictures), verbose=0)
    found["averages_second_step"] = averages_of(model)
    return found


def main(path: str) -> None:
    found = {}
    for name, value in report().items():
        if isinstance(value, list):
            found.update({f"{name}/{i:03}": each for i, each in enumerate(value)})
        else:
            found[name] = value
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
