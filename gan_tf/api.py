"""The Python API: ``gan_tf.load("anime").generate(16, seed=1)``."""

from pathlib import Path
from typing import Any

from gan_tf import shipped
from gan_tf.tasks import TASKS, find_task
from gan_tf.utils.tf_import import import_tensorflow

__all__ = ["TASKS", "load"]


def load(task: str, weights: str | Path | None = None, runs: str | Path = "runs") -> Any:
    """Returns a trained model, ready for use, with the verb of its family.

    The verbs are ``generate`` (GANs), ``translate`` (CycleGANs) and ``predict`` (classifiers).

    Args:
        task: a name in ``TASKS``.
        weights: a shipped variant ("hinge"), a folder (a run's or exported weights), "newest" for the newest run; None
            takes the task's default variant.
        runs: where "newest" looks.

    Raises:
        UserError: an unknown task, or weights that are missing, damaged or of another task.
    """
    entry = find_task(task)
    directory = shipped.find_weights(entry.name, None if weights is None else str(weights), entry.default_variant, Path(runs))
    import_tensorflow()
    from gan_tf.workflow import load_workflow

    return load_workflow(entry, directory).load(directory)
