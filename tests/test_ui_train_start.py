"""A new training without a browser: the form, the doctor's visits and report, what it needs, and what begins."""

import json
import re
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from r2f import config, device, doctor, preflight, runner, source, speed
from r2f.config import Config
from r2f.images import encode_png, write_picture
from r2f.run import Run, RunBusy
from r2f.source import BadSource, Folder
from r2f.ui import diagnosis, train_desk, train_form, train_needs, train_start, visit
from r2f.ui.train_form import FIELDS
from r2f.ui.visit import Visits, key_of

LITE = Path(__file__).parents[1] / "checkpoints" / "lite"

SECONDS = 120  # that a worker may take on a busy machine
CPU = device.Device("cpu", "Some Processor", 8_000_000_000, 2, 0, "tensorflow 2", "float32")


def scene(seed, height=48, width=64):
    """A smooth picture of chance colours, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(device, "known", lambda root: CPU)
    monkeypatch.setattr(speed, "hours", lambda settings, root: None)
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def write_scenes(folder, count):
    for number, name in enumerate(("rime", "flowers")):
        (folder / name).mkdir()
        for seed in range(count):
            write_picture(scene(10 * number + seed), folder / name / f"{seed}.png")


@pytest.fixture
def pictures(tmp_path):
    """Two folders: rime with a picture twice and one that can't be read, and sound flowers."""
    write_scenes(tmp_path, 6)
    write_picture(scene(0), tmp_path / "rime" / "again.png")
    (tmp_path / "rime" / "half.png").write_bytes(encode_png(scene(1))[:300])
    return tmp_path


@pytest.fixture
def sound(tmp_path):
    write_scenes(tmp_path, 4)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """What runner.start was asked for; nothing is started."""
    asked = []
    monkeypatch.setattr(runner, "start", lambda path, options: asked.append((Path(path).name, options)))
    return asked


def values_of(root, **changes):
    return train_form.fresh(root, gpu=False) | changes


def folders_of(path):
    return dict(source="folders", rime=str(path / "rime"), flowers=str(path / "flowers"))


def ended(visits, key):
    until = time.monotonic() + SECONDS
    while not (found := visits.get(key)).ended:
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


# the form


def test_the_form_as_it_opens_is_a_training_on_drawn_pictures(root):
    settings, faults, folders = train_form.read(values_of(root), root)
    assert not faults and not folders
    assert settings == config.preset("lite", drawn=True)
    assert train_form.options_of(settings) == {"preset": "lite", "drawn": True}
    assert train_form.fresh(root, gpu=True)["preset"] == "r2f"


@pytest.mark.parametrize("field,value,sentence", [
    ("image_size", 130, "multiple of 4"), ("image_size", None, "multiple of 4"), ("image_size", 4096, "1,024"),
    ("steps", 0, "whole number"), ("steps", 1.5, "whole number"), ("steps", "many", "whole number"),
    ("steps", True, "whole number"), ("steps", float("nan"), "whole number"), ("batch_size", 51, "1 to 50"),
    ("seed", -1, "whole number"),
    ("checkpoint_minutes", 0, "minutes"), ("name", "", "letters"), ("name", "../x", "letters"), ("name", "a/b", "letters"),
    ("name", None, "letters"), ("name", "pictures", "already"), ("start_from", "nobody", "no pair nobody"),
    ("start_from", "a\0b", "no pair"),
])
def test_what_cannot_be_used_gets_one_sentence_beside_its_field(root, field, value, sentence):
    settings, faults, _ = train_form.read(values_of(root, **{field: value}), root)
    assert settings is None and list(faults) == [field]
    assert sentence in faults[field] and 'lang="zh"' in faults[field]
    assert field in train_form.FAULTY


@pytest.mark.parametrize("path,sentence", [
    ("", "Please name a folder"), ("/nowhere/at all", "There is no folder"), ("~nobody-of-this-name/rime", "There is no folder"),
    ("a\0b", "Please name a folder"), (7, "Please name"),
    ("<b>x</b>", "&lt;b&gt;"),
])
def test_a_folder_that_is_not_there_is_named_and_escaped(root, path, sentence):
    _, faults, _ = train_form.read(values_of(root, source="folders", rime=path, flowers=path), root)
    assert set(faults) == {"rime", "flowers"} and sentence in faults["rime"] and "<b>" not in faults["rime"]


def test_folders_and_prepared_sets_are_found_and_files_and_empty_ones_are_not(root, sound, tmp_path):
    settings, faults, folders = train_form.read(values_of(root, **folders_of(sound)), root)
    assert not faults and [each.name for each in folders] == ["rime", "flower"]
    assert (settings.rime, settings.flowers) == (str(sound / "rime"), str(sound / "flowers"))
    same = folders_of(sound) | {"flowers": str(sound / "rime")}
    assert list(train_form.read(values_of(root, **same), root)[1]) == ["flowers"]
    (tmp_path / "set").mkdir()
    (sound / "flowers").rename(tmp_path / "set" / "trainA")
    (sound / "rime").rename(tmp_path / "set" / "trainB")
    for typed in (tmp_path / "set", tmp_path):
        settings, faults, folders = train_form.read(values_of(root, source="prepared", data=f" {typed} "), root)
        assert not faults and settings.data == str(tmp_path / "set")
    for typed in (tmp_path / "set" / "trainA", tmp_path / "set" / "trainA" / "0.png", root):
        _, faults, _ = train_form.read(values_of(root, source="prepared", data=str(typed)), root)
        assert list(faults) == ["data"], typed


@pytest.mark.parametrize("preset,networks,sentence", [
    ("lite", {}, None), ("r2f", {}, "choose the preset lite"), ("lite", {"filters": 12}, "no preset here has")])
def test_a_pair_of_another_shape_is_refused_before_anything_starts(root, tmp_path, preset, networks, sentence):
    info = json.loads((LITE / "pair.json").read_text())
    info["networks"] |= networks
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "pair.json").write_text(json.dumps(info))
    given = values_of(root, preset=preset, start_from="one")
    settings, faults, _ = train_form.read(given, root, {"one": tmp_path / "one"})
    assert (faults == {}) if sentence is None else settings is None and sentence in faults["start_from"]


def test_a_pair_that_is_older_than_the_setting_of_its_norms_fits_the_preset_it_came_from(root, tmp_path):
    info = json.loads((LITE / "pair.json").read_text()) | {"networks": config.preset("paper").generator_arguments}
    del info["networks"]["norm"]
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "pair.json").write_text(json.dumps(info))
    given = values_of(root, preset="paper", start_from="one")
    assert train_form.read(given, root, {"one": tmp_path / "one"})[1] == {}


def test_a_name_in_use_is_refused_with_one_that_is_free(root):
    (root / "lite-1").mkdir()
    (root / "mine").write_text("")
    assert train_form.fresh(root, gpu=False)["name"] == "lite-2"
    assert "lite-2 is free" in train_form.fault_of_name("lite-1", root)
    assert "mine-1 is free" in train_form.fault_of_name("mine", root)
    assert train_form.fault_of_name("lite-3", root) == ""


def test_pictures_stay_as_much_larger_than_the_crops_as_in_the_preset(root):
    for name in config.PRESETS:
        plain = config.preset(name)
        assert train_form.load_size(name, plain.image_size) == plain.load_size
    assert train_form.read(values_of(root, image_size=64), root)[0].load_size == 112


@pytest.mark.parametrize("settings", [
    config.preset("lite", drawn=True, steps=7, seed=3), config.preset("paper", rime="/r", flowers="/f", rime_test="/t", steps=9),
    config.preset("r2f", data="/d", filters=12, colourful=0.5, cycle_noise=1, image_size=64, load_size=70, prefixes="van,monet"),
    config.preset("seed", drawn=True, image_size=128), config.preset("lite", drawn=True, start_from="/pairs/one"),
], ids=["drawn", "folders", "set", "sizes", "pair"])
def test_a_cloned_configuration_makes_the_same_training_again(root, settings, monkeypatch):
    pairs = {"one": "/pairs/one"}
    values = train_form.cloned(settings, root, "mine-3", pairs)
    assert values["name"] == "mine-1" and set(values) == set(FIELDS)
    monkeypatch.setattr(train_form, "found", lambda path, domain="": [Folder(domain, Path(path))] if domain else
                        [Folder(name, Path(path, name)) for name in ("trainA", "trainB")])
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    again, faults, _ = train_form.read(values, root, pairs)
    assert not faults
    assert again == settings


def test_what_a_browser_remembers_may_be_anything(root):
    def otherwise():
        return values_of(root)
    for memory in (None, [], "x", {}, {"source": "elsewhere", "preset": "lite"}, {"source": "drawn", "preset": "x"}):
        assert train_form.remembered(memory, otherwise) == otherwise()
    also = {"filters": 8, "blocks": "9", "run": "/x", "cycle_noise": 1, "__class__": 1}
    memory = values_of(root, steps=5) | {"more": 1, "also": also}
    found = train_form.remembered(memory, otherwise)
    assert found["steps"] == 5 and "more" not in found and found["also"] == {"filters": 8, "cycle_noise": 1.0}
    assert train_form.read(found, root)[0].filters == 8
    bad = values_of(root, also={"residual": "sideways"})
    assert "residual is 'sideways'" in train_form.read(bad, root)[1]["also"].replace("&#x27;", "'")


# the doctor's visits


def test_a_visit_counts_names_and_shows_and_the_same_folders_share_it(pictures, root):
    visits = Visits(root)
    folders = [Folder("rime", pictures / "rime", "rime"), Folder("flower", pictures / "flowers", "flower")]
    told = []
    first = visits.look(folders, 48, {"mine": told.append})
    assert visits.look(folders, 48) is first or first.ended
    done = ended(visits, first.key)
    assert done.state == "done" and told == [done] and done.total == 14
    assert [each.pictures for each in done.report.folders] == [7, 6] and not done.report.healthy
    assert done.sheet.startswith(b"\x89PNG")
    assert visits.get(key_of(folders)) is done
    write_picture(scene(99), pictures / "rime" / "new.png")  # then it is another visit
    assert visits.get(key_of(folders)) is None


def test_zips_are_unpacked_to_folders_that_stay_and_the_same_zip_only_once(pictures, root, tmp_path):
    zips = {}
    for domain, name in (("rime", "rime"), ("flower", "flowers")):
        zips[domain] = tmp_path / "uploads" / domain / f"my {name}!.zip"
        zips[domain].parent.mkdir(parents=True)
        with zipfile.ZipFile(zips[domain], "w") as file:
            for path in (pictures / name).iterdir():
                file.write(path, f"album/{path.name}")
    visits = Visits(root)
    done = ended(visits, visits.unpack(zips).key)
    assert done.state == "done", done.said
    rime, flowers = Path(done.folders["rime"]), Path(done.folders["flowers"])
    assert rime.parent == root / "pictures" and rime.name.startswith("rime-my-rime-")
    assert len(list(rime.iterdir())) == 8 and len(list(flowers.iterdir())) == 6
    before = rime.stat().st_mtime_ns
    assert ended(visits, visits.unpack(zips).key).folders == done.folders and rime.stat().st_mtime_ns == before
    assert not runner.runs(root)


def test_a_zip_that_is_none_is_refused_in_a_sentence_and_leaves_nothing(root, tmp_path):
    bad = tmp_path / "notes.zip"
    bad.write_text("no zip")
    visits = Visits(root)
    done = ended(visits, visits.unpack({"rime": bad, "flower": bad}).key)
    assert done.state == "failed" and done.said.startswith("notes.zip is damaged or not a plain zip")
    assert not list((root / "pictures").iterdir())
    assert 'role="alert"' in diagnosis.of_visit(done)


def test_a_zip_that_was_swept_meanwhile_is_asked_for_again(root, tmp_path):
    visits, gone = Visits(root), tmp_path / "uploads" / "gone.zip"
    done = ended(visits, visits.unpack({"rime": gone, "flower": gone}).key)
    assert (done.state, done.said) == ("failed", "gone.zip cannot be opened; please choose the zip again.")


def test_unpacking_can_be_stopped_and_leaves_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for number in range(5):
            file.writestr(f"{number}.png", encode_png(scene(number)))

    def stop(done, total):
        if (done, total) == (3, 5):
            raise InterruptedError
    with pytest.raises((InterruptedError, BadSource)):
        source.unpack(tmp_path / "a.zip", tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_clean_data_set_is_made_of_two_folders(pictures, root):
    visits = Visits(root)
    rime, flowers = Folder("rime", pictures / "rime", "rime"), Folder("flower", pictures / "flowers", "flower")
    done = ended(visits, visits.prepare(rime, flowers, 32).key)
    assert done.state == "done", done.said
    settings, faults, folders = train_form.read(values_of(root, source="prepared", data=done.folders["data"]), root)
    assert not faults and len(folders) == 4
    assert ended(visits, visits.look(folders, 32).key).report.healthy


def test_a_visit_can_be_stopped_and_begun_again(pictures, root, monkeypatch):
    looking, go = threading.Event(), threading.Event()

    def slowly(folders, image_size, progress):
        looking.set()
        assert go.wait(SECONDS)
        progress(1, 2)
    monkeypatch.setattr(doctor, "examine", slowly)
    visits, folders = Visits(root), [Folder("rime", pictures / "rime")]
    begun = visits.look(folders, 32)
    assert looking.wait(SECONDS)
    assert "role=\"progressbar\"" in diagnosis.of_visit(begun)
    begun.cancel.set()
    go.set()
    assert ended(visits, begun.key).state == "stopped" and "Stopped" in diagnosis.of_visit(begun)
    monkeypatch.undo()
    assert ended(visits, visits.look(folders, 32).key).state == "done"


def test_visits_are_bounded_in_pictures_and_in_number(pictures, root, monkeypatch):
    visits = Visits(root)
    monkeypatch.setattr(visit, "MOST_PICTURES", 5)
    done = ended(visits, visits.look([Folder("rime", pictures / "rime")], 32).key)
    assert done.state == "failed" and "the doctor looks at 5 at most" in done.said
    monkeypatch.setattr(visit, "MOST_PICTURES", 20_000)
    go = threading.Event()
    monkeypatch.setattr(doctor, "examine", lambda *given: go.wait(SECONDS))
    try:
        with pytest.raises(visit.Crowded, match="many visitors"):
            for number in range(20):
                visits.look([Folder(str(number), pictures / "rime")], 32)
    finally:
        go.set()


def test_too_small_is_judged_anew_for_another_size_without_another_look(pictures):
    report = doctor.examine([Folder("flower", pictures / "flowers", "flower")], 32)
    assert report.folders[0].too_small == ()
    larger = doctor.at_size(report, 64)
    assert len(larger.folders[0].too_small) == 6 and "smaller than 64 pixels" in "\n".join(larger.advice)
    assert larger == doctor.examine([Folder("flower", pictures / "flowers", "flower")], 64)


# the report


def test_the_report_names_every_fault_in_both_languages(pictures):
    report = doctor.examine([Folder("rime", pictures / "rime", "rime"), Folder("flower", pictures / "flowers", "flower")], 64)
    shown = diagnosis.of_report(report)
    for words in ("half.png is damaged", "rime/0.png = rime/again.png", "1 unreadable", "1 张读不出", "short sides 48 to 48",
                  "The button below"):
        assert words in shown, words
    assert "r2f.data" not in shown
    odd = replace(report.folders[0], name="<i>", unreadable=("<script>.png is empty",))
    shown = diagnosis.of_report(replace(report, folders=(odd, report.folders[1])))
    assert "<script>" not in shown and "<i>" not in shown


def test_the_verdict_on_sound_but_few_pictures_says_so(pictures):
    report = doctor.examine([Folder("flower", pictures / "flowers", "flower")], 32)
    enough = replace(report, folders=tuple(replace(each, pictures=doctor.FEW) for each in report.folders))
    held_out = replace(report, folders=tuple(replace(each, test=True) for each in report.folders))
    assert report.healthy and "but few" in diagnosis.of_report(report) and "只是太少" in diagnosis.of_report(report)
    assert "but few" not in diagnosis.of_report(enough) + diagnosis.of_report(held_out)


def test_every_sentence_of_the_doctor_has_a_chinese_one():
    found = doctor.Findings("rime", "rime", False, 10, ("x.png is empty",), (9, 9, 9), tuple("abc"), tuple("abc"), ("a",))
    twins = (("rime/a", "flower/b"),)

    def sentences(pictures):
        one = replace(found, pictures=pictures)
        other = replace(one, name="flower", domain="flower", grey=tuple("abcd") * 100)
        sources = (Folder("rime", Path(), "rime", elsewhere=3), Folder("flower", Path(), "flower", elsewhere=1))
        for few in (one, replace(one, domain="")):
            yield from doctor._advice(doctor.Report(256, (few, other), twins, (), twins, twins, (), (), (("a", "b"),), sources))
    said = {each for pictures in (10, 400, 5000) for each in sentences(pictures)}
    said.add("The rime is warmer in colour than the flowers: are the two folders mixed up?")
    assert len(said) > 15
    for sentence in said:
        chinese = re.search('<span lang="zh">(.*)</span>', diagnosis.advice(sentence))[1]
        assert re.search("[\u4e00-\u9fff]", chinese) and "{" not in chinese and "--" not in diagnosis.advice(sentence), sentence


# needs


def test_the_label_says_device_time_memory_and_disk(root, monkeypatch):
    settings = config.preset("lite", drawn=True)
    shown = train_needs.label(settings, root)
    for words in ("Some Processor, 2 cores", "没有 GPU", "not measured yet", "GB", "MB"):
        assert words in shown
    monkeypatch.setattr(device, "known", lambda root: replace(CPU, cores=1))
    assert "Some Processor, 1 core<" in train_needs.label(settings, root)
    monkeypatch.setattr(device, "known", lambda root: replace(CPU, kind="gpu", name="NVIDIA H200", memory_bytes=141e9, count=1))
    monkeypatch.setattr(speed, "hours", lambda settings, root: 30.0)
    shown = train_needs.label(settings, root)
    assert "NVIDIA H200, 141.0 GB" in shown and "about 30 hours" in shown


@pytest.mark.parametrize("hours,words", [
    (0.2, "about 12 minutes"), (1.5, "about 90 minutes"), (2.6, "about 3 hours"), (20, "about 20 hours"), (50, "about 50 hours"),
    (100, "about 4 days"), (2400, "about 100 days"), (0.0, "about a minute")])
def test_a_time_is_said_in_the_unit_that_people_use(hours, words):
    assert words in train_needs.spelled(hours)


def test_what_will_not_do_is_said_for_a_page_in_both_languages(root, monkeypatch):
    huge = config.preset("r2f", drawn=True, image_size=1024, load_size=1280, batch_size=50)
    monkeypatch.setattr(preflight, "available_memory", lambda: 1_000_000_000)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000}))
    found = train_needs.problems(huge, root, "big")
    assert len(found) == 2
    for sentence in found:
        assert "--" not in sentence and re.search("[\u4e00-\u9fff]", sentence) and "free" in sentence or "available" in sentence
    few = preflight.warnings(config.preset("lite", drawn=True), (3, 500))
    assert len(few) == 1 and "--" not in train_needs.translated(few[0]) and "3 张雾凇照片" in train_needs.translated(few[0])


# begin


def test_drawn_pictures_begin_at_once(root, started):
    desk = train_desk.Desk(root, dict)
    sentence, name = desk.begin(values_of(root, steps=12))
    assert name == "lite-1" and "has begun" in sentence
    assert started == [("lite-1", {"preset": "lite", "drawn": True, "steps": 12})]


def test_the_doctor_looks_first_and_sound_pictures_then_begin_by_themselves(root, sound, started):
    desk, values = train_desk.Desk(root, dict), values_of(root, image_size=32, **folders_of(sound))
    sentence, name = desk.begin(values)
    assert "looks at the pictures first" in sentence and not name
    _, _, folders = desk.read(values)
    ended(desk.visits, key_of(folders))
    assert desk.outcomes[key_of(folders), "lite-1"][1] == "lite-1" and started[0][1]["rime"] == str(sound / "rime")


def test_two_who_wait_for_the_same_pictures_both_begin(root, sound, started):
    """Two tabs, or one person twice; who asks again under the same name has changed their mind."""
    desk, values = train_desk.Desk(root, dict), values_of(root, image_size=32, **folders_of(sound))
    for name, seed in (("one", 1), ("folders", 2), ("one", 3)):
        assert "looks at the pictures first" in desk.begin(values | {"name": name, "seed": seed})[0]
    key = key_of(desk.read(values)[2])
    ended(desk.visits, key)
    assert [(name, options["seed"]) for name, options in started] == [("one", 3), ("folders", 2)]
    assert [desk.outcomes[key, name][1] for name in ("one", "folders")] == ["one", "folders"]


def test_what_the_doctor_found_is_to_be_read_before_it_begins(root, pictures, started):
    desk, values = train_desk.Desk(root, dict), values_of(root, **folders_of(pictures))
    desk.begin(values)
    key = key_of(desk.read(values)[2])
    ended(desk.visits, key)
    assert "read it, then press again" in desk.outcomes[key, "lite-1"][0] and not started
    assert desk.begin(values)[1] == "lite-1" and len(started) == 1


def test_nothing_begins_from_a_folder_without_readable_pictures(root, sound, started):
    for path in (sound / "rime").iterdir():
        path.write_bytes(b"no picture")
    desk, values = train_desk.Desk(root, dict), values_of(root, **folders_of(sound))
    desk.begin(values)
    ended(desk.visits, key_of(desk.read(values)[2]))
    sentence, name = desk.begin(values)
    assert "None of the 4 files" in sentence and not name and not started


def test_the_second_training_is_queued_and_that_is_said(root, started, monkeypatch):
    busy = [type("Status", (), {"run": Run(root / name), "running": True, "state": "training"}) for name in ("b", "a")]
    monkeypatch.setattr(runner, "runs", lambda root: busy)
    desk = train_desk.Desk(root, dict)
    assert "waits for a, b to end" in desk.begin(values_of(root))[0] and len(started) == 1
    busy *= 5
    assert "9 trainings wait already" in desk.begin(values_of(root))[0] and len(started) == 1


@pytest.mark.parametrize("error,sentence", [
    (runner.StartFailed("steps is 0; it must be <1>."), "steps is 0; it must be &lt;1&gt;."),
    (RunBusy("x"), "choose another name"), (PermissionError(13, "Permission denied", "runs"), "Permission denied")])
def test_what_the_runner_refuses_is_said_beside_the_button(root, monkeypatch, error, sentence):
    def start(path, options):
        raise error
    monkeypatch.setattr(runner, "start", start)
    said, name = train_desk.Desk(root, dict).begin(values_of(root))
    assert sentence in said and not name


def test_a_training_that_does_not_fit_is_refused_with_the_reason(root, started, monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda: 100_000_000)
    said, name = train_desk.Desk(root, dict).begin(values_of(root))
    assert "of memory are needed" in said and not name and not started


# the room


def room(root, pairs=dict):
    with gr.Blocks() as page:
        start = train_start.train_start(root, pairs)
        start.when(gr.Button().click)
    return page, start


def test_the_room_registers_nothing_that_others_could_call(root):
    page, start = room(root)
    assert not page.get_api_info()["named_endpoints"]
    assert start.block.elem_id == "start-room" and start.started.elem_id == "start-started"
    fields = gr.Number | gr.Radio | gr.Dropdown | gr.File | gr.Textbox | gr.Checkbox | gr.Image
    assert all(each.label for each in page.blocks.values() if isinstance(each, fields))


def test_a_run_is_cloned_into_the_form_and_one_that_is_gone_is_said(root):
    run = root / "mine-1"
    run.mkdir()
    (run / "config.json").write_text(replace(config.preset("paper", steps=77, drawn=True, filters=12), run=str(run)).to_json())
    (run / "lock").touch()
    page, start = room(root)
    values = dict(zip(FIELDS, start.fill("mine-1"), strict=False))
    assert (values["preset"], values["steps"], values["name"], values["also"]) == ("paper", 77, "mine-2", {"filters": 12})
    assert len(start.fill("mine-1")) == len(start.form) == len(start.fill("../etc")) == len(start.fill("gone"))
    assert "can't be read any more" in start.fill("gone")[len(FIELDS)]
    (run / "config.json").write_text("{")
    assert "can't be read any more" in start.fill("mine-1")[len(FIELDS)]


def function(page, name):
    return next(each.fn for each in page.fns.values() if each.fn and each.fn.__name__ == name)


def test_measuring_says_why_it_could_not(root, monkeypatch):
    def calibrate(settings, root):
        raise speed.DeviceBusy("A training runs; <nothing> is measured.")
    monkeypatch.setattr(speed, "calibrate", calibrate)
    measure = function(room(root)[0], "measure")
    form = values_of(root)
    assert "&lt;nothing&gt; is measured" in measure(*(form[name] for name in FIELDS))
    form["steps"] = 0
    assert "beside the field" in measure(*(form[name] for name in FIELDS))


def test_what_was_unpacked_goes_into_the_form_even_where_the_doctor_has_many_visitors(root, sound, tmp_path, monkeypatch):
    desk, busy, go, zips = train_desk.Desk(root, dict), threading.Event(), threading.Event(), {}
    monkeypatch.setattr(train_start, "Desk", lambda *given: desk)
    for domain, name in (("rime", "rime"), ("flower", "flowers")):
        zips[domain] = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(zips[domain], "w") as file:
            for path in (sound / name).iterdir():
                file.write(path, path.name)
    unpacked = ended(desk.visits, desk.visits.unpack(zips).key)
    monkeypatch.setattr(doctor, "examine", lambda *given: busy.set() or go.wait(SECONDS))
    try:
        for number in range(1 + visit.MOST_WAITING):
            desk.visits.look([Folder(str(number), sound / "rime")], 32)
            assert busy.wait(SECONDS)
        values = values_of(root, source="zips")
        shown = function(room(root)[0], "tick")({"watched": unpacked.key}, *(values[name] for name in FIELDS))
    finally:
        go.set()
    assert unpacked.folders["rime"] in shown.values() and any("Unpacked" in str(each) for each in shown.values())


def test_a_page_that_is_opened_anew_keeps_what_was_typed_and_only_a_taken_name_changes(root):
    come_back = function(room(root)[0], "come_back")
    (root / "mine-1").mkdir()
    for typed, name in (("mine-1", "mine-2"), ("my first", "my first"), ("../x", "../x"), ("", "lite-1")):
        memory = values_of(root, name=typed, steps=0, source="folders", rime="/nowhere") | {"own": "before"}
        filled = dict(zip(FIELDS, come_back(memory, {}), strict=False))
        assert (filled["name"], filled["steps"], filled["rime"], filled["source"]) == (name, 0, "/nowhere", "folders")
    assert come_back(memory, {"own": "before"})[0] == gr.skip()  # what this page has written itself


def test_where_there_is_a_gpu_the_untouched_form_takes_the_preset_for_it(root, monkeypatch):
    page, _ = room(root)
    come_in, settle = function(page, "come_in"), function(page, "settle")
    filled = come_in("", {})
    form, now = filled[:len(FIELDS)], filled[-1]
    form[FIELDS.index("start_from")] = ""
    assert settle(now, *form)[0] == gr.skip()
    monkeypatch.setattr(device, "known", lambda root: replace(CPU, kind="gpu", name="NVIDIA H200", count=1))
    assert settle(now, *form)[FIELDS.index("preset")] == "r2f"
    form[FIELDS.index("steps")] = 5
    assert settle(now, *form)[0] == gr.skip()


def test_memory_that_another_training_takes_is_no_reason_not_to_wait_for_it(root, started, monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda: 100_000_000)
    busy = [type("Status", (), {"run": Run(root / "a"), "running": True, "state": "training"})]
    monkeypatch.setattr(runner, "runs", lambda root: busy)
    assert "waits for a to end" in train_desk.Desk(root, dict).begin(values_of(root))[0]


def test_the_settings_of_the_newest_run_fill_the_form_of_a_browser_that_remembers_nothing(root):
    assert train_form.newest(root) == ("", None)
    come_in = function(room(root)[0], "come_in")
    assert come_in("", {})[len(FIELDS)] == ""
    run = root / "mine-1"
    run.mkdir()
    (run / "lock").touch()
    (run / "config.json").write_text(Config(steps=123, drawn=True).to_json())
    name, newest = train_form.newest(root)
    assert (name, newest.steps) == ("mine-1", 123)
    filled = come_in("", {})
    assert filled[FIELDS.index("steps")] == 123 and "The same settings as mine-1" in filled[len(FIELDS)]  # and it is said whose


def test_a_start_is_followed_by_a_free_name_without_a_fault(root, monkeypatch):
    monkeypatch.setattr(runner, "start", lambda path, options: path.mkdir())
    values = values_of(root, name="mine")
    *_, last = function(room(root)[0], "go")({}, *(values[name] for name in FIELDS))
    shown = {each.elem_id: value for each, value in last.items()}
    assert "mine has begun" in shown["start-said"] and shown["start-name"] == "mine-1" and shown["start-fault-name"] == ""


def test_a_start_that_waited_for_the_doctor_is_followed_by_a_free_name_without_a_fault(root, sound, monkeypatch):
    monkeypatch.setattr(runner, "start", lambda path, options: path.mkdir())
    desk = train_desk.Desk(root, dict)
    monkeypatch.setattr(train_start, "Desk", lambda *given: desk)
    page, values = room(root)[0], values_of(root, name="mine", image_size=32, **folders_of(sound))
    desk.begin(values)
    ended(desk.visits, key_of(desk.read(values)[2]))
    shown = {each.elem_id: value for each, value in function(page, "tick")({}, *(values[name] for name in FIELDS)).items()}
    assert "mine has begun" in shown["start-said"] and shown["start-name"] == "mine-1" and shown["start-fault-name"] == ""


def test_what_stands_below_the_button_goes_once_it_is_so_no_longer(root, started, monkeypatch):
    outlived = function(room(root)[0], "outlived")

    def after(said, **changes):
        return outlived(said, "mine?7", *(values_of(root, **changes)[name] for name in FIELDS))

    mend = train_start.said_html(train_start.both("ts_mend"), refused=True)
    assert after(mend, steps=0) == gr.skip() and after(mend) == ""
    runs = [type("Status", (), {"run": Run(root / name), "running": True, "state": state})
            for name, state in (("mine", "queued"), ("drawn", "training"))]
    monkeypatch.setattr(runner, "runs", lambda root: runs)
    waits = train_start.said_html(train_desk.Desk(root, dict).begin(values_of(root, name="mine"))[0])
    assert "mine waits for drawn" in waits and after(waits) == gr.skip()
    runs[0].state = "stopped"
    assert after(waits) == ""
    assert all(after(said) == gr.skip() for said in ("", None, train_start.said_html(train_start.both("ts_begun", name="mine"))))
