"""python -m r2f.train: two folders of pictures in, a run directory and a pair out.

`main` decides, `train` runs; `fit` does the steps and one callback records them. Signals, stop requests and crashes all end in
the same place: the newest checkpoint, from which `--resume` goes on as if nothing had happened.
"""

import argparse
import contextlib
import logging
import os
import resource
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

# One setup, one result: without these a second run of the same command differs in the last digits. With more than one
# thread between operations TensorFlow adds up gradients in the order in which they arrive.
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "jax" in os.environ.get("KERAS_BACKEND", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"

import keras  # noqa: E402
import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from r2f import checkpoint, config, data, pair  # noqa: E402
from r2f.config import Config, ConfigError  # noqa: E402
from r2f.cyclegan import LOSSES, CycleGAN  # noqa: E402
from r2f.images import to_float, to_uint8, write_picture  # noqa: E402
from r2f.networks import device, dtype_policy, on_gpu  # noqa: E402
from r2f.run import Run, RunBusy, write_json  # noqa: E402

log = logging.getLogger("r2f")

EXIT_BAD_INPUT, EXIT_NOT_FINITE, EXIT_BUSY, EXIT_SIGNAL = 2, 3, 75, 128
STATUS_SECONDS = 1.0


class NotFinite(ArithmeticError):
    """A loss or a weight became infinite or not a number."""


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
    """What `fit` reads: item i is the batch of step start + i."""

    def __init__(self, pictures: data.Pictures, settings: Config, start: int):
        super().__init__()
        self.pictures, self.settings, self.start = pictures, settings, start

    def __len__(self):
        return self.settings.steps - self.start

    def __getitem__(self, index):
        return (data.batch(self.pictures, self.settings, self.start + index),)


class Recorder(keras.callbacks.Callback):
    """Status, metrics, samples, checkpoints, pair; ends the run on request or where a number is not finite."""

    def __init__(self, run: Run, settings: Config, pictures: data.Pictures, start: int):
        super().__init__()
        self.run, self.settings, self.pictures, self.step = run, settings, pictures, start
        count = min(settings.sample_count, len(pictures.rime_test), len(pictures.flowers_test))
        self.samples = [np.stack([data.centre_crop(each, settings.image_size) for each in held_out[:count]])
                        for held_out in (pictures.rime_test, pictures.flowers_test)]
        self.started = self.saved_at = self.logged_at = time.monotonic()
        self.saved_step = self.logged_step = start
        self.status_at, self.started_at = 0.0, time.time()
        self.signal = 0  # the one that asks for the end, SIGTERM or SIGINT
        self.reason = "finished"
        self.pairs_per_second = None
        self.device = device() if on_gpu() else f"cpu ({os.cpu_count()} cores)"
        self.bar = tqdm(total=settings.steps, initial=start, unit="step", desc=run.path.name, disable=None)

    def on_train_begin(self, logs=None):
        self.sums = [keras.ops.convert_to_numpy(variable) for variable in self.model.metrics_variables]

    def on_epoch_begin(self, epoch, logs=None):
        """`fit` has just reset the sums of losses; a resumed run goes on with those of its checkpoint."""
        for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
            variable.assign(value)
        self.write_status("training")

    def on_train_batch_end(self, index, logs=None):
        settings, now = self.settings, time.monotonic()
        self.step += 1
        self.bar.update()
        if self.step % settings.log_steps == 0 or self.step == settings.steps:
            self.log_metrics(logs)
        if settings.sample_steps and self.step % settings.sample_steps == 0:
            self.write_sample(logs)
        due = settings.checkpoint_steps and self.step % settings.checkpoint_steps == 0
        milestone = self.is_milestone()
        if due or milestone or now - self.saved_at >= 60 * settings.checkpoint_minutes:
            self.save()
        if (self.signal or self.run.stop.exists()) and self.step < settings.steps:
            self.reason = f"stopped by {signal.Signals(self.signal).name}" if self.signal else "stopped on request"
            self.model.stop_training = True
        if now - self.status_at >= STATUS_SECONDS:
            self.write_status("training")

    def on_train_end(self, logs=None):
        self.save()
        self.bar.close()
        self.write_status("finished" if self.reason == "finished" else "stopped")

    def is_milestone(self) -> bool:
        return bool(self.settings.milestone_steps) and self.step % self.settings.milestone_steps == 0

    def log_metrics(self, logs):
        losses = {name: float(logs[name]) for name in ("loss", *LOSSES) if name in logs}
        self.check_finite(losses)
        now = time.monotonic()
        pairs = (self.step - self.logged_step) * self.settings.batch_size
        self.pairs_per_second = pairs / max(now - self.logged_at, 1e-9)
        self.logged_at, self.logged_step = now, self.step
        self.run.append_metrics(step=self.step, **losses, learning_rate=float(self.model.optimizer.learning_rate),
                                pairs_per_second=round(self.pairs_per_second, 4), seconds=round(now - self.started, 3),
                                memory_megabytes=peak_megabytes())
        self.bar.set_postfix(flower=f"{losses['adversarial_flower']:.2f}", rime=f"{losses['adversarial_rime']:.2f}",
                             cycle=f"{losses['cycle_rime'] + losses['cycle_flower']:.2f}",
                             pairs_per_second=f"{self.pairs_per_second:.2f}")
        self.model.reset_metrics()

    def check_finite(self, numbers: dict):
        for name, value in numbers.items():
            if not np.isfinite(value).all():
                raise NotFinite(f"{name} is not finite at step {self.step}; the last good checkpoint is of step "
                                f"{self.saved_step}. Resume with a lower --learning-rate, or with --precision float32.")

    def write_sample(self, logs):
        self.check_finite({name: float(value) for name, value in logs.items()})
        self.run.samples.mkdir(exist_ok=True)
        write_picture(sample_sheet(self.model, *self.samples), self.run.sample(self.step))

    def save(self):
        """A checkpoint and the servable pair; nothing that is not finite gets into either."""
        if self.step == self.saved_step:
            return
        state = checkpoint.state_of(self.model)
        self.check_finite(state)
        checkpoint.commit(self.run.checkpoints, self.step, state, milestone=self.is_milestone())
        save_pair(self.run.pair, self.model, self.settings, self.step, self.pictures)
        self.saved_at, self.saved_step = time.monotonic(), self.step

    def write_status(self, state: str):
        left = self.settings.steps - self.step
        rate = self.pairs_per_second
        self.status_at = time.monotonic()
        self.run.write_status(
            state=state, step=self.step, total_steps=self.settings.steps, pairs_per_second=rate,
            eta_seconds=left * self.settings.batch_size / rate if rate else None,
            device=self.device, pid=os.getpid(), started=self.started_at, last_checkpoint=self.saved_step,
            reason=None if state == "training" else self.reason)


def sample_sheet(model: CycleGAN, rime: np.ndarray, flowers: np.ndarray) -> np.ndarray:
    """Held-out pictures, uint8 (K, S, S, 3) each, to one sheet, uint8 (K S, 6 S, 3).

    Columns: rime, flower, rime again, then flower, rime, flower again; the way back starts from the 8-bit picture.
    """
    rows = []
    for photo, painting in zip(rime, flowers, strict=True):
        row = []
        for picture, there, back in ((photo, model.bloom_average, model.frost_average),
                                     (painting, model.frost_average, model.bloom_average)):
            changed = through(there, picture)
            row += [picture, changed, through(back, changed)]
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)


def through(network, picture: np.ndarray) -> np.ndarray:
    """A uint8 picture (H, W, 3) through a generator, uint8 again; H and W multiples of 4."""
    return to_uint8(np.asarray(network.predict_on_batch(to_float(picture)[None]))[0])


def save_pair(folder: Path, model: CycleGAN, settings: Config, step: int, pictures: data.Pictures) -> None:
    pair.save_pair(folder, {"bloom": model.bloom_average, "frost": model.frost_average}, {
        "networks": settings.generator_arguments, "image_size": settings.image_size, "preset": settings.preset, "step": step,
        "seed": settings.seed, "pictures": {"rime": len(pictures.rime), "flowers": len(pictures.flowers)},
        "changed": settings.changed, "date": time.strftime("%Y-%m-%d"),
    })


def peak_megabytes() -> int:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)


def build(settings: Config) -> CycleGAN:
    """The model of these settings, compiled; the same settings give the same weights."""
    keras.utils.set_random_seed(settings.seed)
    model = CycleGAN(settings, dtype=dtype_policy(settings.precision))
    schedule = ConstantThenLinear(settings.learning_rate, settings.steps, settings.decay_from)
    # JAX is nothing without XLA. TensorFlow can't have both XLA and the same digits twice, and is faster on a CPU without it.
    model.compile(optimizer=keras.optimizers.Adam(schedule, beta_1=settings.beta_1),
                  jit_compile=keras.backend.backend() == "jax")
    model.optimizer.build(model.trainable_variables)
    return model


def start_from(model: CycleGAN, settings: Config) -> None:
    """Give the model the generators of a pair. Raises BadPair, ConfigError where they are of another shape."""
    networks, info = pair.load_pair(settings.start_from)
    for name, value in settings.generator_arguments.items():
        if info["networks"][name] != value:
            raise ConfigError(f"{settings.start_from} has {name} {info['networks'][name]} and this training {value}; "
                              f"add --{name.replace('_', '-')} {info['networks'][name]}, or start from another pair.")
    for name, network in networks.items():
        for own in (getattr(model, name), getattr(model, f"{name}_average")):
            own.set_weights(network.get_weights())


def train(run: Run, settings: Config, resume: bool) -> int:
    """Train to the end, to a stop request, or to a signal (SIGTERM, SIGINT), whose number is returned; otherwise 0.

    The caller holds the run's lock. Raises NoPictures, BadCheckpoint, BadPair, ConfigError, NotFinite.
    """
    run.stop.unlink(missing_ok=True)
    run.write_status(**{**run.read_status(), "state": "starting", "pid": os.getpid(), "reason": None})
    pictures = data.load_pictures(settings)
    model = build(settings)
    start = 0
    if resume and (newest := checkpoint.latest(run.checkpoints)):
        checkpoint.set_state(model, checkpoint.restore(newest))
        start = int(model.step.value)
        log.info("resuming from step %d", start)
    elif settings.start_from:
        start_from(model, settings)
    write_json(run.config, asdict(settings))
    recorder = Recorder(run, settings, pictures, start)
    if start >= settings.steps:
        log.info("the run is at step %d of %d already: nothing to do", start, settings.steps)
        save_pair(run.pair, model, settings, start, pictures)  # a crash may have come between checkpoint and pair
        recorder.write_status("finished")
        return 0

    def terminate(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        recorder.signal = number

    before = {number: signal.signal(number, terminate) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        model.fit(Batches(pictures, settings, start), epochs=1, shuffle=False, verbose=0, callbacks=[recorder])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return recorder.signal if recorder.step < settings.steps else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m r2f.train", description=__doc__.partition("\n")[0])
    config.add_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the run's newest checkpoint")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration and stop")
    options = vars(parser.parse_args(arguments))
    resume, dry_run = options.pop("resume"), options.pop("dry_run")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if not options.get("run"):
            raise ConfigError("No run directory was named; give --run runs/NAME.")
        run = Run(Path(options["run"]))
        if resume:
            if not run.config.exists():
                raise ConfigError(f"There is no run in {run.path} to resume; leave --resume away to start one.")
            settings, changes = config.resumed(config.from_json(run.config.read_text()), options)
        else:
            settings, changes = config.preset(options.pop("preset", "r2f"), **options), []
        if dry_run:
            print(settings.to_json(), end="")
            return 0
        with run.locked():
            if not resume and run.config.exists():
                raise ConfigError(f"{run.path} already holds a run; add --resume to go on with it, or choose another --run.")
            for change in changes:
                log.info(change)
            try:
                ended_by = train(run, settings, resume)
            except Exception as error:
                reason = str(error) if isinstance(error, NotFinite) else f"{type(error).__name__}: {error}"
                with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
                    run.write_status(**{**run.read_status(), "state": "failed", "reason": reason})
                raise
    except (ConfigError, data.NoPictures, checkpoint.BadCheckpoint, pair.BadPair) as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    except RunBusy as error:
        print(error, file=sys.stderr)
        return EXIT_BUSY
    except NotFinite as error:
        print(error, file=sys.stderr)
        return EXIT_NOT_FINITE
    except KeyboardInterrupt:
        print("Ended before the first step; nothing was trained.", file=sys.stderr)
        return EXIT_SIGNAL + signal.SIGINT
    return EXIT_SIGNAL + ended_by if ended_by else 0


if __name__ == "__main__":
    sys.exit(main())
