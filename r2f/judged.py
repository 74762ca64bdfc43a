"""A pupil between its teacher and a discriminator: it makes what the teacher made, so that it passes for the real thing.

L1 alone is least where a pupil paints the middle of what it can't tell apart, and so paints softly; a discriminator sees that no
painting is soft (Isola et al. 2017, arXiv:1611.07004). One generator alone learns, so a step costs a quarter of a CycleGAN's.
Knows nothing about files.
"""

from dataclasses import replace

import keras
from keras import ops

from r2f.config import Config
from r2f.cyclegan import CycleGAN, judged, l1


class Judged(CycleGAN):
    """Bloom or frost, `name`, beside the discriminator of what it makes; all pictures are (N, S, S, 3).

    Bloom is given rime and real flowers, and seeks what the teacher made of that rime. Frost is given flowers and real rime,
    and seeks what the teacher made of those flowers; and besides paintings of bloom, and seeks their photos. The teacher's term
    weighs `config.teacher_weight` times as much as the discriminator's, that of the way back `config.cycle_weight` times.

    `learner` learns and `average` follows it; both start as `network`.
    """

    def __init__(self, config: Config, network: keras.Model, name: str = "bloom", dtype=None):
        super().__init__(replace(config, identity_weight=0.0, light_weight=0.0), dtype)
        self.learns, other = (("bloom", "flower"), ("frost", "rime"))[::1 if name == "bloom" else -1]
        for each in (self.learner, self.average):
            each.set_weights(network.get_weights())
        for idle in (getattr(self, other[0]), getattr(self, f"{other[1]}_judge")):
            idle.trainable = False
        terms = ("teacher", "adversarial", "discriminator", *(["cycle"] if name == "frost" else []))
        self.trackers = {each: keras.metrics.Mean(name=each) for each in (f"{term}_{self.learns[1]}" for term in terms)}

    @property
    def learner(self):
        return getattr(self, self.learns[0])

    @property
    def average(self):
        return getattr(self, f"{self.learns[0]}_average")

    @property
    def judge(self):
        return getattr(self, f"{self.learns[1]}_judge")

    def call(self, pictures, training=False):
        given, _, *paintings = self.shaped(pictures)
        return self.learner(ops.concatenate([given, *paintings]))  # one pass: instance norm is per picture

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        kind, count = self.learns[1], self.config.batch_size
        (_, real, *_), (sought, *photos) = self.shaped(x), self.shaped([y] if kind == "flower" else y)
        made, pool = y_pred[:count], getattr(self, f"{kind}_pool")
        loss = {
            f"teacher_{kind}": self.config.teacher_weight * l1(made, sought),
            f"adversarial_{kind}": ops.mean((judged(self.judge, self.augment(made)) - 1) ** 2),
            f"discriminator_{kind}": self.discriminator_loss(self.judge, real, pool, made),
        }
        if photos:
            loss["cycle_rime"] = self.config.cycle_weight * l1(y_pred[count:], photos[0])
        return self.summed(loss)
