"""The page without a browser: what it imports, what can be called, how it says no, and what becomes of what was sent."""

import asyncio
import io
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageFile
from starlette.testclient import TestClient

from r2f import drawn
from r2f.images import MAX_BYTES, MAX_PIXELS, UnreadablePicture, encode_png, read_picture
from r2f.ui import batch as batches
from r2f.ui import gate, painting, theme, words
from r2f.ui.bloom_tab import card_of
from r2f.ui.cache import HELD, files_in, held, sweep
from r2f.ui.gate import MOST_BODY_BYTES
from r2f.ui.live_tab import MOST_FRAME_BYTES, MOST_IN_HAND
from r2f.ui.many_tab import many_tab, report
from r2f.ui.page import build_page, launch_arguments
from r2f.ui.painters import Offer, PainterAsleep, Painters, way_back_of

ROOT = Path(__file__).parents[1]
LITE = ROOT / "checkpoints" / "lite"


class Negative:
    """A Bloomer that needs no Keras: its flower is the photo's negative, its way back the photo itself."""

    def __init__(self):
        self.painted = 0

    def bloom(self, picture, brush="broad"):
        self.painted += 1
        return Image.fromarray(255 - np.asarray(picture))

    frost = bloom

    def round_trip(self, picture, brush="broad"):
        return self.bloom(picture), Image.fromarray(picture)

    def live(self, pixels, name="bloom"):
        return 255 - pixels


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def asleep(tmp_path):
    return Painters(tmp_path / "pair", checkpoints=tmp_path / "checkpoints", runs=tmp_path / "runs")


@pytest.fixture
def awake(asleep):
    asleep.loading.set_result(Negative())
    return asleep


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "twig.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 65, 3), np.uint8)).save(path)
    return path


def bloom(painters, path, direction="bloom", size="1024", brush="broad"):
    return painting.paint(painters, {"path": str(path)}, direction, size, brush, None)


def function(page, name):
    return next(each.fn for each in page.fns.values() if each.fn and each.api_name == name)


@contextmanager
def client_of(painters, examples, **how):
    page = build_page(painters, examples)
    page.launch(prevent_thread_lock=True, _frontend=False, quiet=True, **launch_arguments(painters, **how))
    try:
        yield TestClient(page.app)
    finally:
        page.close()


# the page


def test_building_the_page_imports_no_keras():
    code = ("import sys; from r2f.ui.painters import Painters; from r2f.ui.page import build_page; "
            "build_page(Painters('x')); print({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_bloom_and_frost_are_the_whole_api_and_documented(awake, tmp_path):
    endpoints = build_page(awake, tmp_path).get_api_info()["named_endpoints"]
    assert list(endpoints) == ["/bloom", "/frost"]
    for name, given, there, back in (("/bloom", "photo", "Flower", "Rime again"), ("/frost", "painting", "Rime", "Flower again")):
        parameters = endpoints[name]["parameters"]
        assert [each["parameter_name"] for each in parameters] == [given, "size", "brush", "strength", "pair"]
        assert [each["parameter_has_default"] for each in parameters[1:]] == [True] * 4
        assert "'512'" in parameters[1]["python_type"]["type"]
        assert [each["label"] for each in endpoints[name]["returns"]] == [there, back]
        assert "refused in one sentence" in endpoints[name]["description"]


def test_without_examples_none_are_shown(awake, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        assert not any(isinstance(block, gr.Dataset) for block in build_page(awake, folder).blocks.values())


def test_hub_pairs_can_be_fetched_only_where_that_was_allowed(tmp_path):
    for hub in (False, True):
        page = build_page(Painters(tmp_path / "pair", hub=hub), tmp_path)
        assert hub == any(getattr(block, "elem_id", None) == "hub-repo" for block in page.blocks.values())
    with pytest.raises(PainterAsleep, match="only where the page runs for its own machine"):
        Painters(tmp_path).fetch("owner/name", "main")


def test_the_page_serves_and_takes_nothing_else(awake, tmp_path, photo):
    Image.new("RGB", (64, 64)).save(tmp_path / "example.jpg")
    with client_of(awake, tmp_path) as client:
        for path in (ROOT / "app.py", photo, tmp_path / "example.jpg", "/etc/passwd", "/proc/self/environ"):
            assert client.get(f"/gradio_api/file={path}").status_code == 403
        for address in ("https://example.org/", "http://example.org", "HTTPS://example.org/"):  # nothing is handed on
            for route in ("file=", "file/", "FILE/", "/file/"):
                assert client.get(f"/gradio_api/{route}{address}").status_code == 404
        assert client.get("/gradio_api/deep_link?session_hash=s").status_code == 404
        assert client.post("/gradio_api/process_recording", files={"video": b""}).status_code == 404
        assert client.get("/monitoring/summary").status_code in (401, 403, 404)
        large = {"data": ["x" * MOST_BODY_BYTES], "fn_index": 0, "session_hash": "s"}
        for route in ("queue/join", "run/bloom", "call/bloom", "run/upload", "call/upload"):
            assert client.post(f"/gradio_api/{route}", json=large).status_code == 413
        small = {"data": [{"path": str(photo), "meta": {"_type": "gradio.FileData"}}]}
        assert client.post("/gradio_api/run/bloom", json=small).status_code == 404  # past the queue
        large = {"files": ("large.jpg", b"x" * 2 * MOST_BODY_BYTES)}
        uploaded = client.post("/gradio_api/upload", files=large)
        assert uploaded.status_code == 200
        assert client.post("/gradio_api/upload", files={"files": (None, b"x" * 2 * MOST_BODY_BYTES)}).status_code == 413
        assert client.post("/gradio_api/upload", files=[("files", (None, b"x" * (MOST_BODY_BYTES // 2)))] * 3).status_code == 413


def test_what_is_uploaded_at_one_time_is_bounded_and_what_was_refused_is_deleted(awake, tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "MOST_UNDER_WAY_BYTES", 3_000_000)
    with client_of(awake, tmp_path) as client:
        def send(count):
            files = [("files", (f"{each}.jpg", b"x" * 1_000_000)) for each in range(count)]
            return client.post("/gradio_api/upload", files=files)

        for _ in range(3):  # what has ended does not count
            assert send(2).status_code == 200
        before = files_in(tmp_path / "cache")
        refused = send(4)
        assert refused.status_code == 413 and "send less" in refused.text
        assert files_in(tmp_path / "cache") == before
        assert send(2).status_code == 200


def test_a_live_frame_comes_back_painted_and_anything_else_is_refused(awake, asleep, tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.full((90, 120, 3), 250, np.uint8)).save(file, "JPEG")
    with client_of(awake, tmp_path) as client:
        answer = client.post("/live", content=file.getvalue(), headers={"content-type": "image/jpeg"})
        painted = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert painted.shape == (90, 120, 3) and painted.mean() < 10
        assert client.post("/live", content=b"x", headers={"content-type": "image/jpeg"}).status_code == 422
        png = encode_png(np.full((2000, 2000, 3), 250, np.uint8))  # many more pixels than a JPEG in as many bytes
        assert len(png) < MOST_FRAME_BYTES
        assert client.post("/live", content=png, headers={"content-type": "image/jpeg"}).status_code == 422
        assert client.post("/live", content=file.getvalue(), headers={"content-type": "text/plain"}).status_code == 415
        assert client.get("/live").status_code in (404, 405)


def test_frames_beyond_those_in_hand_are_dropped(awake, asleep, tmp_path, monkeypatch):
    file, painting, done = io.BytesIO(), threading.Barrier(MOST_IN_HAND + 1), threading.Event()
    Image.fromarray(np.full((90, 120, 3), 250, np.uint8)).save(file, "JPEG")

    def live(self, pixels):
        painting.wait(30)
        done.wait(30)
        return pixels
    monkeypatch.setattr(Negative, "live", live)
    with client_of(awake, tmp_path) as client, ThreadPoolExecutor(MOST_IN_HAND) as visitors:
        send = partial(client.post, "/live", content=file.getvalue(), headers={"content-type": "image/jpeg"})
        answers = [visitors.submit(send) for _ in range(MOST_IN_HAND)]
        painting.wait(30)
        assert send().status_code == 204
        done.set()
        assert [answer.result().status_code for answer in answers] == [200] * MOST_IN_HAND


def test_a_page_for_its_own_machine_answers_to_no_other_name(awake, tmp_path):
    hosts = ("127.0.0.1", "localhost", "::1")
    with client_of(awake, tmp_path, hosts=hosts) as client:
        for host, code in (("localhost:7860", 200), ("127.0.0.1", 200), ("[::1]:7860", 200), ("LOCALHOST", 200),
                           ("rime.example", 403), ("localhost.rime.example:7860", 403), ("[", 403), ("", 403)):
            assert client.get("/", headers={"host": host}).status_code == code, host


def test_a_page_for_its_own_machine_answers_nobody_whose_request_was_handed_on(awake, tmp_path):
    """A proxy on the machine may ask under the machine's name for somebody anywhere."""
    mine, theirs = {"host": "localhost:7860"}, {"host": "rime.example"}
    handed_on = [{name: "203.0.113.7"} for name in ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")]
    elsewhere = [{"origin": origin} for origin in ("https://rime.example", "null", "http://localhost.rime.example:7860", "")]
    with client_of(awake, tmp_path, hosts=("127.0.0.1", "localhost", "::1")) as client:
        for headers in ({}, {"origin": "http://localhost:7860"}, {"origin": "http://127.0.0.1:7860"}):
            assert client.get("/config", headers=mine | headers).status_code == 200, headers
        for headers in handed_on + elsewhere:
            answer = client.get("/config", headers=mine | headers)
            assert answer.status_code == 403 and "--public" in answer.text, headers
    with client_of(awake, tmp_path) as client:
        for headers in handed_on + elsewhere:
            assert client.get("/config", headers=theirs | headers).status_code == 200, headers


# painters


def test_a_bloom_asked_for_too_early_waits_for_the_painter(asleep, photo):
    results = []
    visitor = threading.Thread(target=lambda: results.append(bloom(asleep, photo)), daemon=True)
    visitor.start()
    visitor.join(0.5)
    assert visitor.is_alive() and not results
    asleep.loading.set_result(Negative())
    visitor.join(10)
    assert len(results[0].shown) == 3


def test_a_visitor_who_leaves_while_waiting_does_not_stop_the_painter(asleep, tmp_path):
    awake = function(build_page(asleep, tmp_path), "awake")
    request = gr.Request(query_params={})

    async def visit():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(awake("", None, request), 0.1)
        asleep.loading.set_result(Negative())
        return await awake("", None, request)

    assert asyncio.run(visit()) == words.both("ready")


def test_a_bad_pair_gets_one_sentence_without_a_path(tmp_path, photo):
    pair = tmp_path / "old"
    pair.mkdir()
    (pair / "pair.json").write_text('{"format": 99}')
    painters = Painters(pair, runs=tmp_path)
    painters.wake()
    with pytest.raises(PainterAsleep, match="^The painter can't wake up: pair.json has format 99") as refusal:
        bloom(painters, photo)
    assert str(tmp_path) not in str(refusal.value)
    with pytest.raises(PainterAsleep, match="not here any more"):
        painters.bloomer("gone")


def test_shipped_pairs_and_those_of_runs_are_on_offer_with_their_cards(tmp_path):
    mine = tmp_path / "runs" / "mine" / "pair"
    mine.mkdir(parents=True)
    (mine / "pair.json").write_bytes((LITE / "pair.json").read_bytes())
    (tmp_path / "runs" / "young").mkdir()
    painters = Painters(LITE, runs=tmp_path / "runs")
    offers = painters.offers()
    assert list(offers)[0] == "lite" and "runs/mine" in offers and "runs/young" not in offers
    assert Painters(mine, runs=tmp_path / "runs").first_name == "runs/mine"
    structure, colour = way_back_of(offers["lite"])
    assert 0 < structure < 1 and 0 < colour < 100
    card = card_of(offers["lite"])
    info = offers["lite"].info
    for said in (f"{info['pictures']['rime']} photos of rime", "Last lesson", f"{info['step']:,} steps", "of the structure"):
        assert said in card
    slim = {**info, "networks": {**info["networks"], "filters": 2}}
    (mine / "pair.json").write_text(json.dumps(slim))
    painters.fetched["some/body@0123456789"] = mine
    assert "some/body@0123456789" in painters.offers()
    assert painters.fastest() == "lite", "what somebody trains or fetched is not shown to everybody's camera"


@pytest.mark.parametrize("quality,said", [
    ({"gap_closed_bloom": 0.66, "way_back": 0.634}, "66 % of the way from photos to paintings, 63 % of the way back"),
    ({"gap_closed_bloom": float("nan"), "way_back": 0.6}, None), ({"score": 1}, None), ([], None), (None, None)])
def test_what_a_training_measured_is_on_the_card_of_its_pair(quality, said):
    card = card_of(Offer("runs/mine", Path("nowhere"), {"quality": quality, "step": 7}))
    assert "Practised" in card and "7 steps" in card and ("held out" in card) is bool(said) and (said or "") in card


def test_a_pair_that_is_not_offered_is_told_once_and_one_that_is_being_deleted_never(tmp_path, caplog):
    for name in ("bad", ".deleted-good"):
        (tmp_path / "runs" / name / "pair").mkdir(parents=True)
        (tmp_path / "runs" / name / "pair" / "pair.json").write_text("{}")
    painters = Painters(LITE, runs=tmp_path / "runs", checkpoints=tmp_path)
    for _ in range(3):
        assert list(painters.offers()) == ["lite"]
    assert caplog.text.count("runs/bad is not offered") == 1 and "deleted" not in caplog.text


# from a photo to its pictures


def test_a_bloom_gives_lossless_files_named_after_the_photo(awake, photo):
    result = bloom(awake, photo)
    assert [Path(file).name for file in result.shown] == ["twig.png", "twig-flower.png", "twig-rime-again.png"]
    seen, flower, again = map(painting.pixels_of, result.shown)
    assert np.array_equal(again, seen) and np.array_equal(flower, 255 - np.asarray(Image.open(photo)))
    assert result.figures.structure == pytest.approx(1) and result.figures.colour == pytest.approx(0, abs=1e-6)
    assert Path(bloom(awake, photo, "frost").shown[2]).name == "twig-flower-again.png"


def test_a_photo_below_a_megapixel_is_painted_again_at_its_own_size(awake, tmp_path):
    path = tmp_path / "middle.png"
    Image.fromarray(drawn.rime(1, 200)).resize((900, 700)).save(path)
    whole = painting.pixels_of(painting.whole_painting(awake, bloom(awake, path, size="512"), 100))
    assert np.array_equal(whole, 255 - read_picture(path)) and awake.loading.result().painted == 2


@pytest.mark.parametrize("size,shown,painted", (("512", (512, 256), (512, 256)), ("1024", (1024, 512), (1024, 512)),
                                                ("full", (1280, 640), (1600, 800))))
def test_the_whole_painting_is_as_large_as_the_photo_whatever_size_was_looked_at(awake, tmp_path, size, shown, painted):
    path = tmp_path / "wide.jpg"
    Image.fromarray(drawn.rime(1, 200)).resize((1600, 800)).save(path)
    result = bloom(awake, path, size=size)
    assert {Image.open(file).size for file in result.shown} == {shown}
    assert Image.open(result.painting).size == Image.open(result.again).size == painted
    assert Image.open(painting.whole_painting(awake, result, 100)).size == (1600, 800)
    assert awake.loading.result().painted == 1  # what is at hand is carried up


def test_strength_triptych_film_and_map_need_no_network(awake, photo):
    result = bloom(awake, photo)
    before = awake.loading.result().painted
    seen, flower = map(painting.pixels_of, result.shown[:2])
    assert np.array_equal(painting.pixels_of(painting.at_strength(result, 0)), seen)
    assert np.array_equal(painting.pixels_of(painting.at_strength(result, 100)), flower)
    half = painting.pixels_of(painting.at_strength(result, 50)).astype(float)
    assert np.abs(half - (seen.astype(float) + flower) / 2).mean() < 2
    assert painting.pixels_of(painting.triptych_of(result, 100)).shape[0] == 48
    assert painting.pixels_of(painting.difference_of(result)).shape == (48, 65, 3)
    for suffix in (".mp4", ".webp"):
        assert Path(painting.film_of(result, 100, 3, suffix)).stat().st_size > 1000
    assert awake.loading.result().painted == before


def test_a_browser_may_choose_the_key_of_what_it_asks_for_but_nobody_elses(awake, photo):
    results, wanted = painting.Results(), f"{'a' * 32}.{'b' * 32}"
    assert results.under_way(wanted) is None
    with results.promised(wanted, "sent") as own:
        assert own == wanted and results.under_way(own) == "sent" and results.under_way("a" * 32) is None
        with results.promised(f"{'a' * 32}.{'c' * 32}", "other") as other:  # the same link
            assert other[:32] != own[:32] and painting.OWN_KEY.fullmatch(other)
        result = results.add(painting.paint(awake, {"path": str(photo)}, "bloom", "512", "broad", None, own))
    assert results.under_way(wanted) is None and results.get(wanted) is result
    for taken in (wanted, wanted[:32], "", None, [], f"../{wanted}", f"{'A' * 32}.{'b' * 32}", f"{wanted}\n"):
        with results.promised(taken, "later") as own:
            assert own != taken and painting.OWN_KEY.fullmatch(own)
    with pytest.raises(ValueError), results.promised(f"{'d' * 32}.{'e' * 32}", "sent"):
        raise ValueError
    assert not results.coming


def bloom_room(awake, tmp_path):
    """The functions of the room by their names; `come_in` gives what it would show."""
    page = build_page(awake, tmp_path)
    functions = {each.fn.__name__: each.fn for each in page.fns.values() if each.fn}
    named = {each.elem_id or type(each).__name__: each for each in page.blocks.values() if hasattr(each, "elem_id")}
    kept = next(each for each in page.blocks.values() if isinstance(each, gr.BrowserState) and each.storage_key == "rime2flower")

    def come_in(key, asked=None, flower=""):
        came = functions["come_in"](key, asked, SimpleNamespace(query_params={"flower": flower} if flower else {}))
        return SimpleNamespace(photo=came[named["photo"]], kept=came[kept], note=came[named["note"]],
                               flower=came[named["flower"]], direction=came[named["direction"]])
    return SimpleNamespace(**(functions | {"come_in": come_in}))


def test_only_who_brought_a_photo_gets_its_file_back(awake, tmp_path):
    """The file may say where the photo was taken; a link shows its pixels, at once and whenever it is followed again."""
    brought = tmp_path / "tree.jpg"
    Image.new("RGB", (64, 64), (90, 120, 160)).save(brought)
    room = bloom_room(awake, tmp_path)
    own = room.hang({"path": str(brought), "meta": {"_type": "gradio.FileData"}}, "bloom", "512", "broad", None, None)[3]
    assert (room.come_in(own).photo, room.come_in(own).kept) == (str(brought), own)
    half = own.partition(".")[0]
    there = room.come_in("", flower=half)
    assert there.photo != str(brought) and there.kept == half
    for key in (half, f"{half}.", f"{half}.{'0' * 32}"):
        assert room.come_in(key).photo == room.come_in("", asked=key).photo == there.photo
    assert room.come_in(own, flower=half).kept == own  # whoever follows his own link keeps his photo


def test_what_was_asked_for_is_found_again_while_it_is_painted_and_afterwards(asleep, photo, tmp_path):
    wanted, sent = f"{'a' * 32}.{'b' * 32}", {"path": str(photo), "meta": {"_type": "gradio.FileData"}}
    room = bloom_room(asleep, tmp_path)
    with ThreadPoolExecutor() as threads:
        painted = threads.submit(room.hang, sent, "frost", "512", "broad", None, wanted)  # and the page is left
        until(lambda: room.come_in("", wanted).photo == str(photo))
        there = room.come_in("", wanted)
        assert there.direction == "frost" and "still at it" in there.note and there.flower == gr.skip()
        assert all(each == gr.skip() for each in room.look_again(wanted).values())
        assert room.come_in("", wanted[:32]).photo == gr.skip()  # a link shows what is done
        asleep.loading.set_result(Negative())
        assert painted.result()[3] == wanted
        came = room.come_in("", wanted)
        assert (came.photo, came.kept, came.direction) == (str(photo), wanted, "frost") and came.flower == painted.result()[0]
        assert list(room.look_again(wanted).values())[0] == came.flower
        assert "could not be painted" in str(room.look_again("c" * 32)) and "could not" not in str(room.look_again(None))
        assert room.come_in(wanted, "c" * 32).kept == wanted  # what was asked for last failed: the one before hangs there


def test_a_direction_shows_again_what_hung_there_when_it_was_left(awake, photo, tmp_path):
    room, sent, wanted = bloom_room(awake, tmp_path), {"path": str(photo)}, f"{'a' * 32}.{'b' * 32}"
    own, painted, brought = room.hang(sent, "bloom", "512", "broad", None, wanted)[3], {"path": "x.png"}, tmp_path / "meadow.png"
    brought.write_bytes(photo.read_bytes())

    def turn(way, left, *there):
        """(the photo, the painting, the key, the state of the tab) after a turn to that way."""
        came = room.turn_round(own, wanted, way, *there, left)
        came = {each.elem_id or type(each).__name__: value for each, value in came.items()}
        return came["photo"], came["flower"], came["BrowserState"], came["State"]

    nothing, flower, _, left = turn("frost", {}, sent, painted)
    assert nothing is None and flower is None
    assert turn("frost", left, sent, painted)[:2] == (gr.skip(), gr.skip())  # it is there already
    photo_there, flower, key, left = turn("bloom", left, {"path": str(brought)}, None)
    assert (photo_there, key) == (str(photo), own) and flower == room.come_in(own).flower
    assert turn("frost", left, sent, painted)[:2] == (str(brought), None)  # it was only brought
    Path(flower).unlink()
    left = turn("frost", left, sent, painted)[3]
    assert turn("bloom", left, None, None)[:2] == (None, None)  # it has wilted


def test_a_painting_under_way_is_awaited_also_where_its_direction_was_left(asleep, photo, tmp_path):
    room, sent, wanted = bloom_room(asleep, tmp_path), {"path": str(photo)}, f"{'a' * 32}.{'b' * 32}"
    with ThreadPoolExecutor() as threads:
        painted = threads.submit(room.hang, sent, "bloom", "512", "broad", None, wanted)  # and the page is loaded again
        try:
            until(lambda: room.come_in("", wanted).photo == str(photo))
            away = room.turn_round("", wanted, "frost", sent, None, {})
            left = next(value for each, value in away.items() if isinstance(each, gr.State))
            there = room.turn_round("", wanted, "bloom", None, None, left)
            assert "still at it" in str(there) and str(photo) in there.values()
        finally:
            asleep.loading.set_result(Negative())
        painted.result()


def test_what_has_wilted_keeps_nobody_from_hearing_that_the_painter_is_ready(awake, tmp_path):
    room = bloom_room(awake, tmp_path)
    assert asyncio.run(room.awake("a" * 32, "", gr.Request(query_params={}))) == words.both("ready")


def test_a_result_wilts_with_its_files_and_after_an_hour(awake, photo, monkeypatch):
    results = painting.Results()
    result = results.add(bloom(awake, photo))
    assert results.get(result.key) is results.get(result.own_key) is result
    for key in (None, "", "0" * 32, {"a": 1}, 7, f".{result.own_key.partition('.')[2]}"):
        with pytest.raises(painting.Wilted):
            results.get(key)
    Path(result.shown[1]).unlink()
    with pytest.raises(painting.Wilted):
        results.get(result.key)
    late = results.add(bloom(awake, photo))
    monkeypatch.setattr(painting, "RESULT_SECONDS", -1)
    with pytest.raises(painting.Wilted):
        results.get(late.key)


def png(width, height):
    """A PNG's header that promises so many pixels."""
    import zlib
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                                           for kind, data in chunks)


def animated():
    file = io.BytesIO()
    pages = [Image.fromarray(drawn.rime(seed, 64)) for seed in (1, 2)]
    pages[0].save(file, "GIF", save_all=True, append_images=pages[1:])
    return file.getvalue()


@pytest.mark.parametrize("name,data,said", (
    ("snow.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99, "HEIC"),
    ("bomb.png", png(40_000, 40_000), f"more than the {MAX_PIXELS // 1_000_000} allowed"),
    ("broken.jpg", b"\xff\xd8\xff\xe0 no more", "is damaged"),
    ("empty.png", b"", "is empty"),
    ("tiny.png", png(8, 8), "is only 8 × 8 pixels"),
    ("narrow.png", png(4000, 100), "is too long and narrow (4000 × 100 pixels)"),
    ("huge.tif", b"II*\0" + b"\0" * MAX_BYTES, f"is larger than {MAX_BYTES // 1_000_000} megabytes"),
    ("<img onerror=alert(1)>.jpg", b"no picture", "is damaged or not a picture"),
))
def test_what_cannot_be_used_gets_one_sentence_in_two_languages(awake, tmp_path, name, data, said):
    """P8, as the page says it."""
    if name == "snow.heic" and find_spec("pillow_heif"):
        pytest.skip("the HEIC plugin is installed")
    path = tmp_path / name
    path.write_bytes(data)
    started = time.process_time()
    with pytest.raises(UnreadablePicture, match=re.escape(said)) as refusal:
        bloom(awake, path)
    assert time.process_time() - started < 2
    with pytest.raises(UnreadablePicture, match=re.escape(said)):
        painting.check({"path": str(path)})  # said when it comes, not only when it is to bloom
    shown = words.refusal(refusal.value)
    assert "<img" not in shown and str(tmp_path) not in shown and shown.count('lang="en"') == shown.count('lang="zh"') == 1
    assert str(refusal.value).count(".") <= 3


def test_looking_at_what_comes_decodes_nothing(photo, monkeypatch):
    def load(*_):
        raise AssertionError("it was decoded")
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for data in ({"path": str(photo)}, {"path": None}, None):
        painting.check(data)


def test_what_browsers_cannot_show_is_shown_as_a_png_of_the_same_pixels(cache, photo, tmp_path):
    scan = tmp_path / "scan.TIF"
    Image.open(photo).save(scan)
    shown = Path(painting.as_browsers_show({"path": str(scan)}))
    assert shown.name == "scan.png" and shown.is_relative_to(cache) and np.array_equal(read_picture(shown), read_picture(photo))
    scan.write_bytes(b"II*\0 no more")
    for data in ({"path": str(scan)}, {"path": str(photo)}, None):
        assert painting.as_browsers_show(data) is None


def test_of_an_animation_the_first_frame_blooms(awake, tmp_path):
    path = tmp_path / "moving.gif"
    path.write_bytes(animated())
    assert np.array_equal(painting.pixels_of(bloom(awake, path).shown[0]), read_picture(path))


def test_no_photo_and_no_such_setting_get_a_sentence(awake, asleep, tmp_path, photo):
    hang = function(build_page(awake, tmp_path), "hang")
    for data in (None, {"path": None, "url": "data:image/png;base64,AAAA"}, {"path": 7}, "x"):
        for direction, said in (("bloom", "Please choose a photo of rime first"),
                                ("frost", "Please choose a flower painting first")):
            with pytest.raises(gr.Error, match=said) as refusal:
                hang(data, direction, "512", "broad", None, None)
            assert not refusal.value.print_exception
    for wrong in (("sideways", "512", "broad"), ("bloom", "huge", "broad"), ("bloom", "512", "roller")):
        with pytest.raises(painting.NoPhoto):
            bloom(awake, photo, *wrong)


# many photos


def batch_of(painters, paths, **how):
    worker = batches.Batches(painters)
    batch = worker.begin(paths, **how)
    until(lambda: batch.ended)
    return batch


def until(happens, seconds=60):
    deadline = os.times().elapsed + seconds  # no test changes this clock
    while not happens():
        assert os.times().elapsed < deadline, "it did not happen"
        time.sleep(0.02)


def test_one_bad_file_never_stops_the_rest_of_a_batch(awake, photo, tmp_path):
    bad = tmp_path / "=cmd.jpg"
    bad.write_text("no picture")
    again = tmp_path / "more" / "twig.png"
    again.parent.mkdir()
    again.write_bytes(photo.read_bytes())
    batch = batch_of(awake, [photo, bad, again])
    assert batch.state == "done" and [Path(file).name for file, _ in batch.shown] == ["twig-flower.png", "twig-2-flower.png"]
    assert batch.refused[0].startswith("=cmd.jpg is damaged")
    with zipfile.ZipFile(batch.zip) as archive:
        assert archive.namelist() == ["twig-flower.png", "twig-rime-again.png", "twig-2-flower.png", "twig-2-rime-again.png",
                                      "figures.csv"]
        table = archive.read("figures.csv")
    assert "'=cmd.jpg" in Path(batch.csv).read_text()  # a spreadsheet would run it
    assert table == Path(batch.csv).read_bytes() and table.startswith("\ufeffphoto,".encode())


def packed(path, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_a_zip_is_looked_into_but_never_unpacked(awake, photo, tmp_path):
    data = photo.read_bytes()
    archive = packed(tmp_path / "album.zip", [("album/", b""), ("album/a.png", data), ("album/b.png", data[:50]),
                                              ("__MACOSX/a.png", b"x"), ("album/.hidden.png", b"x"), ("notes.txt", b"x")])
    batch = batch_of(awake, [archive])
    assert [name for _, name in batch.shown] == ["a.png"] and len(batch.refused) == 1
    assert not list(tmp_path.rglob("a.png"))


def test_names_in_a_zip_that_only_look_strange_do_no_harm(awake, photo, tmp_path):
    data = photo.read_bytes()
    archive = packed(tmp_path / "album.zip", [("photos\\a.png", data), ("Screenshot 12:30:05.png", data),
                                              ("__MACOSX\\b.png", b"x"), ("photos\\.hidden.png", b"x"), ("to do: a.txt", b"x")])
    batch = batch_of(awake, [archive])
    assert [name for _, name in batch.shown] == ["a.png", "Screenshot 12:30:05.png"] and not batch.refused


def test_a_zip_that_was_swept_before_its_batch_began_gets_the_sentence_of_a_swept_photo(awake, tmp_path):
    with pytest.raises(batches.BadBatch) as refusal:
        batches.Batches(awake).begin([tmp_path / "swept.zip"])
    assert str(refusal.value) == "swept.zip cannot be opened; please choose the photo again."
    assert 'lang="zh">swept.zip 打不开' in words.refusal(refusal.value)


def test_a_damaged_photo_in_a_zip_is_refused_and_the_rest_is_done(awake, photo, tmp_path, caplog):
    archive = packed(tmp_path / "album.zip", [("a.png", photo.read_bytes()), ("b.png", photo.read_bytes())])
    data = bytearray(archive.read_bytes())
    data[30 + len("a.png")] = 0xff  # no kind of block begins like this
    archive.write_bytes(data)
    batch = batch_of(awake, [archive])
    assert batch.refused == ["a.png cannot be opened; please choose the photo again."] and not caplog.records
    assert [name for _, name in batch.shown] == ["b.png"]


def test_zips_that_mean_harm_are_refused_at_once(awake, tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    lzma = packed(tmp_path / "lzma.zip", [("a.png", b"x" * 99)], zipfile.ZIP_LZMA)
    harm = {
        "leads out of it": [packed(tmp_path / f"{number}.zip", [(name, b"x")]) for number, name in
                            enumerate(("../a.png", "/etc/a.png", "b/../../a.png", "c:\\a.png", "b\\..\\..\\a.png", "\\\\b\\c"))],
        "far more than it is": [packed(tmp_path / "bomb.zip", [("a.png", b"\0" * 50_000_000)])],
        "holds a link": [packed(tmp_path / "link.zip", [(link, b"/etc/passwd")])],
        "unusual way": [lzma],
        "too many files": [packed(tmp_path / "list.zip", [(f"{number:0200}.png", b"") for number in range(5000)])],
        "holds no pictures": [packed(tmp_path / "none.zip", [("a.txt", b"x")])],
        "not a zip": [Path(tmp_path / "not.zip")],
    }
    (tmp_path / "not.zip").write_bytes(b"PK\x03\x04 no zip")
    refused = 0
    for said, archives in harm.items():
        for archive in archives:
            started = time.process_time()
            with pytest.raises(batches.BadBatch, match=said) as refusal:
                batches.sources_in([archive])
            assert time.process_time() - started < 1
            assert re.search(f'lang="zh">{archive.name}.*[\u4e00-\u9fff]', words.refusal(refusal.value))
            refused += 1
    print(f"{refused} zips refused")
    many = packed(tmp_path / "51.zip", [(f"{number}.png", b"x") for number in range(51)])
    with pytest.raises(batches.BadBatch) as refusal:
        batches.sources_in([many])
    assert refusal.value.key == "many_too_many"


def test_a_lying_zip_costs_no_more_than_one_photo(awake, tmp_path):
    """An entry that says it is small and is not: reading stops, the photo is refused."""
    archive = packed(tmp_path / "liar.zip", [("a.png", os.urandom(300_000))])
    data = bytearray(archive.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, place + 24, 100)
    archive.write_bytes(data)
    batch = batch_of(awake, [archive])
    assert batch.state == "done" and len(batch.refused) == 1


def test_batches_wait_their_turn_and_too_many_are_turned_away(asleep, photo):
    worker = batches.Batches(asleep)  # the painter sleeps: the first batch waits for it
    first = worker.begin([photo])
    until(lambda: first.state == "painting")
    waiting = [worker.begin([photo]) for _ in range(batches.MOST_WAITING)]
    assert worker.before(first) == 0 and worker.before(waiting[-1]) == batches.MOST_WAITING
    with pytest.raises(batches.BadBatch) as refusal:
        worker.begin([photo])
    assert refusal.value.key == "many_busy"
    worker.stop(waiting[0])
    assert waiting[0].state == "stopped" and worker.before(waiting[-1]) == batches.MOST_WAITING - 1
    waiting.append(worker.begin([photo]))  # its place is free
    asleep.loading.set_result(Negative())
    until(lambda: waiting[-1].ended)
    assert [each.state for each in (first, *waiting)] == ["done", "stopped"] + ["done"] * batches.MOST_WAITING
    assert waiting[0].done == 0


def test_who_stops_a_batch_that_waits_may_begin_another_at_once(asleep, photo):
    with gr.Blocks() as page:
        many_tab(asleep, gr.Dropdown())
    begin, look, stop = (next(each.fn for each in page.fns.values() if each.fn and each.fn.__name__ == name)
                         for name in ("begin", "look", "stop"))
    given = [{"path": str(photo)}], "bloom", "512", "broad", None
    first, second = (next(value for each, value in begin(*given).items() if isinstance(each, gr.BrowserState)) for _ in "ab")
    stop(second)
    shown = {each.elem_id: value for each, value in look(second, -1).items()}
    assert shown["many-start"]["visible"] and not shown["many-cancel"]["visible"] and "Stopped; 0 of 1" in shown["many-said"]
    asleep.loading.set_result(Negative())
    start = next(each for each in look(first, -1) if each.elem_id == "many-start")
    until(lambda: look(first, -1)[start]["visible"])


def test_batches_that_were_stopped_are_not_remembered_without_end(asleep, photo, monkeypatch):
    monkeypatch.setattr(batches, "MOST_BATCHES", 5)
    worker = batches.Batches(asleep)
    first = worker.begin([photo])
    until(lambda: first.state == "painting")
    for _ in range(20):
        worker.stop(worker.begin([photo]))
    assert len(worker.batches) <= 5 and worker.get(first.key) is first
    asleep.loading.set_result(Negative())
    until(lambda: first.ended)


def test_a_batch_ends_before_its_zip_fills_the_cache(awake, photo, monkeypatch):
    monkeypatch.setattr(batches, "MOST_PACKED_BYTES", 1)
    batch = batch_of(awake, [photo, photo, photo])
    assert batch.state == "stopped" and batch.done == 1 and batch.refused == [batches.PACKED_FULL]
    assert "lang" in words.refusal(batches.PACKED_FULL)  # in both languages
    with zipfile.ZipFile(batch.zip) as archive:  # what was done can be taken home
        assert len(archive.namelist()) == 3


def test_a_batch_that_was_asked_to_stop_says_so_until_it_does(asleep, photo):
    batch = batches.Batches(asleep).begin([photo, photo])
    until(lambda: batch.state == "painting")
    assert "to go" in report(batch, 0)
    batch.cancel.set()
    assert "0 of 2; it stops after this photo" in report(batch, 0)
    asleep.loading.set_result(Negative())
    until(lambda: batch.ended)
    assert "Stopped;" in report(batch, 0)


def test_a_batch_of_paintings_freezes_and_its_words_say_so(asleep, photo):
    worker = batches.Batches(asleep)
    first, second = worker.begin([photo], direction="frost"), worker.begin([photo], direction="frost")
    until(lambda: first.state == "painting")
    assert "Batches before this one: 1." in report(second, 1)
    worker.stop(first)
    assert "after this painting" in report(first, 0)
    asleep.loading.set_result(Negative())
    until(lambda: second.ended)
    assert "1 of 1 paintings froze" in report(second, 0) and "1 幅画中 1 幅已凝霜" in report(second, 0)
    first.state = "stopped"
    assert "paintings had frozen" in report(first, 0)


def test_a_batch_is_kept_for_an_hour_after_its_end_however_long_it_waited(asleep, photo, monkeypatch):
    """The clock of batches goes two hours ahead while one is under way; what it has still to paint is not swept meanwhile."""
    worker = batches.Batches(asleep)
    first, second = worker.begin([photo]), worker.begin([photo])
    until(lambda: first.state == "painting")
    os.utime(photo, (1, 1))
    real, ahead = time.monotonic, [2 * batches.BATCH_SECONDS]
    monkeypatch.setattr(batches.time, "monotonic", lambda: real() + ahead[0])
    third = worker.begin([photo])
    assert not first.cancel.is_set() and all(worker.get(each.key) is each for each in (first, second, third))
    asleep.loading.set_result(Negative())
    until(lambda: third.ended)
    assert time.time() - photo.stat().st_mtime < 60
    ahead[0] *= 2
    fourth = worker.begin([photo])
    assert worker.get(first.key) is None and worker.get(fourth.key) is fourth
    until(lambda: fourth.ended)


def test_what_a_batch_has_painted_outlives_the_sweeps_while_it_runs(awake, cache, photo, tmp_path, monkeypatch):
    """An hour and more passes at each photo, and the cache is swept before the next."""
    paint_one = batches.paint_one

    def slow(batch, *more):
        sweep(cache)
        row = paint_one(batch, *more)
        for path in files_in(cache):
            os.utime(path, (1, 1))
        return row
    monkeypatch.setattr(batches, "paint_one", slow)
    (tmp_path / "bad.jpg").write_text("no picture")  # nothing is written to the zip meanwhile
    batch = batch_of(awake, [photo, tmp_path / "bad.jpg", photo])
    assert batch.state == "done" and len(batch.shown) == 2 and all(Path(path).is_file() for path, _ in batch.shown)
    with zipfile.ZipFile(batch.zip) as archive:
        assert len(archive.namelist()) == 5


def test_a_tab_whose_batch_is_gone_says_so_and_may_begin_anew(awake, photo):
    with gr.Blocks() as page:
        many_tab(awake, gr.Dropdown())
    looks = {each.fn.__name__: each.fn for each in page.fns.values() if each.fn}
    shown = {each.elem_id or type(each).__name__: value for each, value in looks["look"]("gone", 3).items()}
    assert shown == {"many-said": f'<p role="status">{words.both("many_gone")}</p>', "BrowserState": [], "State": 0,
                     "many-start": gr.update(visible=True), "many-cancel": gr.update(visible=False),
                     "Timer": gr.update(active=False)}
    for nothing in ("", []):  # to say: nothing was begun, or it was said before
        assert {type(each).__name__ for each in looks["look"](nothing, 3)} == {"Timer", "State"}
    begun = looks["begin"]([{"path": str(photo)}], "bloom", "512", "broad", None)
    key = next(value for each, value in begun.items() if isinstance(each, gr.BrowserState))
    assert key and not any(isinstance(each, gr.BrowserState) for each in looks["look"](key, -1))
    start = next(each for each in begun if each.elem_id == "many-start")
    until(lambda: looks["look"](key, -1)[start]["visible"])  # or its worker would write into the next test's cache


# the cache


def test_what_a_page_that_was_killed_has_left_is_deleted_by_the_next_one(tmp_path):
    def folder(name, age):
        (tmp_path / name / "cache").mkdir(parents=True)
        (tmp_path / name / "cache" / "photo.jpg").touch()
        (tmp_path / name / HELD).touch()
        os.utime(tmp_path / name / HELD, (time.time() - age,) * 2)
        return tmp_path / name
    left, young, others = folder("rime2flower-a", 1000), folder("rime2flower-b", 1), folder("elsewhere", 1000)
    (tmp_path / "rime2flower-mine").mkdir()  # no page's
    (tmp_path / "rime2flower-link").symlink_to(others)
    alive, own = folder("rime2flower-c", 1000), folder("rime2flower-d", 0)
    with held(alive):
        os.utime(alive / HELD, (1, 1))
        with held(own):
            assert not left.exists()
            assert all(path.is_dir() for path in (young, others / "cache", tmp_path / "rime2flower-mine", alive / "cache", own))


def test_the_cache_is_bounded_by_age_and_by_size(tmp_path):
    folder, now = tmp_path / "cache", time.time()
    for number in range(10):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "picture.png").write_bytes(b"x" * 1000)
        os.utime(folder / str(number) / "picture.png", (now - 1000 * number,) * 2)
    own = frozenset({folder / "9" / "picture.png"})
    assert sweep(folder, own, most_bytes=4000, most_seconds=6500) == 4000
    assert {path.parent.name for path in files_in(folder)} == {"0", "1", "2", "3", "9"}
    assert not (folder / "7").exists()
    assert sweep(folder, own, most_bytes=600, most_seconds=6500) == 0 or files_in(folder)  # the youngest may be in use …
    os.utime(folder / "0" / "picture.png", (now, now))
    assert files_in(folder) >= own


# how it reads


def test_every_word_is_there_in_both_languages():
    for key, pair in (words.WORDS | words.SENTENCES).items():
        assert len(pair) == 2 and all(pair), key
        assert set(re.findall(r"{(\w+)}", pair[0])) == set(re.findall(r"{(\w+)}", pair[1])), key
        assert re.search("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]", pair[1]), key  # letters, or at least signs
    for each in words.REFUSALS:
        assert set(re.findall(r"{(\w+)}", each[1])) == set(re.findall(r"{(\w+)}", each[0])), each
    assert set(words.I18N.translations_dict) == {"en", "zh", "zh-CN", "zh-TW"}
    used = set(re.findall(r'(?:\bt|both)\("(\w+)"', "".join(path.read_text() for path in (ROOT / "r2f" / "ui").glob("*.py"))))
    assert used <= set(words.WORDS | words.SENTENCES)


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
