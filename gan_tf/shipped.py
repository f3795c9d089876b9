"""Finds weights: those that are shipped with the package, in ``weights/TASK/VARIANT``, and those of runs."""

from pathlib import Path

from gan_tf.cards import WEIGHTS
from gan_tf.export import missing_weights
from gan_tf.options import suggest
from gan_tf.run_dir import find_newest_run
from pipelines.errors import UserError

SHIPPED = Path(__file__).parent / "weights"


def shipped_variants(task: str) -> list[str]:
    """Returns the names of the variants of a task whose weights are shipped with the package, sorted."""
    return sorted(path.parent.name for path in (SHIPPED / task).glob(f"*/{WEIGHTS}"))


def find_weights(task: str, requested: str | None, default_variant: str, runs: Path) -> Path:
    """Returns the directory of the weights that ``--weights`` names.

    Args:
        task: name of the task.
        requested: a shipped variant, a directory, or "newest" for the task's newest run; None means the default variant.
        default_variant: the shipped variant that is used by default.
        runs: the folder of all runs.

    Raises:
        UserError: there are no such weights; the known variants are listed.
    """
    variants = shipped_variants(task)
    if requested is None and default_variant not in variants:
        problem = f"No weights are shipped for task {task}"
        raise UserError(problem, "Train first, then add --weights newest, or the run's folder")
    name = default_variant if requested is None else requested
    if name in variants:
        return SHIPPED / task / name
    if name == "newest":
        newest = find_newest_run(runs, task)
        if newest is None:
            raise UserError(f"There is no run of task {task} in {runs}", "Train first, or name other weights")
        directory = newest.path
    else:
        directory = Path(name)
    if not directory.is_dir():
        known = suggest(name, variants) if variants else "none are shipped"
        problem = f"--weights {name} is neither a folder nor a shipped variant of task {task}; {known}"
        raise UserError(problem, "Correct the name, or give the folder of a run")
    if not (directory / WEIGHTS).is_file():
        raise missing_weights(directory)
    return directory


def describe_weights(directory: Path) -> str:
    """Returns which weights these are: the path, or the task and the variant of shipped ones."""
    directory = Path(directory)
    if directory.parent.parent == SHIPPED:
        return f"{directory.parent.name}/{directory.name}, shipped with gan_tf"
    return str(directory)
