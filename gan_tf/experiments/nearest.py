"""``python -m gan_tf.experiments.nearest``: does a GAN copy its training images?

Writes a figure without training images: the distribution of the closeness of samples to training images, beside that of
held-out real images, and the 16 closest samples. With ``--neighbors`` it also writes one that shows the closest samples
beside the training images nearest to them; since it contains training images, it is not for publication. The samples are
those of weights, or with ``--images`` those of a folder.
"""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_tf import shipped
from gan_tf.cli.arguments import Parser, requested_task
from gan_tf.cli.infer import add_weights_arguments
from gan_tf.cli.main import run_command
from gan_tf.evaluation.metrics.nearest_neighbors import NUM_NEIGHBORS, Nearest, find_nearest
from gan_tf.experiments.models import load_generator
from gan_tf.gan.config import GAN_FAMILY
from gan_tf.tasks import Task, find_task
from gan_tf.utils.files import require_space, write_atomic
from gan_tf.utils.images import require_own_image, to_rgb
from gan_tf.utils.plots import default_style, to_png
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.location import Location, has_validation, open_data, parse_location
from pipelines.numbers import whole_numbers
from pipelines.source import Source

FIGURE = Path("docs/nearest.png")
NUM_SHOWN = 16
_DPI = 110
MEMORY_BUDGET = 8 << 30  # bytes: all training images are held in memory
NUM_ROWS, NUM_SHOWN_NEIGHBORS = 8, 5  # of --neighbors: samples, and training images beside each
COPY = 0.2  # at a lower closeness, two images are the same one, compressed differently
PERCENTILE = 1.0  # of the held-out images' closeness; without copying, as many percent of the samples are below it


def build_parser(task: Task | None) -> Parser:
    """Returns the arguments of the command."""
    description = (
        "Finds the training images nearest to a GAN's samples, mirrored ones too, and compares with held-out real images.\n\n"
        "  python -m gan_tf.experiments.nearest --data FOLDER --neighbors side_by_side.png\n"
        "  python -m gan_tf.experiments.nearest --data FOLDER --images FOLDER --figure closeness.png"
    )
    parser = Parser(prog="python -m gan_tf.experiments.nearest", description=description)
    parser.add_argument("--data", type=parse_location, metavar="DIR", help="the task's images, training and validation")
    parser.add_argument("--task", default="anime", metavar="NAME", help="which task's GAN (default: anime)")
    add_weights_arguments(parser, task or find_task("anime"))
    about = "take the samples from this folder, such as images that infer.py wrote, instead of weights"
    parser.add_argument("--images", type=Path, metavar="DIR", help=about)
    parser.add_argument(
        "--count", type=whole_numbers(NUM_SHOWN), default=2000, help="samples and held-out images at most (default: 2000)"
    )
    parser.add_argument("--seed", type=whole_numbers(0), default=0, help="of the samples that weights generate (default: 0)")
    about = f"PNG file for the figure without training images (default: {FIGURE}; to be given with --images)"
    parser.add_argument("--figure", type=Path, metavar="FILE", help=about)
    about = f"PNG file for the {NUM_ROWS} closest samples beside the {NUM_SHOWN_NEIGHBORS} training images nearest to each"
    parser.add_argument("--neighbors", type=Path, metavar="FILE", help=about)
    return parser


def run(argv: Sequence[str]) -> int:
    """Compares samples with training images as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    args = build_parser(requested_task(argv)).parse(argv)
    task = find_task(args.task)
    if args.images and args.weights:
        raise UserError("--images and --weights exclude each other", "Leave one of the two out")
    if args.images and not args.figure:
        raise UserError("--images was given without --figure", "Add --figure FILE.png")
    figure = args.figure or FIGURE
    for path in filter(None, (figure, args.neighbors)):
        if path.suffix.lower() != ".png":
            raise UserError(f"{path} must be a .png file", "Correct the name")
        require_own_image(path)
        require_space(path.parent, 0)
    if args.neighbors and args.neighbors.resolve() == figure.resolve():
        problem = f"--figure and --neighbors are both {figure}, but only one of them may contain training images"
        raise UserError(problem, "Name two files")
    import_tensorflow()
    training_source, heldout_source = open_real_images(task, args.data)
    samples = _find_samples(task, args)
    training, heldout = all_images(training_source), all_images(heldout_source)[: args.count]
    if samples.shape[1:] != training.shape[1:]:
        sizes = [f"{images.shape[2]}x{images.shape[1]}" for images in (samples, training)]
        problem = f"The samples have {sizes[0]} pixels, but the images of --task {task.name} {sizes[1]}"
        raise UserError(problem, "Name weights or images of the task's size")
    if len(training) <= NUM_NEIGHBORS:
        problem = f"There are only {len(training)} images in {training_source.name}, but more than {NUM_NEIGHBORS} are needed"
        raise UserError(problem, "Name a folder with more training images by --data")
    nearest_to_samples, nearest_to_heldout = find_nearest(samples, training), find_nearest(heldout, training)
    if (nearest_to_heldout.closeness < COPY).all():
        problem = f"All images of {heldout_source.name} are copies of training images, so there is nothing to compare with"
        raise UserError(problem, "Put other images there")
    findings = describe_findings(nearest_to_samples.closeness, nearest_to_heldout.closeness, len(training))
    print(findings)
    write_atomic(figure, render_figure(samples, nearest_to_samples, nearest_to_heldout, findings))
    print(f"wrote {figure}")
    if args.neighbors:
        write_atomic(args.neighbors, to_png(draw_neighbors(samples, nearest_to_samples, training)))
        print(f"wrote {args.neighbors}, which contains training images")
    return 0


def _find_samples(task: Task, args: argparse.Namespace) -> np.ndarray:
    """Returns the samples of the weights or of the folder that the arguments name; prints which."""
    if args.images:
        from gan_tf.evaluation.image_files import read_image_dir

        images = read_image_dir(args.images, task.image_shape[0])
        return np.asarray(images.images[: args.count])
    weights = shipped.find_weights(task.name, args.weights, task.default_variant, args.runs)
    print(f"weights: {shipped.describe_weights(weights)}", flush=True)
    return to_rgb(load_generator(task, weights).generate(args.count, args.seed))


def open_real_images(task: Task, data: Location | None) -> tuple[Source, Source]:
    """Returns the training images and the held-out images.

    Raises:
        UserError: one of them is missing, or the task has no GAN.
    """
    if task.family is not GAN_FAMILY:
        raise UserError(f"--task {task.name} has no GAN", "Choose another task")
    if data is None:
        raise UserError("No --data was given", "Add --data DIR with the task's images")
    if isinstance(data, Path) and not data.is_dir():
        raise UserError(f"--data {data} is not a folder", "Give the folder with the task's images")
    if not has_validation(task.data, data):
        problem = f"{data} has no validation images"
        raise UserError(problem, "Name the folder that contains both training and validation images by --data")
    (training,) = open_data(task.data, data, "train", MEMORY_BUDGET).values()
    (heldout,) = open_data(task.data, data, "val", MEMORY_BUDGET).values()
    return training, heldout


def all_images(source: Source) -> np.ndarray:
    """Returns the images of a source, uint8 ``[n, height, width, 3]``."""
    from gan_tf.evaluation.image_files import SourceImages

    return np.asarray(SourceImages(source)[:])


def describe_findings(samples: np.ndarray, heldout: np.ndarray, num_training: int) -> str:
    """Returns what was found, in words.

    Args:
        samples: ``Nearest.closeness`` of the samples.
        heldout: that of the held-out images.
        num_training: number of training images.
    """
    is_copy = heldout < COPY
    originals = samples[samples >= COPY]
    threshold = np.percentile(heldout[~is_copy], PERCENTILE)
    median, fraction = "–", "none"
    if len(originals):
        median, fraction = f"{np.median(originals):.3f}", f"{100.0 * np.mean(originals < threshold):.2f} %"
    return (
        f"{len(samples):,} samples and {len(heldout):,} held-out real images, compared with {num_training:,} training"
        f" images: {np.sum(samples < COPY):,} and {is_copy.sum():,} are copies of one or of its mirror image. Without copies:"
        f" median closeness {median} and {np.median(heldout[~is_copy]):.3f} (0 is a copy);"
        f" {fraction} of the samples are closer than {threshold:.3f}, as {PERCENTILE:g} % of the held-out images are."
    )


@default_style()
def render_figure(samples: np.ndarray, nearest_to_samples: Nearest, nearest_to_heldout: Nearest, title: str) -> bytes:
    """Returns a PNG of the distributions of closeness and of the closest samples; it contains no training image."""
    figure = Figure(figsize=(9, 6), dpi=_DPI, layout="constrained")
    histogram, row = figure.subplots(2, 1, height_ratios=(3, 1.3))
    bins = np.linspace(0.0, 1.0, 101)
    heldout = nearest_to_heldout.closeness[nearest_to_heldout.closeness >= COPY]
    histogram.hist(heldout, bins, density=True, alpha=0.6, label="held-out real images (without copies)")
    histogram.hist(nearest_to_samples.closeness, bins, density=True, alpha=0.6, label="samples")
    histogram.set_xlabel("closeness: distance to the nearest training image / mean distance to the next 50 (0: a copy)")
    histogram.set_ylabel("density")
    histogram.legend()
    histogram.set_title(textwrap.fill(title, 110), fontsize=8)
    closest = np.argsort(nearest_to_samples.closeness)[:NUM_SHOWN]
    row.imshow(np.concatenate(samples[closest], axis=1))
    row.set_xticks([(i + 0.5) * samples.shape[2] for i in range(len(closest))])
    row.set_xticklabels([f"{nearest_to_samples.closeness[i]:.2f}" for i in closest], fontsize=8)
    row.set_yticks([])
    row.set_title("the closest samples and their closeness", fontsize=9)
    return to_png(figure)


@default_style()
def draw_neighbors(samples: np.ndarray, nearest_to_samples: Nearest, training: np.ndarray) -> Figure:
    """Draws a row for each of the closest samples: the sample and the training images nearest to it, the nearest first.

    The closeness stands above a sample, in red for a copy. The distance stands above a training image; one whose mirror
    image is nearer is shown mirrored.

    Args:
        samples: uint8 ``[n, height, width, channels]``.
        nearest_to_samples: their neighbors among the training images.
        training: uint8 ``[m, height, width, channels]``.
    """
    closest = np.argsort(nearest_to_samples.closeness)[:NUM_ROWS]
    figure = Figure(figsize=(1.3 * (1 + NUM_SHOWN_NEIGHBORS), 1.0 + 1.5 * len(closest)), dpi=_DPI, layout="constrained")
    figure.supxlabel(
        "distance: root mean square of the difference, in gray levels (0 to 255)\n"
        "closeness: distance to the nearest training image / mean distance to the next 50 (0: a copy)",
        fontsize=8,
    )
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, NUM_SHOWN_NEIGHBORS))
    left.suptitle("sample", fontsize=10)
    right.suptitle("nearest training images, and their distance", fontsize=10)
    sample_axes = left.subplots(len(closest), 1, squeeze=False)[:, 0]
    neighbor_axes = right.subplots(len(closest), NUM_SHOWN_NEIGHBORS, squeeze=False)
    for i, axes, row in zip(closest, sample_axes, neighbor_axes, strict=True):
        closeness = nearest_to_samples.closeness[i]
        is_copy = closeness < COPY
        text = f"closeness {closeness:.2f}" + (": copy" if is_copy else "")
        _show(axes, samples[i], text, "red" if is_copy else "black")
        for n, neighbor in enumerate(row):
            image, mirrored = training[nearest_to_samples.index[i, n]], nearest_to_samples.mirrored[i, n]
            text = f"{nearest_to_samples.distance[i, n]:.1f}" + (", mirrored" if mirrored else "")
            _show(neighbor, image[:, ::-1] if mirrored else image, text)
    return figure


def _show(axes: Axes, image: np.ndarray, title: str, color: str = "black") -> None:
    axes.imshow(image)
    axes.set_axis_off()
    axes.set_title(title, fontsize=8, color=color)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; a UserError is one line and exit code 2."""
    return run_command(run, argv)


if __name__ == "__main__":
    sys.exit(main())
