"""``python -m gan_tf.experiments.tips``: what do the training tips of the anime handout (MLDS 2018, HW3-1) change?

The tips are those of Chintala et al. 2016, "How to train a GAN?", by their numbers. 1 to 5 are on by default and are turned off
one by one; the others are turned on. Each GAN has the loss ``gan`` and the same budget.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.models import Evaluator, Measures, describe_metrics
from gan_tf.experiments.page import GAN_CURVES, Page, render_table, stack_labeled
from gan_tf.experiments.recipe_record import describe_machine, detect_machine, to_arguments
from gan_tf.experiments.trainings import Budget, Training, add_budget, read_budget, train_to
from gan_tf.gan.config import GAN_FAMILY
from gan_tf.options import suggest
from gan_tf.tasks import Task, find_task
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.location import parse_location
from pipelines.numbers import whole_numbers

_BUDGET = Budget(steps=2000)
_NUM_SHOWN = 10
CURVES = {**GAN_CURVES, "sample diversity": ("sample_diversity",)}


@dataclass(frozen=True)
class Tip:
    """A tip.

    Attributes:
        number: among those of Chintala et al.
        about: what it says.
        flags: what differs from the base.
        turns_on: whether these flags follow the tip; False: they turn off what the base does.
    """

    number: int
    about: str
    flags: Mapping[str, Any]
    turns_on: bool

    @property
    def training(self) -> Training:
        """The training with its flags."""
        name = f"tip{self.number:02d}-{'with' if self.turns_on else 'without'}"
        return Training(name, self.about, {**BASE.flags, **self.flags})


BASE = Training("base", "tips 1 to 5, which are the defaults", {"loss": "gan"})
TIPS = (
    Tip(1, "images in [-1, 1] and tanh; without: in [0, 1] and a sigmoid", {"output": "sigmoid"}, False),
    Tip(2, "G maximizes log D(G(z)); without: it minimizes log(1 - D(G(z)))", {"generator_loss": "saturating"}, False),
    Tip(3, "normal latents; without: uniform ones", {"latent_distribution": "uniform"}, False),
    Tip(4, "batch norm of real and fake images apart; without: in one batch", {"d_batches": "mixed"}, False),
    Tip(
        5,
        "no sparse gradients: LeakyReLU and strides in D; without: ReLU and max pooling",
        {"d_activation": "relu", "d_downsample": "max-pool"},
        False,
    ),
    Tip(6, "soft and noisy labels: 0.7 to 1.2 and 0 to 0.3, 5 % exchanged", {"soft_labels": True, "flip_labels": 0.05}, True),
    Tip(9, "SGD for D, Adam for G", {"d_optimizer": "sgd"}, True),
    Tip(
        13,
        "noise in D's inputs, fading within 100,000 images",
        {"instance_noise": 0.1, "instance_noise_images": 100_000},
        True,
    ),
    Tip(14, "two updates of D for each of G", {"d_steps": 2}, True),
    Tip(17, "dropout of one half in G, also in generated images", {"dropout": 0.5}, True),
)


@dataclass(frozen=True)
class Row:
    """What came out of a training.

    Attributes:
        directory: the run.
        measures: of its generator; None where the training diverged.
        failed_at: the step at which it diverged; None where it did not.
    """

    directory: Path
    measures: Measures | None
    failed_at: int | None


def select_tips(numbers: Sequence[int] | None) -> list[Tip]:
    """Returns the tips of these numbers, in the order of ``TIPS``; all of them for None.

    Raises:
        UserError: a number without a tip.
    """
    known = [tip.number for tip in TIPS]
    for number in numbers or ():
        if number not in known:
            problem = f"There is no experiment on tip {number}; {suggest(str(number), map(str, known))}"
            raise UserError(problem, "Correct --only")
    return [tip for tip in TIPS if numbers is None or tip.number in numbers]


def train_and_measure(evaluator: Evaluator, trainings: Sequence[Training], budget: Budget, runs: Path) -> dict[str, Row]:
    """Trains what is missing, then measures; returns a row for each training by its name; raises as ``train_to``."""
    rows = {}
    for training in trainings:
        print(f"{training.name}: training to {budget}", flush=True)
        run_dir, failure = train_to(evaluator.task, training, evaluator.data, budget, runs / training.name, grid_every=500)
        measures = None if failure else evaluator.measure(run_dir.path)
        rows[training.name] = Row(run_dir.path, measures, failure["step"] if failure else None)
        print(f"{training.name}: {_describe_fid(rows[training.name])}", flush=True)
    return rows


def render_rows(tips: Sequence[Tip], rows: Mapping[str, Row]) -> str:
    """Returns the table: the FID with and without each tip."""
    base = rows[BASE.name]
    header = ["tip", "flags of the changed run", "FID with", "without", "difference", "diversity with", "without"]
    table = []
    for tip in tips:
        changed = rows[tip.training.name]
        with_tip, without = (changed, base) if tip.turns_on else (base, changed)
        cells = [_describe_fid(with_tip), _describe_fid(without), "–"]
        if with_tip.measures and without.measures:
            cells[2] = f"{with_tip.measures.fid - without.measures.fid:+.1f}"
        flags = f"`{shlex.join(to_arguments(tip.flags))}`"
        table.append([f"{tip.number}: {tip.about}", flags, *cells, *map(_describe_diversity, (with_tip, without))])
    return render_table(header, table)


def _describe_fid(row: Row) -> str:
    return f"{row.measures.fid:.1f}" if row.measures else f"diverged at step {row.failed_at:,}"


def _describe_diversity(row: Row) -> str:
    return f"{row.measures.diversity:.2f}" if row.measures else "–"


def describe_protocol(task: Task, budget: Budget, rows: Mapping[str, Row], evaluator: Evaluator) -> str:
    """Returns how the numbers were measured, as one paragraph."""
    base = rows[BASE.name]
    fid = "diverged" if base.measures is None else f"has a FID of {base.measures.fid:.1f}"
    return (
        f"Task `{task.name}`, loss `gan`, {budget} of training each, one run of seed 0, on "
        f"{describe_machine(detect_machine())}. The base follows tips 1 to 5 and {fid}; each row changes one thing. "
        f"{describe_metrics(evaluator.metrics, evaluator.seed)} A negative difference says that the tip helped. Diversity is "
        "`sample_diversity` of `docs/curves-and-scores.md`. One seed says nothing about small differences, and a longer "
        "training may reverse them."
    )


def write_page(path: Path, command: str, tips: Sequence[Tip], rows: Mapping[str, Row], protocol: str) -> None:
    """Writes the table, the samples and the curves."""
    from gan_tf.experiments.figures import render_curves_side_by_side
    from gan_tf.utils.images import tile_images

    page = Page(path, "Training tips, with and without", command)
    page.add(protocol, render_rows(tips, rows))
    strips = {name: tile_images(row.measures.images[:_NUM_SHOWN], 1, _NUM_SHOWN) for name, row in rows.items() if row.measures}
    caption = "Samples of the EMA generator of each training, of the same seed"
    page.add_figure("samples", stack_labeled(strips) if strips else None, caption)
    curves = render_curves_side_by_side({name: row.directory for name, row in rows.items()}, CURVES)
    page.add_figure("curves", curves, "Losses, outputs of D and diversity of samples during each training")
    page.write()


def run(argv: Sequence[str]) -> int:
    """Compares the tips as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.tips", description=__doc__ or "")
    parser.add_argument("--data", type=parse_location, required=True, metavar="DIR", help="the task's images")
    parser.add_argument("--task", default="anime", metavar="NAME", help="which task's GAN (default: anime)")
    parser.add_argument(
        "--only", type=whole_numbers(1), nargs="+", action="extend", metavar="N", help="only the tips of these numbers"
    )
    add_budget(parser, _BUDGET)
    parser.add_argument("--count", type=whole_numbers(2), default=1000, metavar="N", help="images of each FID (default: 1000)")
    add_outputs(parser, "tips")
    args = parser.parse(argv)
    check_page(args.out)
    budget, tips, task = read_budget(args, _BUDGET), select_tips(args.only), find_task(args.task)
    if task.family is not GAN_FAMILY:
        raise UserError(f"--task {task.name} has no GAN", "Choose another task")
    import_tensorflow()
    evaluator = Evaluator(task, args.data, args.count, seed=0)
    trainings = [BASE, *(tip.training for tip in tips)]
    rows = train_and_measure(evaluator, trainings, budget, args.runs.absolute())
    write_page(args.out, parser.recorded_command(argv), tips, rows, describe_protocol(task, budget, rows, evaluator))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
