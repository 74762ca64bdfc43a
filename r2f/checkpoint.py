"""Checkpoints: everything a training needs to go on exactly as if it had never been interrupted.

A checkpoint exists or it does not. It is written to a temporary directory, its manifest with the SHA-256 of every file last,
all of it forced to disk, and only then renamed; the rename is forced to disk too. Whoever reads takes the newest one that
verifies. Files hold numbers only: the architecture is code, and nothing is ever unpickled.

    checkpoints/step_00001000/state.safetensors   every number of the training
                              manifest.json       step, milestone, size and SHA-256 of state.safetensors
    checkpoints/.step_00001100.tmp/               a save or a deletion in flight, or what a crash left of one; nobody reads it
    checkpoints/step_00001000.old/                the one that a save of the same step is about to replace; read like any other
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save_file

log = logging.getLogger("r2f")

KEPT = 2  # newest checkpoints that are kept, besides milestones
STATE, MANIFEST = "state.safetensors", "manifest.json"
NAME = re.compile(r"step_(\d{8,})(\.old\d*)?")
MOST_MANIFEST_BYTES = 100_000


class BadCheckpoint(ValueError):
    """A checkpoint that does not verify; the message says what is wrong with it."""


class NotFinite(ArithmeticError):
    """A state with an array, `name`, that holds an infinity or a not-a-number."""

    def __init__(self, name: str, step: int):
        super().__init__(f"{name} is not finite in the state of step {step}")
        self.name = name


def commit(folder: Path, step: int, state: dict[str, np.ndarray], milestone: bool = False) -> Path:
    """Write the state as `folder/step_<step>`, then drop what is no longer needed (`sweep`). Returns its path.

    Only the holder of the run's lock may call it. Takes the room of one checkpoint more than are kept. Raises NotFinite before
    anything is touched, and OSError with every earlier checkpoint as it was. When it returns, the checkpoint is on disk.
    """
    check_finite(step, state)
    make(folder)
    drop_leftovers(folder)
    final, temporary = folder / f"step_{step:08d}", folder / f".step_{step:08d}.tmp"
    try:
        os.mkdir(temporary)
        write_arrays(temporary / STATE, state)
        described = {STATE: {"bytes": os.stat(temporary / STATE).st_size, "sha256": digest(temporary / STATE)}}
        write(temporary / MANIFEST, json.dumps({"step": step, "milestone": milestone, "files": described}, indent=2).encode())
        force(temporary)
        if final.exists():  # an older run of the same step, or one that does not verify; until the rename it is all there is
            os.rename(final, next(path for n in count() if not (path := folder / f"{final.name}.old{n or ''}").exists()))
        os.rename(temporary, final)
        force(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    try:
        sweep(folder, final)
    except OSError as error:  # the checkpoint is on disk; what is too much is tried again after the next one
        log.warning("older checkpoints could not be dropped: %s", error)
    return final


def sweep(folder: Path, newest: Path) -> None:
    """Drop the checkpoints that `newest`, the one just written, made superfluous: all but the `KEPT` newest and the milestones.

    One that does not verify does not count, so the last good one is never dropped for the sake of damaged ones. What is later
    than `newest` was passed over when the training resumed: it did not verify.
    """
    step, good, superfluous = step_of(newest), 1, []
    for each in checkpoints(folder):
        if each == newest:
            continue
        if step_of(each) >= step or (good >= KEPT and not is_milestone(each)):
            superfluous.append(each)
        elif good < KEPT:
            good += verifies(each)
    if superfluous:  # a checkpoint that exists is whole, also while it is deleted
        for each in superfluous:
            os.rename(each, folder / f".{each.name}.tmp")
        force(folder)
        drop_leftovers(folder)


def drop_leftovers(folder: Path) -> None:
    """Drop what interrupted commits and sweeps left. Who holds the run's lock knows that none is in flight."""
    for name in os.listdir(folder):
        if name.startswith(".step_") and name.endswith(".tmp"):
            shutil.rmtree(folder / name, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """Every checkpoint of a folder, newest first, verified or not; of one step, the one that replaces comes first.

    Raises OSError for a folder that is there but can't be read: it would look like one without checkpoints.
    """
    try:
        names = [name for name in os.listdir(folder) if NAME.fullmatch(name)]
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names, key=lambda name: (-step_of(Path(name)), name))]


def step_of(checkpoint: Path) -> int:
    return int(NAME.fullmatch(checkpoint.name)[1])


def is_milestone(checkpoint: Path) -> bool:
    try:
        return read_manifest(checkpoint)["milestone"]
    except BadCheckpoint:
        return False


def verifies(checkpoint: Path) -> bool:
    try:
        verify(checkpoint)
        return True
    except BadCheckpoint as error:
        log.warning("checkpoint passed over: %s", error)
        return False


def verify(checkpoint: Path) -> dict:
    """The checkpoint's manifest, after every file's size and SHA-256 were compared.

    Raises BadCheckpoint for one that is damaged, and OSError where that can't be told (no permission, say).
    """
    with judged(checkpoint):
        manifest = read_manifest(checkpoint)
        for name, expected in manifest["files"].items():
            compare(checkpoint, name, expected, os.stat(checkpoint / name).st_size, digest(checkpoint / name))
        return manifest


def newest(folder: Path) -> tuple[Path, dict[str, np.ndarray]] | None:
    """The newest checkpoint that verifies and its state, each read once, or None where there is no checkpoint yet.

    Those passed over are logged. Raises BadCheckpoint where there are some and none verifies, for a training that starts over
    without a word is worse than one that does not start; and OSError as `verify` does.
    """
    found = checkpoints(folder)
    for checkpoint in found:
        try:
            return checkpoint, restore(checkpoint)
        except BadCheckpoint as error:
            log.warning("checkpoint passed over: %s", error)
    if found:
        raise BadCheckpoint(f"none of the {len(found)} checkpoints in {folder} verifies; start a new run, "
                            "or put back a copy of one of them.")
    return None


def restore(checkpoint: Path) -> dict[str, np.ndarray]:
    """The state that `commit` was given, verified and read in one pass. Raises as `verify` does."""
    with judged(checkpoint):
        manifest = read_manifest(checkpoint)
        with open(checkpoint / STATE, "rb") as file:
            content = file.read()
        compare(checkpoint, STATE, manifest["files"][STATE], len(content), hashlib.sha256(content).hexdigest())
        return load(content)


def read_manifest(checkpoint: Path) -> dict:
    """What a checkpoint says about itself, in every field as `commit` writes it. Raises as `verify` does."""
    with judged(checkpoint):
        with open(checkpoint / MANIFEST, "rb") as file:
            manifest = json.loads(file.read(MOST_MANIFEST_BYTES))
        if set(manifest) != {"step", "milestone", "files"} or set(manifest["files"]) != {STATE} \
                or type(manifest["milestone"]) is not bool:
            raise BadCheckpoint(f"{checkpoint.name}: {MANIFEST} is damaged")
        if type(manifest["step"]) is not int or manifest["step"] != step_of(checkpoint):
            raise BadCheckpoint(f"{checkpoint.name}: the manifest is of step {manifest['step']}")
        return manifest


def compare(checkpoint: Path, name: str, expected, size: int, sha256: str) -> None:
    if isinstance(expected, str):  # as manifests were before they held sizes
        expected = {"bytes": size, "sha256": expected}
    if size != expected["bytes"]:
        raise BadCheckpoint(f"{checkpoint.name}: {name} is damaged, it has {size} bytes and should have {expected['bytes']}")
    if sha256 != expected["sha256"]:
        raise BadCheckpoint(f"{checkpoint.name}: {name} is damaged, its SHA-256 differs from the manifest's")


@contextmanager
def judged(checkpoint: Path) -> Iterator[None]:
    """Turn what a damaged checkpoint can raise into BadCheckpoint.

    What lies not in the checkpoint (no permission, too many open files, a server that is away) stays an OSError: to go on from an
    older one because of it would throw good work away.
    """
    try:
        yield
    except BadCheckpoint:
        raise
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadCheckpoint(f"{checkpoint.name}: {error}") from error
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO):
            raise
        raise BadCheckpoint(f"{checkpoint.name}: {error}") from error


def check_finite(step: int, state: dict[str, np.ndarray]) -> None:
    """Raises NotFinite, which names the first array that holds an infinity or a not-a-number. Takes 0.1 s a gigabyte."""
    for name, array in state.items():  # the least and the largest show both, and take no memory
        if array.size and array.dtype.kind == "f" and not (np.isfinite(array.min()) and np.isfinite(array.max())):
            raise NotFinite(name, step)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a safetensors file, force it to disk, and look whether it reads back: no digest shall vouch for anything else.

    Raises OSError.
    """
    with system_errors(path):
        save_file(arrays, path)
    force(path)
    try:
        with safe_open(path, "numpy") as file:
            same = set(file.keys()) == set(arrays) and all(identical(file.get_tensor(name), arrays[name]) for name in arrays)
    except SafetensorError:
        same = False
    if not same:
        raise unlike(path)


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Raise OSError where safetensors has an error of its own even for a full disk."""
    try:
        yield
    except SafetensorError as error:
        if not (number := re.search(r"\(os error (\d+)\)", str(error))):
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def unlike(path: Path) -> OSError:
    return OSError(errno.EIO, "it does not read back as it was written", str(path))


def identical(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal bit by bit."""
    return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(in_bytes(one), in_bytes(other))


def in_bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def state_of(model) -> dict[str, np.ndarray]:
    """A copy of every number a training depends on: networks, averages, pools, seed generators, step, the optimizer's moments,
    and the losses summed since the last line of metrics."""
    return {name: own(to_numpy(variable)) for name, variable in named_variables(model)}


def own(array: np.ndarray) -> np.ndarray:
    """The array, copied where its memory is someone else's: some backends lend that of the variable."""
    return array if array.flags.owndata and array.flags.c_contiguous else np.array(array, order="C")


def set_state(model, state: dict[str, np.ndarray]) -> None:
    """Put a state back. Raises BadCheckpoint, before anything is changed, where it does not fit the model."""
    variables = dict(named_variables(model))
    if set(variables) != set(state):
        raise BadCheckpoint(f"the checkpoint holds {len(state)} arrays and the model has {len(variables)}; "
                            "it was written for another configuration or version")
    for name, variable in variables.items():
        if tuple(variable.shape) != state[name].shape:
            raise BadCheckpoint(f"{name} has shape {state[name].shape} in the checkpoint, {tuple(variable.shape)} in the model")
    for name, variable in variables.items():
        variable.assign(state[name])


def named_variables(model):
    for owner, variables in (("model", model.variables), ("optimizer", model.optimizer.variables),
                             ("metrics", model.metrics_variables)):
        for index, variable in enumerate(variables):
            yield f"{owner}/{index:04d}", variable


def to_numpy(variable) -> np.ndarray:
    from keras import ops
    return ops.convert_to_numpy(variable.value)


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(folder: Path) -> None:
    """Make a directory, and the way to it, that is still there after a crash."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for above in list(folder.absolute().parents)[:2]:
            with suppress(PermissionError):  # what is not ours to read was there before
                force(above)


def write(path: Path, content: bytes) -> None:
    """Write a new file, force it to disk, and look whether it reads back."""
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    with open(path, "rb") as file:
        if file.read() != content:
            raise unlike(path)


def force(path: Path) -> None:
    """Force a file, or a directory's list of names, to disk. Some mounted clouds can't do that with a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS) or not os.path.isdir(path):
            raise
    finally:
        os.close(handle)


if __name__ == "__main__":
    import sys

    from r2f.archive import main
    sys.exit(main())
