import os

import av
import numpy as np
import pytest
from PIL import Image

from r2f import drawn
from r2f import film as films
from r2f.film import arrival_times, evenly, film, frames, learning_film
from r2f.images import write_picture


def decoded(path):
    """The frames of a film (N, H, W, 3), its length in seconds, and what its stream says of itself."""
    if path.suffix == ".webp":
        with Image.open(path) as file:
            pictures, milliseconds = [], 0
            for number in range(file.n_frames):
                file.seek(number)
                shown = np.asarray(file.convert("RGB"))
                pictures += [shown] * round(file.info["duration"] / 80)  # equal frames are stored once and shown for longer
                milliseconds += file.info["duration"]
        return np.stack(pictures), milliseconds / 1000, {}
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        about = dict(codec=context.name, pixels=context.pix_fmt, colours=context.colorspace, duration=file.duration / 1e6)
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    return pictures, len(pictures) / float(stream.average_rate), about


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.square(a.astype(float) - b).mean()))


@pytest.fixture(scope="module")
def pictures():
    return drawn.rime(1, (211, 301)), drawn.flower(1, (211, 301))


@pytest.mark.parametrize("suffix", [".mp4", ".webp"])
def test_a_film_begins_as_the_photo_and_ends_as_the_flower(suffix, pictures, tmp_path):
    path = film(*pictures, tmp_path / f"bloom{suffix}", seconds=3)
    shown, seconds, about = decoded(path)
    photo, flower = (films.even(picture) for picture in pictures)
    figures = psnr(shown[0], photo), psnr(shown[-1], flower)
    print(f"\n{suffix}: {len(shown)} frames, {seconds:.2f} s, {path.stat().st_size // 1024} KB, first frame {figures[0]:.1f} dB "
          f"from the photo, last {figures[1]:.1f} dB from the flower {about}")
    assert abs(seconds - 3) < 0.1
    assert shown.shape[1:] == photo.shape == (210, 300, 3)
    assert min(figures) > 27 and min(figures) > psnr(photo, flower) + 10
    assert np.abs((shown[0].astype(float) - photo).mean(axis=(0, 1))).max() < 2  # no other colours
    held = shown[-round(0.6 / 3 * len(shown)):]
    assert all(psnr(frame, shown[-1]) > 35 for frame in held)
    assert os.listdir(tmp_path) == [path.name]


def test_phones_and_chat_programs_can_play_it(pictures, tmp_path):
    path = film(*pictures, tmp_path / "bloom.mp4", seconds=2)
    about = decoded(path)[2]
    assert about["codec"] == "h264" and about["pixels"] == "yuv420p" and about["colours"] == films.BT709
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")  # the index in front: it plays while it loads


def test_between_photo_and_flower_the_flower_only_grows(pictures):
    photo, flower = (films.even(picture) for picture in pictures)
    shown = [np.asarray(frame) for frame in frames(photo, flower, 3, 25)]
    assert np.array_equal(shown[0], photo) and np.array_equal(shown[-1], flower)
    there = [(np.abs(frame.astype(int) - flower).max(axis=2) <= 2).mean() for frame in shown]
    untouched = [(frame == photo).all(axis=2).mean() for frame in shown]
    print("\nshare that is flower:", " ".join(f"{share:.2f}" for share in there[::6]))
    assert (np.diff(there) >= -1e-3).all() and (np.diff(untouched) <= 1e-3).all()
    both = max(np.minimum(there, untouched))
    assert both > 0.15  # a front that travels: in a cross-fade there is never photo and flower in one frame


def test_it_starts_at_the_brightest_crystals_and_runs_along_them():
    """A bright rough twig across a dark plain: the flower runs along it before it reaches what lies beside it."""
    photo = np.full((120, 200, 3), 60, np.uint8)
    twig = np.random.default_rng(0).integers(120, 256, (8, 180, 1), dtype=np.uint8)
    photo[56:64, 10:190] = twig
    times = arrival_times(photo)
    assert times.shape == (120, 200) and times.min() == 0 and times.max() == 1
    on, beside = times[58:62, 12:188].mean(), np.concatenate([times[20:40], times[80:100]]).mean()
    print(f"\narrival on the twig {on:.2f}, beside it {beside:.2f}")
    assert on + 0.3 < beside


@pytest.mark.parametrize("photo", [np.full((48, 64, 3), 128, np.uint8), np.zeros((33, 600, 3), np.uint8), drawn.rime(2, 32)],
                         ids=["plain", "black, long and narrow", "tiny"])
def test_any_photo_opens(photo, tmp_path):
    times = arrival_times(photo)
    assert np.isfinite(times).all() and times.min() >= 0 and times.max() <= 1
    assert decoded(film(photo, 255 - photo, tmp_path / "a.mp4", seconds=2))[1] == 2


def test_a_large_photo_makes_a_film_that_chat_programs_take(tmp_path, monkeypatch):
    monkeypatch.setitem(films.LONG_SIDE, ".mp4", 160)
    photo = drawn.rime(3, (200, 333))
    assert decoded(film(photo, photo[::-1], tmp_path / "a.mp4", seconds=2))[0].shape[1:] == (96, 160, 3)


def test_what_is_no_film_is_refused_in_one_sentence(pictures, tmp_path):
    photo, flower = pictures
    for arguments, words in (((photo, flower, tmp_path / "a.gif"), "as .gif; use one of .mp4, .webp"),
                             ((photo, flower[:100], tmp_path / "a.mp4"), "of one size"),
                             ((photo, flower, tmp_path / "a.mp4", 60), "2 to 10 seconds, not 60")):
        with pytest.raises(ValueError, match=words):
            film(*arguments)
    assert not os.listdir(tmp_path)


def sheets(folder, count, cell=32, rows=2):
    """(step, path) of sample sheets, each of one grey that grows brighter."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        grey = np.full((rows * cell, 6 * cell, 3), 20 + 200 * number // max(count - 1, 1), np.uint8)
        write_picture(grey, folder / f"step_{1000 * (number + 1):08d}.png")
    return [(1000 * (number + 1), folder / f"step_{1000 * (number + 1):08d}.png") for number in range(count)]


def test_a_trainings_film_goes_through_its_sheets_in_order_and_phones_can_play_it(tmp_path):
    path = learning_film(sheets(tmp_path / "samples", 6), tmp_path, "first")
    shown, seconds, about = decoded(path)
    middle = shown[:, films.BAR:-films.BAR].mean(axis=(1, 2, 3))
    print(f"\n6 sheets: {seconds:.1f} s, {shown.shape[2]} x {shown.shape[1]}, {path.stat().st_size // 1024} KB")
    assert about["codec"] == "h264" and about["pixels"] == "yuv420p" and about["colours"] == films.BT709
    assert shown.shape[1] % 2 == shown.shape[2] % 2 == 0 and shown.shape[2] >= 500
    assert abs(middle[0] - 20) < 4 and abs(middle[-1] - 220) < 4 and (np.diff(middle) > -1).all()
    assert abs(seconds - 5 * films.SHEET_SECONDS - films.LEARNED_SECONDS) < 0.1
    captions = shown[:, -40:-10, :150].astype(int)
    assert np.abs(captions[0] - captions[-1]).max() > 100  # another step
    assert (shown[-1, -2] > 150).all() and not (shown[0, -2, shown.shape[2] // 2:] > 150).any()  # the line has grown
    assert path.name.startswith("first-step-6000-") and path.suffix == ".mp4"


def test_hundreds_of_sheets_are_chosen_evenly_and_the_film_stays_short(tmp_path, monkeypatch):
    assert evenly(list(range(7)), 100) == list(range(7))
    chosen = evenly(list(range(1000)), 100)
    assert len(chosen) == 100 and chosen[0] == 0 and chosen[-1] == 999 and set(np.diff(chosen)) <= {10, 11}
    sheet = sheets(tmp_path / "samples", 1)[0][1]
    read = []
    monkeypatch.setattr(films, "read_picture", lambda path: read.append(path) or np.full((64, 192, 3), 90, np.uint8))
    path = learning_film([(step, sheet) for step in range(1, 701)], tmp_path, "long")
    seconds = decoded(path)[1]
    print(f"\n700 sheets: {len(read)} shown, {seconds:.2f} s")
    assert len(read) == films.MOST_SHEETS and 19 < seconds <= films.MOST_SECONDS


def test_a_trainings_film_is_made_once_for_its_sheets_and_anew_for_new_ones(tmp_path, monkeypatch):
    made, write = [], films.write_mp4
    monkeypatch.setattr(films, "write_mp4", lambda *arguments: made.append(0) or write(*arguments))
    samples, folder = sheets(tmp_path / "samples", 3), tmp_path / "films"
    folder.mkdir()
    first = learning_film(samples[:2], folder, "a")
    os.utime(first, (1, 1))
    assert learning_film(samples[:2], folder, "a") == first and len(made) == 1
    assert first.stat().st_mtime > 1  # in use: not to be tidied away
    assert learning_film(samples, folder, "a") != first and len(made) == 2
    write_picture(np.zeros((64, 192, 3), np.uint8), samples[1][1])  # a run of the same name, started anew
    assert learning_film(samples[:2], folder, "a") != first and len(made) == 3
    assert sorted(path.suffix for path in folder.iterdir()) == [".mp4"] * 3


def test_sheets_that_cannot_be_read_or_have_another_size_do_not_stop_the_film(tmp_path):
    samples = sheets(tmp_path / "samples", 5)
    samples[1][1].write_bytes(b"torn")
    samples[2][1].unlink()
    write_picture(np.full((32 * 9, 32 * 6, 3), 60, np.uint8), samples[3][1])  # resumed with more pictures on a sheet
    shown, seconds, _ = decoded(learning_film(samples, tmp_path, "a"))
    assert shown.shape[0] > 25 and seconds > 2
    for fewer in ([], samples[:1], samples[:3]):
        with pytest.raises(ValueError, match="at least two sample sheets"):
            learning_film(fewer, tmp_path, "b")
    for name in ("../b", "..", "/b", "b/c", "b\\c", "b\0", ".b", ""):
        with pytest.raises(ValueError, match="can't name a film"):
            learning_film(samples, tmp_path, name)
    assert sorted(path.name[0] for path in tmp_path.iterdir() if path.is_file()) == ["a"]


@pytest.mark.parametrize("name", ["my first run", "雾凇", "run_é"])
def test_a_trainings_film_is_named_after_its_run_whatever_its_script(name, tmp_path):
    path = learning_film(sheets(tmp_path / "samples", 2), tmp_path, name)
    assert path.parent == tmp_path and path.name.startswith(f"{name}-step-2000-") and len(decoded(path)[0]) > 25
