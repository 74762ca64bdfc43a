"""Where a training begins, in a browser, on a server started with `python app.py`: zips, the doctor, refusals, a real start."""

import json
import re
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from conftest import Server
from PIL import Image
from playwright.sync_api import expect

from r2f import drawn, runner
from r2f.config import Config
from r2f.images import encode_png, write_picture

SECONDS = 1000  # Playwright counts milliseconds
PATIENCE = 120 * SECONDS  # of a wait, on a machine that has other things to do
TINY = dict(filters=4, blocks=1, discriminator_filters=4, image_size=32, load_size=40, pool_size=2, precision="float32",
            log_steps=2, sample_steps=4, sample_count=2, steps=8)


def scene(seed):
    """A smooth picture of chance colours, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((192, 160), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """A zip of rime with a picture twice and one that can't be read, and one of flowers."""
    folder = tmp_path_factory.mktemp("zips")
    for number, name in enumerate(("rime", "flowers")):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
            for seed in range(8):
                file.writestr(f"album/{seed}.png", encode_png(scene(10 * number + seed)))
            if name == "rime":
                file.writestr("album/again.png", encode_png(scene(3)))
                file.writestr("album/half.png", encode_png(scene(4))[:500])
    return folder


@pytest.fixture(scope="module")
def server(browser, pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    runs = folder / "runs"
    server = Server(pair, folder, "--runs", str(runs))
    server.root = runs
    yield server
    for each in runner.runs(runs):
        runner.stop(each.run, 60)
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A few pictures drawn by code, no two alike."""
    root = tmp_path_factory.mktemp("drawn")
    for name, draw in (("rime", drawn.rime), ("flowers", drawn.flower)):
        for seed in range(5):
            (root / name).mkdir(exist_ok=True)
            write_picture(draw(seed, 64), root / name / f"{seed}.png")
    return root


def enter(page):
    """Into the room, its form filled."""
    page.get_by_role("tab", name="Train").click()
    form = page.locator("#start-room")
    toggle = page.locator("#train-new > .label-wrap")
    expect(toggle).to_be_visible(timeout=PATIENCE)
    if toggle.get_attribute("aria-expanded") == "false" or not form.is_visible():
        toggle.click()
    expect(field(page, "Name")).to_have_value(re.compile("."), timeout=PATIENCE)


def field(page, label):
    return page.get_by_label(label, exact=True)


def test_zips_are_looked_at_bad_values_refused_and_after_a_reload_a_clean_data_set_is_made(open_page, server, zips, screenshot):
    page = open_page()
    enter(page)
    screenshot(page, "start-1440")
    page.get_by_text("Two zips: rime, and flowers").click()
    page.locator("#start-zip-rime input[type=file]").set_input_files(zips / "rime.zip")
    expect(page.locator("#start-fault-zips")).to_contain_text("Now the other zip", timeout=PATIENCE)
    page.locator("#start-zip-flowers input[type=file]").set_input_files(zips / "flowers.zip")
    report = page.locator("#start-report")
    expect(report).to_contain_text("Can be learned from", timeout=PATIENCE)
    for words in ("1 unreadable", "short sides 160 to 160", "1 picture is there again", "too few to learn from"):
        expect(report).to_contain_text(words)
    expect(field(page, "Folder of rime photos")).to_have_value(re.compile(re.escape(f"{server.root}/pictures/rime-rime-")))
    page.get_by_text("Can't be read").click()
    expect(page.get_by_text("half.png is damaged or incomplete")).to_be_visible()
    expect(page.locator("#start-sheet img")).to_be_visible(timeout=PATIENCE)

    field(page, "Steps").fill("0")
    field(page, "Name").fill("my/first")
    expect(page.locator("#start-fault-steps")).to_contain_text("a whole number from 1", timeout=PATIENCE)
    page.get_by_role("button", name="Begin to learn").click()
    expect(page.locator("#start-said")).to_contain_text("can't be used yet", timeout=PATIENCE)
    expect(page.locator("#start-fault-name")).to_contain_text("up to 64 letters")
    expect(field(page, "Name")).to_have_value("my/first")  # nothing that was entered is lost
    assert not runner.runs(server.root)
    below, sentence = field(page, "Name").bounding_box(), page.locator("#start-fault-name p").bounding_box()
    assert sentence["y"] >= below["y"] + below["height"]  # not behind its field
    screenshot(page, "start-report-1440")

    page.goto(f"{server.url}?__theme=dark")  # a reload, by night
    enter(page)
    expect(field(page, "Steps")).to_have_value("0", timeout=PATIENCE)
    expect(field(page, "Name")).to_have_value("my/first")
    expect(report).to_contain_text("Can be learned from", timeout=PATIENCE)
    flowers = field(page, "Folder of flower paintings")
    there = flowers.input_value()
    flowers.fill("/nowhere")
    field(page, "Steps").fill("600")
    expect(page.locator("#start-fault-flowers")).to_contain_text("There is no folder /nowhere", timeout=PATIENCE)
    flowers.fill(there)
    flowers.press("Enter")
    expect(page.locator("#start-fault-flowers p")).to_have_count(0, timeout=PATIENCE)
    page.get_by_role("button", name="Make a clean data set of them").click(timeout=PATIENCE)
    expect(report).to_contain_text("In good health", timeout=PATIENCE)
    expect(field(page, "Folder with trainA (flowers) and trainB (rime)")).to_have_value(re.compile("pictures/set-"))
    expect(field(page, "Steps")).to_have_value("600")
    screenshot(page, "start-dark-1440")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, "start-dark-390")


def test_what_was_to_be_mended_is_not_asked_for_any_more_once_it_is(open_page):
    page = open_page()
    enter(page)
    field(page, "Steps").fill("0")
    page.get_by_role("button", name="Begin to learn").click()
    expect(page.locator("#start-said")).to_contain_text("can't be used yet", timeout=PATIENCE)
    field(page, "Steps").fill("600")
    expect(page.locator("#start-said p")).to_have_count(0, timeout=PATIENCE)


def test_a_small_training_begins_once_the_doctor_is_content_and_the_next_one_waits(open_page, server, folders, screenshot):
    earlier = server.root / "tiny-1"  # a browser that remembers nothing gets the settings of the newest run
    earlier.mkdir(parents=True)
    settings = Config(**TINY, preset="lite", rime=str(folders / "rime"), flowers=str(folders / "flowers"))
    (earlier / "config.json").write_text(replace(settings, run=str(earlier)).to_json())
    (earlier / "status.json").write_text(json.dumps({"state": "finished", "step": 8, "started": time.time()}))
    (earlier / "lock").touch()
    page = open_page(locale="zh-CN")
    page.get_by_role("tab", name="训练").click()
    toggle = page.locator("#train-new > .label-wrap")
    expect(toggle).to_be_visible(timeout=PATIENCE)
    if not page.locator("#start-room").is_visible():
        toggle.click()
    expect(field(page, "步数")).to_have_value("8", timeout=PATIENCE)
    expect(page.locator("#start-also")).to_contain_text("filters 4", timeout=PATIENCE)
    expect(page.locator("#start-said")).to_contain_text("与 tiny-1 相同的设置")
    screenshot(page, "start-zh-1440")
    field(page, "名称").fill("small")
    page.get_by_role("button", name="开始学习").click()
    run = runner.named(server.root, "small")
    until = time.monotonic() + PATIENCE / SECONDS
    while not run.status_file.exists():
        assert time.monotonic() < until, page.locator("#start-said").inner_text()
        time.sleep(0.2)
    expect(page.locator("#start-said")).to_contain_text("small 已开始", timeout=PATIENCE)
    expect(page.locator("#watch h2")).to_be_in_viewport(timeout=PATIENCE)  # the page goes where there is something to see now
    expect(field(page, "名称")).to_have_value("small-1", timeout=PATIENCE)
    expect(page.locator("#start-fault-name p")).to_have_count(0)
    page.get_by_role("button", name="开始学习").click()
    expect(page.locator("#start-said")).to_contain_text(re.compile("small-1 (排在 small 之后|已开始)"), timeout=PATIENCE)
    runner.ask_to_stop(runner.named(server.root, "small-1"))
    while runner.status(run).state in ("queued", "starting"):
        assert time.monotonic() < until + 180, run.log_tail()
        time.sleep(0.5)
    now = runner.status(run)
    print(f"\nsmall: {now.sentence}; the device: {now.device}")
    assert now.state in ("training", "stopping", "finished"), run.log_tail()
    assert json.loads(run.config.read_text())["filters"] == 4
