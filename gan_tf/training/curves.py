"""The curves of a run as one picture, ``curves.png``, drawn from its ``metrics.jsonl``."""

import io
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from gan_tf.training.loggers import parse_line
from gan_tf.utils.files import write_atomic

# Title of a panel, and the names of the curves in it. Any other curve has a panel of its own.
_PANELS = [
    ("Losses", r"(.+_)?loss"),
    ("Mean output of the discriminator", r"d_(real|fake)(_.+)?"),
    ("Accuracy: fraction of images classified correctly", r"(.+_)?accuracy(_.+)?"),
    ("Gradient norms", r"(.+_)?gradient_norm"),
    ("Gradient penalty, before its weight", r"penalty"),
    ("FID against training images (lower is better)", r"fid_train(_.+)?"),
    ("KID against training images (lower is better)", r"kid_train(_.+)?"),
    ("Diversity: distance to the nearest sample, of real images 1", r"sample_diversity"),
    ("Correlation of brightness between images and their translations", r"luminance_correlation_.+"),
    ("Epochs", r"epoch_.+"),
]
_LOWEST_IS_BEST = "fid_train"  # decides which weights are kept in RUN/best
_ZERO_IF_UNUSED = "penalty"  # logged as zeros by a run without one
_MAX_MARKERS, _SMOOTHED_FROM = 40, 200  # points
_NUM_BINS = 400  # of a thinned line; each bin gives its lowest and its highest point
_WINDOW = 0.03  # of the running mean, as a fraction of the points
_DPI, _WIDTH, _COLUMNS = 100, 12.0, 2  # the width in inches: 1200 pixels
_PLOT_HEIGHT, _ABOVE, _BELOW, _LEFT, _RIGHT = 2.1, 0.6, 0.5, 0.7, 0.4  # inches of a panel

_Curves = dict[str, np.ndarray]


def write_curves(run_folder: Path) -> None:
    """Writes ``curves.png`` beside ``metrics.jsonl``, unless there is no point to draw.

    Raises:
        UserError: it cannot be written.
    """
    image = render_curves(Path(run_folder) / "metrics.jsonl")
    if image is not None:
        write_atomic(Path(run_folder) / "curves.png", image)


def render_curves(metrics_path: Path) -> bytes | None:
    """Draws all curves of a ``metrics.jsonl``, those that belong together in one panel; lines that are damaged are skipped.

    Returns:
        A PNG image 1200 pixels wide; None if there is no point to draw.
    """
    curves = read_curves(metrics_path)
    panels = _group(curves)
    if not panels:
        return None
    last_step = max(points[:, 0].max() for points in curves.values())
    rows = -(-len(panels) // _COLUMNS)
    height = rows * (_ABOVE + _PLOT_HEIGHT + _BELOW)
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    plot_width = _WIDTH / _COLUMNS - _LEFT - _RIGHT
    grid = figure.add_gridspec(  # fixed margins, since a layout that is computed from the texts takes longer
        rows,
        _COLUMNS,
        left=_LEFT / _WIDTH,
        right=1 - _RIGHT / _WIDTH,
        bottom=_BELOW / height,
        top=1 - _ABOVE / height,
        wspace=(_LEFT + _RIGHT) / plot_width,
        hspace=(_ABOVE + _BELOW) / _PLOT_HEIGHT,
    )
    for number, (title, panel) in enumerate(panels.items()):
        row, column = divmod(number, _COLUMNS)
        is_alone = column == 0 and number == len(panels) - 1
        axes = figure.add_subplot(grid[row, :] if is_alone else grid[row, column])
        _draw_panel(axes, title, panel)
        axes.set_xlim(-0.02 * last_step, 1.02 * max(1, last_step))  # the same in all panels, so that they can be compared
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_png(data)
    return data.getvalue()


def read_curves(path: Path) -> _Curves:
    """Returns the finite points of each curve, float64 ``[points, 2]``: step and value."""
    points: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        values = parse_line(line)
        if values is not None:
            step = _number(values.pop("step"))
            for name, value in values.items():
                points.setdefault(name, []).append((step, _number(value)))
    arrays = {name: np.array(pairs) for name, pairs in points.items()}
    finite = {name: array[np.isfinite(array).all(axis=1)] for name, array in arrays.items()}
    return {name: array for name, array in finite.items() if len(array)}


def _number(value: Any) -> float:
    """Returns a number of a JSON file; NaN for whatever else stands there."""
    try:
        return float(value) if isinstance(value, int | float) else np.nan
    except OverflowError:
        return np.nan


def _group(curves: _Curves) -> dict[str, _Curves]:
    """Returns the curves of each panel, by its title."""
    panels: dict[str, _Curves] = {title: {} for title, _ in _PANELS}
    for name, points in curves.items():
        if name == _ZERO_IF_UNUSED and not points[:, 1].any():
            continue
        title = next((title for title, pattern in _PANELS if re.fullmatch(pattern, name)), name)
        panels.setdefault(title, {})[name] = points
    return {title: panel for title, panel in panels.items() if panel}


def _draw_panel(axes: Axes, title: str, curves: _Curves) -> None:
    """Draws the curves of one panel: their points, and in front of them the running mean of those that have many."""
    for number, (name, points) in enumerate(curves.items()):
        color, label = f"C{number}", _plain(name)
        if len(points) > _SMOOTHED_FROM:
            axes.plot(*_thin(points).T, color=color, linewidth=0.6, alpha=0.35, zorder=2)
            axes.plot(*running_mean(points).T, color=color, linewidth=1.8, zorder=3, label=label)
        else:
            marker = "o" if len(points) <= _MAX_MARKERS else ""
            axes.plot(*points.T, color=color, linewidth=1.4, marker=marker, markersize=4, zorder=3, label=label)
        if name == _LOWEST_IS_BEST:
            _mark_lowest(axes, points)
    axes.set_title(_plain(title), loc="left", pad=24, fontsize=11, fontweight="bold")
    handles, _ = axes.get_legend_handles_labels()
    # Above the curves, so that it hides none of them.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=len(handles), frameon=False, fontsize=9)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def _plain(text: str) -> str:
    """Returns a text in which Matplotlib finds no formula."""
    return text.replace("$", r"\$")


def _mark_lowest(axes: Axes, points: np.ndarray) -> None:
    """Marks the lowest point of a curve."""
    step, value = points[points[:, 1].argmin()]
    label = f"lowest: {value:.1f} at step {step:,.0f}"
    axes.plot(step, value, linestyle="", marker="*", markersize=13, color="C3", zorder=4, label=label)


def _thin(points: np.ndarray) -> np.ndarray:
    """Returns the lowest and the highest point of each bin, so that no spike is lost; short curves stay as they are."""
    if len(points) <= 2 * _NUM_BINS:
        return points
    edges = np.linspace(0, len(points), _NUM_BINS + 1).astype(int)
    extremes = []
    for start, end in itertools.pairwise(edges):
        values = points[start:end, 1]
        extremes += [start + values.argmin(), start + values.argmax()]
    return points[np.unique(extremes)]


def running_mean(points: np.ndarray) -> np.ndarray:
    """Returns the mean of the values around at most ``_NUM_BINS`` points; near the ends, of fewer values."""
    half = max(1, round(0.5 * _WINDOW * len(points)))
    centers = np.unique(np.linspace(0, len(points) - 1, _NUM_BINS).astype(int))
    means = [points[max(0, center - half) : center + half + 1, 1].mean() for center in centers]
    return np.stack([points[centers, 0], means], axis=1)
