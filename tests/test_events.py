"""Event files, read back by TensorFlow's own reader of them."""

import errno
import io
import os
import sys

import numpy as np
import pytest
from PIL import Image

from r2f import events
from r2f.events import Events

tensorflow = pytest.importorskip("tensorflow")


def records(folder):
    """(step, tag, value) of every number and picture, and (step, "start", None), by file and in their order."""
    found = []
    for path in sorted(folder.iterdir()):
        for event in tensorflow.compat.v1.train.summary_iterator(str(path)):
            if event.HasField("session_log"):
                found.append((event.step, "start", None))
            for value in event.summary.value:
                picture = value.image.encoded_image_string
                found.append((event.step, value.tag, picture or pytest.approx(value.simple_value)))
    return found


def png(side):
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, 2 * side, 3), 7, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_numbers_and_pictures_are_there_by_step_as_soon_as_they_are_written(tmp_path):
    mine = Events(tmp_path / "events", 0)
    assert not (tmp_path / "events").exists()
    mine.numbers(5, {"losses/cycle_rime": 0.25, "rates/learning_rate": 2e-4})
    mine.picture(5, "samples", png(16))
    assert records(tmp_path / "events") == [(1, "start", None), (5, "losses/cycle_rime", 0.25), (5, "rates/learning_rate", 2e-4),
                                            (5, "samples", png(16))]
    mine.close()


@pytest.mark.skipif(sys.platform == "darwin", reason="there every name is UTF-8")
def test_the_name_of_their_folder_need_not_be_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"frost \xff")
    Events(folder, 0).numbers(5, {"loss": 1.0})
    next(folder.iterdir()).rename(tmp_path / "events")  # TensorFlow reads no such names
    assert [each.step for each in tensorflow.compat.v1.train.summary_iterator(str(tmp_path / "events"))][-1] == 5


def test_a_resumed_training_takes_back_what_the_earlier_one_said_of_later_steps(tmp_path):
    """TensorBoard drops what it has of steps from that of a start on."""
    Events(tmp_path, 0).numbers(5, {"loss": 1.0})
    Events(tmp_path, 3).numbers(4, {"loss": 2.0})
    assert [each[:2] for each in records(tmp_path)] == [(1, "start"), (5, "loss"), (4, "start"), (4, "loss")]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error,number", [
    (tensorflow.errors.ResourceExhaustedError(None, None, "No space left"), errno.ENOSPC),
    (tensorflow.errors.UnknownError(None, None, "disk broke"), errno.EIO)])
def test_a_write_that_fails_is_an_oserror_and_the_next_one_begins_a_new_file(tmp_path, error, number):
    mine = Events(tmp_path, 0)
    mine.numbers(5, {"loss": 1.0})

    class Full:
        def write(self, record):
            raise error

        def close(self):
            raise error

    mine.writer.close()
    mine.writer = Full()
    with pytest.raises(OSError) as caught:
        mine.numbers(6, {"loss": 2.0})
    assert caught.value.errno == number
    mine.numbers(7, {"loss": 3.0})
    mine.numbers(8, {"loss": 4.0})
    assert [each[:2] for each in records(tmp_path)] == [(1, "start"), (5, "loss"), (6, "start"), (7, "loss"), (8, "loss")]


def test_a_folder_that_cant_be_made_is_an_oserror(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        Events(tmp_path / "file" / "events", 0).numbers(1, {"loss": 1.0})


def test_whether_event_files_can_be_written_is_known_without_loading_tensorflow(monkeypatch):
    assert events.available()
    monkeypatch.setattr(events.importlib.util, "find_spec", lambda name: None)
    assert not events.available()
