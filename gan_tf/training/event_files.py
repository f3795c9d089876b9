"""TensorBoard's event files of a run that is resumed."""

import os
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from gan_tf.utils.files import file_errors, write_atomic

_FRAME_BYTES = 16  # around each record: its length in 8 bytes, and two checksums of 4 bytes


def purge_events(directory: Path, last_step: int) -> None:
    """Removes the events after ``last_step`` from TensorBoard's files in ``directory``.

    Files without such events stay as they are. Of the others, the events that are kept stay byte for byte. Records after the
    first one that is damaged or incomplete, which TensorBoard does not read either, are dropped from these files. A file
    without any event left is removed.

    Raises:
        UserError: a file cannot be written.
    """
    with file_errors(directory):
        for path in sorted(directory.glob("events.out.tfevents.*")):
            _purge_file(path, last_step)


def _purge_file(path: Path, last_step: int) -> None:
    """Removes the events of one file, or the file if nothing but the version of its format would be left."""
    kept: list[slice] = []
    end, has_later, is_empty = 0, False, True
    try:
        for record in tf.data.TFRecordDataset(os.fsencode(path)).as_numpy_iterator():
            start, end = end, end + len(record) + _FRAME_BYTES
            event = tf.compat.v1.Event.FromString(record)
            if event.step > last_step:
                has_later = True
            else:
                kept.append(slice(start, end))
                is_empty = is_empty and event.HasField("file_version")
    except (tf.errors.DataLossError, DecodeError):  # damaged, or incomplete because the process was killed
        pass
    if not has_later:
        return
    if is_empty:
        path.unlink()
    else:
        content = path.read_bytes()
        write_atomic(path, b"".join(content[part] for part in kept))
