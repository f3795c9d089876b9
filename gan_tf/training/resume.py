"""What a run continues from: its images and its newest checkpoint, which must be there and must be its own."""

from collections.abc import Mapping

from gan_tf import cards
from gan_tf.curves import METRICS, parse_line
from gan_tf.run_dir import RunDir, hint_new_run
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.loop import TrainingPlan
from pipelines.errors import UserError, counted
from pipelines.source import Source


def restore_run(run_dir: RunDir, checkpoints: Checkpoints, plan: TrainingPlan) -> int:
    """Restores the newest valid checkpoint of a run, and its state into ``plan``.

    Returns:
        The step to resume from; 0 where no checkpoint was written yet.

    Raises:
        UserError: the checkpoints are lost, damaged, or those of another run.
    """
    hint = f"Put them back, or {hint_new_run(run_dir.path)}"
    step = checkpoints.newest()
    if step is None and checkpoints.steps():
        raise UserError(f"No checkpoint in {checkpoints.directory} is valid", hint)
    if step is None and _has_had_checkpoints(run_dir):
        raise UserError(f"{run_dir.path} has been trained, but its checkpoints are lost", hint)
    if step is None:
        print("no checkpoint yet: starting at step 0")
        return 0
    plan.state.update(checkpoints.restore(step, run_dir.config["run_id"]))
    print(f"restored step {step}")
    return step


def _has_had_checkpoints(run_dir: RunDir) -> bool:
    """Returns whether a run holds what is written only after a checkpoint, or in a run of ``--init-from`` its first one."""
    after_checkpoint = (cards.WEIGHTS, cards.FINETUNE, cards.CARD, cards.SCORES)
    if "initialized_from" in run_dir.config or any((run_dir.path / name).is_file() for name in after_checkpoint):
        return True
    metrics = run_dir.path / METRICS
    lines = map(parse_line, metrics.read_bytes().split(b"\n")) if metrics.is_file() else ()
    return max((values["step"] for values in lines if values), default=0) > run_dir.config["options"]["checkpoint_every"]


def check_progress(plan: TrainingPlan, first_step: int) -> None:
    """Checks that there is something left to train.

    Raises:
        UserError: the run has done more steps than are planned, or has used up its time.
    """
    if first_step > plan.steps:
        raise UserError(
            f"--steps {plan.steps} is less than the {counted(first_step, 'step')} that this run has done", "Give more steps"
        )
    if first_step < plan.steps and plan.seconds is not None and plan.time_is_up:
        trained = plan.state["seconds"] / 60
        problem = f"--minutes {plan.seconds / 60:g} is not more than the {trained:.4g} minutes that this run has trained"
        raise UserError(problem, "Give more minutes, or leave --minutes out")


def compare_data(run_dir: RunDir, sources: Mapping[str, Source]) -> None:
    """Checks that a run is resumed with the images it was started with.

    Raises:
        UserError: they are others.
    """
    for name, source in sources.items():
        former = run_dir.config["data"]["sources"].get(name)
        if former is None or source.digest != former["digest"]:
            problem = f"The images in {source.name} ({len(source)}) are not those that {run_dir.path} was started with"
            hint = "Put the former images back, name them by --data, or start a new run"
            raise UserError(problem + (f" ({former['count']})" if former else ""), hint)
