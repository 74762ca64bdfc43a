"""What does watching a training cost: the page for one look, and the training where ten visitors watch it?

    python -m benchmarks.train_page                     # a quarter of an hour, on a machine that does nothing else
    python -m benchmarks.train_page --quick             # only: does it still run?

A look is timed in processor time, over a made-up run of 200,000 steps with its metrics, figures of quality and sample sheets on
disk, among other runs. Three kinds: by a visitor who has no plot yet; after a new line of metrics, as most looks of a training
are; and where nothing changed. Nothing that the page keeps in memory between looks helps the first two.

For the second question `python app.py` serves a real training, and visitors ask what a browser asks (train_watch.js), each on a
connection of its own. Stretches with and without visitors alternate; the training's own clock says how long its steps took.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from r2f import config, drawn, runner
from r2f.images import write_picture
from r2f.run import Run, write_json
from r2f.speed import write_noise
from r2f.ui import train_watch
from r2f.ui.train_watch import LOOK, SAMPLE, refresh

ROOT = Path(__file__).parents[1]
LOSSES = ("loss", "adversarial_flower", "adversarial_rime", "cycle_rime", "cycle_flower", "identity_flower", "identity_rime",
          "discriminator_flower", "discriminator_rime")
LIVELY_SECONDS = 1.5  # between two looks of a browser, as in train_watch.js
LIMIT_MILLISECONDS, LIMIT_PERCENT = 50, 2
START_SECONDS = 900  # until the training's first steps, tracing included
REST_SECONDS = 120  # until the page rests, at most


def write_run(run: Run, steps: int, log_steps: int, sheets: int) -> None:
    """A run as it would look after so many steps, its metrics, quality and samples among it."""
    settings = config.preset("lite", steps=2 * steps, log_steps=log_steps)
    run.samples.mkdir(parents=True)
    write_json(run.config, asdict(settings))
    chance = random.Random(0)
    with open(run.metrics_file, "w") as file:
        for step in range(log_steps, steps + 1, log_steps):
            file.write(json.dumps(line(step, chance)) + "\n")
    with open(run.quality_file, "w") as file:
        for step in range(5000, steps + 1, 5000):
            file.write(json.dumps(dict(step=step, score=chance.random(), way_back=chance.random())) + "\n")
    run.log_file.write_text("".join(f"line {number} of a log that says what a trainer says\n" for number in range(2000)))
    first = run.sample(steps // sheets)
    write_picture(drawn.rime(0, (2 * 128, 6 * 128)), first)
    for number in range(2, sheets + 1):
        os.link(first, run.sample(number * (steps // sheets)))
    for step in (steps - 1000, steps):
        (run.checkpoints / f"step_{step:08d}").mkdir(parents=True)
    run.lock.touch()
    run.write_status(state="training", step=steps, total_steps=2 * steps, pid=os.getpid(), started=time.time(),
                     device="cpu (2 cores)", pairs_per_second=1.5, eta_seconds=9e4, step_began=time.time(),
                     memory_now_megabytes=1600, disk_free_megabytes=50_000, last_checkpoint=steps)


def line(step: int, chance: random.Random) -> dict:
    return dict(step=step, **{name: round(chance.random(), 16) for name in LOSSES}, learning_rate=2e-4, pairs_per_second=1.5,
                seconds=step * 0.7, memory_megabytes=1700, memory_now_megabytes=1600)


def forget() -> None:
    """Drop what the page keeps between looks."""
    for each in vars(train_watch).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()


def look_costs(root: Path, name: str, steps: int, looks: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of each look, by kind; turning the answer into JSON is part of it."""
    run, chance, marks = Run(root / name), random.Random(1), refresh(root, name)["marks"]

    def cost(have: str) -> float:
        began = time.process_time()
        json.dumps(refresh(root, name, have), ensure_ascii=False).encode()
        return 1000 * (time.process_time() - began)

    found = {"a visitor's first look": [], "after a new line of metrics": [], "where nothing changed": []}
    for number in range(1, looks + 1):
        forget()
        found["a visitor's first look"].append(cost(""))
        run.append_metrics(**line(steps + 50 * number, chance))
        found["after a new line of metrics"].append(cost(marks))
        marks = refresh(root, name, marks)["marks"]
        found["where nothing changed"].append(cost(marks))
    return found


def time_looks(folder: Path, options) -> None:
    for log_steps in (50, 1):
        if options.quick and log_steps == 1:
            continue
        root = folder / f"runs-{log_steps}"
        write_run(Run(root / "long"), options.run_steps, log_steps, sheets=options.sheets)
        for number in range(options.others):
            write_run(Run(root / f"other-{number}"), 1000, 50, sheets=2)
        size = Run(root / "long").metrics_file.stat().st_size / 1e6
        with Run(root / "long").locked():
            for kind, costs in look_costs(root, "long", options.run_steps, options.looks).items():
                verdict = "" if max(costs) <= LIMIT_MILLISECONDS else f" (over {LIMIT_MILLISECONDS} ms)"
                tell(f"processor time of a look, {options.run_steps:,} steps, {size:.0f} MB of metrics, {kind}",
                     f"{statistics.median(costs):.1f} ms, at most {max(costs):.1f} ms{verdict}")
        shutil.rmtree(root)


class Visitor:
    """Asks what a browser that watches a run asks, on a connection of its own, until it leaves."""

    def __init__(self, url: str, name: str):
        self.name, self.leaves, self.looks, self.bytes = name, threading.Event(), 0, 0
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        have = seen = ""
        newest = None
        while not self.leaves.wait(LIVELY_SECONDS):
            status, body, mark = self.get(LOOK, run=self.name, have=have, seen=seen)
            self.looks += 1
            if status == 204:
                continue
            answer = json.loads(body)
            have, seen = answer["marks"], mark
            if answer.get("samples") and answer["samples"][-1] != newest:
                newest = answer["samples"][-1]
                self.get(SAMPLE, run=self.name, step=newest, began=answer["began"])

    def get(self, path: str, **query) -> tuple[int, bytes, str]:
        self.connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
        answer = self.connection.getresponse()
        body = answer.read()
        self.bytes += len(body)
        if answer.status not in (200, 204):
            raise SystemExit(f"{path} answered {answer.status}: {body[:200]!r}")
        return answer.status, body, answer.headers.get("x-mark", "")

    def leave(self) -> None:
        self.leaves.set()
        self.thread.join()
        self.connection.close()


def processor_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def at_rest(pid: int) -> None:
    """Wait until the page has woken its painter and does nothing any more."""
    began = time.monotonic()
    while time.monotonic() - began < REST_SECONDS:
        before = processor_seconds(pid)
        time.sleep(5)
        if processor_seconds(pid) - before < 0.5:
            return


def newest(run: Run) -> tuple[int, float]:
    """The newest step, and when it was done, by the training's own clock."""
    said = run.read_status()
    return said.get("step", 0), said.get("step_began", 0.0)


def pairs_per_second(run: Run, seconds: float, batch_size: int) -> float:
    """In the steps that lie between now and so many seconds later."""
    (first, began), _, (last, ended) = newest(run), time.sleep(seconds), newest(run)
    if first == last:
        raise SystemExit("The training did not make a step in some stretch; give it more --seconds.")
    return (last - first) * batch_size / (ended - began)


def time_training(folder: Path, options) -> None:
    root = folder / "runs"
    root.mkdir()
    write_noise(folder, 224)
    size = dict(image_size=32, load_size=40, filters=4, blocks=1, discriminator_filters=4) if options.quick else \
        dict(image_size=options.image_size)
    settings = dict(preset="lite", steps=1_000_000, sample_steps=100, evaluate_steps=0, data=str(folder), **size)
    process, url = start_page(root, folder)
    run = Run(root / "watched")
    try:
        runner.start(run.path, settings)
        began = time.monotonic()
        while newest(run)[0] < options.warmup:
            now = runner.status(run)
            if not now.running or time.monotonic() - began > START_SECONDS:
                raise SystemExit(f"The training did not come to its step {options.warmup}: {now.sentence}")
            time.sleep(0.5)
        at_rest(process.pid)
        found, costs, own, looks = {False: [], True: []}, {False: [], True: []}, [], 0
        for number in range(options.rounds):
            for with_visitors in (False, True) if number % 2 else (True, False):
                with ExitStack() as leaving:
                    visitors = [Visitor(url, "watched") for _ in range(options.visitors)] if with_visitors else []
                    for each in visitors:
                        leaving.callback(each.leave)
                    before, ours = processor_seconds(process.pid), time.process_time()
                    found[with_visitors].append(pairs_per_second(run, options.seconds, config.preset("lite").batch_size))
                    costs[with_visitors].append((processor_seconds(process.pid) - before) / options.seconds)
                    own += [(time.process_time() - ours) / options.seconds] if with_visitors else []
                looks += sum(each.looks for each in visitors)
    finally:
        runner.stop(run, 120)
        process.terminate()
        process.wait(60)
    without, with_them = found[False], found[True]
    tell("pairs per second, nobody watching", spread(without))
    tell(f"pairs per second, {options.visitors} visitors watching ({looks:,} looks)", spread(with_them))
    slower = 100 * (1 - statistics.fmean(with_them) / statistics.fmean(without))
    errors = [statistics.variance(each) / len(each) for each in (without, with_them) if len(each) > 1]
    doubt = 100 * sum(errors) ** 0.5 / statistics.fmean(without)
    verdict = "" if slower <= LIMIT_PERCENT else f" (over {LIMIT_PERCENT} %)"
    tell("slower while they watch", f"{slower:.1f} %, give or take {doubt:.1f}{verdict}")
    for what, values in (("the page while they watch", costs[True]), ("the page while nobody does", costs[False]),
                         ("the visitors, which here are on the same machine", own)):
        tell(f"processor time of {what}", f"{100 * statistics.fmean(values):.1f} % of a core")


def start_page(root: Path, folder: Path) -> tuple[subprocess.Popen, str]:
    """`python app.py` over that folder of runs, and its address, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "app.py", f"--runs={root}", "--train", f"--port={port}"], cwd=ROOT,
                               env=os.environ | {"TMPDIR": str(folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).close()
            return process, f"http://127.0.0.1:{port}/"
        except OSError:
            time.sleep(0.05)
    raise SystemExit("python app.py ended before its first page; start it by hand to see why.")


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f}, {len(values)} stretches)"


def tell(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_page", description=__doc__.partition("\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--run-steps", type=int, default=200_000, help="steps of the made-up run")
    parser.add_argument("--sheets", type=int, default=200, help="its sample sheets")
    parser.add_argument("--others", type=int, default=20, help="other runs beside it")
    parser.add_argument("--looks", type=int, default=50, help="timed looks of each kind")
    parser.add_argument("--visitors", type=int, default=10, help="visitors who watch")
    parser.add_argument("--image-size", type=int, default=128, help="of the training that is watched, preset lite")
    parser.add_argument("--warmup", type=int, default=20, help="its steps before anything is timed")
    parser.add_argument("--seconds", type=float, default=60, help="of a stretch")
    parser.add_argument("--rounds", type=int, default=6, help="stretches with and without visitors, of each")
    parser.add_argument("--only", choices=("looks", "training"), help="answer one of the two questions")
    parser.add_argument("--quick", action="store_true", help="tiny settings, a few seconds: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.run_steps, options.sheets, options.others, options.looks = 10_000, 5, 2, 3
        options.warmup, options.seconds, options.rounds = 3, 4, 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being told to end also ends page and training
    print(f"Keras backend {os.environ.get('KERAS_BACKEND', 'tensorflow')}, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f} at the start.\n\n| what | figure |\n|---|---:|", flush=True)
    with tempfile.TemporaryDirectory(prefix="r2f-") as name:
        if options.only != "training":
            time_looks(Path(name), options)
        if options.only != "looks":
            time_training(Path(name), options)


if __name__ == "__main__":
    main()
