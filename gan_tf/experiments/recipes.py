"""``python -m gan_tf.experiments.recipes``: which recipe makes the best GAN of a task in a given time?

Each recipe is trained through the real door for the same minutes of wall time, halfway and in full scored by the
``fid_train`` of ``train.py --eval-every``. Every score is recorded at once, so a comparison that was interrupted goes on.
"""

import json
import pkgutil
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_tf.cli.main import Parser, guarded
from gan_tf.experiments.processes import ROOT, watched
from gan_tf.experiments.recipe_record import begin, check, describe, held, save
from gan_tf.experiments.recipe_table import SAMPLES, finished, spoken, write
from gan_tf.options import GanSettings, nearest
from gan_tf.tasks import Task, find
from gan_tf.training.run_dir import Run, newest
from pipelines.errors import InputError

STEPS = 10**9  # more than any run does in its minutes: the clock ends it, and nothing is scored on validation images
DIVERGED = re.compile(r"training stopped at step (\d+): ([^;\n]+ was not finite)")  # the guard's words


@dataclass(frozen=True)
class Recipe:
    """A row of the comparison.

    Attributes:
        name: what ``--only`` takes; also the name of a folder.
        about: what it is and who published it.
        flags: settings as in ``GanSettings``; the others are what train.py takes when nothing is said.
    """

    name: str
    about: str
    flags: dict[str, Any] = field(default_factory=dict)


WIDE = {"loss": "hinge", "hidden": 64}
LAZY = {"loss": "rpgan", "penalty_every": 8}
RECIPES = (
    Recipe("gan", "non-saturating loss, batch norm in D (Radford et al. 2016)", {"loss": "gan"}),
    Recipe("wgangp", "Wasserstein distance, gradient penalty (Gulrajani et al. 2017)", {"loss": "wgangp"}),
    Recipe("wgangp-one", "wgangp with one update of D a step", {"loss": "wgangp", "d_steps": 1}),
    Recipe("wgangp-rates", "wgangp-one, two rates (Heusel et al. 2017)", {"loss": "wgangp", "d_steps": 1, "d_rate": 3e-4}),
    Recipe("rpgan", "relativistic pairs, penalties on both sides (Huang et al. 2024)", {"loss": "rpgan"}),
    Recipe("rpgan-lazy", "rpgan, penalties each 8 steps (lazily; Karras et al. 2020)", LAZY),
    Recipe("hinge", "hinge loss, spectral norm in D (Miyato et al. 2018)", {"loss": "hinge"}),
    Recipe("hinge-float32", "hinge in float32", {"loss": "hinge", "precision": "float32"}),
    Recipe("hinge-wide", "hinge with twice the channels", WIDE),
    Recipe("hinge-wide-rates", "hinge-wide, two rates (Heusel et al. 2017)", {**WIDE, "d_rate": 4e-4, "g_rate": 1e-4}),
    Recipe("hinge-wide-augment", "hinge-wide, DiffAugment (Zhao et al. 2020)", {**WIDE, "augment": "diffaugment"}),
    Recipe("hinge-residual", "hinge, residual nets at 16x16, pixel shuffle out", {"loss": "hinge", "network": "residual"}),
    Recipe("rpgan-residual", "rpgan-lazy, the nets of hinge-residual", {**LAZY, "network": "residual"}),
)


def chosen(names: Sequence[str] | None) -> list[Recipe]:
    """The recipes of these names, in the table's order; all of them for None.

    Raises:
        InputError: for a name that isn't in the table; the nearest is suggested.
    """
    known = [recipe.name for recipe in RECIPES]
    for name in names or ():
        if name not in known:
            raise InputError(f"--only {name}", nearest(name, known), "choose among these, or see --list")
    return [recipe for recipe in RECIPES if names is None or recipe.name in names]


def prepared(task: Task, recipes: Sequence[Recipe], data: Path, minutes: float, runs: Path) -> dict[str, Any]:
    """The record to go on with, once it is known that nothing said contradicts it and that scores can be computed.

    Raises:
        InputError: saying what is wrong, before anything is trained.
    """
    from gan_tf.evaluation.features.inception_weights import load_weights

    record = begin(task, data, minutes, runs)
    for recipe in recipes:
        check(task, recipe.name, recipe.flags, record, runs)
    load_weights()  # without the FID network's the first score would fail, after half a training
    return record


def measure(task: Task, recipe: Recipe, record: dict[str, Any], runs: Path) -> None:
    """Trains a recipe to half its minutes and to all of them and scores it after each; records each score at once."""
    row = record["rows"].setdefault(recipe.name, {"flags": recipe.flags})
    row["about"] = recipe.about  # words may be mended without measuring again
    save(record, runs)
    if finished(row):
        print(f"{recipe.name}: finished, skipped")
        return
    for part, minutes in (("half", record["minutes"] / 2), ("full", record["minutes"])):
        if part in row:
            continue
        print(f"{recipe.name}: training to {minutes:g} minutes", flush=True)
        data, folder = Path(record["data"]["path"]), runs / recipe.name
        diverged = train(task, recipe, data, minutes, folder)
        run = newest(folder, task.name)
        describe(row, record, run)
        if diverged:
            row["diverged"] = diverged
            save(record, runs)
            print(f"{recipe.name}: diverged at step {diverged['step']}")
            return
        row[part] = trained(run) | score(recipe, run, data, folder)
        save(record, runs)
        print(f"{recipe.name}: FID {row[part]['fid']:.1f} after {minutes:g} minutes, {row[part]['step']} steps", flush=True)


def train(task: Task, recipe: Recipe, data: Path, minutes: float, folder: Path) -> dict[str, Any] | None:
    """Trains a recipe until it has had ``minutes`` in all; returns ``step`` and ``words`` where it diverged, else None.

    Raises:
        InputError: where train.py fails in another way.
        KeyboardInterrupt: where it was stopped.
    """
    run = newest(folder, task.name)
    if run and trained(run).get("seconds", 0.0) >= 60 * minutes:  # stopped between a training and its score
        return None
    words = [str(ROOT / "train.py"), "--task", task.name, "--data", str(data), "--runs", str(folder), "--resume"]
    words += ["--steps", str(STEPS), "--minutes", str(minutes), "--grid-every", "0", *spoken(recipe.flags)]
    code, said = watched(words, folder / "train.log")
    if code == 0:
        return None
    if found := DIVERGED.search(said):
        return {"step": int(found[1]), "words": found[2]}
    raise InputError(f"training {recipe.name} ended with exit code {code}", "0", "mend what it says above and call again")


def score(recipe: Recipe, run: Run, data: Path, folder: Path) -> dict[str, Any]:
    """The scores of a run's exported generator, computed in a process of its own that then gives its memory back."""
    result = folder / "score.json"
    words = ["-m", "gan_tf.experiments.recipe_scores", str(run.folder), "--data", str(data)]
    code, _ = watched([*words, "--out", str(result), "--samples", str(folder / SAMPLES)], folder / "score.log")
    if code:
        raise InputError(f"scoring {recipe.name} ended with exit code {code}", "0", "mend what it says above and call again")
    return json.loads(result.read_text())


def trained(run: Run) -> dict[str, Any]:
    """Step and seconds of training of a run's last checkpoint; empty where there is none."""
    states = sorted((run.folder / "checkpoints").glob(f"step-{'[0-9]' * 9}/state.json"))
    if not states:
        return {}
    return {"step": int(states[-1].parent.name[5:]), "seconds": json.loads(states[-1].read_text())["seconds"]}


def parser() -> Parser:
    """The command's arguments."""
    words = (
        "Compares recipes for a task's GAN: each is trained for the same wall time, one after another, and scored halfway\n"
        "and at the end by the FID of 2,000 samples against 2,000 training images (validation images are not touched).\n"
        "Called again with the same arguments, it goes on where it stopped.\n\n"
        "  python -m gan_tf.experiments.recipes --data FOLDER --minutes 20"
    )
    made = Parser(prog="python -m gan_tf.experiments.recipes", description=words)
    made.add_argument("--data", type=Path, metavar="DIR", help="folder of images, as train.py takes it")
    made.add_argument("--task", default="anime", metavar="NAME", help="which task's GAN (default: anime)")
    made.add_argument("--minutes", type=float, default=20.0, metavar="M", help="training time of each recipe (default: 20)")
    made.add_argument("--only", nargs="+", metavar="NAME", help="only these recipes (default: all that --list shows)")
    runs, table = Path("runs/recipes"), Path("docs/recipes.md")
    made.add_argument("--runs", type=Path, default=runs, metavar="FOLDER", help=f"run folders and results.json ({runs})")
    about = f"the table, Markdown; a picture goes beside it ({table})"
    made.add_argument("--table", type=Path, default=table, metavar="FILE", help=about)
    made.add_argument("--list", action="store_true", help="print the recipes and end")
    return made


def run(words: Sequence[str]) -> int:
    """What the command does with its words; returns the exit code."""
    args = parser().parse(words)
    if args.list:
        for recipe in RECIPES:
            print(f"{recipe.name:16} {shlex.join(spoken(recipe.flags)):48} {recipe.about}")
        return 0
    if args.data is None:
        raise InputError("no --data", "a folder of images", "say --data DIR; --list shows the recipes")
    if not 0 < args.minutes < float("inf"):
        raise InputError(f"--minutes {args.minutes}", "a number of minutes above 0", "change it")
    if args.table.suffix != ".md":
        raise InputError(f"--table {args.table}", "a file that ends in .md", "change it")
    task, recipes, runs = find(args.task), chosen(args.only), args.runs.resolve()
    if pkgutil.resolve_name(task.workflow).SETTINGS is not GanSettings:
        raise InputError(f"--task {task.name}", "a task with a GAN", "choose another")
    with held(runs):
        record = prepared(task, recipes, args.data, args.minutes, runs)
        try:
            for recipe in recipes:
                measure(task, recipe, record, runs)
        finally:  # the table is of what there is, whatever ended the comparison
            for path in write(runs, args.table, [recipe.name for recipe in RECIPES]):
                print(f"wrote {path}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command; errors are one line and exit code 2, as at the doors."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
