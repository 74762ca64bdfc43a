import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_doctor import folder, scene

from r2f import dataset, source
from r2f.config import LEAST_HELD_OUT
from r2f.doctor import examine

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """14 rime photos, of which one is twice there and one nearly, and 12 flower paintings; one picture is in both."""
    root = tmp_path_factory.mktemp("sources")
    rime = {f"{seed:02}.png": scene(seed) for seed in range(12)}
    rime |= {"07-copy.png": scene(7), "08-large.png": scene(8, 96, 128), "both.png": scene(99)}
    flowers = {f"{seed}.png": scene(seed) for seed in range(20, 32)}
    flowers |= {"both.png": scene(99), "grey-card.png": scene(0) * 0 + 128}
    return (folder(root / "rime", rime, "rime", domain="rime"), folder(root / "flowers", flowers, "flower", domain="flower"))


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_there_twice_or_in_both_or_empty_is_left_out_with_its_reason(folders, tmp_path):
    info, _ = dataset.prepare(*folders, tmp_path / "mine", test=3)
    assert info["counts"] == {"trainA": 9, "testA": 3, "trainB": 9, "testB": 3}
    reasons = {each["file"]: each["reason"] for each in info["left_out"]}
    both = "both rime and flower: rime/both.png = flower/both.png"
    assert reasons == {"rime/07.png": "the same picture as rime/07-copy.png",
                       "rime/08.png": "nearly the same picture as rime/08-large.png",
                       "rime/both.png": both, "flower/both.png": both, "flower/grey-card.png": "empty: a single colour"}
    assert json.loads((tmp_path / "mine" / "dataset.json").read_text()) == info
    sets = source.find(tmp_path / "mine")
    report = examine(sets)
    assert report.healthy and not report.leaks
    assert dataset.differences(tmp_path / "mine", report) == []
    assert os.listdir(tmp_path) == ["mine"]


def test_the_split_is_a_function_of_the_pictures_and_the_seed(folders, tmp_path):
    renamed = []
    for each in folders:
        (tmp_path / each.name).mkdir()
        for number, path in enumerate(sorted(each.path.iterdir(), reverse=True)):
            shutil.copyfile(path, tmp_path / each.name / f"renamed_{number}.png")
        renamed.append(source.Folder(each.name, tmp_path / each.name, each.domain))
    made = [dataset.prepare(*some, tmp_path / f"out{number}", 4, seed)[0]
            for number, (some, seed) in enumerate(((folders, 0), (renamed, 0), (folders, 1)))]
    splits = [{name: set(files.values()) for name, files in info["pictures"].items()} for info in made]
    assert splits[0] == splits[1] != splits[2]


def test_one_more_picture_moves_at_most_one_other(folders, tmp_path):
    more = source.Folder("rime", tmp_path / "more", "rime")
    shutil.copytree(folders[0].path, more.path)
    folder(more.path, {"new.png": scene(77)})
    before, after = (set(dataset.prepare(rime, folders[1], tmp_path / name, 4)[0]["pictures"]["testB"].values())
                     for rime, name in ((folders[0], "before"), (more, "after")))
    assert len(before - after) <= 1


def test_no_more_than_a_sixth_is_held_out_if_no_number_is_asked_for(folders, tmp_path):
    info, _ = dataset.prepare(*folders, tmp_path / "mine")
    assert (info["counts"]["testA"], info["counts"]["testB"]) == (2, 2)
    assert info["notes"] == ["2 of 12 rime photos are held out, a sixth; 168 would be too many; figures of quality need 8.",
                             "2 of 12 flower paintings are held out, a sixth; 168 would be too many; figures of quality need 8."]


def test_what_figures_need_is_held_out_where_a_quarter_suffices():
    notes = []
    assert dataset._test_count(40, None, "rime", notes) == dataset.LEAST_TEST == LEAST_HELD_OUT
    assert notes == ["8 of 40 rime photos are held out, the fewest that give figures of quality; 168 would be too many."]


@pytest.mark.parametrize("count,held_out", [(1160, 168), (1800, 168), (1008, 168), (1007, 167), (300, 50), (48, 8), (47, 8),
                                            (32, 8), (31, 5), (2, 1)])
def test_the_2023_projects_split_where_there_are_enough(count, held_out):
    assert dataset._test_count(count, None, "rime", []) == held_out


def test_small_pictures_are_left_out_when_asked(folders, tmp_path):
    with pytest.raises(source.BadSource, match="only 0 rime photos to learn from"):
        dataset.prepare(*folders, tmp_path / "mine", min_side=500)
    info, _ = dataset.prepare(*folders, tmp_path / "mine", test=0, min_side=48)
    assert info["counts"]["trainB"] == 12 and info["counts"]["testB"] == 0
    assert dataset.differences(tmp_path / "mine", examine(source.find(tmp_path / "mine"))) == []
    assert dataset.prepare(*folders, tmp_path / "mine", test=0, min_side=48)[0] == info
    with pytest.raises(source.BadSource, match="--test is 12 and there are 12 rime photos"):
        dataset.prepare(*folders, tmp_path / "other", test=12)
    assert os.listdir(tmp_path) == ["mine"]


def test_doing_it_again_changes_nothing_and_another_seed_replaces_it(folders, tmp_path):
    out = tmp_path / "mine"
    first, _ = dataset.prepare(*folders, out, 3)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert dataset.prepare(*folders, out, 3)[0] == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    second, _ = dataset.prepare(*folders, out, 3, seed=1)
    assert second["digest"] != first["digest"] and dataset.read_info(out) == second
    (out / "trainA" / next(iter(second["pictures"]["trainA"]))).unlink()
    assert dataset.prepare(*folders, out, 3, seed=1)[0] == second
    assert sum(map(len, second["pictures"].values())) == len(files(out)) - 1
    assert os.listdir(tmp_path) == ["mine"]


def test_what_was_not_made_here_is_never_touched(folders, tmp_path):
    out = tmp_path / "mine"
    folder(out / "trainA", {"precious.png": scene(1)})
    with pytest.raises(dataset.NotOurs, match="was not made by this command"):
        dataset.prepare(*folders, out, 3)
    assert list(files(out)) == ["trainA/precious.png"]
    shutil.rmtree(out)
    dataset.prepare(*folders, out, 3)
    folder(out / "trainA", {"precious.png": scene(1)})
    before = files(out)
    with pytest.raises(dataset.NotOurs, match="trainA/precious.png"):
        dataset.prepare(*folders, out, 3, seed=1)
    assert files(out) == before
    changed = dataset.differences(out, examine(source.find(out)))
    assert changed == ["trainA/precious.png was added since the data set was made."]
    (tmp_path / "file").write_text("precious")
    with pytest.raises(dataset.NotOurs):
        dataset.prepare(*folders, tmp_path / "file", 3)


def test_a_data_set_that_is_a_source_is_never_replaced(folders, tmp_path, monkeypatch):
    out = tmp_path / "mine"
    dataset.prepare(*folders, out, 3)
    before = files(out)
    (tmp_path / "link").symlink_to(out / "trainB")
    (tmp_path / "again").symlink_to(out)
    rime, linked = (source.Folder("rime", path, "rime") for path in (out / "trainB", tmp_path / "link"))
    flowers, whole = source.Folder("flower", out / "trainA", "flower"), source.Folder("flower", out, "flower")
    monkeypatch.setattr(dataset, "examine", None)  # it says so before anything is looked at
    for some, place in (((rime, flowers), out), ((rime, folders[1]), out), ((folders[0], flowers), out),
                        ((folders[0], whole), out), ((linked, folders[1]), out), ((rime, flowers), tmp_path / "again")):
        with pytest.raises(dataset.NotOurs, match="lies in .*mine, which would be replaced; choose another folder"):
            dataset.prepare(*some, place, 3)
    assert files(out) == before


@pytest.mark.parametrize("change", [lambda data: data + b"edited", lambda data: data[:100], lambda data: b""],
                         ids=["edited", "cut", "emptied"])
def test_a_picture_that_was_changed_is_named_and_kept(folders, tmp_path, change):
    out = tmp_path / "mine"
    info, _ = dataset.prepare(*folders, out, 3)
    name = f"trainB/{next(iter(info['pictures']['trainB']))}"
    whole = (out / name).read_bytes()
    (out / name).write_bytes(change(whole))
    before = files(out)
    for seed in (0, 5):  # the same data set, and another one
        with pytest.raises(dataset.NotOurs, match=f"{name} has changed since the data set was made; put it back as it was"):
            dataset.prepare(*folders, out, 3, seed)
    assert files(out) == before
    (out / name).unlink()
    assert dataset.prepare(*folders, out, 3)[0] == info
    assert (out / name).read_bytes() == whole


def test_what_cant_be_read_any_more_is_not_called_missing(folders, tmp_path):
    out = tmp_path / "mine"
    info, _ = dataset.prepare(*folders, out, 3)
    cut, gone, edited = (f"trainB/{name}" for name in sorted(info["pictures"]["trainB"])[:3])
    (out / cut).write_bytes((out / cut).read_bytes()[:100])
    (out / gone).unlink()
    (out / edited).write_bytes((out / edited).read_bytes() + b"edited")
    assert dataset.differences(out, examine(source.find(out))) == [
        f"{cut} can't be read any more.", f"{gone} is missing since the data set was made.",
        f"{edited} has changed since the data set was made."]


def test_a_link_stays_one_and_the_data_set_is_where_it_leads(folders, tmp_path):
    disk, out = tmp_path / "disk", tmp_path / "links" / "mine"
    disk.mkdir()
    out.parent.mkdir()
    out.symlink_to(disk / "set")  # which is not there yet
    dataset.prepare(*folders, out, 3)
    shutil.rmtree(disk / "set")
    (disk / "set").mkdir()  # or is empty
    for seed in (0, 1, 2):
        info, _ = dataset.prepare(*folders, out, 3, seed)
        assert out.is_symlink() and dataset.read_info(disk / "set") == info
        assert os.listdir(disk) == ["set"] and os.listdir(out.parent) == ["mine"]


def test_the_folder_one_is_in_is_not_replaced(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "examine", None)  # it says so before anything is looked at
    (tmp_path / "empty" / "below").mkdir(parents=True)
    for here, out in ((tmp_path / "empty", "."), (tmp_path / "empty", tmp_path / "empty"), (tmp_path / "empty" / "below", "..")):
        monkeypatch.chdir(here)
        with pytest.raises(dataset.NotOurs, match=f"^{tmp_path / 'empty'} can't be replaced, because you are in it"):
            dataset.prepare(*folders, out, 3)
    assert os.listdir(tmp_path / "empty") == ["below"]


def test_two_at_once_don_t_get_in_each_others_way(folders, tmp_path):
    with dataset._unfinished(tmp_path / "mine"), pytest.raises(dataset.NotOurs, match="is being written"):
        dataset.prepare(*folders, tmp_path / "mine", 3)


def test_a_full_disk_is_said_before_anything_is_copied(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "SPARE_BYTES", 10**18)
    with pytest.raises(source.BadSource, match="GB of the disk are free"):
        dataset.prepare(*folders, tmp_path / "mine", 3)
    assert os.listdir(tmp_path) == []


def test_a_copy_that_fails_leaves_what_was_there(folders, tmp_path, monkeypatch):
    first, _ = dataset.prepare(*folders, tmp_path / "mine", 3)
    before, copies = files(tmp_path), []

    def fail(source, target):
        copies.append(target)
        if len(copies) == 5:
            raise OSError(28, "No space left on device")
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        dataset.prepare(*folders, tmp_path / "mine", 3, seed=1)
    assert files(tmp_path) == before


SLOWLY = """
import shutil, sys, time
from pathlib import Path
from r2f import dataset, source
copy = shutil.copyfile
def slowly(*paths):
    copy(*paths)
    print("copied", flush=True)
    time.sleep(0.02)
shutil.copyfile = slowly
rime, flowers, out, seed = sys.argv[1:]
dataset.prepare(source.Folder("rime", Path(rime), "rime"), source.Folder("flower", Path(flowers), "flower"), out, 3, int(seed))
print("done", flush=True)
"""


def test_killed_at_any_instant_there_is_a_whole_data_set_or_none(folders, tmp_path):
    out, kills, whole, midway = tmp_path / "mine", (1, 11, 23, 0, 4, 20), 0, 0
    for number, copies in enumerate(kills):
        if number == len(kills) // 2:  # from here on there is one to be replaced
            dataset.prepare(*folders, out, 3, seed=100)
        command = [sys.executable, "-c", SLOWLY, *(str(each.path) for each in folders), str(out), str(number)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(copies):
            process.stdout.readline()
        time.sleep(0.004 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        midway += (tmp_path / ".mine.unfinished").exists()
        if out.exists():
            info = dataset.read_info(out)
            assert info and len(files(out)) == 1 + sum(info["counts"].values())
            whole += 1
    info, _ = dataset.prepare(*folders, out, 3, seed=9)
    print(f"{len(kills)} kills: {midway} while copying, {whole} times a whole data set was there, never a part of one")
    assert midway >= len(kills) / 4
    assert whole >= len(kills) // 2 - 1  # it is not there for the instant between two renames
    assert info["seed"] == 9 and len(files(out)) == 1 + sum(info["counts"].values())
    assert os.listdir(tmp_path) == ["mine"]


def test_a_listing_that_is_no_listing_is_nothing(tmp_path):
    for text in ("", "[]", "{}", '{"made_by": "rime2flower", "format": 1, "pictures": 3, "digest": ""}', '{"format": 2}'):
        (tmp_path / "dataset.json").write_text(text)
        assert dataset.read_info(tmp_path) is None
