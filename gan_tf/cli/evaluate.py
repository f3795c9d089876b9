"""``evaluate.py``: finds images or weights and what to compare them with, scores them, and prints the table."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gan_tf.cli.arguments import Parser, add_annotations_argument, add_options, build_options, requested_task, with_annotations
from gan_tf.cli.infer import add_weights_arguments
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.report import render_table, to_json
from gan_tf.evaluation.scores import Score
from gan_tf.run_dir import read_run_config
from gan_tf.tasks import Task, find_task
from gan_tf.utils.files import encode_json, read_json, require_space, write_atomic
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.location import Location, describe_locations, parse_location

if TYPE_CHECKING:
    import numpy as np

_FACE_SIZE = 64  # pixels of the faces in the handouts' grids


def build_parser(task: Task | None) -> Parser:
    """Returns the arguments of evaluate.py."""
    description = (
        "Scores images: FID, KID, precision, recall and the handout's detector.\n\n"
        "  python evaluate.py --task anime --data FOLDER\n"
        "  python evaluate.py --images FOLDER --reference FOLDER"
    )
    parser = Parser(prog="evaluate.py", description=description)
    parser.add_argument("--task", metavar="NAME", help="whose images and thresholds (below)")
    add_weights_arguments(parser, task)
    about = "the task's images, of which those for validation are the reference"
    about += f": {describe_locations(task.data)}" if task else ""
    parser.add_argument("--data", type=parse_location, metavar="DIR", help=about)
    add_annotations_argument(parser, task)
    parser.add_argument("--images", type=Path, metavar="PATH", help="score the images of this folder, or faces in one image")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores with their protocols")
    parser.add_argument("--verbose", action="store_true", help="print the whole protocol below the table")
    add_options(parser, EvaluationOptions())
    return parser


def run(argv: Sequence[str]) -> int:
    """Scores as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    args = build_parser(requested_task(argv)).parse(argv)
    options = build_options(args, EvaluationOptions)
    if args.task is None and args.images is None:
        find_task(None)
    task = with_annotations(find_task(args.task), args.annotations) if args.task else None
    if args.json:
        _check_json(args.json)
    if args.images and args.weights:
        raise UserError("--images and --weights exclude each other", "Leave one of the two out")
    if isinstance(args.data, Path) and not args.data.exists():
        raise UserError(f"There is nothing at --data {args.data}", "Give the folder with the task's images")
    _check_size(task, args, options)
    scores = _score_images(task, args, options) if args.images or task is None else _score_weights(task, args, options)
    thresholds = task.thresholds if task else ()
    print(render_table(scores, thresholds, args.verbose), end="", flush=True)  # first, so that a full disk loses no score
    if args.json:
        write_atomic(args.json, encode_json(to_json(scores, thresholds)))
    return 0


def _check_json(path: Path) -> None:
    """Checks that scores can be written to a file, which may hold other scores already but nothing else."""
    if path.suffix.lower() != ".json":
        raise UserError(f"--json {path} must be a .json file", "Change the name")
    require_space(path.parent, 0)
    if not path.exists():
        return
    try:
        content = read_json(path)
        holds_scores = all("value" in score for name, score in content.items() if name != "thresholds")
    except (OSError, ValueError, AttributeError, TypeError):
        holds_scores = False
    if not holds_scores:
        raise UserError(f"--json {path} exists already and holds no scores", "Name another file, or remove it")


def _check_size(task: Task | None, args: argparse.Namespace, options: EvaluationOptions) -> None:
    """Checks that ``--image-size`` is not another one than that of a task's own images, which it cannot change."""
    if (
        task is None
        or options.image_size in (None, task.image_shape[0])
        or (args.images and (options.reference or not args.data))
    ):
        return
    problem = f"--image-size {options.image_size} does not apply to the images of task {task.name}, which have "
    problem += f"{task.image_shape[1]}x{task.image_shape[0]} pixels"
    raise UserError(problem, "Leave it out, or name folders by --images and --reference")


def _score_weights(task: Task, args: argparse.Namespace, options: EvaluationOptions) -> Mapping[str, Score]:
    """Scores a model's weights as its task is scored."""
    from gan_tf import shipped

    weights = shipped.find_weights(task.name, args.weights, task.default_variant, args.runs)
    print(f"weights: {shipped.describe_weights(weights)}", flush=True)
    data = args.data
    if data is None:
        data, annotations = _data_of_run(weights)
        task = with_annotations(task, args.annotations or annotations)
    import_tensorflow()
    from gan_tf.workflow import evaluate_weights

    return evaluate_weights(task, weights, data, options, _report)


def _score_images(task: Task | None, args: argparse.Namespace, options: EvaluationOptions) -> Mapping[str, Score]:
    """Scores the images of a folder, or counts the faces in one image."""
    import_tensorflow()
    from gan_tf.evaluation.evaluate import evaluate_images, find_real_images, scored_size
    from gan_tf.evaluation.image_files import read_image_dir

    detector = task.detector if task else None
    if args.images.is_file():
        return _score_grid(args.images, options, options.detector or detector, scored_size(task, options))
    real = find_real_images(task, args.data, options, _report)
    generated = read_image_dir(args.images, scored_size(task, options), count=options.count, seed=options.seed)
    classifier = None
    if options.classifier == "digits":
        from gan_tf.classifier.digit_classifier import load_digit_classifier

        classifier = load_digit_classifier()
    return evaluate_images(generated, real, options, _report, detector, classifier)


def _score_grid(path: Path, options: EvaluationOptions, detector: str | None, size: int | None) -> Mapping[str, Score]:
    """Counts the faces in one image: anime faces in the whole of it, faces of people in each of its tiles.

    Args:
        path: the image.
        options: how to score; most do not apply to one image.
        detector: "anime" or "face".
        size: height and width of a tile; None takes that of the handouts' faces.
    """
    from gan_tf.evaluation.evaluate import face_grid_scores, grid_scores

    if detector is None:
        raise UserError(f"--images {path} is a file, not a folder", "Name a folder, or add --detector anime or face")
    others = ["reference", "count", "head", "classifier", *(["image_size"] if detector == "anime" else [])]
    options.refuse(others, "one image, in which faces are counted", "Leave it out, or name a folder by --images")
    if detector == "anime":
        return grid_scores(read_image(path), path.name, options.cascade)
    return face_grid_scores(read_image(path), path.name, size or _FACE_SIZE)


def _report(left_out: str) -> None:
    print(f"left out: {left_out}", flush=True)


def read_image(path: Path) -> "np.ndarray":
    """Returns an image file's pixels, uint8 [height, width, 3].

    Raises:
        UserError: it cannot be read.
    """
    from pipelines.decode import UnreadableImage, decode

    try:
        return decode(path)
    except UnreadableImage as error:
        raise UserError(f"{path} cannot be read as an image ({error.reason})", "Name another file") from None


def _data_of_run(weights: Path) -> tuple[Location | None, Path | None]:
    """Returns what a run was trained on, and the folder of its annotations; None where there was none, or it is gone."""
    directory = weights.parent if weights.name == "best" else weights  # the weights kept in RUN/best belong to RUN
    if not (directory / "config.json").is_file():
        return None, None
    data = read_run_config(directory)["data"]
    location = parse_location(data["path"]) if data["path"] else None
    is_gone = isinstance(location, Path) and not location.exists()
    annotations = data.get("annotations")
    return None if is_gone else location, Path(annotations) if annotations else None
