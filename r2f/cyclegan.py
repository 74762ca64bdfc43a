"""The objective, on one screen.

Zhu et al. 2017, arXiv:1703.10593, sections 3 and 4. Knows networks, pool and augmentation; nothing about files or steps.
"""

import keras
from keras import ops

from r2f.augment import Augmentation, shift
from r2f.config import Config
from r2f.features import lite1_weights
from r2f.networks import discriminator, generator
from r2f.pool import ImagePool
from r2f.projected import projected_discriminator

SLOPE_STEP = 0.05  # standard deviation, where a picture's range is 2: above the rounding of bfloat16, small for the eye
LIGHT_CELL = 4  # pixels to a side, whose lightness is compared
LIGHT_AGREEMENT = 0.7  # correlation from which on a generator is free to do with the light what it likes
PLAIN = 1e-3  # variance of lightness, where a picture's range is 2, below which there is hardly any light and dark to keep
LOSSES = ("adversarial_flower", "adversarial_rime", "cycle_rime", "cycle_flower", "identity_flower", "identity_rime",
          "discriminator_flower", "discriminator_rime")
LIGHT_LOSSES = ("light_flower", "light_rime")  # where there is a light term: a checkpoint holds what there is


def l1(a, b):
    return ops.mean(ops.abs(a - b))


def light_lost(before, after):
    """How much less than asked the lightness of pictures (N, S, S, 3) correlates, cell by cell, with that of what was made of
    them; the mean of all pictures.

    0 where the correlation is LIGHT_AGREEMENT or more, LIGHT_AGREEMENT + 1 where light and dark are swapped; a plain picture
    asks for nothing. Brightness and contrast are free. A CycleGAN that swaps light and dark finds its way back as well as one
    that keeps them, so without this it is chance that decides.
    """
    def lightness(x):  # to mean 0 and variance 1, nearly; less where there is hardly any
        cells = ops.average_pool(ops.mean(ops.cast(x, "float32"), axis=-1, keepdims=True), LIGHT_CELL, LIGHT_CELL)
        cells -= ops.mean(cells, axis=(1, 2, 3), keepdims=True)
        return cells * ops.rsqrt(ops.mean(cells ** 2, axis=(1, 2, 3), keepdims=True) + PLAIN)

    a, b = lightness(before), lightness(after)
    asked = LIGHT_AGREEMENT * ops.sqrt(ops.mean(a ** 2, axis=(1, 2, 3)))
    return ops.mean(ops.maximum(0.0, asked - ops.mean(a * b, axis=(1, 2, 3))))


def judged(network, pictures):
    """The discriminator's verdicts with its weights held still: gradients reach the pictures, not the network."""
    still = [(v, ops.stop_gradient(v.value)) for v in network.variables]  # and what it assigns is forgotten
    with keras.StatelessScope(state_mapping=still):
        return network(pictures, training=True)


class CycleGAN(keras.Model):
    """Bloom G (rime -> flower), frost F (flower -> rime), their averages, two discriminators, two pools; one sum of losses.

    One sum, one optimizer: the adversarial terms hold the discriminators still and the discriminator terms hold the fakes
    still, so the gradients are those of the published update of four networks one after the other.
    """

    PROGRESS = {"flower": ("adversarial_flower",), "rime": ("adversarial_rime",), "cycle": ("cycle_rime", "cycle_flower")}

    def __init__(self, config: Config, dtype=None):
        super().__init__(name="cyclegan")
        self.config = config
        make = lambda name: generator(**config.generator_arguments, dtype=dtype, name=name)  # noqa: E731
        judge = lambda name: (  # noqa: E731
            projected_discriminator(lite1_weights(), dtype, name) if config.discriminator == "projected" else
            discriminator(config.discriminator_filters, config.discriminator_strides, config.discriminator_norm, dtype, name))
        self.bloom, self.frost = make("bloom"), make("frost")
        self.flower_judge, self.rime_judge = judge("flower_judge"), judge("rime_judge")
        self.bloom_average, self.frost_average = make("bloom_average"), make("frost_average")
        for average, network in self.averages():
            average.trainable = False
            average.set_weights(network.get_weights())
        self.flower_pool = ImagePool(config.pool_size, config.image_size, config.seed + 1, name="flower_pool")
        self.rime_pool = ImagePool(config.pool_size, config.image_size, config.seed + 2, name="rime_pool")
        self.augment = Augmentation(config.augmentations, config.seed + 3, name="augment")
        self.noise_seed = keras.random.SeedGenerator(config.seed + 4)
        self.step = self.add_weight((), initializer="zeros", dtype="int32", trainable=False, name="step")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in LOSSES + (LIGHT_LOSSES if config.light_weight else ())}

    def build(self, shapes=None):
        """Everything was built by the constructor."""

    def averages(self):
        return (self.bloom_average, self.bloom), (self.frost_average, self.frost)

    def shaped(self, pictures):
        """Both batches with their shapes written on them: `fit` hands over batches whose size is not known while tracing."""
        side = self.config.image_size
        return [ops.reshape(each, (self.config.batch_size, side, side, 3)) for each in pictures]

    def noisy(self, picture):
        """What a person would download is 8 bits deep: nothing finer may carry the way back (Chu et al., arXiv:1712.02950).

        Nor should fine colours, which a painting has none of; noise that leaves the brightness alone drowns them.
        """
        drawn = lambda amount: keras.random.normal(picture.shape, stddev=amount * 2 / 255, seed=self.noise_seed)  # noqa: E731
        if self.config.cycle_noise:
            picture = picture + drawn(self.config.cycle_noise)
        if self.config.cycle_colour_noise:
            colours = drawn(self.config.cycle_colour_noise)
            picture = picture + colours - ops.mean(colours, axis=-1, keepdims=True)
        return picture

    def moved(self, picture, other):
        """Both moved by as many pixels, drawn for each picture: a generator that halves a picture twice sees a grid of 4 pixels,
        and what a painting hides in step with the other's grid is lost when it is moved."""
        if not self.config.cycle_shift:
            return picture, other
        drawn = lambda: ops.floor((self.config.cycle_shift + 1) * keras.random.uniform(  # noqa: E731
            (picture.shape[0], 1, 1, 1), seed=self.noise_seed))
        down, right = drawn(), drawn()
        return shift(picture, down, right), shift(other, down, right)

    def call(self, pictures, training=False):
        """Rime x and flowers y, (N, S, S, 3) each, to every picture the objective needs, by name."""
        x, y = self.shaped(pictures)
        count = x.shape[0]
        if self.config.identity_weight:  # one pass for both: instance norm is per picture, so the result is the same
            g, f = self.bloom(ops.concatenate([x, y])), self.frost(ops.concatenate([y, x]))
            fakes = {"flower": g[:count], "same_flower": g[count:], "rime": f[:count], "same_rime": f[count:]}
        else:
            fakes = {"flower": self.bloom(x), "rime": self.frost(y)}
        flower, fakes["rime_sought"] = self.moved(fakes["flower"], x)
        rime, fakes["flower_sought"] = self.moved(fakes["rime"], y)
        fakes["rime_again"], fakes["flower_again"] = self.frost(self.noisy(flower)), self.bloom(self.noisy(rime))
        return fakes

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        (rime, flower), fake, weight = self.shaped(x), y_pred, self.config
        loss = {
            # E[(D_Y(G(x)) - 1)^2] + E[(D_X(F(y)) - 1)^2]
            "adversarial_flower": ops.mean((judged(self.flower_judge, self.augment(fake["flower"])) - 1) ** 2),
            "adversarial_rime": ops.mean((judged(self.rime_judge, self.augment(fake["rime"])) - 1) ** 2),
            # |F(G(x)) - x| + |G(F(y)) - y|
            "cycle_rime": weight.cycle_weight * l1(fake["rime_again"], fake["rime_sought"]),
            "cycle_flower": weight.cycle_weight * l1(fake["flower_again"], fake["flower_sought"]),
            # 1/2 (E[(D(real) - 1)^2] + E[D(earlier fake)^2])
            "discriminator_flower": self.discriminator_loss(self.flower_judge, flower, self.flower_pool, fake["flower"]),
            "discriminator_rime": self.discriminator_loss(self.rime_judge, rime, self.rime_pool, fake["rime"]),
        }
        if weight.light_weight:  # light and dark stay where they are
            loss["light_flower"] = weight.light_weight * light_lost(rime, fake["flower"])
            loss["light_rime"] = weight.light_weight * light_lost(flower, fake["rime"])
        if weight.identity_weight:  # |G(y) - y| + |F(x) - x|
            identity_weight = weight.identity_weight * self.left_of(weight.identity_until)
            loss["identity_flower"] = identity_weight * l1(fake["same_flower"], flower)
            loss["identity_rime"] = identity_weight * l1(fake["same_rime"], rime)
        return self.summed(loss)

    def summed(self, loss: dict):
        """The sum of the losses, each written down under its name; the end of a step's forward part."""
        for name, value in loss.items():
            self.trackers[name].update_state(value)
        self.update_averages()
        return sum(loss.values())

    def discriminator_loss(self, judge, real, pool, fake):
        shown, count = pool(ops.stop_gradient(fake)), real.shape[0]
        seen = self.augment(ops.concatenate([real, shown]))
        if self.config.gradient_penalty:
            seen = ops.concatenate([seen, self.nearby(seen[:count])])
        verdicts = judge(seen, training=True)
        loss = 0.5 * (ops.mean((verdicts[:count] - 1) ** 2) + ops.mean(verdicts[count:2 * count] ** 2))
        if self.config.gradient_penalty:  # 1/2 E[|grad D(real)|^2]
            slope = (verdicts[2 * count:] - verdicts[:count]) / SLOPE_STEP
            loss += 0.5 * self.config.gradient_penalty * ops.mean(slope ** 2)
        return loss

    def nearby(self, pictures):
        """Pictures a small step away in a direction drawn by chance, for the zero-centred gradient penalty R1.

        Mescheder et al. 2018, arXiv:1801.04406. Keras has no gradient that every backend knows, so the slope is a difference of
        two verdicts, as in Lin et al. 2025, arXiv:2501.08316: over all directions its square is, on average and for small
        steps, that of the gradient's length.
        """
        return pictures + keras.random.normal(pictures.shape, stddev=SLOPE_STEP, seed=self.noise_seed)

    def left_of(self, part):
        """1 at the first step, falling linearly to 0 at that part of the run; 1 throughout where that is never."""
        if part == 1:
            return 1
        return ops.maximum(0.0, 1 - ops.cast(self.step, "float32") / (part * self.config.steps))

    def update_averages(self):
        """Averaged generators, with a ramp so that early ones are not blank; they follow one step behind."""
        t = ops.cast(self.step, "float32")
        self.step.assign(self.step + 1)
        decay = ops.minimum(self.config.averaging, (1 + t) / (10 + t)) if self.config.averaging else 0.0
        for average, network in self.averages():
            for a, v in zip(average.weights, network.weights, strict=True):
                a.assign(v.value + decay * (a.value - v.value))
