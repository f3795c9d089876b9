"""What a run writes of its numbers and pictures, and what a resume cuts off."""

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from gan_tf.training.loggers import Writers, cut_back
from pipelines.errors import InputError


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def events(folder):
    """All values in TensorBoard's files, as (step, name, array), in the order of the files."""
    return [
        (event.step, value.tag, make_ndarray(value.tensor))
        for path in sorted((folder / "tensorboard").iterdir())
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]


def test_numbers_come_back_from_both(tmp_path):
    writers = Writers(tmp_path)
    writers.scalars(10, {"d_loss": 0.25, "g_loss": -1.5})
    writers.scalars(20, {"d_loss": 1e-9, "g_loss": 3e8})
    writers.close()
    assert lines(tmp_path) == [{"step": 10, "d_loss": 0.25, "g_loss": -1.5}, {"step": 20, "d_loss": 1e-9, "g_loss": 3e8}]
    found = [(step, name, float(value)) for step, name, value in events(tmp_path)]
    rounded = float(np.float32(1e-9))
    assert found == [(10, "d_loss", 0.25), (10, "g_loss", -1.5), (20, "d_loss", rounded), (20, "g_loss", 3e8)]


def test_pictures_come_back_from_tensorboard(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    writers = Writers(tmp_path)
    writers.image(30, "fixed noise", picture)
    writers.close()
    ((step, name, value),) = events(tmp_path)
    assert step == 30
    assert name.startswith("fixed noise")
    assert [int(size) for size in value[:2]] == [9, 6]  # width, height, then a PNG each
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(value[2]))), picture)


def test_a_line_is_there_at_once_and_all_of_it_after_a_flush(tmp_path):
    writers = Writers(tmp_path)
    writers.scalars(1, {"loss": 2.0})
    assert lines(tmp_path) == [{"step": 1, "loss": 2.0}]  # for whoever looks while it trains
    writers.flush()
    assert [(step, float(value)) for step, _, value in events(tmp_path)] == [(1, 2.0)]
    writers.close()


def test_a_resumed_run_goes_on_where_its_checkpoint_stands(tmp_path):
    writers = Writers(tmp_path)
    for step in (10, 20, 30):
        writers.scalars(step, {"loss": step / 10})
    writers.close()
    writers = Writers(tmp_path, step=20)
    writers.scalars(30, {"loss": -3.0})
    writers.close()
    assert lines(tmp_path) == [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": -3.0}]


GOOD = b'{"step": 10, "loss": 1.0}\n{"step": 20, "loss": 2.0}\n'


@pytest.mark.parametrize(
    ("after", "step"),
    [
        (b"", 20),
        (b'{"step": 30, "loss": 3.0}\n{"step": 40, "loss": 4.0}\n', 20),
        (b'{"step": 30, "loss": 3.0}\n', 29),
        (b'{"step": 15, "lo', 99),  # torn in the middle
        (b'{"step": 15, "loss": 1.5}', 99),  # torn before its end of line
        (b"\0\0\0\0\0\0\0\0", 99),  # what some file systems leave after a power cut
        (b"\0\0\0\n", 99),
        (b"\xff\xfe\x80 not text\n", 99),
        (b"\n", 99),
        (b"5\n", 99),
        (b"null\n", 99),
        (b"[30]\n", 99),
        (b'{"loss": 3.0}\n', 99),
        (b'{"step": "x"}\n', 99),
        (b'{"step": null}\n', 99),
        (b'nonsense\n{"step": 15}\n', 99),
    ],
)
def test_what_is_cut_off(tmp_path, after, step):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(GOOD + after)
    cut_back(path, step)
    assert path.read_bytes() == GOOD


def test_cutting_back_to_the_beginning(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(GOOD)
    cut_back(path, 10)
    assert path.read_bytes() == GOOD.splitlines(keepends=True)[0]
    cut_back(path, 0)
    assert path.read_bytes() == b""


def test_nothing_to_cut_makes_no_file(tmp_path):
    cut_back(tmp_path / "metrics.jsonl", 5)
    assert list(tmp_path.iterdir()) == []


def test_text_of_all_kinds_survives(tmp_path):
    """Names with line separators of Unicode are one line still."""
    writers = Writers(tmp_path)
    writers.scalars(1, {"loss\u2028\x85猫": 1.0})
    writers.close()
    before = (tmp_path / "metrics.jsonl").read_bytes()
    cut_back(tmp_path / "metrics.jsonl", 1)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert list(lines(tmp_path)[0]) == ["step", "loss\u2028\x85猫"]


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError, match="can't be written"):
        Writers(tmp_path / "run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_one_line_and_closing_hides_nothing(tmp_path):
    writers = Writers(tmp_path)
    writers.file.close()
    writers.file = open("/dev/full", "w")  # noqa: SIM115 (closed by the writers)
    with pytest.raises(InputError, match="free space"):
        writers.scalars(1, {"loss": 1.0})
    writers.close()  # in a `finally`: an error here would take the place of the line that says what to do


def test_a_disk_that_fills_up_late_is_one_line_too(tmp_path, monkeypatch):
    writers = Writers(tmp_path)

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="free space"):
        writers.flush()
    writers.close()


@pytest.mark.parametrize("what", ["scalars", "image", "flush"])
def test_a_full_disk_under_tensorboard_is_one_line_too(tmp_path, monkeypatch, what):
    """TensorFlow flushes at the end of each of these calls, and has an error of its own for it."""
    writers = Writers(tmp_path)

    def full(*_args, **_more):
        raise tf.errors.ResourceExhaustedError(None, None, "events.out; No space left on device", errno.ENOSPC)

    monkeypatch.setattr(writers.board, "flush", full)
    calls = {
        "scalars": lambda: writers.scalars(1, {"loss": 1.0}),
        "image": lambda: writers.image(1, "picture", np.zeros((2, 2, 3), np.uint8)),
        "flush": writers.flush,
    }
    with pytest.raises(InputError, match="No space left"):
        calls[what]()
    monkeypatch.undo()
    writers.close()
