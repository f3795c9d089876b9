"""What a directory of weights says about them: ``card.json`` how they were trained, ``scores.json`` how they scored.

Both carry the SHA-256 of the weights that they describe, so that those of other weights are noticed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_tf.run_dir import find_run_id, older_format
from gan_tf.utils.files import read_json, write_json
from pipelines.errors import UserError

WEIGHTS, FINETUNE, CARD, SCORES = "weights.npz", "finetune.npz", "card.json", "scores.json"
_CONTENT = {"task": str, "command": str, "seconds": int | float, "step": int, "images_seen": int, "data": dict}
STAGE = ("command", "seconds", "step", "images_seen", "data")  # what a card records about each stage of a training


def read_card(directory: Path) -> dict[str, Any]:
    """Reads ``card.json``.

    Raises:
        UserError: there is none, or it does not describe a training, or it is of the older format.
    """
    path = Path(directory) / CARD
    try:
        card = read_json(path)
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be read ({type(error).__name__})"
        raise UserError(problem, "Name a run folder, or a folder of exported weights with their card") from None
    if isinstance(card, dict) and "settings" in card:
        raise older_format(Path(directory), "its card.json has another layout")
    if not _is_card(card):
        raise UserError(f"{path} does not describe a training", "Name another folder")
    return card


def _is_card(card: Any) -> bool:
    if not isinstance(card, dict) or not all(isinstance(card.get(key), kind) for key, kind in _CONTENT.items()):
        return False
    stages, scores = card.get("initialized_from", []), card.get("scores", {})
    return isinstance(scores, dict) and isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages)


def write_scores(directory: Path, scores: Mapping[str, Any]) -> None:
    """Writes scores, each with its protocol, into ``scores.json`` and ``card.json``."""
    write_json(Path(directory) / SCORES, scores)
    write_json(Path(directory) / CARD, {**read_card(directory), "scores": scores})


def remove_scores(directory: Path) -> None:
    """Removes ``scores.json``, which belongs to former weights."""
    (Path(directory) / SCORES).unlink(missing_ok=True)


def has_scores(directory: Path) -> bool:
    """Returns whether ``scores.json`` and the card hold scores of the weights beside them, and the same ones."""
    directory = Path(directory)
    try:
        scores = read_json(directory / SCORES)
        digests = {score["protocol"]["model_sha256"] for name, score in scores.items() if name != "thresholds"}
        return digests == {_sha256(directory / WEIGHTS)} and read_card(directory).get("scores") == scores
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):  # damaged, or of another layout
        return False


def weights_identity(directory: Path) -> dict[str, Any]:
    """Returns the step and the SHA-256 of ``weights.npz``, which scores carry; the step only if a card tells it."""
    directory = Path(directory)
    step = {"model_step": read_card(directory)["step"]} if (directory / CARD).is_file() else {}
    return {**step, "model_sha256": _sha256(directory / WEIGHTS)}


def has_step(directory: Path, step: int) -> bool:
    """Returns whether the directory holds the whole export of ``step``."""
    directory = Path(directory)
    if not (directory / CARD).is_file() or not (directory / WEIGHTS).is_file():
        return False
    try:
        card = read_card(directory)
    except UserError:  # a damaged card is written again
        return False
    run_id = find_run_id(directory)
    return card["step"] == step and card.get("run_id", run_id) == run_id and card.get("sha256") == _sha256(directory / WEIGHTS)


def check_digest(path: Path, key: str) -> None:
    """Compares a file with the card beside it, if there is one.

    Args:
        path: a file of exported weights.
        key: the name of its digest in the card.

    Raises:
        UserError: the card describes another file, or it is that of another run.
    """
    if not path.with_name(CARD).is_file():
        return
    card, run_id = read_card(path.parent), find_run_id(path.parent)
    if run_id is not None and card.get("run_id", run_id) != run_id:
        raise UserError(f"{path} belongs to another run than the config.json beside it", "Put the files of this run back")
    if "sha256" in card and _sha256(path) != card.get(key):
        problem = f"{path} is not the file that the {CARD} beside it describes (its SHA-256 is another)"
        raise UserError(problem, "Copy both from the same place, or resume the run, which writes them again")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
