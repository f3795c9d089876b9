"""``--init-from``: a new training starts from the networks of another run, or of exported weights."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from gan_tf import cards, export
from gan_tf.export import NamedArrays
from gan_tf.options import from_values
from gan_tf.run_dir import has_checkpoints, read_run_config
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.workflow import build_workflow
from pipelines.errors import UserError

if TYPE_CHECKING:
    from gan_tf.tasks import Task


@dataclass(frozen=True)
class Initialization:
    """What was copied.

    Attributes:
        stages: the trainings that the weights went through, the first one first, for ``config.json`` and the card.
        lines: what was copied and what was not, for the user.
    """

    stages: list[dict[str, Any]]
    lines: list[str]


def initialize_model(model: Any, task: "Task", directory: Path) -> Initialization:
    """Copies the networks of another training into ``model``, wherever names and shapes match.

    Optimizer states, counters, the EMA and the position in the stream are not copied.

    Args:
        model: the ``TrainableModel`` that is about to be trained.
        task: the task of the other training.
        directory: its run, of which the newest checkpoint is taken, or else exported weights.

    Raises:
        UserError: the directory holds neither, or no valid checkpoint of its own.
    """
    is_run = has_checkpoints(directory)
    networks, stages = _networks_of_run(task, directory) if is_run else _networks_of_export(directory)
    num_copied, num_total, missing = 0, 0, []
    for name, network in model.networks().items():
        num_total += len(network.weights)
        if name not in networks:
            missing.append(f"  starts from scratch, since {directory} holds none: {name}")
            continue
        unmatched = _copy_matching(network, networks[name])
        num_copied += len(network.weights) - len(unmatched)
        missing += [f"  not copied, of another shape: {name} {weight.path} {tuple(weight.shape)}" for weight in unmatched]
    copied = f"initialized {num_copied} of {num_total} weights from {directory}, step {stages[-1]['step']}"
    return Initialization(stages, [f"{copied}; optimizer state was not restored", *missing])


def _copy_matching(network: keras.Model, arrays: NamedArrays) -> list[keras.Variable]:
    """Assigns the arrays whose names and shapes match; returns the weights for which there are none.

    The longest matching runs are used, so that one layer more or less does not shift the others.
    """
    weights = network.weights
    ours = [(weight.name, tuple(weight.shape)) for weight in weights]
    theirs = [(name, array.shape) for name, array in arrays]
    unmatched: list[keras.Variable] = []
    for tag, start, end, other_start, other_end in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag != "equal":
            unmatched += weights[start:end]
            continue
        for weight, (_, array) in zip(weights[start:end], arrays[other_start:other_end], strict=True):
            weight.assign(array)
    return unmatched


def _networks_of_run(task: "Task", directory: Path) -> tuple[dict[str, NamedArrays], list[dict[str, Any]]]:
    """Returns the networks of a run's newest valid checkpoint, or without one its exported weights, and their stages."""
    config = read_run_config(directory)
    other = build_workflow(task, from_values(task.family.config, config["config"], str(directory))).build_model()
    checkpoints = Checkpoints(directory / "checkpoints", other)
    step = checkpoints.newest()
    if step is None and (directory / cards.WEIGHTS).is_file():
        return _networks_of_export(directory)
    if step is None:
        raise UserError(f"{directory} has no valid checkpoint", "Name another run, or a folder of exported weights")
    state = checkpoints.restore(step, config["run_id"])
    stage = {
        "command": config["command"],
        "seconds": round(state.get("seconds", 0.0)),
        "step": step,
        "images_seen": int(other.images_seen.numpy()),
        "data": config["data"]["sources"],
    }
    networks = {
        name: [(weight.name, weight.numpy()) for weight in network.weights] for name, network in other.networks().items()
    }
    return networks, [*config.get("initialized_from", []), stage]


def _networks_of_export(directory: Path) -> tuple[dict[str, NamedArrays], list[dict[str, Any]]]:
    """Returns the exported networks and those of ``finetune.npz``, and the stages they went through."""
    card = cards.read_card(directory)
    networks = {**export.read_weights(directory).networks, **export.read_finetune(directory)}
    stage = {name: card[name] for name in cards.STAGE}
    return networks, [*card.get("initialized_from", []), stage]
