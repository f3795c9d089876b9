"""What a run logs, and what is cut off when it is resumed."""

import errno
import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from gan_tf.training.loggers import Loggers, truncate_metrics
from pipelines.errors import UserError


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


def test_scalars_are_in_both_files(tmp_path):
    loggers = Loggers(tmp_path)
    loggers.scalars(10, {"d_loss": 0.25, "g_loss": -1.5})
    loggers.scalars(20, {"d_loss": 1e-9, "g_loss": 3e8})
    loggers.close()
    assert lines(tmp_path) == [{"step": 10, "d_loss": 0.25, "g_loss": -1.5}, {"step": 20, "d_loss": 1e-9, "g_loss": 3e8}]
    found = [(step, name, float(value)) for step, name, value in events(tmp_path)]
    rounded = float(np.float32(1e-9))
    assert found == [(10, "d_loss", 0.25), (10, "g_loss", -1.5), (20, "d_loss", rounded), (20, "g_loss", 3e8)]


def test_image_is_in_tensorboard(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    loggers = Loggers(tmp_path)
    loggers.image(30, "samples", image)
    loggers.close()
    ((step, name, value),) = events(tmp_path)
    assert step == 30
    assert name.startswith("samples")
    assert [int(size) for size in value[:2]] == [9, 6]  # width and height; a PNG follows
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(value[2]))), image)


def test_scalars_line_is_readable_at_once_and_curves_after_a_flush(tmp_path):
    loggers = Loggers(tmp_path)
    loggers.scalars(1, {"loss": 2.0})
    assert lines(tmp_path) == [{"step": 1, "loss": 2.0}]
    loggers.flush()
    assert [(step, float(value)) for step, _, value in events(tmp_path)] == [(1, 2.0)]
    loggers.close()


def test_loggers_resumed_run_continues_after_its_checkpoint(tmp_path):
    loggers = Loggers(tmp_path)
    for step in (10, 20, 30):
        loggers.scalars(step, {"loss": step / 10})
    loggers.close()
    loggers = Loggers(tmp_path, first_step=20)
    loggers.scalars(30, {"loss": -3.0})
    loggers.close()
    assert lines(tmp_path) == [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": -3.0}]


GOOD = b'{"step": 10, "loss": 1.0}\n{"step": 20, "loss": 2.0}\n'
UNREADABLE = [
    b"",
    b"\0\0\0",  # what some file systems leave after a power cut
    b"\xff\xfe\x80 not text",
    b"5",
    b"null",
    b"[30]",
    b'{"loss": 3.0}',
    b'{"step": "x"}',
    b'{"step": null}',
    b'{"step": true}',
    b'{"step": 15.0}',
    b'{"step": 15, "lo',
    b"[" * 100_000,
    b'{"step": ' + b"9" * 10_000 + b"}",
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("after", "step"),
    [
        (b"", 20),
        (b'{"step": 30, "loss": 3.0}\n{"step": 40, "loss": 4.0}\n', 20),
        (b'{"step": 30, "loss": 3.0}\n', 29),
        (b'{"step": 15, "lo', 99),  # incomplete
        (b'{"step": 15, "loss": 1.5}', 99),  # without its end of line
        (b"\0\0\0\0\0\0\0\0", 99),
        (b'{"step": 30}\n\xff', 20),
    ],
)
def test_truncate_metrics_after_a_kill_keeps_complete_lines_up_to_the_step(tmp_path, after, step):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(GOOD + after)
    truncate_metrics(path, step)
    assert path.read_bytes() == GOOD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("line", UNREADABLE)
def test_truncate_metrics_unreadable_line_loses_no_other_line(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    first, second = GOOD.splitlines(keepends=True)
    content = first + line + b"\n" + second + b'{"step": 30}\n{"step"'
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"^1 unreadable line has been left out of .*metrics\.damaged\.jsonl$"):
        truncate_metrics(path, 20)
    assert path.read_bytes() == GOOD
    assert (tmp_path / "metrics.damaged.jsonl").read_bytes() == content


def test_truncate_metrics_damaged_again_keeps_every_original(tmp_path):
    path = tmp_path / "metrics.jsonl"
    contents = [GOOD + b"%d\n" % n + b"nonsense\n" for n in range(3)]
    for content, name in zip(contents, ("damaged", "damaged-2", "damaged-3"), strict=True):
        path.write_bytes(content)
        with pytest.warns(UserWarning, match=rf"^2 unreadable lines have .*metrics\.{name}\.jsonl$"):
            truncate_metrics(path, 20)
        assert path.read_bytes() == GOOD
    found = [tmp_path / f"metrics.{name}.jsonl" for name in ("damaged", "damaged-2", "damaged-3")]
    assert [file.read_bytes() for file in found] == contents


@settings(deadline=None, max_examples=50, database=None)
@given(
    blocks=st.lists(st.binary(max_size=20) | st.sampled_from(UNREADABLE[:-2]), max_size=8),
    end=st.sampled_from([b"", b'{"step": 3, "lo', b"\0"]),
    last_step=st.integers(0, 12),
)
def test_truncate_metrics_any_bytes_between_lines_lose_no_line(tmp_path_factory, blocks, end, last_step):
    folder = tmp_path_factory.mktemp("run")
    path = folder / "metrics.jsonl"
    valid = [b'{"step": %d, "loss": 0.5}\n' % step for step in range(1, len(blocks) + 1)]
    content = b"".join(block + b"\n" + line for block, line in zip(blocks, valid, strict=True)) + end
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        truncate_metrics(path, last_step)
    kept = path.read_bytes().splitlines(keepends=True)
    assert [line for line in kept if b'"loss": 0.5' in line] == valid[:last_step]
    damaged = folder / "metrics.damaged.jsonl"
    assert damaged.exists() == bool(caught)
    assert not damaged.exists() or damaged.read_bytes() == content


def test_truncate_metrics_to_an_early_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(GOOD)
    truncate_metrics(path, 10)
    assert path.read_bytes() == GOOD.splitlines(keepends=True)[0]
    truncate_metrics(path, 0)
    assert path.read_bytes() == b""


def test_truncate_metrics_missing_file_stays_missing(tmp_path):
    truncate_metrics(tmp_path / "metrics.jsonl", 5)
    assert list(tmp_path.iterdir()) == []


def test_scalars_names_with_unicode_line_separators_stay_on_one_line(tmp_path):
    loggers = Loggers(tmp_path)
    loggers.scalars(1, {"loss\u2028\x85猫": 1.0})
    loggers.close()
    before = (tmp_path / "metrics.jsonl").read_bytes()
    truncate_metrics(tmp_path / "metrics.jsonl", 1)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert list(lines(tmp_path)[0]) == ["step", "loss\u2028\x85猫"]


def test_loggers_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        Loggers(tmp_path / "run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_scalars_full_disk_raises_and_close_does_not(tmp_path):
    loggers = Loggers(tmp_path)
    loggers._file.close()
    loggers._file = open("/dev/full", "w")  # noqa: SIM115 (closed by close)
    with pytest.raises(UserError, match="disk space"):
        loggers.scalars(1, {"loss": 1.0})
    loggers.close()  # in a `finally`: an error here would hide the first one


def test_flush_full_disk_is_a_user_error(tmp_path, monkeypatch):
    loggers = Loggers(tmp_path)

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk space"):
        loggers.flush()
    loggers.close()


@pytest.mark.parametrize("what", ["scalars", "image", "flush"])
def test_loggers_full_disk_in_tensorflow_is_a_user_error(tmp_path, monkeypatch, what):
    """TensorFlow flushes at the end of each of these calls, and raises errors of its own."""
    loggers = Loggers(tmp_path)

    def full(*_args, **_more):
        raise tf.errors.ResourceExhaustedError(None, None, "events.out; No space left on device", errno.ENOSPC)

    monkeypatch.setattr(loggers._writer, "flush", full)
    calls = {
        "scalars": lambda: loggers.scalars(1, {"loss": 1.0}),
        "image": lambda: loggers.image(1, "image", np.zeros((2, 2, 3), np.uint8)),
        "flush": loggers.flush,
    }
    with pytest.raises(UserError, match="No space left"):
        calls[what]()
    monkeypatch.undo()
    loggers.close()
