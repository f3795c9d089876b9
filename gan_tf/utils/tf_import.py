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


@contextlib.contextmanager
def _hide_keras_settings() -> Iterator[None]:
    """Hides the variables and the file with settings of Keras, which it reads while it is imported, but for its backend.

    Values that it does not know would end the import with a traceback.
    """
    hidden = {name: value for name, value in os.environ.items() if name.startswith("KERAS_")}
    for name in hidden:
        del os.environ[name]
    os.environ["KERAS_HOME"] = f"{os.devnull}/keras"  # a folder that cannot exist, so that no file is written either
    os.environ["KERAS_BACKEND"] = BACKEND
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        os.environ.update(hidden)
        os.environ["KERAS_BACKEND"] = BACKEND


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras with the settings that results depend on, and with TensorFlow's C++ log silenced.

    Keras reads its backend from ``KERAS_BACKEND`` and more from ``~/.keras/keras.json``, which may belong to another project:
    another float type or image layout gives other weights, and other scores under the same name. So they are not read here.

    Set ``TF_CPP_MIN_LOG_LEVEL`` to see the log. Messages of level ERROR are hidden too, because Grappler logs "remapper
    failed" at that level where it merely does not fuse a leaky ReLU. Operations that fail still raise Python exceptions, and
    fatal errors after the import are still shown; if the import itself ends the process, set the variable to see why.

    Raises:
        UserError: TensorFlow is not installed, or this process has imported Keras with other settings already.
    """
    try:
        with contextlib.nullcontext() if "keras" in sys.modules else _hide_keras_settings():
            _import_quietly()
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise UserError("TensorFlow is not installed", "Run: pip install 'tensorflow>=2.21,<2.22'") from error
    check_keras_settings()


def _import_quietly() -> None:
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import keras
        import tensorflow

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with _discard_stderr():
        import keras  # noqa: F401 (TensorFlow would import it later, with the settings of another project)
        import tensorflow

        tensorflow.config.list_physical_devices()  # looks for GPUs now, while messages about them are discarded


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
