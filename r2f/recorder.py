"""What a training leaves behind while it runs: status, metrics, quality, samples, checkpoints, pairs.

One callback, called by `fit` after every step. What it writes never changes what is computed, and none of it is worth the
training: where the disk is full, all goes on, is said in the status, and is tried again. Knows nothing about signals' workings
or about how a model is built.
"""

import contextlib
import logging
import time
from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from r2f import checkpoint, data, pair, usage
from r2f.config import Config
from r2f.device import cores, cores_said
from r2f.ending import EndRequest, NotFinite, NotSaved, asked_by, what_to_free
from r2f.events import Events
from r2f.heartbeat import Heartbeat
from r2f.images import write_picture
from r2f.networks import device, on_gpu
from r2f.output import described, pair_arrays, pair_info, sample_sheet
from r2f.quality import Quality
from r2f.run import REQUESTS, Run
from r2f.saver import Saver

log = logging.getLogger("r2f")

LOGGED_USAGE = ("memory_megabytes", "memory_now_megabytes", "gpu_megabytes")
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
        self.saver, self.quality = Saver(run.checkpoints, saved_step), Quality(run, settings, start)
        self.events = Events(run.events, start) if settings.tensorboard else None
        self.started = self.logged_at = time.monotonic()
        self.due_at = self.started + 60 * settings.checkpoint_minutes
        self.logged_step, self.unwritten, self.failing, self.answered = start, [], {}, {}
        self.reason, self.gpu, self.pairs_per_second, self.line, self.copied_step = "finished", on_gpu(), None, {}, None
        self.heartbeat.say(step=start, total_steps=settings.steps, last_checkpoint=saved_step, started=time.time(),
                           device=device() if self.gpu else f"cpu ({cores_said(cores())})",
                           quality_note=self.quality.note, **self.about_quality(), **usage.now(run.path, self.gpu))
        self.bar = tqdm(total=settings.steps, initial=start, unit="step", desc=run.path.name, disable=None)

    def on_train_begin(self, logs=None):
        self.sums = [keras.ops.convert_to_numpy(variable) for variable in self.model.metrics_variables]
        if self.settings.start_from and self.saver.saved_step is None:
            self.save()  # the pair that this began with may be gone when it is resumed
        if self.step and self.measurable():
            self.measure()  # it was asked to end while it measured the step from which it goes on

    def on_epoch_begin(self, epoch, logs=None):
        """`fit` has just reset the sums of losses; a resumed run goes on with those of its checkpoint."""
        for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
            variable.assign(value)
        self.heartbeat.say(state="training", step_began=time.time())

    def on_train_batch_end(self, index, logs=None):
        self.step += 1
        self.request.starting = False
        self.bar.update()
        if self.due(self.settings.log_steps):
            self.log_metrics(logs)
        if due := self.due(self.settings.sample_steps):
            self.write_sample(logs)
        self.answer("sample", lambda: due or self.write_sample(logs))
        self.save_if_due()
        if self.measurable():
            self.check_finite({name: float(value) for name, value in logs.items()})
            self.measure()
        if self.step < self.settings.steps and self.asked_to_end():
            self.reason = asked_by(self.request.number)
            self.model.stop_training = True
        rate, left = self.pairs_per_second, self.settings.steps - self.step
        self.heartbeat.say(step=self.step, step_began=time.time(), pairs_per_second=rate, **self.about_saves(),
                           eta_seconds=left * self.settings.batch_size / rate if rate else None,
                           **usage.now(self.run.path, self.gpu))

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
        if self.reason == "finished":
            self.crown()
        for what in REQUESTS:
            with contextlib.suppress(OSError):
                self.run.request(what).unlink(missing_ok=True)
        self.heartbeat.say(state="finished" if self.reason == "finished" else "stopped", reason=self.reason)

    def every(self, steps: int) -> bool:
        return bool(steps) and self.step % steps == 0

    def due(self, steps: int) -> bool:
        """Every so often, and at the last step."""
        return self.every(steps) or bool(steps) and self.step == self.settings.steps

    def asked_to_end(self) -> bool:
        return bool(self.request.number) or self.run.asked_to_stop()

    def answer(self, what: str, do: Callable[[], None]) -> None:
        """Do what the run directory asks for, once: not at every step where a request can't be removed."""
        if (asked := self.run.asked(what)) and asked != self.answered.get(what):
            do()
            self.answered[what] = asked
            with contextlib.suppress(OSError):
                self.run.request(what).unlink(missing_ok=True)

    def log_metrics(self, logs):
        losses = {name: float(logs[name]) for name in ("loss", *self.model.trackers)}
        self.check_finite(losses)
        now = time.monotonic()
        pairs = (self.step - self.logged_step) * self.settings.batch_size
        self.pairs_per_second = pairs / max(now - self.logged_at, 1e-9)
        self.logged_at, self.logged_step = now, self.step
        rates = dict(learning_rate=float(self.model.optimizer.learning_rate), pairs_per_second=round(self.pairs_per_second, 4))
        held = {name: value for name, value in usage.now(self.run.path, self.gpu).items() if name in LOGGED_USAGE}
        self.line = dict(step=self.step, **losses, **rates, seconds=round(now - self.started, 3), **held)
        self.write_line(self.line)
        self.write_events("numbers", {**tagged("losses", losses), **tagged("rates", rates), **tagged("memory", held)})
        shown = {label: f"{sum(losses[name] for name in names):.2f}" for label, names in self.model.PROGRESS.items()}
        self.bar.set_postfix(**shown, pairs_per_second=f"{self.pairs_per_second:.2f}")
        self.model.reset_metrics()

    def write_line(self, line: dict) -> None:
        """One line of metrics, after those that there was no room for."""
        self.unwritten = [*self.unwritten, line][-MOST_UNWRITTEN:]
        with self.unless_full("metrics"):
            while self.unwritten:
                self.run.append_metrics(**self.unwritten[0])
                del self.unwritten[0]

    def write_events(self, kind: str, *what) -> None:
        if self.events:
            with self.unless_full("event file", Exception):
                getattr(self.events, kind)(self.step, *what)

    def write_sample(self, logs):
        self.check_finite({name: float(value) for name, value in logs.items()})
        sheet = sample_sheet(self.model, *self.samples)
        with self.unless_full("samples"):
            self.run.samples.mkdir(exist_ok=True)
            write_picture(sheet, self.run.sample(self.step))
            self.write_events("picture", "samples", self.run.sample(self.step).read_bytes())

    def measurable(self) -> bool:
        """Whether this step's quality is to be measured: every so often, and that of the last step, among which is the best."""
        return bool(self.due(self.settings.evaluate_steps) and self.quality.yardstick and self.step not in self.quality.measured)

    def measure(self) -> None:
        """How good the pair is, into metrics and status; the best one is kept. Nothing that goes wrong here ends a training."""
        began = time.monotonic()
        self.heartbeat.say(doing="measuring quality")
        with self.unless_full("quality", Exception):
            if figures := self.quality.measure(self.model, self.step, self.asked_to_end):
                line = self.line if self.line.get("step") == self.step else {}
                if line:
                    self.write_line({**line, **figures})  # of two lines of a step the later one counts
                self.write_events("numbers", tagged("quality", figures))
                self.quality.keep(self.model, pair_info(self.settings, self.step, self.pictures), line)
                log.info("step %d: score %.3f, the best %.3f at step %d; measured in %.1f s", self.step, figures["score"],
                         self.quality.best["score"], self.quality.best["step"], time.monotonic() - began)
        self.logged_at += time.monotonic() - began  # the rate is that of the steps
        self.heartbeat.say(doing=None, **self.about_quality())

    def crown(self) -> None:
        """At the end the pair is the best one; where that can't be written or read, it stays the newest."""
        with self.unless_full("best pair", Exception):
            self.quality.crown()

    @contextlib.contextmanager
    def unless_full(self, what: str, more: type[Exception] = OSError):
        """What can't be written to disk, or fails by an error of `more`, is said in status and log, and the training goes on."""
        try:
            yield
            self.failing.pop(what, None)
        except (OSError, more) as error:
            foreseen = isinstance(error, OSError)
            why = what_to_free(error, self.run.path) if foreseen else f"{type(error).__name__}: {error}"
            self.failing[what] = f"{what} of step {self.step} {'not written' if foreseen else 'failed'}: {why}"
            log.warning("%s", self.failing[what], exc_info=not foreseen)
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
        if not self.saver.busy or self.copied_step == self.step:
            self.answer("save", lambda: self.copied_step == self.step or self.save())

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

        self.due_at, self.copied_step = time.monotonic() + 60 * self.settings.checkpoint_minutes, self.step
        try:
            self.saver.save(self.step, state, self.is_milestone(), write_pair)
        except checkpoint.NotFinite as error:
            self.not_finite(described(self.model, error.name))

    def about_saves(self) -> dict:
        return dict(last_checkpoint=self.saver.saved_step, save_error=self.saver.trouble)

    def about_quality(self) -> dict:
        best = {name: self.quality.best[name] for name in ("step", "score") if self.quality.best}
        return dict(quality=self.quality.latest or None, best=best or None)


def tagged(group: str, values: dict) -> dict[str, float]:
    """Values under the names that TensorBoard groups by; what can't be told is left out."""
    return {f"{group}/{name}": value for name, value in values.items() if value is not None and name != "step"}
