"""Curves as charts of a page: thinned points as plain numbers, which JavaScript draws, and a table of what they reach."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_tf.curves import SMOOTHED_FROM, Curves, group_curves, running_mean, thin_curve

_DIGITS = 6  # of a number in a page


def build_charts(curves: Curves) -> list[dict[str, Any]]:
    """Returns a chart for each panel of ``curves.png``, with its lines; see ``_line``."""
    return [
        {"title": title, "lines": [_line(name, points, color) for color, (name, points) in enumerate(panel.items())]}
        for title, panel in group_curves(curves).items()
    ]


def build_comparison_charts(runs: Mapping[str, Curves]) -> list[dict[str, Any]]:
    """Returns a chart for each curve that any run has, with a line for each run that has it; scores come first."""
    panels: dict[str, list[str]] = {}
    for curves in runs.values():
        for title, panel in group_curves(curves).items():
            panels.setdefault(title, []).extend(name for name in panel if name not in panels.get(title, []))
    titles = sorted(panels, key=lambda title: "lower is better" not in title)
    return [
        {
            "title": name if name == title else f"{title}: {name}",
            "lines": [_line(run, curves[name], color) for color, (run, curves) in enumerate(runs.items()) if name in curves],
        }
        for title in titles
        for name in panels[title]
    ]


def _line(name: str, points: np.ndarray, color: int) -> dict[str, Any]:
    """Returns a line: thinned points, the running mean of many points, and its lowest, highest and last point.

    Args:
        name: of the line.
        points: float64 ``[points, 2]``: step and value, at least one.
        color: its number.
    """
    points = _in_order(points)
    lowest, highest = points[points[:, 1].argmin()], points[points[:, 1].argmax()]
    return {
        "name": name,
        "color": color,
        "points": _plain(thin_curve(points)),
        "mean": _plain(running_mean(points)) if len(points) > SMOOTHED_FROM else None,
        "last": _point(points[-1]),
        "lowest": _point(lowest),
        "highest": _point(highest),
    }


def _in_order(points: np.ndarray) -> np.ndarray:
    """Returns points in the order of their steps, each step once: a chart needs that, and a damaged log may lack it."""
    _, last = np.unique(points[::-1, 0], return_index=True)
    return points[::-1][last]


def _plain(points: np.ndarray) -> list[list[float]]:
    """Returns the steps and the values, as numbers that are short in JSON."""
    return [[int(step) for step in points[:, 0]], [_shortened(value) for value in points[:, 1]]]


def _point(point: np.ndarray) -> dict[str, float]:
    return {"step": int(point[0]), "value": _shortened(point[1])}


def _shortened(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
