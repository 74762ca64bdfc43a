"""Checkpoints: everything a training needs to go on exactly as if it had never been interrupted.

A checkpoint exists or it does not. It is written to a temporary directory, its manifest with the SHA-256 of every file last,
all of it forced to disk, and only then renamed; the rename is forced to disk too. Whoever reads takes the newest one that
verifies. Files hold numbers only: the architecture is code, and nothing is ever unpickled.
"""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from r2f.run import write_json

log = logging.getLogger("r2f")

KEPT = 2  # newest checkpoints that are kept, besides milestones


class BadCheckpoint(ValueError):
    """A checkpoint that does not verify; the message says what is wrong with it."""


def commit(folder: Path, step: int, state: dict[str, np.ndarray], milestone: bool = False) -> Path:
    """Write the state as `folder/step_<step>`, then drop the oldest but `KEPT` and the milestones. Returns its path.

    Only the holder of the run's lock may call it. A failure (OSError) leaves every earlier checkpoint as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, temporary = folder / f"step_{step:08d}", folder / f".step_{step:08d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        save_file(state, temporary / "state.safetensors")
        force(temporary / "state.safetensors")
        manifest = {"step": step, "milestone": milestone, "files": {"state.safetensors": digest(temporary / "state.safetensors")}}
        write_json(temporary / "manifest.json", manifest)
        force(temporary / "manifest.json")
        force(temporary)
        if final.exists():  # an older run of the same step, or one that does not verify
            shutil.rmtree(final)
        os.rename(temporary, final)
        force(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sweep(folder, final.name)
    return final


def sweep(folder: Path, newest: str) -> None:
    """Drop leftovers of interrupted commits, and checkpoints beyond the newest `KEPT` that are no milestones.

    What is later than `newest`, the one just written, was passed over when the training resumed: it did not verify.
    """
    for leftover in folder.glob(".step_*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    for later in (path for path in folder.glob("step_*") if path.name > newest):
        shutil.rmtree(later, ignore_errors=True)
    for old in sorted(folder.glob("step_*"))[:-KEPT]:
        try:
            milestone = json.loads((old / "manifest.json").read_text()).get("milestone", False)
        except (OSError, ValueError):
            milestone = False
        if not milestone:
            shutil.rmtree(old, ignore_errors=True)


def verify(checkpoint: Path) -> dict:
    """The checkpoint's manifest, after every file's SHA-256 was compared. Raises BadCheckpoint."""
    try:
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        manifest["files"]["state.safetensors"]
        for name, expected in manifest["files"].items():
            if digest(checkpoint / name) != expected:
                raise BadCheckpoint(f"{checkpoint.name}: {name} is damaged, its SHA-256 differs from the manifest's")
        if checkpoint.name != f"step_{manifest['step']:08d}":
            raise BadCheckpoint(f"{checkpoint.name}: the manifest is of step {manifest['step']}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadCheckpoint):
            raise
        raise BadCheckpoint(f"{checkpoint.name}: {error}") from error
    return manifest


def latest(folder: Path) -> Path | None:
    """The newest checkpoint that verifies, or None; those passed over are logged."""
    for checkpoint in sorted(folder.glob("step_*"), reverse=True):
        try:
            verify(checkpoint)
            return checkpoint
        except BadCheckpoint as error:
            log.warning("checkpoint passed over: %s", error)
    return None


def restore(checkpoint: Path) -> dict[str, np.ndarray]:
    """The state that `commit` was given. Raises BadCheckpoint."""
    verify(checkpoint)
    try:
        return load_file(checkpoint / "state.safetensors")
    except SafetensorError as error:
        raise BadCheckpoint(f"{checkpoint.name}: state.safetensors is no safetensors file ({error})") from error


def state_of(model) -> dict[str, np.ndarray]:
    """Every number a training depends on: networks, averages, pools, seed generators, step, the optimizer's moments, and the
    losses summed since the last line of metrics."""
    return {name: np.asarray(to_numpy(variable), order="C") for name, variable in named_variables(model)}


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


def force(path: Path) -> None:
    """Force a file, or a directory's list of names, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
