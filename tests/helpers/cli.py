"""What the tests of the command line share."""

from pathlib import Path

from gan_tf.cli import main as cli

TINY = ["--hidden-dim", "4", "--batch", "4", "--latent-dim", "8"]


def call(command: str, *words) -> int:
    """Runs a command, such as ``call("train", "--task", "anime")``; returns its exit code."""
    return getattr(cli, command)([str(word) for word in words])


def only_run(runs: Path, task: str = "anime") -> Path:
    """Returns the only run of a task."""
    (folder,) = [path for path in (runs / task).iterdir() if path.is_dir()]
    return folder


def train_two_steps(runs: Path) -> Path:
    """Trains for two steps on synthetic faces, as someone without data does; returns the run."""
    assert call("train", "--task", "anime", "--loss", "wgangp", "--d-steps", 2, "--steps", 2, "--runs", runs, *TINY) == 0
    return only_run(runs)
