"""Exported weights of small GANs that have not been trained."""

import dataclasses
from pathlib import Path

import numpy as np

from gan_tf import export
from gan_tf.tasks import find_task
from gan_tf.workflow import build_workflow

_SMALL = {"cyclegan": {"num_blocks": 1, "load_size": 32, "crop_size": 32}}


def export_untrained(directory: Path, task: str, **values) -> Path:
    """Writes weights as a run of the task does, with the configuration's ``values``; returns the directory.

    The networks are small. Those of CycleGANs have one block, and are for images of 32x32.
    """
    entry = find_task(task)
    small = {"hidden_dim": 4, **_SMALL.get(entry.family.name, {"latent_dim": 8}), **values}
    config = entry.family.resolve(entry, {}, small).config
    model = build_workflow(entry, config).build_model()
    about = {"task": task, "config": dataclasses.asdict(config), "image_shape": list(entry.image_shape)}
    card = {"task": task, "command": "python train.py", "seconds": 0, "step": 0, "images_seen": 0, "data": {}}
    networks = {name: network for name, network in model.networks().items() if name.startswith("generator")}
    export.write_export(directory, networks, {}, about, card)
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
