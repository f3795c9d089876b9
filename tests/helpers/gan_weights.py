"""Exported weights of the smallest GANs, and curves beside them, without a training."""

import json
from pathlib import Path
from typing import Any

from gan_tf.tasks import Task
from helpers.exports import export_untrained

TINY = {"latent_dim": 4, "hidden_dim": 2}


def write_gan_weights(directory: Path, task: Task, **options: Any) -> Path:
    """Writes weights of an untrained generator as a run would; returns the directory."""
    return export_untrained(directory, task.name, **{**TINY, **options})


def write_curves(directory: Path, names: tuple[str, ...], value: float = 0.5) -> None:
    """Writes a ``metrics.jsonl`` of constant curves."""
    lines = [json.dumps({"step": step, **dict.fromkeys(names, value)}) for step in range(10, 110, 10)]
    (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")
