"""A picture named by its address is fetched within limits; the addresses here are this machine's own."""

import asyncio
import gzip
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from test_ui import asleep, awake, cache  # noqa: F401 - fixtures

from r2f.images import encode_png, read_picture
from r2f.ui import fetching
from r2f.ui.page import build_page

PICTURE = encode_png(np.full((40, 60, 3), 250, np.uint8))


class Site(BaseHTTPRequestHandler):
    sent = 0  # bytes of the endless answer
    asked = None  # headers of the last request

    def do_GET(self):
        Site.asked = self.headers
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/twig.png")
            return self.end_headers()
        self.send_response(200 if self.path != "/nothing.png" else 404)
        if self.path == "/packed.png":  # unasked
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            if self.path == "/endless.png":
                while True:
                    self.wfile.write(bytes(1_000_000))
                    Site.sent += 1_000_000
            if self.path == "/slow.png":
                for _ in range(600):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            self.wfile.write(gzip.compress(PICTURE) if self.path == "/packed.png" else PICTURE)
        except OSError:
            pass  # whoever asked has gone

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """Its address; the only one that counts as public."""
    async def public(host):
        if host != "rime.example":
            raise ValueError(f"Hostname {host} failed validation")
        return "127.0.0.1"
    monkeypatch.setattr(fetching.safehttpx, "async_validate_url", public)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://rime.example:{server.server_port}"
    server.shutdown()


@contextmanager
def refused(sentence):
    with pytest.raises(gr.Error) as caught:
        yield
    assert caught.value.message == sentence


def fetch(address, tmp_path):
    return asyncio.run(fetching.fetch(address, tmp_path))


def test_what_is_at_an_address_is_fetched_under_its_own_name(site, tmp_path):
    path = fetch(f"{site}/a/twig.png?size=3", tmp_path)
    assert path.endswith("/twig.png") and Path(path).read_bytes() == PICTURE
    assert fetch(site, tmp_path).endswith("/file")


def test_what_has_no_end_is_left_where_it_is(site, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_BYTES", 5_000_000)
    with refused(fetching.TOO_LARGE):
        fetch(f"{site}/endless.png", tmp_path)
    assert Site.sent < 20_000_000 and not list(tmp_path.iterdir())


def test_nothing_is_fetched_packed_because_a_few_bytes_would_unpack_to_gigabytes(site, tmp_path):
    assert Path(fetch(f"{site}/twig.png", tmp_path)).read_bytes() == PICTURE
    assert Site.asked["Accept-Encoding"] == "identity"


def test_who_gives_byte_by_byte_is_not_waited_for(site, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MOST_SECONDS", 0.5)
    began = time.monotonic()
    with refused(fetching.TOO_SLOW):
        fetch(f"{site}/slow.png", tmp_path)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("path", ["{site}/moved.png", "{site}/nothing.png", "{site}/packed.png", "http://localhost/a.png", "http://127.0.0.1/a.png",
                                  "http://[::1]/a.png", "http://rime.example:1/a.png", "http:///a.png", "http://a b/c.png"])
def test_nothing_else_is_fetched(site, path, tmp_path):
    with refused(fetching.NOT_FETCHED):
        fetch(path.format(site=site), tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_component_of_the_page_fetches_within_limits(site, awake, cache, tmp_path):  # noqa: F811
    page = build_page(awake, tmp_path)
    for component in page.blocks.values():
        if isinstance(component, gr.Image | gr.File):
            path = asyncio.run(component.async_move_resource_to_block_cache(f"{site}/twig.png"))
            assert read_picture(path).shape == (40, 60, 3) and cache in Path(path).parents and path in component.temp_files
            with refused(fetching.NOT_FETCHED):
                asyncio.run(component.async_move_resource_to_block_cache("http://localhost/a.png"))
            assert asyncio.run(component.async_move_resource_to_block_cache(path)) == path
