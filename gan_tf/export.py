"""Networks as they are used and shipped: one ``.npz`` of float16 arrays with its own description, and a card beside it.

The archive holds the arrays of ``network.weights`` in their order, named 000, 001, …, and "about", a JSON string that says
which task and settings build the network they fit. Nothing in it is ever executed (``allow_pickle=False``).
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.options import resolve
from gan_tf.utils.files import write_json, write_whole
from pipelines.errors import InputError

SHIPPED = Path(__file__).parent / "weights"
WEIGHTS, CARD = "generator.npz", "card.json"
STAGE = ("command", "seconds", "step", "images_seen", "data")  # what a card tells of each stage of a training
# What NumPy and zipfile raise on files that are damaged or something else (found by changing every byte of one in turn).
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error),
)


def write(folder: Path, arrays: list[np.ndarray], about: dict[str, Any], card: dict[str, Any]) -> None:
    """Writes ``generator.npz`` and ``card.json`` into ``folder``.

    Raises:
        InputError: where a weight is not finite in float16: the training has gone astray.
    """
    with np.errstate(over="ignore"):  # infinities are refused below
        halves = [np.asarray(a).astype(np.float16) for a in arrays]
    for i, half in enumerate(halves):
        if not np.isfinite(half).all():
            given = f"the averaged network's weight {i} of shape {half.shape} has reached {np.abs(arrays[i]).max():.3g}"
            mend = "go on from the last checkpoint with --resume, or begin anew with a lower learning rate"
            raise InputError(given, f"weights up to {np.finfo(np.float16).max:,.0f}, which float16 holds", mend)
    data = io.BytesIO()
    np.savez_compressed(data, about=np.array(json.dumps(about)), **{f"{i:03d}": a for i, a in enumerate(halves)})
    write_whole(Path(folder) / WEIGHTS, data.getvalue())
    write_json(Path(folder) / CARD, {**card, "sha256": hashlib.sha256(data.getvalue()).hexdigest()})


def read(folder: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The arrays, float32, and the description of a folder with ``generator.npz``.

    Raises:
        InputError: where there is none, or it is damaged or something else.
    """
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        mend = "train until its first checkpoint, or name another run"
        raise InputError(f"{folder} holds no {WEIGHTS}", "a run with a checkpoint, or shipped weights", mend)
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            halves = [archive[n] for n in sorted(archive.files) if n != "about"]
            known = isinstance(about["task"], str) and isinstance(about["settings"], dict)
            if not known or any(getattr(half, "dtype", None) != np.float16 for half in halves):
                raise ValueError("it holds something else")
            return [half.astype(np.float32) for half in halves], about
    except DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} can't be read ({reason})", "weights this program wrote", "write them anew") from None


def read_card(folder: Path) -> dict[str, Any]:
    """The card beside exported weights.

    Raises:
        InputError: where there is none that tells of a training.
    """
    path = Path(folder) / CARD
    try:
        card = json.loads(path.read_text())
        if not isinstance(card, dict) or not isinstance(card["task"], str) or not {*STAGE} <= card.keys():
            raise ValueError("it describes something else")
    except (OSError, ValueError, KeyError) as error:
        expected = "a run folder, or a folder of weights with their card"
        raise InputError(f"{path} can't be read ({type(error).__name__})", expected, "name another folder") from None
    return card


def load(folder: Path, task: str, cls: type, build: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A network with the weights in ``folder``, and the settings that it was trained with.

    Args:
        folder: a run's, or of shipped weights.
        task: the name of the task that they must be of.
        cls: its dataclass of settings.
        build: from such settings to the network.

    Raises:
        InputError: where the folder holds weights of another task, size or version, or none.
    """
    arrays, about = read(folder)
    if about["task"] != task:
        mend = f"say --task {about['task']}, or name a run of {task}"
        raise InputError(f"{folder} holds weights of task {about['task']!r}", f"task {task!r}", mend)
    settings = resolve(cls, [(str(folder), about["settings"])]).settings
    network = build(settings)
    fit(arrays, network, str(folder))
    return network, settings


def shipped(task: str, loss: str) -> Path:
    """The folder of shipped weights of a task trained with a loss.

    Raises:
        InputError: where none are shipped; those that are, are named.
    """
    folder = SHIPPED / task / loss
    if not (folder / WEIGHTS).is_file():
        there = sorted(p.parent.name for p in (SHIPPED / task).glob(f"*/{WEIGHTS}")) if (SHIPPED / task).is_dir() else []
        expected = f"one of: {', '.join(there)}" if there else "a run of your own"
        raise InputError(f"no weights are shipped for {task} with {loss}", expected, "say --run RUN, or train first")
    return folder


def describe(folder: Path, run: Path | None) -> str:
    """Which weights these are, in words: a run's, or shipped ones."""
    return str(run) if run else f"shipped with gan_tf, {Path(folder).parent.name} trained with {Path(folder).name}"


def add_scores(folder: Path, scores: dict[str, Any]) -> None:
    """Puts scores, each with its protocol, into the card of the weights that they are of."""
    card = json.loads((Path(folder) / CARD).read_text())
    write_json(Path(folder) / CARD, {**card, "scores": scores})


def fit(arrays: list[np.ndarray], network, given: str) -> None:
    """Puts arrays into a network's weights, in order.

    Raises:
        InputError: where number or shapes differ.
    """
    shapes = [tuple(w.shape) for w in network.weights]
    found = [a.shape for a in arrays]
    if shapes != found:
        odd = next(((a, b) for a, b in zip(found, shapes, strict=False) if a != b), (len(found), len(shapes)))
        raise InputError(f"{given} holds weights of another size ({odd[0]})", f"{odd[1]}", "name the run they belong to")
    network.set_weights(arrays)
