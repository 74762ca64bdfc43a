"""python -m r2f.checkpoint: what a run has kept, whether it verifies, and pairs made from it or from the seed project's files.

Reads runs and never writes into one, so it may be used while the run trains. Does not train.
"""

import argparse
import contextlib
import logging
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from r2f import checkpoint, config
from r2f.card import model_card
from r2f.checkpoint import BadCheckpoint
from r2f.files import BadFile, opened
from r2f.keras2 import BadH5, read_generator
from r2f.pair import CARD, FILES, NETWORKS, BadPair, NotReplaced, read_pair, read_pair_json, weight_shapes, write_pair
from r2f.run import Run
from r2f.shell import python

EXIT_DAMAGED, EXIT_BAD_INPUT = 1, 2
TRIES = 3  # a training drops old checkpoints while they are looked at
EXPORT_SECONDS = 300.0  # for one checkpoint, in a process of its own; one or two are usual


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
    """The averaged generators' weights by key, `{"bloom": {...}, "frost": {...}}`, from a checkpoint's state.

    Builds no model, whose discriminators may need what is not installed here: bloom and frost stand side by side at two places
    of a state, as trained and, behind the discriminators, as averages.
    """
    shapes = weight_shapes(settings.generator_arguments)
    arrays = [state[name] for name in sorted(state) if name.startswith("model/")]
    both, found = 2 * list(shapes.values()), [array.shape for array in arrays]
    places = [place for place in range(len(found)) if found[place:place + len(both)] == both]
    if len(places) != 2:
        raise NothingThere("the checkpoint was written for another configuration or version than its run's config.json.")
    rest = iter(arrays[places[1]:])
    return {name: {key: next(rest) for key in shapes} for name in NETWORKS}


def zip_pair(run: Run, folder: Path, step: int | None = None) -> Path:
    """A run's newest pair, or that of a step, with a model card as `<run>-step-<N>.zip` in the folder. Gives its path.

    A pair that is there already (the newest, the best) is taken as it is; another step's is exported from its checkpoint, by a
    process of its own. The zip is read again before it gets its name. Raises NothingThere, and BadFile or BadPair for files
    that are not whole.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".zip-", dir=folder) as work:
            copied = Path(work, "copied")
            copy_pair(run, step, Path(work), copied)
            info = read_pair(copied)[1]
            name = f"{run.path.name}-step-{info.get('step', 0)}"
            if not (copied / CARD).exists():
                (copied / CARD).write_text(model_card(info, name), encoding="utf-8")
            part = Path(work, "part.zip")
            with zipfile.ZipFile(part, "w") as file:  # not compressed: numbers of a network hardly shrink
                for each in (*FILES, CARD):
                    file.write(copied / each, f"{name}/{each}")
            with zipfile.ZipFile(part) as file:
                file.extractall(Path(work, "again"))  # our own names, a few lines above
            read_pair(Path(work, "again", name))
            part.chmod(0o644)
            return part.replace(Path(folder) / f"{name}.zip")
    except OSError as error:
        raise NothingThere(f"The pair of {run.path.name} could not be packed: {error.strerror or error}.") from error


def copy_pair(run: Run, step: int | None, work: Path, copied: Path) -> None:
    """Copy the three files of the pair that is asked for, and its card where it has one, into a new folder."""
    source = run.pair
    if step is not None and step not in (steps := {step_of_pair(each): each for each in (run.best, run.pair)}):
        source = work / "exported"
        export_aside(run, step, source)
    elif step is not None:
        source = steps[step]
    elif not (run.pair / "pair.json").exists() and not run.pair.with_name(f".{run.pair.name}.old").exists():
        raise NothingThere(f"{run.path.name} has no pair yet; it comes with the first checkpoint.")
    copied.mkdir()
    with opened(source, FILES) as files:  # together: the training may replace them at any moment
        for each, file in files.items():
            with open(copied / each, "wb") as copy:
                shutil.copyfileobj(file, copy)
    if (source / CARD).is_file():
        shutil.copyfile(source / CARD, copied / CARD)


def step_of_pair(folder: Path) -> int | None:
    try:
        return read_pair_json(folder).get("step")
    except BadPair:
        return None


def export_aside(run: Run, step: int, folder: Path) -> None:
    """`export` in a process of its own, which takes the memory of the whole state with it when it ends. Raises NothingThere."""
    from r2f.runner import environment
    find(run, step)
    command = [sys.executable, "-m", "r2f.checkpoint", "export", str(run.path), f"--step={step}", f"--output={folder}"]
    try:
        done = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=EXPORT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NothingThere(f"The pair of step {step} was not exported within {EXPORT_SECONDS:.0f} seconds.") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise NothingThere(said[0] if said else f"The pair of step {step} could not be exported: exit code {done.returncode}.")


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
    quoted = shlex.quote(str(folder))
    print(f"{folder}: bloom from {b_to_a.name}, frost from {a_to_b.name}, {arguments['bloom']['filters']} filters, "
          f"{arguments['bloom']['blocks']} blocks, {megabytes(folder):,.0f} MB\n"
          f"{python()} -m r2f.bloom PHOTO -o OUT --pair {quoted} --precision float32 paints as the original does.")
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
    except (NothingThere, NotReplaced, BadCheckpoint, BadFile, BadPair, BadH5) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"{error.filename or options.command}: {error.strerror or error}.", file=sys.stderr)
        return EXIT_BAD_INPUT
