"""Where a training begins: its pictures, which the doctor looks at first, its settings, and what it will need.

The events between the components of `train_fields`. What the form means is `train_form`'s, looking at pictures `visit`'s, what
is needed `train_needs`', beginning `train_desk`'s; a training that has begun is `train_watch`'s.
"""

import contextlib
import html
import logging
import re
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from r2f import config, device, drawn, runner, speed
from r2f.config import Config
from r2f.device import DeviceError
from r2f.ui import diagnosis, train_form, train_needs
from r2f.ui.painting import data_url
from r2f.ui.train_desk import Desk
from r2f.ui.train_fields import fault_html, painter, pictures, said_html
from r2f.ui.train_form import FIELDS, complaint
from r2f.ui.visit import Crowded
from r2f.ui.words import both, t

log = logging.getLogger("r2f")

CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
TICK_SECONDS = 1
FAST = dict(queue=False, show_progress="hidden", api_visibility="private")
MEMORY = "rime2flower-train"
REMEMBERS = f"""(filled, seen) => [localStorage.getItem("{MEMORY}") ? "yes" : "", seen]"""
EMPTY_IS_NO_FAULT_YET = ("rime", "flowers", "data", "zips")  # said only to who wants to begin
STRIP = dict(count=6, side=120)  # drawn pictures of each domain that are shown, and their pixels


class Start(NamedTuple):
    """What the room around needs to know."""

    block: gr.Column
    started: gr.Textbox  # becomes "NAME?TIME" when a training was started
    form: list  # outputs of `fill`
    fill: Callable[[str], list]  # a run's name -> its configuration in the form
    when: Callable[[Callable], None]  # given an event: "somebody looks at this room"


def train_start(root: Path, pairs: Callable[[], Mapping] = dict) -> Start:
    """Put the components and events into the Blocks around them.

    `root` is the folder of runs, `pairs` gives what a training may begin with, by name: folders, or things with a `folder`. Who
    may not train must not have this: its events name folders of this machine.
    """
    desk = Desk(root, pairs)
    with gr.Column(elem_id="start-room") as block:
        with gr.Row(elem_id="start-hall"):
            with gr.Column(elem_id="start-data", min_width=280):
                parts, faults, panes, shown = pictures()
            with gr.Column(elem_id="start-painter", min_width=280):
                more_parts, more_faults, more_shown = painter()
        parts |= more_parts
        faults |= more_faults
        shown |= more_shown
    form = [parts[name] for name in FIELDS]
    kept = gr.BrowserState({}, storage_key=MEMORY, secret="let yourself bloom")
    seen = gr.State({})  # of this tab: watched, the visit that unpacks or prepares; hung, the one whose contact sheet hangs;
    # own, by which its entries in `kept` are told from older ones; basis, what the form was filled with; suggested, a name
    filled = gr.Textbox(visible="hidden", elem_id="start-filled", label="Filled")  # changes when the form is filled, not typed
    painted = gr.State(False)  # the strip of drawn pictures
    timer = gr.Timer(TICK_SECONDS, active=False)
    given = [seen, *form]
    outputs = [*faults.values(), *shown.values(), timer, kept, seen]

    def look(now, *values, strict=False, changes=None):
        """Everything that follows from the form and from what the doctor does."""
        values = dict(zip(FIELDS, values, strict=True)) | (changes or {})
        settings, found_faults, folders = desk.read(values)
        visit = desk.visit(now, values)
        busy = visit is not None and not visit.ended
        if not strict:
            empty = [name for name in EMPTY_IS_NO_FAULT_YET if not train_form.text(values, name)]
            found_faults = {name: words for name, words in found_faults.items() if name not in empty}
        # What is said of zips is `bring`'s, which an answer that comes late must not take back.
        updates = {faults[name]: fault_html(found_faults.get(name, "")) for name in faults if strict or name != "zips"}
        now = {"own": token_hex(8), "watched": ""} | now
        updates[timer] = gr.update(active=True) if busy else gr.skip()  # an answer that comes late must not stop it
        if values != now.get("basis") or now["watched"]:
            updates[kept] = values | {"watched": now["watched"], "own": now["own"]}
        size = train_form.whole(values.get("image_size"), 32, 1024)
        has_report = visit is not None and visit.report is not None and visit.state == "done"
        updates[shown["report"]] = diagnosis.of_visit(visit, size)
        updates[shown["look"]] = gr.update(visible=values["source"] in ("folders", "prepared") and not busy,
                                           value=t("ts_look_again" if visit and visit.ended else "ts_look"))
        updates[shown["cancel"]] = gr.update(visible=busy)
        updates[shown["prepare"]] = gr.update(visible=has_report and values["source"] == "folders" and not visit.report.healthy)
        sheet_key = visit.key if has_report and visit.sheet else ""
        updates[seen] = now | {"hung": sheet_key}
        updates[shown["sheet"]] = gr.skip() if sheet_key == now.get("hung", "") else gr.update(
            value=save_bytes_to_cache(visit.sheet, "contact-sheet.png", get_upload_folder()) if sheet_key else None,
            visible=bool(sheet_key))
        updates[shown["needs"]] = needs_html(settings, desk.root, warned=not has_report) if settings else gr.skip()
        updates[shown["measure"]] = gr.update(visible=bool(settings) and speed.hours(settings, desk.root) is None)
        also = train_form.known(values.get("also"))
        updates[shown["also"]] = f'<p>{both("ts_also", settings=said_of(also))}</p>' if also else ""
        updates[shown["forget"]] = gr.update(visible=bool(also))
        return updates

    # Only then: a pane that is updated while somebody types in it loses what was typed.
    parts["source"].change(lambda source: [gr.update(visible=name == source) for name in panes], parts["source"],
                           list(panes.values()), **FAST)
    folders = [parts[name] for name in ("rime", "flowers", "data")]  # not at every letter: they are looked into
    typed = [parts[name].input for name in FIELDS if name not in ("rime", "flowers", "data", "also", "preset")]
    left = [each.blur for each in (*folders, parts["name"])]  # at its last letter Gradio 6.31 may send a name without it
    entered = [*typed, *left, *(each.submit for each in folders), filled.change]
    gr.on(entered, look, given, outputs, trigger_mode="always_last", **FAST)

    def choose(now, preset, name):
        chosen = train_form.of_preset(preset if preset in config.PRESETS else "r2f")
        if not name or name == now.get("suggested") or re.fullmatch(rf"(?:{'|'.join(config.PRESETS)})-\d+", name):
            name = train_form.free_name(desk.root, chosen["preset"])
        return [*(chosen.get(each, gr.skip()) if each != "name" else name for each in FIELDS), stamp()]

    parts["preset"].input(choose, [seen, parts["preset"], parts["name"]], [*form, filled], **FAST)
    shown["forget"].click(lambda: ({}, stamp()), None, [parts["also"], filled], **FAST)

    # the doctor
    def bring(rime, flowers, *given):
        zips = {domain: Path(file["path"]) for domain, file in (("rime", rime), ("flower", flowers))
                if isinstance(file, dict) and isinstance(file.get("path"), str)}
        if len(zips) < 2:
            return look(*given) | {faults["zips"]: fault_html(both("ts_zip_other") if zips else "")}
        try:
            visit = desk.visits.unpack(zips)
        except Crowded as error:
            return look(*given) | {faults["zips"]: fault_html(complaint(error))}
        more = {faults["zips"]: fault_html(""), timer: gr.update(active=True)}
        return look(given[0] | {"watched": visit.key}, *given[1:]) | more

    zips = [shown["zip_rime"], shown["zip_flowers"]]
    gr.on([each.upload for each in zips], bring, [*zips, *given], outputs, preprocess=False, **FAST)

    def examine(now, *values):
        settings, found_faults, folders = desk.read(dict(zip(FIELDS, values, strict=True)) | {"name": "any"})
        wanted = [name for name in ("rime", "flowers", "data") if name in found_faults]
        if not folders or wanted:
            return look(now, *values, strict=True)
        try:
            desk.visits.look(folders, settings.image_size if settings else 256)
        except Crowded as error:
            return look(now | {"watched": ""}, *values) | {shown["report"]: fault_html(complaint(error))}
        return look(now | {"watched": ""}, *values) | {timer: gr.update(active=True)}

    shown["look"].click(examine, given, outputs, **FAST)

    def prepare(now, *values):
        settings, _, folders = desk.read(dict(zip(FIELDS, values, strict=True)))
        try:
            visit = desk.visits.prepare(*folders, settings.image_size if settings else 256) if len(folders) == 2 else None
        except Crowded as error:
            return look(now, *values) | {shown["report"]: fault_html(complaint(error))}
        return look(now | {"watched": visit.key if visit else ""}, *values) | {timer: gr.update(active=True)}

    shown["prepare"].click(prepare, given, outputs, **FAST)

    def stop(now, *values):
        if visit := desk.visit(now, dict(zip(FIELDS, values, strict=True))):
            visit.cancel.set()
        return look(now, *values)

    shown["cancel"].click(stop, given, outputs, **FAST)

    after = [*form, parts["said"], parts["started"]]

    def tick(now, *values):
        """The doctor's work goes on; what has come of it goes into the form."""
        keep = {each: gr.skip() for each in after}
        values = dict(zip(FIELDS, values, strict=True))
        visit = desk.visit(now, values)
        changes = {}
        if visit and visit.folders and visit.state == "done":
            changes = {**visit.folders, "source": "prepared" if "data" in visit.folders else "folders"}
            keep |= {parts[name]: value for name, value in changes.items()}
            keep[parts["said"]] = said_html(both("ts_tidied" if "data" in visit.folders else "ts_unpacked"))
            now = now | {"watched": ""}
            settings, _, folders = desk.read(values | changes)
            if folders and not desk.visit_of(folders):
                with contextlib.suppress(Crowded):  # whoever begins with them asks for it again
                    desk.visits.look(folders, settings.image_size if settings else 256)
        visit = desk.visit(now, values | changes)
        if visit and visit.ended and (outcome := desk.outcomes.pop((visit.key, train_form.text(values, "name")), None)):
            updates, renamed = began(*outcome)
            keep |= updates
            changes |= renamed
        ended = visit is None or visit.ended
        return look(now, *values.values(), changes=changes) | keep | ({timer: gr.update(active=False)} if ended else {})

    timer.tick(tick, given, [*outputs, *after], **FAST)

    # the device
    def ask_device():
        try:
            device.describe(desk.root)
        except DeviceError as error:
            log.warning("the device can't be told: %s", error)

    def needs(*values):
        settings, _, folders = desk.read(dict(zip(FIELDS, values, strict=True)))
        return needs_html(settings, desk.root, warned=not desk.visit_of(folders)) if settings else gr.skip()

    def measure(*values):
        settings, _, _ = desk.read(dict(zip(FIELDS, values, strict=True)))
        if settings is None:
            return said_html(both("ts_mend"), refused=True)
        try:
            speed.calibrate(settings, desk.root)
        except DeviceError as error:
            return said_html(html.escape(str(error), quote=False), refused=True)
        return ""

    shown["measure"].click(lambda: (gr.update(visible=False), said_html(both("ts_measuring"))), None,
                           [shown["measure"], parts["said"]], **FAST).success(
        measure, form, parts["said"], concurrency_id="device", concurrency_limit=1, show_progress="hidden",
        api_visibility="private").success(look, given, outputs, **FAST)

    # begin
    def began(sentence: str, name: str) -> tuple[dict, dict]:
        """What is shown of it, and what of the form has changed: the next training needs another name."""
        updates = {parts["said"]: said_html(sentence, refused=not name)}
        if not name:
            return updates, {}
        free = train_form.free_name(desk.root, name)
        return updates | {parts["name"]: free, parts["started"]: f"{name}?{time.time():.0f}"}, {"name": free}

    def go(now, *values):
        values = dict(zip(FIELDS, values, strict=True))
        if device.known(desk.root) is None and desk.read(values)[0]:  # whether memory is judged depends on it
            yield {parts["said"]: said_html(both("ts_moment"))}
            ask_device()
        updates, renamed = began(*desk.begin(values))
        keep = {each: gr.skip() for each in after} | updates
        yield look(now, *values.values(), strict=not renamed, changes=renamed) | keep

    parts["go"].click(go, given, [*outputs, *after], api_visibility="private", show_progress="hidden", concurrency_limit=4)

    def outlived(said, started, *values):
        """What stands below the button goes once it is so no longer."""
        if said == said_html(both("ts_mend"), refused=True):
            over = desk.read(dict(zip(FIELDS, values, strict=True)))[0]
        else:
            name = str(started).rpartition("?")[0]
            waits = said_html(both("ts_queued", name=name, ahead="?")).partition("?")[0]
            over = str(said).startswith(waits) and not any(  # only then: the runs are not read at every letter
                each.run.path.name == name and each.state in ("queued", "starting") for each in runner.runs(desk.root))
        return "" if over else gr.skip()

    standing = dict(fn=outlived, inputs=[parts["said"], parts["started"], *form], outputs=parts["said"], **FAST)
    gr.on(entered, trigger_mode="multiple", **standing)

    # what was there before
    def spread(values: dict, sentence: str) -> list:
        choices = [(t("ts_start_none"), ""), *((name, name) for name in desk.pairs())]
        if values["start_from"] and values["start_from"] not in [value for _, value in choices]:
            choices.append((values["start_from"], values["start_from"]))
        fields = [gr.update(choices=choices, value=values[name]) if name == "start_from" else values[name] for name in FIELDS]
        return [*fields, sentence, stamp()]

    filling = [*form, parts["said"], filled]

    def fill(name: str) -> list:
        """A run's configuration in the form. Never raises."""
        settings = train_form.settings_of(desk.root, name)
        if settings is None:
            return [*[gr.skip()] * len(FIELDS), said_html(both("ts_clone_gone", name=name), refused=True), stamp()]
        values = train_form.cloned(settings, desk.root, name, desk.pairs())
        return spread(values, said_html(both("ts_cloned", name=name)))

    def fresh() -> dict:
        found = device.known(desk.root)
        empty = train_form.fresh(desk.root, gpu=bool(found and found.kind == "gpu"))
        name, newest = train_form.newest(desk.root)
        return empty | train_form.cloned(newest, desk.root, newest.preset, desk.pairs()) if name else empty

    entering = [*filling, seen]

    def enter(memory, now):
        values = train_form.remembered(memory, fresh)
        name = train_form.text(values, "name")
        if not name or train_form.is_taken(name, desk.root):
            values["name"] = train_form.free_name(desk.root, name or values["preset"])
        watched = memory.get("watched") if isinstance(memory, dict) else ""
        now = {"own": token_hex(8)} | now | {"watched": watched if desk.visits.get(watched) else "", "basis": values,
                                             "suggested": values["name"],
                                             "fresh": not memory}
        newest = "" if memory else train_form.newest(desk.root)[0]
        return [*spread(values, said_html(both("ts_cloned", name=newest)) if newest else ""), now]

    def come_back(memory, now):
        """The browser's memory comes when this room is first seen, an empty one too; afterwards it changes because of what is
        entered here."""
        memory = memory or {}
        mine = memory.get("own") == now.get("own") if memory else bool(now.get("own"))
        return [gr.skip()] * len(entering) if mine else enter(memory, now)

    def come_in(remembers, now):
        return [gr.skip()] * len(entering) if remembers or now.get("own") else enter({}, now)

    kept.change(come_back, [kept, seen], entering, **FAST)
    opened = gr.on(None, lambda: None, None, None, **FAST)
    opened.success(come_in, [filled, seen], entering, js=REMEMBERS, **FAST)

    def settle(now, *values):
        """Now that the device is known: the preset for it, where nobody has chosen anything yet."""
        found = device.known(desk.root)
        untouched = now.get("fresh") and dict(zip(FIELDS, values, strict=True)) == now.get("basis")
        return enter({}, now) if untouched and found and found.kind == "gpu" else [gr.skip()] * len(entering)

    def when(event: Callable) -> None:
        asked = event(ask_device, None, None, **FAST).success(needs, form, shown["needs"], **FAST)
        asked.success(settle, given, entering, **FAST)
        event(**standing)
        event(lambda there: (gr.skip(), True) if there else (strip(), True), painted, [shown["strip"], painted], **FAST)

    return Start(block, parts["started"], filling, fill, when)


def stamp() -> str:
    """Another one each time."""
    return f"{time.time():.6f}"


def said_of(settings: Mapping) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def needs_html(settings: Config, root: Path, warned: bool = True) -> str:
    """The label, what will not do, and what may disappoint where the doctor has not said it already."""
    problems = "".join(f'<p class="refused">{each}</p>' for each in train_needs.problems(settings, root, "new"))
    warnings = "".join(f'<p class="warned">{each}</p>' for each in train_needs.warnings(settings) if warned)
    return train_needs.label(settings, root) + problems + warnings


@cache
def strip() -> str:
    """Some of the pictures that are drawn by code, as HTML."""
    images = (f'<img alt="" src="{data_url(draw(seed, STRIP["side"]))}">'
              for draw in (drawn.rime, drawn.flower) for seed in range(10, 10 + STRIP["count"]))
    return f'<div class="strip">{"".join(images)}</div>'
