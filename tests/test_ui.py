"""The page without a browser: what it imports, what can be called, and how it says no."""

import asyncio
import re
import subprocess
import sys
import threading
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from r2f.ui import theme
from r2f.ui.bloom_tab import READY, Painter
from r2f.ui.page import LAUNCH, MOST_BODY_BYTES, build_page

ROOT = Path(__file__).parents[1]


class Negative:
    """A Bloomer that needs no Keras: its flower is the photo's negative, its way back the photo itself."""

    def round_trip(self, pixels):
        return Image.fromarray(255 - pixels), Image.fromarray(pixels)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))


@pytest.fixture
def awake(tmp_path):
    painter = Painter(tmp_path / "pair")
    painter.loading.set_result(Negative())
    return painter


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "twig.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 65, 3), np.uint8)).save(path)
    return path


def function(page, name):
    return next(each.fn for each in page.fns.values() if each.fn and each.api_name == name)


def client_of(page):
    page.launch(prevent_thread_lock=True, _frontend=False, quiet=True, **LAUNCH)
    return TestClient(page.app)


def test_building_the_page_imports_no_keras():
    code = ("import sys; from r2f.ui.bloom_tab import Painter; from r2f.ui.page import build_page; "
            "build_page(Painter('x')); print({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_bloom_is_the_whole_api(awake, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "example.jpg")
    page = build_page(awake, tmp_path)
    assert list(page.get_api_info()["named_endpoints"]) == ["/bloom"]
    assert {each.api_name for each in page.fns.values() if each.fn} == {"bloom", "awake", "choose"}
    returned = page.get_api_info()["named_endpoints"]["/bloom"]["returns"]
    assert [each["label"] for each in returned] == ["Flower", "Rime again"]


@pytest.mark.parametrize("there_is_a_folder", (True, False))
def test_without_examples_none_are_shown(awake, tmp_path, there_is_a_folder):
    page = build_page(awake, tmp_path if there_is_a_folder else tmp_path / "none")
    assert not any(isinstance(block, gr.Dataset) for block in page.blocks.values())


def test_a_bloom_gives_two_lossless_files_named_after_the_photo(awake, photo):
    flower, again = map(Path, function(build_page(awake), "bloom")({"path": str(photo)}))
    assert (flower.name, again.name) == ("twig-flower.png", "twig-rime-again.png")
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(photo)))
    assert np.array_equal(np.asarray(Image.open(flower)), 255 - np.asarray(Image.open(photo)))


def test_a_bloom_asked_for_too_early_waits_for_the_painter(photo):
    painter, results = Painter("somewhere"), []
    bloom = function(build_page(painter), "bloom")
    visitor = threading.Thread(target=lambda: results.append(bloom({"path": str(photo)})), daemon=True)
    visitor.start()
    visitor.join(0.5)
    assert visitor.is_alive() and not results
    painter.loading.set_result(Negative())
    visitor.join(10)
    assert len(results[0]) == 2


def test_a_visitor_who_leaves_while_waiting_does_not_stop_the_painter():
    painter = Painter("somewhere")
    awake = function(build_page(painter), "awake")

    async def visit():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(awake(), 0.1)
        painter.loading.set_result(Negative())
        return await awake()

    assert asyncio.run(visit()) == READY


@pytest.mark.parametrize("data", (None, {"path": None, "url": "data:image/png;base64,AAAA"}))
def test_no_photo_gets_a_sentence(awake, data):
    with pytest.raises(gr.Error, match="Please choose a photo of rime first"):
        function(build_page(awake), "bloom")(data)


def test_an_unreadable_picture_gets_its_sentence_without_a_path_or_markup(awake, tmp_path):
    path = tmp_path / "<img onerror=alert(1)>.jpg"
    path.write_text("no picture")
    with pytest.raises(gr.Error) as refusal:
        function(build_page(awake), "bloom")({"path": str(path)})
    assert refusal.value.message.startswith("&lt;img onerror=alert(1)&gt;.jpg is damaged or not a picture;")
    assert str(tmp_path) not in refusal.value.message and not refusal.value.print_exception


def test_a_bad_pair_gets_one_sentence_without_a_path(tmp_path, photo):
    pair = tmp_path / "old"
    pair.mkdir()
    (pair / "pair.json").write_text('{"format": 99}')
    painter = Painter(pair)
    painter.wake()
    page = build_page(painter)
    sentence = "The painter can't wake up: pair.json has format 99; this version reads format 1."
    assert asyncio.run(function(page, "awake")()) == sentence
    with pytest.raises(gr.Error) as refusal:
        function(page, "bloom")({"path": str(photo)})
    assert refusal.value.message == sentence


def test_the_page_serves_and_takes_nothing_else(awake, tmp_path, photo):
    Image.new("RGB", (64, 64)).save(tmp_path / "example.jpg")
    page = build_page(awake, tmp_path)
    client = client_of(page)
    try:
        for path in (ROOT / "app.py", photo, tmp_path / "example.jpg", "/etc/passwd", "/proc/self/environ"):
            assert client.get(f"/gradio_api/file={path}").status_code == 403
        assert client.get("/gradio_api/file=https://example.org/").status_code == 404
        assert client.post("/gradio_api/process_recording", files={"video": b""}).status_code == 404
        assert client.get("/monitoring/summary").status_code in (401, 403, 404)
        large = {"data": ["x" * MOST_BODY_BYTES], "fn_index": 0, "session_hash": "s"}
        for route in ("queue/join", "run/bloom", "call/bloom"):
            assert client.post(f"/gradio_api/{route}", json=large).status_code == 413
        small = {"data": [{"path": str(photo), "meta": {"_type": "gradio.FileData"}}]}
        assert client.post("/gradio_api/run/bloom", json=small).status_code == 404  # past the queue
        large = {"files": ("large.jpg", b"x" * 2 * MOST_BODY_BYTES)}
        uploaded = client.post("/gradio_api/upload", files=large)
        assert uploaded.status_code == 200
    finally:
        page.close()


def luminance(colour):
    channels = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("suffix", ("", "_dark"))
def test_every_text_has_enough_contrast(suffix):
    """WCAG AA: 4.5 to 1, against the mats and both ends of the wall."""
    look = {name: getattr(theme.THEME, name + suffix) for name in
            ("body_text_color", "body_text_color_subdued", "block_background_fill", "link_text_color")}
    wall = theme.NIGHT_WALL if suffix else theme.DAY_WALL
    grounds = [look["block_background_fill"], *re.findall("#[0-9a-f]{6}", wall)]
    accents = (theme.NIGHT_FROST, theme.NIGHT_PETAL) if suffix else (theme.FROST, theme.PETAL)
    for ink in (look["body_text_color"], look["body_text_color_subdued"], look["link_text_color"], *accents):
        for ground in grounds:
            assert contrast(ink, ground) >= 4.5, (ink, ground)
    assert min(contrast("#ffffff", theme.FROST), contrast("#ffffff", theme.PETAL)) >= 4.5  # the button
