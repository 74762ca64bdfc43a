"""A generator with fewer filters that makes nearly the same picture: where a pupil starts that is to be faster than its model.

Channels that say least are taken out, and what the others can say of them is put into the convolutions that read them (channel
pruning with least squares; He et al. 2017, arXiv:1707.06168). What is lost then comes back in a short training (`r2f.pupil`).
"""

import keras
import numpy as np

from r2f.networks import InstanceNorm, ReflectPad, generator

PIXELS = 400  # of each picture, drawn at random, that a layer's channels are compared in
RIDGE = 1e-4  # of the mean variance, so that channels that say the same can't blow the weights up


class CannotSlim(ValueError):
    """Another shape than the one this is for; the message says which."""


def check(shape: dict, filters: int) -> None:
    """Raises CannotSlim where `slim` would, without pictures."""
    fixed = {"residual": "add", "upsampling": "resize", "separable": False, "norm": "blocks", "norm_before_tanh": False}
    if any(shape.get(key) != value for key, value in fixed.items()):
        raise CannotSlim("its networks are not of the shape of lite and r2f, and only these can be made slimmer; "
                         "choose another pair.")
    if not 0 < filters < shape["filters"]:
        raise CannotSlim(f"it has {shape['filters']} filters, so slimmer would be 1 to {shape['filters'] - 1}, not {filters}; "
                         "choose one of these.")


def slim(network: keras.Model, shape: dict, filters: int, pictures: list[np.ndarray], seed: int = 0) -> keras.Model:
    """A generator of `shape` (the arguments of `networks.generator`) made anew with fewer `filters`.

    `pictures` are what it is to be good at, float32 (H, W, 3) in [-1, 1], sides multiples of 4. Raises CannotSlim.
    """
    check(shape, filters)
    made = generator(**shape | {"filters": filters}, name=network.name)
    convs = [each for each in network.layers if isinstance(each, keras.layers.Conv2D)]
    norms = [each for each in network.layers if isinstance(each, InstanceNorm)]
    seen = samples(network, convs, pictures, np.random.default_rng(seed))
    kernels = [np.asarray(each.kernel, np.float64) for each in convs]
    # Who writes into the same channels must keep the same: the stream through the blocks, and every other layer its own.
    stream = [2, *range(4, len(convs) - 3, 2)]  # convolutions that write into it
    readers = [*range(3, len(convs) - 3, 2), len(convs) - 3]
    groups = [([each], [each + 1]) for each in range(len(convs) - 1) if each not in stream] + [(stream, readers)]
    kept = {}
    for writers, reading in groups:
        size = kernels[writers[0]].shape[-1] * filters // shape["filters"]
        chosen = most_telling([seen[each] for each in reading], [kernels[each] for each in reading], size)
        kept |= dict.fromkeys(writers, chosen)
    kept[len(convs) - 1] = np.arange(3)
    new_convs = [each for each in made.layers if isinstance(each, keras.layers.Conv2D)]
    new_norms = [each for each in made.layers if isinstance(each, InstanceNorm)]
    heard = {each: kept[writers[0]] for writers, reading in groups for each in reading}
    for place, (old, new) in enumerate(zip(convs, new_convs, strict=True)):
        kernel, more = (kernels[place], 0.0) if place == 0 else folded(kernels[place], seen[place], heard[place])
        new.kernel.assign(kernel[..., kept[place]])
        if old.use_bias:
            new.bias.assign((np.asarray(old.bias, np.float64) + more)[kept[place]])
    for place, (old, new) in enumerate(zip(norms, new_norms, strict=True)):  # one after each convolution of a block
        for weight, fresh in ((old.gamma, new.gamma), (old.beta, new.beta)):
            fresh.assign(np.asarray(weight)[kept[place + 3]])
    return made


def samples(network: keras.Model, convs: list, pictures: list[np.ndarray], random: np.random.Generator) -> dict[int, np.ndarray]:
    """What each convolution but the first reads, in some pixels of every picture: (pixels, channels)."""
    def source(layer):  # the tensor before the border was added
        tensor = layer.input
        before = tensor._keras_history.operation
        return before.input if isinstance(before, ReflectPad) else tensor

    looking = keras.Model(network.input, [source(each) for each in convs[1:]])
    found = {place: [] for place in range(1, len(convs))}
    for picture in pictures:
        for place, values in enumerate(looking.predict_on_batch(picture[None]), start=1):
            values = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
            found[place].append(values[random.choice(len(values), min(PIXELS, len(values)), replace=False)])
    return {place: np.concatenate(values) for place, values in found.items()}


def most_telling(seen: list[np.ndarray], kernels: list[np.ndarray], size: int) -> np.ndarray:
    """Which `size` channels to keep, in order: a pivoted Cholesky decomposition of their covariance, each channel weighted by the
    kernels that read it, so that each one chosen says most of what those before it don't."""
    matrix = 0.0
    for values, kernel in zip(seen, kernels, strict=True):
        weight = np.sqrt((kernel ** 2).sum((0, 1, 3)))
        matrix = matrix + np.cov(values.T) * np.outer(weight, weight)
    chosen = []
    for _ in range(size):
        left = np.diag(matrix).copy()
        left[chosen] = -1
        best = int(left.argmax())
        chosen.append(best)
        matrix = matrix - np.outer(matrix[best], matrix[best]) / max(matrix[best, best], 1e-12)
    return np.sort(chosen)


def folded(kernel: np.ndarray, seen: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel (height, width, in, out) that reads the channels in `keep` alone, and what to add to its bias, (out,)."""
    drop = np.setdiff1d(np.arange(kernel.shape[2]), keep)
    means = seen.mean(0)
    centred = seen - means
    covariance = centred.T @ centred / len(seen)
    own = covariance[np.ix_(keep, keep)]
    own = own + RIDGE * np.trace(own) / len(keep) * np.eye(len(keep))
    said = np.linalg.solve(own, covariance[np.ix_(keep, drop)])  # (kept, dropped)
    constant = means[drop] - means[keep] @ said
    lost = kernel[:, :, drop]
    return kernel[:, :, keep] + np.einsum("kd,hwdo->hwko", said, lost), np.einsum("d,hwdo->o", constant, lost)
