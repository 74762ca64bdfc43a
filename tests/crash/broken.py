"""The protocol broken on purpose, in one way each: the experiments must notice every one of them."""

import json
import os
import shutil
from contextlib import contextmanager

from safetensors import SafetensorError

from r2f import checkpoint

force, write, commit = checkpoint.force, checkpoint.write, checkpoint.commit


def forget_to_force_files():
    def only_write(path, content):
        with checkpoint.open(path, "xb") as file:  # the one of the Disk
            file.write(content)

    checkpoint.force = lambda path: force(path) if path.is_dir() else None
    checkpoint.write = only_write


def forget_to_force_directories():
    checkpoint.force = lambda path: None if path.is_dir() else force(path)


def save(folder, step, state, milestone=False, rename_first=False, in_place=False, delete_first=False):
    """A commit as one would write it without a second thought."""
    checkpoint.make(folder)
    checkpoint.drop_leftovers(folder)
    final = folder / f"step_{step:08d}"
    place = final if in_place else folder / f".step_{step:08d}.tmp"
    if in_place or delete_first or rename_first:
        shutil.rmtree(final, ignore_errors=True)
    os.mkdir(place)
    checkpoint.save_file(state, place / checkpoint.STATE)
    force(place / checkpoint.STATE)
    described = {checkpoint.STATE: {"bytes": os.stat(place / checkpoint.STATE).st_size,
                                    "sha256": checkpoint.digest(place / checkpoint.STATE)}}
    if rename_first:
        os.rename(place, final)
        place = final
    write(place / checkpoint.MANIFEST, json.dumps({"step": step, "milestone": milestone, "files": described}).encode())
    force(place)
    if place != final:
        os.rename(place, final)
    force(folder)
    checkpoint.sweep(folder, final)
    return final


def rename_before_the_manifest():
    checkpoint.commit = lambda *a, **k: save(*a, **k, rename_first=True)


def write_in_place():
    checkpoint.commit = lambda *a, **k: save(*a, **k, in_place=True)


def delete_the_old_one_first():
    checkpoint.commit = lambda *a, **k: save(*a, **k, delete_first=True)


def ignore_the_digest():
    checkpoint.compare = lambda *arguments: None


def keep_only_the_newest():
    checkpoint.KEPT = 1


def count_damaged_ones():
    def sweep(folder, newest):
        before = [each for each in checkpoint.checkpoints(folder) if each.name <= newest.name]
        for old in before[checkpoint.KEPT:]:
            shutil.rmtree(old)

    checkpoint.sweep = sweep


def delete_where_it_stands():
    def sweep(folder, newest):
        for old in checkpoint.checkpoints(folder)[checkpoint.KEPT:]:
            if not checkpoint.is_milestone(old):
                shutil.rmtree(old)

    checkpoint.sweep = sweep


def say_nothing_of_a_full_disk():
    def silent(folder, step, *arguments, **options):
        try:
            return commit(folder, step, *arguments, **options)
        except OSError:
            return folder / f"step_{step:08d}"

    checkpoint.commit = silent


def trust_what_was_written():
    def only_write(path, state):
        checkpoint.save_file(state, path)
        force(path)

    checkpoint.write_arrays = only_write


def take_an_error_for_damage():
    @contextmanager
    def judged(path):
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise checkpoint.BadCheckpoint(str(error)) from error

    checkpoint.judged = judged


WAYS = {function.__name__: function for function in (
    forget_to_force_files, forget_to_force_directories, rename_before_the_manifest, write_in_place, delete_the_old_one_first,
    ignore_the_digest, keep_only_the_newest, count_damaged_ones, delete_where_it_stands, say_nothing_of_a_full_disk,
    trust_what_was_written, take_an_error_for_damage)}
