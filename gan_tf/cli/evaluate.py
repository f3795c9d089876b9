"""What ``evaluate.py`` does: find images and their reference, score them, print the table."""

import argparse
import dataclasses
import pkgutil
from pathlib import Path

from gan_tf import export
from gan_tf.evaluation import evaluate as command
from gan_tf.evaluation.detectors import find_cascade
from gan_tf.evaluation.scores import Images, Line
from gan_tf.tasks import Task, first_folder
from gan_tf.training.run_dir import read_config
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import InputError


def run(task: Task, args: argparse.Namespace) -> int:
    """Scores the task's images: those of ``--images``, of ``--run``, or of the shipped weights; returns the exit code.

    Raises:
        InputError: for anything the person can mend.
    """
    if args.images and (args.run or args.loss):
        raise InputError("--images with --run or --loss", "one source of images", "leave the others out")
    if args.run and args.loss:
        raise InputError("--run with --loss", "one of the two", "leave one out")
    data = folder_of_data(args)
    import_tensorflow()
    workflow = pkgutil.resolve_name(task.workflow)
    if hasattr(workflow, "evaluate") and not args.images:
        return command.show(args, workflow.evaluate(task, weights_of(task, args), data), [Line(*line) for line in task.lines])
    generated = None if args.images else generated_by(task, args)
    reference, second = (None, None) if args.reference or data is None else real_images(task, data, args)
    if data is None and not (args.reference or args.judge):
        print(
            "no FID, KID, precision or recall: no real pictures to compare with; name them by --data or --reference", flush=True
        )
    lines = [Line(*line) for line in task.lines]
    judge = usable_judge(task, args)
    return command.run(args, generated=generated, reference=reference, second_real=second, lines=lines, judge=judge)


def usable_judge(task: Task, args: argparse.Namespace) -> str | None:
    """The task's judge; None, and one line, where nobody asked for it by name and its cascade is not at hand."""
    if task.judge != "anime" or args.judge or args.cascade:
        return task.judge
    try:
        find_cascade()
    except InputError as error:
        print(f"the judge is left out: {error}")
        return None
    return task.judge


def folder_of_data(args: argparse.Namespace) -> Path | None:
    """The folder of ``--data``, or the one that the run was trained on; None: only the judge can be asked."""
    if args.data:
        if not args.data.is_dir():
            raise InputError(f"--data {args.data} is not a folder", "the folder with the task's images", "correct it")
        return args.data
    for folder in (args.run, args.run.parent) if args.run else ():  # weights kept in RUN/best belong to RUN
        if (folder / "config.json").is_file():
            path = read_config(folder)["data"]["path"]
            return Path(path) if path and Path(path).is_dir() else None
    return None


def weights_of(task: Task, args: argparse.Namespace) -> Path:
    """The folder of the run's or the shipped weights; says which these are."""
    folder = args.run or export.shipped(task.name, args.loss or task.shipped)
    print(f"weights: {export.describe(folder, args.run)}", flush=True)
    return folder


def generated_by(task: Task, args: argparse.Namespace) -> Images:
    """Images of the run's or the shipped generator, made with ``--seed``."""
    folder = weights_of(task, args)
    count = args.count or task.scored
    parts = pkgutil.resolve_name(task.workflow).sample(task, folder, count, args.seed)
    return Images(f"{task.name} {folder.name}, seed {args.seed}", parts)


def real_images(task: Task, data: Path, args: argparse.Namespace) -> tuple[Images | None, Images | None]:
    """The task's reference images below ``data``, and as many training images as are scored, for the floor."""
    from gan_tf.evaluation.image_files import read_folder
    from pipelines.image_folder import list_images

    folder = first_folder(data, task.reference_folders)
    if folder == data:
        print(f"no reference: {data} has none of {', '.join(task.reference_folders)}; name real pictures by --reference")
        return None, None
    train = first_folder(data, task.train_folders)
    if train == data:
        return named(read_folder(folder), data, folder), None
    count = min(args.count or task.scored, len(list_images(train)))
    second = named(read_folder(train, count=count, seed=args.seed), data, train)
    return named(read_folder(folder), data, folder), second


def named(images: Images, data: Path, folder: Path) -> Images:
    """The same images, called by their place below the data folder: a protocol holds no path of one machine."""
    return dataclasses.replace(images, name=Path(data.resolve().name, *folder.relative_to(data).parts).as_posix())
