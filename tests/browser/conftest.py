"""A server started as a person starts it, the machine's own browser, and pages that must behave."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera that shows a clock
expect.set_options(timeout=30_000)  # a busy machine is no fault of the page
MAKE_PAIR = """
import sys
from r2f.pair import save_pair
from r2f.config import Config
from r2f.networks import generator
arguments = Config(filters=4, blocks=1).generator_arguments
networks = {name: generator(**arguments, name=name) for name in ("bloom", "frost")}
save_pair(sys.argv[1], networks, {"networks": arguments})
"""


class Server:
    """`python app.py`, started from elsewhere, on a free port, or on that of a server that was stopped.

    `first_page_seconds`: from the process's start to its first page.
    """

    def __init__(self, pair: Path, folder: Path, *options: str, port: int | None = None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = port or free.getsockname()[1]
        self.port, self.url = port, f"http://127.0.0.1:{port}/"
        self.log = folder / "server.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}
        environment["TMPDIR"] = str(folder)
        started = time.monotonic()
        with self.log.open("wb") as log:
            command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--pair", str(pair), *options]
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < started + 60, self.log.read_text()
            time.sleep(0.05)
        self.first_page_seconds = time.monotonic() - started
        self.first_page_processor_seconds = self.processor_seconds

    @property
    def processor_seconds(self) -> float:
        """What the server's process has used of the processor so far: a busy machine changes it little."""
        ticks = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_megabytes(self) -> float:
        """Memory of the server's process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    @property
    def cache(self) -> Path:
        return next(self.log.parent.glob("rime2flower-*")) / "cache"

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=60) as response:
                return response.status == 200
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(40)  # Gradio waits 5 s for browsers that hold on
        finally:
            self.process.kill()


@pytest.fixture(scope="module")  # no longer: while Playwright is up, asyncio.run fails in every other test
def browser():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        reason = "the browser tests need Chromium (Debian/Ubuntu: apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pair(tmp_path_factory) -> Path:
    """A pair of untrained generators, small enough to be made and to paint in a moment."""
    folder = tmp_path_factory.mktemp("pairs") / "tiny"
    subprocess.run([sys.executable, "-c", MAKE_PAIR, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def server(browser, pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    server = Server(pair, folder, "--runs", str(folder / "runs"))
    yield server
    assert server.stop() == 0, server.log.read_text()
    assert not list(folder.glob("rime2flower-*")), "uploads and paintings were left behind"


@pytest.fixture
def serve():
    """serve(pair, folder, *options, port=None) starts another server, for a test of its own."""
    servers = []

    def serve(pair, folder, *options, port=None):
        servers.append(Server(pair, folder, *options, port=port))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


LEFT = "AbortError: signal is aborted"  # Gradio says so of a request that was under way when the page was reloaded


@pytest.fixture
def open_page(browser, server):
    """open_page(**how) opens the page in a fresh profile; at the end, it must have behaved: no errors, no other hosts."""
    contexts, faults = [], []

    def watch(request):
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            faults.append(f"request to {request.url}")

    def open_page(url=server.url, width=1440, height=1000, forgives=LEFT, **how):
        def hear(said):
            if said.type == "error" and LEFT not in said.text and forgives not in said.text:
                faults.append(said.text)

        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **how))
        contexts[-1].grant_permissions(["camera", "clipboard-read", "clipboard-write"])
        page = contexts[-1].new_page()
        page.on("request", watch)
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.on("console", hear)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def screenshot():
    """screenshot(page, name) keeps a picture of the page for people, in test-output/screenshots/."""
    folder = ROOT / "test-output" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return lambda page, name: page.screenshot(path=folder / f"{name}.png", full_page=True)
