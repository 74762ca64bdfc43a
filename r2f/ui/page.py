"""The page and how it is launched: its rooms, what is served, how long the queue may grow.

Knows nothing about painting; that is the rooms'.
"""

from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from r2f.ui import live_tab as live
from r2f.ui import train_start, train_watch
from r2f.ui.about_tab import about_tab
from r2f.ui.bloom_tab import bloom_tab
from r2f.ui.cache import MOST_SECONDS
from r2f.ui.fetching import fetch_within_limits
from r2f.ui.gate import Gate, fields_within_limits
from r2f.ui.live_tab import live_tab
from r2f.ui.many_tab import many_tab
from r2f.ui.painters import Painters
from r2f.ui.painting import Results
from r2f.ui.style import COLOPHON, CSS, HEAD, INTRODUCTION
from r2f.ui.theme import THEME
from r2f.ui.train_tab import train_tab
from r2f.ui.words import I18N, t

ROOMS = f"<script>\n{Path(__file__).with_name('rooms.js').read_text(encoding='utf-8')}</script>\n"
EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_WAITING = 64  # blooms; whoever comes after is told to try again later
QUEUE_SECONDS = 0.005  # between two looks at the queue; Gradio's 0.001 keeps an idle page at 4 % of a core, a training's core
MOST_SESSIONS = 200  # that Gradio remembers, about 0.2 MB each; every call of the API is one
MOST_DATA_BYTES = 2_000_000_000  # where whoever sees the page may train: a zip of pictures to learn from
MOST_UPLOAD_BYTES = 250_000_000  # of a file: a zip of photos; `images` holds photos to less


def build_page(painters: Painters, examples: Path = EXAMPLES, train: bool = False) -> gr.Blocks:
    """The page on which these painters work; the pictures in `examples`, if any, are offered to begin with.

    `train`: whether whoever sees it may train, in the painters' folder of runs; `launch_arguments` must be told the same.
    """
    with gr.Blocks(title="rime2flower", analytics_enabled=False, delete_cache=(600, MOST_SECONDS)) as page:
        gr.HTML(INTRODUCTION, elem_id="introduction")
        with gr.Tabs(elem_id="rooms") as rooms:
            with gr.Tab(t("room_bloom"), id="bloom"):
                pair, note = bloom_tab(painters, Results(), examples)
            with gr.Tab(t("room_many"), id="many"):
                many_tab(painters, pair)
            with gr.Tab(t("room_live"), id="live"):
                live_tab()
            with gr.Tab(t("room_train"), id="train") as room:
                train_tab(painters, painters.runs if train else None, pair, note, rooms, room)
            with gr.Tab(t("room_about"), id="about"):
                about_tab(painters)
        gr.HTML(COLOPHON, elem_id="colophon")
    fetch_within_limits(page)
    fields_within_limits()
    page.queue(max_size=MOST_WAITING, api_open=False)
    page._queue.sleep_when_free = QUEUE_SECONDS
    return page


def has_mcp() -> bool:
    """Whether `gradio[mcp]` is installed; then /bloom and /frost are tools for assistants too."""
    try:
        import mcp  # noqa: F401
    except ImportError:
        return False
    return True


def launch_arguments(painters: Painters, train: bool = False, hosts: tuple[str, ...] | None = None) -> dict:
    """Arguments of Blocks.launch, the same wherever the page runs; `train` as in `build_page`, `hosts` as in `Gate`."""
    return dict(
        theme=THEME,
        css=CSS + train_start.CSS + train_watch.CSS,
        head=HEAD + ROOMS + live.HEAD + (train_watch.HEAD if train else ""),
        i18n=I18N,
        max_file_size=MOST_DATA_BYTES if train else MOST_UPLOAD_BYTES,
        app_kwargs={"middleware": [Middleware(Gate, hosts)],
                    "routes": [live.route(painters), *(train_watch.routes(painters.runs) if train else [])]},
        allowed_paths=None,  # what the page shows lies in Gradio's cache; it serves no folder
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        state_session_capacity=MOST_SESSIONS,
        footer_links=["api", "settings"],
        mcp_server=has_mcp(),
        ssr_mode=False,
    )
