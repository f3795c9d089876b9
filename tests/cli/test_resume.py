"""Exact resume through the real command: killed at random moments, a run ends with the bits of an uninterrupted one."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers.cli import TINY, only_run

ROOT = Path(__file__).resolve().parents[2]
STEPS, KILLS = 200, 10

# Becomes the command of each line of its input, and prints the process and then its status: TensorFlow is imported once.
FORKS = """
import json, os, sys
from gan_tf.cli.main import train
from gan_tf.utils.tf_import import import_tensorflow
import_tensorflow()
import gan_tf.gan.workflow, gan_tf.training.run
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os._exit(train(json.loads(line)))
    print(process, flush=True)
    print(os.waitpid(process, 0)[1], flush=True)
"""


def train_words(image_dir, runs, *more) -> list[str]:
    words = ["--task", "anime", "--data", image_dir, "--runs", runs, "--steps", STEPS, "--checkpoint-every", 10]
    return list(map(str, [*words, "--grid-every", 100, "--log-every", 1, "--loss", "gan", *TINY, *more]))


@pytest.fixture
def train(run_script):
    def run(*arguments) -> None:
        done = run_script("train.py", *train_words(*arguments))
        assert done.returncode == 0, done.stderr

    return run


def tensors(folder: Path) -> dict[str, np.ndarray]:
    """Every variable of a run's last checkpoint."""
    last = sorted((folder / "checkpoints").iterdir())[-1]
    assert last.name == f"step-{STEPS:09d}"
    reader = tf.train.load_checkpoint(str(last / "tensors"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


@contextlib.contextmanager
def start_forks(errors: Path) -> Iterator[subprocess.Popen]:
    with errors.open("w") as file:
        command, pipe = [sys.executable, "-c", FORKS], subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=file, text=True) as forks:
            yield forks


def kill_after(forks: subprocess.Popen, words: list[str], lines: Path, more: int, wait: float) -> int:
    """Starts a training and kills it once ``more`` new lines of metrics are there and ``wait`` seconds have passed.

    Returns the signal that ended the process.
    """
    size = lines.stat().st_size if lines.exists() else 0
    print(json.dumps(words), file=forks.stdin, flush=True)
    process = int(forks.stdout.readline())
    deadline = time.monotonic() + 120
    while is_running(process) and time.monotonic() < deadline:
        grown = lines.stat().st_size - size if lines.exists() else 0
        if grown < 0:  # cut back to the checkpoint
            size += grown
        if grown > 200 * more:
            break
        time.sleep(0.01)
    time.sleep(wait)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return int(forks.stdout.readline())


def is_running(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_ten_kills_in_a_row_change_no_bit(image_dir, train, tmp_path):
    moments = random.Random(0)
    train(image_dir, tmp_path / "whole")
    with start_forks(tmp_path / "errors") as forks:
        for kill in range(KILLS):
            lines = tmp_path / "killed/anime/000-gan-images/metrics.jsonl"
            words = train_words(image_dir, tmp_path / "killed", "--resume")
            status = kill_after(forks, words, lines, more=moments.randint(0, 4), wait=moments.uniform(0, 0.25))
            assert status == signal.SIGKILL, (tmp_path / "errors").read_text()
            assert lines.parent.is_dir(), f"kill {kill} came before the run started"
    train(image_dir, tmp_path / "killed", "--resume")
    expected, found = tensors(only_run(tmp_path / "whole")), tensors(only_run(tmp_path / "killed"))
    assert expected.keys() == found.keys()
    assert len(expected) > 50
    for name, value in expected.items():
        assert value.tobytes() == found[name].tobytes(), name
    for file in ("metrics.jsonl", "weights.npz", f"images/step-{STEPS:09d}.png"):
        assert (only_run(tmp_path / "whole") / file).read_bytes() == (only_run(tmp_path / "killed") / file).read_bytes(), file
