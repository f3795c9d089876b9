"""The pictures of a page: a bounded number of sample grids over the training, and a run's other figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from gan_tf.family import Figure
from gan_tf.report.embedding import MAX_FIGURE_BYTES, MAX_GRID_BYTES, EmbeddedImage, ImageEmbedder, UnusableImage
from gan_tf.report.run_files import FIGURES, RunFiles

MAX_GRIDS = 24
"""Sample grids in a page, over all its runs."""
MAX_FIGURES = 12
"""Other figures in the page of a run."""

_MAX_NAMED = 3  # of the files that a sentence names


@dataclass(frozen=True)
class Grid:
    """A sample grid of a step."""

    step: int
    image: EmbeddedImage


@dataclass(frozen=True)
class Gallery:
    """The sample grids of a run.

    Attributes:
        grids: in the order of their steps.
        notes: sentences on what is left out, and why.
    """

    grids: tuple[Grid, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A figure of a page; without an image, ``note`` says why."""

    title: str
    caption: str
    image: EmbeddedImage | None
    note: str


def choose_steps(steps: Sequence[int], limit: int) -> list[int]:
    """Returns at most ``limit`` steps, at least 2: every first, second, fourth, … one, and the last one.

    With each further step, at most one is chosen that was not chosen before, so that a page that is refreshed has one new
    image to embed.
    """
    stride = 1
    while len(steps[::stride]) + 1 > limit and len(steps) > limit:
        stride *= 2
    return list(dict.fromkeys([*steps[::stride], *steps[-1:]]))


def build_gallery(run: RunFiles, embedder: ImageEmbedder, limit: int = MAX_GRIDS) -> Gallery:
    """Embeds up to ``limit`` sample grids of a run."""
    grids, unusable = [], []
    chosen = choose_steps(list(run.grids), limit)
    for step in chosen:
        try:
            grids.append(Grid(step, embedder.embed(run.grids[step], MAX_GRID_BYTES)))
        except UnusableImage as reason:
            unusable.append(f"images/{run.grids[step].name} {reason}")
    notes = []
    if not run.grids:
        notes.append(run.task.family.figures(run.config).grid.missing)
    if len(chosen) < len(run.grids):
        notes.append(f"{len(chosen)} of {len(run.grids):,} grids are in this page; all are in the folder images.")
    if unusable:
        more = f", and {len(unusable) - _MAX_NAMED} more" if len(unusable) > _MAX_NAMED else ""
        notes.append(f"Left out: {'; '.join(unusable[:_MAX_NAMED])}{more}.")
    return Gallery(tuple(grids), tuple(notes))


def list_figures(run: RunFiles) -> list[Figure]:
    """Returns the figures that the family declares, and whatever else lies in the folder ``figures``."""
    declared = run.task.family.figures(run.config).others
    names = {figure.file for figure in declared}
    others = [name for name in run.captions if f"{FIGURES}/{name}" not in names]
    return [*declared, *(Figure(f"{FIGURES}/{name}", name, "", f"{FIGURES}/{name} is missing.") for name in others)]


def build_pictures(run: RunFiles, figures: Sequence[Figure], embedder: ImageEmbedder) -> list[Picture]:
    """Embeds up to ``MAX_FIGURES`` figures; the others are named."""
    pictures = [build_picture(run, figure, embedder) for figure in figures[:MAX_FIGURES]]
    return pictures + [
        Picture(figure.title, "", None, f"{figure.file} is in the run's folder; this page holds {MAX_FIGURES} figures at most.")
        for figure in figures[MAX_FIGURES:]
    ]


def build_picture(run: RunFiles, figure: Figure, embedder: ImageEmbedder) -> Picture:
    """Embeds one figure, or says why it cannot."""
    path = run.path / figure.file
    caption = run.captions.get(path.name, "") if figure.file.startswith(f"{FIGURES}/") else ""
    if not path.exists():
        return Picture(figure.title, "", None, figure.missing)
    try:
        return Picture(figure.title, caption or figure.caption, embedder.embed(path, MAX_FIGURE_BYTES), "")
    except UnusableImage as reason:
        return Picture(figure.title, "", None, f"{figure.file} {reason}.")
