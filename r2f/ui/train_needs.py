"""What a new training will need, as HTML in both languages: device, time, memory, disk; what won't do, what may disappoint.

Figures are `preflight`'s and `device`'s; nothing here takes long. Knows nothing about components or pictures.
"""

import html
import re
from functools import lru_cache
from pathlib import Path

from r2f import device, preflight, runner, speed
from r2f.config import Config
from r2f.ui.words import both, two


def label(settings: Config, root: Path) -> str:
    """A small table, like the label beside a picture."""
    needs = preflight.estimate(settings, counts(settings))
    rows = [("ts_device", device_words(root)), ("ts_time", time_words(settings, root)),
            ("ts_memory", size(needs.memory_bytes)), ("ts_disk", size(needs.disk_bytes))]
    terms = "".join(f"<div><dt>{both(key)}</dt><dd>{words}</dd></div>" for key, words in rows)
    found = device.known(root)
    advice = f"<p>{html.escape(found.advice, quote=False)}</p>" if found and found.advice else ""
    return f'<dl class="needs">{terms}</dl>{advice}'


def problems(settings: Config, root: Path, name: str) -> list[str]:
    """What will not do, a sentence in HTML each. Memory that another training takes will be free when this one's turn comes."""
    found = device.known(root)
    said = preflight.problems(settings, root / name, bool(found and found.kind == "gpu"), counts(settings))
    if said and any(each.running for each in runner.runs(root)):
        said = preflight.problems(settings, root / name, True, counts(settings))
    return [translated(each) for each in said]


def warnings(settings: Config) -> list[str]:
    """What may disappoint, a sentence in HTML each."""
    return [translated(each) for each in preflight.warnings(settings, counts(settings))]


def counts(settings: Config) -> tuple[int, int]:
    """How many rime photos and flower paintings; folders are counted again when something was put there or taken away."""
    where = {name: getattr(settings, name) for name in ("drawn", "data", "rime", "flowers", "prefixes", "colourful")}
    folders = [Path(settings.data) / name for name in ("trainA", "trainB")] if settings.data else \
        [Path(name) for name in (settings.rime, settings.flowers) if name]
    return _counts(Config(**where), tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders))


@lru_cache(maxsize=64)
def _counts(where: Config, _changed: tuple[int, ...]) -> tuple[int, int]:
    return preflight.count_pictures(where)


def translated(sentence: str) -> str:
    """A sentence of preflight's for a page: its figures in both languages, without the options of the command line."""
    if match := re.match(r".* will need about (?P<needs>[\d,]+ MB) of disk.* and (?P<free>[\d,]+ MB) are free", sentence):
        return both("ts_problem_disk", **match.groupdict())
    if match := re.match(r".* will need about (?P<needs>[\d,]+ MB) of memory.* and (?P<free>[\d,]+ MB) are available", sentence):
        return both("ts_problem_memory", **match.groupdict())
    if match := re.match(r"There are only (\d+) (rime photos|flower paintings) to learn from", sentence):
        what = "雾凇照片" if match[2] == "rime photos" else "花卉画"
        return two(html.escape(re.sub(r", or --add-drawn \d+", "", sentence), quote=False),
                   f"只有 {match[1]} 张{what}：少于 {preflight.FEW_PICTURES} 张时，学到的容易只是重复它们。请再添一些。")
    return html.escape(re.sub(r"--([a-z-]+)", lambda match: match[1].replace("-", " "), sentence), quote=False)


def device_words(root: Path) -> str:
    found = device.known(root)
    if not found:
        return both("ts_device_unknown")
    if found.kind == "gpu":
        return both("ts_gpu", name=found.name, memory=size(found.memory_bytes)) if found.memory_bytes else html.escape(found.name)
    cores = device.cores_said(found.cores), f"{found.cores} 核"
    return both("ts_no_gpu", name=found.name, cores=cores)


def time_words(settings: Config, root: Path) -> str:
    hours = speed.hours(settings, root)
    return both("ts_time_unknown") if hours is None else spelled(hours)


def spelled(hours: float) -> str:
    """About so many minutes, hours or days."""
    if hours < 1 / 40:
        return both("ts_time_minute")
    if hours < 100 / 60:
        return both("ts_time_minutes", count=f"{60 * hours:,.0f}")
    return both("ts_time_hours", count=f"{hours:,.0f}") if hours < 60 else both("ts_time_days", count=f"{hours / 24:,.0f}")


def size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
