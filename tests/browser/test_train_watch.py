"""The train room in a browser: a training is started, watched, killed, resumed, finished and bloomed with, by real processes."""

import contextlib
import io
import os
import re
import signal
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from r2f import config, drawn, runner
from r2f.run import Run, read_json, write_json
from tests.standin import COMMAND
from tests.test_runner import until
from tests.tiny import TINY

SECONDS = 1000  # Playwright counts milliseconds
LONG = 240 * SECONDS  # a trainer loads TensorFlow, perhaps beside other work
EARLIER = "earlier"  # a run whose configuration is taken over


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder for runs, with one that failed; whatever trains in it at the end is ended."""
    folder = tmp_path_factory.mktemp("room") / "runs"
    pictures = folder.parent
    for name, draw in (("rime", drawn.rime), ("flowers", drawn.flower)):
        for part in ("train", "test"):
            (pictures / f"{name}-{part}").mkdir()
            for number in range(8):
                Image.fromarray(draw(20 * (part == "test") + number, 48)).save(pictures / f"{name}-{part}" / f"{number}.png")
    settings = config.preset("lite", **TINY | dict(steps=100_000, sample_steps=10, evaluate_steps=0, seed=3,
                                                     checkpoint_minutes=50.0),
                             rime=f"{pictures}/rime-train", flowers=f"{pictures}/flowers-train",
                             rime_test=f"{pictures}/rime-test", flowers_test=f"{pictures}/flowers-test")
    run = Run(folder / EARLIER)
    run.path.mkdir(parents=True)
    run.lock.touch()
    run.config.write_text(settings.to_json())
    run.write_status(state="failed", step=0, total_steps=100_000, reason="a test", exit_code=1, started=1.0)
    yield folder
    for each in runner.runs(folder):
        if each.running:
            assert runner.stop(each.run) != "still running"


@pytest.fixture(scope="module")
def room(browser, pair, root, tmp_path_factory):
    """Servers of one page that follow each other: room.now is the present one, room.restart() replaces it."""
    from tests.browser.conftest import Server
    folder = tmp_path_factory.mktemp("server")

    class Room:
        now = Server(pair, folder, "--runs", str(root))

        def restart(self):
            assert self.now.stop() == 0, self.now.log.read_text()
            Room.now = Server(pair, folder, "--runs", str(root), port=self.now.port)

    room = Room()
    yield room
    assert room.now.stop() == 0, room.now.log.read_text()


@pytest.fixture(scope="module")
def server(room):
    """What `open_page` would open by itself."""
    return room.now


@pytest.fixture
def enter(open_page, room):
    """enter(query="?run=") opens the page in the train room, in a fresh profile."""
    def enter(query="?run=", **how):
        page = open_page(room.now.url + query, **how)
        expect(page.locator("#watch-list a").first).to_be_visible(timeout=60 * SECONDS)
        return page
    return enter


def step_of(page) -> int:
    return int(page.locator("#watch [role=progressbar]").get_attribute("aria-valuenow"))


def advances(page, beyond: int | None = None):
    """Wait until the page shows a later step."""
    before = step_of(page) if beyond is None else beyond
    page.wait_for_function("before => Number(document.querySelector('#watch [role=progressbar]')?.ariaValueNow) > before",
                           arg=before, timeout=LONG)


def says(page, words, timeout=LONG):
    expect(page.locator("#watch-state")).to_contain_text(words, timeout=timeout, use_inner_text=True)


def state(page, word, timeout=LONG):
    expect(page.locator("#watch h2 .state")).to_have_class(re.compile(rf"\b{word}\b"), timeout=timeout)


def take_home(page, button) -> tuple[str, bytes]:
    with page.expect_download(timeout=LONG) as taken:
        page.locator(button).click()
    return taken.value.suggested_filename, taken.value.path().read_bytes()


def test_a_training_from_its_start_to_a_bloom_with_it(enter, room, root, screenshot, tmp_path):
    page = enter(f"?run={EARLIER}", forgives="net::ERR_")  # the server will be away for a while
    says(page, "Failed at step 0, no checkpoint. A test. Exit code 1")
    page.locator("#watch-clone").click()
    name = page.locator("#start-name input, #start-name textarea").first
    expect(name).to_have_value(f"{EARLIER}-1", timeout=60 * SECONDS)
    page.locator("#start-go").click()
    run = Run(root / f"{EARLIER}-1")
    expect(page.locator("#watch h2")).to_contain_text(f"{EARLIER}-1", timeout=LONG)  # chosen by itself
    assert page.url.endswith(f"/?run={EARLIER}-1#train")
    kept = read_json(run.path.with_name(EARLIER) / "config.json")
    state(page, "training")
    assert {name: value for name, value in read_json(run.config).items() if kept[name] != value} == {"run": str(run.path)}

    # it advances, and samples appear
    advances(page, beyond=12)
    expect(page.locator("#watch-sheet img").first).to_be_visible(timeout=LONG)
    page.wait_for_function("document.querySelector('#watch-sheet img').naturalWidth === 6 * 32", timeout=LONG)
    expect(page.locator("#watch-losses path.line")).to_have_count(4, timeout=LONG)
    page.locator("#watch-losses .series button").first.click()
    expect(page.locator("#watch-losses path.line")).to_have_count(5)
    expect(page.locator("#watch-facts")).to_contain_text("Disk left")

    # asked for now
    assert not runner.checkpoints(run)  # the first one by the clock comes later
    page.locator("#watch-save").click()
    until(lambda: runner.checkpoints(run), 200)
    expect(page.locator("#watch-facts")).to_contain_text("Saved at step", timeout=60 * SECONDS)
    for _ in range(4):  # a step may happen to be one that has a sheet anyway
        page.locator("#watch-sample").click()
        with contextlib.suppress(AssertionError):
            until(lambda: any(step % 10 for step, _ in runner.samples(run)), 60)
            break
    assert any(step % 10 for step, _ in runner.samples(run))

    # the slider follows the newest sheet unless it was moved
    page.locator("#watch-step").fill("0")
    expect(page.locator("#watch-step-said")).to_have_text("step 10")
    count = int(page.locator("#watch-step").get_attribute("max"))
    page.wait_for_function("count => Number(document.querySelector('#watch-step').max) > count", arg=count, timeout=LONG)
    expect(page.locator("#watch-step-said")).to_have_text("step 10")
    page.locator("#watch-step").press("End")
    expect(page.locator("#watch-step-said")).to_contain_text("the newest")

    # a reload and another browser show the same
    page.reload()
    expect(page.locator("#watch h2")).to_contain_text(f"{EARLIER}-1", timeout=60 * SECONDS)
    advances(page)
    expect(page.locator("#watch-sheet img").first).to_be_visible(timeout=LONG)
    count = int(page.locator("#watch-step").get_attribute("max"))
    page.wait_for_function("count => Number(document.querySelector('#watch-step').max) > count", arg=count, timeout=LONG)
    expect(page.locator("#watch-step-said")).to_contain_text("the newest")
    other = enter("?run=")
    expect(other.locator("#watch h2")).to_contain_text(f"{EARLIER}-1", timeout=60 * SECONDS)
    screenshot(other, "train-1440")
    other.context.close()

    # the page goes and comes back; the training goes on, and the open tab finds back by itself
    before, pid = runner.status(run).step, runner.status(run).pid
    room.restart()
    advances(page, beyond=before)
    assert runner.status(run).pid == pid and runner.status(run).state == "training"

    # kill -9
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    state(page, "interrupted", 60 * SECONDS)
    took, now = time.monotonic() - began, runner.status(run)
    print(f"\nkill -9 of the trainer is on the page after {took:.1f} s")
    says(page, f"Interrupted at step {now.step:,}, last checkpoint {now.last_checkpoint:,}.")
    assert took < 30  # 5 on a machine that does nothing else
    screenshot(page, "train-interrupted")

    # it goes on from the checkpoint, to its end, which is brought near
    write_json(run.config, {**read_json(run.config), "steps": now.last_checkpoint + 40})
    page.locator("#watch-resume").click()
    state(page, "finished")
    says(page, f"all {now.last_checkpoint + 40:,} steps are done")
    assert f"resuming from step {now.last_checkpoint}" in run.log_file.read_text()

    # what it made is taken home
    film, content = take_home(page, "#watch-film")
    assert film.endswith(".mp4") and b"ftyp" in content[:16]
    packed, content = take_home(page, "#watch-zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {"pair.json", "bloom.safetensors", "frost.safetensors"} <= {Path(each).name for each in archive.namelist()}
    print(f"{film}, {packed}")

    # and it blooms
    page.locator("#watch-bloom").click()
    expect(page.get_by_role("tab", name="Bloom")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#note")).to_contain_text(f"runs/{EARLIER}-1 paints from now on.")
    page.wait_for_function("!location.search.includes('run=')")
    Image.fromarray(drawn.rime(5, 96)).save(tmp_path / "twig.png")
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "twig.png")
    expect(page.locator("#photo img")).to_be_visible(timeout=60 * SECONDS)
    page.locator("#bloom").click()
    expect(page.locator("#flower img")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Finer settings").click()
    expect(page.locator("#card h3")).to_have_text(f"runs/{EARLIER}-1")


def test_one_is_stopped_another_waits_and_what_has_ended_is_deleted_after_a_question(enter, root, screenshot):
    first = runner.start(root / "first", {"steps": 100_000}, command=COMMAND)
    second = runner.start(root / "second", {"steps": 100_000}, command=COMMAND)
    page = enter("?run=first")
    state(page, "training")
    expect(page.locator("#watch-delete")).to_be_hidden()
    page.locator("#watch-list a", has_text="second").click()
    says(page, "Waits for first")
    page.locator("#watch-list a", has_text="first").click()
    page.locator("#watch-stop").click()
    state(page, "stopped")
    says(page, "Stopped at step")
    page.locator("#watch-list a", has_text="second").click()
    state(page, "training")  # its turn
    page.locator("#watch-list a", has_text="first").click()
    state(page, "stopped")
    page.locator("#watch-delete").click()
    expect(page.locator("#watch-keep")).to_be_focused()
    page.locator("#watch-keep").click()
    expect(page.locator("#watch-delete")).to_be_focused()
    page.locator("#watch-delete").click()
    page.locator("#watch-sure").click()
    expect(page.locator("#watch-list a", has_text="first")).to_have_count(0, timeout=60 * SECONDS)
    until(lambda: not first.path.exists())
    assert runner.stop(second) == "stopped"


def test_the_room_on_a_phone_at_night_and_in_chinese(enter, screenshot):
    page = enter(f"?run={EARLIER}", width=390, height=844)
    state(page, "failed")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#watch-list [aria-current]")).to_be_in_viewport(ratio=0.9)
    page.wait_for_timeout(1000)
    screenshot(page, "train-390")
    page = enter("?run=", color_scheme="dark", locale="zh-CN")
    expect(page.locator("#watch h2 .state")).to_be_visible()
    assert "训练" in page.get_by_role("tab", selected=True).inner_text()
    screenshot(page, "train-dark-zh")


def test_where_nobody_may_train_the_room_explains_how_to_get_ones_own(serve, open_page, pair, tmp_path, screenshot):
    server = serve(pair, tmp_path, "--no-train")
    page = open_page(server.url)
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#own-copy")).to_contain_text("make demo")
    expect(page.locator("#watch")).to_have_count(0)
    screenshot(page, "train-own-copy")
