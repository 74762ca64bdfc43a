"""The seed project's own files: generators that Keras 2 saved as .h5, read by their arrays alone.

Nothing in such a file is executed, and no layer is made from it. Its arrays are found by the names it lists, each step of the
way a plain link inside the file, and each must have the shape that the seed project's generator needs before it is read.
The HDF5 library itself can be led to loop or crash by a damaged file, so it works in a process of its own, with limits.
"""

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from r2f.files import BadFile, open_plain, shortened, size_of
from r2f.pair import MOST_PARAMETERS, BadPair, checked_arguments, weight_shapes

MOST_H5_BYTES = 4 * (4 * MOST_PARAMETERS)  # with the two moments an optimizer may have kept beside each weight
MOST_ATTRIBUTE_BYTES = 1_000_000
MOST_LAYERS = 1_000
MOST_MEMORY_BYTES = 6 << 30  # of the process that reads
MOST_CPU_SECONDS, MOST_SECONDS = 20, 300  # the seed's 141 MB take about one
EXIT_REFUSED = 2
KINDS = {("kernel",): "kernel", ("kernel", "bias"): "kernel", ("gamma", "beta"): "norm"}  # weights of a layer -> what it is


class BadH5(BadFile):
    """A file that is no generator of the seed project; the message says why."""


def read_generator(path: str | Path) -> tuple[dict, dict[str, np.ndarray], int | None]:
    """(arguments of `networks.generator`, its weights by key, the side it was trained at if the file tells) of a .h5 file.

    The weights are float32. Raises BadH5; needs no Keras.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="r2f-") as folder:
        output = Path(folder) / "generator.safetensors"
        command = [sys.executable, "-m", "r2f.keras2", os.path.abspath(path), str(output)]
        try:
            reader = subprocess.run(command, cwd=Path(__file__).parent.parent, stdin=subprocess.DEVNULL, capture_output=True,
                                    text=True, errors="replace", timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BadH5(f"{path} is damaged: it could not be read in {MOST_SECONDS} seconds.") from error
        if reader.returncode == EXIT_REFUSED and reader.stderr.strip():
            raise BadH5(reader.stderr.strip().splitlines()[-1].replace(os.path.abspath(path), str(path)))
        try:
            if reader.returncode:
                raise ValueError(f"the process that read it ended with {reader.returncode}")
            with safe_open(output, "numpy") as file:
                told = json.loads(file.metadata()["told"])
                arrays = {key: file.get_tensor(key) for key in weight_shapes(told["arguments"])}
                return told["arguments"], arrays, told["image_size"]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise BadH5(f"{path} is damaged: the HDF5 library could not read it ({shortened(error)}).") from error


def main(path: str, output: str) -> int:
    """What the process of its own does: read a file and write down what it holds."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    try:
        arguments, arrays, image_size = read_here(path)
        save_file(arrays, output, {"told": json.dumps({"arguments": arguments, "image_size": image_size})})
        return 0
    except BadH5 as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED


def read_here(path: str | Path) -> tuple[dict, dict[str, np.ndarray], int | None]:
    """`read_generator` in this process."""
    import h5py
    path = Path(path)
    try:
        with open_plain(path) as file:
            if size_of(file) > MOST_H5_BYTES:
                raise BadH5(f"{path} is too large: it has {size_of(file):,} bytes, and at most {MOST_H5_BYTES:,} are read.")
            with h5py.File(file, "r") as h5:
                return read_h5(h5, path)
    except BadH5:
        raise
    except BadFile as error:
        raise BadH5(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, MemoryError, IndexError) as error:
        raise BadH5(f"{path} is damaged or not a .h5 file that Keras 2 saved: {shortened(error)}.") from error


def read_h5(h5, path: Path) -> tuple[dict, dict[str, np.ndarray], int | None]:
    import h5py
    image_size = check_architecture(h5, path)
    weights = inner(h5, ("model_weights",), h5py.Group, path) if "model_weights" in h5 else h5  # save_weights leaves it out
    layers = [datasets for name in texts(weights, "layer_names", path)
              if (datasets := layer_datasets(inner(weights, (name,), h5py.Group, path), path))]
    kinds = [KINDS.get(tuple(layer)) for layer in layers]
    blocks = (len(layers) - 12) // 4
    if blocks < 1 or kinds != ["kernel", "norm"] * (6 + 2 * blocks) or len(layers[0]["kernel"].shape) != 4:
        raise BadH5(f"{path} is not a generator of the seed project: its {len(layers)} layers with weights are not convolutions, "
                    "each with an instance norm after it.")
    arguments = {"filters": int(layers[0]["kernel"].shape[3]), "blocks": blocks, "residual": "concat", "upsampling": "transposed",
                 "padding": "zero", "separable": False, "norm": "everywhere", "norm_before_tanh": True, "epsilon_on": "deviation"}
    try:
        shapes = weight_shapes(checked_arguments({"networks": arguments}))
    except BadPair as error:
        raise BadH5(f"{path} is not a generator of the seed project: it has {shortened(arguments['filters'])} filters and "
                    f"{blocks} blocks, more than can be used.") from error
    arrays = {}
    for key, shape in shapes.items():
        place, _, name = key.split(".")
        dataset = layers[int(place)][name]
        if dataset.shape != shape:
            raise BadH5(f"{path} is not a generator of the seed project: {shortened(dataset.name)} has shape "
                        f"{shortened(list(dataset.shape))}, not {list(shape)}.")
        check_storage(dataset, path)
        # A bias in front of an instance norm is not read: the norm takes it away again, exactly.
    for key, shape in shapes.items():
        place, _, name = key.split(".")
        array = np.empty(shape, np.float32)
        layers[int(place)][name].read_direct(array)
        if not np.isfinite(array).all():
            raise BadH5(f"{path} has a weight that is not finite, in {shortened(layers[int(place)][name].name)}.")
        arrays[key] = newest_last(array, key, arguments["filters"])
    return arguments, arrays, image_size


def newest_last(array: np.ndarray, key: str, filters: int) -> np.ndarray:
    """The seed's blocks put their result before what they were given, ours after it: turn the order of a kernel's inputs."""
    if not key.endswith(".kernel"):
        return array
    axis = 3 if "Transpose" in key else 2  # (height, width, in, out), or (height, width, out, in)
    parts, rest = divmod(array.shape[axis], 4 * filters)
    return array if parts < 2 or rest else np.concatenate(np.split(array, parts, axis)[::-1], axis)


def is_hard_link(group, name: str) -> bool:
    import h5py
    return type(group.get(name, getlink=True, default=None)) is h5py.HardLink


def inner(group, names: tuple[str, ...], kind: type, path: Path):
    """What lies below a group under these names, one after the other, where every step is a plain link inside the file."""
    import h5py
    for place, name in enumerate(names):
        expected = h5py.Group if place < len(names) - 1 else kind
        if not is_hard_link(group, name) or group.get(name, getclass=True) is not expected:
            raise BadH5(f"{path} has no {expected.__name__.lower()} of its own called {shortened(name)}; "
                        "links, and links to other files, are not followed.")
        group = group[name]
    return group


def layer_datasets(layer, path: Path) -> dict:
    """{"kernel": dataset, "bias": dataset}, or {"gamma": ..., "beta": ...}, of a layer's group; nothing is read yet."""
    import h5py
    datasets = {}
    for name in texts(layer, "weight_names", path):
        parts = tuple(name.split("/"))
        if len(parts) > 8:
            raise BadH5(f"{path} has a weight with an unusable name, {shortened(name)}.")
        datasets[parts[-1].partition(":")[0]] = inner(layer, parts, h5py.Dataset, path)
    return datasets


def check_storage(dataset, path: Path) -> None:
    """Keras 2 wrote plain little float32 arrays in one piece; whatever else HDF5 can do here is refused."""
    if dataset.dtype != np.float32 or dataset.is_virtual or dataset.external or dataset.chunks is not None \
            or dataset.id.get_storage_size() != 4 * math.prod(dataset.shape):
        raise BadH5(f"{path} does not hold {shortened(dataset.name)} as plain float32 numbers, as Keras 2 wrote them.")


def attribute(owner, name: str, path: Path):
    """An attribute's value, after its size was checked; None where there is none."""
    if name not in owner.attrs:
        return None
    found = owner.attrs.get_id(name)
    if found.shape == (0,):  # of a layer without weights; its dtype means nothing
        return []
    if math.prod(found.shape or ()) * max(found.dtype.itemsize, 1) > MOST_ATTRIBUTE_BYTES or found.dtype.kind not in "SO":
        raise BadH5(f"{path} has an attribute {name} that is no text, or too large.")
    return owner.attrs[name]


def texts(owner, name: str, path: Path) -> list[str]:
    """A list of texts in an attribute; Keras 2 cut long ones into name0, name1, ..."""
    value = attribute(owner, name, path)
    values = [value] if value is not None else []
    while value is None and len(values) < MOST_LAYERS and (part := attribute(owner, f"{name}{len(values)}", path)) is not None:
        values.append(part)
    if not values:
        raise BadH5(f"{path} is not a .h5 file that Keras 2 saved: it has no {name}.")
    found = [each.decode() if isinstance(each, bytes) else str(each) for part in values for each in np.ravel(part)]
    if len(found) > MOST_LAYERS:
        raise BadH5(f"{path} is not a generator of the seed project: it lists {len(found):,} {name}.")
    return found


def check_architecture(h5, path: Path) -> int | None:
    """What the arrays can't tell, from the description that Keras 2 left beside them, read as plain data.

    A file without one (`save_weights`) is taken at its word. Gives the side of the pictures it was trained at, where that is
    told. Raises BadH5 for a setting that would make other pictures.
    """
    text = attribute(h5, "model_config", path)
    if text is None:
        return None
    try:
        layers = json.loads(text)["config"]["layers"]
        config = {layer["name"]: layer["config"] for layer in layers}
        kinds = {layer["name"]: layer["class_name"].rpartition(">")[2] for layer in layers}
        inputs = {layer["name"]: [each[0] for each in layer["inbound_nodes"][0]] for layer in layers if layer["inbound_nodes"]}
        convolutions = ("Conv2D", "Conv2DTranspose")
        last = layers[-1]["name"]
        for name, kind in kinds.items():
            settings = config[name]
            wanted = {
                **dict.fromkeys(convolutions, {"padding": "same", "data_format": "channels_last", "activation": "linear"}),
                "InstanceNormalization": {"epsilon": 1e-3, "center": True, "scale": True},
                "Activation": {"activation": "tanh" if name == last else "relu"},
                "Concatenate": {}, "InputLayer": {},
            }
            if kind not in wanted:
                raise BadH5(f"{path} is not a generator of the seed project: it has a layer {shortened(kind)}.")
            for setting, value in wanted[kind].items():
                if settings.get(setting) != value:
                    raise BadH5(f"{path} is not a generator of the seed project: {setting} of {shortened(name)} is "
                                f"{shortened(settings.get(setting))}, not {value}.")
            if kind in ("InstanceNormalization", "Concatenate") and settings.get("axis") not in (-1, 3):
                raise BadH5(f"{path} is not a generator of the seed project: axis of {shortened(name)} is "
                            f"{shortened(settings.get('axis'))}, not -1.")
            if kind == "Concatenate" and [kinds[each] for each in inputs[name]][0] != "InstanceNormalization":
                raise BadH5(f"{path} is not a generator of the seed project: {shortened(name)} puts the block's result last.")
        side = layers[0]["config"].get("batch_input_shape", [None, None])[1]
        return side if type(side) is int and 32 <= side <= 4096 else None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        if isinstance(error, BadH5):
            raise
        raise BadH5(f"{path} has a model_config that is not Keras 2's: {shortened(error)}.") from error


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
