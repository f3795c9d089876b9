"""What every model family implements: how its models are built, fed, watched, exported, used and scored."""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import tensorflow as tf

from gan_tf import cards, export
from gan_tf.evaluation.features.inception_weights import find_weights_file
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import Report, Score
from gan_tf.options import from_values
from gan_tf.utils.tf_import import check_keras_settings
from pipelines.errors import UserError
from pipelines.location import Location
from pipelines.source import DataSpec, Source
from pipelines.stream import Stream

if TYPE_CHECKING:
    from gan_tf.tasks import Task
    from gan_tf.training.callbacks import Callback
    from gan_tf.training.context import RunContext
    from gan_tf.training.run_options import RunOptions


class TrainableModel(Protocol):
    """A ``keras.Model`` that the training loop can train.

    Attributes:
        images_seen: int64 variable that counts the training images.
    """

    images_seen: keras.Variable

    def train_step(self, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Computes one step, a pure function of the model's variables and ``batch``; returns scalars by name."""
        ...

    def networks(self) -> dict[str, keras.Model]:
        """Returns the networks that are trained, by name: what ``--init-from`` copies."""
        ...

    def exported(self, stream: Stream) -> dict[str, keras.Model]:
        """Returns the networks for inference, by name: EMA weights, batch-norm statistics recomputed."""
        ...


class Workflow(abc.ABC):
    """How one family's models are built, trained, used and scored; one instance per task and configuration.

    Args:
        task: the registry's entry.
        config: an instance of the family's configuration.

    Raises:
        UserError: Keras has settings in this process with which weights and scores would be others.
    """

    def __init__(self, task: "Task", config: Any):
        check_keras_settings()
        self.task, self.config = task, config

    @property
    def data_spec(self) -> DataSpec:
        """Where the task's files lie."""
        return self.task.family.data(self.task, self.config)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that are trained on."""
        return self.task.image_shape

    @property
    def images_per_step(self) -> int:
        """How many images a training step takes of each domain."""
        return self.config.batch

    @classmethod
    def of_weights(cls, task: "Task", directory: Path) -> "Workflow":
        """Returns the workflow with the configuration of exported weights.

        Raises:
            UserError: the directory holds none, or those of another task.
        """
        about = export.read_weights(directory)
        if about.task != task.name:
            problem = f"{directory} holds weights of task {about.task!r}, not of {task.name!r}"
            raise UserError(problem, f"Use --task {about.task}, or name other weights")
        return cls(task, from_values(task.family.config, about.config, str(directory)))

    def check_run_options(self, options: "RunOptions") -> None:
        """Checks what a training requests besides its configuration, before its images are read.

        Raises:
            UserError: an option does not apply to this family, or the weights that ``--eval-every`` needs are missing.
        """
        if options.eval_every:
            find_weights_file()

    @abc.abstractmethod
    def build_model(self) -> Any:
        """Returns the ``TrainableModel``, its networks initialized from the configuration's seed."""

    @abc.abstractmethod
    def build_stream(self, model: Any, sources: Mapping[str, Source]) -> Stream:
        """Returns the stream of batches that ``model`` trains on."""

    @abc.abstractmethod
    def callbacks(self, run: "RunContext", model: Any) -> "list[Callback]":
        """Returns what happens during training: sample grids, scores, exported weights."""

    @abc.abstractmethod
    def load(self, directory: Path) -> Any:
        """Returns the exported model of a directory of weights, ready for use, with the family's own verb.

        Raises:
            UserError: the weights are missing, damaged or of another size.
        """

    @abc.abstractmethod
    def infer(self, directory: Path, options: Any) -> None:
        """Does what ``infer.py`` was asked for with the weights of ``directory``.

        Raises:
            UserError: an output cannot be written, or an input cannot be read.
        """

    @abc.abstractmethod
    def evaluate(self, directory: Path, data: Location | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns the task's scores of the weights of ``directory``.

        Args:
            directory: exported weights.
            data: the task's images, whose validation part is the reference; None without any.
            options: how to score.
            report: receives what is left out, and why.

        Raises:
            UserError: there is nothing to score against, or weights of a scoring network are missing.
        """


def build_workflow(task: "Task", config: Any) -> Workflow:
    """Returns the workflow of a task's family."""
    return task.family.load_workflow_class()(task, config)


def load_workflow(task: "Task", directory: Path) -> Workflow:
    """Returns the workflow with the configuration of exported weights; raises as ``Workflow.of_weights``."""
    return task.family.load_workflow_class().of_weights(task, directory)


def evaluate_weights(
    task: "Task", weights: Path, data: Location | None, options: EvaluationOptions, report: Report
) -> dict[str, Score]:
    """Scores exported weights as their task is scored; see ``Workflow.evaluate``. The scores carry their step and digest."""
    scores = load_workflow(task, weights).evaluate(weights, data, options, report)
    identity = cards.weights_identity(weights)
    return {name: dataclasses.replace(score, protocol={**score.protocol, **identity}) for name, score in scores.items()}
