"""Exact resume through the real command: killed at random moments, a run ends with the bits of an uninterrupted one."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from helpers.cli import TINY, only_run

ROOT = Path(__file__).resolve().parents[2]
STEPS, KILLS = 200, 10


def train(image_dir, runs, *more) -> list[str]:
    words = ["train.py", "--task", "anime", "--data", image_dir, "--runs", runs, "--steps", STEPS, "--checkpoint-every", 10]
    return [sys.executable, *map(str, [*words, "--grid-every", 100, "--log-every", 1, "--loss", "gan", *TINY, *more])]


def tensors(folder: Path) -> dict[str, np.ndarray]:
    """Every variable of a run's last checkpoint."""
    last = sorted((folder / "checkpoints").iterdir())[-1]
    assert last.name == f"step-{STEPS:09d}"
    reader = tf.train.load_checkpoint(str(last / "tensors"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


def kill_after(command: list[str], lines: Path, more: int, wait: float) -> None:
    """Starts a training and kills it once ``more`` new lines of metrics are there and ``wait`` seconds have passed."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    size = lines.stat().st_size if lines.exists() else 0
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        grown = lines.stat().st_size - size if lines.exists() else 0
        if grown < 0:  # cut back to the checkpoint
            size += grown
        if grown > 200 * more:
            break
        time.sleep(0.01)
    time.sleep(wait)
    assert process.poll() is None, process.communicate()[1]
    process.kill()
    process.communicate()


def test_ten_kills_in_a_row_change_no_bit(image_dir, tmp_path):
    moments = random.Random(0)
    whole = subprocess.run(train(image_dir, tmp_path / "whole"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    for kill in range(KILLS):
        lines = tmp_path / "killed/anime/000-gan-images/metrics.jsonl"
        command = train(image_dir, tmp_path / "killed", "--resume")
        kill_after(command, lines, more=moments.randint(0, 4), wait=moments.uniform(0, 0.25))
        assert lines.parent.is_dir(), f"kill {kill} came before the run started"
    done = subprocess.run(
        train(image_dir, tmp_path / "killed", "--resume"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected, found = tensors(only_run(tmp_path / "whole")), tensors(only_run(tmp_path / "killed"))
    assert expected.keys() == found.keys()
    assert len(expected) > 50
    for name, value in expected.items():
        assert value.tobytes() == found[name].tobytes(), name
    for file in ("metrics.jsonl", "weights.npz", f"images/step-{STEPS:09d}.png"):
        assert (only_run(tmp_path / "whole") / file).read_bytes() == (only_run(tmp_path / "killed") / file).read_bytes(), file
