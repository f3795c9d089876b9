"""``python -m gan_tf.experiments.adaptation_table``: H1's table, with several seeds: how much does adaptation gain?

For SVHN and USPS: trained on the source alone (lower bound), by the domain-adversarial objective alone, by the full method,
by the full method without the adversarial term, and on the target with its labels (upper bound). Every row is a run of
``train.py``, whose last weights are scored once on the target's validation images. Run again with the same arguments, it
continues where it stopped.
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_tf import cards
from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.page import Page, render_table
from gan_tf.experiments.processes import TRAIN, run_python
from gan_tf.experiments.recipe_record import to_arguments
from gan_tf.experiments.trainings import check_run, command_failed
from gan_tf.run_dir import RunDir, find_newest_run
from gan_tf.utils.files import read_json
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.formats.domains import DIGIT_TARGETS
from pipelines.numbers import whole_numbers


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: what ``--only`` takes; also a part of the runs' folder.
        about: what it is, for the table.
        flags: options of its configuration by field name, besides the target and the seed.
    """

    name: str
    about: str
    flags: dict[str, Any]


ROWS = (
    Row("source", "source only (lower bound)", {"phase": "source"}),
    Row("dann", "DANN: the adversarial objective alone (Ganin et al. 2016)", {"method": "dann"}),
    Row("full", "full method", {}),
    Row("full-without-domains", "full method, domain weight 0", {"domain_weight": 0.0}),
    Row("target", "target only, with its labels (upper bound)", {"phase": "target"}),
)
FIGURE_ROWS = ("source", "full")
"""The classifiers whose features are drawn: before and after the adaptation."""
FIGURES = ("features-by-class.png", "features-by-domain.png")

Accuracies = dict[tuple[str, str], list[float]]
"""Accuracies in percent by row and target, one for each seed."""


def measure(row: Row, target: str, seed: int, data: Path, runs: Path) -> RunDir:
    """Trains and scores a run, unless that has been done; returns it.

    Raises:
        UserError: train.py failed, or did not score, or the run that is there is another one.
        KeyboardInterrupt: it was stopped.
    """
    folder = runs / f"{target}-{row.name}-{seed}"
    run_dir = find_newest_run(folder, "dann")
    flags = {"target": target, "seed": seed, **row.flags}
    if run_dir is not None:
        check_run(run_dir, flags, data)
        if cards.has_scores(run_dir.path):
            return run_dir
    print(f"{target}, {row.about}, seed {seed}", flush=True)
    arguments = [*TRAIN, "--task", "dann", *to_arguments(flags)]
    code = run_python([*arguments, "--data", str(data), "--runs", str(folder), "--resume"], folder / "train.log")
    run_dir = find_newest_run(folder, "dann")
    if code or run_dir is None:
        raise command_failed(f"Training {row.name} for {target}", code)
    if not cards.has_scores(run_dir.path):
        raise UserError(f"{run_dir.path} could not be scored", f"Put val.csv of {target} into {data}")
    return run_dir


def read_accuracy(run_dir: RunDir, target: str) -> float:
    """Returns a run's accuracy on the target's validation images, in percent."""
    scores = read_json(run_dir.path / cards.SCORES)
    return float(scores[f"{target}_accuracy"]["value"])


def draw_figures(run_dir: RunDir, data: Path, title: str) -> None:
    """Writes the figures of a run into its folder, unless that has been done; see ``gan_tf.dann.figures``."""
    if (run_dir.path / "figures/figures.json").is_file():
        return
    import_tensorflow()
    from gan_tf.dann.workflow import DannWorkflow
    from gan_tf.tasks import DANN

    workflow = DannWorkflow.of_weights(DANN, run_dir.path)
    assert isinstance(workflow, DannWorkflow)
    for path in workflow.write_figures(run_dir.path, data, title):
        print(f"wrote {path}", flush=True)


def write_page(page: Page, accuracies: Accuracies, drawn: Mapping[str, Sequence[Path]]) -> None:
    """Writes the page: the table, and for each target what the features of the classifiers look like.

    Args:
        page: without any block yet.
        accuracies: the values; rows without any are left out of the table.
        drawn: by target, the folders of the figures of each classifier of ``FIGURE_ROWS`` that was measured.
    """
    rows = []
    for row in ROWS:
        values = [accuracies.get((row.name, target), []) for target in DIGIT_TARGETS]
        if any(values):
            rows.append([row.about, *map(format_accuracy, values), str(max(map(len, values)))])
    has_target = any(name == ROWS[-1].name for name, _ in accuracies)
    page.add(
        "Accuracy in percent on the target's validation images (`val.csv`): the mean over the seeds and, of several, their "
        f"standard deviation. Each run is scored once, at its last step. {'Only the last' if has_target else 'No'} row has "
        "seen labels of the target; no weights, step, seed or option was chosen by them.",
        render_table(["trained by", *(f"MNIST-M to {target.upper()}" for target in DIGIT_TARGETS), "seeds"], rows),
    )
    for target, folders in drawn.items():
        pictures = [[np.asarray(Image.open(folder / name).convert("RGB")) for name in FIGURES] for folder in folders]
        caption = (
            f"Features of validation images of MNIST-M and {target.upper()} by t-SNE, by class (left) and by domain (right)"
        )
        if len(folders) == len(FIGURE_ROWS):
            caption += "; source only above, full method below"
        page.add_figure(f"{target}-features", np.concatenate([np.concatenate(row, axis=1) for row in pictures]), caption)
    page.write()


def format_accuracy(values: Sequence[float]) -> str:
    """Returns ``89.05 ± 0.80``: the mean, and with several values their standard deviation (n - 1)."""
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"


def build_parser() -> Parser:
    """Returns the arguments of the command."""
    description = f"{__doc__}\n\n  python -m gan_tf.experiments.adaptation_table --data DIGITS --seeds 5"
    parser = Parser(prog="python -m gan_tf.experiments.adaptation_table", description=description)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the digits, as for train.py --task dann")
    parser.add_argument("--seeds", type=whole_numbers(1, 1000), default=5, metavar="N", help="seeds 0 to N - 1 (default: 5)")
    names = [row.name for row in ROWS]
    about = f"only some of: {', '.join(names)}"
    parser.add_argument("--only", nargs="+", action="extend", choices=names, metavar="ROW", help=about)
    about = "only some of the targets (default: both)"
    parser.add_argument("--targets", nargs="+", action="extend", choices=DIGIT_TARGETS, metavar="NAME", help=about)
    add_outputs(parser, "adaptation")
    return parser


def run(argv: Sequence[str]) -> int:
    """Measures the table as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = build_parser()
    args = parser.parse(argv)
    if not args.data.is_dir():
        raise UserError(f"--data {args.data} is not a folder", "Name the folder with MNIST-M, SVHN and USPS")
    check_page(args.out)
    accuracies: Accuracies = {}
    drawn: dict[str, list[Path]] = {}
    try:
        for seed in range(args.seeds):
            for target in dict.fromkeys(args.targets or DIGIT_TARGETS):
                for row in [row for row in ROWS if args.only is None or row.name in args.only]:
                    run_dir = measure(row, target, seed, args.data.absolute(), args.runs.absolute())
                    accuracies.setdefault((row.name, target), []).append(read_accuracy(run_dir, target))
                    if seed == 0 and row.name in FIGURE_ROWS:
                        draw_figures(run_dir, args.data, f"{row.about}, MNIST-M to {target.upper()}")
                        drawn.setdefault(target, []).append(run_dir.path / "figures")
    finally:  # the table shows what there is, whatever ended the comparison
        if accuracies:
            page = Page(args.out, "Adaptation from MNIST-M to SVHN and USPS", parser.recorded_command(argv))
            write_page(page, accuracies, drawn)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
