"""Imports TensorFlow without its start-up messages, which look like errors."""

import contextlib
import os
from collections.abc import Iterator

from pipelines.errors import UserError


@contextlib.contextmanager
def _discard_stderr() -> Iterator[None]:
    """Discards what is written to file descriptor 2: TensorFlow's C++ code writes there before its log level can be set."""
    stderr_copy, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)
        os.close(null)


def import_tensorflow() -> None:
    """Imports TensorFlow with its C++ log silenced; set ``TF_CPP_MIN_LOG_LEVEL`` to see it.

    Messages of level ERROR are hidden too, because Grappler logs "remapper failed" at that level where it merely does not
    fuse a leaky ReLU. Operations that fail still raise Python exceptions, and fatal errors after the import are still
    shown; if the import itself ends the process, set the variable to see why.

    Raises:
        UserError: TensorFlow is not installed.
    """
    try:
        if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
            import tensorflow

            return
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        with _discard_stderr():
            import tensorflow

            tensorflow.config.list_physical_devices()  # looks for GPUs now, while messages about missing ones are discarded
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise UserError("TensorFlow is not installed", "Run: pip install 'tensorflow>=2.21,<2.22'") from error
