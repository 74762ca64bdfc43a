"""What a training makes of its model for people: the pair, the sample sheet, a variable's name in words.

Reads the model and changes nothing. Knows nothing about steps or when something is due.
"""

import time
from pathlib import Path

import numpy as np

from r2f import checkpoint, data, pair
from r2f.config import Config
from r2f.cyclegan import CycleGAN
from r2f.images import to_float, to_uint8

PARTS = ("bloom", "frost", "flower_judge", "rime_judge", "bloom_average", "frost_average", "flower_pool", "rime_pool", "augment")


def described(model: CycleGAN, name: str) -> str:
    """A name of `checkpoint.named_variables`, in words."""
    variable = dict(checkpoint.named_variables(model))[name]
    for part in PARTS:
        if any(variable is each for each in getattr(model, part).variables):
            return f"{part}'s {variable.path}"
    owners = {"model": "the model's", "optimizer": "the optimizer's", "metrics": "the sum of"}
    return f"{owners[name.partition('/')[0]]} {variable.path}"


def pair_arrays(model: CycleGAN, state: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The averaged generators in a copied state, for `pair.write_pair`."""
    names = {id(variable): name for name, variable in checkpoint.named_variables(model)}
    return {name: {key: state[names[id(variable)]] for key, variable in pair.pair_variables(network)}
            for name, network in (("bloom", model.bloom_average), ("frost", model.frost_average))}


def pair_info(settings: Config, step: int, pictures: data.Pictures) -> dict:
    return {
        "networks": settings.generator_arguments, "image_size": settings.image_size, "preset": settings.preset, "step": step,
        "seed": settings.seed, "pictures": {"rime": len(pictures.rime), "flowers": len(pictures.flowers)},
        "changed": settings.changed, "date": time.strftime("%Y-%m-%d"),
    }


def save_pair(folder: Path, model: CycleGAN, settings: Config, step: int, pictures: data.Pictures) -> None:
    pair.save_pair(folder, {"bloom": model.bloom_average, "frost": model.frost_average}, pair_info(settings, step, pictures))


def sample_sheet(model: CycleGAN, rime: np.ndarray, flowers: np.ndarray) -> np.ndarray:
    """Held-out pictures, uint8 (K, S, S, 3) each, to one sheet, uint8 (K S, 6 S, 3).

    Columns: rime, flower, rime again, then flower, rime, flower again; the way back starts from the 8-bit picture.
    """
    rows = []
    for photo, painting in zip(rime, flowers, strict=True):
        row = []
        for picture, there, back in ((photo, model.bloom_average, model.frost_average),
                                     (painting, model.frost_average, model.bloom_average)):
            changed = picture_through(there, picture)
            row += [picture, changed, picture_through(back, changed)]
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)


def picture_through(network, picture: np.ndarray) -> np.ndarray:
    """A uint8 picture (H, W, 3) through a generator, uint8 again; H and W multiples of 4."""
    return to_uint8(np.asarray(network.predict_on_batch(to_float(picture)[None]))[0])
