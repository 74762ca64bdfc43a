"""python -m r2f.checkpoint: what a run has kept, whether it verifies, and pairs made from it or from the seed project's files.

Reads runs and never writes into one, so it may be used while the run trains. Does not train.
"""

import argparse
import contextlib
import logging
import re
import sys
import time
from pathlib import Path

from r2f import checkpoint, config
from r2f.checkpoint import BadCheckpoint
from r2f.files import BadFile
from r2f.keras2 import BadH5, read_generator
from r2f.pair import NETWORKS, BadPair, read_pair_json, weight_shapes, write_pair
from r2f.run import Run

EXIT_DAMAGED, EXIT_BAD_INPUT = 1, 2
TRIES = 3  # a training drops old checkpoints while they are looked at


class NothingThere(ValueError):
    """What was asked for is not there; the message says what, and what there is."""


def find(run: Run, step: int | None = None) -> list[Path]:
    """The run's checkpoints, newest first, or those of one step. Raises NothingThere."""
    if not run.path.is_dir():
        raise NothingThere(f"{run.path} is not a run: there is no such folder.")
    found = checkpoint.checkpoints(run.checkpoints)
    if not found:
        raise NothingThere(f"{run.path} has no checkpoint yet." if run.config.exists() else
                           f"{run.path} is not a run: it has no config.json and no checkpoints.")
    if step is None:
        return found
    steps = sorted({checkpoint.step_of(each) for each in found})
    if step not in steps:
        raise NothingThere(f"{run.path} has no checkpoint of step {step}; it has {', '.join(map(str, steps))}.")
    return [each for each in found if checkpoint.step_of(each) == step]


def judgement(each: Path) -> str | None:
    """None for a checkpoint that verifies, otherwise the reason why not."""
    try:
        checkpoint.verify(each)
        return None
    except BadCheckpoint as error:
        return str(error).removeprefix(f"{each.name}: ")


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def ls(run: Run) -> int:
    """Print one line for each checkpoint, newest first."""
    print(f"{'step':>10}  {'date':16}  {'size':>10}  {'':9}  verified")
    for each in find(run):
        try:
            date = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.stat().st_mtime))
            size = megabytes(each)
            milestone = "milestone" if checkpoint.is_milestone(each) else ""
            reason = judgement(each)
        except FileNotFoundError:
            continue
        if each.exists():  # else the training has dropped it just now
            print(f"{checkpoint.step_of(each):>10}  {date}  {size:>7.1f} MB  {milestone:9}  "
                  f"{'yes' if reason is None else f'no: {reason}'}")
    return 0


def verify(run: Run, step: int | None) -> int:
    """Print what does not verify; the exit code is 0 where everything does."""
    reasons = {each: judgement(each) for each in find(run, step)}
    bad = {each: reason for each, reason in reasons.items() if reason and each.exists()}
    for each, reason in bad.items():
        print(f"{each.name}: {reason}", file=sys.stderr)
    good = [each.name for each, reason in reasons.items() if reason is None]
    print(f"{len(good)} of {len(good) + len(bad)} checkpoints verify" + (f": {', '.join(good)}" if good else ""))
    return EXIT_DAMAGED if bad else 0


def export(run: Run, step: int | None, folder: Path) -> int:
    """Write the averaged generators of a checkpoint, the newest that verifies or that of a step, as a pair."""
    check_new(folder)
    find(run, step)
    settings = read_settings(run)
    for left in reversed(range(TRIES)):
        try:
            if step is None:
                source, state = checkpoint.newest(run.checkpoints)
            else:
                source = find(run, step)[0]
                state = checkpoint.restore(source)
            break
        except (BadCheckpoint, TypeError) as error:
            if not left or (step is not None and source.exists()):
                raise NothingThere(f"{run.path} has no checkpoint that can be exported: {error}.") from error
    when = time.localtime(source.stat().st_mtime if source.exists() else time.time())
    info = {"networks": settings.generator_arguments, "image_size": settings.image_size, "preset": settings.preset,
            "step": checkpoint.step_of(source), "seed": settings.seed, "changed": settings.changed,
            "date": time.strftime("%Y-%m-%d", when)}
    with contextlib.suppress(BadPair, KeyError):  # how many pictures there were, only the training knew
        info["pictures"] = read_pair_json(run.pair)["pictures"]
    write_pair(folder, averages(settings, state), info)
    print(f"{folder}: the pair of step {checkpoint.step_of(source)} of {run.path}")
    return 0


def read_settings(run: Run) -> config.Config:
    try:
        return config.from_json(run.config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NothingThere(f"{run.path} is not a run: it has no config.json.") from error
    except (config.ConfigError, TypeError, UnicodeError) as error:
        raise NothingThere(f"{run.config} can't be used: {error}") from error


def averages(settings: config.Config, state: dict) -> dict:
    """The averaged generators' weights by key, `{"bloom": {...}, "frost": {...}}`, from a checkpoint's state."""
    import keras

    from r2f.cyclegan import CycleGAN
    from r2f.pair import pair_variables
    model = CycleGAN(settings, dtype="float32")
    model.compile(optimizer=keras.optimizers.Adam())  # the order of the state is that of a compiled model
    names = {id(variable): name for name, variable in checkpoint.named_variables(model) if name.startswith("model/")}
    if set(names.values()) != {name for name in state if name.startswith("model/")}:
        raise NothingThere("the checkpoint was written for another configuration or version than its run's config.json.")
    shapes, arrays = weight_shapes({**settings.generator_arguments}), {}
    for name in NETWORKS:
        arrays[name] = {key: state[names[id(variable)]] for key, variable in pair_variables(getattr(model, f"{name}_average"))}
        if any(arrays[name][key].shape != shape for key, shape in shapes.items()):
            raise NothingThere("the checkpoint was written for another configuration or version than its run's config.json.")
    return arrays


def import_h5(a_to_b: Path, b_to_a: Path, folder: Path, half: bool) -> int:
    """Write the seed project's two files as a pair. There A is flowers and B is rime, so AtoB is frost and BtoA is bloom."""
    check_new(folder)
    if "btoa" in a_to_b.name.lower() or "atob" in b_to_a.name.lower():
        raise NothingThere(f"{a_to_b.name} and {b_to_a.name} are the wrong way round; name the AtoB file first.")
    arguments, arrays, image_size, steps = {}, {}, {}, {}
    for name, path in (("bloom", b_to_a), ("frost", a_to_b)):
        arguments[name], arrays[name], image_size[name] = read_generator(path)
        steps[name] = re.search(r"_(\d{1,9})\.h5$", path.name)
    if arguments["bloom"] != arguments["frost"]:
        sizes = {path.name: f"{given['filters']} filters and {given['blocks']} blocks"
                 for path, given in ((b_to_a, arguments["bloom"]), (a_to_b, arguments["frost"]))}
        raise NothingThere("The two files are not of one training: " + ", ".join(f"{k} has {v}" for k, v in sizes.items()) + ".")
    info = {"networks": arguments["bloom"], "preset": "seed", "imported": {"bloom": b_to_a.name, "frost": a_to_b.name},
            "date": time.strftime("%Y-%m-%d", time.localtime(max(path.stat().st_mtime for path in (a_to_b, b_to_a))))}
    if image_size["bloom"]:
        info["image_size"] = image_size["bloom"]
    if all(steps.values()) and steps["bloom"][1] == steps["frost"][1]:
        info["step"] = int(steps["bloom"][1])
    write_pair(folder, arrays, info, "float16" if half else "float32")
    print(f"{folder}: bloom from {b_to_a.name}, frost from {a_to_b.name}, {arguments['bloom']['filters']} filters, "
          f"{arguments['bloom']['blocks']} blocks, {megabytes(folder):,.0f} MB\n"
          f"python -m r2f.bloom PHOTO -o OUT --pair {folder} --precision float32 paints as the original does.")
    return 0


def check_new(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NothingThere(f"{folder} is there already; name another folder with -o.")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m r2f.checkpoint", description=__doc__.partition(": ")[2].partition("\n")[0])
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, text, *arguments):
        each = commands.add_parser(name, help=text, description=text)
        for flags, options in arguments:
            each.add_argument(*flags, **options)

    run = (("run",), dict(type=Path, metavar="RUN", help="a run directory, such as runs/first"))
    step = (("--step",), dict(type=int, metavar="N", help="the checkpoint of this step (default: see above)"))
    output = (("-o", "--output"), dict(type=Path, required=True, metavar="FOLDER", help="the new pair's folder"))
    command("ls", "List a run's checkpoints and whether they verify.", run)
    command("verify", "Compare every checkpoint, or that of one step, with its SHA-256; exit code 1 if one differs.", run, step)
    command("export", "Write the generators of the newest checkpoint that verifies, or of one step, as a pair.",
            run, step, output)
    command("import-h5", "Make a pair from the two .h5 files of the 2023 project, without executing anything in them.",
            (("a_to_b",), dict(type=Path, metavar="AtoB.h5", help="flowers to rime, g_model_AtoB_002500.h5")),
            (("b_to_a",), dict(type=Path, metavar="BtoA.h5", help="rime to flowers, g_model_BtoA_002500.h5")),
            output, (("--half",), dict(action="store_true", help="store half precision: half the size, and pictures that differ "
                                                                 "from the original's by up to 2 of 255 levels")))
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        match options.command:
            case "ls":
                return ls(Run(options.run))
            case "verify":
                return verify(Run(options.run), options.step)
            case "export":
                return export(Run(options.run), options.step, options.output)
            case "import-h5":
                return import_h5(options.a_to_b, options.b_to_a, options.output, options.half)
    except (NothingThere, BadCheckpoint, BadFile, BadPair, BadH5) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"{error.filename or options.command}: {error.strerror or error}.", file=sys.stderr)
        return EXIT_BAD_INPUT
