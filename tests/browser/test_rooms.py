"""The other rooms of the page, its doors, and a crowd: in a browser and over HTTP, on a server started with `python app.py`."""

import csv
import io
import json
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from r2f.drawn import rime

SECONDS = 1000  # Playwright counts milliseconds
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> list[Path]:
    """Twelve files, two of which are no pictures."""
    folder, photo = tmp_path_factory.mktemp("batch"), Image.fromarray(rime(5, 96))
    for number in range(10):
        photo.rotate(9 * number).save(folder / f"twig-{number}.jpg")
    (folder / "notes.jpg").write_text("not a picture")
    (folder / "half.jpg").write_bytes((folder / "twig-1.jpg").read_bytes()[:700])
    return sorted(folder.iterdir())


def enter(page, room):
    page.get_by_role("tab", name=room).click()


def send(page, files):
    page.locator("#many-files input[type=file]").set_input_files(files)
    expect(page.locator("#many-files")).to_contain_text(files[0].name[:4], timeout=30 * SECONDS)
    page.locator("#many-start").click()


def download(page, button) -> bytes:
    with page.expect_download() as taken:
        page.locator(button).click()
    return taken.value.path().read_bytes()


def test_back_forward_a_reload_and_a_link_lead_to_a_room(open_page):
    page = open_page()

    def expect_in(room, fragment):
        expect(page.get_by_role("tab", name=room, exact=True)).to_have_attribute("aria-selected", "true", timeout=30 * SECONDS)
        page.wait_for_function("(fragment) => location.hash === fragment", arg=fragment)

    expect_in("Bloom", "")
    for room, fragment in (("Train", "#train"), ("Many photos", "#many"), ("About", "#about"), ("Bloom", ""), ("Live", "#live")):
        enter(page, room)
        expect_in(room, fragment)
        # What is said of photos below the rooms is not so of those that a training learns from, and About says it already.
        expect(page.locator("#colophon")).to_be_visible(visible=room not in ("Train", "About"))
    page.go_back()
    expect_in("Bloom", "")
    page.go_back()
    expect_in("About", "#about")
    page.reload()
    expect_in("About", "#about")
    page.go_back()
    expect_in("Many photos", "#many")
    page.go_forward()
    expect_in("About", "#about")
    page.goto(page.url.partition("#")[0] + "#many")
    expect_in("Many photos", "#many")
    page.goto(page.url.partition("#")[0] + "#nowhere")
    expect(page.get_by_role("tab", selected=True)).to_have_text("Many photos")


def test_a_batch_of_twelve_with_two_bad_files_survives_a_reload_and_goes_home(open_page, batch, screenshot):
    page = open_page()
    enter(page, "Many photos")
    send(page, batch)
    expect(page.locator("#many-said [role=progressbar]")).to_have_attribute("aria-valuemax", "12", timeout=30 * SECONDS)
    page.reload()  # the worker goes on; the page finds back to it
    enter(page, "Many photos")
    expect(page.locator("#many-said")).to_contain_text("10 of 12 photos bloomed", timeout=60 * SECONDS)
    for name in ("notes.jpg is damaged or not a picture", "half.jpg is damaged or incomplete"):
        expect(page.locator("#many-said")).to_contain_text(name)
    expect(page.locator("#many-gallery button.thumbnail-item")).to_have_count(10)
    screenshot(page, "many-1440")
    with zipfile.ZipFile(io.BytesIO(download(page, "#many-zip"))) as archive:
        names = archive.namelist()
        assert len(names) == 21 and "twig-0-flower.png" in names and "twig-0-rime-again.png" in names
        with Image.open(io.BytesIO(archive.read("twig-3-flower.png"))) as flower:
            assert flower.size == (96, 96)
    rows = list(csv.DictReader(io.StringIO(download(page, "#many-csv").decode("utf-8-sig"))))
    assert len(rows) == 12 and sum(bool(row["said"]) for row in rows) == 2
    assert all(0 < float(row["structure"]) <= 1 for row in rows if not row["said"])


def test_a_batch_stops_when_asked_and_what_was_done_can_be_taken_home(open_page, tmp_path, screenshot):
    photo, files = Image.fromarray(rime(6, 320)).resize((1600, 1200)), []
    for number in range(30):
        files.append(tmp_path / f"twig-{number}.jpg")
        photo.save(files[-1])
    packed = tmp_path / "twigs.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in files:
            archive.write(file, f"album/{file.name}")
    page = open_page()
    enter(page, "Many photos")
    send(page, [packed])
    expect(page.locator("#many-gallery button.thumbnail-item").first).to_be_visible(timeout=60 * SECONDS)
    screenshot(page, "many-running")
    page.locator("#many-cancel").click()
    expect(page.locator("#many-said")).to_contain_text("Stopped;", timeout=30 * SECONDS)
    with zipfile.ZipFile(io.BytesIO(download(page, "#many-zip"))) as archive:
        assert 3 <= len(archive.namelist()) < 61
    expect(page.locator("#many-start")).to_be_visible()


def test_paintings_freeze_in_many_photos_and_it_says_so_whatever_is_chosen_next(open_page, batch):
    page = open_page()
    enter(page, "Many photos")
    page.locator("#many").get_by_role("button", name="Finer settings").click()
    page.locator("#many").get_by_text("A painting freezes").click()
    expect(page.locator("#many-start")).to_have_text("Let them freeze")
    expect(page.locator("#many-files > label")).to_contain_text("Drop up to 50 paintings here")
    send(page, batch[-2:])
    page.locator("#many").get_by_text("A photo blooms").click()
    expect(page.locator("#many-said")).to_contain_text("2 of 2 paintings froze", timeout=60 * SECONDS)
    expect(page.locator("#many-zip")).to_have_text("All pictures of rime · ZIP")
    expect(page.locator("#many-gallery > label")).to_contain_text("What they froze into")
    expect(page.locator("#many-start")).to_have_text("Let them bloom")


def test_a_zip_that_leads_out_of_itself_is_refused_in_a_sentence(open_page, tmp_path):
    packed = tmp_path / "away.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../twig.jpg", b"no matter")
    page = open_page()
    enter(page, "Many photos")
    send(page, [packed])
    expect(page.get_by_text("away.zip has an entry whose name leads out of it")).to_be_visible()


def files_of(server) -> set[Path]:
    return {path for path in server.cache.rglob("*") if path.is_file()}


def test_live_shows_what_the_camera_sees_in_bloom_and_how_fast(open_page, server, screenshot):
    page = open_page()
    enter(page, "Live")
    before = files_of(server)
    page.locator("#live-start").click()
    page.wait_for_function("document.querySelector('#live-said').dataset.rate", timeout=60 * SECONDS)
    page.wait_for_timeout(3 * SECONDS)
    size = page.evaluate("(() => { const c = document.querySelector('#live canvas'); return [c.width, c.height]; })()")
    print(f"\nlive: {page.locator('#live-said').get_attribute('data-rate')} frames a second at {size}, with a tiny pair")
    assert max(size) == 256
    data = page.evaluate("document.querySelector('#live canvas').toDataURL('image/png').length")
    assert data > 10_000  # not one colour
    screenshot(page, "live-1440")
    page.locator("#live-stop").click()
    expect(page.locator("#live-said")).to_have_text("The camera is closed.")
    assert not page.evaluate("document.querySelector('#live video').srcObject")
    assert files_of(server) == before  # nothing that the camera saw reached the disk


@pytest.fixture
def slow_camera(open_page):
    """slow_camera() opens the page, whose cameras come only after a second; `streams` holds them."""
    def slow_camera():
        page = open_page()
        page.evaluate("""() => {
          const media = navigator.mediaDevices, get = media.getUserMedia.bind(media);
          window.streams = [];
          media.getUserMedia = async (wanted) => {
            await new Promise((done) => setTimeout(done, 1000));
            const stream = await get(wanted);
            window.streams.push(stream);
            return stream;
          };
        }""")
        enter(page, "Live")
        return page
    return slow_camera


STATES = "window.streams.flatMap((stream) => stream.getTracks().map((track) => track.readyState))"


def test_a_double_click_opens_one_camera_and_closing_it_leaves_none_on(slow_camera):
    page = slow_camera()
    page.locator("#live-start").dblclick()
    page.locator("#live-stop").click()
    page.wait_for_timeout(1500)  # in which a second one would come
    assert page.evaluate(STATES) == ["ended"]
    page.locator("#live-start").click()  # and again
    page.wait_for_function(f"{STATES}.includes('live')")
    expect(page.locator("#live-stop")).to_be_visible()


def test_a_camera_that_comes_after_its_room_was_left_is_closed(slow_camera):
    page = slow_camera()
    page.locator("#live-start").click()
    enter(page, "About")
    page.wait_for_function("window.streams.length > 0")
    page.wait_for_function(f"{STATES}.every((state) => state === 'ended')")
    enter(page, "Live")
    expect(page.locator("#live-said")).to_have_text("The camera is closed.")
    expect(page.locator("#live-start")).to_be_visible()


def test_a_camera_closes_when_its_room_is_left(slow_camera):
    page = slow_camera()
    page.locator("#live-start").click()
    page.wait_for_function(f"{STATES}.includes('live')")
    expect(page.locator("#live-stop")).to_be_visible()
    enter(page, "About")
    page.wait_for_function(f"{STATES}.every((state) => state === 'ended')")
    enter(page, "Live")
    expect(page.locator("#live-start")).to_be_visible()


def test_frames_are_passed_over_rather_than_queued(server):
    file = io.BytesIO()
    Image.fromarray(rime(4, 256)).save(file, "JPEG")
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: httpx.post(f"{server.url}live", content=file.getvalue(), timeout=60,
                                                      headers={"content-type": "image/jpeg"}).status_code, range(24)))
    assert set(answers) <= {200, 204} and 200 in answers
    for body, kind, status in ((b"x", "image/jpeg", 422), (b"x" * 300_000, "image/jpeg", 413), (b"x", "text/plain", 415)):
        assert httpx.post(f"{server.url}live", content=body, headers={"content-type": kind}).status_code == status


def test_about_says_how_it_works_and_what_it_does_badly(open_page, screenshot):
    page = open_page()
    enter(page, "About")
    for words in ("The idea", "Believed by the critics", "What it does badly", "CycleGAN"):
        expect(page.locator("#about")).to_contain_text(words)
    screenshot(page, "about-1440")


def test_the_page_serves_only_files_it_made_on_purpose(server, pair):
    """P11. Each probe in several spellings; a file that a visitor uploaded shows that the question was asked rightly."""
    api = f"{server.url}gradio_api"
    file = io.BytesIO()
    Image.fromarray(rime(4, 64)).save(file, "PNG")
    uploaded = httpx.post(f"{api}/upload", files={"files": ("twig.png", file.getvalue())}).json()[0]
    assert httpx.get(f"{api}/file={uploaded}").status_code == 200
    link = Path(uploaded).with_name("link.png")
    link.symlink_to("/etc/passwd")
    cache = server.cache
    secrets = [ROOT / "app.py", ROOT / ".git" / "config", ROOT / ".gitignore", pair / "pair.json", server.log,
               ROOT / "checkpoints" / "lite" / "pair.json", ROOT / "runs" / "other" / "status.json", Path("/etc/passwd"),
               Path("/proc/self/environ"), Path("/proc/self/cmdline"), Path(f"/proc/{server.process.pid}/environ"),
               Path.home() / ".ssh" / "id_rsa"]
    probes = [*map(str, secrets), *(f"{cache}/{'../' * depth}etc/passwd" for depth in (1, 3, 8, 20)),
              f"{cache}/..%2f..%2f..%2f..%2fetc/passwd", f"{cache}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
              "../app.py", "app.py", ".git/config", "..%2fapp.py", "%2e%2e/app.py", "....//app.py", "/etc//passwd",
              "//etc/passwd", "file:///etc/passwd", "/dev/fd/0", str(cache), f"{cache}/", "http://127.0.0.1:1/", "https://example.org/",
              "HTTP://example.org/", str(link)]
    routes = ("gradio_api/file=", "file=", "gradio_api/file/", "gradio_api/proxy=", "static/", "assets/", "theme.css/", "upload/")
    refused = 0
    with httpx.Client() as client:
        for probe in probes:
            for route in routes:
                request = client.build_request("GET", server.url)
                request.url = request.url.copy_with(raw_path=f"/{route}{probe}".encode())
                answer = client.send(request)
                assert answer.status_code >= 400, (route, probe)
                assert b"root:" not in answer.content and b"PATH=" not in answer.content
                refused += 1
    print(f"\n{refused} probes refused")


def bloom_over_http(client, api, uploaded) -> str:
    call = {"data": [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "512", "broad", 100, ""]}
    event = client.post(f"{api}/call/bloom", json=call).json()["event_id"]
    return client.get(f"{api}/call/bloom/{event}").text


def test_who_waits_is_told_the_place_in_the_queue(open_page, server, tmp_path):
    photo = Image.fromarray(rime(6, 320)).resize((1500, 1125))
    photo.save(tmp_path / "large.jpg")
    api, page = f"{server.url}gradio_api", open_page()
    uploaded = httpx.post(f"{api}/upload", files={"files": (tmp_path / "large.jpg").open("rb")}, timeout=60).json()[0]
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "large.jpg")
    expect(page.locator("#photo img")).to_be_visible(timeout=30 * SECONDS)
    call = {"data": [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}, "full", "broad", 100, ""]}
    for _ in range(6):
        httpx.post(f"{api}/call/bloom", json=call)
    page.locator("#bloom").click()
    expect(page.locator("#wait")).to_contain_text("before you", timeout=20 * SECONDS)
    expect(page.locator("#flower img")).to_be_visible(timeout=60 * SECONDS)
    expect(page.locator("#wait")).to_have_text("")


def crowd(server, clients: int, blooms: int) -> tuple[int, float]:
    """So many clients bloom so many different photos at once; how many failed, and the seconds."""
    api, failures, lock = f"{server.url}gradio_api", 0, threading.Lock()
    photo = rime(11, 72)

    def visit(number):
        nonlocal failures
        with httpx.Client(timeout=120) as client:
            for turn in range(blooms):
                own = photo.copy()
                own[0, 0] = number, turn, 0
                file = io.BytesIO()
                Image.fromarray(own).save(file, "PNG")
                sent = {"files": (f"twig-{number}-{turn}.png", file.getvalue())}
                uploaded = client.post(f"{api}/upload", files=sent).json()[0]
                answer = bloom_over_http(client, api, uploaded)
                good = "event: complete" in answer and len(json.loads(answer.split("data: ")[-1])) == 2
                with lock:
                    failures += not good

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as visitors:
        list(visitors.map(visit, range(clients)))
    return failures, time.monotonic() - started


def test_two_hundred_blooms_from_twenty_clients_at_once(server):
    """P13."""
    crowd(server, 20, 4)  # until everything that is made once has been made
    before, files_before = server.resident_megabytes, sum(path.stat().st_size for path in files_of(server))
    failures, seconds = crowd(server, 20, 10)
    growth = server.resident_megabytes - before
    files = sum(path.stat().st_size for path in files_of(server)) - files_before
    print(f"\n200 blooms from 20 clients in {seconds:.1f} s: {failures} errors, {growth:.1f} MB more memory, "
          f"{files / 1e6:.1f} MB more in the cache")
    assert failures == 0 and growth < 50
