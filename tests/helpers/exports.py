"""Exported weights of small GANs that have not been trained."""

import dataclasses
from pathlib import Path

import numpy as np

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


ABOUT = {"task": "anime", "config": {"latent_dim": 6, "g_lr": 2e-4}, "image_shape": [8, 8, 1]}
CARD = {"task": "anime", "step": 7, "seconds": 1, "images_seen": 8, "command": "python train.py", "data": {}}


class _Weight:
    """The name of a weight, as ``keras.Variable`` has it."""

    def __init__(self, name: str):
        self.name = name


class SmallNetwork:
    """What of a ``keras.Model`` is exported: names and values of its weights."""

    def __init__(self, **arrays):
        self.weights, self.arrays = [_Weight(name) for name in arrays], list(arrays.values())

    def get_weights(self):
        return self.arrays


def small_network(scale: float = 1.0) -> SmallNetwork:
    """Returns a network of three arrays."""
    random = np.random.default_rng(0)
    shapes = {"kernel": (2, 3), "bias": (4,), "gamma": (1, 2, 2, 5)}
    return SmallNetwork(**{name: (scale * random.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()})


def write_small_export(directory: Path, finetune=None, about=ABOUT, card=CARD, **networks) -> None:
    """Writes exported weights of small networks."""
    export.write_export(directory, networks or {"generator": small_network()}, finetune or {}, about, card)
