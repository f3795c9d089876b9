"""What a training is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan_tf.options import Resolved
from gan_tf.run_dir import RunDir
from gan_tf.training.run_options import RunOptions
from pipelines.location import Location

if TYPE_CHECKING:
    from gan_tf.tasks import Task


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained.

    Attributes:
        task: the registry's entry.
        resolved: the configuration.
        options: logging, checkpoints and scores during training.
        steps: training steps in all.
        minutes: training time in all after which to stop early; None without a limit.
        data: the task's images; None takes those of the run that is resumed, else synthetic ones.
        folders: instead of ``data``, a folder for each source by its name; see ``DataSpec.open_folders``.
        runs: where run folders lie.
        run_dir: the run to resume, locked; None starts a new one.
        initial_weights: a run or exported weights to start from; None starts from scratch.
        initial_task: the task of ``initial_weights``.
        command: the command as others can type it.
    """

    task: "Task"
    resolved: Resolved
    options: RunOptions
    steps: int
    minutes: float | None
    data: Location | None
    folders: Mapping[str, Path]
    runs: Path
    run_dir: RunDir | None
    initial_weights: Path | None
    initial_task: "Task | None"
    command: str
