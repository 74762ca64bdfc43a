"""What a training leaves behind while it runs: status, metrics, samples, checkpoints, pair.

One callback, called by `fit` after every step. What it writes never changes what is computed, and none of it is worth the
training: where the disk is full, all goes on, is said in the status, and is tried again. Knows nothing about signals' workings
or about how a model is built.
"""

import contextlib
import logging
import os
import resource
import sys
import time
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from r2f import checkpoint, data, pair
from r2f.config import Config
from r2f.cyclegan import LOSSES, CycleGAN
from r2f.ending import EndRequest, NotFinite, NotSaved, asked_by, what_to_free
from r2f.heartbeat import Heartbeat
from r2f.images import to_float, to_uint8, write_picture
from r2f.networks import device, on_gpu
from r2f.run import Run
from r2f.saver import Saver

log = logging.getLogger("r2f")

PARTS = ("bloom", "frost", "flower_judge", "rime_judge", "bloom_average", "frost_average", "flower_pool", "rime_pool", "augment")
MOST_UNWRITTEN = 10_000  # lines of metrics that wait for room on the disk


class Recorder(keras.callbacks.Callback):
    """Records each step; ends the run on request, at its last step, or where a number is not finite."""

    def __init__(self, run: Run, settings: Config, pictures: data.Pictures, start: int, saved_step: int | None,
                 heartbeat: Heartbeat, request: EndRequest):
        super().__init__()
        self.run, self.settings, self.pictures, self.step = run, settings, pictures, start
        self.heartbeat, self.request = heartbeat, request
        count = min(settings.sample_count, len(pictures.rime_test), len(pictures.flowers_test))
        self.samples = [np.stack([data.centre_crop(each, settings.image_size) for each in held_out[:count]])
                        for held_out in (pictures.rime_test, pictures.flowers_test)]
        self.saver = Saver(run.checkpoints, saved_step)
        self.started = self.logged_at = time.monotonic()
        self.due_at = self.started + 60 * settings.checkpoint_minutes
        self.logged_step, self.unwritten, self.failing = start, [], {}
        self.reason = "finished"
        self.pairs_per_second = None
        self.heartbeat.say(step=start, total_steps=settings.steps, last_checkpoint=saved_step, started=time.time(),
                           device=device() if on_gpu() else f"cpu ({os.cpu_count()} cores)")
        self.bar = tqdm(total=settings.steps, initial=start, unit="step", desc=run.path.name, disable=None)

    def on_train_begin(self, logs=None):
        self.sums = [keras.ops.convert_to_numpy(variable) for variable in self.model.metrics_variables]
        if self.settings.start_from and self.saver.saved_step is None:
            self.save()  # the pair that this began with may be gone when it is resumed

    def on_epoch_begin(self, epoch, logs=None):
        """`fit` has just reset the sums of losses; a resumed run goes on with those of its checkpoint."""
        for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
            variable.assign(value)
        self.heartbeat.say(state="training", step_began=time.time())

    def on_train_batch_end(self, index, logs=None):
        self.step += 1
        self.request.starting = False
        self.bar.update()
        if self.every(self.settings.log_steps) or self.step == self.settings.steps:
            self.log_metrics(logs)
        if self.every(self.settings.sample_steps):
            self.write_sample(logs)
        self.save_if_due()
        if self.step < self.settings.steps and (self.request.number or self.run.stop.exists()):
            self.reason = asked_by(self.request.number)
            self.model.stop_training = True
        rate, left = self.pairs_per_second, self.settings.steps - self.step
        self.heartbeat.say(step=self.step, step_began=time.time(), pairs_per_second=rate, **self.about_saves(),
                           eta_seconds=left * self.settings.batch_size / rate if rate else None)

    def on_train_end(self, logs=None):
        self.bar.close()
        self.saver.flush()
        if self.step != self.saver.saved_step or self.saver.error:
            self.save()
            self.saver.flush()
        self.heartbeat.say(**self.about_saves())
        if self.saver.error:
            raise NotSaved(f"Step {self.step} was reached, but not all of it was saved. {self.saver.trouble} "
                           f"{self.last_good('newest')}")
        self.heartbeat.say(state="finished" if self.reason == "finished" else "stopped", reason=self.reason)

    def every(self, steps: int) -> bool:
        return bool(steps) and self.step % steps == 0

    def log_metrics(self, logs):
        losses = {name: float(logs[name]) for name in ("loss", *LOSSES) if name in logs}
        self.check_finite(losses)
        now = time.monotonic()
        pairs = (self.step - self.logged_step) * self.settings.batch_size
        self.pairs_per_second = pairs / max(now - self.logged_at, 1e-9)
        self.logged_at, self.logged_step = now, self.step
        self.unwritten.append(dict(
            step=self.step, **losses, learning_rate=float(self.model.optimizer.learning_rate),
            pairs_per_second=round(self.pairs_per_second, 4), seconds=round(now - self.started, 3),
            memory_megabytes=peak_megabytes()))
        del self.unwritten[:-MOST_UNWRITTEN]
        with self.unless_full("metrics"):
            while self.unwritten:
                self.run.append_metrics(**self.unwritten[0])
                del self.unwritten[0]
        self.bar.set_postfix(flower=f"{losses['adversarial_flower']:.2f}", rime=f"{losses['adversarial_rime']:.2f}",
                             cycle=f"{losses['cycle_rime'] + losses['cycle_flower']:.2f}",
                             pairs_per_second=f"{self.pairs_per_second:.2f}")
        self.model.reset_metrics()

    def write_sample(self, logs):
        self.check_finite({name: float(value) for name, value in logs.items()})
        sheet = sample_sheet(self.model, *self.samples)
        with self.unless_full("samples"):
            self.run.samples.mkdir(exist_ok=True)
            write_picture(sheet, self.run.sample(self.step))

    @contextlib.contextmanager
    def unless_full(self, what: str):
        """What can't be written to disk is said in the status and in the log, and the training goes on."""
        try:
            yield
            self.failing.pop(what, None)
        except OSError as error:
            self.failing[what] = f"{what} of step {self.step} not written: {what_to_free(error, self.run.path)}"
            log.warning("%s", self.failing[what])
        self.heartbeat.say(write_error="; ".join(self.failing.values()) or None)

    def check_finite(self, losses: dict[str, float]) -> None:
        for name in sorted(losses, key=lambda name: name == "loss"):  # the sum says least
            if not np.isfinite(losses[name]):
                self.not_finite(name)

    def not_finite(self, name: str):
        self.saver.flush()  # one that is on its way is good, and may be the last good one
        raise NotFinite(f"{name} is not finite at step {self.step}. {self.last_good('last good')} A lower --learning-rate or "
                        "--precision float32 may help.")

    def last_good(self, word: str) -> str:
        step = self.saver.saved_step
        return "There is no checkpoint yet." if step is None else \
            f"The {word} checkpoint is of step {step}; --resume goes on from it."

    def save_if_due(self) -> None:
        """By steps where that was asked for, and by the clock: however long a step took, what it did is saved right after it."""
        by_steps = self.every(self.settings.checkpoint_steps) or self.is_milestone()
        by_clock = time.monotonic() >= self.due_at or self.saver.retry_due
        if by_steps or (by_clock and not self.saver.busy):
            self.save()

    def is_milestone(self) -> bool:
        return self.every(self.settings.milestone_steps)

    def save(self) -> None:
        """Copy the state now, and let it be written meanwhile. Nothing that is not finite gets into checkpoint or pair."""
        state = checkpoint.state_of(self.model)
        arrays, info = pair_arrays(self.model, state), pair_info(self.settings, self.step, self.pictures)

        def write_pair():
            try:
                pair.write_pair(self.run.pair, arrays, info)
            except pair.BadPair as error:  # finite, but not in half precision
                raise NotFinite(f"At step {info['step']}: {error}") from error

        self.due_at = time.monotonic() + 60 * self.settings.checkpoint_minutes
        try:
            self.saver.save(self.step, state, self.is_milestone(), write_pair)
        except checkpoint.NotFinite as error:
            self.not_finite(described(self.model, error.name))

    def about_saves(self) -> dict:
        return dict(last_checkpoint=self.saver.saved_step, save_error=self.saver.trouble)


def described(model: CycleGAN, name: str) -> str:
    """A name of `checkpoint.named_variables`, in words."""
    variable = dict(checkpoint.named_variables(model))[name]
    for part in PARTS:
        if any(variable is each for each in getattr(model, part).variables):
            return f"{part}'s {variable.path}"
    owners = {"model": "the model's", "optimizer": "the optimizer's", "metrics": "the sum of"}
    return f"{owners[name.partition('/')[0]]} {variable.path}"


def pair_arrays(model: CycleGAN, state: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The averaged generators in a copied state, for `pair.write_pair`."""
    names = {id(variable): name for name, variable in checkpoint.named_variables(model)}
    return {name: {key: state[names[id(variable)]] for key, variable in pair.pair_variables(network)}
            for name, network in (("bloom", model.bloom_average), ("frost", model.frost_average))}


def pair_info(settings: Config, step: int, pictures: data.Pictures) -> dict:
    return {
        "networks": settings.generator_arguments, "image_size": settings.image_size, "preset": settings.preset, "step": step,
        "seed": settings.seed, "pictures": {"rime": len(pictures.rime), "flowers": len(pictures.flowers)},
        "changed": settings.changed, "date": time.strftime("%Y-%m-%d"),
    }


def save_pair(folder: Path, model: CycleGAN, settings: Config, step: int, pictures: data.Pictures) -> None:
    pair.save_pair(folder, {"bloom": model.bloom_average, "frost": model.frost_average}, pair_info(settings, step, pictures))


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


def peak_megabytes() -> int:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)
