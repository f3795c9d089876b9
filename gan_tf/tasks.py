"""THE table: one row a task says which data, which networks and which method go together. Free of TensorFlow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_tf.options import nearest
from pipelines.errors import InputError


@dataclass(frozen=True)
class Task:
    """A row of the table. Modules and functions are named by dotted paths, resolved when they are needed.

    Attributes:
        name: what ``--task`` takes.
        about: one line for ``--help``.
        workflow: the module that trains and samples this kind of model (see ``workflows/__init__.py``).
        networks: the names ``--network`` may take, and the module that builds each.
        shape: height, width and channels of an image.
        drawn: the function ``() -> source`` of pictures the program draws itself, for machines without data.
        source: the function ``(folder) -> source`` that reads a layout of its own; None for a folder of images.
        train_folders: where, below ``--data``, the handout keeps training images; the first that exists is taken,
            else the folder itself. So validation images beside them are never trained on.
        reference_folders: the same for the images that scores are computed against.
        defaults: settings that differ from the method's own.
        steps: updates of a training run when nothing is said.
        shipped: the loss whose weights are used when nothing is said.
        judge: what counts faces or reads digits in the handout's own score, if anything does.
        scored: how many generated images are scored when nothing is said.
        lines: what the handout asks: (score, relation, bound, handout); see ``evaluation.protocol.Line``.
    """

    name: str
    about: str
    workflow: str
    networks: dict[str, str]
    shape: tuple[int, int, int]
    drawn: str
    source: str | None = None
    train_folders: tuple[str, ...] = ()
    reference_folders: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    steps: int = 20_000
    shipped: str = "gan"
    judge: str | None = None
    scored: int = 2000
    lines: tuple[tuple[str, str, float, str], ...] = ()


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="anime",
            about="anime faces, 64x64 (extra_data/images or faces of MLDS 2018 HW3-1, or any folder of faces)",
            workflow="gan_tf.gan.workflow",
            networks={name: f"gan_tf.gan.networks.{name}" for name in ("dcgan", "baseline", "residual")},
            shape=(64, 64, 3),
            drawn="pipelines.synthetic.anime:DrawnFaces",
            train_folders=("extra_data/images", "extra_data", "faces"),
            reference_folders=("extra_val", "val"),
            defaults={"loss": "hinge"},
            shipped="hinge",
            judge="anime",
            lines=(("anime_faces", ">=", 21, "MLDS HW3-1"),),
        ),
        Task(
            name="reader",
            about="reads digits, 28x28 (MNIST's IDX files and MNIST-M with train.csv, val.csv); it is the digit judge",
            workflow="gan_tf.classifier.workflow",
            networks={"reader": "gan_tf.classifier.networks"},
            shape=(28, 28, 3),
            drawn="pipelines.synthetic.digits:DrawnDigits",
            source="pipelines.formats.digits:training_digits",
            steps=5000,
            shipped="reader",
            judge="digits",
            lines=(("mnist_accuracy", ">=", 99, "this project"), ("mnistm_accuracy", ">=", 97, "this project")),
        ),
    )
}


def find(name: str | None) -> Task:
    """The row of a task.

    Raises:
        InputError: for no name or one that isn't in the table; the nearest is suggested.
    """
    if name is None:
        raise InputError("no task", "--task NAME, " + nearest("", TASKS), "for instance --task anime")
    if name not in TASKS:
        raise InputError(f"--task {name}", nearest(name, TASKS), "choose one of these")
    return TASKS[name]


def find_for(name: str | None, judge: str | None) -> Task:
    """The row of a task; where none is named, the first whose judge is ``judge``; raises as ``find``."""
    judged = [task.name for task in TASKS.values() if judge and task.judge == judge]
    return find(name if name or not judged else judged[0])


def first_folder(data: Path, candidates: tuple[str, ...]) -> Path:
    """The first of ``candidates`` that is a folder below ``data``, else ``data``."""
    return next((data / name for name in candidates if (data / name).is_dir()), data)
