"""Watching trainings: what there is to see of the runs right now, and the two routes by which the browser asks for it.

Everything is read from the run directories at every look and nothing is remembered, so closed tabs, second tabs and restarts of
the page lose nothing. One look as a Gradio event would cost ten times as much, and visitors who watch the same run share an
answer. The browser's part is train_watch.js; the words are `train_said`'s, acting on a run is `train_acts`'s.
"""

import hashlib
import html
import json
import shlex
import time
from functools import lru_cache
from pathlib import Path

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from r2f import runner
from r2f.run import Run
from r2f.runner import NoRun, Status
from r2f.ui.train_said import QUALITY, bar_of, facts_of, head_of, is_number, list_of, said_of
from r2f.ui.words import both, two

LOOK, SAMPLE = "/train/look", "/train/sample"  # routes
SHARED_SECONDS = 0.5  # visitors who ask for the same within this time get the same answer
POINTS = 400  # of a loss in the plot
LOG_LINES = 60
MOST_LISTED = 100  # runs, the newest
DEAF_SECONDS = 30.0  # after which a training that was asked to stop may be ended otherwise
NOT_LOSSES = ("step", "learning_rate", "pairs_per_second", "seconds")
LOSSES = {"loss": ("sum", "总和"), "adversarial_flower": ("adversarial, flower", "对抗·花"),
          "adversarial_rime": ("adversarial, rime", "对抗·雾凇"), "cycle_rime": ("cycle, rime", "循环·雾凇"),
          "cycle_flower": ("cycle, flower", "循环·花"), "light_flower": ("light, flower", "明暗·花"),
          "light_rime": ("light, rime", "明暗·雾凇"), "identity_flower": ("identity, flower", "恒等·花"),
          "identity_rime": ("identity, rime", "恒等·雾凇"), "discriminator_flower": ("critic, flower", "评论·花"),
          "discriminator_rime": ("critic, rime", "评论·雾凇"), "teacher_flower": ("teacher, flower", "老师·花"),
          "teacher_rime": ("teacher, rime", "老师·雾凇")}

HEAD = f"<script>\n{Path(__file__).with_suffix('.js').read_text(encoding='utf-8')}</script>\n"
CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
HALVES = {"left": ("Rime, flower, rime again", "雾凇、花、重归雾凇"),
          "right": ("Flower, rime, flower again", "花、雾凇、重归花卉")}
TOP = """<nav id="watch-list" data-slot="list"></nav>
<div data-slot="head"></div><p id="watch-state" role="status" data-slot="said"></p>
<div data-slot="bar"></div><dl id="watch-facts" data-slot="facts"></dl>"""
SHEETS = "".join(f'<figure class="mat"><div class="half {side}"><img alt=""></div><figcaption>{two(*words)}</figcaption></figure>'
                 for side, words in HALVES.items())
MORE = f"""<section id="watch-sheet" hidden><div class="halves">{SHEETS}</div>
<p class="scrub"><button type="button" id="watch-play" aria-pressed="false"></button>
<input type="range" id="watch-step" min="0" max="0" value="0"><output for="watch-step" id="watch-step-said"></output></p>
</section>
<section id="watch-losses" class="mat plot" hidden><div class="drawn"></div><div class="series" role="group"></div>
<p class="knobs"><label>{two("Smoothing", "平滑")}
<input type="range" id="watch-smoothing" min="0" max="0.98" step="0.02" value="0.6"></label>
<label><input type="checkbox" id="watch-logarithmic"> {two("Logarithmic", "对数坐标")}</label></p></section>
<section id="watch-quality" class="mat plot" hidden><p class="hint">{both("tw_quality")}</p>
<div class="drawn"></div><div class="series" role="group"></div></section>
<details id="watch-log" hidden><summary>{two("What it says: train.log", "它的日志：train.log")}</summary>
<p data-slot="board"></p><pre tabindex="0" data-slot="log"></pre></details>"""


def watch_top() -> None:
    """Put the list of runs and the chosen run's state into the Blocks around; train_watch.js fills them."""
    gr.HTML(TOP, elem_id="watch")


def watch_more() -> None:
    """Put sample sheets, plots and log into the Blocks around."""
    gr.HTML(MORE, elem_id="watch-more")


def routes(root: Path) -> list[Route]:
    """What the browser asks: GET LOOK for everything that changes, GET SAMPLE for a sample sheet. Nothing else is served."""
    root = Path(root)

    def look(request: Request) -> Response:
        asked = request.query_params
        body, mark = answer(root, asked.get("run", ""), asked.get("have", ""), int(time.monotonic() / SHARED_SECONDS))
        if asked.get("seen") == mark:
            return Response(status_code=204)
        return Response(body, media_type="application/json", headers={"cache-control": "no-store", "x-mark": mark})

    def sample(request: Request) -> Response:
        try:
            run, step = runner.named(root, request.query_params.get("run", "")), int(request.query_params.get("step", ""))
        except (NoRun, ValueError):
            return Response(status_code=404)
        path = run.sample(step)
        if not runner.is_run(run.path) or run.samples.is_symlink() or path.is_symlink() or not path.is_file():
            return Response(status_code=404)
        # Its address names the run's beginning, too: what was seen once need not be asked for again.
        return FileResponse(path, media_type="image/png", headers={"cache-control": "private, max-age=86400, immutable"})

    return [Route(LOOK, look), Route(SAMPLE, sample)]


@lru_cache(maxsize=16)
def answer(root: Path, name: str, have: str, tick: int) -> tuple[bytes, str]:
    """`refresh` as JSON, with a mark by which answers are told apart; `tick` is the time, so that none is given for long."""
    body = json.dumps(refresh(root, name, have), ensure_ascii=False, allow_nan=False).encode()
    return body, hashlib.blake2b(body, digest_size=8).hexdigest()


def refresh(root: Path, name: str, have: str = "") -> dict:
    """What the page shows of the runs under `root`, JSON-able: HTML for its slots, figures to plot, steps of samples.

    `name` is the chosen run, "" the newest. `have` is `marks` of an earlier answer: plots and samples that are still the same are
    left out. Never raises for what the folder holds or lacks.
    """
    found = runner.runs(root)[:MOST_LISTED]
    status = next((each for each in found if each.run.path.name == name or not name), None)
    shown = {"run": status.run.path.name if status else None, "list": list_of(found, status),
             "lively": any(each.running for each in found), "marks": "", "can": ""}
    if not status:
        return {**shown, "said": both("tw_gone" if name else "tw_none"), "samples": [], "plots": {}}
    run, marks = status.run, marks_of(status.run)
    metrics, quality = metrics_of(run, marks[1]), quality_of(run, marks[2])
    shown |= {"began": marks[0], "marks": ".".join(marks), "can": " ".join(actions(status, marks[3])),
              "head": head_of(status), "said": said_of(status), "bar": bar_of(status),
              "facts": facts_of(status, metrics["last"], quality["last"]),
              "log": html.escape("\n".join(run.log_tail(LOG_LINES)), quote=False), "board": board_of(run)}
    had = (*have.split("."), "", "", "", "")[:4]
    if had[:3] != marks[:3]:
        shown["plots"] = {"losses": metrics["plot"], "quality": quality["plot"]}
    if (had[0], had[3]) != (marks[0], marks[3]):
        shown["samples"] = list(sheets_of(run, marks[3]))
    return shown


def marks_of(run: Run) -> tuple[str, str, str, str]:
    """What changes when the run is another one of the same name, and when its metrics, its quality and its samples change."""
    def mark(path: Path, of_file: bool = True) -> str:
        try:
            found = path.stat()
        except OSError:
            return "0"
        return f"{found.st_mtime_ns:x}-{found.st_size if of_file else found.st_ino:x}"

    return mark(run.lock, False), mark(run.metrics_file), mark(run.quality_file), mark(run.samples)


@lru_cache(maxsize=8)
def sheets_of(run: Run, mark: str) -> tuple[int, ...]:
    """The steps that have a sample sheet."""
    return tuple(step for step, _ in runner.samples(run))


@lru_cache(maxsize=8)
def metrics_of(run: Run, mark: str) -> dict:
    """`plot`: the losses of about POINTS steps, evenly spread; `last`: the last line of metrics."""
    lines = run.read_metrics(points=POINTS)
    measured = {name for line in run.read_quality()[-1:] for name in line}
    names = {name for line in lines for name, value in line.items() if is_number(value)} - {*NOT_LOSSES}
    names = {name for name in names if name in LOSSES or not (name in measured or name.endswith(("_megabytes", "_seconds")))}
    order = [*LOSSES, *sorted(names - {*LOSSES})]
    lines = [line for line in lines if any(name in line for name in names)]
    return {"plot": columns(lines, [name for name in order if name in names], LOSSES), "last": (lines or [{}])[-1]}


@lru_cache(maxsize=8)
def quality_of(run: Run, mark: str) -> dict:
    """`plot`: what was measured of the pair at some steps; `last`: the newest figures."""
    lines = run.read_quality()
    return {"plot": columns(lines, [name for name in QUALITY if any(name in line for line in lines)], QUALITY),
            "last": (lines or [{}])[-1]}


def columns(lines: list[dict], names: list[str], words: dict) -> dict:
    """`{"step": [...], "lines": {name: [value or None, ...]}, "words": {name: [English, Chinese]}}`."""
    def value(line, name):
        return float(f"{line[name]:.4g}") if is_number(line.get(name)) else None

    return {"step": [line["step"] for line in lines], "lines": {name: [value(line, name) for line in lines] for name in names},
            "words": {name: words.get(name, (name.replace("_", " "),) * 2) for name in names}}


def actions(status: Status, sheets_mark: str) -> list[str]:
    """What may be done with the run now; the style sheet shows the buttons of these names. Every action checks again."""
    run = status.run
    may = {"stop": status.running and status.state != "stopping", "stop-now": status.state == "stopping" and asked_long_ago(run),
           "sample": status.state == "training", "save": status.state == "training", "resume": status.resumable,
           "bloom": (run.pair / "pair.json").is_file(), "zip": (run.pair / "pair.json").is_file(),
           "film": len(sheets_of(run, sheets_mark)) > 1, "clone": True, "delete": not status.running}
    return [name for name, possible in may.items() if possible]


def asked_long_ago(run: Run) -> bool:
    try:
        return time.time() - run.stop.stat().st_mtime > DEAF_SECONDS
    except OSError:
        return False


def board_of(run: Run) -> str:
    """The TensorBoard command, where the run wrote event files."""
    if any(run.events.glob("events.out.tfevents.*")):
        return f"{both('tw_board')} <code>tensorboard --logdir {html.escape(shlex.quote(str(run.events)))}</code>"
    return ""
