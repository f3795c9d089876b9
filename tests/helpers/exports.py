"""Exported weights of small GANs that have not been trained."""

import dataclasses
from pathlib import Path

from gan_tf import export
from gan_tf.tasks import find_task
from gan_tf.workflow import build_workflow


def export_untrained(directory: Path, task: str, **values) -> Path:
    """Writes weights as a run of the task does, with the configuration's ``values``; returns the directory."""
    entry = find_task(task)
    config = entry.family.resolve(entry, {}, {"hidden_dim": 4, "latent_dim": 8, **values}).config
    model = build_workflow(entry, config).build_model()
    about = {"task": task, "config": dataclasses.asdict(config), "image_shape": list(entry.image_shape)}
    card = {"task": task, "command": "python train.py", "seconds": 0, "step": 0, "images_seen": 0, "data": {}}
    export.write_export(directory, {"generator": model.networks()["generator"]}, {}, about, card)
    return directory
