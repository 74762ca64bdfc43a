import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from r2f import doctor
from r2f.images import encode_png, write_picture
from r2f.shell import python
from r2f.source import BadSource, Folder


def scene(seed, height=48, width=64):
    """A smooth picture of chance colours, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def folder(path, pictures, name="", **options):
    path.mkdir(parents=True, exist_ok=True)
    for file, pixels in pictures.items():
        write_picture(pixels, path / file)
    return Folder(name or path.name, path, **options)


def test_a_name_that_is_no_text_is_listed_rather_than_stumbled_over(tmp_path):
    """As in zips of the nineties: bytes of another encoding than the system's."""
    rime = folder(tmp_path / "rime", {"a.png": scene(0), "b.png": scene(1)}, domain="rime")
    os.rename(os.fsencode(rime.path / "b.png"), os.fsencode(rime.path) + b"/gr\xfcn.png")
    report = doctor.examine([rime], image_size=48)
    assert report.folders[0].unreadable == ("gr?n.png has a name that is no text; please rename it.",)
    assert "gr?n.png" in doctor.to_text(report)


def test_what_is_wrong_with_a_folder_is_counted_and_named(tmp_path):
    grey = np.repeat(scene(1)[..., :1], 3, 2)
    fog = np.full((48, 64, 3), 200, np.uint8)
    rime = folder(tmp_path / "rime", {"a.png": scene(0), "grey.png": grey, "grey.jpg": scene(2)[..., :1].repeat(3, 2),
                                      "fog.png": fog, "small.png": scene(3, 40, 90)}, domain="rime")
    (rime.path / "half.png").write_bytes(encode_png(scene(4))[:500])
    (rime.path / "notes.txt").write_text("no picture")
    report = doctor.examine([rime], image_size=48)
    [found] = report.folders
    assert (found.pictures, found.short_side) == (5, (40, 48, 48))
    assert found.unreadable == ("half.png is damaged or incomplete; please choose another copy of it.",)
    assert (found.too_small, found.grey, found.blank) == (("small.png",), ("fog.png", "grey.jpg", "grey.png"), ("fog.png",))
    assert not report.healthy
    assert doctor.rows(report) == [["rime", 5, 1, 40, 48, 48, 1, 3, 1]]


def test_held_out_pictures_that_are_trained_on_and_pictures_of_both_domains_are_found(tmp_path):
    sets = [folder(tmp_path / "trainA", {"a.png": scene(0), "b.png": scene(1)}, domain="flower"),
            folder(tmp_path / "trainB", {"a.png": scene(2), "b.png": scene(3)}, domain="rime"),
            folder(tmp_path / "testA", {"c.png": scene(1)[:, ::-1]}, domain="flower", test=True),
            folder(tmp_path / "testB", {"c.png": scene(0)}, domain="rime", test=True)]
    report = doctor.examine(sets)
    assert report.leaks == (("trainA/a.png", "testB/c.png"), ("trainA/b.png", "testA/c.png"))
    assert report.in_both == (("trainA/a.png", "testB/c.png"),)
    text = doctor.to_text(report)
    assert "1 picture is among the rime and among the flowers as well" in text
    assert f"2 pictures are both trained on and held out, so the samples will flatter; `{python()} -m r2f.data prepare`" in text


@pytest.mark.parametrize("count,sentence", [
    (3, "3 rime photos: too few to learn from"), (400, "400 rime photos: expect texture, not shape."),
    (1000, "1,000 rime photos: as many as the published CycleGANs had")])
def test_the_advice_says_what_so_many_pictures_can_teach(count, sentence):
    assert sentence in "\n".join(advice_on(count))


def advice_on(count, **found):
    findings = doctor.Findings(**{**dict(name="rime", domain="rime", test=False, pictures=count, unreadable=(),
                                         short_side=(300, 300, 300), too_small=(), grey=(), blank=()), **found})
    return list(doctor._advice(doctor.Report(256, (findings,), (), (), (), (), (), (), (), (Folder("rime", Path(), "rime"),))))


def test_the_advice_names_what_to_do_about_small_and_empty_pictures():
    text = "\n".join(advice_on(10, too_small=("a", "b"), blank=("c",)))
    assert "2 pictures are smaller than 256 pixels in rime and will be enlarged" in text
    assert "1 picture is empty in rime; take them out." in text


def test_mixed_up_folders_are_noticed(tmp_path):
    cold = {f"{seed}.png": scene(seed) // 2 + np.uint8([0, 30, 90]) for seed in range(3)}
    warm = {f"{seed}.png": pixels[..., ::-1].copy() for seed, pixels in cold.items()}
    for rime, flowers, mixed_up in ((cold, warm, False), (warm, cold, True)):
        place = tmp_path / str(mixed_up)
        report = doctor.examine([folder(place / "rime", rime, domain="rime"),
                                 folder(place / "flowers", flowers, domain="flower")])
        assert any("mixed up" in sentence for sentence in report.advice) == mixed_up


def test_a_sound_folder_is_healthy_and_the_report_is_json(tmp_path):
    report = doctor.examine([folder(tmp_path / "rime", {f"{seed}.png": scene(seed) for seed in range(3)})], image_size=32)
    assert report.healthy
    read = json.loads(report.to_json())
    assert read["healthy"] and read["folders"][0]["pictures"] == 3
    assert set(read) == {"healthy", "image_size", "folders", "same", "alike", "leaks", "in_both", "advice"}


def test_the_text_shows_the_beginning_of_long_lists(tmp_path):
    many = folder(tmp_path / "rime", {f"{seed}.png": np.repeat(scene(seed)[..., :1], 3, 2) for seed in range(5)})
    text = doctor.to_text(doctor.examine([many], 32), most=2)
    assert "Without colour (5):\n  rime/0.png\n  rime/1.png\n  and 3 more\n" in text


def test_the_contact_sheet_shows_every_folder_and_what_is_alike(tmp_path):
    shades = {f"{shade}.png": np.full((40, 60, 3), shade, np.uint8) for shade in (20, 40, 80)}
    sets = [folder(tmp_path / "rime", shades),
            folder(tmp_path / "flowers", {"a.png": scene(0), "b.png": scene(0), "c.png": scene(1)})]
    report = doctor.examine(sets)
    sheet = doctor.contact_sheet(report, columns=4, lines=2, side=32)
    assert sheet.dtype == np.uint8 and sheet.shape == (3 * (26 + 36) + 4, 4 * 36 + 4, 3)
    assert [int(sheet[26 + 16, 4 + 36 * place + 16, 0]) for place in range(4)] == [20, 40, 80, 255]
    assert len(report.groups) == 1
    twins = sheet[-36:-4]
    assert np.array_equal(twins[:, 4:36], twins[:, 40:72])
    (sets[0].path / "40.png").unlink()
    assert doctor.contact_sheet(report, columns=4, lines=2, side=32).shape == sheet.shape


@pytest.mark.parametrize("name,domain,title", [("雾凇", "rime", "folder 1, rime photos"), ("café", "", "folder 1"),
                                               ("rime", "", "rime")])
def test_a_name_that_the_font_lacks_letters_for_is_not_drawn_as_boxes(tmp_path, name, domain, title):
    rime = folder(tmp_path / "pictures", {"a.png": scene(0)}, name, domain=domain)
    sheet, expected = (doctor.contact_sheet(doctor.examine([each])) for each in (rime, replace(rime, name=title)))
    assert np.array_equal(sheet, expected)
    assert not np.array_equal(sheet, doctor.contact_sheet(doctor.examine([replace(rime, name="another")])))


def test_progress_is_told_and_can_end_the_examination(tmp_path):
    rime = folder(tmp_path / "rime", {f"{seed}.png": scene(seed) for seed in range(6)})
    told = []
    doctor.examine([rime], progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(1, 7)]

    def stop(done, total):
        if done == 2:
            raise InterruptedError
    with pytest.raises(InterruptedError):
        doctor.examine([rime], progress=stop)


def test_folders_without_pictures_are_refused_by_name(tmp_path):
    with pytest.raises(BadSource, match="no folder .*nowhere"):
        doctor.examine([Folder("rime", tmp_path / "nowhere")])
    with pytest.raises(BadSource, match="no pictures .* in rime"):
        doctor.examine([folder(tmp_path / "rime", {})])
    (tmp_path / "rime" / "a.png").write_bytes(b"nothing")
    with pytest.raises(BadSource, match="None of the 1 files in rime can be read"):
        doctor.examine([Folder("rime", tmp_path / "rime")])
    with pytest.raises(ValueError, match="same name"):
        doctor.examine([Folder("rime", tmp_path), Folder("rime", tmp_path)])
