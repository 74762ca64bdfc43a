"""How long does a visitor of the page wait, and what does it cost the server?

    python -m benchmarks.page

Starts `python app.py` as a user would, with the shipped pair, and a headless Chromium (what testing installs). Every figure is
the median over the repeats, once warm; the server's memory is its largest resident size so far.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import sync_playwright

from r2f import drawn
from r2f.bloom import DEFAULT_PAIR

ROOT = Path(__file__).parents[1]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
LIVE_SECONDS = 8
CLICKS = (("small.jpg", "512", "512 x 512"), ("middle.jpg", "1024", "1024 x 1024"),
          ("large.jpg", "512", "4000 x 3000, fitted to 512"), ("large.jpg", "full", "4000 x 3000, full size"))
# Milliseconds from a click to the frame in which painting and way back are both there, by the browser's own clock.
WATCH = """() => { window.waited = new Promise(resolve => {
  let clicked;
  document.addEventListener("click", event => { clicked = event.timeStamp; }, {capture: true, once: true});
  document.addEventListener("load", function look() {
    if (!["flower", "again"].every(name => document.querySelector(`#${name} img`)?.naturalWidth > 0)) return;
    document.removeEventListener("load", look, {capture: true});
    requestAnimationFrame(() => resolve(performance.now() - clicked));
  }, {capture: true});
}); }"""


def start(pair: Path, folder: Path) -> tuple[subprocess.Popen, str, float]:
    """The server, its address, and the seconds until its first page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "app.py", "--pair", str(pair), "--port", str(port)], cwd=ROOT,
                               env=os.environ | {"TMPDIR": str(folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).close()
            return process, f"http://127.0.0.1:{port}/", time.perf_counter() - started
        except OSError:
            time.sleep(0.05)
    sys.exit("python app.py ended before its first page; start it by hand to see why.")


def most_gigabytes(process: subprocess.Popen) -> float:
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024**2


def click_seconds(page, photo: Path, size: str, repeats: int) -> float:
    """From the click to painting and way back on the page."""
    if not page.locator("#size").is_visible():
        page.get_by_role("button", name="Finer settings").first.click()
    page.locator(f"#size input[value='{size}']").check()
    seconds = []
    for _ in range(repeats + 1):  # the first picture of a size costs the network's tracing
        page.locator("#photo input[type=file]").set_input_files(photo)
        page.locator("#photo img").wait_for(timeout=120_000)
        page.evaluate(WATCH)
        page.locator("#bloom").click()
        seconds.append(page.evaluate("() => window.waited") / 1000)
        page.get_by_role("button", name="Remove Image").click()
        page.locator("#flower img").wait_for(state="detached")
    return statistics.median(seconds[1:])


def live_rate(page) -> float:
    """Frames a second, as the page shows them."""
    page.get_by_role("tab", name="Live").click()
    page.locator("#live-start").click()
    page.wait_for_function("document.querySelector('#live-said').dataset.rate", timeout=60_000)
    page.wait_for_timeout(LIVE_SECONDS * 1000)
    return float(page.locator("#live-said").get_attribute("data-rate"))


def tell(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being told to end also ends the server
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = Image.fromarray(drawn.rime(1, 512))
        for side, file in ((512, "small.jpg"), (1024, "middle.jpg")):
            tree.resize((side, side)).save(folder / file, quality=92)
        tree.resize((4000, 3000)).save(folder / "large.jpg", quality=92)
        process, url, first_page = start(options.pair.resolve(), folder)
        print("| what | figure |\n|---|---:|")
        tell("python app.py to the first page", f"{first_page:.1f} s")
        try:
            with sync_playwright() as playwright:
                chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                page = browser.new_page(viewport={"width": 1440, "height": 1000})
                page.goto(url)
                page.get_by_text("The painter is ready.").wait_for(timeout=120_000)
                tell("python app.py to a painter that is awake, at most", f"{time.perf_counter() - page_started(process):.1f} s")
                for file, size, words in CLICKS:
                    seconds = click_seconds(page, folder / file, size, options.repeats if size != "full" else 2)
                    tell(f"click to three pictures, {words}", f"{seconds:.2f} s")
                tell("memory of the server so far", f"{most_gigabytes(process):.2f} GB")
                tell("live at 256 pixels", f"{live_rate(page):.1f} frames a second")
                browser.close()
            client = Client(url, verbose=False, download_files=str(folder))
            started = time.perf_counter()
            client.predict(handle_file(folder / "large.jpg"), brush="fine", api_name="/bloom")
            tell("/bloom, 4000 x 3000, fine brush", f"{time.perf_counter() - started:.1f} s")
            tell("memory of the server in the end", f"{most_gigabytes(process):.2f} GB")
        finally:
            process.terminate()
            process.wait(60)


def page_started(process: subprocess.Popen) -> float:
    """When the process started, on perf_counter's clock."""
    ticks = float(Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.perf_counter() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))


if __name__ == "__main__":
    main()
