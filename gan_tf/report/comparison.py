"""Several runs on one page: what differs between them, their curves in the same charts, their samples side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.report.charts import build_comparison_charts
from gan_tf.report.embedding import ImageEmbedder
from gan_tf.report.gallery import MAX_GRIDS, build_gallery
from gan_tf.report.html import MARK, render
from gan_tf.report.page import describe_score, describe_status, list_facts
from gan_tf.report.run_files import RunFiles, read_run_files
from gan_tf.report.settings import NONE, find_differences
from gan_tf.utils.files import write_atomic
from pipelines.errors import UserError

if TYPE_CHECKING:
    from gan_tf.tasks import Task


def write_comparison(runs: Sequence[tuple["Task", Path]], out: Path) -> None:
    """Writes a page that compares runs, whole or not at all.

    Args:
        runs: their tasks and folders, two or more.
        out: the HTML file; another page of this program is replaced.

    Raises:
        UserError: a folder is no run's, or the file cannot be written, or it is there and not this program's.
    """
    if out.exists() and not (out.is_file() and MARK.encode() in out.read_bytes()[:1000]):
        raise UserError(f"{out} exists already, and gan_tf has not written it", "Name another file by --out, or remove it")
    page = render_comparison([read_run_files(task, path) for task, path in runs])
    write_atomic(out, page.encode(errors="replace"))


def render_comparison(runs: Sequence[RunFiles]) -> str:
    """Returns the page that compares runs, HTML."""
    embedder, names = ImageEmbedder(), name_runs([run.path for run in runs])
    named = dict(zip(names, runs, strict=True))
    limit = max(2, MAX_GRIDS // len(runs))
    galleries = {name: build_gallery(run, embedder, limit) for name, run in named.items()}
    return render(
        "comparison.html.j2",
        {
            "names": names,
            "facts": _compare_facts(runs),
            "differences": find_differences(runs),
            "charts": build_comparison_charts({name: run.curves for name, run in named.items()}),
            "no_charts": "No run has curves yet.",
            "galleries": galleries,
            "scores": _compare_scores(runs),
            "problems": [f"{name}: {problem}" for name, run in named.items() for problem in run.problems],
            "any_smaller": any(not grid.image.exact for gallery in galleries.values() for grid in gallery.grids),
        },
    )


def name_runs(paths: Sequence[Path]) -> list[str]:
    """Returns a name for each run: of its folder or of one above it, whichever tells all apart; else numbered ones."""
    parts = [path.resolve().parts[:0:-1] for path in paths]  # from the run's folder upwards, without the root
    for names in zip(*parts, strict=False):
        if len(set(names)) == len(names):
            return list(names)
    return [f"{number}: {path.name}" for number, path in enumerate(paths, start=1)]


def _compare_facts(runs: Sequence[RunFiles]) -> list[tuple[str, list[str]]]:
    """Returns a row for each fact that any run has: its name, and each run's value."""
    tables = [{"Folder": str(run.path), "State": describe_status(run), **dict(list_facts(run))} for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    return [(name, [table.get(name, NONE) for table in tables]) for name in names]


def _compare_scores(runs: Sequence[RunFiles]) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """Returns a row for each score that any run has: its name, and each run's score."""
    names = dict.fromkeys(name for run in runs for name in run.scores)
    return [
        (
            name,
            [describe_score(name, run.scores[name], run.task.thresholds) if name in run.scores else None for run in runs],
        )
        for name in names
    ]
