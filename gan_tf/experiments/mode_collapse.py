"""``python -m gan_tf.experiments.mode_collapse``: a mode collapse made and cured, on points, digits and faces.

In each part, a loss that may collapse and one that may not have the same layers, learning rates and iterations. On a grid of 25
Gaussians the modes are counted, the digit classifier counts digits, and for faces there is the diversity of samples, by
which every training raises its alarm. ``--weights`` measures other weights in the same way.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf import export, shipped
from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.models import Evaluator, count_digits, describe_metrics, split_by_task
from gan_tf.experiments.page import Page, render_table, stack_labeled
from gan_tf.experiments.recipe_record import describe_machine, detect_machine, to_arguments
from gan_tf.experiments.trainings import Budget, Training, add_budget, read_budget, train_or_refuse
from gan_tf.tasks import ANIME, MNIST
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.location import parse_location
from pipelines.numbers import whole_numbers

# G is updated five times for each update of D, at five times DCGAN's rates: it follows D's mistakes into a few images.
_SETTINGS = {"g_lr": 1e-3, "d_lr": 1e-3, "g_steps": 5}
PAIR = (
    Training("gan", "batch norm in D", {"loss": "gan", **_SETTINGS}),
    Training("hinge", "hinge loss, spectral norm in D (Miyato et al. 2018)", {"loss": "hinge", **_SETTINGS}),
)
POINTS: Mapping[str, Mapping[str, Any]] = {
    "gan": {"loss": "gan"},
    "rpgan, R1 and R2 (Huang et al. 2024)": {"loss": "rpgan", "penalty_weight": 0.1, "beta1": 0.5, "beta2": 0.999},
}
_BUDGET = Budget(steps=2000)
_NUM_SHOWN = 12


@dataclass(frozen=True)
class Result:
    """What was measured of a generator.

    Attributes:
        fid: against training images.
        diversity: of samples, 1 for training images.
        digits: how many samples show each digit, ``[10]``; None for other images.
        images: the first ones.
        alarm: the step at which the alarm rang for a lack of diversity; None where it was silent, or for weights without a run.
    """

    fid: float
    diversity: float
    digits: np.ndarray | None
    images: np.ndarray
    alarm: int | None


def measure(evaluator: Evaluator, directory: Path) -> Result:
    """Measures weights; raises as ``Workflow.load``."""
    from gan_tf.experiments.figures import read_run_curves
    from gan_tf.gan.collapse import first_alarm

    measures = evaluator.measure(directory)
    classifier = evaluator.task.load_classifier()
    digits = None if classifier is None else count_digits(classifier, measures.images)
    batch = export.read_weights(directory).config["batch"]
    alarm = first_alarm(read_run_curves(directory).get("sample_diversity"), batch)
    return Result(measures.fid, measures.diversity, digits, measures.images[:_NUM_SHOWN], alarm)


def render_results(results: Mapping[str, Result]) -> str:
    """Returns the table of a part; columns of digits only where there are any."""
    has_digits = any(result.digits is not None for result in results.values())
    header = ["", "FID", "diversity", "alarm of diversity at step", *(["digits found", "most frequent"] if has_digits else [])]
    table = []
    for name, result in results.items():
        cells = [name, f"{result.fid:.1f}", f"{result.diversity:.2f}"]
        cells.append("–" if result.alarm is None else f"{result.alarm:,}")
        if result.digits is not None:
            fraction = result.digits.max() / result.digits.sum()
            cells += [f"{np.count_nonzero(result.digits)}", f"{100 * fraction:.0f} %"]
        table.append(cells)
    return render_table(header, table)


def add_points(page: Page, steps: int) -> None:
    """Trains on the grid of 25 Gaussians, and adds the counts and a figure."""
    from gan_tf.experiments.gaussian_grid import NUM_SAMPLES, SETTINGS, count_modes, render_points, train_points

    points = {}
    for name, flags in POINTS.items():
        print(f"25 Gaussians, {name}: {steps:,} steps", flush=True)
        points[name] = train_points(flags, steps)
    modes = {name: count_modes(found) for name, found in points.items()}
    table = [[name, f"{count.found}", f"{100 * count.high_quality:.0f} %"] for name, count in modes.items()]
    losses = "; ".join(f"{name}: `{shlex.join(to_arguments(flags))}`" for name, flags in POINTS.items())
    page.add(
        "## 25 Gaussians",
        f"{steps:,} steps, the same fully connected networks, `{shlex.join(to_arguments(SETTINGS))}`; "
        f"{losses}; {NUM_SAMPLES:,} samples, "
        "counted as by Lin et al. 2018 (PacGAN): a sample is of high quality within three standard deviations of a center.",
        render_table(["loss", "modes of 25", "high quality"], table),
    )
    page.add_figure("points", render_points(points), "Samples, and the 25 centers as crosses")


def add_images(page: Page, evaluator: Evaluator, budget: Budget, runs: Path, named: Sequence[Path]) -> None:
    """Trains both settings on a task's images, and adds table and figures of them and of the named weights.

    Raises:
        UserError: a training failed or diverged.
    """
    from gan_tf.experiments.figures import render_curves_side_by_side
    from gan_tf.utils.images import tile_images

    task = evaluator.task
    directories = {}
    for training in PAIR:
        print(f"{task.name} {training.name}: training to {budget}", flush=True)
        folder = runs / f"{task.name}-{training.name}"
        directories[training.name] = train_or_refuse(task, training, evaluator.data, budget, folder, grid_every=250).path
    others = {shipped.describe_weights(directory): directory for directory in named}
    results = {name: measure(evaluator, directory) for name, directory in (directories | others).items()}
    flags = "; ".join(f"{training.name}: `{shlex.join(to_arguments(training.flags))}`" for training in PAIR)
    page.add(
        f"## {task.name}",
        f"{budget} each, {flags}. {describe_metrics(evaluator.metrics, evaluator.seed)}",
        render_results(results),
    )
    strips = {name: tile_images(result.images, 1, _NUM_SHOWN) for name, result in results.items()}
    page.add_figure(f"{task.name}-samples", stack_labeled(strips), f"{task.name}: the first {_NUM_SHOWN} images of seed 0")
    curves = render_curves_side_by_side(directories, {"sample diversity": ["sample_diversity"], "losses": ["d_loss", "g_loss"]})
    page.add_figure(f"{task.name}-curves", curves, f"{task.name}: diversity of samples, of training images 1, and losses")


def run(argv: Sequence[str]) -> int:
    """Makes and cures mode collapses as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.mode_collapse", description=__doc__ or "")
    parser.add_argument("--anime", type=parse_location, metavar="DIR", help="anime faces (default: left out)")
    parser.add_argument("--mnist", type=parse_location, metavar="DIR", help="the four files of MNIST (default: left out)")
    about = "more weights to measure, of these tasks"
    parser.add_argument("--weights", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help=about)
    add_budget(parser, _BUDGET)
    parser.add_argument(
        "--point-steps", type=whole_numbers(1), default=8000, metavar="N", help="steps on 25 Gaussians (default: 8000)"
    )
    parser.add_argument("--count", type=whole_numbers(2), default=1000, metavar="N", help="images of each FID (default: 1000)")
    add_outputs(parser, "mode_collapse")
    args = parser.parse(argv)
    check_page(args.out)
    budget, data = read_budget(args, _BUDGET), {ANIME.name: args.anime, MNIST.name: args.mnist}
    named = split_by_task(args.weights, data)
    import_tensorflow()
    tasks = [task for task in (MNIST, ANIME) if data[task.name] is not None]
    evaluators = [Evaluator(task, data[task.name], args.count, seed=0) for task in tasks]
    page = Page(args.out, "Mode collapse, made and cured", parser.recorded_command(argv))
    equal = "iterations" if budget.minutes is None else "training time"
    page.add(
        f"On {describe_machine(detect_machine())}, one run of seed 0. Within a part, layers, learning rates and {equal} are "
        "the same; only the loss differs, with what it brings (D's normalization and penalty, Adam's betas). "
        "Diversity is `sample_diversity` of `docs/curves-and-scores.md`: below 0.5, the alarm rings."
    )
    add_points(page, args.point_steps)
    for evaluator in evaluators:
        add_images(page, evaluator, budget, args.runs.absolute(), named[evaluator.task.name])
    page.write()
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
