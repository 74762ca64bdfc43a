"""The page as a person meets it: in a browser, on a server started with `python app.py`."""

import io
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect

from r2f.drawn import rime
from r2f.images import list_pictures
from r2f.ui.bloom_tab import READY, WAKING

SECONDS = 1000  # Playwright counts milliseconds
FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = list_pictures(FOLDER) if FOLDER.is_dir() else []
needs_examples = pytest.mark.skipif(not EXAMPLES, reason="the folder examples/ holds no pictures")


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A JPEG of odd size, stored lying on its side as phones do: 601 × 401 in the file, 401 × 601 upright."""
    path = tmp_path_factory.mktemp("photos") / "hoar frost.jpg"
    upright = Image.fromarray(rime(7, (601, 401)))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=90, exif=exif)
    return path


def upload(page, path):
    page.locator("#photo input[type=file]").set_input_files(path)
    expect(page.locator("#photo img")).to_be_visible(timeout=30 * SECONDS)


def expect_paintings(page):
    for name in ("flower", "again"):
        expect(page.locator(f"#{name} img")).to_be_visible(timeout=60 * SECONDS)
        page.wait_for_function("name => document.querySelector(`#${name} img`).naturalWidth > 0", arg=name)


def shown_size(page, name):
    return page.evaluate("name => { const i = document.querySelector(`#${name} img`); "
                         "return [i.naturalWidth, i.naturalHeight]; }", name)


def count_blooms(page):
    blooms = []
    page.on("request", lambda request: blooms.append(request) if "/queue/join" in request.url else None)
    return blooms


def test_first_page_answers_within_eight_seconds_and_the_painter_wakes_up(server, open_page, screenshot):
    page = open_page()
    expect(page.locator("#note .html-container")).to_have_text(WAKING)
    print(f"\nfirst page after {server.first_page_seconds:.1f} s")
    screenshot(page, "waking")
    expect(page.locator("#note .html-container")).to_have_text(READY, timeout=90 * SECONDS)
    assert server.first_page_seconds <= 8


def test_a_photo_blooms_and_freezes_back_in_its_own_size(open_page, photo, screenshot):
    page = open_page()
    upload(page, photo)
    page.get_by_role("button", name="Bloom", exact=True).click()
    expect_paintings(page)
    assert shown_size(page, "photo") == shown_size(page, "flower") == shown_size(page, "again") == [401, 601]
    for name in ("photo", "flower", "again"):
        assert page.locator(f"#{name} img").get_attribute("alt")
    tops = [page.locator(f"#{name} img").bounding_box()["y"] for name in ("photo", "flower", "again")]
    assert max(tops) - min(tops) < 2  # side by side
    page.wait_for_timeout(2 * SECONDS)  # until the painting has opened
    screenshot(page, "bloom-1440")

    with page.expect_download() as download:
        page.locator("#flower").get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "hoar frost-flower.png"
    flower = Image.open(download.value.path())
    assert (flower.format, flower.size) == ("PNG", (401, 601))


def test_an_unreadable_file_gets_its_sentence_and_the_page_goes_on(open_page, photo, tmp_path, screenshot):
    page = open_page()
    notes = tmp_path / "notes.jpg"
    notes.write_text("not a picture")
    upload(page, notes)
    page.locator("#bloom").click()
    expect(page.get_by_text("notes.jpg is damaged or not a picture; please choose a JPEG")).to_be_visible()
    expect(page.locator(".toast-title")).to_have_css("font-size", "0px")  # Gradio's heading, "Error"
    screenshot(page, "unreadable")
    page.get_by_role("button", name="Remove Image").click()
    upload(page, photo)
    page.locator("#bloom").click()
    expect_paintings(page)


def test_bloom_without_a_photo_asks_for_one(open_page):
    page = open_page()
    page.locator("#bloom").click()
    expect(page.get_by_text("Please choose a photo of rime first")).to_be_visible()


@needs_examples
def test_an_example_blooms_at_once_and_only_once(open_page, screenshot):
    page = open_page(width=1024, height=900)
    blooms = count_blooms(page)
    expect(page.locator("#examples button")).to_have_count(len(EXAMPLES))
    page.locator("#examples button").first.dblclick()
    expect_paintings(page)
    page.wait_for_timeout(1500)
    assert len(blooms) == 1
    screenshot(page, "example-1024")


@needs_examples
def test_the_page_can_be_used_with_the_keyboard_alone(open_page):
    page = open_page()
    expect(page.locator("#examples button").first).to_have_attribute("aria-label", "Example photo 1")
    focused = []
    while "Example photo 1" not in focused and len(focused) < 20:
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
    assert focused[-1] == "Example photo 1" and "Bloom" in focused
    page.keyboard.press("Enter")
    expect_paintings(page)
    assert page.evaluate("document.activeElement.ariaLabel") == "Example photo 1"


def test_another_photo_takes_the_old_painting_down(open_page, photo):
    page = open_page()
    upload(page, photo)
    page.locator("#bloom").click()
    expect_paintings(page)
    page.get_by_role("button", name="Remove Image").click()
    expect(page.locator("#flower img")).to_have_count(0)
    expect(page.locator("#again img")).to_have_count(0)


def test_on_a_phone_the_pictures_stack_and_nothing_scrolls_sideways(open_page, photo, screenshot):
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    upload(page, photo)
    page.locator("#bloom").click()
    expect_paintings(page)
    page.wait_for_timeout(2 * SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    places = [page.locator(selector).bounding_box() for selector in ("#photo", "#bloom", "#flower", "#again")]
    for above, below in zip(places, places[1:], strict=False):
        assert above["y"] + above["height"] <= below["y"]
    screenshot(page, "bloom-390")


def test_dark_mode_is_dark(open_page, screenshot):
    page = open_page(color_scheme="dark")
    expect(page.locator("#note .html-container")).to_be_visible()
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L").resize((1, 1))
    assert picture.getpixel((0, 0)) < 60
    screenshot(page, "dark")


def test_the_api_blooms_and_refuses_politely(server, photo, tmp_path):
    client = Client(server.url, verbose=False, download_files=str(tmp_path))
    flower, again = client.predict(handle_file(photo), api_name="/bloom")
    for path in (flower, again):
        picture = Image.open(path)
        assert (picture.format, picture.size) == ("PNG", (401, 601))
    notes = tmp_path / "notes.jpg"
    notes.write_text("not a picture")
    with pytest.raises(AppError, match="notes.jpg is damaged or not a picture"):
        client.predict(handle_file(notes), api_name="/bloom")


def test_the_api_never_blooms_a_file_of_the_server(server, photo):
    api = f"{server.url}gradio_api"

    def answer(path):
        call = {"data": [{"path": str(path), "meta": {"_type": "gradio.FileData"}}]}
        event = httpx.post(f"{api}/call/bloom", json=call).json()["event_id"]
        return httpx.get(f"{api}/call/bloom/{event}", timeout=60).text

    uploaded = httpx.post(f"{api}/upload", files={"files": photo.open("rb")}).json()[0]
    assert "event: complete" in answer(uploaded)
    for path in (photo, Path(__file__).parents[2] / "docs" / "sheet.jpg"):  # pictures, which nobody uploaded
        assert "event: error" in answer(path)


def test_a_page_without_a_pair_says_why(serve, open_page, tmp_path):
    server = serve(tmp_path / "nothing", tmp_path)
    page = open_page(server.url)
    sentence = "The painter can't wake up: nothing is not a pair: it has no pair.json."
    expect(page.locator("#note .html-container")).to_have_text(sentence, timeout=30 * SECONDS)
