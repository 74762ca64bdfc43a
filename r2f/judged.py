"""A pupil between its teacher and a discriminator: it paints what the teacher painted, so that it passes for a painting.

L1 alone is least where a pupil paints the middle of what it can't tell apart, and so paints softly; a discriminator sees that no
painting is soft (Isola et al. 2017, arXiv:1611.07004). Bloom alone learns, so a step costs a quarter of a CycleGAN's. Knows
nothing about files.
"""

from dataclasses import replace

import keras
from keras import ops

from r2f.config import Config
from r2f.cyclegan import CycleGAN, judged, l1


class Judged(CycleGAN):
    """`pictures` are rime and flowers as in a training, what is sought what the teacher made of that rime, all (N, S, S, 3).

    `bloom` learns and `bloom_average` follows it; both start as `bloom`. The teacher's term weighs `config.teacher_weight` times
    as much as the discriminator's.
    """

    def __init__(self, config: Config, bloom: keras.Model, dtype=None):
        super().__init__(replace(config, identity_weight=0.0, light_weight=0.0), dtype)
        for network in (self.bloom, self.bloom_average):
            network.set_weights(bloom.get_weights())
        for idle in (self.frost, self.rime_judge):
            idle.trainable = False
        names = ("teacher_flower", "adversarial_flower", "discriminator_flower")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    def call(self, pictures, training=False):
        return self.bloom(self.shaped(pictures)[0])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        flower, sought = self.shaped([x[1], y])
        return self.summed({
            "teacher_flower": self.config.teacher_weight * l1(y_pred, sought),
            "adversarial_flower": ops.mean((judged(self.flower_judge, self.augment(y_pred)) - 1) ** 2),
            "discriminator_flower": self.discriminator_loss(self.flower_judge, flower, self.flower_pool, y_pred),
        })
