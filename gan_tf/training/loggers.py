"""Where numbers and pictures of a run go: TensorBoard and ``metrics.jsonl``, behind one small interface."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.utils.files import readable_failures, write_whole
from gan_tf.utils.tf_errors import readable_tensorflow_failures


class Writers:
    """Writes scalars and pictures of one run.

    Args:
        folder: the run folder.
        step: the step the run goes on from; lines of ``metrics.jsonl`` after it are cut off, since they come again.
    """

    def __init__(self, folder: Path, step: int = 0):
        self.lines = Path(folder) / "metrics.jsonl"
        with readable_failures(self.lines):
            cut_back(self.lines, step)
            self.file = open(self.lines, "a")  # noqa: SIM115 (closed by close)
        self.folder = Path(folder) / "tensorboard"
        self.board = tf.summary.create_file_writer(str(self.folder))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """One line of ``metrics.jsonl`` and one point of each TensorBoard curve."""
        with readable_failures(self.lines):
            self.file.write(json.dumps({"step": step, **values}) + "\n")
            self.file.flush()
        with readable_tensorflow_failures(self.folder), self.board.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """A picture, uint8 ``[height, width, channels]``, for TensorBoard."""
        with readable_tensorflow_failures(self.folder), self.board.as_default(step=step):
            tf.summary.image(name, picture[None])

    def flush(self) -> None:
        """Brings everything to the disk; called before each checkpoint, so no curve lags behind one."""
        with readable_failures(self.lines):
            os.fsync(self.file.fileno())
        with readable_tensorflow_failures(self.folder):
            self.board.flush()

    def close(self) -> None:
        """Closes both; what can't be written now was refused when it was handed over."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(tf.errors.OpError):
            self.board.close()


def cut_back(path: Path, step: int) -> None:
    """Keeps the whole lines up to ``step``; a torn last line and everything after ``step`` go."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                break
        except (ValueError, KeyError, TypeError):  # no JSON, or JSON of something else
            break
        kept.append(line)
    write_whole(path, b"".join(kept))
