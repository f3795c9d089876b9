"""Where metrics and images of a run are logged: TensorBoard and ``metrics.jsonl``."""

import contextlib
import itertools
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.curves import METRICS, parse_line
from gan_tf.training.event_files import purge_events
from gan_tf.utils.files import file_errors, write_atomic
from gan_tf.utils.tf_errors import tensorflow_file_errors

TENSORBOARD = "tensorboard"


class Loggers:
    """Logs metrics and images of one run.

    Args:
        directory: the run's folder.
        first_step: the step that the run resumes from; what was logged after it is removed, since it comes again.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, directory: Path, first_step: int = 0):
        self._path, self._directory = Path(directory) / METRICS, Path(directory) / TENSORBOARD
        with file_errors(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        purge_events(self._directory, first_step)
        with file_errors(self._path):
            truncate_metrics(self._path, first_step)
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self._writer = tf.summary.create_file_writer(os.fsencode(self._directory))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a line of ``metrics.jsonl`` and a point of each TensorBoard curve."""
        with file_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        with tensorflow_file_errors(self._directory), self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def logged_steps(self, name: str) -> set[int]:
        """Returns the steps for which ``metrics.jsonl`` has a value of that name."""
        lines = (parse_line(line) for line in self._path.read_bytes().split(b"\n"))
        return {values["step"] for values in lines if values is not None and name in values}

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
    """Keeps the readable lines of ``metrics.jsonl`` up to ``last_step``, wherever they stand.

    A last line without its end is what a killed process leaves, and is dropped. Any other unreadable line is left out with
    a warning, and the original file is kept beside it as ``metrics.damaged.jsonl``.

    Raises:
        UserError: a file cannot be written.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    kept_lines, num_unreadable = [], 0
    for line in content.split(b"\n")[:-1]:
        values = parse_line(line)
        if values is None:
            num_unreadable += 1
        elif values["step"] <= last_step:
            kept_lines.append(line + b"\n")
    if num_unreadable:
        original = _unused_name(path)
        write_atomic(original, content)
        lines = "1 unreadable line has" if num_unreadable == 1 else f"{num_unreadable} unreadable lines have"
        warnings.warn(f"{lines} been left out of {path}; the original file is kept as {original}", stacklevel=2)
    write_atomic(path, b"".join(kept_lines))


def _unused_name(path: Path) -> Path:
    """Returns the first of ``metrics.damaged.jsonl``, ``metrics.damaged-2.jsonl``, … that does not exist."""
    names = itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
    paths = (path.with_name(f"{path.stem}.damaged{name}{path.suffix}") for name in names)
    return next(candidate for candidate in paths if not candidate.exists())
