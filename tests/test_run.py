import json
import subprocess
import sys

import pytest

from r2f.run import Run, RunBusy


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


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


def test_metrics_survive_a_torn_last_line_and_a_step_written_again(run):
    run.append_metrics(step=1, loss=3.0)
    run.append_metrics(step=2, loss=2.0)
    with open(run.metrics_file, "a") as file:
        file.write('{"step": 3, "lo')
    run.append_metrics(step=2, loss=1.5)
    assert run.read_metrics() == [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 1.5}]
    assert json.loads(run.metrics_file.read_text().splitlines()[-1]) == {"step": 2, "loss": 1.5}
