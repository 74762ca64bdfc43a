"""python -m r2f.pupil: a small pair learns from pictures that a large one painted once.

`python -m r2f.train --teacher` asks its teacher anew at every step, which on a processor is most of the work. Here the teacher
paints every picture once. Then bloom learns what the teacher made of each photo; frost learns the way back from what that bloom
paints, and what the teacher made of each painting; both by L1 alone (Hinton et al. 2015, arXiv:1503.02531), or with a
discriminator beside each (`--teacher-weight`, `r2f.judged`). With `--together-steps` both then learn at once, as in a cycle.
Teacher and pupil may be of different shapes; with `--filters` the pupil is made slimmer first (`r2f.slim`), and so faster. With
`--strokes` there are two teachers (`r2f.retouch`).
"""

import argparse
import hashlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from r2f.allocator import keep_memory
from r2f.quiet import quiet

if __name__ == "__main__":
    keep_memory()
for name in ("TF_DETERMINISTIC_OPS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")  # as in a training

with quiet():
    import keras  # noqa: E402
import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from r2f import config, data, distil, pair, retouch, slim  # noqa: E402
from r2f.bloom import Bloomer  # noqa: E402
from r2f.ending import EXIT_BAD_INPUT, EXIT_DISK, EXIT_NOT_FINITE, EXIT_SIGNAL, NotSaved, what_to_free  # noqa: E402
from r2f.features import NoFeatures, lite1_weights  # noqa: E402
from r2f.images import read_picture, to_float, write_picture  # noqa: E402
from r2f.judged import Judged, JudgedBloom, JudgedBoth, JudgedFrost  # noqa: E402
from r2f.networks import dtype_policy  # noqa: E402
from r2f.output import pair_info  # noqa: E402

log = logging.getLogger("r2f")

LONGEST = 1.5  # of a picture's short side: what is longer is cut to its middle
LOG_STEPS = 100
KEEP_STEPS = 500  # between two times that what was learned is written
JUDGE_LEARNING_RATE = 1e-3  # of the discriminator while it learns alone
SLIM_PICTURES = 80  # at most, that a slimmer pupil is fitted to


class Lessons(keras.utils.PyDataset):
    """Pairs of pictures as `fit` reads them: item i is the batch of step i, crops of both at the same place."""

    loss = "mean_absolute_error"

    def __init__(self, pairs: list[tuple[np.ndarray, np.ndarray]], settings: config.Config):
        super().__init__()
        self.stacked, self.settings = [np.concatenate(each, axis=-1) for each in pairs], settings

    def __len__(self):
        return self.settings.steps

    def __getitem__(self, step):
        both = data.domain_batch(self.stacked, data.RIME, self.settings, step)
        return both[..., :3], both[..., 3:]


class ThereAndBack(Lessons):
    """Lessons for both generators: a photo, and of it the painting and the photo itself."""

    def __getitem__(self, step):
        photos, paintings = super().__getitem__(step)
        return photos, (paintings, photos)


class BesideReal(Lessons):
    """Lessons for a generator and a discriminator: pictures, what the teacher made of them, and real ones of that kind, uint8
    (H, W, 3). With `back`, the lessons of frost's way back, these too."""

    def __init__(self, pairs: list[tuple[np.ndarray, np.ndarray]], settings: config.Config, real: list[np.ndarray],
                 back: Lessons | None = None):
        super().__init__(pairs, settings)
        self.real, self.back = real, back

    def __getitem__(self, step):
        given, made = super().__getitem__(step)
        real = data.domain_batch(self.real, data.FLOWER, self.settings, step)
        if not self.back:
            return (given, real), made
        paintings, photos = self.back[step]
        return (given, real, paintings), (made, photos)


class Verdicts(BesideReal):
    """Lessons for a discriminator alone: real pictures and what the teacher made, and 1 for the former, 0 for the latter."""

    loss = "mean_squared_error"

    def __getitem__(self, step):
        (_, real), made = super().__getitem__(step)
        verdicts = np.repeat(np.float32([1, 0]), len(real)).reshape(-1, 1, 1, 1)
        return np.concatenate([real, made]), verdicts


def together(networks: dict[str, keras.Model]) -> keras.Model:
    """Bloom and frost as one network from photos to their paintings and their way back. As in a training, nothing finer than 8
    bits may carry it."""
    photo = keras.Input((None, None, 3))
    flower = networks["bloom"](photo)
    noise = keras.layers.GaussianNoise(2 * config.Config().cycle_noise / 255)
    return keras.Model(photo, [flower, networks["frost"](noise(flower))], name="both")


def learn(name: str, network: keras.Model, lessons: Lessons, keep: Callable[[], None] = lambda: None) -> float:
    """Teach a generator, both at once, or one beside its discriminator; gives the last loss, where a picture's range is 2. The
    learning rate falls linearly to 0. `keep` is called from time to time, and where Ctrl-C ends it early."""
    settings = lessons.settings
    schedule = keras.optimizers.schedules.PolynomialDecay(settings.learning_rate, settings.steps, 0.0)
    how = ({"optimizer": keras.optimizers.Adam(schedule, beta_1=settings.beta_1)} if isinstance(network, Judged) else
           {"optimizer": keras.optimizers.Adam(schedule), "loss": [lessons.loss] * len(network.outputs)})
    network.compile(**how, jit_compile=keras.backend.backend() == "jax")
    progress = Progress(name, settings.steps, keep)
    with stopped_by_ctrl_c(progress):
        network.fit(lessons, shuffle=False, verbose=0, callbacks=[progress])
        if progress.stopped:
            log.info("%s: stopped; it goes on with what it learned until now", name)
            progress.try_to_keep()
    return progress.last.get("loss", float("nan"))


@contextmanager
def stopped_by_ctrl_c(progress: "Progress") -> Iterator[None]:
    """The first Ctrl-C ends a lesson after the step it is in, within which JAX has no weights to keep; a second is as ever."""
    def stop(number, frame):
        signal.signal(signal.SIGINT, before)
        progress.stopped = True

    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # of what a script started in the background
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Progress(keras.callbacks.Callback):
    """Says how far it is, every LOG_STEPS steps: the mean losses of these. Has what was learned kept every KEEP_STEPS steps.

    Once it is `stopped`, the step that is running is the last.
    """

    stopped = False

    def __init__(self, name: str, steps: int, keep: Callable[[], None]):
        super().__init__()
        self.name, self.steps, self.keep, self.last, self.sums = name, steps, keep, {}, {}

    def on_train_batch_end(self, index, logs=None):  # Keras hands over the means since the beginning
        done = index + 1
        if done % LOG_STEPS == 0 or done == self.steps:
            count, names = (done - 1) % LOG_STEPS + 1, {"loss", *getattr(self.model, "trackers", logs)}
            sums = {name: float(mean) * done for name, mean in logs.items() if name in names}
            self.last = {name: (total - self.sums.get(name, 0.0)) / count for name, total in sums.items()}
            self.sums = sums
            log.info("%s: step %d of %d, %s", self.name, done, self.steps,
                     ", ".join(f"{name} {value:.4f}" for name, value in self.last.items()))
        if self.stopped:
            self.model.stop_training = True
        elif done % KEEP_STEPS == 0:
            self.try_to_keep()

    def try_to_keep(self):
        """A disk that is full for a moment ends no lesson."""
        _ = self.model  # with JAX, asking for it puts the weights back where they can be read
        try:
            self.keep()
        except OSError as error:
            log.warning("%s: %s It is tried again later.", self.name, error)


def some(pictures: list[np.ndarray], most: int | None) -> list[np.ndarray]:
    """At most so many, every n-th; all for None."""
    return pictures[::-(-len(pictures) // most)] if most else pictures


def at_least(counts: dict[str, int], before: object) -> dict[str, int]:
    """Of how many pictures of each kind a pair has learned at least: what it learned from now, or before that."""
    before = before if isinstance(before, dict) else {}
    return {name: max([count, *(each for each in [before.get(name)] if type(each) is int)]) for name, count in counts.items()}


def middle(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) without what is beyond LONGEST times its short side."""
    most = int(LONGEST * min(picture.shape[:2]))
    top, left = (max(0, side - most) // 2 for side in picture.shape[:2])
    return picture[top:top + most, left:left + most]


def on_average(bloomer: Bloomer, name: str, picture: np.ndarray) -> np.ndarray:
    """What a generator makes of a picture, uint8 (H, W, 3), on average over the moves of `r2f.distil`: without a weave."""
    height, width = picture.shape[:2]
    total = np.zeros(picture.shape, np.float32)
    for down, right in distil.MOVES:
        moved = np.pad(picture, ((down, distil.STRIDE - down), (right, distil.STRIDE - right), (0, 0)), mode="reflect")
        total += bloomer.paint(name, moved)[down:down + height, right:right + width]
    return retouch.to_pixels(total / len(distil.MOVES))


def painted(bloomer: Bloomer, name: str, pictures: list[np.ndarray], folder: Path | None = None,
            average: bool = False) -> list[np.ndarray]:
    """What a pair's generator makes of each picture. Those that lie in `folder` are read, the others are put there."""
    made, network = [], bloomer.info["files"][f"{name}.safetensors"]["sha256"] if folder else ""
    network, paint = (f"{network} on average", on_average) if average else (network, Bloomer.paint)
    for picture in tqdm(pictures, desc=f"painting ({name})", unit="picture", disable=None):
        if folder:
            key = hashlib.sha256(f"{network} {picture.shape}".encode() + np.ascontiguousarray(picture).data).hexdigest()
            path = folder / f"{key[:32]}.png"
            if not path.exists():
                try:
                    write_picture(paint(bloomer, name, picture), path)
                except OSError as error:
                    raise NotSaved(f"A painting was not kept: {what_to_free(error, folder)}. Those kept until now are not "
                                   "painted again.") from error
            made.append(read_picture(path))
        else:
            made.append(paint(bloomer, name, picture))
    return made


def slimmer(network: keras.Model, shape: dict, filters: int, pictures: list[np.ndarray]) -> keras.Model:
    """`slim`, fitted to some of the pictures, uint8 (H, W, 3)."""
    return slim.slim(network, shape, filters, [to_float(each[:each.shape[0] // 4 * 4, :each.shape[1] // 4 * 4])
                                               for each in some(pictures, SLIM_PICTURES)])


def main(arguments: list[str] | None = None) -> int:
    """`python -m r2f.pupil`: 0 when the pair is written, otherwise an exit code of `r2f.ending`."""
    parser = argparse.ArgumentParser(prog="python -m r2f.pupil", description=__doc__.partition("\n")[0])
    parser.add_argument("pupil", type=Path, help="folder of the pair that learns; it stays as it is")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the pair to learn from")
    parser.add_argument("--rime", type=Path, required=True, metavar="DIR", help="folder of rime photos")
    parser.add_argument("--flowers", type=Path, required=True, metavar="DIR", help="folder of flower paintings")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder of the pair that is written: a "
                        "new one, or one with a pair to replace")
    parser.add_argument("--paintings", type=Path, metavar="DIR",
                        help="folder that keeps what the teacher paints, for another time")
    parser.add_argument("--side", type=int, default=256, metavar="PIXELS",
                        help="short side of the pictures, which the teacher paints so large (default 256)")
    parser.add_argument("--crop", type=int, metavar="PIXELS", help="side of the crops that the pupil learns from (default: that "
                        "of the pictures); where it is smaller, crops of any size from that on are shrunk to it, so that what "
                        "the teacher paints at one size only, such as waves in a plain sky, is not learned")
    parser.add_argument("--bloom-steps", type=int, default=6000, metavar="N", help="steps that bloom learns (default 6000); 0 "
                        "leaves it as it is")
    parser.add_argument("--frost-steps", type=int, default=2000, metavar="N", help="steps that frost learns (default 2000)")
    parser.add_argument("--together-steps", type=int, default=0, metavar="N", help="steps that both learn at once after that: "
                        "bloom goes on, and keeps what frost needs for the way back (default 0)")
    parser.add_argument("--teacher-weight", type=float, metavar="W", help="let a discriminator that sees the flower paintings "
                        "judge bloom's, too, and one that sees the photos frost's, while frost learns alone; what the teacher "
                        "made weighs W times as much as that")
    parser.add_argument("--judge-steps", type=int, default=1000, metavar="N", help="steps that the discriminator learns alone "
                        "before, from what the teacher made (default 1000)")
    parser.add_argument("--cycle-weight", type=float, default=10.0, metavar="W", help="what the way back of the photos weighs "
                        "beside a discriminator (default 10)")
    parser.add_argument("--calm-skies", action="store_true", help="beside a discriminator: in plain places of a photo, colours "
                        "far from the photo's cost something, so that skies, snow and fog are not red, gold or olive as a whole")
    parser.add_argument("--filters", type=int, metavar="N", help="make the pupil slimmer first, to N filters")
    parser.add_argument("--strokes", type=Path, metavar="PAIR", help="folder of a second pair to learn from: its strokes, that "
                        f"is what changes within {retouch.STROKES} pixels, go over the first one's colours")
    parser.add_argument("--turn-strokes", action="store_true", help="the second pair swaps light and dark: turn them back")
    parser.add_argument("--average", action="store_true", help="learn what the teachers paint on average over four small moves "
                        "of the photo: a weave of dots is gone from that, the strokes stay; painting takes four times as long")
    parser.add_argument("--no-specks", action="store_true", help="learn what the teachers paint without specks of colour: each "
                        f"colour, not its light and dark, is made the median of {retouch.SPECKS} x {retouch.SPECKS} pixels")
    parser.add_argument("--vivid", action="store_true", help="learn what the teachers paint with colours up to "
                        f"{retouch.VIVID} times as strong, but for those that are strong already")
    parser.add_argument("--keep-blue", action="store_true", help="learn what the teachers paint with deep blue, and the pale "
                        "blue of plain skies, kept nearly as blue as in the photo, so that a sky behind blossoms is not green")
    parser.add_argument("--crisp", action="store_true", help="learn what the teachers paint with edges of light and dark "
                        f"{retouch.CRISP} times as strong, but where the photo is plain")
    parser.add_argument("--photos", type=int, metavar="N", help="take about so many of the photos, evenly spaced (default: all)")
    parser.add_argument("--zoom", action=argparse.BooleanOptionalAction, help="crops of any size are shrunk, or all are cut as "
                        "they are (default: shrunk)", default=True)
    for option in ("batch_size", "learning_rate", "prefixes", "colourful", "seed", "discriminator", "discriminator_filters",
                   "discriminator_norm", "augment"):
        each = config.Config.__dataclass_fields__[option]  # as in a training
        default = {"batch_size": 2, "learning_rate": 5e-4, "discriminator_filters": 32, "discriminator_norm": "spectral",
                   "augment": "none"}.get(option, each.default)
        parser.add_argument("--" + option.replace("_", "-"), type=type(each.default), default=default,
                            help=each.metadata["text"] + (f" (default {default})" if default else ""))
    options = parser.parse_args(arguments)
    if options.calm_skies and options.teacher_weight is None:
        parser.error("--calm-skies is for learning beside a discriminator; add --teacher-weight, 3 for instance.")
    if options.calm_skies and not (options.bloom_steps or options.together_steps):
        parser.error("--calm-skies is for what bloom paints, and frost alone learns here; leave it away or add --together-steps.")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return teach(options)
    except KeyboardInterrupt:
        print(f"Stopped; {options.output} is as it was written last, if at all.", file=sys.stderr)
        return EXIT_SIGNAL + signal.SIGINT
    except pair.BadPair as error:
        print(error, file=sys.stderr)
        return EXIT_NOT_FINITE
    except (NotSaved, pair.NotReplaced) as error:
        print(error, file=sys.stderr)
        return EXIT_DISK


def check_output(options: argparse.Namespace) -> None:
    """Raises NotReplaced where the pair that is written would take the place of anything else."""
    output, paintings = options.output, options.paintings and options.paintings.resolve()
    pair.check_place(output)
    if any(each and each.exists() and output.exists() and each.samefile(output)
           for each in (options.pupil, options.teacher, options.strokes)):
        raise pair.NotReplaced(f"{output} is a pair to learn from, which stays as it is; name another folder with -o.")
    if paintings and output.resolve() in (paintings, *paintings.parents):
        raise pair.NotReplaced(f"{options.paintings} would be in {output}, which is for the pair alone; name another folder with "
                               "--paintings.")


def teach(options: argparse.Namespace) -> int:
    """What the options ask for. Raises NotSaved, NotReplaced and BadPair where what was learned can't be written."""
    try:
        check_output(options)
        side = options.crop or options.side
        steps = options.bloom_steps or options.frost_steps or options.together_steps
        judge = {} if options.teacher_weight is None else {
            name: getattr(options, name) for name in ("teacher_weight", "discriminator", "discriminator_filters",
                                                      "discriminator_norm", "augment", "cycle_weight")}
        crops = config.preset("lite", image_size=side, load_size=options.side, zoom=options.zoom and side < options.side,
                              batch_size=options.batch_size, learning_rate=options.learning_rate, prefixes=options.prefixes,
                              colourful=options.colourful, seed=options.seed, steps=steps, **judge)
        networks, info = pair.load_pair(options.pupil, dtype_policy("auto"))
        if options.filters is not None:
            slim.check(info["networks"], options.filters)
        shape = pair.checked_arguments(info)  # with what older pairs leave unsaid
        if judge and shape.pop("epsilon_on") != "variance":
            raise pair.BadPair(f"{options.pupil} came from .h5 files, and its instance norms can't learn beside a discriminator; "
                               "leave --teacher-weight away, or name another pupil.")
        if judge and options.discriminator == "projected":
            lite1_weights()  # what is missing is said before anything is painted
        teacher = Bloomer.load(options.teacher)
        second = Bloomer.load(options.strokes) if options.strokes else None
        photos = [middle(each) for each in some(data.load_folder(options.rime, "rime photos", options.side), options.photos)]
        flowers = data.load_folder(options.flowers, "flower paintings", options.side, data.prefixes(crops))
        flowers = [middle(each) for each in data.most_colourful(flowers, options.colourful)]
    except slim.CannotSlim as error:
        print(f"{options.pupil}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except (config.ConfigError, data.NoPictures, pair.BadPair, pair.NotReplaced, NoFeatures) as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    for folder in filter(None, (options.output.parent, options.paintings)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            print(f"Nothing was painted: {what_to_free(error, folder)}.", file=sys.stderr)
            return EXIT_BAD_INPUT
    looked_at = options.bloom_steps or options.together_steps or options.filters is not None
    blooms = photos
    if looked_at:
        blooms = painted(teacher, "bloom", photos, options.paintings, options.average)
        if second:
            strokes = painted(second, "bloom", photos, options.paintings, options.average)
            strokes = map(retouch.turned, strokes) if options.turn_strokes else strokes
            blooms = [retouch.stroked(colours, retouch.calmed(photo, each))
                      for photo, colours, each in zip(photos, blooms, strokes, strict=True)]
        if options.no_specks:
            blooms = list(map(retouch.speckless, blooms))
        if options.vivid:
            blooms = list(map(retouch.vivid, blooms))
        if options.keep_blue:
            blooms = list(map(retouch.blue_kept, photos, blooms))
        if options.crisp:
            blooms = list(map(retouch.crisped, photos, blooms))
    rime = painted(teacher, "frost", flowers, options.paintings) if options.frost_steps else []
    if options.filters is not None:
        networks = {"bloom": slimmer(networks["bloom"], info["networks"], options.filters, photos),
                    "frost": slimmer(networks["frost"], info["networks"], options.filters, blooms + flowers)}
        info["networks"] = info["networks"] | {"filters": options.filters}
        shape["filters"] = options.filters
    keras.utils.set_random_seed(options.seed)  # of a discriminator's first weights, and of the noise while both learn
    learned, shown = {}, list(zip(photos, blooms, strict=True))
    learned_from = data.Pictures(photos, flowers, [], [])

    def keep():
        said = pair_info(crops, steps, learned_from)
        try:
            pair.save_pair(options.output, networks, said | {
                "networks": info["networks"], "preset": info.get("preset", ""), "pupil": True,
                "pictures": at_least(said["pictures"], info.get("pictures"))})
        except pair.NotReplaced:
            raise
        except OSError as error:
            raise NotSaved(f"The pair was not written: {what_to_free(error, options.output.parent)}.") from error

    def during(steps):
        return replace(crops, steps=steps)

    def beside(name, kind, steps, pairs, real, back=None):
        """Teach what a discriminator judges; what it comes to on average is the pair's from then on."""
        learner = kind(replace(during(steps), **shape), networks, dtype_policy("auto"), options.calm_skies)
        networks.update(learner.averaged)
        if options.judge_steps:
            alone = replace(during(options.judge_steps), learning_rate=JUDGE_LEARNING_RATE)
            learn("discriminator", learner.judge, Verdicts(pairs, alone, real))
        loss = learn(name, learner, BesideReal(pairs, during(steps), real, back), keep)
        for network in learner.averaged.values():
            network.trainable = True  # an average is not, but it may learn on together with the other
        return loss

    if count := options.bloom_steps:
        learned["bloom"] = (beside("bloom", JudgedBloom, count, shown, flowers) if judge else
                            learn("bloom", networks["bloom"], Lessons(shown, during(count)), keep))
    if count := options.frost_steps:
        back = list(zip(painted(Bloomer(networks, info), "bloom", photos), photos, strict=True))
        frosted = list(zip(flowers, rime, strict=True))
        learned["frost"] = (beside("frost", JudgedFrost, count, frosted, photos, Lessons(back, during(count))) if judge else
                            learn("frost", networks["frost"], Lessons([*back, *frosted], during(count)), keep))
    if count := options.together_steps:
        learned["both"] = (beside("both", JudgedBoth, count, shown, flowers) if judge else
                           learn("both", together(networks), ThereAndBack(shown, during(count)), keep))
    keep()
    print(f"{options.output}: loss of {', '.join(f'{name} {loss:.4f}' for name, loss in learned.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
