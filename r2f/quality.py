"""How good a training's pair is on held-out pictures, and the best it has been, kept as a pair of its own.

What is measured, `evaluate` says. Reads the averaged generators and changes nothing, so a training is the same bit for bit with
it and without. Knows nothing about when it is time to measure, or what to do where it fails.
"""

import contextlib
import logging
import math
import time
from collections.abc import Callable

import numpy as np

from r2f import data, evaluate, pair
from r2f.config import LEAST_HELD_OUT, Config
from r2f.output import picture_through
from r2f.run import Run, append_line, write_lines

log = logging.getLogger("r2f")

NONE_NAMED = ("no held-out pictures were named; give --rime-test and --flowers-test, or --data with testA and testB, or make "
              "--evaluate-steps 0.")


class Abandoned(Exception):
    """Measuring was given up, because the training was asked to end."""


class Quality:
    """Measures a run's pair, and keeps the best one in the run directory.

    yardstick: the held-out pictures, or None where nothing is measured.
    note: one sentence where nothing is measured though that was asked for; otherwise None.
    latest, best: {"step": ..., "score": ..., other figures} of the newest and the best measurement, or {}.
    measured: the steps that have figures.
    """

    def __init__(self, run: Run, settings: Config, start: int):
        self.run, self.yardstick, self.note, self.best = run, None, None, {}
        lines = run.read_quality()
        kept = [each for each in lines if each["step"] <= start]  # what comes after is measured again
        if len(kept) < len(lines):
            with contextlib.suppress(OSError):
                write_lines(run.quality_file, kept)
        self.latest, self.measured = (kept or [{}])[-1], {each["step"] for each in kept}
        if settings.evaluate_steps:
            try:
                self.yardstick = yardstick(settings)
                self.best = self.best_so_far()
            except (data.NoPictures, OSError) as error:
                self.note = f"Quality is not measured: {error}"
                log.warning("%s", self.note)

    def best_so_far(self) -> dict:
        """The figures in the best pair's pair.json, if they are of the same held-out pictures."""
        try:
            said = pair.read_pair_json(self.run.best).get("quality")
            if said["held_out"] == self.held_out:
                return {**said, "step": int(said["step"]), "score": float(said["score"])}
            log.warning("The held-out pictures are not those of before: which pair is the best is found out anew.")
        except (pair.BadPair, TypeError, KeyError, ValueError):
            pass  # there is none yet, or one without figures
        return {}

    @property
    def held_out(self) -> dict:
        """Which pictures the figures are of."""
        return {"rime": len(self.yardstick.rime), "flowers": len(self.yardstick.flowers), "sha256": self.yardstick.digest}

    def measure(self, model, step: int, asked_to_end: Callable[[], bool]) -> dict | None:
        """The figures of the averaged generators, which are those of a step; None as soon as `asked_to_end` is true.

        Raises ArithmeticError for a figure that is no number, and whatever else may go wrong with measuring.
        """
        def through(network):
            def paint(picture):
                if asked_to_end():
                    raise Abandoned
                return picture_through(network, picture)
            return paint

        began = time.monotonic()
        try:
            found = evaluate.quick(through(model.bloom_average), through(model.frost_average), self.yardstick)
        except Abandoned:
            log.info("step %d: the quality was not measured, because the training was asked to end", step)
            return None
        if strange := [name for name, value in found.items() if not math.isfinite(value)]:
            raise ArithmeticError(f"{' and '.join(strange)} can't be told")
        self.latest = {"step": step, **found, "measuring_seconds": round(time.monotonic() - began, 3)}
        return self.latest

    def keep(self, model, info: dict, line: dict) -> None:
        """Write down what was just measured, beside the rest of the step's line of metrics; and the pair, where it is the best so
        far, with `info` for its pair.json. Raises OSError, and BadPair for a pair that is too large for half precision."""
        append_line(self.run.quality_file, {**line, **self.latest})
        self.measured.add(self.latest["step"])
        if self.latest["score"] > self.best.get("score", -math.inf):
            best = {**self.latest, "held_out": self.held_out}
            pair.save_pair(self.run.best, {"bloom": model.bloom_average, "frost": model.frost_average}, {**info, "quality": best})
            self.best = best

    def crown(self) -> None:
        """Make the best pair the run's. Raises OSError, and BadPair for one that was damaged."""
        if self.best:
            pair.write_pair(self.run.pair, *pair.read_pair(self.run.best))


def yardstick(settings: Config) -> evaluate.Yardstick:
    """The held-out pictures, as many as were asked for, evenly spaced; of the flowers those that a training would learn from.

    Raises NoPictures where there are too few, OSError.
    """
    rime_folder, flowers_folder = data.folders(settings)[2:]
    if not (rime_folder and flowers_folder):
        raise data.NoPictures(NONE_NAMED)
    count, part, side = settings.evaluate_count, settings.colourful, min(settings.image_size, evaluate.SIDE)
    rime = evaluate.held_out(rime_folder, "held-out rime photos", side, count, least=LEAST_HELD_OUT)
    flowers = evaluate.held_out(flowers_folder, "held-out flower paintings", side, math.ceil(count / part),
                                data.prefixes(settings), math.ceil(LEAST_HELD_OUT / part))
    return evaluate.Yardstick(rime.pixels, np.stack(data.most_colourful(list(flowers.pixels), part)[:count]))
