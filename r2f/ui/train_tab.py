"""The room where painters are trained: start one, watch it, act on it; or, where that may not be, how to get such a page.

Composes `train_start`, `train_watch` and `train_acts`. Knows nothing about how a run is told to do anything.
"""
# ruff: noqa: E501 (prose and markup)

import html
import os
from pathlib import Path

import gradio as gr

from r2f import runner
from r2f.ui.painters import Painters
from r2f.ui.train_acts import train_acts
from r2f.ui.train_start import train_start
from r2f.ui.train_watch import watch_more, watch_top
from r2f.ui.words import t, two

COMMANDS = "<pre><code>git clone {where} rime2flower\ncd rime2flower\nmake demo</code></pre>"


def train_tab(painters: Painters, root: Path | None, pair: gr.Dropdown, note: gr.HTML, rooms: gr.Tabs, room: gr.Tab) -> None:
    """Put the room into the Blocks around. Without a root nobody may train here: then there is no handler at all."""
    if root is None:
        gr.HTML(own_copy(os.environ.get("SPACE_ID", "")), elem_id="own-copy")
        return
    root = Path(root)
    with gr.Column(elem_id="train"):
        with gr.Accordion(t("tw_new"), open=not runner.runs(root), elem_id="train-new") as new:
            start = train_start(root, pairs=painters.offers)
            start.when(room.select)
        watch_top()
        train_acts(root, painters, start, pair, note, rooms)
        watch_more()

    def come_in(request: gr.Request):
        """A run in the address leads into this room; whoever has none yet finds the form open."""
        here = "run" in request.query_params
        return gr.update(open=not runner.runs(root)), gr.update(selected="train") if here else gr.skip()

    gr.on(None, come_in, None, [new, rooms], queue=False, show_progress="hidden", api_visibility="private")


def own_copy(space: str) -> str:
    """Why nobody trains here, and how to get a page that does; `space` is "owner/name" on a Space."""
    space = html.escape(space)
    where = f"https://huggingface.co/spaces/{space}"
    ways = [two("Take this Space to a machine with Python 3.11 to 3.13, best with a graphics card:",
                "把这个 Space 取到装有 Python 3.11 至 3.13、最好有显卡的机器上：") + COMMANDS.format(where=where)] if space else [
        two("In a copy of this project, on a machine with Python 3.11 to 3.13, best with a graphics card:",
            "在本项目的一份副本中，机器装有 Python 3.11 至 3.13，最好有显卡：") + "<pre><code>make demo</code></pre>",
        two("If this page is yours, and everybody who can open it may train on its machine:",
            "如果此页是你的，而且能打开它的人都可以在它的机器上训练：") + "<pre><code>python app.py --train</code></pre>"]
    return f"""<section><h2>{two("Train a painter of your own", "训练一位自己的画师")}</h2>
<p>{two("Nobody trains on this page: a training takes a machine for hours or days, and this page is open to others. On a page of your own, "
        "two folders of pictures are enough: rime and flowers, or any two kinds of picture that should turn into each other.",
        "这里不训练：训练要占用一台机器几小时到几天，而此页对他人开放。在自己的页面上，有两个图片文件夹就够了：雾凇与花，或任何两类想要互相变化的图片。")}</p>
<ul>{"".join(f"<li>{way}</li>" for way in ways)}</ul>
<p>{two("Such a page opens for its own machine alone, and this room then has what it takes to start, watch, stop and go on.",
        "那样的页面只对自己的机器开放；这个房间里就可以开始、观看、停下、继续。")}</p></section>"""
