"""The curves of a run as numbers: ``metrics.jsonl`` read, grouped into panels and thinned. Free of TensorFlow."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

METRICS = "metrics.jsonl"
SMOOTHED_FROM = 200  # points from which on a running mean is drawn
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
_ZERO_IF_UNUSED = "penalty"  # logged as zeros by a run without one
_NUM_BINS = 400  # of a thinned line; each bin gives its lowest and its highest point
_WINDOW = 0.03  # of the running mean, as a fraction of the points

Curves = dict[str, np.ndarray]
"""Curves by name, float64 ``[points, 2]``: step and value."""


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Returns the values of a line of ``metrics.jsonl``; None if it is not a JSON object with an integer "step"."""
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or brackets in brackets without end
        return None
    return values if isinstance(values, dict) and type(values.get("step")) is int else None


def read_curves(path: Path) -> Curves:
    """Returns the finite points of each curve of a ``metrics.jsonl``; lines that are damaged are skipped."""
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


def group_curves(curves: Curves) -> dict[str, Curves]:
    """Returns the curves of each panel, by its title."""
    panels: dict[str, Curves] = {title: {} for title, _ in _PANELS}
    for name, points in curves.items():
        if name == _ZERO_IF_UNUSED and not points[:, 1].any():
            continue
        title = next((title for title, pattern in _PANELS if re.fullmatch(pattern, name)), name)
        panels.setdefault(title, {})[name] = points
    return {title: panel for title, panel in panels.items() if panel}


def thin_curve(points: np.ndarray) -> np.ndarray:
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
