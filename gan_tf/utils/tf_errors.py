"""TensorFlow's errors for files that cannot be written, as errors that the user can fix."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from gan_tf.utils.files import MAKE_ROOM
from pipelines.errors import UserError

_WRITE_ERRORS = (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError, tf.errors.UnknownError)


@contextlib.contextmanager
def tensorflow_file_errors(path: Path) -> Iterator[None]:
    """Turns TensorFlow's errors for what cannot be written below ``path`` into a UserError; see ``files.file_errors``."""
    try:
        yield
    except _WRITE_ERRORS as error:
        raise UserError(f"{path} cannot be written ({_reason(error)})", MAKE_ROOM) from error


def _reason(error: tf.errors.OpError) -> str:
    """Returns the message of an error on one line, without the names of TensorFlow's own functions and files."""
    words = " ".join(re.sub(r"\{\{.*?\}\}", "", error.message).split())
    return words.split("; ")[1] if "; " in words else words
