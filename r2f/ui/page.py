"""The page and how it is launched: what a visitor may send, what is served, how long the queue may grow.

Knows nothing about painting; that is `bloom_tab`'s.
"""

from pathlib import Path

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from r2f.images import MAX_BYTES
from r2f.ui.bloom_tab import Painter, bloom_tab
from r2f.ui.theme import COLOPHON, CSS, HEAD, INTRODUCTION, THEME

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_WAITING = 64  # blooms; whoever comes after is told to try again later
MOST_BODY_BYTES = 1_000_000  # of a request that is no upload: a few file names need far less
CACHE_SECONDS = 3600  # uploads and paintings older than this are deleted


def build_page(painter: Painter, examples: Path = EXAMPLES) -> gr.Blocks:
    """The page on which this painter works; the pictures in `examples`, if any, are offered to begin with."""
    with gr.Blocks(title="rime2flower", analytics_enabled=False, delete_cache=(600, CACHE_SECONDS)) as page:
        gr.HTML(INTRODUCTION, elem_id="introduction")
        bloom_tab(painter, examples)
        gr.HTML(COLOPHON, elem_id="colophon")
    return page.queue(max_size=MOST_WAITING, api_open=False)


class Gate:
    """ASGI middleware: refuses what Gradio would do for anyone, though this page needs none of it.

    Taking a large body on a route that is no upload (a `data:` URL would slip past `max_file_size`), fetching
    a web address in the visitor's stead, and converting screen recordings.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path, taken = scope["path"].lower().rstrip("/"), 0

        async def receive_little():
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY_BYTES:
                raise HTTPException(413, "This request is too large.")
            return message

        if "/file=http" in path or path.endswith("/process_recording"):
            scope = {**scope, "path": "/refused", "raw_path": b"/refused"}  # there is no such route: 404
        await self.app(scope, receive if path.endswith("/upload") else receive_little, send)


LAUNCH = dict(  # arguments of Blocks.launch, the same wherever the page runs
    theme=THEME,
    css=CSS,
    head=HEAD,
    max_file_size=MAX_BYTES,
    app_kwargs={"middleware": [Middleware(Gate)]},
    allowed_paths=None,  # what the page shows lies in Gradio's cache; it serves no folder
    show_error=False,
    enable_monitoring=False,
    run_history=False,
    footer_links=["api"],
    mcp_server=False,
    ssr_mode=False,
)
