"""A pupil between its teacher and a discriminator: it makes what the teacher made, so that it passes for the real thing.

L1 alone is least where a pupil paints the middle of what it can't tell apart, and so paints softly; a discriminator sees that no
painting is soft (Isola et al. 2017, arXiv:1611.07004). Where one generator alone learns, a step costs a quarter of a
CycleGAN's. Knows nothing about files.
"""

from dataclasses import replace

import keras
from keras import ops

from r2f.config import Config
from r2f.cyclegan import CycleGAN, judged, l1

MOVED_WEIGHT = 2.0  # of `moved_flower`
FINE_COLOUR_WEIGHT = 4.0  # of `fine_colour`
PLAIN_COLOUR_WEIGHT = 30.0  # of `plain_colour`
PLAIN = 6 / 127.5  # standard deviation of the brightness, where a picture's range is 2, below which a photo is plain
WINDOW = 9  # pixels to a side, in which that is
FAR = 0.5  # how far from the photo's a colour, apart from its lightness, may be in a plain place
RED = 0.35  # how far red may be above green there
KINDS = "flower", "rime"


def colours_of(pictures):
    """Pictures (N, S, S, 3) without their lightness."""
    return pictures - ops.mean(pictures, axis=-1, keepdims=True)


def fine_colour(pictures):
    """How far the colours of pictures (N, S, S, 3), apart from their lightness, are from their mean over 3 x 3 pixels; a mean.

    Strokes are of light and dark. What else changes so fast is specks and the weave that hides a photo for the way back. What
    `metrics.colour_noise` measures in Lab, here in the range that generators learn in.
    """
    colours = colours_of(pictures)
    return l1(colours[:, 1:-1, 1:-1], ops.average_pool(colours, 3, 1, "valid"))


def plain_colour(photos, made):
    """How much farther than FAR the colours of pictures, apart from their lightness, are from those of their photos, and how much
    redder than RED they are, where the photos are plain; both (N, S, S, 3), a mean without the borders.

    Skies, snow and fog are plain; a generator may find red, magenta or olive for all of them. Blossoms are not plain. What
    `retouch.plainness` finds in arrays, here in the range that generators learn in.
    """
    around = lambda x: ops.average_pool(x, WINDOW, 1, "valid")  # noqa: E731
    photos, made = ops.cast(photos, "float32"), ops.cast(made, "float32")
    grey = ops.mean(photos, axis=-1, keepdims=True)
    plain = ops.exp(-ops.relu(around(grey ** 2) - around(grey) ** 2) / PLAIN ** 2)
    moved = around(colours_of(made - photos))
    border = WINDOW // 2
    inner = made[:, border:-border, border:-border]
    far = ops.sqrt(ops.sum(moved ** 2, axis=-1, keepdims=True) + 1e-4)  # a root has no gradient at 0
    return ops.mean(plain * (ops.relu(far - FAR) + ops.relu(inner[..., :1] - inner[..., 1:2] - RED)))


class Judged(CycleGAN):
    """The generators `LEARNS` of `networks`, {"bloom": ..., "frost": ...}, beside the discriminator of pictures of `KIND`; all
    pictures are (N, S, S, 3). The averages of those that learn follow them; all start as `networks`.

    What the teacher made weighs `config.teacher_weight` times as much as the discriminator's verdict, and the way back
    `config.cycle_weight` times. No discriminator keeps a generator from specks of colour, so they cost something, too; and with
    `calm_skies` colours far from the photo's where it is plain.
    """

    LEARNS: tuple[str, ...]
    KIND: str
    LOSSES: tuple[str, ...]

    def __init__(self, config: Config, networks: dict[str, keras.Model], dtype=None, calm_skies: bool = False):
        super().__init__(replace(config, identity_weight=0.0, light_weight=0.0, cycle_colour_noise=0.0), dtype)
        for name, network in networks.items():
            generator = getattr(self, name)
            generator.trainable = name in self.LEARNS
            for each in (generator, getattr(self, f"{name}_average")):
                each.set_weights(network.get_weights())
        for kind in KINDS:
            getattr(self, f"{kind}_judge").trainable = kind == self.KIND
        self.calm_skies = calm_skies and self.KIND == "flower"
        names = (*self.LOSSES, "plain_colour") if self.calm_skies else self.LOSSES
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def judge(self) -> keras.Model:
        """The discriminator that learns."""
        return getattr(self, f"{self.KIND}_judge")

    @property
    def averaged(self) -> dict[str, keras.Model]:
        """The averages of the generators that learn, by name."""
        return {name: getattr(self, f"{name}_average") for name in self.LEARNS}

    def beside(self, given, made, sought, real) -> dict:
        """The terms of what was made of what was given, what the teacher made of it, and real pictures."""
        pool = getattr(self, f"{self.KIND}_pool")
        calm = {"plain_colour": PLAIN_COLOUR_WEIGHT * plain_colour(given, made)} if self.calm_skies else {}
        return calm | {
            f"teacher_{self.KIND}": self.config.teacher_weight * l1(made, sought),
            f"adversarial_{self.KIND}": ops.mean((judged(self.judge, self.augment(made)) - 1) ** 2),
            f"discriminator_{self.KIND}": self.discriminator_loss(self.judge, real, pool, made),
            f"fine_colour_{self.KIND}": FINE_COLOUR_WEIGHT * fine_colour(made),
        }


class JudgedBloom(Judged):
    """Given rime and real flowers, seeks what the teacher made of that rime."""

    LEARNS, KIND, LOSSES = ("bloom",), "flower", ("teacher_flower", "adversarial_flower", "discriminator_flower",
                                                  "fine_colour_flower")

    def call(self, pictures, training=False):
        return self.bloom(self.shaped(pictures)[0])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        (photo, real), (sought,) = self.shaped(x), self.shaped([y])
        return self.summed(self.beside(photo, y_pred, sought, real))


class JudgedFrost(Judged):
    """Given flowers, real rime and bloom's paintings, seeks what the teacher made of those flowers, and the paintings' photos."""

    LEARNS, KIND, LOSSES = ("frost",), "rime", ("teacher_rime", "adversarial_rime", "discriminator_rime", "fine_colour_rime",
                                              "cycle_rime")

    def call(self, pictures, training=False):
        flower, _, painting = self.shaped(pictures)
        made = self.frost(ops.concatenate([flower, painting]))  # one pass: instance norm is per picture
        return made[:self.config.batch_size], made[self.config.batch_size:]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        (flower, real, _), (sought, photo), (made, again) = self.shaped(x), self.shaped(y), y_pred
        return self.summed(self.beside(flower, made, sought, real) | {"cycle_rime": self.config.cycle_weight * l1(again, photo)})


class JudgedBoth(Judged):
    """As for bloom; frost learns the way back from bloom at the same time, so bloom keeps what frost needs.

    A photo moved by a few pixels must become the same painting, moved: what a discriminator may take for canvas, a weave on the
    generator's own grid, does not move with the photo.
    """

    LEARNS, KIND, LOSSES = ("bloom", "frost"), "flower", (*JudgedBloom.LOSSES, "moved_flower", "cycle_rime")

    def call(self, pictures, training=False):
        rime = self.shaped(pictures)[0]
        flower = self.bloom(rime)
        moved, rime_moved = self.moved(flower, rime)
        return {"flower": flower, "moved": moved, "flower_of_moved": self.bloom(rime_moved), "rime_moved": rime_moved,
                "rime_again": self.frost(self.noisy(moved))}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        (photo, real), (sought,), made = self.shaped(x), self.shaped([y]), y_pred
        return self.summed(self.beside(photo, made["flower"], sought, real) | {
            "moved_flower": MOVED_WEIGHT * l1(made["flower_of_moved"], made["moved"]),
            "cycle_rime": self.config.cycle_weight * l1(made["rime_again"], made["rime_moved"]),
        })
