"""``python -m gan_tf.experiments.recipes``: which recipe trains the best GAN of a task in a given time?

Each recipe is trained by ``train.py`` for the same minutes of wall time, and scored at half time and at the end by the
``fid_train`` of ``train.py --eval-every``. Every score is recorded at once, so that an interrupted comparison can continue.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import check_page
from gan_tf.experiments.processes import run_python
from gan_tf.experiments.recipe_record import (
    SAMPLES,
    check_recipe,
    is_finished,
    lock_comparison,
    open_record,
    record_run,
    save_record,
    to_arguments,
)
from gan_tf.experiments.trainings import Budget, Training, command_failed, read_progress, train_to
from gan_tf.gan.config import GAN_FAMILY
from gan_tf.options import suggest
from gan_tf.run_dir import RunDir
from gan_tf.tasks import Task, find_task
from gan_tf.utils.files import read_json
from pipelines.errors import UserError
from pipelines.location import Location, open_data, parse_location
from pipelines.numbers import positive_numbers

_WIDE = {"loss": "hinge", "hidden_dim": 64}
_LAZY = {"loss": "rpgan", "penalty_every": 8}
RECIPES = (
    Training("gan", "non-saturating loss, batch norm in D (Radford et al. 2016)", {"loss": "gan"}),
    Training("wgangp", "Wasserstein distance, gradient penalty (Gulrajani et al. 2017)", {"loss": "wgangp"}),
    Training("wgangp-one", "wgangp with one update of D per step", {"loss": "wgangp", "d_steps": 1}),
    Training("wgangp-rates", "wgangp-one, TTUR (Heusel et al. 2017)", {"loss": "wgangp", "d_steps": 1, "d_lr": 3e-4}),
    Training("rpgan", "relativistic pairs, R1 and R2 penalties (Huang et al. 2024)", {"loss": "rpgan"}),
    Training("rpgan-lazy", "rpgan, lazy regularization every 8 steps (Karras et al. 2020)", _LAZY),
    Training("hinge", "hinge loss, spectral norm in D (Miyato et al. 2018)", {"loss": "hinge"}),
    Training("hinge-float32", "hinge in float32", {"loss": "hinge", "precision": "float32"}),
    Training("hinge-wide", "hinge with twice the channels", _WIDE),
    Training("hinge-wide-rates", "hinge-wide, TTUR (Heusel et al. 2017)", {**_WIDE, "d_lr": 4e-4, "g_lr": 1e-4}),
    Training("hinge-wide-augment", "hinge-wide, DiffAugment (Zhao et al. 2020)", {**_WIDE, "augment": "diffaugment"}),
    Training("hinge-residual", "hinge, residual networks at 16x16, pixel shuffle", {"loss": "hinge", "network": "residual"}),
    Training("rpgan-residual", "rpgan-lazy, the networks of hinge-residual", {**_LAZY, "network": "residual"}),
)


def select_recipes(names: Sequence[str] | None) -> list[Training]:
    """Returns the recipes of these names, in the order of ``RECIPES``; all of them for None.

    Raises:
        UserError: an unknown name; the nearest one is suggested.
    """
    known = [recipe.name for recipe in RECIPES]
    for name in names or ():
        if name not in known:
            raise UserError(f"There is no recipe {name!r}; {suggest(name, known)}", "Correct --only, or see --list")
    return [recipe for recipe in RECIPES if names is None or recipe.name in names]


def prepare_comparison(task: Task, recipes: Sequence[Training], data: Location, minutes: float, runs: Path) -> dict[str, Any]:
    """Returns the record to continue, after checking that nothing contradicts it and that scores can be computed.

    Raises:
        UserError: something is wrong; nothing has been trained then.
    """
    from gan_tf.evaluation.features.inception_weights import load_weights

    open_data(task.data, data, "train", 0)  # a record of images that are not there would refuse the right ones
    record = open_record(task, data, minutes, runs)
    for recipe in recipes:
        check_recipe(task, recipe.name, recipe.flags, record, runs)
    load_weights()  # without the weights of the FID network, the first score would fail after half a training
    return record


def measure_recipe(task: Task, recipe: Training, record: dict[str, Any], runs: Path) -> None:
    """Trains a recipe for half its minutes and for all of them, and records its score after each."""
    row = record["rows"].setdefault(recipe.name, {"flags": recipe.flags})
    row["about"] = recipe.about  # may be reworded without measuring again
    save_record(record, runs)
    if is_finished(row):
        print(f"{recipe.name}: finished, skipped")
        return
    for part, minutes in (("half", record["minutes"] / 2), ("full", record["minutes"])):
        if part in row:
            continue
        print(f"{recipe.name}: training to {minutes:g} minutes", flush=True)
        data, folder = parse_location(record["data"]["path"]), runs / recipe.name
        run_dir, failure = train_to(task, recipe, data, Budget(minutes=minutes), folder)
        record_run(row, record, run_dir)
        if failure:
            row["diverged"] = {"step": failure["step"], "quantity": failure["quantity"]}
            save_record(record, runs)
            print(f"{recipe.name}: diverged at step {failure['step']}")
            return
        row[part] = read_progress(run_dir) | _score_recipe(recipe, run_dir, data, folder)
        save_record(record, runs)
        print(f"{recipe.name}: FID {row[part]['fid']:.1f} after {minutes:g} minutes, {row[part]['step']} steps", flush=True)


def _score_recipe(recipe: Training, run_dir: RunDir, data: Location, folder: Path) -> dict[str, Any]:
    """Returns the scores of a run's exported generator, computed in a process of its own, whose memory is freed then."""
    result = folder / "score.json"
    arguments = ["-m", "gan_tf.experiments.recipe_scores", str(run_dir.path), "--data", str(data)]
    arguments += ["--out", str(result), "--samples", str(folder / SAMPLES)]
    code = run_python(arguments, folder / "score.log")
    if code:
        raise command_failed(f"Scoring {recipe.name}", code)
    scores: dict[str, Any] = read_json(result)
    return scores


def build_parser() -> Parser:
    """Returns the arguments of the command."""
    description = (
        "Compares recipes for a task's GAN: each is trained for the same wall time, one after another, and scored at half\n"
        "time and at the end by the FID of 2,000 samples against 2,000 training images (no validation images are used).\n"
        "Run again with the same arguments, it continues where it stopped.\n\n"
        "  python -m gan_tf.experiments.recipes --data FOLDER --minutes 20"
    )
    parser = Parser(prog="python -m gan_tf.experiments.recipes", description=description)
    parser.add_argument("--data", type=parse_location, metavar="DIR", help="the task's images, as for train.py")
    parser.add_argument("--task", default="anime", metavar="NAME", help="which task's GAN (default: anime)")
    parser.add_argument(
        "--minutes", type=positive_numbers(), default=20.0, metavar="M", help="training time of each recipe (default: 20)"
    )
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="NAME", help="only these recipes (default: all that --list shows)"
    )
    runs, table = Path("runs/recipes"), Path("docs/recipes.md")
    parser.add_argument("--runs", type=Path, default=runs, metavar="DIR", help=f"run folders and results.json ({runs})")
    about = f"Markdown file for the table, with an image of samples beside it ({table})"
    parser.add_argument("--table", type=Path, default=table, metavar="FILE", help=about)
    parser.add_argument("--list", action="store_true", help="print the recipes and exit")
    return parser


def run(argv: Sequence[str]) -> int:
    """Compares recipes as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    args = build_parser().parse(argv)
    if args.list:
        for recipe in RECIPES:
            print(f"{recipe.name:18} {shlex.join(to_arguments(recipe.flags)):52} {recipe.about}")
        return 0
    if args.data is None:
        raise UserError("No --data was given", "Add --data DIR with the task's images; --list shows the recipes")
    check_page(args.table, "--table")
    task, recipes, runs = find_task(args.task), select_recipes(args.only), args.runs.absolute()
    if task.family is not GAN_FAMILY:
        raise UserError(f"--task {task.name} has no GAN", "Choose another task")
    with lock_comparison(runs):
        record = prepare_comparison(task, recipes, args.data, args.minutes, runs)
        try:
            for recipe in recipes:
                measure_recipe(task, recipe, record, runs)
        finally:  # the table shows what there is, whatever ended the comparison
            _write_table(runs, args.table)
    return 0


def _write_table(runs: Path, table: Path) -> None:
    from gan_tf.experiments.recipe_table import write_table  # loads NumPy, for which wrong usage need not wait

    for path in write_table(runs, table, [recipe.name for recipe in RECIPES]):
        print(f"wrote {path}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; a UserError is one line and exit code 2."""
    return run_command(run, argv)


if __name__ == "__main__":
    sys.exit(main())
