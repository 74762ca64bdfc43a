"""python -m r2f.train: two folders of pictures in, a run directory and a pair out.

`main` decides, `train` runs; `fit` does the steps and one callback (`recorder`) records them. Stop requests, signals, full disks
and crashes all end in the same place: the newest checkpoint, from which `--resume` goes on as if nothing had happened.
"""

import argparse
import hashlib
import logging
import os
import platform
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from r2f.allocator import keep_memory
from r2f.ending import keep_standard_files
from r2f.quiet import quiet

if __name__ == "__main__":
    keep_standard_files()
    keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # importing takes seconds; Ctrl-C meanwhile needs no traceback

# One setup, one result: without these a second run of the same command differs in the last digits. With more than one
# thread between operations TensorFlow adds up gradients in the order in which they arrive.
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
if "jax" in os.environ.get("KERAS_BACKEND", ""):  # flags of the user's own come last, and so decide
    os.environ["XLA_FLAGS"] = "--xla_gpu_deterministic_ops=true " + os.environ.get("XLA_FLAGS", "")

with quiet():
    import keras  # noqa: E402
import numpy as np  # noqa: E402

from r2f import checkpoint, config, data, events, pair, preflight  # noqa: E402
from r2f.config import Config, ConfigError  # noqa: E402
from r2f.cyclegan import CycleGAN  # noqa: E402
from r2f.device import cores, hardware  # noqa: E402
from r2f.distil import Distilled  # noqa: E402
from r2f.ending import (  # noqa: E402
    EXIT_BAD_INPUT,
    EXIT_BUSY,
    EXIT_DISK,
    EXIT_MEMORY,
    EXIT_NOT_FINITE,
    EXIT_SIGNAL,
    Ended,
    EndRequest,
    NotFinite,
    NotSaved,
    closed,
    let_go_of_output,
    no_room,
    out_of_memory,
    say,
    what_to_free,
)
from r2f.features import NoFeatures  # noqa: E402
from r2f.heartbeat import Heartbeat  # noqa: E402
from r2f.networks import device, dtype_policy, on_gpu  # noqa: E402
from r2f.output import save_pair  # noqa: E402
from r2f.recorder import Recorder  # noqa: E402
from r2f.run import REQUESTS, Run, RunBusy, read_json, write_json  # noqa: E402
from r2f.shell import python  # noqa: E402

log = logging.getLogger("r2f")

BATCHES_AHEAD = 16  # made before they are asked for, where threads make them
SETUP = "setup.json"  # what exactness depends on besides the Config: pictures, versions, machine
# What may be in a directory before a training begins there: what whoever starts it writes, and pictures drawn for it.
BEFORE_A_RUN = {"lock", "stop", "status.json", "train.log", "drawn", "added"}
BEFORE_A_RUN |= {Run(Path()).request(what).name for what in REQUESTS}

# Values of the status that say nothing about the next process.
OF_ONE_PROCESS = ("state", "pid", "reason", "step_began", "save_error", "write_error", "doing", "exit_code", "ended")


@keras.saving.register_keras_serializable(package="r2f")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate, constant until `decay_from` of the steps, then falling linearly to 0."""

    def __init__(self, learning_rate: float, steps: int, decay_from: float):
        self.learning_rate, self.steps, self.decay_from = learning_rate, steps, decay_from

    def __call__(self, step):
        start = self.steps * self.decay_from
        left = (self.steps - keras.ops.cast(step, "float32")) / max(self.steps - start, 1)
        return self.learning_rate * keras.ops.clip(left, 0.0, 1.0)

    def get_config(self):
        return {"learning_rate": self.learning_rate, "steps": self.steps, "decay_from": self.decay_from}


class Batches(keras.utils.PyDataset):
    """What `fit` reads: item i is the batch of step start + i; with a GPU, threads cut the next ones meanwhile."""

    def __init__(self, pictures: data.Pictures, settings: Config, start: int):
        super().__init__(workers=max(1, cores() // 4) if on_gpu() else 1, max_queue_size=BATCHES_AHEAD)
        self.pictures, self.settings, self.start = pictures, settings, start

    def __len__(self):
        return self.settings.steps - self.start

    def __getitem__(self, index):
        return (data.batch(self.pictures, self.settings, self.start + index),)


def build(settings: Config) -> CycleGAN:
    """The model of these settings, compiled; the same settings give the same weights. Raises BadPair for its teacher."""
    policy = dtype_policy(settings.precision)
    teacher = pair.load_pair(settings.teacher, policy)[0] if settings.teacher else None
    keras.utils.set_random_seed(settings.seed)
    model = Distilled(settings, teacher, policy) if teacher else CycleGAN(settings, policy)
    schedule = ConstantThenLinear(settings.learning_rate, settings.steps, settings.decay_from)
    # JAX is nothing without XLA. TensorFlow can't have both XLA and the same digits twice, and is faster on a CPU without it.
    model.compile(optimizer=keras.optimizers.Adam(schedule, beta_1=settings.beta_1),
                  jit_compile=keras.backend.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
    return model


def start_from(model: CycleGAN, settings: Config) -> None:
    """Give the model the generators of a pair. Raises BadPair, ConfigError where they are of another shape."""
    networks, info = pair.load_pair(settings.start_from)
    shape = pair.checked_arguments(info)
    for name, value in settings.generator_arguments.items():
        if shape[name] != value:
            raise ConfigError(f"{settings.start_from} has {name} {shape[name]} and this training {value}; "
                              f"add --{name.replace('_', '-')} {shape[name]}, or start from another pair.")
    for name, network in networks.items():
        for own in (getattr(model, name), getattr(model, f"{name}_average")):
            own.set_weights(network.get_weights())


def begin(run: Run, settings: Config, resume: bool) -> tuple[data.Pictures, CycleGAN, int, int | None]:
    """Pictures, model, the step to go on from, and the step of the checkpoint that it came from, if it did."""
    pictures = data.load_pictures(settings)
    for warning in preflight.warnings(settings, (len(pictures.rime), len(pictures.flowers))):
        log.warning(warning)
    if run.asked_to_stop():
        raise Ended(0)
    model = build(settings)
    found = checkpoint.newest(run.checkpoints) if resume else None
    if found:
        checkpoint.set_state(model, found[1])
    elif settings.start_from:
        start_from(model, settings)
    start, now = int(model.step.value), setup(settings, pictures)
    if resume:
        log.info("resuming from step %d", start) if found else log.info("there is no checkpoint yet: from the first step")
        for name, value in now.items():
            before = read_json(run.path / SETUP).get(name, value)
            if before != value:
                log.warning("%s changed from %s to %s: the rest is not bit for bit what it would have been", name, before, value)
    for path, values in ((run.config, asdict(settings)), (run.path / SETUP, now)):
        if read_json(path) != values:
            write_json(path, values, forced=True)
    return pictures, model, start, start if found else None


def setup(settings: Config, pictures: data.Pictures) -> dict:
    """What the digits of a training depend on, besides its Config."""
    def described(domain):
        content = hashlib.sha256()
        for picture in domain:
            content.update(str(picture.shape).encode() + np.ascontiguousarray(picture).data)
        return f"{len(domain)} with SHA-256 {content.hexdigest()[:16]}"

    backend = keras.backend.backend()
    return {"rime": described(pictures.rime), "flowers": described(pictures.flowers), "keras": keras.__version__,
            "backend": f"{backend} {getattr(sys.modules.get(backend), '__version__', '')}".strip(),
            "python": platform.python_version(), "numpy": np.__version__, "device": device(), "hardware": hardware(),
            "cores": cores(), "precision": dtype_policy(settings.precision)}


def train(run: Run, settings: Config, resume: bool, heartbeat: Heartbeat, request: EndRequest) -> int:
    """Train to the end, to a stop request, or to a signal, whose number is returned; otherwise 0.

    The caller holds the run's lock. Raises NoPictures, BadCheckpoint, BadPair, ConfigError, NotFinite, NotSaved, Ended.
    """
    pictures, model, start, saved_step = begin(run, settings, resume)
    recorder = Recorder(run, settings, pictures, start, saved_step, heartbeat, request)
    if start >= settings.steps:
        log.info("the run is at step %d of %d already: nothing to do", start, settings.steps)
        save_pair(run.pair, model, settings, start, pictures)  # a crash may have come between checkpoint and pair
        recorder.crown()
        heartbeat.say(state="finished", reason="finished")
        return 0
    try:
        model.fit(Batches(pictures, settings, start), epochs=1, shuffle=False, verbose=0, callbacks=[recorder])
    finally:
        recorder.saver.close()  # a good state that is on its way is written whatever happened after it
    if recorder.step < settings.steps:
        log.info("Stopped and saved at step %d; go on with: %s -m r2f.train --run %s --resume", recorder.step, python(),
                 shlex.quote(str(run.path)))
        return request.number
    log.info("Finished after %d steps; the pair is in %s.", settings.steps, run.pair)
    return 0


def refuse_to_overwrite(run: Run) -> None:
    """Raises ConfigError where a new training would mix with what is there."""
    if run.config.exists():
        said, steps = run.read_status(), read_json(run.config).get("steps")
        if said.get("state") == "finished":
            raise ConfigError(f"{run.path} holds a finished training of {steps} steps; choose another --run, or train it further "
                              "with --resume and more --steps.")
        raise ConfigError(f"{run.path} already holds a run, at step {said.get('step', 0)} of {steps}; add --resume to go on with "
                          "it, or choose another --run.")
    foreign = sorted(path.name for path in run.path.iterdir() if path.name not in BEFORE_A_RUN and not path.name.startswith("."))
    if foreign:
        raise ConfigError(f"{run.path} holds other files and no run ({', '.join(foreign[:3])}{', …' * (len(foreign) > 3)}); "
                          "choose a new directory for --run.")


def verdict(error: BaseException, run: Run, settings: Config | None) -> tuple[int, str] | None:
    """Exit code and sentence for an error that has one."""
    if isinstance(error, ConfigError | data.NoPictures | checkpoint.BadCheckpoint | pair.BadPair | NoFeatures):
        return EXIT_BAD_INPUT, str(error)
    if isinstance(error, RunBusy):
        return EXIT_BUSY, str(error)
    if isinstance(error, NotFinite):
        return EXIT_NOT_FINITE, str(error)
    if isinstance(error, Ended):
        return (EXIT_SIGNAL + error.number if error.number else 0), f"{error}"
    if isinstance(error, NotSaved):
        return EXIT_DISK, str(error)
    if no_room(error) or closed(error, run.path):
        return EXIT_DISK, f"The training could not go on: {what_to_free(error, run.path)}."
    if settings and out_of_memory(error):
        smaller = [f"--{name.replace('_', '-')} (now {getattr(settings, name)})"
                   for name in ("image_size", "batch_size", "filters") if name != "batch_size" or settings.batch_size > 1]
        resume = ", or go on with --resume --precision bfloat16" if settings.precision == "float32" else ""
        return EXIT_MEMORY, (f"Memory ran out. Start a new run with a smaller {' or '.join(smaller)}{resume}; "
                             f"{preflight.estimate(settings).sentence}")
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m r2f.train", description=__doc__.partition("\n")[0])
    config.add_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the run's newest checkpoint")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration and stop")
    parser.add_argument("--no-preflight", action="store_true",
                        help="begin even where the estimate says that disk or memory will not do")
    options = vars(parser.parse_args(arguments))
    resume, dry_run, no_preflight = options.pop("resume"), options.pop("dry_run"), options.pop("no_preflight")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run, settings = Run(Path(options.get("run", ""))), None
    for name in set(config.FOLDERS) & set(options) - {"run"}:  # a run may be resumed from elsewhere
        options[name] = options[name] and os.path.abspath(options[name])
    try:
        if not options.get("run"):
            raise ConfigError("No run directory was named; give --run runs/NAME.")
        if resume:
            if not run.config.exists():
                raise ConfigError(f"There is no run in {run.path} to resume; leave --resume away to start one.")
            settings, changes = config.resumed(config.from_json(run.config.read_text(encoding="utf-8")), options)
        else:
            settings, changes = config.preset(options.pop("preset", "r2f"), **options), []
        if settings.teacher and options.get("light_weight"):
            log.warning("--light-weight %s has no effect: beside --teacher there is no light term; leave one of the two away.",
                        settings.light_weight)
        if dry_run:
            print(settings.to_json(), end="")
            return 0
        if settings.tensorboard and not events.available():
            raise ConfigError(events.missing())
        if run.path.exists() and not run.path.is_dir():
            raise ConfigError(f"{run.path} is a file; choose a directory for --run.")
        if not run.path.exists():  # a typo is no run; of one that the page has begun its status tells
            data.check_folders(settings)
            for folder in filter(None, (settings.start_from, settings.teacher)):
                pair.read_pair_json(Path(folder))
        with EndRequest() as request, run.locked():
            if not resume:
                refuse_to_overwrite(run)
            for change in changes:
                log.info(change)
            before = {name: value for name, value in run.read_status().items() if name not in OF_ONE_PROCESS}
            with Heartbeat(run, **before, state="starting", pid=os.getpid()) as heartbeat:
                try:
                    for problem in [] if no_preflight else preflight.problems(settings, run.path, on_gpu()):
                        raise ConfigError(f"{problem} To begin anyway, add --no-preflight.")
                    ended_by = train(run, settings, resume, heartbeat, request)
                except BaseException as error:
                    request.starting = False
                    _, reason = verdict(error, run, settings) or (1, f"{type(error).__name__}: {error}")
                    heartbeat.say(state="stopped" if isinstance(error, Ended) else "failed", reason=reason)
                    raise
    except BaseException as error:
        known = verdict(error, run, settings)
        if known is None:
            raise
        say(known[1])
        return known[0]
    return EXIT_SIGNAL + ended_by if ended_by else 0


if __name__ == "__main__":
    code = main()
    let_go_of_output()
    sys.exit(code)
