import errno
import json
import os
import stat
import subprocess
import sys
import time

import pytest

from r2f.run import HANDED_OVER, Run, RunBusy, append_line, write_json


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def broken(number):
    raise OSError(number, os.strerror(number))


def test_only_one_process_holds_a_run(run):
    with run.locked():
        with pytest.raises(RunBusy, match="Another training is running"), run.locked():
            pass
        assert run.is_running()
    assert not run.is_running()
    assert not Run(run.path / "nowhere").is_running()
    assert not (run.path / "nowhere").exists()


def test_the_lock_of_a_killed_process_clears_itself(run):
    code = ("import sys, time; from pathlib import Path; from r2f.run import Run\n"
            "with Run(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(60)")
    holder = subprocess.Popen([sys.executable, "-c", code, run.path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    assert run.is_running()
    holder.kill()
    holder.wait()
    assert not run.is_running()


def test_status_is_replaced_in_one_piece_and_has_a_heartbeat(run):
    assert run.read_status() == {}
    run.write_status(state="training", step=3)
    run.write_status(state="finished", step=4)
    assert run.read_status()["state"] == "finished"
    assert run.read_status()["heartbeat"] > 0
    assert [path.name for path in run.path.iterdir()] == ["status.json"]


def test_what_a_power_cut_may_not_cost_is_forced_to_disk_before_and_after_it_gets_its_name(run, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(stat.S_ISDIR(os.fstat(handle).st_mode)) or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("renamed") or replace(*paths))
    write_json(run.config, {"steps": 3}, forced=True)
    assert done == [False, "renamed", True] and json.loads(run.config.read_text()) == {"steps": 3}


def test_what_is_written_of_a_folder_whose_name_is_not_utf_8_is_read_again(run):
    name = os.fsdecode(b"frost \xff")
    run.write_status(reason=f"There is no folder {name} ❄.")
    assert run.read_status()["reason"] == f"There is no folder {name} ❄."


def test_a_file_that_could_not_be_replaced_leaves_nothing_behind(run, monkeypatch):
    write_json(run.config, {"steps": 3})
    with pytest.raises(TypeError):
        write_json(run.config, {"steps": {4}})
    monkeypatch.setattr(os, "fsync", lambda handle: broken(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        write_json(run.config, {"steps": 4}, forced=True)
    assert [path.name for path in run.path.iterdir()] == ["config.json"] and json.loads(run.config.read_text()) == {"steps": 3}


def test_metrics_survive_a_torn_last_line_and_a_step_written_again(run):
    run.append_metrics(step=1, loss=3.0)
    run.append_metrics(step=2, loss=2.0)
    with open(run.metrics_file, "a") as file:
        file.write('{"step": 3, "lo')
    run.append_metrics(step=2, loss=1.5)
    assert run.read_metrics() == [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 1.5}]
    assert json.loads(run.metrics_file.read_text().splitlines()[-1]) == {"step": 2, "loss": 1.5}


def test_a_lock_is_handed_over_to_a_process_without_an_instant_in_which_it_is_free(run):
    code = ("import os, sys, time; from pathlib import Path; from r2f.run import HANDED_OVER, Run\n"
            "with Run(Path(sys.argv[1])).locked(): print(HANDED_OVER in os.environ, flush=True); sys.stdin.read()")
    lock = run.take()
    heir = subprocess.Popen([sys.executable, "-c", code, run.path], pass_fds=(lock,), env={**os.environ, HANDED_OVER: str(lock)},
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    os.close(lock)
    assert run.is_running()
    assert heir.stdout.readline() == b"False\n"
    with pytest.raises(RunBusy), run.locked():
        pass
    heir.communicate()
    assert not run.is_running()


@pytest.mark.parametrize("value", ["0", "999999", "-1", "lock", ""])
def test_a_handed_over_lock_that_is_none_is_not_believed(run, value, monkeypatch):
    monkeypatch.setenv(HANDED_OVER, value)
    with run.locked(), pytest.raises(RunBusy):
        run.take()


def test_a_lock_on_a_deleted_run_is_no_lock(run):
    """Whoever opened the lock file just before the run was deleted must not hold what is not there any more."""
    with run.locked():
        os.rename(run.path, run.path.with_name("gone"))
        with run.locked():
            assert run.is_running()


def test_a_stop_request_from_before_is_not_for_the_next_training(run):
    run.stop.touch()
    with run.locked():
        assert not run.stop.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
def test_where_a_run_cannot_be_reached_at_the_moment_nobody_has_asked_it_to_stop(run, number, monkeypatch):
    run.stop.touch()
    assert run.asked_to_stop()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda *path, **named: broken(number))
        assert not run.asked_to_stop()
    assert run.asked_to_stop()


def test_a_running_training_can_be_asked_for_a_sample_or_a_save_and_a_new_one_does_not_answer_for_it(run):
    assert not run.ask("sample"), "nobody would answer"
    assert list(run.path.iterdir()) == []
    with run.locked():
        assert run.ask("sample") and run.ask("save") and run.asked("sample") and run.asked("save")
        with pytest.raises(ValueError, match="sample or save, not for 'stop'"):
            run.ask("stop")
    with run.locked():
        assert run.asked("sample") is run.asked("save") is None
    (run.path / "sample").write_text("somebody's own file")
    with run.locked():
        assert (run.path / "sample").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "7"])
def test_a_damaged_status_reads_as_none(run, content):
    run.status_file.write_text(content)
    assert run.read_status() == {}


def long_metrics(run, lines):
    """What a training of so many lines leaves, about 400 bytes each; it was killed once and resumed from 1,000 steps before."""
    losses = ", ".join(f'"loss_of_a_long_name_{number}": 0.1234567890123456{number}' for number in range(7))
    with open(run.metrics_file, "w") as file:
        steps = [*range(1, lines // 2), *range(lines // 2 - 1000, lines - 1000 + 1)]
        for place, step in enumerate(steps):
            file.write(f'{{"step": {step}, "place": {place}, {losses}}}\n')
            if place == lines // 2 - 2:
                file.write('{"step": 5, "pla\n')
        file.write('{"step": 99999999, "lo')


@pytest.mark.parametrize("lines", [4_000, 200_000])
def test_points_of_long_metrics_are_true_evenly_spread_and_quick(run, lines):
    long_metrics(run, lines)
    took = []
    for _ in range(3):  # the least of them is what it costs
        began = time.process_time()
        points = run.read_metrics(points=500)
        took.append(1000 * (time.process_time() - began))
    milliseconds = min(took)
    print(f"{lines} lines, {run.metrics_file.stat().st_size / 1e6:.1f} MB: {len(points)} points in {milliseconds:.1f} ms of "
          "processor time")
    steps = [each["step"] for each in points]
    assert 350 <= len(points) <= 502  # those of the abandoned stretch fall away
    assert steps == sorted(set(steps)) and (steps[0], steps[-1]) == (1, lines - 1000)
    assert max(later - earlier for earlier, later in zip(steps, steps[1:], strict=False)) <= max(1200, lines // 250)
    again = lines // 2 - 1000  # the first step of the resumption, which stands at this place:
    outdated = [each for each in points if each["step"] >= again and each["place"] < lines // 2 - 1]
    assert len(outdated) <= 1
    if lines == 4000:
        whole = run.read_metrics()
        assert [each["step"] for each in whole] == list(range(1, lines - 1000 + 1))
        assert [each["place"] for each in whole[again - 1:]] == list(range(lines // 2 - 1, lines))
    assert milliseconds < 50


def test_few_metrics_are_read_whole_when_points_are_asked_for(run):
    for step in range(1, 1001):
        run.append_metrics(step=step, loss=1 / step)
    assert run.read_metrics(points=10) == run.read_metrics()
    assert Run(run.path / "nowhere").read_metrics(points=10) == []


def quality_line(run, step, **values):
    append_line(run.quality_file, {"step": step, "score": step / 1000, **values})


def test_figures_of_quality_are_among_the_points_however_few_are_asked_for(run):
    long_metrics(run, 4_000)
    for step in (500, 1_000, 2_777):
        quality_line(run, step, place=-1)
    points = run.read_metrics(points=20)
    assert len(points) < 30
    assert [(each["step"], each["place"]) for each in points if "score" in each] == [(500, -1), (1_000, -1), (2_777, -1)]
    assert [each["step"] for each in points] == sorted({each["step"] for each in points})
    whole = {each["step"]: each for each in run.read_metrics()}
    assert whole[500]["score"] == 0.5 and whole[500]["loss_of_a_long_name_0"] == 0.12345678901234560


def test_figures_of_a_stretch_that_is_trained_again_are_left_out_and_those_between_lines_are_lines_of_their_own(run):
    assert run.read_quality() == []
    quality_line(run, 2)
    assert run.read_metrics() == []
    for step in (1, 3):
        run.append_metrics(step=step, loss=1 / step)
    quality_line(run, 4)
    assert run.read_metrics() == [{"step": 1, "loss": 1}, {"step": 2, "score": 0.002}, {"step": 3, "loss": 1 / 3}]


def test_what_an_abandoned_stretch_said_does_not_outlive_the_resumption(run):
    for step, loss in ((1, 5.0), (2, 4.0), (3, 3.0), (2, 4.5)):
        run.append_metrics(step=step, loss=loss)
    assert [(each["step"], each["loss"]) for each in run.read_metrics()] == [(1, 5.0), (2, 4.5)]


def test_the_tail_of_a_log_is_lines_for_a_person(run):
    assert run.log_tail() == []
    run.log_file.write_bytes(b"first\n" + b"  0%\r 50%\r100%\r\n" + b"caf\xe9\n\nlast, unfinished")
    assert run.log_tail() == ["first", "100%", "caf\ufffd", "", "last, unfinished"]
    assert run.log_tail(2) == ["", "last, unfinished"]
    with open(run.log_file, "ab") as file:
        file.write(b"x" * 3_000_000 + b"\n" + b"end\n")
    took = []
    for _ in range(3):
        began = time.process_time()
        assert run.log_tail(200)[-1] == "end"
        took.append(time.process_time() - began)
    assert min(took) < 0.05
