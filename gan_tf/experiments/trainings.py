"""Trainings of an experiment: each is a run of ``train.py`` with its flags in a folder of its own, resumed where it stopped."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_tf import cards
from gan_tf.cli.arguments import Parser
from gan_tf.experiments.processes import TRAIN, run_python
from gan_tf.experiments.recipe_record import to_arguments
from gan_tf.run_dir import FAILURE, RunDir, find_newest_run
from gan_tf.tasks import Task
from gan_tf.utils.files import read_json
from pipelines.errors import UserError, counted
from pipelines.location import Location
from pipelines.numbers import positive_numbers, whole_numbers

# More steps than any run does in its minutes: time ends it, and nothing is scored on validation images.
_ENDLESS = 10**9
_OTHER_RUN = "Name another folder by --runs, or remove the run"


@dataclass(frozen=True)
class Training:
    """A model that an experiment compares with others.

    Attributes:
        name: of its row, and of the folder of its run.
        about: what it is, in words.
        flags: options of its configuration by field name; the others are the task's defaults.
    """

    name: str
    about: str
    flags: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """How long each model is trained. Exactly one of the two is given.

    Attributes:
        steps: training steps.
        minutes: wall time of training.
    """

    steps: int | None = None
    minutes: float | None = None

    def arguments(self) -> list[str]:
        """Returns the arguments of train.py."""
        if self.minutes is None:
            return ["--steps", str(self.steps), "--no-score"]  # each experiment has scores of its own
        return ["--steps", str(_ENDLESS), "--minutes", str(self.minutes)]

    def is_used_up(self, progress: dict[str, Any]) -> bool:
        """Returns whether a run with the ``read_progress`` has nothing left to train."""
        if self.minutes is None:
            assert self.steps is not None
            return progress.get("step", 0) >= self.steps
        return progress.get("seconds", 0.0) >= 60 * self.minutes

    def is_exceeded(self, progress: dict[str, Any]) -> bool:
        """Returns whether a run has been trained for longer; a training ends a little after its minutes."""
        if self.minutes is None:
            assert self.steps is not None
            return progress.get("step", 0) > self.steps
        return progress.get("seconds", 0.0) > 60 * (1.1 * self.minutes + 1)

    def __str__(self) -> str:
        return f"{self.steps:,} steps" if self.minutes is None else f"{self.minutes:g} minutes"


def add_budget(parser: Parser, default: Budget) -> None:
    """Adds ``--minutes`` and ``--steps``, which take the place of the default budget."""
    about = f"training of each model (default: {default})"
    parser.add_argument("--minutes", type=positive_numbers(), metavar="M", help=f"minutes of {about}")
    parser.add_argument("--steps", type=whole_numbers(1, _ENDLESS), metavar="N", help=f"steps of {about}")


def read_budget(args: argparse.Namespace, default: Budget) -> Budget:
    """Returns the budget that parsed arguments give.

    Raises:
        UserError: both are given.
    """
    if args.minutes is not None and args.steps is not None:
        raise UserError("--minutes and --steps exclude each other", "Leave one of the two out")
    return default if args.minutes is None and args.steps is None else Budget(args.steps, args.minutes)


def train_to(
    task: Task, training: Training, data: Location, budget: Budget, folder: Path, grid_every: int = 0
) -> tuple[RunDir, dict[str, Any] | None]:
    """Trains a model until its budget is used up; what has been trained before is resumed.

    Args:
        task: the task.
        training: which model.
        data: the task's images.
        budget: how long it is trained in all.
        folder: for its run.
        grid_every: steps between sample grids, with which the alarm for a mode collapse is logged.

    Returns:
        Its run, and the content of the run's ``failure.json`` if the training diverged, else None.

    Raises:
        UserError: train.py failed in another way, or the run that is there is another one.
        KeyboardInterrupt: it was stopped.
    """
    run_dir = find_run(task, folder, training.flags, data, budget)
    remaining = remaining_budget(run_dir, budget)
    if run_dir and remaining is None:
        return run_dir, None
    arguments = [*TRAIN, "--task", task.name, "--data", str(data.resolve()), "--runs", str(folder), "--resume"]
    arguments += [*(remaining or budget).arguments(), "--grid-every", str(grid_every), *to_arguments(training.flags)]
    code = run_python(arguments, folder / "train.log")
    run_dir = find_newest_run(folder, task.name)
    failure = _read_failure(run_dir) if run_dir and code else None
    if run_dir is None or (code and failure is None):
        raise command_failed(f"Training {training.name}", code)
    return run_dir, failure


def train_or_refuse(
    task: Task, training: Training, data: Location, budget: Budget, folder: Path, grid_every: int = 0
) -> RunDir:
    """Trains as ``train_to``, and returns the run.

    Raises:
        UserError: as ``train_to``, or the training diverged.
    """
    run_dir, failure = train_to(task, training, data, budget, folder, grid_every)
    if failure:
        raise UserError(f"The training of {training.name} diverged at step {failure['step']}", "Lower its learning rates")
    return run_dir


def find_run(task: Task, folder: Path, flags: Mapping[str, Any], data: Location, budget: Budget) -> RunDir | None:
    """Returns the run in a folder that an earlier call of the experiment has left; None without one.

    Args:
        task: the task.
        folder: for the run.
        flags: the options that it must have been started with.
        data: the images that it must have been trained on.
        budget: how long it may have been trained.

    Raises:
        UserError: it has other options or images, or has been trained for longer.
    """
    run_dir = find_newest_run(folder, task.name)
    if run_dir is None:
        return None
    check_run(run_dir, flags, data)
    progress = read_progress(run_dir)
    if budget.is_exceeded(progress):
        problem = f"{run_dir.path} has been trained for {counted(progress['step'], 'step')} in {progress['seconds'] / 60:.0f} "
        raise UserError(f"{problem}minutes, more than {budget}", _OTHER_RUN)
    return run_dir


def check_run(run_dir: RunDir, flags: Mapping[str, Any], data: Location) -> None:
    """Checks that a run was started with these options, and on these images.

    Raises:
        UserError: it was not.
    """
    config = run_dir.config
    if config["explicit"] != dict(flags):
        raise UserError(f"{run_dir.path} was started with other options", _OTHER_RUN)
    if config["data"]["path"] != str(data.resolve()):
        raise UserError(f"{run_dir.path} was trained on the images in {config['data']['path']}, not {data}", _OTHER_RUN)


def remaining_budget(run_dir: RunDir | None, budget: Budget) -> Budget | None:
    """Returns how long a run is trained in all; None if it is complete: trained, and its weights are exported.

    A run that was killed before it exported the weights of its last checkpoint has only that left to do.
    """
    progress = read_progress(run_dir) if run_dir else {}
    if run_dir is None or not budget.is_used_up(progress):
        return budget
    return None if cards.has_step(run_dir.path, progress["step"]) else Budget(steps=progress["step"])


def command_failed(what: str, code: int) -> UserError:
    """Returns the error for a command of an experiment that failed."""
    return UserError(f"{what} ended with exit code {code}", "Fix what is reported above, then run the same command again")


def read_progress(run_dir: RunDir) -> dict[str, Any]:
    """Returns step and seconds of training of a run's last checkpoint that tells them; empty if there is none."""
    for path in sorted((run_dir.path / "checkpoints").glob(f"step-{'[0-9]' * 9}/state.json"), reverse=True):
        try:
            return {"step": int(path.parent.name[5:]), "seconds": float(read_json(path)["seconds"])}
        except (OSError, ValueError, TypeError, KeyError):  # damaged: train.py, too, goes on from an earlier one
            continue
    return {}


def _read_failure(run_dir: RunDir) -> dict[str, Any] | None:
    """Returns the record of a training that diverged; None if it did not."""
    path = run_dir.path / FAILURE
    if not path.is_file():
        return None
    failure: dict[str, Any] = read_json(path)
    return failure if failure["kind"] == "non-finite" else None
