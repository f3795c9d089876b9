"""Curves of several runs side by side, for the pages of experiments."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gan_tf.curves import SMOOTHED_FROM, read_curves, running_mean
from gan_tf.utils.plots import default_style, to_png

_PANEL_WIDTH, _PANEL_HEIGHT, _DPI = 4.0, 2.2, 100  # inches; pixels of an inch


def read_run_curves(directory: Path) -> dict[str, np.ndarray]:
    """Returns the curves of a run or of the best weights in it, ``[points, 2]`` each; empty for weights without their run."""
    run = directory.parent if directory.name == "best" else directory
    return read_curves(run / "metrics.jsonl")


@default_style()
def render_curves_side_by_side(
    runs: Mapping[str, Path], panels: Mapping[str, Sequence[str]], share_scale: bool = True
) -> bytes | None:
    """Draws the curves of several runs: a row for each run, a column for each panel.

    Args:
        runs: the folders by label; those without curves are left out.
        panels: the names of the curves in each panel, by its title.
        share_scale: whether the panels of a column have the same scale, so that runs of one loss can be compared.

    Returns:
        A PNG image; None if no run has curves.
    """
    curves = {label: read_run_curves(directory) for label, directory in runs.items()}
    curves = {
        label: found for label, found in curves.items() if any(name in found for names in panels.values() for name in names)
    }
    if not curves:
        return None
    size = (_PANEL_WIDTH * len(panels), _PANEL_HEIGHT * len(curves) + 0.4)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots(len(curves), len(panels), sharex=True, sharey="col" if share_scale else False, squeeze=False)
    for row, (label, found) in enumerate(curves.items()):
        for column, (title, names) in enumerate(panels.items()):
            panel = axes[row, column]
            for number, name in enumerate(names):
                if name in found:
                    points = found[name]
                    shown = running_mean(points) if len(points) > SMOOTHED_FROM else points
                    panel.plot(*shown.T, color=f"C{number}", linewidth=1.2, label=name)
            panel.grid(color="0.9")
            panel.spines[["top", "right"]].set_visible(False)
            if row == 0:
                panel.set_title(title, fontsize=10)
                panel.legend(fontsize=8, frameon=False)
            if column == 0:
                panel.set_ylabel(label)
            if row == len(curves) - 1:
                panel.set_xlabel("step")
    return to_png(figure)
