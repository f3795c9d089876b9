"""What the tests of the doors share."""

from pathlib import Path

from gan_tf.cli import main as cli

tiny = ["--hidden", 4, "--batch", 4, "--latent", 8]


def run_folder(runs: Path, task: str = "anime") -> Path:
    """The only run of a task."""
    (folder,) = [p for p in (runs / task).iterdir() if p.is_dir()]
    return folder


def two_steps(runs: Path) -> Path:
    """A run of two steps on the drawn faces, as someone without data gets it."""
    words = ["--task", "anime", "--loss", "wgangp", "--steps", 2, "--runs", runs, *tiny]
    assert cli.train([str(w) for w in words]) == 0
    return run_folder(runs)
