"""Which part of the recipe does what? One-change variants, same seed, same steps, same pictures, one table.

    python -m benchmarks.ablate --rime RIME/train --flowers FLOWERS/train --rime-test RIME/test --flowers-test FLOWERS/test \
        --out runs/ablation --steps 20000 --jobs 4
    python -m benchmarks.ablate --out runs/ablation --drawn --steps 20 --variants plain averaging

Each variant is a `python -m r2f.train` at 128 pixels and then an `r2f.evaluate` of its pair on the held-out pictures, both in
processes of their own. The same command goes on where an earlier one was ended: by --minutes, by Ctrl-C or by a crash; what is
judged stays as it is. --table prints what there is; without --table, too, --out alone will do to go on. An option that says
another thing than it said before is refused. A run's checkpoints, which are large, go once it is judged; its pair stays.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from r2f import config, drawn
from r2f.config import Config, ConfigError
from r2f.images import list_pictures, read_picture, write_picture
from r2f.run import Run, read_json, write_json

ROOT = Path(__file__).parents[1]
SIDE = 128  # pixels of the crops to learn from
DRAWN = 40, 12  # drawn pictures of each domain: to learn from, held out
# Not argparse's: whether an option was given matters where an ablation is gone on with.
DEFAULTS = dict(prefixes="", steps=20_000, seed=0, settings=(), features="efficientnet-lite0", side=256, most=None)
ENDED = -signal.SIGTERM, 128 + signal.SIGTERM  # exit codes of a training that was asked to end

SAME = dict(sample_steps=0, evaluate_steps=0)  # the last step is judged, not the best one: all have as many
PLAIN = dict(padding="zero", upsampling="transposed", norm="everywhere", augment="none", cycle_weight=10.0, identity_weight=5.0,
             cycle_noise=0.0, cycle_colour_noise=0.0, cycle_shift=0, averaging=0.0, light_weight=0.0)
# name: (what is changed, settings). The first half adds one thing to a plain CycleGAN, the second changes one of the preset.
VARIANTS: dict[str, tuple[str, dict]] = {
    "plain": ("none of the extras", PLAIN),
    "borders": ("plain + reflect, resize and convolve", PLAIN | dict(padding="reflect", upsampling="resize")),
    "augmented": ("plain + augmentation without colour", PLAIN | dict(augment="translation,cutout")),
    "augmented-colour": ("plain + augmentation with colour", PLAIN | dict(augment="translation,cutout,colour")),
    "averaging": ("plain + averaging", PLAIN | dict(averaging=0.999)),
    "spectral": ("plain + spectral norm", PLAIN | dict(discriminator_norm="both")),
    "noise": ("plain + noise in the cycle", PLAIN | dict(cycle_noise=2.0)),
    "colour-noise": ("plain + noise of colour in the cycle", PLAIN | dict(cycle_colour_noise=16.0)),
    "shift": ("plain + moves in the cycle", PLAIN | dict(cycle_shift=3)),
    "blocks": ("plain + instance norms in the blocks alone", PLAIN | dict(norm="blocks")),
    "identity-half": ("plain, identity 2.5", PLAIN | dict(identity_weight=2.5)),
    "identity-none": ("plain, identity 0", PLAIN | dict(identity_weight=0.0)),
    "penalty": ("plain + gradient penalty", PLAIN | dict(gradient_penalty=1.0)),
    "r2f": ("the r2f preset", {}),
    "r2f-no-light": ("r2f, no light term", dict(light_weight=0.0)),
    "r2f-identity": ("r2f, identity 5", dict(identity_weight=5.0)),
    "r2f-identity-half": ("r2f, identity 2.5", dict(identity_weight=2.5)),
    "r2f-identity-early": ("r2f, identity falling from 5 to 0 at half of the run", dict(identity_weight=5.0, identity_until=0.5)),
    "r2f-cycle-10": ("r2f, cycle 10", dict(cycle_weight=10.0)),
    "r2f-everywhere": ("r2f, instance norms everywhere", dict(norm="everywhere")),
    "r2f-no-shift": ("r2f, no moves in the cycle", dict(cycle_shift=0)),
    "r2f-concat": ("r2f, blocks that concatenate", dict(residual="concat")),
    "r2f-64": ("r2f, 64 filters", dict(filters=64)),
    "r2f-32": ("r2f, 32 filters", dict(filters=32)),
    "r2f-separable": ("r2f, separable blocks", dict(separable=True)),
    "r2f-no-augment": ("r2f, nothing augmented", dict(augment="none")),
    "r2f-no-colour": ("r2f, augmentation without colour", dict(augment="translation,cutout")),
    "r2f-no-cutout": ("r2f, augmentation without cutout", dict(augment="translation,colour")),
    "r2f-no-average": ("r2f, nothing averaged", dict(averaging=0.0)),
    "r2f-no-noise": ("r2f, no noise in the cycle", dict(cycle_noise=0.0)),
    "r2f-no-colour-noise": ("r2f, no noise of colour in the cycle", dict(cycle_colour_noise=0.0)),
    "r2f-colour-noise": ("r2f, noise of colour of 16 in the cycle", dict(cycle_colour_noise=16.0)),
    "r2f-both": ("r2f, spectral norm besides instance norm", dict(discriminator_norm="both")),
    "r2f-spectral": ("r2f, spectral norm instead of instance norm", dict(discriminator_norm="spectral")),
    "r2f-penalty": ("r2f, gradient penalty", dict(gradient_penalty=1.0)),
    "r2f-bold": ("r2f, augmentation without cutout, noise of colour of 16 in the cycle",
                 dict(augment="translation,colour", cycle_colour_noise=16.0)),
    "r2f-142": ("r2f, patches of 142 pixels", dict(discriminator_strides=4)),
    "seed-2500": ("the seed preset, its own 2,500 steps", dict(preset="seed", steps=2_500)),
    "seed": ("the seed preset, as many steps as all", dict(preset="seed")),
}
COLUMNS = {  # of the table: where a figure is in what r2f.evaluate prints, digits, and whether it has an error to show
    "gap closed": (("bloom", "kid", "gap_closed"), 3, True),
    "of frost": (("frost", "kid", "gap_closed"), 3, True),
    "way back SSIM": (("way_back_of_rime", "ssim"), 3, False),
    "CIEDE2000": (("way_back_of_rime", "ciede2000"), 2, False),
    "colours off": (("bloom", "colours", "after"), 2, False),
    "colour noise": (("faults", "colour_noise", "bloom"), 2, False),
    "checkerboard": (("faults", "checkerboard", "bloom"), 2, False),
    "halo": (("faults", "halo", "bloom"), 2, False),
    "light": (("faults", "light", "bloom"), 2, False),
    "droplets": (("faults", "droplets", "bloom"), 2, False),
}


@dataclass(frozen=True)
class Ablation:
    """What all variants have in common, and where everything goes."""

    out: Path
    training: dict  # settings of every training: folders, seed, steps, size
    judging: list[str]  # arguments of r2f.evaluate

    def run(self, name: str) -> Run:
        return Run(self.out / name)

    def figures(self, name: str) -> Path:
        return self.out / f"{name}.json"

    def log(self, name: str) -> Path:
        return self.out / f"{name}.log"

    def settings(self, name: str) -> Config:
        given = {"preset": "r2f", **SAME, **self.training, **VARIANTS[name][1], "run": str(self.run(name).path)}
        if given["preset"] == "seed":  # the 2023 project saw whole squares, at the size it learned at
            given["load_size"] = given["image_size"]
        return config.preset(given.pop("preset"), **given)


class Workers:
    """The processes of the trainings and judgements that are under way, and the request to end them."""

    def __init__(self):
        self.ending, self.processes, self.lock = threading.Event(), {}, threading.Lock()

    def end(self) -> None:
        """Ask everything to end: a training saves first. A second request would stop it from doing so, so there is none."""
        with self.lock:
            if not self.ending.is_set():
                self.ending.set()
                for process in self.processes.values():
                    process.terminate()

    def call(self, name: str, arguments: list[str], log: Path, out: Path | None = None) -> int:
        """Run a module of this project to its end; its exit code. What it says goes to `log`, its output to `out` if named."""
        # Several trainings share a card, so none may take all of its memory. A group of its own: Ctrl-C is for us to pass on.
        shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        with open(log, "ab") as said, open(out or os.devnull, "wb") as printed:
            with self.lock:
                if self.ending.is_set():
                    return ENDED[0]
                process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=said,
                                           stdout=printed if out else said, env=shared | os.environ, process_group=0)
                self.processes[name] = process
            code = process.wait()
        with self.lock:
            del self.processes[name]
        return code


def train_and_judge(ablation: Ablation, name: str, workers: Workers) -> str:
    """One variant from where it stands to its figures; what came of it, in a few words."""
    run, figures = ablation.run(name), ablation.figures(name)
    if figures.exists():
        return "judged before"
    if workers.ending.is_set():
        return "not begun"
    settings = ablation.settings(name)
    if not trained(run, settings.steps):
        where = ["--resume"] if run.config.exists() else options_of(settings)
        if code := workers.call(name, ["r2f.train", *where, f"--run={run.path}"], ablation.log(name)):
            if code in ENDED and workers.ending.is_set():
                return f"ended at step {step_of(run):,}"
            return failure(ablation, name, code)
    write_json(run.path / "speed.json", {"pairs_per_second": pairs_per_second(run)})
    unfinished = figures.with_suffix(".part")
    if code := workers.call(name, ["r2f.evaluate", str(run.pair), *ablation.judging], ablation.log(name), unfinished):
        return "trained, not judged" if workers.ending.is_set() else failure(ablation, name, code)
    os.replace(unfinished, figures)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    return "judged"


def failure(ablation: Ablation, name: str, code: int) -> str:
    """The last line of the log says why; the variant is tried again by the next command."""
    lines = ablation.log(name).read_text(errors="replace").strip().splitlines()
    return f"failed with exit code {code}: {lines[-1] if lines else 'it said nothing'}"


def trained(run: Run, steps: int) -> bool:
    said = run.read_status()
    return said.get("state") == "finished" and said.get("step", 0) >= steps and (run.pair / "pair.json").exists()


def step_of(run: Run) -> int:
    return run.read_status().get("step") or 0


def pairs_per_second(run: Run) -> float | None:
    """The median of the lines of metrics, without the first, which holds the tracing."""
    rates = [line["pairs_per_second"] for line in run.read_metrics()]
    return statistics.median(rates[1:] or rates) if rates else None


def options_of(settings: Config) -> list[str]:
    """The command line that gives these settings."""
    plain, options = config.preset(settings.preset), [f"--preset={settings.preset}"]
    for name, value in vars(settings).items():
        if name in ("preset", "run") or value == getattr(plain, name):
            continue
        option = name.replace("_", "-")
        options.append(f"--{option}={value}" if not isinstance(value, bool) else f"--{'' if value else 'no-'}{option}")
    return options


def figure(found: dict, place: tuple[str, ...], digits: int, with_error: bool) -> str:
    for key in place:
        if key not in found:  # judged before there was this figure
            return ""
        found = found[key]
    return f"{found['value']:.{digits}f}" + (f" ± {found['error']:.{digits}f}" if with_error else "")


def table(ablation: Ablation, names: list[str]) -> str:
    rows = [["variant", "steps", *COLUMNS, "pairs a second"]]
    for name in names:
        run, steps, what = ablation.run(name), ablation.settings(name).steps, VARIANTS[name][0]
        if ablation.figures(name).exists():
            found = json.loads(ablation.figures(name).read_text())["pairs"][0]
            rate = read_json(run.path / "speed.json").get("pairs_per_second") or float("nan")
            rows.append([what, f"{steps:,}", *(figure(found, *column) for column in COLUMNS.values()), f"{rate:.2f}"])
        else:
            rows.append([what, f"{step_of(run):,} of {steps:,}", *[""] * len(COLUMNS), ""])
    if judged := [name for name in names if ablation.figures(name).exists()]:
        faults = json.loads(ablation.figures(judged[0]).read_text())["pairs"][0]["faults"]
        real = [figure(faults[place[1]], ("flowers",), digits, False) if "flowers" in faults.get(place[1], ()) else ""
                for place, digits, _ in COLUMNS.values()]
        rows.append(["real paintings", "", *real, ""])
    rows.insert(1, ["---", *["---:"] * (len(rows[0]) - 1)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def sheet(ablation: Ablation, names: list[str], photos: list[Path], side: int) -> np.ndarray:
    """A row for every judged variant, its paintings of the same photos side by side; the photos themselves first."""
    from r2f.bloom import Bloomer
    squares = [np.asarray(Image.fromarray(read_picture(path, max_side=2 * side)).resize((side, side))) for path in photos]
    rows = [("the photos", squares)]
    for name in names:
        if ablation.figures(name).exists():
            bloomer = Bloomer.load(ablation.run(name).pair, "float32")
            rows.append((VARIANTS[name][0], [np.asarray(bloomer.bloom(square)) for square in squares]))
    line = 20  # pixels of the words above a row
    page = Image.new("RGB", (side * len(squares), (side + line) * len(rows)), "white")
    for place, (words, pictures) in enumerate(rows):
        ImageDraw.Draw(page).text((4, place * (side + line) + 4), words, fill="black")
        for column, pixels in enumerate(pictures):
            page.paste(Image.fromarray(pixels), (column * side, place * (side + line) + line))
    return np.asarray(page)


def ablation_of(options: argparse.Namespace) -> Ablation:
    """Raises ConfigError where the folder holds an ablation of other settings."""
    out, known = options.out.resolve(), options.out / "ablation.json"
    given = {name: str(path.resolve()) for name in ("rime", "flowers", "rime_test", "flowers_test")
             if (path := getattr(options, name))}
    if options.table or (known.exists() and not given and not options.drawn):
        if not known.exists():
            raise ConfigError(f"{options.out} holds no ablation; begin one without --table.")
        stored = read_json(known)
        check_given(options, drawn_pictures(out) if options.drawn else given, stored)
        return Ablation(out, **stored)
    options = argparse.Namespace(**{**vars(options), **{name: value for name, value in DEFAULTS.items()
                                                        if getattr(options, name) is None}})
    if options.drawn:
        drawn.write_dataset(out / "drawn", *DRAWN, SIDE)
        given = drawn_pictures(out)
    if len(given) < 4:
        raise ConfigError("Name the pictures: --rime, --flowers, --rime-test and --flowers-test, or --drawn.")
    found = asked(options, given)
    found["training"] = {"image_size": SIDE, "load_size": SIDE * 5 // 4, **found["training"]}
    if known.exists() and read_json(known) != found:
        raise ConfigError(f"{options.out} holds an ablation of other settings ({known}); give those, or choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(known, found)
    return Ablation(out, **found)


def drawn_pictures(out: Path) -> dict[str, str]:
    return {name: str(out / "drawn" / part) for name, part in (("rime", "trainB"), ("flowers", "trainA"),
                                                               ("rime_test", "testB"), ("flowers_test", "testA"))}


def asked(options: argparse.Namespace, pictures: dict[str, str]) -> dict:
    """What the options and the folders of pictures decide of an ablation, as ablation.json has it; without what is None."""
    training = {name: value for name in ("steps", "seed", "prefixes") if (value := getattr(options, name)) is not None}
    training |= {name: pictures[name] for name in ("rime", "flowers") if name in pictures}
    judging = [f"--{name}={pictures[f'{name}_test']}" for name in ("rime", "flowers") if f"{name}_test" in pictures]
    judging += [f"--{name}={value}" for name in ("prefixes", "features", "side", "most")
                if (value := getattr(options, name)) not in (None, "")]
    return {"training": training | dict(map(setting, options.settings or ())), "judging": judging}


def check_given(options: argparse.Namespace, pictures: dict[str, str], stored: dict) -> None:
    """Raises ConfigError where an option that was given says another thing than the ablation that is there."""
    def by_option(found: dict) -> dict[str, str]:
        judging = dict(each.split("=", 1) for each in found["judging"])
        training = {f"--{name}" if hasattr(options, name) else f"--settings {name}": str(value)
                    for name, value in found["training"].items()}
        return training | {f"{name}-test" if name in ("--rime", "--flowers") else name: value for name, value in judging.items()}

    there = by_option(stored)
    for option, value in by_option(asked(options, pictures)).items():
        if there.get(option, "") != value:
            raise ConfigError(f"{option} is {value}, and the ablation in {options.out} has {there.get(option) or 'nothing'}; "
                              "leave the option away, or choose another --out.")


def setting(text: str) -> tuple[str, int | float | str]:
    """`filters=24` as a field of Config and its value. Raises ConfigError."""
    name, _, value = text.partition("=")
    if name not in Config.__dataclass_fields__ or isinstance(getattr(Config, name), bool):
        raise ConfigError(f"--settings {text}: name a number or a word of the configuration, such as filters=24.")
    return name, type(getattr(Config, name))(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablate", description=__doc__.partition("\n")[0])
    for name, what in (("rime", "rime photos to learn from"), ("flowers", "flower paintings to learn from"),
                       ("rime-test", "rime photos to judge on"), ("flowers-test", "flower paintings to judge on")):
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=what)
    parser.add_argument("--drawn", action="store_true", help="pictures drawn by code instead: to see that it runs")
    parser.add_argument("--prefixes", metavar="A,B", help="only paintings whose names begin so, of both")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="everything goes there")
    parser.add_argument("--steps", type=int, help=f"of every training (default {DEFAULTS['steps']})")
    parser.add_argument("--seed", type=int, help="of every training (default 0)")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME",
                        help=f"in this order (default all): {', '.join(VARIANTS)}")
    parser.add_argument("--settings", nargs="+", metavar="NAME=VALUE", help="of every training, such as filters=24")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time; their pairs a second say less then")
    parser.add_argument("--minutes", type=float, metavar="N", help="end politely after that long; the same command goes on")
    parser.add_argument("--features", help=f"what KID compares, as for r2f.evaluate (default {DEFAULTS['features']})")
    parser.add_argument("--side", type=int, help=f"pixels of the pictures that are judged (default {DEFAULTS['side']})")
    parser.add_argument("--most", type=int, metavar="N", help="judge on that many pictures of each domain")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also write what each pair makes of --photos")
    parser.add_argument("--photos", type=Path, default=ROOT / "examples", metavar="DIR", help="for the sheet (default examples)")
    options = parser.parse_args(arguments)
    workers, said, failed = Workers(), time.monotonic(), []
    try:
        ablation = ablation_of(options)
        for name in options.variants:
            ablation.settings(name)  # a setting that can't be used is said at once
    except (ConfigError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if not options.table:
        before = {number: signal.signal(number, lambda *_: workers.end()) for number in (signal.SIGINT, signal.SIGTERM)}
        clock = threading.Timer(60 * (options.minutes or 0), workers.end)
        clock.daemon = True
        if options.minutes:
            clock.start()
        print(shlex.join(["python", "-m", "benchmarks.ablate", *(sys.argv[1:] if arguments is None else arguments)]), flush=True)

        def one(name: str) -> None:
            came_of_it = train_and_judge(ablation, name, workers)
            failed.extend([name] if came_of_it.startswith("failed") else [])
            print(f"{(time.monotonic() - said) / 60:6.1f} min  {name}: {came_of_it}", flush=True)

        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(one, options.variants))
        clock.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
    print(table(ablation, options.variants))
    if options.sheet:
        write_picture(sheet(ablation, options.variants, list_pictures(options.photos)[:6], options.side or DEFAULTS["side"]),
                      options.sheet)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
