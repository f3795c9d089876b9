"""What TensorFlow says where it can't write, as one line that a person can act on."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from pipelines.errors import InputError

UNWRITTEN = (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError, tf.errors.UnknownError)


@contextlib.contextmanager
def readable_tensorflow_failures(path: Path) -> Iterator[None]:
    """Turns TensorFlow's refusals to write below ``path`` into one line, as ``files.readable_failures`` does Python's own."""
    try:
        yield
    except UNWRITTEN as error:
        given = f"{path} can't be written ({reason(error)})"
        raise InputError(given, "free space on the disk", "make room, then go on with --resume") from error


def reason(error: tf.errors.OpError) -> str:
    """What TensorFlow says of an error, on one line and without the names of its own functions and files."""
    words = " ".join(re.sub(r"\{\{.*?\}\}", "", error.message).split())
    return words.split("; ")[1] if "; " in words else words
