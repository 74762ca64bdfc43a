"""How long does a training step take, beside the recipe that the 2023 project was trained with?

    python -m benchmarks.train_step                                             # minutes on two cores
    python -m benchmarks.train_step --image-size 64 --filters 16 --blocks 2     # a first impression
    python -m benchmarks.train_step --quick                                     # only: does it still run?

Ours is `r2f.train.build` and the stock `fit`, with all that a training has: augmentation, noise, averages,
and pools on the device. The recipe is written anew from its description: two composite models (a generator,
the discriminator that judges it, the other generator) compiled with four losses, `train_on_batch` for each
composite and for each discriminator on real pictures and on fakes, `predict` for the fakes, pools of 50 in
host memory. Both get the same pictures, batch size 1, and the same choice of XLA.

Every network must have moved by the end of a row, or the benchmark fails: as it was written in 2023, the
recipe trains almost nothing on Keras 3 (keras-team/keras#20474).
"""

import argparse  # noqa: I001 - train comes before keras: it sets the environment that keras reads
import gc
import hashlib
import statistics
import time
from dataclasses import dataclass, replace

from r2f import config, train
import keras
import numpy as np

from r2f.config import Config
from r2f.networks import device, discriminator, dtype_policy, generator


@dataclass(frozen=True)
class Row:
    trainer: str
    networks: str
    precision: str
    seconds: list[float]  # of each timed step

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def pictures(settings: Config, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Rime and flower of a step, (1, S, S, 3) each."""
    shape = (2, 1, settings.image_size, settings.image_size, 3)
    rime, flower = np.random.default_rng((settings.seed, step)).uniform(-1, 1, shape).astype("float32")
    return rime, flower


def digests(networks) -> dict[str, str]:
    return {network.name: hashlib.sha256(b"".join(map(bytes, network.get_weights()))).hexdigest()
            for network in networks}


def check_all_moved(before: dict[str, str], after: dict[str, str]) -> None:
    still = [name for name in before if before[name] == after[name]]
    if still:
        raise SystemExit(f"{', '.join(still)} did not move: what was timed is not a training.")


class Batches(keras.utils.PyDataset):
    """What `fit` reads: the same pictures as the recipe's."""

    def __init__(self, settings: Config):
        super().__init__()
        self.settings = settings

    def __len__(self):
        return self.settings.steps

    def __getitem__(self, index):
        return (pictures(self.settings, index),)


class Clock(keras.callbacks.Callback):
    """The time at the end of each step; reading the loss waits for the step to be over, on every backend."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_train_batch_end(self, index, logs=None):
        float(logs["loss"])
        self.times.append(time.perf_counter())


def time_ours(settings: Config, eager: bool) -> list[float]:
    """Seconds of each step of this trainer."""
    model, clock = train.build(settings), Clock()
    model.run_eagerly = eager
    networks = (model.bloom, model.frost, model.flower_judge, model.rime_judge)
    before = digests(networks)
    model.fit(Batches(settings), shuffle=False, verbose=0, callbacks=[clock])
    check_all_moved(before, digests(networks))
    return np.diff(clock.times).tolist()


class Recipe:
    """The 2023 project's training: four models with an optimizer each, and pools in host memory."""

    def __init__(self, settings: Config, eager: bool):
        keras.utils.set_random_seed(settings.seed)
        self.settings, self.chance = settings, np.random.default_rng(settings.seed)
        xla = train.build(tiny(settings)).jit_compile  # its choice, which does not depend on the size
        self.compiling = dict(run_eagerly=eager, jit_compile=xla and not eager)
        self.bloom, self.frost = (
            generator(**settings.generator_arguments, name=name) for name in ("bloom", "frost"))
        self.flower_judge, self.rime_judge = (
            discriminator(settings.discriminator_filters, settings.discriminator_strides, name=name)
            for name in ("flower_judge", "rime_judge"))
        self.networks = (self.bloom, self.frost, self.flower_judge, self.rime_judge)
        for network in (self.bloom, self.frost):
            network.compile(**self.compiling)  # for predict
        for network in (self.flower_judge, self.rime_judge):
            network.compile(self.adam(), loss="mse", loss_weights=[0.5], **self.compiling)
        self.to_flower = self.composite(self.bloom, self.flower_judge, self.frost)
        self.to_rime = self.composite(self.frost, self.rime_judge, self.bloom)
        self.flower_pool, self.rime_pool = [], []

    def adam(self):
        return keras.optimizers.Adam(self.settings.learning_rate, beta_1=self.settings.beta_1)

    def composite(self, trained, judge, other) -> keras.Model:
        """A picture, and one of the trained generator's own domain, to verdicts, identity and both cycles."""
        side = self.settings.image_size
        picture, own = keras.Input((side, side, 3)), keras.Input((side, side, 3))
        fake = trained(picture)
        model = keras.Model([picture, own], [judge(fake), trained(own), other(fake), trained(other(own))])
        losses = dict(loss=["mse", "mae", "mae", "mae"], loss_weights=[1, 5, 10, 10])
        model.compile(self.adam(), **losses, **self.compiling)
        return model

    def train_only(self, trained):
        """Keras 3 looks at `trainable` when a model takes its step, not when it is compiled."""
        for network in self.networks:
            network.trainable = network is trained

    def from_pool(self, pool: list, fake: np.ndarray) -> np.ndarray:
        if len(pool) < self.settings.pool_size:
            pool.append(fake)
            return fake
        if self.chance.random() < 0.5:
            return fake
        place = self.chance.integers(len(pool))
        earlier, pool[place] = pool[place], fake
        return earlier

    def step(self, rime, flower):
        fake_rime = self.from_pool(self.rime_pool, self.frost.predict(flower, verbose=0))
        fake_flower = self.from_pool(self.flower_pool, self.bloom.predict(rime, verbose=0))
        for trained, composite, judge, picture, own, fake in (
                (self.frost, self.to_rime, self.rime_judge, flower, rime, fake_rime),
                (self.bloom, self.to_flower, self.flower_judge, rime, flower, fake_flower)):
            real = np.ones(judge.compute_output_shape(own.shape), "float32")
            self.train_only(trained)
            composite.train_on_batch([picture, own], [real, own, picture, own])
            self.train_only(judge)
            judge.train_on_batch(own, real)
            judge.train_on_batch(fake, np.zeros_like(real))


def time_recipe(settings: Config, eager: bool) -> list[float]:
    """Seconds of each step of the recipe."""
    recipe = Recipe(settings, eager)
    before = digests(recipe.networks)
    times = [time.perf_counter()]
    for step in range(settings.steps):
        recipe.step(*pictures(settings, step))
        times.append(time.perf_counter())
    check_all_moved(before, digests(recipe.networks))
    return np.diff(times).tolist()


def tiny(settings: Config) -> Config:
    return replace(settings, filters=2, blocks=1, discriminator_filters=2, pool_size=1, image_size=32,
                   load_size=32)


def measure(options: argparse.Namespace) -> list[Row]:
    size = dict(image_size=options.image_size, load_size=options.image_size, filters=options.filters,
                blocks=options.blocks, steps=options.warmup + options.steps)
    ours, seed = config.preset("r2f", precision="float32", **size), config.preset("seed", **size)
    if options.quick:
        ours, seed = tiny(ours), tiny(seed)
    rows = []
    for trainer, networks, settings, timed in (
            ("ours", "ours", replace(ours, precision="auto"), time_ours),
            ("ours", "ours", ours, time_ours),
            ("seed's recipe", "ours", ours, time_recipe),
            ("ours", "seed's", seed, time_ours),
            ("seed's recipe", "seed's", seed, time_recipe)):
        seconds = timed(settings, options.quick)[options.warmup:]
        rows.append(Row(trainer, networks, dtype_policy(settings.precision).removeprefix("mixed_"), seconds))
        keras.backend.clear_session()
        gc.collect()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step",
                                     description=__doc__.partition("\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--image-size", type=int, default=128, help="side of the pictures, pixels")
    parser.add_argument("--filters", type=int, default=64, help="filters of a generator's first layer")
    parser.add_argument("--blocks", type=int, default=9, help="residual blocks of a generator")
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--warmup", type=int, default=2, help="steps before those")
    parser.add_argument("--quick", action="store_true", help="tiny networks, not compiled: does it run?")
    options = parser.parse_args()
    rows = measure(options)
    side, timed = options.image_size, f"batch size 1, median of {options.steps} steps after {options.warmup}"
    size = f"{side} x {side} pixels, {options.filters} filters, {options.blocks} blocks"
    print(f"\nSeconds per training step: {'tiny, not compiled' if options.quick else size}, {timed}.")
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, {device()}.\n")
    print("| trainer | networks | precision | seconds | fastest to slowest | times as fast as the seed |")
    print("|---|---|---|---:|---:|---:|")
    for row in rows:
        print(f"| {row.trainer} | {row.networks} | {row.precision} | {row.median:.3f} | "
              f"{min(row.seconds):.3f} to {max(row.seconds):.3f} | {rows[-1].median / row.median:.1f} |")


if __name__ == "__main__":
    main()
