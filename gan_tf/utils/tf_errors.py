"""TensorFlow and files: its errors for what cannot be written as errors that the user can fix, and paths that it can read."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from gan_tf.utils.files import WRITE_HINTS
from pipelines.errors import UserError

_HINTS = {os.strerror(number): hint for number, hint in WRITE_HINTS.items()}


@contextlib.contextmanager
def tensorflow_file_errors(path: Path) -> Iterator[None]:
    """Turns TensorFlow's errors for what cannot be written below ``path`` into a UserError; see ``files.file_errors``.

    TensorFlow has no error numbers, so the reason is found by its text; other errors stay as they are.
    """
    try:
        yield
    except tf.errors.OpError as error:
        reason = next((reason for reason in _HINTS if reason in error.message), None)
        if reason is None:
            raise
        raise UserError(f"{path} cannot be written ({reason})", _HINTS[reason]) from error


@contextlib.contextmanager
def tensorflow_path(folder: Path) -> Iterator[Path]:
    """Yields a path of a folder that TensorFlow's checkpoints can use, as long as the ``with`` block lasts.

    They take brackets, stars and question marks for patterns, and want UTF-8; other paths are reached by a temporary link.
    """
    text = os.fsencode(folder).decode(errors="replace")
    if not set(text) & set("*?[]{}\\\ufffd"):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="gan_tf-") as links:
        link = Path(links) / "folder"
        link.symlink_to(Path(folder).absolute(), target_is_directory=True)
        yield link
