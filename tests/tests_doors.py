"""What the tests of the doors share."""

from pathlib import Path

tiny = ["--hidden", 4, "--batch", 4, "--latent", 8]


def run_folder(runs: Path, task: str = "anime") -> Path:
    """The only run of a task."""
    (folder,) = [p for p in (runs / task).iterdir() if p.is_dir()]
    return folder
