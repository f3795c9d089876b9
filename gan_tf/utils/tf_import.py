"""Imports TensorFlow without its start-up messages, which look like errors, and pins the settings of Keras."""

import contextlib
import os
import sys
from collections.abc import Iterator

from pipelines.errors import UserError

BACKEND = "tensorflow"


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
    """Imports TensorFlow and Keras with the settings that results depend on, and with TensorFlow's C++ log silenced.

    Keras reads its backend from ``KERAS_BACKEND`` and more from ``~/.keras/keras.json``, which may belong to another project:
    another float type or image layout gives other weights, and other scores under the same name. So they are pinned here.

    Set ``TF_CPP_MIN_LOG_LEVEL`` to see the log. Messages of level ERROR are hidden too, because Grappler logs "remapper
    failed" at that level where it merely does not fuse a leaky ReLU. Operations that fail still raise Python exceptions, and
    fatal errors after the import are still shown; if the import itself ends the process, set the variable to see why.

    Raises:
        UserError: TensorFlow is not installed, or this process has imported Keras with other settings already.
    """
    was_imported = "keras" in sys.modules
    if not was_imported:
        os.environ["KERAS_BACKEND"] = BACKEND
    try:
        if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
            import tensorflow
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
            with _discard_stderr():
                import tensorflow

                tensorflow.config.list_physical_devices()  # looks for GPUs now, while messages about them are discarded
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise UserError("TensorFlow is not installed", "Run: pip install 'tensorflow>=2.21,<2.22'") from error
    if not was_imported:
        _pin_keras()
    check_keras_settings()


def _pin_keras() -> None:
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


def check_keras_settings() -> None:
    """Checks the settings of Keras that weights and scores depend on.

    Raises:
        UserError: this process has chosen other ones, by itself or in Keras's configuration file.
    """
    import keras

    settings = (
        ("backend", keras.config.backend(), BACKEND),
        ("floatx", keras.config.floatx(), "float32"),
        ("dtype policy", keras.config.dtype_policy().name, "float32"),
        ("image data format", keras.config.image_data_format(), "channels_last"),
        ("epsilon", keras.config.epsilon(), 1e-7),
    )
    for name, found, needed in settings:
        if found != needed:
            hint = "Change it before anything is built, for instance in KERAS_BACKEND or in Keras's file keras.json"
            raise UserError(f"Keras has the {name} {found} in this process, but gan_tf needs {needed}", hint)
