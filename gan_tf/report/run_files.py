"""What a run's folder holds, read for its page: a file that is missing or damaged costs a sentence, never the page."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf import cards, export
from gan_tf.curves import METRICS, Curves, read_curves
from gan_tf.evaluation.scores import Score
from gan_tf.family import SAMPLE_GRIDS
from gan_tf.options import from_values
from gan_tf.run_dir import FAILURE, read_run_config
from pipelines.errors import UserError

if TYPE_CHECKING:
    from gan_tf.tasks import Task

NETWORKS = "networks.json"
FIGURES, CAPTIONS = "figures", "figures.json"
_LARGEST = 1e13  # of steps, images and seconds
_STEP = re.compile(r"step-(\d{9,})\.png")
_IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".gif")


@dataclass(frozen=True)
class Layer:
    """A layer of a network: its name, type, output shape (or that of its weight) in words, and number of parameters."""

    name: str
    type: str
    shape: str
    parameters: int


@dataclass(frozen=True)
class Network:
    """A network's summary; ``trainable`` is None where only exported weights are known."""

    name: str
    parameters: int
    trainable: int | None
    layers: tuple[Layer, ...]


@dataclass
class RunFiles:
    """What a page is made of.

    Attributes:
        path: the run's folder.
        task: the registry's entry.
        record: the content of ``config.json``.
        config: the configuration.
        card: the content of ``card.json``; empty without one.
        scores: by name; empty if the weights have not been scored.
        curves: by name.
        networks: their summaries.
        grids: the sample grids by their step, in order.
        captions: captions of files below ``figures``, by their names; also of figures that no family declares.
        failure: the content of ``failure.json``; empty without one.
        problems: a sentence for each file that is damaged.
    """

    path: Path
    task: "Task"
    record: dict[str, Any]
    config: Any
    card: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    networks: list[Network] = field(default_factory=list)
    grids: dict[int, Path] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last step of which anything in the folder tells."""
        logged = [int(points[-1, 0]) for points in self.curves.values()]
        return max([self.card.get("step", 0), *logged, *self.grids])


def read_run_files(task: "Task", path: Path) -> RunFiles:
    """Reads the folder of a run.

    Raises:
        UserError: it is no run's folder, or its configuration is not one of the task's family.
    """
    record = read_run_config(path)
    run = RunFiles(path, task, record, from_values(task.family.config, record["config"], str(path)))
    run.card = _read(run, cards.CARD, _parse_card, {})
    run.scores = _read(run, cards.SCORES, _parse_scores, {})
    run.networks = _read(run, NETWORKS, _parse_networks, []) or _networks_of_weights(run)
    run.captions = _read(run, f"{FIGURES}/{CAPTIONS}", _parse_captions, {})
    run.failure = _read(run, FAILURE, _parse_failure, {})
    try:
        run.curves = read_curves(path / METRICS)
    except OSError as error:
        run.problems.append(_damaged(METRICS, error))
    run.grids = _find_grids(path)
    for file in sorted(path.glob(f"{FIGURES}/*")):
        if file.suffix in _IMAGE_SUFFIXES:
            run.captions.setdefault(file.name, "")
    return run


def _read(run: RunFiles, name: str, parse: Callable[[Any], Any], default: Any) -> Any:
    """Returns the parsed content of a JSON file; the default without one, and, with a sentence, for a damaged one."""
    try:
        return parse(json.loads((run.path / name).read_bytes()))
    except FileNotFoundError:
        return default
    except (OSError, ValueError, RecursionError) as error:
        run.problems.append(_damaged(name, error))
        return default


def _damaged(name: str, error: Exception) -> str:
    return f"{name} cannot be read ({type(error).__name__}), so what it says is left out."


def _parse_card(card: Any) -> dict[str, Any]:
    numbers = ("step", "images_seen", "seconds")
    if not isinstance(card, dict) or any(type(card.get(name)) not in (int, float) for name in numbers):
        raise ValueError("no card")
    if not all(0 <= card[name] < _LARGEST for name in numbers):  # nan is not
        raise ValueError("numbers that no training reaches")
    return card


def _parse_scores(values: Any) -> dict[str, Score]:
    if not isinstance(values, dict) or not all(
        isinstance(value, Mapping) for name, value in values.items() if name != "thresholds"
    ):
        raise ValueError("no scores")
    scores = {name: Score.from_dict(value) for name, value in values.items() if name != "thresholds"}
    counts = [score.protocol.get(key, 0) for score in scores.values() for key in ("images", "reference_images")]
    if any(type(count) is not int for count in counts):
        raise ValueError("no counts of images")
    return scores


def _parse_networks(values: Any) -> list[Network]:
    """Returns what ``training/report_page.py`` has written."""
    try:
        return [
            Network(name, int(network["parameters"]), int(network["trainable"]), _parse_layers(network["layers"]))
            for name, network in values.items()
        ]
    except (KeyError, TypeError, AttributeError):
        raise ValueError("no summaries of networks") from None


def _parse_layers(rows: Any) -> tuple[Layer, ...]:
    return tuple(Layer(str(name), str(kind), str(shape), int(parameters)) for name, kind, shape, parameters in rows)


def _parse_captions(values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or any("/" in name for name in values):  # no way out of the folder
        raise ValueError("no captions")
    return {str(name): str(caption) for name, caption in values.items()}


def _parse_failure(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or not {"step", "quantity"} <= values.keys():
        raise ValueError("no failure")
    return values


def _find_grids(path: Path) -> dict[int, Path]:
    matches = [(_STEP.fullmatch(file.name), file) for file in path.glob(SAMPLE_GRIDS)]
    return dict(sorted((int(match[1]), file) for match, file in matches if match))


def _networks_of_weights(run: RunFiles) -> list[Network]:
    """Returns the shapes of exported weights, for a run without ``networks.json``."""
    if not (run.path / cards.WEIGHTS).is_file():
        return []
    try:
        arrays = {**export.read_weights(run.path).networks, **export.read_finetune(run.path)}
    except UserError as error:
        run.problems.append(f"{error.problem}.")
        return []
    return [
        Network(
            name,
            sum(array.size for _, array in members),
            None,
            tuple(Layer(weight, "weight", "×".join(map(str, array.shape)), array.size) for weight, array in members),
        )
        for name, members in arrays.items()
    ]
