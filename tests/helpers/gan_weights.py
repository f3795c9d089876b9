"""Exported weights of small GANs, with a card and curves, without a training."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from gan_tf import export
from gan_tf.gan.workflow import NETWORKS
from gan_tf.tasks import Task

TINY = {"latent_dim": 4, "hidden_dim": 2}


def write_gan_weights(directory: Path, task: Task, seed: int = 1, **options: Any) -> Path:
    """Writes weights of an untrained generator as a run would; returns the directory."""
    config = task.family.resolve(task, {}, {**TINY, "seed": seed, **options}).config
    network = NETWORKS[config.network].build_generator(task.image_shape, config.latent_dim, config.hidden_dim, seed=seed)
    about = {"task": task.name, "config": dataclasses.asdict(config), "image_shape": list(task.image_shape)}
    card = {"task": task.name, "command": "train.py", "seconds": 120, "step": 500, "images_seen": 32_000, "data": {}}
    export.write_export(directory, {"generator": network}, {}, about, card)
    return directory


def write_curves(directory: Path, names: tuple[str, ...], value: float = 0.5) -> None:
    """Writes a ``metrics.jsonl`` of constant curves."""
    lines = [json.dumps({"step": step, **dict.fromkeys(names, value)}) for step in range(10, 110, 10)]
    (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")
