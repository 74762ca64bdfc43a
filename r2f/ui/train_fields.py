"""The components of a new training's form, the places for what is wrong with them, and the HTML that goes there.

Nothing happens here; the events are `train_start`'s.
"""

import gradio as gr

from r2f import config
from r2f.ui import train_form
from r2f.ui.train_form import FAULTY, FIELDS
from r2f.ui.words import both, t


def pictures() -> tuple[dict, dict, dict, dict]:
    """The left side: parts of the form, places for faults, panes of which one is seen, and the rest."""
    parts, faults, panes, shown = {}, {}, {}, {}
    gr.HTML(f'<h2 class="frost">{both("ts_pictures")}</h2>')
    parts["source"] = gr.Radio([(t(f"ts_{name}"), name) for name in train_form.SOURCES], value="drawn", label=t("ts_source"),
                               elem_id="start-source", elem_classes="placards")
    with gr.Column(elem_classes="pane") as panes["drawn"]:
        gr.HTML(f'<p class="hint">{both("ts_drawn_hint")}</p>')
        shown["strip"] = gr.HTML('<div class="strip"></div>', elem_id="start-strip")
    with gr.Column(visible=False, elem_classes="pane") as panes["folders"]:
        gr.HTML(f'<p class="hint">{both("ts_folders_hint")}</p>')
        for name, example in (("rime", "/data/weather/rime"), ("flowers", "/data/wikiart/flower-painting")):
            parts[name] = gr.Textbox(label=t(f"ts_{name}"), elem_id=f"start-{name}", max_lines=1, max_length=1000,
                                     placeholder=example)
            faults[name] = fault(name)
    with gr.Column(visible=False, elem_classes="pane") as panes["zips"]:
        gr.HTML(f'<p class="hint">{both("ts_zips_hint")}</p>')
        with gr.Row(elem_classes="zips"):
            for name in ("zip_rime", "zip_flowers"):
                shown[name] = gr.File(label=t(f"ts_{name}"), file_types=[".zip"], type="filepath", height=150, min_width=200,
                                      elem_id=f"start-{name.replace('_', '-')}")
        faults["zips"] = fault("zips")
    with gr.Column(visible=False, elem_classes="pane") as panes["prepared"]:
        gr.HTML(f'<p class="hint">{both("ts_prepared_hint")}</p>')
        parts["data"] = gr.Textbox(label=t("ts_data"), elem_id="start-data-folder", max_lines=1, max_length=1000,
                                   placeholder="/data/rime2flower")
        faults["data"] = fault("data")
    with gr.Row(elem_classes="quiet"):
        shown["look"] = gr.Button(t("ts_look"), elem_id="start-look", visible=False)
        shown["cancel"] = gr.Button(t("ts_look_cancel"), elem_id="start-cancel", visible=False)
    shown["report"] = gr.HTML("", elem_id="start-report")
    shown["prepare"] = gr.Button(t("ts_prepare"), elem_id="start-prepare", elem_classes="quiet", visible=False, size="sm")
    shown["sheet"] = gr.Image(label=t("ts_sheet"), elem_id="start-sheet", elem_classes="frame", format="png", interactive=False,
                              visible=False, buttons=["fullscreen", "download"],
                              alt_text="Contact sheet: some pictures of each folder, and those that are alike")
    return parts, faults, panes, shown


def painter() -> tuple[dict, dict, dict]:
    """The right side: parts of the form, places for faults, and the rest."""
    parts, faults, shown = {}, {}, {}

    def number(name: str, value: float, step: float = 1) -> None:
        with gr.Column(min_width=130, elem_classes="field"):
            parts[name] = gr.Number(value=value, step=step, label=t(f"ts_{name}"), elem_id=f"start-{name.replace('_', '-')}")
            faults[name] = fault(name)

    plain = config.preset("lite")
    gr.HTML(f'<h2 class="petal">{both("ts_painter")}</h2>')
    parts["preset"] = gr.Radio([(t(f"ts_preset_{name}"), name) for name in ("lite", "r2f", "paper", "seed")], value="lite",
                               label=t("ts_preset"), elem_id="start-preset", elem_classes="placards")
    with gr.Row(elem_classes="fields"):
        number("image_size", plain.image_size, 4)
        number("steps", plain.steps)
        number("batch_size", plain.batch_size)
    parts["name"] = gr.Textbox(label=t("ts_name"), elem_id="start-name", max_lines=1, max_length=200)
    faults["name"] = fault("name")
    shown["also"] = gr.HTML("", elem_id="start-also")
    parts["also"] = gr.State({})
    faults["also"] = fault("also")
    shown["forget"] = gr.Button(t("ts_forget"), elem_id="start-forget", elem_classes="quiet", visible=False, size="sm")
    with gr.Accordion(t("ts_more_settings"), open=False, elem_id="start-more"):
        parts["precision"] = gr.Radio([(t(f"ts_precision_{name}"), name) for name in ("auto", "float32", "bfloat16")],
                                      value="auto", label=t("ts_precision"), elem_id="start-precision")
        with gr.Row(elem_classes="fields"):
            number("sample_steps", plain.sample_steps)
            number("checkpoint_minutes", plain.checkpoint_minutes, 0.5)
            number("seed", plain.seed)
        parts["start_from"] = gr.Dropdown([(t("ts_start_none"), "")], value="", label=t("ts_start_from"), elem_id="start-from",
                                          filterable=False)
        faults["start_from"] = fault("start_from")
        if "tensorboard" in FIELDS:
            parts["tensorboard"] = gr.Checkbox(False, label=t("ts_tensorboard"), elem_id="start-tensorboard")
    shown["needs"] = gr.HTML("", elem_id="start-needs")
    shown["measure"] = gr.Button(t("ts_measure"), elem_id="start-measure", elem_classes="quiet", visible=False, size="sm")
    parts["go"] = gr.Button(t("ts_go"), elem_id="start-go", variant="primary")
    parts["said"] = gr.HTML("", elem_id="start-said")
    parts["started"] = gr.Textbox(visible="hidden", elem_id="start-started", label="Started")
    return parts, faults, shown


def fault(name: str) -> gr.HTML:
    """The place beside a field for what is wrong with it."""
    assert name in FAULTY
    return gr.HTML("", elem_id=f"start-fault-{name.replace('_', '-')}", elem_classes="fault")


def fault_html(words: str) -> str:
    return f'<p role="alert">{words}</p>' if words else ""


def said_html(words: str, refused: bool = False) -> str:
    return f'<p class="{"refused" if refused else "said"}" role="{"alert" if refused else "status"}">{words}</p>' if words else ""
