"""What all workflows do alike: write the averaged network with its card, begin with the weights of another run."""

import dataclasses
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from gan_tf import export
from gan_tf.tasks import Task
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.runs import read_config
from pipelines.errors import InputError


def export_weights(task: Task, config: dict, method, network: keras.Model, folder: Path, plan, step: int) -> None:
    """Writes ``network`` (the averaged one, ready for use) and its card into ``folder``."""
    about = {"task": task.name, "settings": dataclasses.asdict(method.settings), "shape": task.shape}
    card = {
        "task": task.name,
        "step": step,
        "images_seen": int(method.images_seen.numpy()),
        "seconds": round(plan.state["seconds"]),
        "data": {name: config["data"][name] for name in ("name", "count", "digest")},
        **({"best": plan.state["best"]} if "best" in plan.state else {}),
        **{name: config[name] for name in ("command", "settings", "sources", "environment")},
    }
    export.write(folder, network.get_weights(), about, card)


def copy_from_run(method, networks: tuple[str, ...], folder: Path, rebuild: Callable[[dict], Any]) -> list[str]:
    """Copies the weights of a run's newest whole checkpoint, where shapes fit; says in lines what did not.

    Optimisers, counters and the stream begin anew.

    Args:
        method: what is about to be trained.
        networks: names of its attributes that hold networks.
        folder: the other run.
        rebuild: from that run's ``config.json`` to a method of its own kind and size.

    Raises:
        InputError: where the folder is no run, or none of its checkpoints is whole.
    """
    other = rebuild(read_config(folder))
    checkpoints = Checkpoints(Path(folder) / "checkpoints", other)
    step = checkpoints.newest()
    if step is None:
        raise InputError(f"{folder} has no whole checkpoint", "a run that reached one", "name another run")
    checkpoints.restore(step)
    copied, total, odd = 0, 0, []
    for name in networks:
        ours, theirs = getattr(method, name).weights, getattr(other, name).weights
        shapes = [[(w.name, tuple(w.shape)) for w in weights] for weights in (ours, theirs)]
        total += len(ours)
        # The longest runs of weights of equal names and shapes, so that one layer more or less doesn't shift the rest.
        for tag, a, b, c, d in difflib.SequenceMatcher(None, *shapes, autojunk=False).get_opcodes():
            if tag == "equal":
                for mine, his in zip(ours[a:b], theirs[c:d], strict=True):
                    mine.assign(his)
                copied += b - a
            else:
                odd += [f"  did not fit: {name} {w.path} {tuple(w.shape)}" for w in ours[a:b]]
    return [f"began with {copied} of {total} weights of {folder}, step {step}; the optimisers begin anew", *odd]
