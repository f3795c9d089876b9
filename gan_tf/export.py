"""Networks as they are used and shipped: one ``.npz`` of float16 arrays with its own description, and a card beside it.

The archive holds the arrays of ``network.weights`` in their order, named 000, 001, …, and "about", a JSON string that says
which task and settings build the network they fit. Nothing in it is ever executed (``allow_pickle=False``).
"""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.files import write_json, write_whole
from pipelines.errors import InputError

SHIPPED = Path(__file__).parent / "weights"
WEIGHTS, CARD = "generator.npz", "card.json"
# What NumPy and zipfile raise on files that are damaged or something else (found by changing every byte of one in turn).
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error),
)


def write(folder: Path, arrays: list[np.ndarray], about: dict[str, Any], card: dict[str, Any]) -> None:
    """Writes ``generator.npz`` and ``card.json`` into ``folder``.

    Raises:
        ValueError: where a weight is not finite in float16.
    """
    with np.errstate(over="ignore"):  # infinities are refused below
        halves = [np.asarray(a).astype(np.float16) for a in arrays]
    for i, half in enumerate(halves):
        if not np.isfinite(half).all():
            raise ValueError(f"weight {i} of shape {half.shape} doesn't fit float16")
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
            if not isinstance(about, dict) or any(getattr(half, "dtype", None) != np.float16 for half in halves):
                raise ValueError("it holds something else")
            return [half.astype(np.float32) for half in halves], about
    except DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} can't be read ({reason})", "weights this program wrote", "write them anew") from None


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
