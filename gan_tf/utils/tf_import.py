"""Imports TensorFlow without its start-up chatter, which a person would take for errors."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def standard_error_closed() -> Iterator[None]:
    """Sends file descriptor 2 to nowhere for a while; the C++ side of TensorFlow writes there before it can be told not to."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def import_tensorflow() -> None:
    """Imports TensorFlow; set ``TF_CPP_MIN_LOG_LEVEL`` to see all that it has to say.

    What its C++ side logs as errors is hidden too, because Grappler's "remapper failed" is one, by which it only gives up
    fusing a leaky ReLU. What makes an operation fail still comes as an exception in Python. Fatal errors are still shown after
    the start; where the import itself ends the process, set the variable to see why.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import tensorflow

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with standard_error_closed():
        import tensorflow

        tensorflow.config.list_physical_devices()  # looks for a GPU now, and complains of none into the dark
