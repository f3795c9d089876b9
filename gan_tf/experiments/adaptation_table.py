"""``python -m gan_tf.experiments.adaptation_table``: H1's table, with several seeds: how much does adaptation gain?

For SVHN and USPS: trained on the source alone (lower bound), by the domain-adversarial objective alone, by the full method,
by the full method without the adversarial term, and on the target with its labels (upper bound). Every row is a run of
``train.py``, whose last weights are scored once on the target's validation images. Run again with the same arguments, it
continues where it stopped.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_tf import cards
from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.adaptation_page import Accuracies, render_page
from gan_tf.experiments.page import check_page
from gan_tf.experiments.processes import ROOT, run_python
from gan_tf.run_dir import RunDir, find_newest_run
from gan_tf.utils.files import read_json, write_atomic
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
        flags: what train.py is given besides the target and the seed.
    """

    name: str
    about: str
    flags: tuple[str, ...]


ROWS = (
    Row("source", "source only (lower bound)", ("--phase", "source")),
    Row("dann", "DANN: the adversarial objective alone (Ganin et al. 2016)", ("--method", "dann")),
    Row("full", "full method", ()),
    Row("full-without-domains", "full method, domain weight 0", ("--domain-weight", "0")),
    Row("target", "target only, with its labels (upper bound)", ("--phase", "target")),
)
FIGURE_ROWS = ("source", "full")
"""The classifiers whose features are drawn: before and after the adaptation."""


def measure(row: Row, target: str, seed: int, data: Path, runs: Path) -> RunDir:
    """Trains and scores a run, unless that has been done; returns it.

    Raises:
        UserError: train.py failed, or did not score.
        KeyboardInterrupt: it was stopped.
    """
    folder = runs / f"{target}-{row.name}-{seed}"
    run_dir = find_newest_run(folder, "dann")
    if run_dir is not None and cards.has_scores(run_dir.path):
        return run_dir
    print(f"{target}, {row.about}, seed {seed}", flush=True)
    arguments = [str(ROOT / "train.py"), "--task", "dann", "--target", target, "--seed", str(seed), *row.flags]
    code = run_python([*arguments, "--data", str(data), "--runs", str(folder), "--resume"], folder / "train.log")
    run_dir = find_newest_run(folder, "dann")
    if code or run_dir is None:
        problem = f"Training {row.name} for {target} ended with exit code {code}"
        raise UserError(problem, "Fix what is reported above, then run the same command again")
    if not cards.has_scores(run_dir.path):
        raise UserError(f"{run_dir.path} could not be scored", f"Put val.csv of {target} into {data}")
    return run_dir


def read_accuracy(run_dir: RunDir, target: str) -> float:
    """Returns a run's accuracy on the target's validation images, in percent."""
    scores = read_json(run_dir.path / cards.SCORES)
    return float(scores[f"{target}_accuracy"]["value"])


def draw_figures(run_dir: RunDir, data: Path, title: str) -> None:
    """Writes the figures of a run into its folder; see ``gan_tf.dann.figures``."""
    import_tensorflow()
    from gan_tf.dann.workflow import DannWorkflow
    from gan_tf.tasks import DANN

    workflow = DannWorkflow.of_weights(DANN, run_dir.path)
    assert isinstance(workflow, DannWorkflow)
    for path in workflow.write_figures(run_dir.path, data, title):
        print(f"wrote {path}", flush=True)


def build_parser() -> Parser:
    """Returns the arguments of the command."""
    description = f"{__doc__}\n\n  python -m gan_tf.experiments.adaptation_table --data DIGITS --seeds 5"
    parser = Parser(prog="python -m gan_tf.experiments.adaptation_table", description=description)
    parser.add_argument("--data", type=Path, metavar="DIR", help="the digits, as for train.py --task dann")
    parser.add_argument("--seeds", type=whole_numbers(1, 1000), default=5, metavar="N", help="seeds 0 to N - 1 (default: 5)")
    names = [row.name for row in ROWS]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="ROW", help=f"only some of: {', '.join(names)}"
    )
    about = "only some of the targets (default: both)"
    parser.add_argument("--targets", nargs="+", choices=DIGIT_TARGETS, default=DIGIT_TARGETS, metavar="NAME", help=about)
    runs, table = Path("runs/adaptation"), Path("docs/adaptation.md")
    parser.add_argument("--runs", type=Path, default=runs, metavar="DIR", help=f"where the runs lie (default: {runs})")
    parser.add_argument("--table", type=Path, default=table, metavar="FILE", help=f"Markdown file (default: {table})")
    return parser


def run(argv: Sequence[str]) -> int:
    """Measures the table as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    args = build_parser().parse(argv)
    if args.data is None:
        raise UserError("No --data was given", "Add --data DIR with MNIST-M, SVHN and USPS")
    check_page(args.table, "--table")
    accuracies: Accuracies = {}
    try:
        for seed in range(args.seeds):
            for target in args.targets:
                for row in [row for row in ROWS if row.name in args.only]:
                    run_dir = measure(row, target, seed, args.data.absolute(), args.runs.absolute())
                    accuracies.setdefault((row.name, target), []).append(read_accuracy(run_dir, target))
                    if seed == 0 and row.name in FIGURE_ROWS and not (run_dir.path / "figures/figures.json").is_file():
                        draw_figures(run_dir, args.data, f"{row.about}, MNIST-M to {target.upper()}")
    finally:  # the table shows what there is, whatever ended the comparison
        if accuracies:
            write_atomic(args.table, render_page({row.name: row.about for row in ROWS}, accuracies).encode())
            print(f"wrote {args.table}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
