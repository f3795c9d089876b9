"""What TensorBoard shows of a run that was killed and resumed, and which events are removed for it."""

import itertools
import os
import struct

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

from gan_tf.training.event_files import purge_events
from gan_tf.training.loggers import Loggers
from pipelines.errors import UserError

STEPS = list(range(1, 21))
NUMBERS = itertools.count()


def log(run, first_step, last_step):
    """Logs a scalar and an image for each step after ``first_step``, as a run resumed there; returns its event file."""
    before = set((run / "tensorboard").glob("*"))
    loggers = Loggers(run, first_step)
    for step in range(first_step + 1, last_step + 1):
        loggers.scalars(step, {"d_loss": step / 10, "g_loss": -step / 10})
        loggers.image(step, "samples", np.full((4, 4, 3), step, np.uint8))
    loggers.close()
    (path,) = set((run / "tensorboard").glob("*")) - before
    # TensorBoard reads files in the order of their names, which begin with the second: here several may have the same.
    return path.rename(path.with_name(f"events.out.tfevents.{next(NUMBERS):010d}"))


def shown_steps(run):
    """The steps of each tag, as TensorBoard reads them."""
    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance={TENSORS: 0})
    accumulator.Reload()
    return {tag: [event.step for event in accumulator.Tensors(tag)] for tag in accumulator.Tags()["tensors"]}


def frames(content):
    """The records of an event file, each with its length and its checksums."""
    found = []
    while content:
        size = struct.unpack("<Q", content[:8])[0] + 16
        found.append(content[:size])
        content = content[size:]
    return found


def step_of(frame):
    return tf.compat.v1.Event.FromString(frame[12:-4]).step


def damage(content, index):
    """Flips a bit in the data of a record."""
    parts = frames(content)
    flipped = bytearray(parts[index])
    flipped[-6] ^= 1
    return b"".join([*parts[:index], bytes(flipped), *parts[index + 1 :]])


def test_loggers_resumed_run_shows_each_step_once(tmp_path):
    log(tmp_path, 0, 20)
    assert shown_steps(tmp_path) == {"d_loss": STEPS, "g_loss": STEPS, "samples": STEPS}
    log(tmp_path, 10, 20)
    assert shown_steps(tmp_path) == {"d_loss": STEPS, "g_loss": STEPS, "samples": STEPS}


def test_loggers_run_resumed_twice_shows_each_step_once(tmp_path):
    first, second = log(tmp_path, 0, 12), log(tmp_path, 10, 20)
    log(tmp_path, 5, 20)
    assert shown_steps(tmp_path) == {"d_loss": STEPS, "g_loss": STEPS, "samples": STEPS}
    assert first.exists()
    assert not second.exists()  # nothing of it is left


def test_loggers_run_started_again_at_step_0_shows_each_step_once(tmp_path):
    first = log(tmp_path, 0, 7)
    log(tmp_path, 0, 20)
    assert not first.exists()
    assert shown_steps(tmp_path) == {"d_loss": STEPS, "g_loss": STEPS, "samples": STEPS}


@pytest.mark.parametrize("cut", [1, 5, 18, 40])
def test_loggers_resumed_run_with_an_incomplete_record_shows_each_step_once(tmp_path, cut):
    path = log(tmp_path, 0, 20)
    os.truncate(path, path.stat().st_size - cut)
    log(tmp_path, 10, 20)
    assert shown_steps(tmp_path) == {"d_loss": STEPS, "g_loss": STEPS, "samples": STEPS}


@pytest.mark.parametrize("last_step", [1, 10, 19])
@pytest.mark.parametrize("end", [b"", b"\x05", b"\0" * 50])
def test_purge_events_keeps_earlier_records_byte_for_byte(tmp_path, last_step, end):
    path = log(tmp_path, 0, 20)
    content = path.read_bytes()
    path.write_bytes(content + end)
    purge_events(tmp_path / "tensorboard", last_step)
    expected = [frame for frame in frames(content) if step_of(frame) <= last_step]
    assert len(expected) == 1 + 3 * last_step
    assert path.read_bytes() == b"".join(expected)
    assert list(path.parent.iterdir()) == [path]


def test_purge_events_damaged_record_keeps_those_before_it(tmp_path):
    path = log(tmp_path, 0, 20)
    content = path.read_bytes()
    parts = frames(content)
    path.write_bytes(damage(content, 40))
    purge_events(tmp_path / "tensorboard", 10)
    assert path.read_bytes() == b"".join(parts[:31])
    path.write_bytes(b"".join([*parts[:20], *parts[50:], *frames(damage(content, 25))[25:]]))
    purge_events(tmp_path / "tensorboard", 10)
    assert path.read_bytes() == b"".join(parts[:20])


@pytest.mark.parametrize("end", [b"", b"\x05"])
def test_purge_events_files_without_later_events_are_not_written(tmp_path, end):
    path = log(tmp_path, 0, 20)
    path.write_bytes(path.read_bytes() + end)
    other = path.with_name("notes.txt")
    other.write_text("not an event file")
    before = [(file, file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes()) for file in (path, other)]
    purge_events(tmp_path / "tensorboard", 20)
    assert [(file, file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes()) for file in (path, other)] == before


def test_purge_events_missing_folder_stays_missing(tmp_path):
    purge_events(tmp_path / "tensorboard", 0)
    assert list(tmp_path.iterdir()) == []


def test_purge_events_read_only_folder_is_a_user_error(tmp_path, monkeypatch):
    log(tmp_path, 0, 20)

    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match="cannot be written"):
        purge_events(tmp_path / "tensorboard", 10)


def test_purge_events_record_that_is_no_event_is_dropped_with_those_after_it(tmp_path):
    path = log(tmp_path, 0, 20)
    content = path.read_bytes()
    with tf.io.TFRecordWriter(str(tmp_path / "other")) as writer:
        writer.write(b"\xff\xff\xff")
    records = frames(content)
    path.write_bytes(b"".join(records[:-3]) + (tmp_path / "other").read_bytes() + b"".join(records[-3:]))
    purge_events(tmp_path / "tensorboard", 10)
    assert path.read_bytes() == b"".join(frame for frame in records if step_of(frame) <= 10)
