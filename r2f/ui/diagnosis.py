"""The doctor's report as HTML in both languages, readable on a telephone: what there is, what is wrong, what to expect.

The doctor's own sentences are English; CHINESE has the others. Knows nothing about components or folders.
"""
# ruff: noqa: E501 (sentences)

import html
import re

from r2f.doctor import Findings, Report, at_size, lists
from r2f.ui.train_form import complaint
from r2f.ui.visit import Visit
from r2f.ui.words import both, two

MOST_LINES = 40  # of each list that is folded away
NOUNS = {"rime photos": "张雾凇照片", "flower paintings": "幅花卉画", "pictures": "张图片"}
CHINESE = [  # a sentence of doctor's, and the same in Chinese; {0}, {1} are its groups
    (r"The rime is warmer in colour than the flowers: are the two folders mixed up\?", "雾凇的颜色比花还暖：两个文件夹是不是放反了？"),
    (r"([\d,]+) pictures? (?:is|are) among the rime and among the flowers as well; take each out of one of them\.",
     "{0} 张图片既在雾凇里又在花里；请各从一边取出。"),
    (r"([\d,]+) pictures? (?:is|are) both trained on and held out, so the samples will flatter; .*",
     "{0} 张图片既用来学习又留作检验，样张会显得比实际好。"),
    (r"([\d,]+) pictures? (?:is|are) there again, or nearly so: shown more often and nothing new to learn from\. .*",
     "{0} 张图片重复或几乎重复：只是多看几遍，学不到新东西。"),
    (r"([\d,]+) files? (?:is|are) unreadable; a training names such files and goes on without\.", "{0} 个文件读不出来；训练会记下它们并跳过。"),
    (r"([\d,]+) pictures? (?:is|are) in folders below (.*), where a training does not look\.", "{0} 张图片在 {1} 的下级文件夹里，训练不会去看。"),
    (r"([\d,]+) pictures? (?:is|are) empty in (.*); take them out\.", "{1} 里有 {0} 张空白图片；请取出。"),
    (r"([\d,]+) (rime photos|flower paintings|pictures)(?: in (?:.*))?: too few to learn from; .*",
     "{0} {1}：太少，学不成，只会有色斑。有几百张会好得多。"),
    (r"([\d,]+) (rime photos|flower paintings|pictures)(?: in (?:.*))?: expect texture, not shape\.", "{0} {1}：能学到质感，学不到形状。"),
    (r"([\d,]+) (rime photos|flower paintings|pictures)(?: in (?:.*))?: as many as the published CycleGANs had .*",
     "{0} {1}：与已发表的 CycleGAN 用的马和斑马一样多（约一千张）。"),
    (r"([\d,]+) pictures? (?:is|are) smaller than (\d+) pixels in (.*) and will be enlarged, which teaches blur; .*",
     "{2} 里有 {0} 张小于 {1} 像素，会被放大，学到模糊；请把图片边长设小，或不用它们。"),
    (r"([\d,]+) pictures? (?:is|are) without colour in (.*): the generator will learn to paint grey\.",
     "{1} 里有 {0} 张没有颜色：画师会学着画灰色。"),
]
PAGE_WORDS = ((" `python -m r2f.data prepare` makes a clean split.", " The button below makes a clean split."),
              (" `python -m r2f.data prepare` makes a data set without them.", " The button below makes a data set without them."),
              ("--image-size", "image size"))  # what a command line is told, for a page
HEADINGS = {"Can't be read": "读不出来", "Without colour": "没有颜色", "Empty: a single colour": "空白：只有一种颜色",
            "The same picture": "同一张图", "Nearly the same picture": "几乎同一张图", "Both trained on and held out": "既学习又检验",
            "Both rime and flower": "既是雾凇又是花"}
SETS = {"rime": ("Rime", "雾凇"), "flower": ("Flowers", "花"), "trainA": ("Flowers", "花"), "trainB": ("Rime", "雾凇"),
        "testA": ("Flowers held out", "留作检验的花"), "testB": ("Rime held out", "留作检验的雾凇")}
PROGRESS = {"waiting": "ts_waiting", "unpacking": "ts_unpacking", "looking": "ts_looking", "preparing": "ts_preparing"}


def advice(sentence: str) -> str:
    """One of the doctor's sentences as HTML."""
    english, chinese = sentence, ""
    for before, after in PAGE_WORDS:
        english = english.replace(before, after)
    for pattern, translation in CHINESE:
        if match := re.fullmatch(pattern, sentence, re.DOTALL):
            chinese = translation.format(*(NOUNS.get(group, SETS.get(group, ("", group))[1]) for group in match.groups()))
            break
    return two(html.escape(english, quote=False), html.escape(chinese or english, quote=False))


def heading(words: str) -> str:
    if match := re.fullmatch(r"Smaller than (\d+) pixels", words):
        return two(words, f"小于 {match[1]} 像素")
    return two(html.escape(words, quote=False), HEADINGS.get(words, html.escape(words, quote=False)))


def of_visit(visit: Visit | None, image_size: int | None = None) -> str:
    """What a visit has come to so far."""
    if visit is None:
        return ""
    if visit.state == "stopped":
        return f'<p role="status">{both("ts_look_stopped")}</p>'
    if visit.state == "failed":
        return f'<p class="refused" role="alert">{complaint(visit.said)}</p>'
    if not visit.ended:
        return running(visit)
    if visit.report is None:
        return ""
    return of_report(visit.report if image_size in (None, visit.report.image_size) else at_size(visit.report, image_size))


def running(visit: Visit) -> str:
    """How far it is, in words and as a bar."""
    share = 100 * visit.done / visit.total if visit.total else 0
    words = both(PROGRESS.get(visit.state, "ts_waiting"), done=f"{visit.done:,}", total=f"{visit.total:,}" if visit.total else "…")
    return (f'<p role="status">{words}</p><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="{visit.total}" '
            f'aria-valuenow="{visit.done}" aria-label="{visit.done} / {visit.total}"><i style="width:{share:.0f}%"></i></div>')


def of_report(report: Report) -> str:
    folders = "".join(folder(each) for each in report.folders)
    said = "".join(f"<li>{advice(sentence)}</li>" for sentence in report.advice)
    verdict = both("ts_unhealthy" if not report.healthy else "ts_few" if report.few else "ts_healthy")
    return (f'<div class="diagnosis"><p class="verdict" role="status">{verdict}</p><div class="folders">{folders}</div>'
            f'<ul class="advice">{said}</ul>{lists_of(report)}</div>')


def folder(found: Findings) -> str:
    """One folder: how many, how large, and what is wrong with how many."""
    least, median, most = found.short_side
    name = two(*(html.escape(each) for each in SETS.get(found.name, (found.name, found.name))))
    faults = [both(key, count=f"{len(some):,}") for key, some in (
        ("ts_count_unreadable", found.unreadable), ("ts_count_small", found.too_small), ("ts_count_grey", found.grey),
        ("ts_count_blank", found.blank)) if some]
    chips = "".join(f"<li>{words}</li>" for words in faults) or f'<li class="well">{both("ts_count_well")}</li>'
    kind = "frost" if found.domain == "rime" else "petal"
    return (f'<section class="{kind}"><h4>{name}</h4><p class="count">{found.pictures:,}</p>'
            f'<p class="sides">{both("ts_sides", least=f"{least:,}", median=f"{median:,}", most=f"{most:,}")}</p>'
            f'<ul class="chips">{chips}</ul></section>')


def lists_of(report: Report) -> str:
    """Every file that was found wanting, by its name, folded away."""
    parts = []
    for words, lines in lists(report):
        rows = "".join(f"<li>{html.escape(line, quote=False)}</li>" for line in lines[:MOST_LINES])
        more = f"<li>{both('ts_more', count=f'{len(lines) - MOST_LINES:,}')}</li>" if len(lines) > MOST_LINES else ""
        parts.append(f"<details><summary>{heading(words)} <b>{len(lines):,}</b></summary><ul>{rows}{more}</ul></details>")
    return "".join(parts)
