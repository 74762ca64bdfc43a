"""What a training will need of disk and memory, from its Config alone, before anything is trained.

The figures come from counting: weights, moments, pools, pictures, and the numbers that a step holds at once. Only how many bytes
each of those numbers takes in a running step was measured. Imports no Keras, so a page can ask, too.
"""

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from r2f.checkpoint import KEPT
from r2f.config import Config
from r2f.data import DRAWN_TEST, DRAWN_TRAIN
from r2f.images import list_pictures
from r2f.pair import BadPair, checked_arguments, read_pair_json

FEW_PICTURES = 100  # of a domain
LONG_SIDE = 1.4  # of a kept picture, in short sides: between 4:3 and 3:2
PNG_BYTES = 2.0  # of a pixel, for photos and paintings
METRICS_LINE_BYTES = 520
EVENTS_BYTES = 900  # of a line of metrics in an event file
SPARE_BYTES = 50_000_000  # what is left of a disk for everybody else
CGROUP = Path("/sys/fs/cgroup")  # where Linux says what a container may use
# A projected discriminator: its weights, those that learn, and for each pixel of a picture the numbers that its convolutions give
# and the products that these take. Counted on the network; tests/test_projected.py does it again.
PROJECTED_PARAMETERS, PROJECTED_LEARNED, PROJECTED_NUMBERS, PROJECTED_PRODUCTS = 4_027_448, 150_020, 189, 15_940
# Measured on Linux, TensorFlow on a CPU, batch sizes 1 and 4, 64 to 256 pixels, lite and r2f; tests/test_preflight.py has it.
PROGRAM_BYTES = 1_230_000_000  # Python, Keras, TensorFlow, the traced step
STATE_COPIES = 1.6 + 1  # the state with its gradients, and the copy that is being saved
MOVES, TAUGHT_BYTES = 4, 13.0  # pictures that a teacher paints for one; bytes a pixel of each, for each of its filters
STEP_BYTES = {"float32": 6.6, "bfloat16": 4.6}  # for each number that the networks' convolutions give in a step


@dataclass(frozen=True)
class Estimate:
    """What a training needs. Sizes in bytes.

    `memory_bytes` is the most that the process holds on a CPU, pictures included.
    """

    generator_parameters: int
    discriminator_parameters: int
    checkpoint_bytes: int
    pair_bytes: int
    disk_bytes: int
    pictures_bytes: int
    step_bytes: int
    memory_bytes: int

    @property
    def sentence(self) -> str:
        return (f"the estimate is {mb(self.memory_bytes)} of memory, {mb(self.step_bytes)} of it for a step and "
                f"{mb(self.pictures_bytes)} for the pictures.")


def estimate(config: Config, pictures: tuple[int, int] | None = None) -> Estimate:
    """The needs of a training with that many rime photos and flower paintings; they are counted where that is not said."""
    generator, discriminator = generator_parameters(config), discriminator_parameters(config)
    learned = learned_parameters(config)
    pools = 2 * config.pool_size * config.image_size ** 2 * 3
    # Weights and two moments, averages, pools.
    state = 4 * (2 * (3 * generator + discriminator + 2 * learned) + 2 * generator + pools)
    pair = 2 * 2 * generator
    picture_pixels = LONG_SIDE * config.load_size ** 2
    drawn = (2 * (DRAWN_TRAIN + DRAWN_TEST) if config.drawn else 0) + 2 * config.add_drawn
    milestones = config.steps // config.milestone_steps if config.milestone_steps else 0
    sheets = -(-config.steps // config.sample_steps) if config.sample_steps else 0  # one of the last step, too
    sheet = 6 * config.sample_count * config.image_size ** 2 * PNG_BYTES
    pairs = 4 if config.evaluate_steps else 2  # the newest and the best, each with its successor
    disk = ((KEPT + 1 + milestones) * state + pairs * pair + drawn * picture_pixels * PNG_BYTES
            + sheets * sheet * (2 if config.tensorboard else 1)
            + config.steps / config.log_steps * (METRICS_LINE_BYTES + (EVENTS_BYTES if config.tensorboard else 0)))
    held = (sum(count_pictures(config) if pictures is None else pictures) + 2 * config.add_drawn) * picture_pixels * 3
    step = STEP_BYTES["float32" if config.precision == "float32" else "bfloat16"] * step_numbers(config)
    step += taught_bytes(config) if config.teacher else 0
    memory = PROGRAM_BYTES + STATE_COPIES * state + held + step
    return Estimate(generator, discriminator, *(round(each) for each in (state, pair, disk, held, step, memory)))


def problems(config: Config, run_path: str | Path, gpu: bool = False, pictures: tuple[int, int] | None = None) -> list[str]:
    """One sentence for each thing that will not do: a disk or a memory that is too small. On a GPU memory is not judged."""
    needs, found = estimate(config, pictures), []
    place = Path(run_path).absolute()
    with contextlib.suppress(OSError):
        there = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) if place.is_dir() else 0
        free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.is_dir())).free
        missing = needs.disk_bytes - there + SPARE_BYTES - free
        if missing > 0:
            milestones = f", or fewer milestones than one every {config.milestone_steps} steps" if config.milestone_steps else ""
            found.append(f"{run_path} will need about {mb(needs.disk_bytes)} of disk, {mb(needs.checkpoint_bytes)} for "
                         f"each checkpoint, and {mb(free)} are free there; free {mb(missing)}, or choose another "
                         f"--run{milestones}.")
    available = None if gpu else available_memory()
    if available is not None and needs.memory_bytes > available:
        if needs.step_bytes > needs.pictures_bytes:
            smaller = "smaller --image-size" + " or --batch-size" * (config.batch_size > 1)
        else:
            smaller = "smaller --load-size, or fewer pictures"
        found.append(f"This training will need about {mb(needs.memory_bytes)} of memory, {mb(needs.step_bytes)} of it "
                     f"for a step and {mb(needs.pictures_bytes)} for the pictures, and {mb(available)} are available; "
                     f"choose a {smaller}.")
    return found


def warnings(config: Config, pictures: tuple[int, int]) -> list[str]:
    """What may disappoint, though it can be trained: one sentence for each."""
    return [f"There are only {count} {what} to learn from: with fewer than {FEW_PICTURES} the results tend to repeat them. "
            "Add more, or --add-drawn 100."
            for count, what in zip(pictures, ("rime photos", "flower paintings"), strict=True) if count < FEW_PICTURES]


def count_pictures(config: Config) -> tuple[int, int]:
    """How many files would be read as rime and as flowers; 0 where there is no such folder."""
    def count(folder: Path, prefixes: tuple[str, ...] = ()) -> int:
        try:
            return sum(not prefixes or path.name.startswith(prefixes) for path in list_pictures(folder))
        except OSError:
            return 0

    if config.drawn:
        return DRAWN_TRAIN, DRAWN_TRAIN
    rime, flowers = (Path(config.data) / "trainB", Path(config.data) / "trainA") if config.data else (config.rime, config.flowers)
    prefixes = tuple(part.strip() for part in config.prefixes.split(",") if part.strip())
    return (count(Path(rime)) if str(rime) else 0,
            round(config.colourful * count(Path(flowers), prefixes)) if str(flowers) else 0)


def generator_parameters(config: Config) -> int:
    """Weights of one generator, as `networks.generator` builds it."""
    wide, width, total = 4 * config.filters, 4 * config.filters, 0
    for _ in range(config.blocks):
        for inputs in (width, wide):
            total += (9 * inputs + inputs * wide if config.separable else 9 * inputs * wide) + 2 * wide
        width += wide if config.residual == "concat" else 0
    for kernel, inputs, outputs in ((7, 3, wide // 4), (3, wide // 4, wide // 2), (3, wide // 2, wide),
                                    (3, width, wide // 2), (3, wide // 2, wide // 4)):
        total += kernel ** 2 * inputs * outputs + (2 if config.norm == "everywhere" else 1) * outputs
    return total + 49 * wide // 4 * 3 + (6 if config.norm_before_tanh else 3)


def discriminator_parameters(config: Config) -> int:
    """Weights of one discriminator, as `networks.discriminator` or `projected.projected_discriminator` builds it."""
    if config.discriminator == "projected":
        return PROJECTED_PARAMETERS
    filters = config.discriminator_filters
    widths = [filters * min(2 ** i, 8) for i in range(1, config.discriminator_strides)] + [8 * filters]
    total, inputs = 16 * 3 * filters + filters, filters
    for width in widths:
        total, inputs = total + 16 * inputs * width + 2 * width, width
    return total + 16 * inputs + 1


def learned_parameters(config: Config) -> int:
    """Those of them that learn; none beside a teacher."""
    if config.teacher:
        return 0
    return PROJECTED_LEARNED if config.discriminator == "projected" else discriminator_parameters(config)


def teacher_of(config: Config) -> Config:
    """These settings with the networks of their teacher; with their own where its pair.json can't be read."""
    try:
        shape = checked_arguments(read_pair_json(config.teacher))
    except BadPair:  # which is said when the training begins
        return config
    return replace(config, **{name: shape[name] for name in config.generator_arguments})


def taught_bytes(config: Config) -> float:
    """What the teacher takes in a step: its weights, and what its widest layers give for the moved pictures."""
    teacher = teacher_of(config)
    return 4 * 2 * generator_parameters(teacher) \
        + TAUGHT_BYTES * MOVES * config.batch_size * config.image_size ** 2 * teacher.filters


def step_numbers(config: Config) -> float:
    """How many numbers all convolutions of a step give, forwards: what the way back through them needs is kept until then."""
    filters, strides = config.filters, config.discriminator_strides
    generator = filters * (3.25 + 0.5 * config.blocks)  # of a pixel: full size, half, quarter, and up again
    if config.residual == "concat":  # what is put side by side is a new picture
        generator += filters / 4 * config.blocks * (config.blocks + 3) / 2
    widths = [min(2 ** i, 8) / 4 ** (i + 1) for i in range(strides)] + [8 / 4 ** strides]
    discriminator = PROJECTED_NUMBERS if config.discriminator == "projected" else config.discriminator_filters * sum(widths)
    generated, judged = (6 if config.identity_weight else 4), 6  # pictures of each in a step
    if config.teacher:
        generated, judged = 4, 0
    return config.batch_size * config.image_size ** 2 * (generated * generator + judged * discriminator)


def available_memory() -> int | None:
    """Bytes that a process here may still take: of the machine, or of the container it is in. None where that is not known."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        with contextlib.suppress(OSError, ValueError):
            cache = reclaimable((CGROUP / limit).with_name("memory.stat"))
            found.append(int((CGROUP / limit).read_text()) - int((CGROUP / used).read_text()) + cache)
    if not found and sys.platform == "darwin":
        with contextlib.suppress(OSError, ValueError):
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return max(0, min(found)) if found else None


def reclaimable(statistics: Path) -> int:
    """Bytes of a container's memory that only hold files' contents, and are given back when asked for."""
    with contextlib.suppress(OSError, ValueError):
        values = dict(line.split() for line in statistics.read_text().splitlines())
        return int(values.get("total_inactive_file", values.get("inactive_file", 0)))
    return 0


def mb(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"
