"""python -m r2f.speed: how long a training would take here, from a few steps of the real trainer.

Never measured while a training runs or waits. What was measured is remembered beside the runs, and what the runs there measured
themselves counts, too. Other settings are reached by counting multiplications. Imports no Keras and never `train`.
"""

import argparse
import contextlib
import fcntl
import functools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from r2f import config as configs
from r2f import device, preflight, runner
from r2f.config import FOLDERS, Config, ConfigError
from r2f.device import DeviceError
from r2f.images import write_picture
from r2f.keeper import device_lock_name
from r2f.run import Run, try_lock

LIMIT_SECONDS = 180.0  # of a calibration
POLL_SECONDS = 0.2
CPU_SIDE = 128  # pixels, at most, of a calibration on a processor: a step at 256 takes many seconds there
PICTURES = 4  # of each domain, for a calibration
WARM_UP_LINES = 2  # lines of metrics that are not counted: tracing, first touches of memory
LEAST_LINES, MOST_LINES = 3, 12  # lines that are
ENOUGH_SECONDS = 6.0  # measured: with LEAST_LINES, that will do
GPU_LOG_STEPS = 10  # steps between two lines on a GPU, which is faster when it is not asked after each
RUN_LINES = 40  # of a run's metrics, from all of it
REMEMBERED = 50  # measured speeds, the newest
UPDATE = 1000  # multiplications that the optimizer's update of a weight takes as long as
# Settings that a step takes equally long with; weights count only as being there or not. What is not named here counts.
ANY_VALUE = {*FOLDERS, "preset", "drawn", "prefixes", "colourful", "add_drawn", "flip", "cycle_weight", "identity_until",
             "teacher_weight", "steps", "learning_rate", "beta_1", "decay_from", "seed", "log_steps", "sample_steps",
             "sample_count", "checkpoint_steps", "checkpoint_minutes", "milestone_steps", "evaluate_steps", "evaluate_count",
             "tensorboard"} - {"teacher"}
ON_OR_OFF = {"identity_weight", "light_weight", "cycle_noise", "cycle_colour_noise", "gradient_penalty", "averaging"}
# What a calibration leaves out of a training.
BARE = {"drawn": False, "prefixes": "", "colourful": 1.0, "add_drawn": 0, "sample_steps": 0, "sample_count": 1,
        "checkpoint_steps": 0, "checkpoint_minutes": 1e6, "milestone_steps": 0, "evaluate_steps": 0, "tensorboard": False,
        **{name: "" for name in FOLDERS if name != "teacher"}}
TAUGHT_PASSES, TAUGHT_BORDER = 8, 4  # of a teacher's generators in a step, forwards alone; pixels that its pictures are larger


_calibrating = threading.Lock()


class DeviceBusy(DeviceError):
    """A training runs or waits there."""


@dataclass(frozen=True)
class Speed:
    """How fast a training with some settings is on this device."""

    pairs_per_second: float
    exact: bool  # measured with these networks and sizes; otherwise carried over from others by counting multiplications
    measured: float  # when, seconds since 1970

    def hours(self, config: Config, from_step: int = 0) -> float:
        return max(0, config.steps - from_step) * config.batch_size / self.pairs_per_second / 3600


@dataclass(frozen=True)
class Measured:
    """One measured speed."""

    config: Config
    pairs_per_second: float
    measured: float


def of(config: Config, root: Path | str) -> Speed | None:
    """How fast a training with these settings is here, from what was measured; None where nothing was. At once."""
    measured = [*calibrated(root), *from_runs(root)]
    if same := [each for each in measured if speed_key(each.config) == speed_key(config)]:
        return carried_over(max(same, key=lambda each: each.measured), config)
    if not measured:
        return None
    return carried_over(min(measured, key=lambda each: likeness(each.config, config)), config)


def carried_over(found: Measured, config: Config) -> Speed:
    """What a measurement says of other settings; of those that are as fast, the very figure."""
    if speed_key(found.config) == speed_key(config):
        return Speed(found.pairs_per_second, True, found.measured)
    return Speed(found.pairs_per_second * work(found.config) / work(config), False, found.measured)


def hours(config: Config, root: Path | str) -> float | None:
    """About how many hours a training with these settings takes here; None where nothing was measured."""
    found = of(config, root)
    return found and found.hours(config)


def sentence(config: Config, root: Path | str) -> str:
    """The device and the hours in one line, from what is known."""
    here, found = device.known(root), hours(config, root)
    if here is None:
        return "the device is not known yet"
    if found is None:
        return f"{here.sentence}; its speed was not measured yet"
    if here.kind == "gpu":
        return f"{here.sentence}: {in_words(found)}"
    return f"no GPU here: {in_words(found)} on this CPU ({device.cores_said(here.cores)})"


def in_words(hours: float) -> str:
    for most, unit, name in ((1.5, 1 / 60, "minute"), (36, 1, "hour"), (float("inf"), 24, "day")):
        if hours < most:
            count = max(1, round(hours / unit))
            return f"about {count:,} {name}{'s' * (count != 1)}"


def calibrate(config: Config, root: Path | str, limit_seconds: float = LIMIT_SECONDS,
              progress: Callable[[float], None] | None = None) -> Speed:
    """Measure a training with these settings, on a CPU at CPU_SIDE pixels at most, and remember it.

    Runs the trainer in a temporary folder, with the device's lock held, and ends it after a few steps. `progress` is called with
    the part of `limit_seconds` that is over. Gives way to a training that is started meanwhile. Raises DeviceBusy; DeviceError
    where memory will not do, where the trainer fails, or where the limit is over before enough steps were.
    """
    here = device.describe(root)
    if here.advice == device.NEEDS_WSL2:
        raise DeviceError(device.NEEDS_WSL2)
    small, asked = calibration_of(config, here.kind), time.time()
    with _calibrating:
        if (found := of(small, root)) and found.exact and found.measured >= asked:  # somebody else's, while this one waited
            return of(config, root)
        with device_lock(Path(root)) as lock, tempfile.TemporaryDirectory(prefix="r2f-") as folder:
            small = replace(small, data=folder, run=f"{folder}/run")
            if problems := preflight.problems(small, small.run, here.kind == "gpu", (PICTURES, PICTURES)):
                raise DeviceError(problems[0])
            write_noise(Path(folder), small.load_size)
            rate = timed(small, lock, Path(root), limit_seconds, progress)
        found = Measured(replace(small, data="", run=""), rate, time.time())

        def add(all_of_it):
            speeds = all_of_it["speeds"].setdefault(device.machine_key(), [])
            speeds[:] = [each for each in speeds if not same_speed(each, found.config)][1 - REMEMBERED:] + [asdict(found)]

        device.remember(root, add)
    return carried_over(found, config)


def calibration_of(config: Config, kind: str) -> Config:
    """The settings that are measured for these."""
    side = min(config.image_size, CPU_SIDE) if kind == "cpu" else config.image_size
    log_steps = 1 if kind == "cpu" else GPU_LOG_STEPS
    return replace(config, **BARE, steps=(WARM_UP_LINES + MOST_LINES) * log_steps, log_steps=log_steps,  # so it ends by itself
                   image_size=side, load_size=max(side, round(config.load_size * side / config.image_size)))


def write_noise(folder: Path, load_size: int) -> None:
    """Pictures to learn from that cost nothing to make: what is on them makes no step slower or faster."""
    chance = np.random.default_rng(0)
    for name in ("trainA", "trainB"):
        (folder / name).mkdir()
        for number in range(PICTURES):
            write_picture(chance.integers(0, 256, (load_size, load_size * 4 // 3, 3), np.uint8), folder / name / f"{number}.png")


def timed(config: Config, lock: int, root: Path, limit_seconds: float, progress) -> float:
    """Pairs per second of a trainer that is started, timed by its own metrics and killed."""
    run, began = Run(Path(config.run)), time.monotonic()
    run.path.mkdir()
    changed = {each.name: getattr(config, each.name) for each in fields(Config)}
    with open(run.log_file, "wb") as log:
        # It inherits the device's lock: should this process be killed, nothing else begins there before it has ended, too.
        trainer = subprocess.Popen([*runner.COMMAND, *runner.as_arguments(changed), f"--run={run.path}"],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=runner.environment(), pass_fds=(lock,))
    try:
        while True:
            code = trainer.poll()  # before its lines are read: after the last one it ends
            lines = run.read_metrics()[WARM_UP_LINES:]
            if len(lines) >= MOST_LINES or len(lines) >= LEAST_LINES and timed_seconds(lines) >= ENOUGH_SECONDS:
                return rate_of(lines)
            over = time.monotonic() - began
            if over > limit_seconds:
                if lines:
                    return rate_of(lines)
                raise DeviceError(f"Nothing was measured within {limit_seconds:.0f} seconds: the machine is busy, or too small "
                                  "for these networks.")
            if code is not None:
                said = [line for line in run.log_tail() if line.strip()]
                raise DeviceError(said[-1] if said else f"The trainer ended with exit code {code}.")
            if names := training(root):
                raise DeviceBusy(f"{names[0]} was started; the speed is measured when nothing trains.")
            if progress:
                progress(min(1.0, over / limit_seconds))
            time.sleep(POLL_SECONDS)
    finally:
        trainer.kill()
        trainer.wait()


def timed_seconds(lines: list[dict]) -> float:
    return lines[-1]["seconds"] - lines[0]["seconds"]


def rate_of(lines: list[dict]) -> float:
    return statistics.median(line["pairs_per_second"] for line in lines)


def training(root: Path) -> list[str]:
    """The names of the runs that train or wait."""
    return [each.run.path.name for each in runner.runs(root) if each.running]


@contextlib.contextmanager
def device_lock(root: Path) -> Iterator[int]:
    """Hold what every training started from the page waits for. Raises DeviceBusy; DeviceError where the folder can't be used."""
    if names := training(root):
        raise DeviceBusy(f"{names[0]} trains there; the speed is measured when nothing trains.")
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root / device_lock_name(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DeviceError(f"{root} can't be the folder of runs ({error.strerror}); name another folder with --runs.") from error
    try:
        if not try_lock(handle, fcntl.LOCK_EX):
            raise DeviceBusy("The device is in use; the speed is measured when nothing trains.")
        yield handle
    finally:
        os.close(handle)


def speed_key(config: Config) -> dict:
    """What of a configuration decides how long a step takes. Teachers differ in size, so each folder counts as another."""
    decides = {each.name: bool(value) if each.name in ON_OR_OFF else value for each in fields(Config)
               if each.name not in ANY_VALUE and (value := getattr(config, each.name)) is not None}
    return {**decides, "teacher": config.teacher and os.path.abspath(config.teacher)}


def same_speed(stored: dict, config: Config) -> bool:
    found = measured_from(stored)
    return found is None or speed_key(found.config) == speed_key(config)


def likeness(one: Config, other: Config) -> tuple[int, float]:
    """How far apart two configurations are: first by how many settings other than sizes, then by the work of a pair."""
    a, b = ({name: value for name, value in speed_key(each).items() if name not in ("image_size", "load_size")}
            for each in (one, other))
    ratio = work(one) / work(other)
    return sum(a[name] != b[name] for name in a), max(ratio, 1 / ratio)


def work(config: Config) -> float:
    """What a pair of pictures costs in a step: the multiplications of all convolutions, forwards and back, and the update's part.

    Measured in processor time on two cores, bfloat16: a billion of these took 19, 20 and 21 ms in lite at 64, 96 and 128 pixels,
    and 18 and 17 ms in r2f at 64 and 128. The wider a network is, the better its convolutions run.
    """
    passes = 4 if config.teacher or not config.identity_weight else 6
    judged = 0 if config.teacher else 4 * 3 + 2 * 2 + (2 * 3 if config.gradient_penalty else 0)
    trained = 2 * (preflight.generator_parameters(config) + preflight.learned_parameters(config))
    taught = TAUGHT_PASSES * (config.image_size + TAUGHT_BORDER) ** 2 * painting_products(preflight.teacher_of(config)) \
        if config.teacher else 0
    return config.image_size ** 2 * (3 * passes * painting_products(config) + judged * judging_products(config)) \
        + taught + UPDATE * trained / config.batch_size


def painting_products(config: Config) -> float:
    """Multiplications of a generator's convolutions for a pixel of a picture, forwards."""
    filters, wide, width, blocks = config.filters, 4 * config.filters, 4 * config.filters, 0
    for _ in range(config.blocks):
        for inputs in (width, wide):
            blocks += 9 * inputs + inputs * wide if config.separable else 9 * inputs * wide
        width += wide if config.residual == "concat" else 0
    shrinks = 4 if config.upsampling == "transposed" else 1  # its kernel lies on every pixel before it enlarges
    return (2 * 49 * 3 * filters + (18 * filters ** 2) / 4 + (72 * filters ** 2 + blocks) / 16
            + 9 * width * 2 * filters / 4 / shrinks + 18 * filters ** 2 / shrinks)


def judging_products(config: Config) -> float:
    """The same of a discriminator."""
    if config.discriminator == "projected":
        return preflight.PROJECTED_PRODUCTS
    products, inputs = 16 * 3 * config.discriminator_filters / 4, config.discriminator_filters
    for place in range(1, config.discriminator_strides + 1):
        last = place == config.discriminator_strides
        outputs = config.discriminator_filters * (8 if last else min(2 ** place, 8))
        products += 16 * inputs * outputs / 4 ** (place if last else place + 1)
        inputs = outputs
    return products


def calibrated(root: Path | str) -> list[Measured]:
    found = map(measured_from, device.remembered(root)["speeds"].get(device.machine_key(), []))
    return [each for each in found if each]


def measured_from(stored: dict) -> Measured | None:
    """A remembered speed, or None where another version wrote it."""
    try:
        return Measured(Config(**stored["config"]), float(stored["pairs_per_second"]), float(stored["measured"]))
    except (TypeError, ValueError, KeyError):
        return None


def from_runs(root: Path | str) -> list[Measured]:
    """What trainings that the page started here measured themselves, on this device with this backend."""
    found, here = [], device.machine_key()
    for run in (each.run for each in runner.runs(root)):
        with contextlib.suppress(OSError):
            changed = (run.metrics_file.stat().st_mtime_ns, run.config.stat().st_mtime_ns)
            if run.read_status().get("machine") == here and (measured := of_run(run, changed)):
                found.append(measured)
    return found


@functools.lru_cache(256)
def of_run(run: Run, changed: tuple[int, int]) -> Measured | None:
    """What a run measured, where it has done enough steps; `changed` says when its metrics and its configuration were."""
    with contextlib.suppress(ConfigError, TypeError, OSError, ValueError):
        lines = [line for line in run.read_metrics(points=RUN_LINES) if "pairs_per_second" in line][1:]  # after the tracing
        if len(lines) >= LEAST_LINES:
            return Measured(configs.from_json(run.config.read_text(encoding="utf-8")), rate_of(lines), changed[0] / 1e9)
    return None


def main(arguments: list[str] | None = None) -> int:
    """`python -m r2f.speed`: 0 when it is said, 2 where it can't be, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m r2f.speed", description="Say how long a training would take here: each "
                                     "preset, or the one that is named, with the settings that are given.")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER",
                        help="folder of runs, where what was measured is remembered (default runs)")
    parser.add_argument("--measure", action="store_true", help="measure a few steps of each first: a minute or two for one")
    configs.add_arguments(parser)
    options = vars(parser.parse_args(arguments))
    root, measure, chosen = options.pop("runs"), options.pop("measure"), options.pop("preset", None)
    try:
        here = device.describe(root)
        print(f"{here.sentence}; {here.backend}, {here.precision}")
        for name in [chosen] if chosen else configs.PRESETS:
            settings = configs.preset(name, **options)
            if measure:
                calibrate(settings, root)
            found = of(settings, root)
            took = "not measured yet; add --measure" if found is None else \
                f"{in_words(found.hours(settings))} ({found.pairs_per_second:.3g} pairs per second, " \
                f"{'measured' if found.exact else 'estimated'})"
            print(f"{name}, {settings.image_size} pixels, {settings.steps:,} steps: {took}")
        return 0
    except (DeviceError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped; what was measured until now is remembered in {root}.", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
