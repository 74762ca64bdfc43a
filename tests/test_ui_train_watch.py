"""The train room without a browser: what it says of runs, what it costs, what may be done, and that it may not exist."""

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import gradio as gr
import pytest
from PIL import Image
from starlette.testclient import TestClient

from r2f import runner
from r2f.keeper import FINAL
from r2f.quality import NONE_NAMED
from r2f.run import Run, append_line, write_json
from r2f.ui import train_said, train_watch, words
from r2f.ui.page import build_page, launch_arguments
from r2f.ui.painters import Painters
from r2f.ui.train_acts import in_a_sentence
from r2f.ui.train_tab import own_copy
from tests.standin import COMMAND
from tests.test_runner import until

ROOT = Path(__file__).parents[1]
LOSSES = ("adversarial_flower", "adversarial_rime", "cycle_rime", "cycle_flower", "identity_flower", "identity_rime",
          "discriminator_flower", "discriminator_rime")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))


@pytest.fixture
def painters(tmp_path, root):
    return Painters(tmp_path / "pair", checkpoints=tmp_path / "checkpoints", runs=root)


def ended(root, name="first", state="stopped", step=40, lines=20, samples=(), **said) -> Run:
    """A run that does nothing any more."""
    run = Run(root / name)
    run.path.mkdir()
    run.lock.touch()
    write_json(run.config, {"steps": 100})
    for number in range(1, lines + 1):
        append_line(run.metrics_file, {"step": 2 * number, "loss": 9 / number, **dict.fromkeys(LOSSES, 1 / number),
                                       "learning_rate": 2e-4, "seconds": 0.5 * number, "memory_megabytes": 900})
    run.samples.mkdir()
    for step in samples:
        Image.new("RGB", (24, 8)).save(run.sample(step))
    run.log_file.write_text("first line\n<b>last line</b>\n")
    run.write_status(**{"state": state, "step": step, "total_steps": 100, "started": time.time(), "device": "cpu", **said})
    return run


def english(markup: str) -> str:
    """What an English reader sees of some HTML."""
    return re.sub(r"<[^>]*>", "", re.sub(r'<span lang="zh">.*?</span>', "", markup))


def client_of(painters, train=True):
    page = build_page(painters, painters.runs / "none", train)
    page.launch(prevent_thread_lock=True, _frontend=False, quiet=True, **launch_arguments(painters, train))
    return page, TestClient(page.app, raise_server_exceptions=False)


# what is said


@pytest.mark.parametrize("state,more,words_of_it", [
    ("queued", {}, "Interrupted at step 40, no checkpoint. Its process is gone."),  # nobody holds its lock
    ("training", {}, "Interrupted at step 40, no checkpoint. Its process is gone."),
    ("stopped", {"reason": "stopped on request"}, "Stopped at step 40, no checkpoint. Stopped on request."),
    ("finished", {"step": 100, "reason": "finished"}, "Finished: all 100 steps are done."),
    ("failed", {"reason": "cycle_rime is not finite at step 40.", "exit_code": 3},
     "Failed at step 40, no checkpoint. Cycle_rime is not finite at step 40. Exit code 3: a number was not finite."),
    ("interrupted", {"reason": "killed by SIGKILL; the system does that when memory runs out", "exit_code": -9},
     "Interrupted at step 40, no checkpoint. Killed by SIGKILL; the system does that when memory runs out."),
    ("failed", {"reason": "oops", "exit_code": 99}, "Failed at step 40, no checkpoint. Oops. Exit code 99."),
])
def test_every_end_is_said_in_words(root, state, more, words_of_it):
    ended(root, state=state, **more)
    assert english(train_watch.refresh(root, "first")["said"]) == words_of_it


def test_an_interruption_names_its_step_and_its_last_checkpoint(root):
    run = ended(root, state="training", step=41)
    for step in (10, 30):
        (run.checkpoints / f"step_{step:08d}").mkdir(parents=True)
    shown = train_watch.refresh(root, "first")
    assert english(shown["said"]).startswith("Interrupted at step 41, last checkpoint 30.")
    assert "在第 41 步中断，最近的存档在第 30 步。" in shown["said"]
    assert 'aria-valuenow="41"' in shown["bar"] and "41 of 100" in shown["facts"]


def test_silence_a_long_step_and_what_could_not_be_saved_are_said_while_it_trains(root):
    status = runner.status(ended(root))
    lively = replace(status, state="training", heartbeat_age_seconds=1.0, step_seconds=2.0)
    assert english(train_said.said_of(lively)) == "Training; it goes on when this page is closed."
    silent = replace(lively, heartbeat_age_seconds=300.0)
    assert "No sign of life for 5 min" in english(train_said.said_of(silent))
    assert "This step has taken 4 min so far." in english(train_said.said_of(replace(lively, step_seconds=240.0)))
    full = replace(lively, trouble="<samples> of step 4 not written: the disk is full", doing="measuring quality")
    assert "&lt;samples&gt; of step 4 not written" in train_said.said_of(full)
    assert "It measures what it can do…" in train_said.said_of(full)


def test_a_page_names_no_options_of_the_command_line_where_quality_is_not_measured(root):
    status = replace(runner.status(ended(root)), state="training", note=f"Quality is not measured: {NONE_NAMED}")
    said = train_said.said_of(status)
    assert "Make a clean data set first" in english(said) and "未测本领" in said and "--" not in said
    other = replace(status, note="Quality is not measured: <few>")
    assert "Quality is not measured: &lt;few&gt;" in train_said.said_of(other)


def test_figures_have_units(root):
    status = replace(runner.status(ended(root)), state="training", pairs_per_second=4.213, eta_seconds=7300.0,
                     memory_bytes=1_900_000_000, gpu_memory_bytes=3_000_000_000, gpu_memory_total_bytes=16_000_000_000,
                     disk_free_bytes=5_000_000_000, best_step=30)
    shown = english(train_said.facts_of(status, {}, {"step": 40, "score": 0.2, "way_back": 0.711}))
    for figure in ("4.21", "2.0 h", "1.9 GB", "3 GB / 16 GB", "Disk left5 GB", "Score0.20, best at 30", "Way back0.71"):
        assert figure in shown, figure


def test_without_runs_and_for_one_that_is_gone_there_is_a_sentence(root, tmp_path):
    assert "goes on when this page is closed" in train_watch.refresh(root, "")["said"]
    assert "goes on when this page is closed" in train_watch.refresh(tmp_path / "nowhere", "")["said"]
    ended(root)
    shown = train_watch.refresh(root, "another")
    assert "no run of this name" in shown["said"] and 'data-run="first"' in shown["list"] and not shown["can"]


def test_whatever_a_run_directory_holds_nothing_is_raised(root):
    run = ended(root, samples=(2, 4))
    for path, content in ((run.status_file, b"{"), (run.metrics_file, b"\xff\n[1]\n{}\n"), (run.quality_file, b'{"step": 2}\n'),
                          (run.config, b"no"), (run.log_file, b"\xff\x00"), (run.sample(4), b"torn")):
        path.write_bytes(content)
        json.dumps(train_watch.refresh(root, "first"), allow_nan=False)
    run.metrics_file.write_text('{"step": 2, "loss": NaN, "cycle_rime": Infinity}\n{"step": 4, "loss": 1}\n')
    assert train_watch.refresh(root, "first")["plots"]["losses"]["lines"]["loss"] == [None, 1.0]


def test_what_a_stranger_wrote_into_a_log_or_a_status_is_no_markup(root):
    ended(root, device="<script>", reason="<script>")
    assert "<script>" not in json.dumps(train_watch.refresh(root, "first"))
    assert "&lt;b&gt;last line" in train_watch.refresh(root, "first")["log"]


# what it costs


def test_what_the_browser_has_already_is_left_out(root):
    run = ended(root, samples=(10, 20))
    first = train_watch.refresh(root, "")
    assert first["samples"] == [10, 20] and set(first["plots"]["losses"]["lines"]) == {"loss", *LOSSES}
    again = train_watch.refresh(root, "", first["marks"])
    assert "samples" not in again and "plots" not in again and again["said"] == first["said"]
    Image.new("RGB", (24, 8)).save(run.sample(30))
    append_line(run.quality_file, {"step": 30, "score": 0.5, "way_back": 0.7, "kid_bloom": 1.0})
    later = train_watch.refresh(root, "", first["marks"])
    assert later["samples"] == [10, 20, 30]
    assert later["plots"]["quality"]["lines"] == {"score": [0.5], "way_back": [0.7]}
    runner.delete(root, "first")
    ended(root, samples=(10,))  # another one of the same name
    assert train_watch.refresh(root, "", later["marks"])["samples"] == [10]


def test_a_refresh_beside_two_hundred_thousand_lines_of_metrics_costs_little(root):
    run = ended(root, samples=range(1000, 200_000, 1000), lines=0)
    line = {"loss": 1.0, **dict.fromkeys(LOSSES, 0.123456789), "learning_rate": 2e-4, "memory_megabytes": 900}
    with run.metrics_file.open("w") as file:
        file.writelines(json.dumps({"step": step, **line}) + "\n" for step in range(1, 200_001))
    train_watch.refresh(root, "first")

    def milliseconds(have):
        spent = []
        for _ in range(5):
            for cached in (train_watch.metrics_of, train_watch.quality_of, train_watch.sheets_of):
                cached.cache_clear() if not have else None
            began = time.process_time()
            answer = train_watch.refresh(root, "first", have)
            spent.append(1000 * (time.process_time() - began))
        return min(spent), answer

    anew, answer = milliseconds("")
    usual, _ = milliseconds(answer["marks"])
    print(f"\na refresh with {run.metrics_file.stat().st_size / 1e6:.0f} MB of metrics: {anew:.1f} ms of processor time where "
          f"they have changed, {usual:.1f} ms where not; {len(json.dumps(answer)) / 1000:.0f} kB")
    assert anew < 50 and usual < 10
    assert len(answer["plots"]["losses"]["step"]) <= 1.1 * train_watch.POINTS


def test_visitors_of_the_same_run_share_an_answer(root, monkeypatch):
    ended(root)
    looks, refresh = [], train_watch.refresh
    monkeypatch.setattr(train_watch, "refresh", lambda *given: looks.append(given) or refresh(*given))
    answers = {train_watch.answer(root, "first", "", tick=-1) for _ in range(10)}
    assert len(answers) == len(looks) == 1


# the routes


def test_the_routes_serve_what_there_is_to_see_and_nothing_else(painters, root):
    run = ended(root, samples=(10,))
    (root / "elsewhere").mkdir()
    Image.new("RGB", (9, 9)).save(root / "elsewhere" / "step_00000010.png")
    linked = ended(root, "linked")
    linked.samples.rmdir()
    linked.samples.symlink_to(root / "elsewhere")
    page, client = client_of(painters)
    try:
        answer = client.get("/train/look", params={"run": "first"})
        assert answer.json()["samples"] == [10] and answer.headers["cache-control"] == "no-store"
        for _ in range(50):  # until two looks fall into the same half second
            mark = client.get("/train/look", params={"run": "first", "have": answer.json()["marks"]}).headers["x-mark"]
            same = client.get("/train/look", params={"run": "first", "have": answer.json()["marks"], "seen": mark})
            if same.status_code == 204:
                break
        assert (same.status_code, same.content) == (204, b"")
        sheet = client.get("/train/sample", params={"run": "first", "step": "10"})
        assert sheet.content == run.sample(10).read_bytes() and sheet.headers["content-type"] == "image/png"
        for name, step in (*(("first", step) for step in ("11", "x", "-1", "1e1", "")),
                           *((name, "10") for name in ("..", "", "linked", "elsewhere", "first/../first", "/etc", "first\0"))):
            assert client.get("/train/sample", params={"run": name, "step": step}).status_code == 404, (name, step)
        for name in ("../runs/first", "/etc", "a" * 5000, "\0", "<script>"):
            assert "no run of this name" in client.get("/train/look", params={"run": name}).json()["said"]
        assert client.post("/train/look").status_code == 405
        for path in (run.log_file, run.sample(10), run.config):
            assert client.get(f"/gradio_api/file={path}").status_code == 403
    finally:
        page.close()


def test_where_nobody_may_train_there_are_no_handlers_and_no_routes(painters, root):
    ended(root, samples=(10,))
    without, with_it = build_page(painters, root / "none"), build_page(painters, root / "none", True)
    ids = {getattr(block, "elem_id", None) for block in without.blocks.values()}
    assert "own-copy" in ids and not any(str(each).startswith(("watch", "start-", "train-new")) for each in ids)
    names = {fn.fn.__name__ for fn in without.fns.values() if fn.fn}
    more = {fn.fn.__name__ for fn in with_it.fns.values() if fn.fn} - names
    assert {"stop_it", "go_on", "delete_it", "fill"} <= more and len(without.fns) < len(with_it.fns)
    page, client = client_of(painters, train=False)
    try:
        assert "/train/look" not in [getattr(route, "path", None) for route in page.app.routes]
        for path in ("/train/look", "/train/sample?run=first&step=10"):
            answer = client.get(path)
            assert "first" not in answer.text and answer.headers["content-type"] != "image/png"
        config = client.get("/config").json()
        assert len(config["dependencies"]) == len(without.fns)
        for number in range(len(without.fns), len(with_it.fns) + 5):  # the numbers of what is not there
            call = {"data": ["first"], "fn_index": number, "session_hash": "s"}
            assert client.post("/gradio_api/run/predict", json=call).status_code >= 400
            assert client.post("/gradio_api/queue/join", json=call).status_code >= 400
    finally:
        page.close()


def test_the_api_names_no_action_on_trainings(painters, root):
    page = build_page(painters, root / "none", True)
    assert list(page.get_api_info()["named_endpoints"]) == ["/bloom", "/frost"]
    assert all(fn.api_visibility == "private" for fn in page.fns.values() if fn.fn and fn.fn.__name__ not in ("bloom", "frost"))


@pytest.mark.parametrize("arguments,space,trains", [
    ([], None, True), (["--no-train"], None, False), (["--host", "0.0.0.0"], None, False), (["--share"], None, False),
    ([], "someone/rime", False), (["--host", "0.0.0.0", "--train"], None, True), (["--public"], None, False),
    (["--public", "--host", "127.0.0.1"], None, False)])
def test_only_a_page_for_its_own_machine_trains_unasked(arguments, space, trains, monkeypatch):
    import app
    for name in ("GRADIO_SHARE", "GRADIO_SERVER_NAME", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    options = app.parser().parse_args(arguments)
    assert app.may_train(options) is trains


def test_nobody_trains_on_a_space_whatever_is_asked():
    done = subprocess.run([sys.executable, "app.py", "--train"], cwd=ROOT, env={**os.environ, "SPACE_ID": "someone/rime"},
                          capture_output=True, text=True)
    assert done.returncode == 2 and "nobody trains on a Space" in done.stderr


def test_a_port_that_is_taken_is_told_in_a_sentence_that_names_the_option():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([sys.executable, "app.py", f"--port={port}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"Port {port} is taken; name another one with --port, or leave it away."


def test_how_to_get_a_page_that_trains_is_explained():
    of_a_space = own_copy("someone/rime2flower")
    assert "git clone https://huggingface.co/spaces/someone/rime2flower rime2flower" in of_a_space
    assert "uplicate" not in of_a_space  # nobody trains on a duplicate either
    assert "make demo" in own_copy("") and "huggingface" not in own_copy("")
    assert "<script>" not in own_copy("<script>/x")


# acting


def function(page, name):
    return next(fn.fn for fn in page.fns.values() if fn.fn and fn.fn.__name__ == name)


def test_a_run_may_have_a_name_in_any_script_with_blanks(painters, root):
    name = "清晨的 霜 2"
    run = ended(root, name, samples=(10,))
    listed = train_watch.refresh(root, name)["list"]
    assert f'data-run="{name}"' in listed and parse_qs(re.search(r'href="\?([^"]*)"', listed)[1]) == {"run": [name]}
    page, client = client_of(painters)
    try:
        assert client.get("/train/sample", params={"run": name, "step": "10"}).content == run.sample(10).read_bytes()
        assert function(page, "delete_it")(name) == "" and not run.path.exists()
    finally:
        page.close()


def test_a_training_is_stopped_and_only_what_has_ended_is_deleted(painters, root):
    page = build_page(painters, root / "none", True)
    run = runner.start(root / "first", {"steps": 100_000}, command=COMMAND)
    until(lambda: runner.status(run).step > 2)
    assert {"stop", "sample", "save", "clone"} == set(train_watch.refresh(root, "")["can"].split())
    assert "stop it first" in function(page, "delete_it")("first")
    assert function(page, "stop_it")("first") == ""
    until(lambda: runner.status(run).state == "stopped")
    shown = train_watch.refresh(root, "")
    assert "Stopped at step" in shown["said"] and set(shown["can"].split()) == {"resume", "delete", "clone"}
    assert "It is not training right now." in function(page, "stop_it")("first")
    assert function(page, "delete_it")("first") == "" and not run.path.exists()
    for act in ("stop_it", "stop_it_now", "go_on", "delete_it", "bloom_with"):
        for name in ("first", "../first", "", None, 3, ["first"], "a" * 100):
            said = function(page, act)(name)
            assert "<span>" in str(said), (act, name)


def test_kill_9_of_trainer_or_keeper_or_both_is_shown_at_the_next_look(root):
    def begin(name):
        run = runner.start(root / name, {"steps": 100_000}, command=COMMAND)
        until(lambda: runner.status(run).state == "training" and runner.status(run).step > 2)
        keeper = next(int(path.name) for path in Path("/proc").glob("[0-9]*") if is_keeper(path, run))
        return run, runner.status(run).pid, keeper

    def is_keeper(path, run):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return b"r2f.keeper" in words and str(run.path).encode() in words

    run, trainer, keeper = begin("trainer")
    os.kill(trainer, signal.SIGKILL)
    seconds = until(lambda: "Interrupted at step" in train_watch.refresh(root, "trainer")["said"])
    until(lambda: "Killed by SIGKILL" in train_watch.refresh(root, "trainer")["said"])
    print(f"\nkill -9 of the trainer is seen after {seconds:.2f} s")
    run, trainer, keeper = begin("keeper")
    os.kill(keeper, signal.SIGKILL)
    step = runner.status(run).step
    until(lambda: runner.status(run).step > step + 2)
    assert "Training;" in train_watch.refresh(root, "keeper")["said"]
    os.kill(trainer, signal.SIGKILL)
    until(lambda: "Its process is gone." in train_watch.refresh(root, "keeper")["said"])


def test_what_was_asked_for_is_said_until_it_is_done(root):
    run = runner.start(root / "first", {"steps": 100_000}, command=COMMAND)
    until(lambda: runner.status(run).state == "training")
    run.request("sample").touch()
    said = train_watch.refresh(root, "")["said"]
    run.request("sample").unlink(missing_ok=True)
    assert "A sample comes after this step." in said or not run.request("sample").exists()


def test_one_that_does_not_answer_may_be_ended_otherwise(root):
    run = runner.start(root / "first", {"steps": 100_000}, command=(*COMMAND, "--x-deaf-to-requests"))
    until(lambda: runner.status(run).step > 2)
    assert runner.ask_to_stop(run)
    assert "stop-now" not in train_watch.refresh(root, "")["can"].split()
    long_ago = time.time() - 2 * train_watch.DEAF_SECONDS
    os.utime(run.stop, (long_ago, long_ago))
    assert "stop-now" in train_watch.refresh(root, "")["can"].split() and "Stopping" in train_watch.refresh(root, "")["said"]


@pytest.mark.parametrize("others", (0, 2))
def test_what_goes_wrong_is_said_in_the_last_output(others):
    def fails(name):
        raise OSError("<disk>")
    said = in_a_sentence(fails, others)("first")
    assert said == [*[gr.skip()] * others, "<span>&lt;disk&gt;</span>"] if others else said == "<span>&lt;disk&gt;</span>"


def test_the_tensorboard_command_is_shown_where_event_files_are(root):
    run = ended(root)
    assert train_watch.refresh(root, "")["board"] == ""
    run.events.mkdir()
    (run.events / "events.out.tfevents.1.host").write_bytes(b"")
    assert f"tensorboard --logdir {run.events}" in train_watch.refresh(root, "")["board"]
    events = ended(root, "my first").events
    events.mkdir()
    (events / "events.out.tfevents.1.host").write_bytes(b"")
    assert f"tensorboard --logdir '{events}'<" in html.unescape(train_watch.refresh(root, "my first")["board"])


def test_every_word_of_the_room_has_both_languages():
    for key, both in (words.WORDS | words.SENTENCES).items():
        if key.startswith("tw_"):
            assert len(both) == 2 and all(both) and both[0] != both[1], key
    for table in (train_said.STATES, train_said.EXIT_CODES, train_said.QUALITY, train_watch.LOSSES):
        assert all(len(both) == 2 and all(both) for both in table.values())
    assert {*train_said.STATES} > {*FINAL} and set(LOSSES) < {*train_watch.LOSSES}
