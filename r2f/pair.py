"""Pairs: the two generators as a folder to paint with, to keep and to publish.

Read by people who never trained: numbers only, half precision, every file's SHA-256 in `pair.json`, and nothing in it is
believed before it was checked. Each file is opened once, and the bytes that are used are the bytes that were checked; what
they claim is compared with what the generator needs before memory is taken for it. Knows nothing about trainings.
"""

import ctypes
import errno
import hashlib
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from r2f.checkpoint import digest, force, to_numpy, write_arrays
from r2f.files import BadFile, Missing, opened, read_whole, shortened, size_of, strict_json
from r2f.run import write_json

FORMAT = 1  # of a pair
MOST_PAIR_JSON_BYTES = 200_000
MOST_HEADER_BYTES = 200_000  # of a safetensors file; the largest generator's has about 60,000
MOST_PARAMETERS = 150_000_000  # of one generator
MOST_BLOCKS = 64
NETWORKS = ("bloom", "frost")
FILES = ("pair.json", *(f"{name}.safetensors" for name in NETWORKS))  # of a pair
CARD = "README.md"  # the model card, which people write
NUMBERS = {"float16": "F16", "float32": "F32"}  # what the files may hold, and its name in safetensors
CHOICES = {"residual": ("add", "concat"), "upsampling": ("resize", "transposed"), "padding": ("reflect", "zero"),
           "norm": ("everywhere", "blocks"), "epsilon_on": ("variance", "deviation")}
KINDS = {"filters": int, "blocks": int, "residual": str, "upsampling": str, "padding": str, "separable": bool,
         "norm": str, "norm_before_tanh": bool, "epsilon_on": str}
WHOLE_NUMBERS = ("step", "image_size")  # of pair.json, where it has them: not every import knows its step
LATER_ARGUMENTS = {"norm": "everywhere", "epsilon_on": "variance"}  # pairs from before these were there mean this


class BadPair(BadFile):
    """A folder that is no pair this version can use; the message says why."""


class NotReplaced(OSError):
    """Something else is where a pair was to be written, and stays; the message says what, and what to do.

    No BadPair: to a training it is a place that can't be written, which ends nothing.
    """


def save_pair(folder: Path, networks: dict, info: dict) -> None:
    """Write `{"bloom": network, "frost": network}` and `info` (it becomes pair.json) as a pair; replaces one that is there.

    `info` must hold "networks", the keyword arguments of `networks.generator`. Raises as `write_pair` does.
    """
    write_pair(folder, {name: {key: to_numpy(v) for key, v in pair_variables(networks[name])} for name in NETWORKS}, info)


def write_pair(folder: Path, arrays: dict[str, dict[str, np.ndarray]], info: dict, numbers: str = "float16") -> None:
    """`save_pair` from arrays by key, `{"bloom": {"00.Conv2D.kernel": array, ...}, "frost": ...}`; `numbers` is one of NUMBERS.

    Whoever reads meanwhile gets the earlier pair or this one, whole. What people put beside a pair's files, such as its card,
    stays. Raises NotReplaced (see `check_place`), BadPair for a weight that is not finite, OSError for a disk that is full.
    """
    folder = Path(folder)
    check_place(folder, beside_a_pair=True)
    temporary, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    files = {}
    for name in NETWORKS:
        with np.errstate(over="ignore"):  # what is too large for half precision becomes infinite, and is refused
            stored = {key: np.asarray(array, dtype=numbers, order="C") for key, array in arrays[name].items()}
        if not all(np.isfinite(array).all() for array in stored.values()):
            shutil.rmtree(temporary, ignore_errors=True)
            raise BadPair(f"{name} has a weight that is not finite; the pair was not written.")
        path = temporary / f"{name}.safetensors"
        write_arrays(path, stored)
        files[path.name] = {"sha256": digest(path), "bytes": path.stat().st_size}
    kind = {} if numbers == "float16" else {"numbers": numbers}
    write_json(temporary / "pair.json", {"format": FORMAT, **info, **kind, "files": files})
    force(temporary / "pair.json")
    for each in strangers(folder, FILES):
        with suppress(FileNotFoundError):  # an editor's, gone by now
            if each.is_dir() and not each.is_symlink():
                shutil.copytree(each, temporary / each.name, symlinks=True)
            else:
                shutil.copy(each, temporary, follow_symlinks=False)
    force(temporary)
    shutil.rmtree(old, ignore_errors=True)
    if not folder.exists():
        os.rename(temporary, folder)
    elif not exchange(temporary, folder):
        os.rename(folder, old)
        os.rename(temporary, folder)
    force(folder.parent)
    shutil.rmtree(temporary, ignore_errors=True)  # after an exchange, the earlier pair
    shutil.rmtree(old, ignore_errors=True)


def check_place(folder: Path, beside_a_pair: bool = False) -> None:
    """Raises NotReplaced where a pair would take the place of anything but a pair or an empty folder.

    With `beside_a_pair`, other things may lie beside the files of a pair that is there.
    """
    if folder.name in ("", ".."):
        raise NotReplaced(f"{folder} has no name of its own; name a new folder for the pair.")
    if folder.is_symlink() or folder.exists() and not folder.is_dir():
        raise NotReplaced(f"{folder} is a {'link' if folder.is_symlink() else 'file'}; name a new folder for the pair.")
    others = strangers(folder, (*FILES, CARD))
    if others and not (beside_a_pair and (folder / "pair.json").is_file()):
        raise NotReplaced(f"{folder} holds other things than a pair ({shortened(others[0].name)}); name a new folder for the "
                          "pair.")


def strangers(folder: Path, known: tuple[str, ...]) -> list[Path]:
    """What is in a folder, if there is one, besides the files of these names."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [each for each in found if each.name not in known or each.is_dir()]


def exchange(a: Path, b: Path) -> bool:
    """Swap two names in one instant; False where the system or the file system can't."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # not Linux
        return False
    current_directory, rename_exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if function(current_directory, os.fsencode(a), current_directory, os.fsencode(b), rename_exchange) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(b))


def read_pair_json(folder: str | Path) -> dict:
    """What pair.json says. Raises BadPair; needs no Keras."""
    with opened_pair(Path(folder), ("pair.json",)) as files:
        return checked_info(files["pair.json"], Path(folder) / "pair.json")


def read_pair(folder: str | Path) -> tuple[dict[str, dict[str, np.ndarray]], dict]:
    """({"bloom": {key: array}, "frost": ...}, pair.json), after all of it was checked. Raises BadPair; needs no Keras."""
    folder, weights = Path(folder), {name: f"{name}.safetensors" for name in NETWORKS}
    with opened_pair(folder, ("pair.json", *weights.values())) as files:
        info = checked_info(files["pair.json"], folder / "pair.json")
        return {name: read_arrays(files[file], folder / file, info) for name, file in weights.items()}, info


def load_pair(folder: str | Path, dtype: str | None = None) -> tuple[dict, dict]:
    """({"bloom": network, "frost": network}, pair.json) of a pair, after its files' SHA-256 and shapes were compared.

    `dtype` is a Keras dtype policy. Raises BadPair.
    """
    arrays, info = read_pair(folder)
    from r2f.networks import generator
    networks = {}
    for name in NETWORKS:
        networks[name] = generator(**checked_arguments(info), dtype=dtype, name=name)
        for key, variable in pair_variables(networks[name]):
            variable.assign(arrays[name].pop(key).astype(np.float32))
    return networks, info


@contextmanager
def opened_pair(folder: Path, names: tuple[str, ...]) -> Iterator[dict]:
    try:
        with opened(folder, names) as files:
            yield files
    except BadPair:
        raise
    except Missing as error:
        if (folder / "pair.json").exists():
            raise BadPair(f"{str(error)[:-1]}, so the pair is not whole; copy it again.") from error
        raise BadPair(f"{folder} is not a pair: it has no pair.json.") from error
    except BadFile as error:
        raise BadPair(str(error)) from error


def checked_info(file, path: Path) -> dict:
    """What an opened pair.json says, after what decides how the pair is read and shown was checked. Raises BadPair."""
    content = read_whole(file, MOST_PAIR_JSON_BYTES, path)
    try:
        info = strict_json(content)
    except ValueError as error:
        raise BadPair(f"{path} is not a pair.json: {shortened(error)}.") from error
    if not isinstance(info, dict) or "format" not in info:
        raise BadPair(f"{path} is not a pair.json: it names no format.")
    if type(info["format"]) is not int or info["format"] != FORMAT:
        raise BadPair(f"{path} has format {shortened(info['format'])}; this version reads format {FORMAT}.")
    files = info.get("files")
    if not isinstance(files, dict) or set(files) != {f"{name}.safetensors" for name in NETWORKS}:
        raise BadPair(f"{path} is not a pair.json: its files must be bloom.safetensors and frost.safetensors, and no others.")
    for name, entry in files.items():
        if not isinstance(entry, dict) or type(entry.get("bytes")) is not int \
                or not re.fullmatch("[0-9a-f]{64}", str(entry.get("sha256"))):
            raise BadPair(f"{path} is not a pair.json: {name} needs its size in bytes and its SHA-256.")
    if not isinstance(info.get("numbers", "float16"), str) or info.get("numbers", "float16") not in NUMBERS:
        raise BadPair(f"{path} has numbers {shortened(info['numbers'])}; this version reads {' and '.join(NUMBERS)}.")
    for name in WHOLE_NUMBERS:
        if type(info.get(name, 0)) not in (int, type(None)):
            raise BadPair(f"{path} has {name} {shortened(info[name])}; it must be a whole number.")
    checked_arguments(info)
    return info


def checked_arguments(info: dict) -> dict:
    """The generator's arguments in pair.json. Raises BadPair for what is unknown, or too large to build."""
    arguments = info.get("networks")
    if isinstance(arguments, dict):
        arguments = {**LATER_ARGUMENTS, **arguments}
    if not isinstance(arguments, dict) or set(arguments) != set(KINDS) \
            or any(type(arguments[name]) is not kind for name, kind in KINDS.items()) \
            or any(arguments[name] not in choices for name, choices in CHOICES.items()):
        raise BadPair("pair.json does not describe its networks in a way that this version knows.")
    filters, blocks = arguments["filters"], arguments["blocks"]
    if filters < 1 or not 1 <= blocks <= MOST_BLOCKS \
            or block_parameters(filters, blocks, arguments["residual"]) > MOST_PARAMETERS:
        raise BadPair(f"pair.json asks for {shortened(filters)} filters and {shortened(blocks)} blocks; generators have at least "
                      f"1 of each, at most {MOST_BLOCKS} blocks and at most {MOST_PARAMETERS // 1_000_000} million parameters.")
    return arguments


def block_parameters(filters: int, blocks: int, residual: str) -> int:
    """About how many parameters a generator's blocks have; nearly all of it. Concatenating blocks widen as they go."""
    return 144 * filters ** 2 * (2 * blocks if residual == "add" else blocks + blocks * (blocks + 1) // 2)


def weight_shapes(arguments: dict) -> dict[str, tuple[int, ...]]:
    """The key and shape of every weight of `generator(**arguments)`, in order: known without building one."""
    filters, shapes, place = arguments["filters"], {}, 0

    def layer(kind, **weights):
        nonlocal place
        shapes.update({f"{place:02d}.{kind}.{name}": shape for name, shape in weights.items()})
        place += 1

    def conv(side, before, width, norm=True, separable=False, transposed=False):
        bias = {} if norm else {"bias": (width,)}
        if separable:
            layer("SeparableConv2D", depthwise_kernel=(side, side, before, 1), pointwise_kernel=(1, 1, before, width))
        elif transposed:
            layer("Conv2DTranspose", kernel=(side, side, width, before), **bias)
        else:
            layer("Conv2D", kernel=(side, side, before, width), **bias)
        if norm:
            layer("InstanceNorm", gamma=(width,), beta=(width,))

    width, outer = 4 * filters, arguments["norm"] == "everywhere"
    conv(7, 3, filters, norm=outer)
    conv(3, filters, 2 * filters, norm=outer)
    conv(3, 2 * filters, width, norm=outer)
    for _ in range(arguments["blocks"]):
        conv(3, width, 4 * filters, separable=arguments["separable"])
        conv(3, 4 * filters, 4 * filters, separable=arguments["separable"])
        width += 4 * filters if arguments["residual"] == "concat" else 0
    for after in (2 * filters, filters):
        conv(3, width, after, norm=outer, transposed=arguments["upsampling"] == "transposed")
        width = after
    conv(7, width, 3, norm=arguments["norm_before_tanh"])
    return shapes


def read_arrays(file, path: Path, info: dict) -> dict[str, np.ndarray]:
    """The weights in a safetensors file that was opened, after its size, its header, its SHA-256 and its numbers were checked."""
    shapes, numbers = weight_shapes(checked_arguments(info)), info.get("numbers", "float16")
    item, stated = np.dtype(numbers).itemsize, info["files"][path.name]
    size = size_of(file)
    if size != stated["bytes"]:
        raise BadPair(f"{path} is damaged: it has {size:,} bytes, and pair.json says {shortened(stated['bytes'])}.")
    length = os.pread(file.fileno(), 8, 0)
    header_bytes = int.from_bytes(length, "little")
    if header_bytes > min(MOST_HEADER_BYTES, size - 8):
        raise BadPair(f"{path} is not a safetensors file: its header can't have {header_bytes:,} bytes.")
    header = os.pread(file.fileno(), header_bytes, 8)
    check_header(header, path, shapes, NUMBERS[numbers], item)
    if size != 8 + header_bytes + sum(item * math.prod(shape) for shape in shapes.values()):
        raise BadPair(f"{path} does not have the size of the weights of the generator that pair.json describes.")
    content = read_whole(file, size, path)
    if not content.startswith(length + header):
        raise BadPair(f"{path} changed while it was read.")
    if hashlib.sha256(content).hexdigest() != stated["sha256"]:
        raise BadPair(f"{path} is damaged: its SHA-256 is not the one in pair.json.")
    try:
        arrays = load(content)
    except SafetensorError as error:
        raise BadPair(f"{path} is not a safetensors file: {shortened(error)}.") from error
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise BadPair(f"{path} has a weight that is not finite.")
    return arrays


def check_header(content: bytes, path: Path, shapes: dict, kind: str, item: int) -> None:
    """Compare what a safetensors header claims with the weights that are needed, byte for byte, without gap or overlap."""
    try:
        header = strict_json(content)
    except ValueError as error:
        raise BadPair(f"{path} is not a safetensors file: {shortened(error)}.") from error
    if isinstance(header, dict):
        header.pop("__metadata__", None)
    if not isinstance(header, dict) or set(header) != set(shapes):
        raise BadPair(f"{path} does not hold the weights of the generator that pair.json describes.")
    for key, entry in header.items():
        claimed = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
        if claimed != (kind, list(shapes[key])):
            raise BadPair(f"{path}: {key} is {shortened(claimed[0])} {shortened(claimed[1])}, not {kind} {list(shapes[key])}.")
    offsets = {key: entry.get("data_offsets") for key, entry in header.items()}
    for key, pair in offsets.items():
        if not isinstance(pair, list) or len(pair) != 2 or any(type(each) is not int for each in pair):
            raise BadPair(f"{path} is not a safetensors file: {key} has no data_offsets.")
    end = 0
    for key, (begin, after) in sorted(offsets.items(), key=lambda each: each[1]):
        if begin != end or after != begin + item * math.prod(shapes[key]):
            raise BadPair(f"{path} is not a safetensors file: {key} does not begin where another ends.")
        end = after


def pair_variables(network):
    """(key, variable) for every weight: the layer's place among those with weights, its kind, the variable's name."""
    layers = [layer for layer in network.layers if layer.weights]
    for place, layer in enumerate(layers):
        for variable in layer.weights:
            yield f"{place:02d}.{getattr(layer, 'kind', type(layer).__name__)}.{variable.name}", variable
