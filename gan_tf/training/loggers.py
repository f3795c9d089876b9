"""Where metrics and images of a run are logged: TensorBoard and ``metrics.jsonl``."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.utils.files import file_errors, write_atomic
from gan_tf.utils.tf_errors import tensorflow_file_errors


class Loggers:
    """Logs metrics and images of one run.

    Args:
        directory: the run's folder.
        first_step: the step that the run resumes from; later lines of ``metrics.jsonl`` are cut off, since they come again.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, directory: Path, first_step: int = 0):
        self._path = Path(directory) / "metrics.jsonl"
        with file_errors(self._path):
            truncate_metrics(self._path, first_step)
            self._file = open(self._path, "a")  # noqa: SIM115 (closed by close)
        self._directory = Path(directory) / "tensorboard"
        self._writer = tf.summary.create_file_writer(str(self._directory))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a line of ``metrics.jsonl`` and a point of each TensorBoard curve."""
        with file_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        with tensorflow_file_errors(self._directory), self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes an image, uint8 ``[height, width, channels]``, for TensorBoard."""
        with tensorflow_file_errors(self._directory), self._writer.as_default(step=step):
            tf.summary.image(name, image[None])

    def flush(self) -> None:
        """Flushes everything to the disk; called before each checkpoint, so that no curve lags behind one."""
        with file_errors(self._path):
            os.fsync(self._file.fileno())
        with tensorflow_file_errors(self._directory):
            self._writer.flush()

    def close(self) -> None:
        """Closes both files; whatever cannot be written now has already raised an error when it was logged."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(tf.errors.OpError):
            self._writer.close()


def truncate_metrics(path: Path, last_step: int) -> None:
    """Keeps the lines of ``metrics.jsonl`` up to ``last_step``, and none from the first incomplete or damaged line on."""
    if not path.exists():
        return
    kept_lines = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or json.loads(line)["step"] > last_step:
                break
        except (ValueError, KeyError, TypeError):  # no JSON, or JSON of something else
            break
        kept_lines.append(line)
    write_atomic(path, b"".join(kept_lines))
