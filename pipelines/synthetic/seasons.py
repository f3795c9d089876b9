"""Synthetic landscapes in two seasons, for unpaired translation; each image is a pure function of (seed, index)."""

from dataclasses import dataclass

import numpy as np

from pipelines.synthetic import SyntheticImages
from pipelines.synthetic.pen import Color, Pen, ellipse, mix, rgb

_LEFT, _RIGHT, _BOTTOM = -36.0, 36.0, 34.0  # a little beyond the edges
_NUM_SUMMER, _NUM_WINTER = 120, 100  # two domains of different size
_WINTER_OFFSET = 1_000_000  # of the seed, so that no two landscapes are the same place


@dataclass(frozen=True)
class _Palette:
    """The colors of a season: top and bottom of the sky, mountains, meadow, trees."""

    sky: tuple[Color, Color]
    mountain: tuple[Color, Color]
    meadow: tuple[Color, Color]
    tree: tuple[Color, Color]


_SUMMER = _Palette(
    sky=(rgb(0.58, 0.65, 0.85), rgb(0.55, 0.25, 1.0)),
    mountain=(rgb(0.30, 0.30, 0.45), rgb(0.08, 0.30, 0.55)),
    meadow=(rgb(0.27, 0.75, 0.60), rgb(0.22, 0.65, 0.75)),
    tree=(rgb(0.33, 0.80, 0.35), rgb(0.28, 0.75, 0.45)),
)
_WINTER = _Palette(
    sky=(rgb(0.60, 0.20, 0.75), rgb(0.60, 0.06, 0.92)),
    mountain=(rgb(0.62, 0.15, 0.60), rgb(0.62, 0.08, 0.85)),
    meadow=(rgb(0.60, 0.03, 0.97), rgb(0.60, 0.08, 0.90)),
    tree=(rgb(0.60, 0.10, 0.55), rgb(0.60, 0.05, 0.80)),
)


class SyntheticSummer(SyntheticImages):
    """The first ``count`` green landscapes."""

    def __init__(self, count: int = _NUM_SUMMER, size: int = 286, seed: int = 0):
        super().__init__(draw_summer, count, size, seed)
        self.name = "synthetic-summer"


class SyntheticWinter(SyntheticImages):
    """The first ``count`` white landscapes."""

    def __init__(self, count: int = _NUM_WINTER, size: int = 286, seed: int = 0):
        super().__init__(draw_winter, count, size, seed)
        self.name = "synthetic-winter"


def draw_summer(seed: int, index: int, size: int) -> np.ndarray:
    """Renders summer landscape ``index`` of the endless set ``seed``, both from 0; uint8 [size, size, 3]."""
    return _draw(np.random.default_rng((seed, index)), size, _SUMMER)


def draw_winter(seed: int, index: int, size: int) -> np.ndarray:
    """Renders winter landscape ``index`` of the endless set ``seed``, both from 0; uint8 [size, size, 3]."""
    return _draw(np.random.default_rng((seed + _WINTER_OFFSET, index)), size, _WINTER)


def _draw(rng: np.random.Generator, size: int, palette: _Palette) -> np.ndarray:
    pen = Pen(rng, size)
    for band in range(20):
        top = -34.0 + 2.4 * band
        pen.fill(_below(np.array([top, top])), mix(*palette.sky, band / 19))
    pen.fill(ellipse(complex(pen.uniform(-28, 28), pen.uniform(-28, -18)), 3.0, 3.0), (255, 250, 225))
    for depth in range(2):
        heights = pen.uniform(-14, -4) + 7 * depth + np.cumsum(rng.normal(0.0, 2.5 - depth, 24))
        pen.fill(_below(heights - heights.mean() - 8 + 9 * depth), mix(*palette.mountain, pen.uniform(0, 1)))
    horizon = pen.uniform(8, 16)
    pen.fill(_below(horizon + 1.5 * np.sin(np.linspace(0, 4, 24) + pen.uniform(0, 6))), mix(*palette.meadow, pen.uniform(0, 1)))
    for _ in range(rng.integers(4, 12)):
        foot = complex(pen.uniform(-32, 32), pen.uniform(horizon, 30))
        _draw_tree(pen, foot, (foot.imag + 12) / 5, mix(*palette.tree, pen.uniform(0, 1)))
    return pen.finish(gradient_y=pen.uniform(-0.05, 0.05))


def _below(heights: np.ndarray) -> np.ndarray:
    """Returns the area below a line across the image, of which the heights are given from left to right."""
    line = np.linspace(_LEFT, _RIGHT, len(heights)) + 1j * heights
    return np.append(line, [complex(_RIGHT, _BOTTOM), complex(_LEFT, _BOTTOM)])


def _draw_tree(pen: Pen, foot: complex, scale: float, color: Color) -> None:
    """Draws a fir: a trunk and three triangles."""
    pen.line(foot + scale * np.array([0, -0.8j]), rgb(0.07, 0.5, 0.3), 0.3 * scale)
    for level in range(3):
        half, base = scale * (1.1 - 0.25 * level), foot - scale * 1j * (0.6 + 0.8 * level)
        pen.fill(np.array([base - half, base + half, base - scale * 1.4j]), mix(color, (0, 0, 0), 0.1 * level))
