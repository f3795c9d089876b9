"""What belongs to one training run, as one object."""

from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from gan_tf.run_dir import RunDir
from gan_tf.training.loggers import Loggers
from gan_tf.training.loop import TrainingPlan
from gan_tf.training.run_options import RunOptions
from pipelines.stream import Stream


@dataclass
class RunContext:
    """A training run.

    Attributes:
        task: name of the task.
        run_dir: the run's folder.
        config: the content of its ``config.json``.
        options: logging, checkpoints and scores during training.
        stream: the batches.
        loggers: where metrics and images are logged.
        plan: how long to train, and the state that is saved with each checkpoint.
        strategy: several devices; None for one.
        progress: what callbacks show beside the progress bar, by name.
    """

    task: str
    run_dir: RunDir
    config: dict[str, Any]
    options: RunOptions
    stream: Stream
    loggers: Loggers
    plan: TrainingPlan
    strategy: tf.distribute.Strategy | None = None
    progress: dict[str, str] = field(default_factory=dict)
