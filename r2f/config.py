"""What a training is: every setting once, with its default, its unit and its reason.

The command line is made from this dataclass (`add_arguments`), the presets are differences from its defaults, and a run
directory keeps the one it was started with as `config.json`. Knows nothing about Keras, pictures or processes.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass, field, fields, replace

FOLDERS = ("rime", "flowers", "data", "rime_test", "flowers_test", "run", "start_from", "teacher")
# The ways to say where the pictures are, of which a training is told one.
SOURCES = (("drawn",), ("data",), ("rime", "flowers", "rime_test", "flowers_test"))
AUGMENTATIONS = ("translation", "cutout", "colour")
LEAST_HELD_OUT = 8  # pictures of a domain, for a figure of quality to mean anything


class ConfigError(ValueError):
    """A setting that can't be used; the message names it, its value and the remedy."""


def setting(default, text: str, structural: bool = False, choices: tuple[str, ...] | None = None):
    """A field with the sentence that `--help` shows; a structural one may not change when a run is resumed."""
    return field(default=default, metadata={"text": text, "structural": structural, "choices": choices})


@dataclass(frozen=True)
class Config:
    # where the pictures are
    rime: str = setting("", "folder of rime photos to learn from")
    flowers: str = setting("", "folder of flower paintings to learn from")
    data: str = setting("", "folder with trainA (flowers) and trainB (rime), and testA and testB for the samples, if there")
    drawn: bool = setting(False, "learn from rime and flowers drawn by code, into the run directory: needs no pictures")
    rime_test: str = setting("", "folder of held-out rime photos for the samples")
    flowers_test: str = setting("", "folder of held-out flower paintings for the samples")
    prefixes: str = setting("", "learn only from flowers whose file name starts with one of these, comma-separated")
    colourful: float = setting(1.0, "learn only from this part of the flower paintings, the most colourful; 1 for all of them")
    add_drawn: int = setting(0, "pictures drawn by code that are added to each domain to learn from")
    start_from: str = setting("", "folder of a pair whose generators a new training begins with; their shape must be the same")
    teacher: str = setting("", "folder of a pair to learn from in place of discriminators: what it paints on average over small "
                           "moves of the picture")
    run: str = setting("", "run directory: everything this training writes goes there")
    preset: str = setting("r2f", "which set of defaults", structural=True, choices=("r2f", "lite", "paper", "seed"))

    # what the generators see
    image_size: int = setting(256, "side of the square crops, pixels", structural=True)
    load_size: int = setting(320, "short side the pictures are kept at, pixels; crops are cut from that")
    zoom: bool = setting(True, "cut crops of random size (image_size to load_size) and resize them to image_size")
    flip: bool = setting(True, "mirror half of the crops left to right")

    # networks
    filters: int = setting(48, "filters of a generator's first layer", structural=True)
    blocks: int = setting(9, "residual blocks of a generator", structural=True)
    residual: str = setting("add", "how a block joins its input", structural=True, choices=("add", "concat"))
    upsampling: str = setting("resize", "how a generator enlarges: resize then convolve, or transposed convolution",
                              structural=True, choices=("resize", "transposed"))
    padding: str = setting("reflect", "what a generator sees beyond the border", structural=True, choices=("reflect", "zero"))
    separable: bool = setting(False, "depthwise-separable convolutions in the blocks", structural=True)
    norm: str = setting("everywhere", "instance norms of a generator: after every convolution, or in the blocks alone, which "
                        "lets brightness and hue through", structural=True, choices=("everywhere", "blocks"))
    norm_before_tanh: bool = setting(False, "instance norm as a generator's last layer before tanh", structural=True)
    discriminator: str = setting("patch", "what judges: patch learns from nothing, projected looks through a network that "
                                 "learned from photos, and so needs fewer pictures and steps, and requirements-eval.txt",
                                 structural=True, choices=("patch", "projected"))
    discriminator_filters: int = setting(64, "filters of a patch discriminator's first layer", structural=True)
    discriminator_strides: int = setting(3, "halvings in a patch discriminator: 3 judges patches of 70 pixels, 4 of 142",
                                         structural=True)
    discriminator_norm: str = setting("instance", "what holds a patch discriminator steady: instance norm, spectral norm of its "
                                      "kernels in its place, or both", structural=True, choices=("instance", "spectral", "both"))

    # the objective
    cycle_weight: float = setting(10.0, "weight of the cycle term")
    identity_weight: float = setting(5.0, "weight of the identity term; 0 leaves its two passes out")
    identity_until: float = setting(1.0, "the identity term falls linearly to 0 at this part of the run; 1 for never")
    light_weight: float = setting(0.0, "weight of the light term: what is lighter than the rest of its picture stays so; 0 "
                                  "leaves it out", structural=True)
    teacher_weight: float = setting(10.0, "weight of the teacher's terms")
    cycle_noise: float = setting(2.0, "noise between the halves of the cycle, standard deviation in 1/255 of the range")
    cycle_colour_noise: float = setting(0.0, "noise of colour alone between the halves of the cycle, likewise; against fine "
                                        "colours in which a painting hides its photo")
    cycle_shift: int = setting(0, "pixels, at most, by which a picture is moved between the halves of the cycle; against "
                               "patterns on the generators' grid of 4 in which a painting hides its photo")
    augment: str = setting("translation,cutout,colour", "what is done to everything the discriminators see, comma-separated, "
                           "or none")
    gradient_penalty: float = setting(0.0, "weight of the discriminators' slope around real pictures; 0 leaves it out")
    pool_size: int = setting(50, "earlier fakes kept for each discriminator; 0 for none", structural=True)

    # the optimizer
    steps: int = setting(200_000, "optimizer updates in all")
    batch_size: int = setting(1, "pairs of pictures in a step", structural=True)
    learning_rate: float = setting(2e-4, "Adam's learning rate, before the decay")
    beta_1: float = setting(0.5, "Adam's first decay rate", structural=True)
    decay_from: float = setting(0.5, "part of the run after which the learning rate falls linearly to 0; 1 for never")
    averaging: float = setting(0.999, "decay of the averaged generators, reached by a ramp; 0 averages nothing")
    precision: str = setting("auto", "arithmetic of the networks; auto is bfloat16 on GPUs and on processors that multiply it",
                             choices=("auto", "float32", "bfloat16"))
    seed: int = setting(0, "seed of everything that is drawn by chance", structural=True)

    # what is recorded
    log_steps: int = setting(50, "steps between two lines of metrics")
    sample_steps: int = setting(1000, "steps between two sample sheets, the last of the last step; 0 for none")
    sample_count: int = setting(4, "held-out pictures of each domain on a sample sheet")
    checkpoint_steps: int = setting(0, "steps between two checkpoints, besides those by the clock; 0 for none")
    checkpoint_minutes: float = setting(5.0, "minutes between two checkpoints; what a crash can lose at most")
    milestone_steps: int = setting(0, "a checkpoint at a multiple of this many steps is kept for ever; 0 for none")
    evaluate_steps: int = setting(5000, "steps between two measurements of quality on held-out pictures, by which the best pair "
                                  "is kept; 0 for none")
    evaluate_count: int = setting(64, "held-out pictures of each domain to measure quality on, at most")
    tensorboard: bool = setting(False, "write event files for TensorBoard, too")

    def __post_init__(self):
        for each in fields(self):
            value, choices = getattr(self, each.name), each.metadata["choices"]
            if choices and value not in choices:
                raise ConfigError(f"{each.name} is {value!r}; it must be one of {', '.join(choices)}.")
        for name in ("image_size", "load_size", "filters", "blocks", "discriminator_filters", "discriminator_strides",
                     "steps", "batch_size", "log_steps", "sample_count"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.image_size % 4 or self.image_size < 32:
            raise ConfigError(f"image_size is {self.image_size}; it must be a multiple of 4 and at least 32.")
        if self.discriminator == "projected" and self.image_size % 32:
            raise ConfigError(f"image_size is {self.image_size}; for a projected discriminator it must be a multiple of 32.")
        if self.load_size < self.image_size:
            raise ConfigError(f"load_size is {self.load_size}, smaller than image_size {self.image_size}; "
                              "a crop must fit into its picture, so raise it.")
        if 0 < self.pool_size < self.batch_size:
            raise ConfigError(f"pool_size is {self.pool_size}, smaller than batch_size {self.batch_size}; "
                              "make it 0 or at least the batch size.")
        if self.evaluate_steps and self.evaluate_count < LEAST_HELD_OUT:
            raise ConfigError(f"evaluate_count is {self.evaluate_count}; it must be at least {LEAST_HELD_OUT}, "
                              "or make evaluate_steps 0.")
        for each in fields(self):  # not a number is neither below 0 nor above
            value = getattr(self, each.name)
            if isinstance(value, int | float) and not 0 <= value < math.inf:
                raise ConfigError(f"{each.name} is {value}; it must be 0 or more.")
        if not self.learning_rate:
            raise ConfigError("learning_rate is 0; nothing would be learned, so make it more than that.")
        if self.beta_1 >= 1:
            raise ConfigError(f"beta_1 is {self.beta_1}; it must be below 1.")
        if not 0 <= self.averaging < 1:
            raise ConfigError(f"averaging is {self.averaging}; it must be at least 0 and below 1.")
        if not 0 <= self.decay_from <= 1:
            raise ConfigError(f"decay_from is {self.decay_from}; it must be between 0 and 1.")
        if not 0 < self.colourful <= 1:
            raise ConfigError(f"colourful is {self.colourful}; it must be above 0 and at most 1.")
        if not 0 < self.identity_until <= 1:
            raise ConfigError(f"identity_until is {self.identity_until}; it must be above 0 and at most 1.")
        if any("\ud800" <= each <= "\udfff" for each in self.prefixes):  # a pair keeps them, and is text
            raise ConfigError(f"prefixes is {self.prefixes!r}; it must be UTF-8, so rename the pictures first.")
        unknown = set(self.augmentations) - set(AUGMENTATIONS)
        if unknown:
            raise ConfigError(f"augment has {', '.join(sorted(unknown))}; it may have {', '.join(AUGMENTATIONS)}, or be none.")

    @property
    def augmentations(self) -> tuple[str, ...]:
        return () if self.augment in ("", "none") else tuple(part.strip() for part in self.augment.split(","))

    @property
    def generator_arguments(self) -> dict:
        """The keyword arguments of `networks.generator`; a pair keeps them in its `pair.json`."""
        names = ("filters", "blocks", "residual", "upsampling", "padding", "separable", "norm", "norm_before_tanh")
        return {name: getattr(self, name) for name in names}

    @property
    def changed(self) -> dict:
        """The settings in which this differs from its preset, folders left out; a pair keeps them in its `pair.json`."""
        plain = preset(self.preset)
        return {each.name: getattr(self, each.name) for each in fields(self)
                if each.name not in FOLDERS and getattr(self, each.name) != getattr(plain, each.name)}

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


# What r2f and lite do otherwise than the paper, and why: docs/ABLATIONS.md.
OURS = dict(norm="blocks", cycle_weight=5.0, identity_weight=0.0, cycle_shift=3, cycle_colour_noise=4.0, light_weight=2.0)
PRESETS = {
    # The default: what the evidence in the literature and our own measurements ask for.
    "r2f": OURS,
    # For two CPU cores and free hosting: 0.5 million parameters a generator, learns and serves on a laptop.
    "lite": OURS | dict(filters=16, blocks=6, image_size=128, load_size=224, steps=60_000),
    # Zhu et al. 2017 as published (arXiv:1703.10593, section 7).
    "paper": dict(filters=64, load_size=286, zoom=False, upsampling="transposed", augment="none", cycle_noise=0.0,
                  averaging=0.0),
    # The 2023 student project as it was: concatenating blocks, zero padding, instance norm before tanh, 142-pixel patches.
    "seed": dict(filters=64, load_size=256, zoom=False, flip=False, residual="concat", upsampling="transposed", padding="zero",
                 norm_before_tanh=True, discriminator_strides=4, augment="none", cycle_noise=0.0, averaging=0.0,
                 steps=2_500, decay_from=1.0, precision="float32"),
}


def preset(name: str, **overrides) -> Config:
    """The named preset with some settings replaced. Raises ConfigError for a name that there is not, and for two SOURCES."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    one_source(overrides)
    return Config(**{**PRESETS[name], **overrides, "preset": name})


def one_source(given: dict) -> tuple[str, ...]:
    """Which of SOURCES is among these settings, () for none. Raises ConfigError for more than one."""
    found = [names for names in SOURCES if any(given.get(name) for name in names)]
    if len(found) > 1:
        said = " and ".join("--" + name.replace("_", "-") for names in found for name in names if given.get(name))
        raise ConfigError(f"Pictures were named in more than one way, by {said}; give --drawn alone, or --data DIR alone, or "
                          "--rime DIR and --flowers DIR, beside which --rime-test DIR and --flowers-test DIR may be.")
    return found[0] if found else ()


def source_of(settings: Config) -> tuple[str, ...]:
    """Which of SOURCES it learns from; runs from before there had to be one may name more, of which the first counts."""
    return next((names for names in SOURCES if any(getattr(settings, name) for name in names)), ())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One option for every field of Config, under its own name; only those given end up in the namespace. The help shows the
    values of the preset that is taken where none is named."""
    shown = preset(Config().preset)
    for each in fields(Config):
        text, value = each.metadata["text"], getattr(shown, each.name)
        if each.name == "preset":
            text += f" (default {value}, whose values are the defaults below; --dry-run prints those of the others)"
        elif value not in ("", False):
            text += f" (default {value})"
        option = "--" + each.name.replace("_", "-")
        if each.type in (bool, "bool"):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            kind = each.type if isinstance(each.type, type) else {"int": int, "float": float, "str": str}[each.type]
            parser.add_argument(option, type=kind, default=argparse.SUPPRESS, help=text, choices=each.metadata["choices"])


def from_json(text: str) -> Config:
    """The Config in a run's `config.json`. Raises ConfigError where it is not one."""
    try:
        values = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"config.json is damaged ({error}); the run can't be resumed from it.") from error
    unknown = sorted(set(values) - {each.name for each in fields(Config)})
    if unknown:
        raise ConfigError(f"config.json has settings that this version does not know: {', '.join(unknown)}.")
    return Config(**values)


def resumed(stored: Config, overrides: dict) -> tuple[Config, list[str]]:
    """The Config to go on with, and one line for every setting that changed. Pictures named anew take the place of all others.

    Raises ConfigError for a structural difference: it names the setting and both values. And for two SOURCES.
    """
    if source := one_source(overrides):
        if not any(overrides.get(name) for name in source[:2]):  # held-out pictures alone: beside what it learns from
            one_source({name: getattr(stored, name) for name in source_of(stored)} | overrides)
        overrides = {name: getattr(Config, name) for names in SOURCES for name in names if names != source} | overrides
    wanted = replace(stored, **overrides)
    changes = []
    for each in fields(Config):
        before, after = getattr(stored, each.name), getattr(wanted, each.name)
        if before == after or each.name == "run":
            continue
        if each.metadata["structural"]:
            raise ConfigError(f"this run was started with {each.name} {before}, not {after}; "
                              "leave it as it was, or start a new run.")
        before, after = (value if value != "" else "nothing" for value in (before, after))
        changes.append(f"{each.name} changed from {before} to {after}")
    return wanted, changes
