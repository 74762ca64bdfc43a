"""A pair that learns from a pair: no discriminators, but what its teacher paints when the picture is moved about.

A generator halves a picture twice, so what it paints depends on where the picture lies on its grid of 4 pixels, and a training
that is short hides the photo in a pattern on that grid, which people see as a weave of dots. On average over moves of half a
grid the pattern is gone and the painting stays (cycle spinning: Coifman & Donoho 1995). The pupil paints at once what its
teacher paints on average, and its frost learns the way back from that. Teacher and pupil may be of different shapes (Hinton et
al. 2015, arXiv:1503.02531). Knows nothing about files.
"""

from dataclasses import replace

import keras
from keras import ops

from r2f.config import Config
from r2f.cyclegan import CycleGAN, l1

STRIDE = 4  # of a generator's grid, pixels
MOVES = [(down, right) for down in (0, STRIDE // 2) for right in (0, STRIDE // 2)]  # what alternates on the grid cancels


def on_average(network, x):
    """What a generator makes of pictures (N, S, S, 3), on average over `MOVES`; S a multiple of 4."""
    count, side = x.shape[0], x.shape[1]
    moved = [ops.pad(x, [[0, 0], [down, STRIDE - down], [right, STRIDE - right], [0, 0]], mode="reflect")
             for down, right in MOVES]
    made = ops.reshape(network(ops.concatenate(moved), training=False), (len(MOVES), count, side + STRIDE, side + STRIDE, 3))
    back = [made[place, :, down:down + side, right:right + side] for place, (down, right) in enumerate(MOVES)]
    return sum(back) / len(MOVES)


class Distilled(CycleGAN):
    """Bloom and frost learn what `teacher`'s, {"bloom": ..., "frost": ...}, make on average; each learns the way back from the
    other's pictures, which are held still: a painting is not bent so that its photo can be found in it."""

    PROGRESS = {"flower": ("teacher_flower",), "rime": ("teacher_rime",), "cycle": ("cycle_rime", "cycle_flower")}

    def __init__(self, config: Config, teacher: dict, dtype=None):
        super().__init__(replace(config, identity_weight=0.0, light_weight=0.0), dtype)
        for judge in (self.flower_judge, self.rime_judge):
            judge.trainable = False
        # In functions, so that Keras takes the teacher for no part of the pupil: it is in no checkpoint.
        self.taught = lambda name, x: ops.stop_gradient(on_average(teacher[name], x))
        self.teacher_variables = lambda: [variable for network in teacher.values() for variable in network.variables]
        names = ("teacher_flower", "teacher_rime", "cycle_rime", "cycle_flower")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def non_trainable_variables(self):
        """With the teacher's, so that JAX takes them for arguments of a step: as constants they would be compiled into it."""
        return super().non_trainable_variables + self.teacher_variables()

    def noisy(self, picture):
        return super().noisy(ops.stop_gradient(picture))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        (rime, flower), fake, weight = self.shaped(x), y_pred, self.config
        return self.summed({
            "teacher_flower": weight.teacher_weight * l1(fake["flower"], self.taught("bloom", rime)),
            "teacher_rime": weight.teacher_weight * l1(fake["rime"], self.taught("frost", flower)),
            "cycle_rime": weight.cycle_weight * l1(fake["rime_again"], fake["rime_sought"]),
            "cycle_flower": weight.cycle_weight * l1(fake["flower_again"], fake["flower_sought"]),
        })
