"""Pairs: the two generators as a folder to paint with, to keep and to publish.

Read by people who never trained: numbers only, half precision, every file's SHA-256 in `pair.json`, and nothing in it is
believed before it was checked. Knows nothing about trainings.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from r2f.checkpoint import digest, force, to_numpy
from r2f.run import write_json

FORMAT = 1  # of a pair
MOST_PAIR_JSON_BYTES = 1_000_000
MOST_PARAMETERS = 150_000_000  # of one generator
NETWORKS = ("bloom", "frost")


class BadPair(ValueError):
    """A folder that is no pair this version can use; the message says why."""


def save_pair(folder: Path, networks: dict, info: dict) -> None:
    """Write `{"bloom": network, "frost": network}` and `info` (it becomes pair.json) as a pair; replaces one that is there.

    `info` must hold "networks", the keyword arguments of `networks.generator`. Raises BadPair for a weight that is not finite.
    """
    folder = Path(folder)
    temporary, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    files = {}
    for name in NETWORKS:
        arrays = {key: to_numpy(v).astype(np.float16) for key, v in pair_variables(networks[name])}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise BadPair(f"{name} has a weight that is not finite; the pair was not written.")
        path = temporary / f"{name}.safetensors"
        save_file(arrays, path)
        force(path)
        files[path.name] = {"sha256": digest(path), "bytes": path.stat().st_size}
    write_json(temporary / "pair.json", {"format": FORMAT, **info, "files": files})
    force(temporary / "pair.json")
    if (folder / "README.md").exists():  # the model card is written by people
        shutil.copy(folder / "README.md", temporary)
    force(temporary)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(temporary, folder)
    force(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_pair_json(folder: str | Path) -> dict:
    """What pair.json says. Raises BadPair; needs no Keras."""
    path = Path(folder) / "pair.json"
    try:
        if path.stat().st_size > MOST_PAIR_JSON_BYTES:
            raise BadPair(f"{path} is too large to be a pair.json.")
        info = json.loads(path.read_text(encoding="utf-8"))
        if info["format"] != FORMAT:
            raise BadPair(f"{path} has format {info['format']!r}; this version reads format {FORMAT}.")
        for name in NETWORKS:
            info["files"][f"{name}.safetensors"]["sha256"]
        return info
    except FileNotFoundError as error:
        raise BadPair(f"{folder} is not a pair: it has no pair.json.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, BadPair):
            raise
        raise BadPair(f"{path} is not a pair.json: {error!r}.") from error


def load_pair(folder: str | Path, dtype: str | None = None) -> tuple[dict, dict]:
    """({"bloom": network, "frost": network}, pair.json) of a pair, after its files' SHA-256 and shapes were compared.

    `dtype` is a Keras dtype policy. Raises BadPair.
    """
    from r2f.networks import generator
    folder, info, networks = Path(folder), read_pair_json(folder), {}
    for name in NETWORKS:
        path = folder / f"{name}.safetensors"
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 4 * MOST_PARAMETERS:
            raise BadPair(f"{path} is missing, a link, or too large for a generator.")
        if digest(path) != info["files"][path.name]["sha256"]:
            raise BadPair(f"{path} is damaged: its SHA-256 is not the one in pair.json.")
        try:
            network = generator(**checked_arguments(info), dtype=dtype, name=name)
            variables = dict(pair_variables(network))
            with safe_open(path, "numpy") as file:
                if set(file.keys()) != set(variables):
                    raise BadPair(f"{path} does not hold the weights of the generator that pair.json describes.")
                for key, variable in variables.items():
                    stored = file.get_slice(key)
                    if tuple(stored.get_shape()) != tuple(variable.shape) or stored.get_dtype() != "F16":
                        raise BadPair(f"{path}: {key} is {stored.get_dtype()} {stored.get_shape()}, "
                                      f"not F16 {list(variable.shape)}.")
                arrays = {key: file.get_tensor(key).astype(np.float32) for key in variables}
        except (SafetensorError, OSError) as error:
            raise BadPair(f"{path} is not a safetensors file: {error}.") from error
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise BadPair(f"{path} has a weight that is not finite.")
        for key, variable in variables.items():
            variable.assign(arrays[key])
        networks[name] = network
    return networks, info


def checked_arguments(info: dict) -> dict:
    """The generator's arguments in pair.json. Raises BadPair for what is unknown, or too large to build."""
    kinds = {"filters": int, "blocks": int, "residual": str, "upsampling": str, "padding": str, "separable": bool,
             "norm_before_tanh": bool}
    arguments = info.get("networks")
    if not isinstance(arguments, dict) or set(arguments) != set(kinds) \
            or any(type(arguments[name]) is not kind for name, kind in kinds.items()):
        raise BadPair("pair.json does not describe its networks in a way that this version knows.")
    filters, blocks = arguments["filters"], arguments["blocks"]
    if filters < 1 or blocks < 1 or block_parameters(filters, blocks, arguments["residual"]) > MOST_PARAMETERS:
        raise BadPair(f"pair.json asks for {filters} filters and {blocks} blocks; generators have at least 1 of each and at most "
                      f"{MOST_PARAMETERS // 1_000_000} million parameters.")
    return arguments


def block_parameters(filters: int, blocks: int, residual: str) -> int:
    """About how many parameters a generator's blocks have; nearly all of it. Concatenating blocks widen as they go."""
    return 144 * filters ** 2 * (2 * blocks if residual == "add" else blocks + blocks * (blocks + 1) // 2)


def pair_variables(network):
    """(key, variable) for every weight: the layer's place among those with weights, its kind, the variable's name."""
    layers = [layer for layer in network.layers if layer.weights]
    for place, layer in enumerate(layers):
        for variable in layer.weights:
            yield f"{place:02d}.{type(layer).__name__}.{variable.name}", variable
