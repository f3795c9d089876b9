"""What all workflows do alike: write the averaged network with its card, begin with the weights of another run."""

import dataclasses
import difflib
from pathlib import Path

import keras

from gan_tf import export
from gan_tf.options import resolve
from gan_tf.tasks import Task, find
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.run_dir import read_config
from pipelines.errors import InputError


def export_weights(task: Task, config: dict, method, network: keras.Model, folder: Path, plan, step: int) -> None:
    """Writes ``network`` (the averaged one, ready for use) and its card into ``folder``."""
    about = {"task": task.name, "settings": dataclasses.asdict(method.settings), "shape": task.shape}
    card = {
        "task": task.name,
        "step": step,
        "images_seen": int(method.images_seen.numpy()),
        "seconds": round(plan.state["seconds"]),
        "data": data_of(config),
        **({"best": plan.state["best"]} if "best" in plan.state else {}),
        **{name: config[name] for name in ("began_with", "command", "settings", "sources", "environment") if name in config},
    }
    export.write(folder, network.get_weights(), about, card)


def data_of(config: dict) -> dict:
    """What a card tells of a run's images."""
    return {name: config["data"][name] for name in ("name", "count", "digest")}


def begin_with(workflow, method, folder: Path) -> tuple[list[dict], list[str]]:
    """Copies the weights of another training into ``method``, where shapes fit; see ``of_run`` and ``of_weights``.

    Optimisers, counters, the average and the stream begin anew.

    Args:
        workflow: the module of both; its ``TRAINED`` are the attributes of a method that hold networks with an optimiser.
        method: what is about to be trained.
        folder: a run, or weights that were shipped or that a run kept.

    Returns:
        The stages of training that those weights went through, the first one first, for ``config.json`` and the card;
        and lines that say what was copied and what was not.

    Raises:
        InputError: where the folder holds neither, or nothing whole.
    """
    networks, stages = (of_run if (folder / "config.json").is_file() else of_weights)(workflow, folder)
    copied, total, odd = 0, 0, []
    for name in workflow.TRAINED:
        ours, theirs = getattr(method, name).weights, networks[name].weights if name in networks else []
        total += len(ours)
        if not theirs:
            odd.append(f"  begins anew, since there is none: {name}")
            continue
        shapes = [[(w.name, tuple(w.shape)) for w in weights] for weights in (ours, theirs)]
        # The longest runs of weights of equal names and shapes, so that one layer more or less doesn't shift the rest.
        for tag, a, b, c, d in difflib.SequenceMatcher(None, *shapes, autojunk=False).get_opcodes():
            if tag == "equal":
                for mine, his in zip(ours[a:b], theirs[c:d], strict=True):
                    mine.assign(his)
                copied += b - a
            else:
                odd += [f"  did not fit: {name} {w.path} {tuple(w.shape)}" for w in ours[a:b]]
    first = f"began with {copied} of {total} weights of {folder}, step {stages[-1]['step']}; the optimisers begin anew"
    return stages, [first, *odd]


def of_run(workflow, folder: Path) -> tuple[dict[str, keras.Model], list[dict]]:
    """The networks in a run's newest whole checkpoint by their names in ``TRAINED``, and the stages they went through."""
    config = read_config(folder)
    other = workflow.build(find(config["task"]), resolve(workflow.SETTINGS, [(str(folder), config["settings"])]).settings)
    checkpoints = Checkpoints(Path(folder) / "checkpoints", other)
    step = checkpoints.newest()
    if step is None:
        raise InputError(f"{folder} has no whole checkpoint", "a run that reached one", "name another run")
    stage = {
        "command": config["command"],
        "seconds": round(checkpoints.restore(step).get("seconds", 0.0)),
        "step": step,
        "images_seen": int(other.images_seen.numpy()),
        "data": data_of(config),
    }
    return {name: getattr(other, name) for name in workflow.TRAINED}, [*config.get("began_with", []), stage]


def of_weights(workflow, folder: Path) -> tuple[dict[str, keras.Model], list[dict]]:
    """The averaged network of exported weights under the first name in ``TRAINED``, and the stages it went through."""
    card = export.read_card(folder)
    network, _ = workflow.load(folder, find(card["task"]))
    stage = {name: card[name] for name in export.STAGE}
    return {workflow.TRAINED[0]: network}, [*card.get("began_with", []), stage]
