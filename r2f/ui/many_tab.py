"""Many photos: a folder's worth at once, with progress, a gallery, a zip and a table. The work is `batch`'s."""

from pathlib import Path

import gradio as gr

from r2f.bloom import BRUSHES, SIZES
from r2f.ui.batch import BadBatch, Batch, Batches
from r2f.ui.painters import Painters
from r2f.ui.painting import DIRECTIONS
from r2f.ui.words import both, refusal, t, towards

TICK_SECONDS = 1
FAST = dict(queue=False, show_progress="hidden", api_visibility="private")


def many_tab(painters: Painters, pair: gr.Dropdown) -> None:
    """Put the components and events into the Blocks around them. `pair`: where the painter is chosen."""
    batches = Batches(painters)
    with gr.Row(elem_id="many"):
        with gr.Column(elem_id="many-given", min_width=280):
            files = gr.File(label=t("many_files"), file_count="multiple", file_types=["image", ".zip", ".heic", ".heif", ".avif"],
                            type="filepath", elem_id="many-files", height=230)
            start = gr.Button(t("many_start"), elem_id="many-start", variant="primary")
            cancel = gr.Button(t("many_cancel"), elem_id="many-cancel", visible=False)
            said = gr.HTML("", elem_id="many-said")
            with gr.Row(elem_id="many-home", visible=False) as home:
                get_zip = gr.DownloadButton(t("many_zip"), elem_id="many-zip")
                get_csv = gr.DownloadButton(t("many_csv"), elem_id="many-csv")
            with gr.Accordion(t("finer"), open=False):
                direction = gr.Radio([(t("way_bloom"), "bloom"), (t("way_frost"), "frost")], value="bloom", label=t("direction"))
                size = gr.Radio([(t(f"size_{name}"), name) for name in SIZES], value="1024", label=t("size"))
                brush = gr.Radio([(t(f"brush_{name}"), name) for name in BRUSHES], value="broad", label=t("brush"))
        with gr.Column(elem_id="many-shown", scale=2, min_width=280, visible=False) as wall:
            gallery = gr.Gallery(label=t("many_gallery"), elem_id="many-gallery", columns=4, height="auto", format="png",
                                 object_fit="cover", interactive=False, fit_columns=False, preview=False,
                                 buttons=["fullscreen", "download"])
    kept = gr.BrowserState("", storage_key="rime2flower-many", secret="let yourself bloom")
    seen = gr.State(0)  # pictures in this tab's gallery
    timer = gr.Timer(TICK_SECONDS, active=False)
    looks = [kept, said, wall, gallery, start, cancel, home, get_zip, get_csv, timer, seen]

    def begin(given, direction, size, brush, pair):
        paths = [Path(each["path"]) for each in given or [] if isinstance(each, dict) and isinstance(each.get("path"), str)]
        if direction not in DIRECTIONS or size not in SIZES or brush not in BRUSHES:
            raise gr.Error(both(towards(direction, "many_none")), print_exception=False)
        try:
            batch = batches.begin(paths, direction=direction, size=size, brush=brush, pair=pair)
        except BadBatch as error:
            text = both(towards(direction, error.key), **error.values) if error.key else refusal(error)
            raise gr.Error(text, print_exception=False) from error
        return {kept: batch.key} | look(batch.key, -1)

    def look(key: object, hung: int) -> dict:
        """What the page shows of a batch now."""
        batch = batches.get(key)
        if not batch:
            gone = {kept: [], said: f'<p role="status">{both("many_gone")}</p>',  # the browser would not store ""
                    start: gr.update(visible=True), cancel: gr.update(visible=False)}
            return (gone if key else {}) | {timer: gr.update(active=False), seen: 0}
        over = batch.state in ("done", "stopped")
        pictures = list(batch.shown)
        return {said: report(batch, batches.before(batch)), wall: gr.update(visible=True),
                gallery: gr.update(value=pictures, label=t(towards(batch.direction, "many_gallery")))
                if len(pictures) != hung else gr.skip(),
                start: gr.update(visible=over), cancel: gr.update(visible=not (over or batch.cancel.is_set())),
                home: gr.update(visible=over and bool(batch.zip and pictures)),
                get_zip: gr.update(value=batch.zip, label=t(towards(batch.direction, "many_zip"))) if over else gr.skip(),
                get_csv: batch.csv if over else gr.skip(), timer: gr.update(active=not over), seen: len(pictures)}

    start.click(begin, [files, direction, size, brush, pair], looks, preprocess=False, api_visibility="private",
                show_progress="hidden", concurrency_limit=4)  # queued: without, Gradio would hide what a refusal says
    timer.tick(look, [kept, seen], looks, **FAST)
    gr.on(None, lambda key: look(key, -1), kept, looks, **FAST)  # after a reload

    def stop(key):
        batch = batches.get(key)
        if batch:
            batches.stop(batch)
        return gr.update(visible=False)

    cancel.click(stop, kept, cancel, **FAST)

    def turn(direction):
        return gr.update(label=t(towards(direction, "many_files"))), gr.update(value=t(towards(direction, "many_start")))

    direction.change(turn, direction, [files, start], **FAST)


def report(batch: Batch, before: int) -> str:
    """How far a batch is, in words and as a bar."""
    total, good = len(batch.sources), len(batch.shown)
    if batch.state == "waiting":
        words = both("many_waiting", before=before)
    elif batch.state == "painting":
        eta = batch.eta_seconds
        words = (both(towards(batch.direction, "many_stopping"), done=batch.done, total=total) if batch.cancel.is_set() else
                 both("many_progress", done=batch.done, total=total, eta="…" if eta is None else spell(eta)))
    else:
        ended = "many_done" if batch.state == "done" else "many_stopped"
        words = both(towards(batch.direction, ended), good=good, total=total, seconds=f"{batch.seconds:.0f}")
    bar = (f'<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="{total}" aria-valuenow="{batch.done}" '
           f'aria-label="{batch.done} / {total}"><i style="width:{100 * batch.done / total:.0f}%"></i></div>')
    refused = "".join(f"<li>{refusal(sentence)}</li>" for sentence in list(batch.refused))
    return f'<p role="status">{words}</p>{bar}' + (f"<ul>{refused}</ul>" if refused else "")


def spell(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


