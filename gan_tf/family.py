"""What the command line and the registry know of a model family. Free of TensorFlow."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_tf.options import Resolved
from pipelines.location import Location
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task
    from gan_tf.workflow import Workflow


def keep_config(task: "Task", resolved: Resolved, data: Location | None) -> Resolved:
    """Returns the configuration as it is: what families do whose configuration does not depend on the images."""
    return resolved


def task_default_variant(task: "Task", options: Any) -> str:
    """Returns the task's default variant, whatever ``infer.py`` is asked for."""
    return task.default_variant


@dataclass(frozen=True)
class Figure:
    """A picture that a run leaves in its folder, for its page.

    Attributes:
        file: path below the run's folder.
        title: what it is, in a few words.
        caption: what it shows; a caption in the ``figures.json`` beside the file has precedence.
        missing: what the page says where there is no such file: a sentence that says what writes it.
    """

    file: str
    title: str
    caption: str
    missing: str


@dataclass(frozen=True)
class RunFigures:
    """What the page of a run shows in pictures.

    Attributes:
        grid: the sample grids; its file is ``SAMPLE_GRIDS``.
        beside: figures to compare the grids with, which stand beside them.
        others: all other figures, in their order on the page.
    """

    grid: Figure
    beside: tuple[Figure, ...] = ()
    others: tuple[Figure, ...] = ()


SAMPLE_GRIDS = "images/step-*.png"
"""Where ``SampleGrid`` writes, as a pattern; the number of steps stands in place of the asterisk."""


def no_figures(config: Any) -> RunFigures:
    """Returns no figures, whatever the configuration."""
    return RunFigures(Figure(SAMPLE_GRIDS, "Samples", "", "This kind of model has no sample grids."))


@dataclass(frozen=True)
class Family:
    """A kind of model: GANs, classifiers, …

    Attributes:
        name: a word for it; the name of its folder.
        summary: what ``infer.py`` does with it, for ``--help``.
        example: arguments that follow ``infer.py --task T`` to show it.
        config: the dataclass of options that decide a model's weights. It has the fields ``network``, ``batch``,
            ``seed`` and, where it varies, ``precision``.
        infer_options: the dataclass of options of ``infer.py``, with a method ``validate()``.
        resolve: ``(task, values of a --config file, values of the command line) -> Resolved``.
        variant: from a configuration to the name of its variant: the name of a run's and of shipped weights' folder.
        data: ``(task, config) -> DataSpec``: which files a model is trained on may depend on its configuration.
        workflow: dotted path of the ``Workflow`` class, which is imported when it is needed.
        several_devices: whether a model can be trained on several devices, which divide each batch.
        adapt: ``(task, resolved, folder of --data or None) -> Resolved``: what the configuration of a new run learns from
            where its images lie, such as whether they have labels.
        default_variant: ``(task, options of infer.py) -> str``: the shipped weights to use where ``--weights`` names none.
        figures: from a configuration to the figures that its runs leave, for ``RUN/report.html``.
    """

    name: str
    summary: str
    example: str
    config: type
    infer_options: type
    resolve: Callable[["Task", Mapping[str, Any], Mapping[str, Any]], Resolved]
    variant: Callable[[Any], str]
    data: Callable[["Task", Any], DataSpec]
    workflow: str
    several_devices: bool = True
    adapt: Callable[["Task", Resolved, Location | None], Resolved] = keep_config
    default_variant: Callable[["Task", Any], str] = task_default_variant
    figures: Callable[[Any], RunFigures] = no_figures

    def load_workflow_class(self) -> type["Workflow"]:
        """Imports and returns the ``Workflow`` class; TensorFlow is loaded with it."""
        return pkgutil.resolve_name(self.workflow)
