import os

import av
import numpy as np
import pytest
from PIL import Image

from r2f import drawn
from r2f import film as films
from r2f.film import arrival_times, film, frames


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
