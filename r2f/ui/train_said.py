"""A run in words and figures: HTML in both languages from its `Status`. Knows nothing about routes, plots or what may be done."""

import html
import math
import shutil
from datetime import datetime
from urllib.parse import quote

from r2f import runner
from r2f.run import REQUESTS
from r2f.runner import Status
from r2f.ui.words import SENTENCES, both, two

SILENT_SECONDS = 15.0  # without a heartbeat, which comes every second
LONG_STEP_SECONDS = 120.0

STATES = {"queued": ("queued", "排队"), "starting": ("starting", "开始中"), "training": ("training", "训练中"),
          "stopping": ("stopping", "正在停下"), "stopped": ("stopped", "已停"), "finished": ("finished", "完成"),
          "failed": ("failed", "失败"), "interrupted": ("interrupted", "中断")}
EXIT_CODES = {1: ("an error nobody foresaw; the log has it", "意外错误；见日志"),
              2: ("something it was given can't be used", "给它的东西不可用"),
              3: ("a number was not finite", "出现非有限数"),
              4: ("memory ran out", "内存不足"), 5: ("the disk was full", "磁盘已满"),
              75: ("another process had the run", "另一进程占用"), 130: ("ended by SIGINT", "由 SIGINT 结束"),
              143: ("ended by SIGTERM", "由 SIGTERM 结束")}
REASONS = {"stopped on request": "应要求停下", "stopped by SIGTERM": "由 SIGTERM 停下", "stopped by SIGINT": "由 SIGINT 停下",
           "stopped before it began": "开始之前就停下", "its process is gone": "进程不在了",
           "killed by SIGKILL; the system does that when memory runs out": "被 SIGKILL 结束；内存不足时系统会这样做"}
DOING = {"measuring quality": ("It measures what it can do", "正在测量本领")}
QUALITY = {"score": ("Score", "评分"), "gap_closed_bloom": ("Gap closed, bloom", "差距弥合·绽放"),
           "gap_closed_frost": ("Gap closed, frost", "差距弥合·凝霜"), "way_back": ("Way back", "归途"),
           "colour_noise": ("Colour noise", "彩色杂点")}


def list_of(found: list[Status], chosen: Status | None) -> str:
    """The runs as links, newest first."""
    rows = []
    for each in found:
        name = html.escape(each.run.path.name)
        current = ' aria-current="true"' if each is chosen else ""
        rows.append(f'<li><a href="?run={quote(each.run.path.name)}" data-run="{name}"{current} class="{each.state}">'
                    f'<b>{name}</b><small>{two(*STATES[each.state])}</small>'
                    f'<i style="width:{100 * part_done(each):.0f}%"></i></a></li>')
    return f"<ul>{''.join(rows)}</ul>" if rows else ""


def part_done(status: Status) -> float:
    return min(1.0, status.step / status.total_steps) if status.total_steps else 0.0


def head_of(status: Status) -> str:
    state = f'<span class="state {status.state}">{two(*STATES[status.state])}</span>'
    return f"<h2>{html.escape(status.run.path.name)} {state}</h2>"


def said_of(status: Status) -> str:
    """What the run is doing, or how it ended, in a sentence or two, without figures that change at every look."""
    last = status.last_checkpoint
    saved = SENTENCES["tw_unsaved"] if last is None else tuple(words.format(step=f"{last:,}") for words in SENTENCES["tw_last"])
    state, ahead = status.state, ", ".join(runner.ahead(status.run)) if status.state == "queued" else ""
    words = [both("tw_queued_behind", ahead=ahead) if ahead else both(f"tw_{state}", step=f"{status.step:,}", saved=saved)]
    if state == "training":
        if status.doing:
            words.append(two(*(f"{html.escape(each, quote=False)}…" for each in DOING.get(status.doing, (status.doing,) * 2))))
        words += [both(f"tw_asked_{what}") for what in REQUESTS if status.run.asked(what)]
    if not status.running and state != "finished":
        words.append(reason_of(status))
    return " ".join(filter(None, [*words, *troubles(status)]))


def reason_of(status: Status) -> str:
    """Why it ended: the trainer's own sentence, and its exit code in words."""
    reason = status.reason or ""
    english = (reason[:1].upper() + reason[1:]).rstrip(".") + "." if reason else ""
    chinese = f"{REASONS[reason]}。" if reason in REASONS else english
    code = status.exit_code
    if code and code > 0:
        meaning = EXIT_CODES.get(code)
        english += f" Exit code {code}" + (f": {meaning[0]}." if meaning else ".")
        chinese += f" 退出码 {code}" + (f"：{meaning[1]}。" if meaning else "。")
    return two(*(html.escape(words.strip(), quote=False) for words in (english, chinese))) if english else ""


def troubles(status: Status) -> list[str]:
    """What whoever watches should know although it goes on."""
    found = []
    age, step = status.heartbeat_age_seconds, status.step_seconds
    if status.state in ("training", "stopping", "starting") and age is not None and age > SILENT_SECONDS:
        found.append(both("tw_silent", age=spell(age)))
    elif step is not None and step > LONG_STEP_SECONDS:
        found.append(both("tw_long_step", age=spell(step)))
    if status.trouble:
        found.append(html.escape(status.trouble, quote=False))
    note = html.escape(status.note or "", quote=False)
    if "no held-out pictures were named" in note:  # the trainer's own sentence names options of the command line
        note = both("tw_unmeasured")
    return [*(f'<span class="trouble">{each}</span>' for each in found), *([f"<small>{note}</small>"] if note else [])]


def bar_of(status: Status) -> str:
    total = status.total_steps
    return (f'<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="{total}" aria-valuenow="{status.step}" '
            f'aria-label="{status.step} / {total}"><i style="width:{100 * part_done(status):.2f}%"></i></div>') if total else ""


def facts_of(status: Status, last: dict, quality: dict) -> str:
    """Figures about the run, as the rows of a `dl`: from its status, its last metrics, and what was last measured of its pair."""
    step, total = f"{status.step:,}", f"{status.total_steps:,}" if status.total_steps else None
    rows = [("Step", "步", two(f"{step} of {total}", f"{step} / {total}") if total else step)]
    if status.pairs_per_second:
        rows.append(("Pairs a second", "每秒对数", f"{status.pairs_per_second:.3g}"))
    if status.eta_seconds is not None:
        rows.append(("To go", "还要", two(*spell(status.eta_seconds))))
    if status.last_checkpoint is not None:
        rows.append(("Saved at step", "已存到", f"{status.last_checkpoint:,}"))
    if status.device:
        rows.append(("Device", "设备", html.escape(status.device[:60])))
    memory = status.memory_bytes or (1e6 * last["memory_megabytes"] if is_number(last.get("memory_megabytes")) else None)
    if memory:
        rows.append(("Memory", "内存", size_of(memory)))
    if status.gpu_memory_bytes:
        total = status.gpu_memory_total_bytes
        rows.append(("GPU memory", "显存", size_of(status.gpu_memory_bytes) + (f" / {size_of(total)}" if total else "")))
    if (disk := disk_free(status)) is not None:
        rows.append(("Disk left", "磁盘剩余", size_of(disk)))
    if status.started:
        rows.append(("Started", "开始于", datetime.fromtimestamp(status.started).strftime("%Y-%m-%d %H:%M")))
    for name, (label, chinese) in QUALITY.items():
        if is_number(quality.get(name)):
            error = quality.get(f"{name}_error")
            value = f"{quality[name]:.2f}" + (f" ± {error:.2f}" if is_number(error) else "")
            if name == "score" and status.best_step is not None:
                value += two(f", best at {status.best_step:,}", f"，最好在 {status.best_step:,}")
            rows.append((label, chinese, value))
    return "".join(f"<div><dt>{two(label, chinese)}</dt><dd>{value}</dd></div>" for label, chinese, value in rows)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def disk_free(status: Status) -> int | None:
    if status.disk_free_bytes is not None:
        return status.disk_free_bytes
    try:
        return shutil.disk_usage(status.run.path).free
    except OSError:
        return None


def size_of(count: float) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def spell(seconds: float) -> tuple[str, str]:
    """A length of time in English and Chinese."""
    if seconds < 100:
        return f"{seconds:.0f} s", f"{seconds:.0f} 秒"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min", f"{seconds / 60:.0f} 分钟"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h", f"{seconds / 3600:.1f} 小时"
    return f"{seconds / 86_400:.1f} days", f"{seconds / 86_400:.1f} 天"
