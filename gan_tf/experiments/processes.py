"""Python in a process of its own, for experiments: its output is shown and kept, and signals reach it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gan_tf.utils.files import readable_failures

ROOT = Path(__file__).resolve().parents[2]
STOPPED = (130, -signal.SIGINT, -signal.SIGTERM)


def watched(words: Sequence[str], log: Path) -> tuple[int, str]:
    """Runs Python with these words in the repository's root; returns the exit code and all that it said.

    Args:
        words: what follows ``python`` on a command line.
        log: the file its output is added to, which is also shown as it comes.

    Raises:
        KeyboardInterrupt: where a signal ended it; it was handed on, so that a training ends with a checkpoint.
    """
    lines = []
    with readable_failures(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "a")  # noqa: SIM115 (closed below)
    child = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # or Ctrl-C would reach it twice, and the second ends it without a checkpoint
    )
    with file, child, handed_on(child):
        for line in child.stdout:
            print(line, end="", flush=True)
            file.write(line)
            lines.append(line)
    if child.returncode in STOPPED:
        raise KeyboardInterrupt
    return child.returncode, "".join(lines)


@contextlib.contextmanager
def handed_on(child: subprocess.Popen) -> Iterator[None]:
    """SIGINT and SIGTERM go to the child, which ends in its own way."""
    before = {n: signal.signal(n, lambda number, frame: child.send_signal(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
