"""Exported weights: trained networks as float16 arrays, in a directory that is a run's or that is shipped with the package.

* ``weights.npz``: the networks for inference. Their arrays are named ``generator/000.kernel``: the network's name, the index
  in ``network.weights`` and the variable's name. "about" is a JSON string with the task and the configuration.
* ``finetune.npz``: the other networks that fine-tuning needs, such as a discriminator; absent if there are none.
* ``card.json``: how the weights were trained and how they scored.

Nothing in these files is ever executed (``allow_pickle=False``). This module is free of TensorFlow.
"""

import hashlib
import io
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_tf.cards import CARD, FINETUNE, WEIGHTS, check_digest
from gan_tf.run_dir import older_format, read_run_config
from gan_tf.utils.files import write_atomic, write_json
from pipelines.archives import open_arrays
from pipelines.errors import READ_ERRORS, UserError

if TYPE_CHECKING:
    import keras

FORMAT = 2

NamedArrays = list[tuple[str, np.ndarray]]
"""The weights of a network in order, each with its variable's name, such as "kernel"."""

_KEY = re.compile(r"(.+)/(\d{3,})\.([^/]+)")


@dataclass(frozen=True)
class Export:
    """The content of ``weights.npz``.

    Attributes:
        directory: where it was read.
        task: name of the task.
        config: the values of the family's configuration.
        image_shape: height, width and channels.
        networks: float32 arrays of each network by its name.
    """

    directory: Path
    task: str
    config: dict[str, Any]
    image_shape: tuple[int, ...]
    networks: dict[str, NamedArrays]

    def assign(self, name: str, network: "keras.Model") -> None:
        """Assigns the arrays of one of the networks to ``network``.

        Raises:
            UserError: there is no such network, or its weights have other names or shapes; ``network`` is unchanged then.
        """
        if name not in self.networks:
            problem = f"{self.directory} holds no network {name!r}, only: {', '.join(self.networks)}"
            raise UserError(problem, "Name the weights of another run")
        assign_weights(network, self.networks[name], self.directory)


def write_export(
    directory: Path,
    networks: Mapping[str, "keras.Model"],
    finetune: Mapping[str, "keras.Model"],
    about: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    """Writes ``weights.npz``, ``finetune.npz`` and ``card.json``.

    A network for fine-tuning that float16 cannot hold is left out with a warning: it must not stop a training.

    Args:
        directory: created if it does not exist.
        networks: what inference uses, by name.
        finetune: what fine-tuning needs besides, by name.
        about: "task", "config" and "image_shape"; see ``Export``.
        card: what else ``card.json`` says.

    Raises:
        UserError: a weight of ``networks`` is not finite in float16, or a file cannot be written.
    """
    directory = Path(directory)
    data = _pack(networks, {"format": FORMAT, **about})
    try:
        finetune_data = _pack(finetune, {"format": FORMAT, **about}) if finetune else None
    except UserError as error:
        warnings.warn(f"{directory / FINETUNE} is not written: {error.problem}", stacklevel=2)
        finetune_data = None
    write_atomic(directory / WEIGHTS, data)
    if finetune_data is None:
        (directory / FINETUNE).unlink(missing_ok=True)
    else:
        write_atomic(directory / FINETUNE, finetune_data)
    digests = {"sha256": hashlib.sha256(data).hexdigest()}
    if finetune_data is not None:
        digests["finetune_sha256"] = hashlib.sha256(finetune_data).hexdigest()
    write_json(directory / CARD, {"format": FORMAT, **card, **digests})


def read_weights(directory: Path) -> Export:
    """Reads ``weights.npz``, and compares it with the digest in ``card.json`` if there is one.

    Raises:
        UserError: there is none, or it is damaged, something else, of the older format, or not what the card describes.
    """
    path = Path(directory) / WEIGHTS
    if not path.is_file():
        raise missing_weights(Path(directory))
    about, networks = _unpack(path)
    check_digest(path, "sha256")
    return Export(Path(directory), about["task"], about["config"], tuple(about["image_shape"]), networks)


def read_finetune(directory: Path) -> dict[str, NamedArrays]:
    """Reads ``finetune.npz``: the networks that fine-tuning needs besides those of ``read_weights``; empty without one.

    Raises:
        UserError: it is damaged or something else.
    """
    path = Path(directory) / FINETUNE
    if not path.is_file():
        return {}
    networks = _unpack(path)[1]
    check_digest(path, "finetune_sha256")
    return networks


def assign_weights(network: "keras.Model", arrays: NamedArrays, source: Path | str) -> None:
    """Assigns arrays to the weights of a network, in order.

    Args:
        network: the network.
        arrays: its weights.
        source: where they come from, for the message.

    Raises:
        UserError: their number, names or shapes differ; nothing is assigned then.
    """
    needed = [(weight.name, tuple(weight.shape)) for weight in network.weights]
    found = [(name, array.shape) for name, array in arrays]
    if found != needed:
        different = next((pair for pair in zip(found, needed, strict=False) if pair[0] != pair[1]), None)
        detail = f"{len(found)} arrays instead of {len(needed)}"
        if different:
            detail = f"{_describe_array(different[0])} instead of {_describe_array(different[1])}"
        raise UserError(f"{source} holds weights of another network ({detail})", "Name the weights that belong to it")
    network.set_weights([array for _, array in arrays])


def missing_weights(directory: Path) -> UserError:
    """Returns the error for a directory without ``weights.npz``."""
    if (directory / "generator.npz").is_file():
        return older_format(directory, f"it holds generator.npz, not {WEIGHTS}")
    if (directory / "config.json").is_file():
        try:
            read_run_config(directory)
        except UserError as error:
            return error
        return UserError(f"The run {directory} has no {WEIGHTS} yet", "Train it to its first checkpoint, or name another run")
    return UserError(f"{directory} holds no {WEIGHTS}", "Name a run folder, or a folder of exported weights")


def _describe_array(name_and_shape: tuple[str, tuple[int, ...]]) -> str:
    name, shape = name_and_shape
    return f"{name} {shape}"


def _pack(networks: Mapping[str, "keras.Model"], about: Mapping[str, Any]) -> bytes:
    """Returns the bytes of an ``.npz`` of networks; raises a UserError where float16 cannot hold a weight."""
    members: dict[str, Any] = {"about": np.array(json.dumps(about))}
    for name, network in networks.items():
        for i, (weight, array) in enumerate(zip(network.weights, network.get_weights(), strict=True)):
            with np.errstate(over="ignore"):  # infinities are refused below
                half = np.asarray(array).astype(np.float16)
            if not np.isfinite(half).all():
                problem = f"The weight {weight.name!r} ({i}) of the network {name!r} has reached {np.abs(array).max():.3g}, "
                problem += f"but the exported float16 holds at most {np.finfo(np.float16).max:,.0f}"
                raise UserError(problem, "Resume from the last checkpoint, or start a new run with a lower learning rate")
            members[f"{name}/{i:03d}.{weight.name}"] = half
    data = io.BytesIO()
    np.savez_compressed(data, **members)
    return data.getvalue()


def _unpack(path: Path) -> tuple[dict[str, Any], dict[str, NamedArrays]]:
    """Returns the description and the networks (float32) of an ``.npz``; raises a UserError if it is not one of ours."""
    try:
        with open_arrays(path) as archive:
            about = json.loads(str(archive["about"]))
            members = {key: archive[key] for key in archive.files if key != "about"}
        _check_about(about)
        return about, _group_by_network(members)
    except READ_ERRORS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        problem = f"{path} cannot be read ({reason})"
        raise UserError(problem, "It may be damaged: copy it again, or train again") from None


def _check_about(about: Any) -> None:
    """Raises a ValueError if a description is not one of this format."""
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}")
    shape = about["image_shape"]
    is_shape = isinstance(shape, list) and all(isinstance(size, int) for size in shape)
    if not is_shape or not isinstance(about["task"], str) or not isinstance(about["config"], dict):
        raise ValueError("its description is incomplete")


def _group_by_network(members: Mapping[str, np.ndarray]) -> dict[str, NamedArrays]:
    """Returns the arrays by network, in order, as float32; raises a ValueError for other names, types or gaps."""
    networks: dict[str, dict[int, tuple[str, np.ndarray]]] = {}
    for key, array in members.items():
        match = _KEY.fullmatch(key)
        if match is None or not isinstance(array, np.ndarray) or array.dtype != np.float16:
            raise ValueError(f"{key!r} is not a float16 array of a network")
        if not np.isfinite(array).all() or (match[3] == "moving_variance" and (array < 0).any()):
            raise ValueError(f"{key!r} holds numbers that no training gives")
        networks.setdefault(match[1], {})[int(match[2])] = (match[3], array.astype(np.float32))
    for name, weights in networks.items():
        if sorted(weights) != list(range(len(weights))):
            raise ValueError(f"weights of {name!r} are missing")
    if not networks:
        raise ValueError("it holds no network")
    return {name: [weights[i] for i in sorted(weights)] for name, weights in networks.items()}
