"""Fetching pairs from a stand-in for the Hub: a server on this machine that speaks as much of its protocol as is asked of it."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY

from r2f.config import Config
from r2f.hub import MOST_BYTES
from r2f.pair import NETWORKS, weight_shapes, write_pair

COMMIT, NEWER = "1" * 40, "2" * 40
FETCH = """
import json, logging, sys, time
time.sleep = lambda seconds: None  # between huggingface_hub's own attempts
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("r2f").addHandler(handler)
logging.getLogger("r2f").setLevel(logging.INFO)
from r2f.hub import fetch_pair
from r2f.pair import BadPair
results = []
for name, revision in json.load(sys.stdin):
    try:
        results.append({"folder": str(fetch_pair(name, revision))})
    except BadPair as error:
        results.append({"refused": str(error)})
print(json.dumps({"results": results, "said": said, "keras": "keras" in sys.modules}))
"""


class Repository:
    """`pairs`: commit -> {file: bytes}; the rest are the ways in which a hub can go wrong with it."""

    def __init__(self, pairs):
        self.pairs, self.branches = {commit: dict(files) for commit, files in pairs.items()}, {"main": NEWER, "v1": COMMIT}
        self.answers_with, self.sizes, self.sent, self.cut = {}, {}, {}, set()


class StandIn(ThreadingHTTPServer):
    """`repositories` by name, all of them someone's; `asked` is every request so far."""

    daemon_threads = True

    def __init__(self, **repositories):
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories, self.asked, self.url = repositories, [], f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *values):
        pass

    def do_HEAD(self):
        self.do_GET(head=True)

    def do_GET(self, head=False):
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        hub = next((self.server.repositories[part] for part in parts if part in self.server.repositories), None)
        match parts if hub else []:
            case ["api", "models", "someone", name, "revision", revision]:
                commit = hub.branches.get(revision, revision)
                if commit not in hub.pairs:
                    return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
                files = [{"rfilename": file, "size": hub.sizes.get(file, len(content)), "blobId": "0",
                          "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}}
                         for file, content in hub.pairs[commit].items()]
                answer = {"id": f"someone/{name}", "sha": hub.answers_with.get(commit, commit), "siblings": files}
                return self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
            case ["someone", _, "resolve", commit, name] if name in hub.pairs.get(commit, ()):
                content = hub.pairs[commit][name]
                headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": commit}
                if head:
                    return self.answer(200, content, headers, head)
                content = hub.sent.get(name, content)
                if name in hub.cut:  # the connection breaks in the middle
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content[:len(content) // 2] if "Range" not in self.headers else b"")
                    self.close_connection = True
                    return None
                return self.answer(200, content, headers)
        return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def answer(self, status, content, headers, head=False):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not head and self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The bytes of two commits of one pair, {commit: {file: bytes}}."""
    arguments, commits = Config(**TINY).generator_arguments, {}
    for number, commit in enumerate((COMMIT, NEWER)):
        folder = tmp_path_factory.mktemp("published") / "pair"
        arrays = {key: np.full(shape, number, np.float32) for key, shape in weight_shapes(arguments).items()}
        write_pair(folder, {name: arrays for name in NETWORKS}, {"networks": arguments, "step": number})
        commits[commit] = {**{path.name: path.read_bytes() for path in folder.iterdir()}, "README.md": b"a card",
                           "evil.py": b"raise SystemExit"}
    return commits


@pytest.fixture
def hub(published):
    with StandIn(flowers=Repository(published)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def fetch(hub, home, *asked):
    """What `fetch_pair` makes of each (name, revision), in a process whose Hub is the stand-in and whose home is `home`."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                   "PYTHONPATH": str(Path(__file__).parents[1]), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*"}
    result = subprocess.run([sys.executable, "-c", FETCH], input=json.dumps(asked), text=True, capture_output=True,
                            timeout=60, env=environment)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert not report["keras"]
    for each in report["results"]:
        sentence = each.get("refused", "One sentence.")
        assert sentence.endswith(".") and "\n" not in sentence and str(home) not in sentence, sentence
    return report["results"], report["said"]


def test_a_pair_is_fetched_once_by_commit_with_nothing_but_its_files(hub, published, tmp_path):
    (first, again), said = fetch(hub, tmp_path, ("someone/flowers", COMMIT), ("someone/flowers", COMMIT))
    folder = Path(first["folder"])
    assert first == again and not said
    assert {name: (folder / name).read_bytes() for name in MOST_BYTES} == {name: published[COMMIT][name] for name in MOST_BYTES}
    assert {path.name for path in folder.iterdir() if path.is_file()} == set(MOST_BYTES)
    assert not any(path.is_symlink() for path in folder.iterdir())
    fetched = [each for each in hub.asked if each.startswith("GET /someone")]
    assert len(fetched) == 3 and not any("evil" in each or "README" in each for each in hub.asked)
    hub.asked.clear()
    assert fetch(hub, tmp_path, ("someone/flowers", COMMIT))[0] == [first]
    assert not hub.asked  # no network is needed any more


def test_a_branch_or_a_tag_is_resolved_to_a_commit_and_said(hub, tmp_path):
    results, said = fetch(hub, tmp_path, ("someone/flowers", None), ("someone/flowers", "v1"))
    assert [Path(each["folder"]).name for each in results] == [NEWER, COMMIT]
    assert said == [f"someone/flowers: the newest is commit {NEWER}; name that as the revision to keep to it",
                    f"someone/flowers: v1 is commit {COMMIT}; name that as the revision to keep to it"]


def changed(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def wrong_digest(hub):
    hub.sent["frost.safetensors"] = changed(hub.pairs[COMMIT]["frost.safetensors"])


def another_digest_in_its_metadata(hub):
    hub.pairs[COMMIT]["frost.safetensors"] = changed(hub.pairs[COMMIT]["frost.safetensors"])


def wrong_revision(hub):
    hub.answers_with[COMMIT] = NEWER


def unknown_revision(hub):
    del hub.pairs[COMMIT]


def oversize(hub):
    hub.sizes["bloom.safetensors"] = 50_000_000_000


def oversize_pair_json(hub):
    hub.sizes["pair.json"] = 10_000_000


def unknown_size(hub):
    hub.sizes["bloom.safetensors"] = None


def broken_transfer(hub):
    hub.cut.add("bloom.safetensors")


def short_transfer(hub):
    hub.sent["bloom.safetensors"] = hub.pairs[COMMIT]["bloom.safetensors"][:-100]


def no_pair(hub):
    del hub.pairs[COMMIT]["pair.json"]


def hostile_pair_json(hub):
    hub.pairs[COMMIT]["pair.json"] = b"[" * 100_000


WRONG = {wrong_digest: "SHA-256", another_digest_in_its_metadata: "not the one that its pair.json describes; it was not fetched",
         wrong_revision: "answered with commit 2222", unknown_revision: "no revision 1111", oversize: "at most 600,200,000",
         oversize_pair_json: "at most 200,000", unknown_size: "of a known size", broken_transfer: "could not be fetched",
         short_transfer: "could not be fetched", no_pair: "has no pair.json", hostile_pair_json: "nested too deeply"}


def test_what_is_not_the_published_pair_is_refused_with_one_sentence_and_the_next_try_is_a_fresh_one(hub, published, tmp_path):
    for go_wrong in WRONG:
        hub.repositories[go_wrong.__name__] = Repository(published)
        go_wrong(hub.repositories[go_wrong.__name__])
    asked = [(f"someone/{go_wrong.__name__}", COMMIT) for go_wrong in WRONG]
    results, _ = fetch(hub, tmp_path, *asked)
    refused = {go_wrong.__name__: result["refused"] for go_wrong, result in zip(WRONG, results, strict=True)}
    print(f"\n{len(refused)} of {len(WRONG)} ways to go wrong refused with one sentence")
    for go_wrong, says in WRONG.items():
        assert says in refused[go_wrong.__name__]
    for name in ("oversize", "another_digest_in_its_metadata"):
        assert not any(each.startswith(f"GET /someone/{name}/") and each.endswith(".safetensors") for each in hub.asked)
    assert not any({"bloom.safetensors", "frost.safetensors"} <= set(files) for _, _, files in os.walk(tmp_path))  # no whole pair
    for go_wrong in WRONG:
        hub.repositories[go_wrong.__name__] = Repository(published)
    for result in fetch(hub, tmp_path, *asked)[0]:
        assert set(MOST_BYTES) <= {path.name for path in Path(result["folder"]).iterdir()}


def test_a_damaged_copy_in_the_cache_is_fetched_anew(hub, published, tmp_path):
    (first,), _ = fetch(hub, tmp_path, ("someone/flowers", COMMIT))
    path = Path(first["folder"]) / "bloom.safetensors"
    path.write_bytes(changed(path.read_bytes()))
    (again,), said = fetch(hub, tmp_path, ("someone/flowers", COMMIT))
    assert again == first and "SHA-256" in said[0]
    assert path.read_bytes() == published[COMMIT]["bloom.safetensors"]


def test_a_name_that_is_none_and_a_hub_that_does_not_answer_get_one_sentence(hub, tmp_path):
    results, _ = fetch(hub, tmp_path, ("", None), (" ", COMMIT))
    assert {result["refused"] for result in results} == {"Please name a repository; it looks like owner/name."}
    results, _ = fetch(hub, tmp_path, ("../etc", None), ("a/b/c", None), ("someone/nothing", None), ("someone/flowers", "../x"))
    hub.url = "http://127.0.0.1:9"
    results += fetch(hub, tmp_path, ("someone/flowers", None), ("someone/flowers", COMMIT))[0]
    for result, says in zip(results, ("not the name", "not the name", "no repository", "no revision", "could not be fetched",
                                      "could not be fetched"), strict=True):
        assert says in result["refused"]
