"""``python -m gan_tf.experiments.mnist_sizes``: the latent and hidden sizes of the MNIST handout (THU ANN 2021), and an MLP.

FID, curves, samples, linear interpolations and extrapolations, the digits that are generated, and what the curves say about
an equilibrium. Weights that are named or shipped are used; missing ones are trained.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.models import (
    Evaluator,
    Facts,
    Request,
    collect_weights,
    count_digits,
    describe_metrics,
    load_generator,
    read_facts,
)
from gan_tf.experiments.page import GAN_CURVES, Page, render_table, stack_labeled
from gan_tf.experiments.trainings import Budget, Training, add_budget, read_budget
from gan_tf.tasks import MNIST
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.location import parse_location
from pipelines.numbers import whole_numbers

TRAININGS = (
    *(
        Training(
            f"{latent}-{hidden}", f"latent_dim {latent}, hidden_dim {hidden}", {"latent_dim": latent, "hidden_dim": hidden}
        )
        for latent, hidden in ((16, 16), (100, 16), (16, 100), (100, 100))
    ),
    Training("mlp", "fully connected layers, the handout's bonus", {"network": "mlp"}),
)
# Of the game of Goodfellow et al. 2014, theorem 1, where G generates the data: D is 1/2 everywhere.
EQUILIBRIUM = {"d_loss": 2 * math.log(2), "g_loss": math.log(2), "d_real": 0.5, "d_fake_before": 0.5, "d_fake_after": 0.5}
_LAST = 0.2  # the part of the curves that the means are taken of
_NEAR = 0.05  # D's mean outputs are this near to 1/2 at an equilibrium
_BUDGET = Budget(minutes=8.0)
_NUM_SHOWN, _NUM_PAIRS, _NUM_POINTS, _EXTRAPOLATION = 16, 5, 10, 0.5


@dataclass(frozen=True)
class Row:
    """What was measured of a model.

    Attributes:
        facts: how it was trained.
        fid: against training images.
        digits: how many of its images show each digit, ``[10]``.
        means: of the last part of each curve, by the curve's name; empty without curves.
    """

    facts: Facts
    fid: float
    digits: np.ndarray
    means: Mapping[str, float]


def mean_of_end(points: np.ndarray) -> float:
    """Returns the mean of the last fifth of a curve, ``[points, 2]`` of steps and values."""
    return float(points[points[:, 0] > (1 - _LAST) * points[-1, 0], 1].mean())


def is_at_equilibrium(means: Mapping[str, float]) -> bool:
    """Returns whether D's mean outputs are those of the game's equilibrium, 1/2, for real and for generated images."""
    return all(abs(means[name] - EQUILIBRIUM[name]) <= _NEAR for name in GAN_CURVES["mean output of D"])


def chi_square_even(digits: np.ndarray) -> tuple[float, float]:
    """Returns the chi-square statistic and the p-value of counts ``[10]`` against evenly frequent digits."""
    from scipy.stats import chisquare

    result = chisquare(digits)
    return float(result.statistic), float(result.pvalue)


def measure(found: Mapping[str, Path], evaluator: Evaluator, classifier: Any, page: Page) -> None:
    """Measures the models, and writes the figures of their images; raises as ``Workflow.load``."""
    from gan_tf.experiments.figures import read_run_curves
    from gan_tf.utils.images import tile_images

    rows: dict[str, Row] = {}
    samples, seed = {}, evaluator.seed
    for name, directory in found.items():
        print(f"measuring {name}", flush=True)
        measures = evaluator.measure(directory)
        curves = read_run_curves(directory)
        means = {curve: mean_of_end(curves[curve]) for curve in EQUILIBRIUM if curve in curves}
        digits = count_digits(classifier, measures.images)
        rows[name] = Row(read_facts(directory), measures.fid, digits, means)
        samples[name] = tile_images(measures.images[: 2 * _NUM_SHOWN], 2, _NUM_SHOWN)
    best = min(rows, key=lambda name: rows[name].fid)
    page.add(*describe(rows, evaluator.count, describe_metrics(evaluator.metrics, seed)))
    page.add_figure("samples", stack_labeled(samples), f"The first {2 * _NUM_SHOWN} images of seed {seed} of each model")
    add_curves(page, found)
    generator = load_generator(MNIST, found[best])
    for figure, extrapolation in (("interpolation", 0.0), ("extrapolation", _EXTRAPOLATION)):
        images = generator.interpolate(_NUM_PAIRS, _NUM_POINTS, seed, "lerp", extrapolation)
        ends = "from one latent vector to another"
        if extrapolation:
            ends = f"the same lines, gone on by {extrapolation:g} of their length"
        caption = f"Linear {figure} of {best}, {_NUM_POINTS} images each for {_NUM_PAIRS} pairs: {ends}"
        page.add_figure(figure, tile_images(images, _NUM_PAIRS, _NUM_POINTS), caption)


def add_curves(page: Page, found: Mapping[str, Path]) -> None:
    """Adds the five curves of the models whose runs are there."""
    from gan_tf.experiments.figures import read_run_curves, render_curves_side_by_side

    missing = [name for name, directory in found.items() if not read_run_curves(directory)]
    caption = "Losses of D and G; D(x), and D(G(z)) before and after D's update"
    page.add_figure("curves", render_curves_side_by_side(found, GAN_CURVES), caption)
    if missing:
        page.add(f"Not shown: the curves of {', '.join(missing)}, since these weights lie without the metrics of their run.")


def describe(rows: Mapping[str, Row], count: int, protocol: str) -> list[str]:
    """Returns the blocks of the page that need no figure."""
    best = min(rows, key=lambda name: rows[name].fid)
    table = [
        [
            f"**{name}**" if name == best else name,
            f"{row.facts.step:,}",
            f"{row.facts.minutes:.0f}",
            f"{row.fid:.1f}",
            "–" if row.facts.fid is None else f"{row.facts.fid:.1f}",
        ]
        for name, row in rows.items()
    ]
    header = ["latent-hidden", "steps", "minutes", f"FID of {count:,}", "FID as evaluate.py"]
    blocks = [
        f"{protocol} The last column is the score at the end of the training, by the task's own protocol, where there is one; "
        "the handout asks for less than 60 there. More in `docs/curves-and-scores.md`.",
        render_table(header, table),
    ]
    return blocks + describe_mlp(rows) + describe_digits(rows, count) + describe_equilibrium(rows)


def describe_mlp(rows: Mapping[str, Row]) -> list[str]:
    """Returns how the fully connected networks compare with the best convolutions."""
    if "mlp" not in rows:
        return []
    cnn = min((name for name in rows if name != "mlp"), key=lambda name: rows[name].fid)
    mlp, other = rows["mlp"].fid, rows[cnn].fid
    comparison = "higher than" if mlp > other else "not higher than"
    return [f"MLP against CNN: the FID of the fully connected networks, {mlp:.1f}, is {comparison} the {other:.1f} of {cnn}."]


def describe_digits(rows: Mapping[str, Row], count: int) -> list[str]:
    """Returns which digits are generated, and the test against evenly frequent ones."""
    table = []
    for name, row in rows.items():
        statistic, p = chi_square_even(row.digits)
        table.append([name, *(f"{n:,}" for n in row.digits), f"{statistic:.0f}", f"{p:.1g}"])
    return [
        "## Which digits are generated",
        f"{count:,} images of each model, by the shipped digit classifier; chi-square test against ten evenly frequent digits "
        "(9 degrees of freedom). A p-value near 0 says that they are not even.",
        render_table(["latent-hidden", *map(str, range(10)), "χ²", "p"], table),
    ]


def describe_equilibrium(rows: Mapping[str, Row]) -> list[str]:
    """Returns what the ends of the curves say about a Nash equilibrium."""
    with_curves = {name: row.means for name, row in rows.items() if set(row.means) == set(EQUILIBRIUM)}
    if not with_curves:
        return []
    table = [["equilibrium", *(f"{value:.2f}" for value in EQUILIBRIUM.values())]]
    table += [[name, *(f"{means[curve]:.2f}" for curve in EQUILIBRIUM)] for name, means in with_curves.items()]
    reached = [name for name, means in with_curves.items() if is_at_equilibrium(means)]
    if reached:
        verdict = f"D's outputs are those of the equilibrium for {', '.join(reached)}."
    else:
        verdict = "No model is at the equilibrium: D still tells real from generated images, so G could still improve."
    return [
        "## Is it a Nash equilibrium?",
        "Where G generates the data, D can only answer 1/2, and no update helps either of them. Means over the last fifth of "
        "the steps:",
        render_table(["", *EQUILIBRIUM], table),
        f"{verdict} D(G(z)) falls with each update of D (`d_fake_before`, `d_fake_after`) as long as D still learns from it.",
    ]


def run(argv: Sequence[str]) -> int:
    """Compares the sizes as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.mnist_sizes", description=__doc__ or "")
    parser.add_argument("--data", type=parse_location, required=True, metavar="DIR", help="the four files of MNIST")
    about = "runs or exported weights to use; for the others the shipped ones of their size, or a training"
    parser.add_argument("--weights", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help=about)
    add_outputs(parser, "mnist_sizes", "where missing ones are trained")
    add_budget(parser, _BUDGET)
    parser.add_argument(
        "--count", type=whole_numbers(50), default=2000, metavar="N", help="images of each model (default: 2000)"
    )
    parser.add_argument("--seed", type=whole_numbers(0), default=0, metavar="N", help="seed of the images (default: 0)")
    args = parser.parse(argv)
    check_page(args.out)
    request = Request(args.data, args.weights, args.runs.absolute(), read_budget(args, _BUDGET))
    import_tensorflow()
    evaluator, classifier = Evaluator(MNIST, args.data, args.count, args.seed), MNIST.load_classifier()
    found = collect_weights(MNIST, TRAININGS, request)
    page = Page(args.out, "Sizes of an MNIST GAN", parser.recorded_command(argv))
    measure(found, evaluator, classifier, page)
    page.write()
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
