"""The curves of a run as one picture, ``curves.png``, drawn from its ``metrics.jsonl``."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from gan_tf.curves import SMOOTHED_FROM, Curves, group_curves, read_curves, running_mean, thin_curve
from gan_tf.utils.files import write_atomic
from gan_tf.utils.plots import default_style, to_png

_LOWEST_IS_BEST = "fid_train"  # decides which weights are kept in RUN/best
_MAX_MARKERS = 40  # points
_DPI, _WIDTH, _COLUMNS = 100, 12.0, 2  # the width in inches: 1200 pixels
_PLOT_HEIGHT, _ABOVE, _BELOW, _LEFT, _RIGHT = 2.1, 0.6, 0.5, 0.7, 0.4  # inches of a panel


def write_curves(run_folder: Path) -> None:
    """Writes ``curves.png`` beside ``metrics.jsonl``, unless there is no point to draw.

    Raises:
        UserError: it cannot be written.
    """
    image = render_curves(Path(run_folder) / "metrics.jsonl")
    if image is not None:
        write_atomic(Path(run_folder) / "curves.png", image)


@default_style()
def render_curves(metrics_path: Path) -> bytes | None:
    """Draws all curves of a ``metrics.jsonl``, those that belong together in one panel; lines that are damaged are skipped.

    Returns:
        A PNG image 1200 pixels wide; None if there is no point to draw.
    """
    curves = read_curves(metrics_path)
    panels = group_curves(curves)
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
    return to_png(figure)


def _draw_panel(axes: Axes, title: str, curves: Curves) -> None:
    """Draws the curves of one panel: their points, and in front of them the running mean of those that have many."""
    for number, (name, points) in enumerate(curves.items()):
        color, label = f"C{number}", _plain(name)
        if len(points) > SMOOTHED_FROM:
            axes.plot(*thin_curve(points).T, color=color, linewidth=0.6, alpha=0.35, zorder=2)
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
