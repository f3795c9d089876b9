"""Runs Python in a process of its own; its output is shown and logged, and signals are forwarded to it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from gan_tf.utils.files import file_errors

TRAIN = ("-m", "gan_tf", "train")
"""What follows ``python`` in the command that trains, wherever the package is installed."""
_STOPPED = (130, -signal.SIGINT, -signal.SIGTERM)  # exit codes of a process that a signal ended


def run_python(arguments: Sequence[str], log: Path) -> int:
    """Runs Python; returns the exit code.

    Args:
        arguments: what follows ``python`` on a command line.
        log: the file to which standard output and standard error are appended; both are also printed as they arrive.

    Raises:
        KeyboardInterrupt: a signal ended the process. Signals are forwarded, so that a training ends with a checkpoint.
        UserError: the log cannot be written.
    """
    with file_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 (closed below)
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
        start_new_session=True,  # otherwise Ctrl-C would reach it twice, and the second one ends it without a checkpoint
    )
    assert child.stdout is not None
    with file_errors(log), file, child, _forward_signals(child):
        try:
            for line in child.stdout:
                print(line, end="", flush=True)
                file.write(line)
                file.flush()
        except BaseException:
            child.terminate()  # nobody would read what it says any more; a training ends with a checkpoint
            raise
    if child.returncode in _STOPPED:
        raise KeyboardInterrupt
    return child.returncode


@contextlib.contextmanager
def _forward_signals(child: subprocess.Popen[str]) -> Iterator[None]:
    """Forwards SIGINT and SIGTERM to the child, which handles them itself."""

    def forward(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
