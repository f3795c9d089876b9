"""TensorFlow's errors for files that cannot be written say the reason, and a hint that belongs to it."""

import errno
import os
import resource
import signal
from collections.abc import Iterator

import pytest
import tensorflow as tf

from gan_tf.utils.files import WRITE_HINTS
from gan_tf.utils.tf_errors import tensorflow_file_errors
from pipelines.errors import UserError


@pytest.fixture
def small_files() -> Iterator[None]:
    """Limits the size of files to 10 kB, as ``ulimit -f`` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_tensorflow_file_errors_limit_on_the_size_is_named_and_not_the_disk(small_files, tmp_path):
    tensors = tf.train.Checkpoint(value=tf.Variable(tf.random.stateless_uniform([20_000], [0, 0])))
    with pytest.raises(UserError, match=r"File too large.*ulimit -f") as caught, tensorflow_file_errors(tmp_path):
        tensors.write(str(tmp_path / "tensors"))
    assert "disk" not in str(caught.value)


@pytest.mark.parametrize("number", WRITE_HINTS)
def test_tensorflow_file_errors_have_the_hint_of_python_errors(number, tmp_path):
    message = f"{{{{function_node x}}}} {tmp_path}/part-0; {os.strerror(number)} [Op:SaveV2]"
    with pytest.raises(UserError) as caught, tensorflow_file_errors(tmp_path):
        raise tf.errors.UnknownError(None, None, message)
    assert caught.value.problem == f"{tmp_path} cannot be written ({os.strerror(number)})"
    assert caught.value.hint == WRITE_HINTS[number]


def test_tensorflow_file_errors_other_errors_stay(tmp_path):
    with pytest.raises(tf.errors.UnknownError), tensorflow_file_errors(tmp_path):
        raise tf.errors.UnknownError(None, None, os.strerror(errno.EIO))
