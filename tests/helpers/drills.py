"""A tiny training of each family, which the tests of failures disturb and compare with an undisturbed one, and their table."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.domains import write_digits
from helpers.runs import write_gray_images, write_unpaired_images

PAGE = Path(__file__).resolve().parents[2] / "docs/robustness.md"
PLAN = ("--steps", 2, "--checkpoint-every", 1, "--grid-every", 2, "--log-every", 1)


@dataclass(frozen=True)
class Drill:
    """A training that takes seconds, and what it trains on.

    Attributes:
        task: one task of the family.
        options: small networks and batches; the GAN is scored on the way, too.
        write_data: writes training and validation images into an empty folder.
    """

    task: str
    options: Sequence[Any]
    write_data: Callable[[Path], Path]

    def words(self, data: Path, runs: Path, *more: Any) -> list[Any]:
        """Returns the arguments of a training of two steps that writes files of every kind; ``more`` comes last."""
        return ["--task", self.task, "--data", data, "--runs", runs, *self.options, *PLAN, *more]


_GAN = ("--network", "mlp", "--hidden-dim", 4, "--batch", 4, "--latent-dim", 8, "--eval-every", 2, "--eval-count", 4)
_CYCLEGAN = ("--hidden-dim", 2, "--num-blocks", 0, "--load-size", 36, "--crop-size", 32, "--pool-size", 2)
_DIFFUSION = ("--hidden-dim", 4, "--blocks", 1, "--batch", 4, "--timesteps", 2)
_CLASSIFIER = ("--hidden-dim", 2, "--batch", 4)

DRILLS = {
    "gan": Drill("mnist", _GAN, write_gray_images),
    "cyclegan": Drill("yosemite", _CYCLEGAN, write_unpaired_images),
    "diffusion": Drill("diffusion", _DIFFUSION, write_digits),
    "dann": Drill("dann", _CLASSIFIER, write_digits),
    "classifier": Drill("digits", (*_CLASSIFIER, "--no-augment"), write_digits),
}

# What happens to a training, by the name that `@pytest.mark.drill` gives; a row each of docs/robustness.md.
KINDS = {
    "random kill": "killed (`kill -9`) at a random moment, then resumed",
    "kill at a write": "killed just before one of its writes, then resumed",
    "full disk": "disk full or read-only from one of its writes on, then resumed with space",
    "damaged checkpoint": "newest checkpoint damaged or gone, then resumed",
    "no valid checkpoint": "every checkpoint damaged, then resumed",
    "two processes": "a second process resumes the run while it trains",
}


# How many writes the quick tests let fail, and kill at; tests/cli/test_resume.py kills a GAN ten times in a row.
QUICK = {family: 4 if family == "gan" else 1 for family in DRILLS}


def spread(count: int, family: str, number: int = 1) -> list[int]:
    """Returns ``number`` of the numbers from 1 to ``count`` at the same distance, which are higher for each later family."""
    shift = (list(DRILLS).index(family) + 0.5) / len(DRILLS)
    return [1 + int(count * (index + shift) / number) for index in range(number)]


class Tally:
    """How often each kind of failure was tried on each family, and how often what must hold held."""

    def __init__(self) -> None:
        self.tried: dict[tuple[str, str], int] = {}
        self.held: dict[tuple[str, str], int] = {}

    @contextlib.contextmanager
    def trial(self, kind: str, family: str, count: int = 1) -> Iterator[None]:
        """Counts ``count`` trials, which have held if the block raises nothing."""
        key = (kind, family)
        self.tried[key] = self.tried.get(key, 0) + count
        yield
        self.held[key] = self.held.get(key, 0) + count

    def cells(self) -> dict[tuple[str, str], str]:
        """Returns "held of tried" for each kind and family that was tried."""
        return {key: f"{self.held.get(key, 0)} of {count}" for key, count in self.tried.items()}


_TEXT = """# Robustness: what was done to a training of each family, and how often it held

The tests do what this table names to a tiny training of each family (`tests/helpers/drills.py`), with the real commands and
real files. They wrote this page themselves:

    bash tests/run.sh --all tests/robustness --write-robustness -n 0

Each cell says how often the training **held**, and how often the last run that tried it did so; a dash: not tried. Held means:

* Resumed, the run ends with the bits of an undisturbed one: every variable of the last checkpoint (weights, optimizer, EMA),
  exported weights, curves and images.
* At no moment is a file half written under its final name.
* What cannot go on says so in one sentence and ends with exit code 2: never with a traceback, and never silently with other
  bits. This is the training whose disk is full, the resumed one where every checkpoint is damaged, and of two processes the
  second; the first is undisturbed.

{table}

`bash tests/run.sh` tries a few writes and one damage for each family, and kills a longer training of a GAN ten times in a row
(`tests/cli/test_resume.py`); `--all` tries every write, every damage, and as many random kills of each family as
`--drill-kills` says (100). Trainings that are killed at random moments
run as a user's do: as compiled graphs, with threads that prepare batches. In the other rows functions run
eagerly, a small network stands in for the FID's, and the kernel reports the writes (`tests/helpers/write_faults.py`).
"""


def render_page(cells: Mapping[tuple[str, str], str]) -> str:
    """Returns docs/robustness.md; what has no cell gets a dash."""
    rows = [["", *DRILLS], ["---"] * (1 + len(DRILLS))]
    rows += [[text, *(cells.get((kind, family), "–") for family in DRILLS)] for kind, text in KINDS.items()]
    return _TEXT.format(table="\n".join(f"| {' | '.join(row)} |" for row in rows))


def read_table(page: str) -> list[list[str]]:
    """Returns the cells of the only table of a page, row by row."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]


def read_cells(path: Path) -> dict[tuple[str, str], str]:
    """Returns the cells of docs/robustness.md; those of kinds and families that are no longer there are left out."""
    (_, *families), _, *rows = read_table(path.read_text(encoding="utf-8")) if path.exists() else ([""], [])
    kinds = {text: kind for kind, text in KINDS.items()}
    return {
        (kinds[text], family): cell
        for text, *cells in rows
        for family, cell in zip(families, cells, strict=True)
        if text in kinds and family in DRILLS
    }
