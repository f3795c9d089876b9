"""Synthetic images of one or two colored shapes before a background; each is a pure function of (seed, index)."""

import numpy as np

from pipelines.synthetic import SyntheticImages
from pipelines.synthetic.pen import Pen, ellipse, rgb


class SyntheticShapes(SyntheticImages):
    """The first ``count`` images of ``draw_shapes``."""

    def __init__(self, count: int = 2000, size: int = 32, seed: int = 0):
        super().__init__(draw_shapes, count, size, seed)


def build_large_shapes() -> SyntheticShapes:
    """Returns 1,000 of the images at 64x64."""
    return SyntheticShapes(1000, 64)


def draw_shapes(seed: int, index: int, size: int = 32) -> np.ndarray:
    """Renders image ``index`` of the endless set ``seed``, both from 0.

    Returns:
        uint8 [size, size, 3], in [0, 255].
    """
    pen = Pen(np.random.default_rng((seed, index)), size)
    pen.draw_background()
    pen.set_pose(np.exp(1j * pen.uniform(0, 2 * np.pi)), complex(pen.uniform(-8, 8), pen.uniform(-8, 8)))
    for scale in (1.0, 0.5)[: 1 + pen.chance(0.5)]:
        color = rgb(pen.uniform(0, 1), pen.uniform(0.4, 1), pen.uniform(0.4, 1))
        width, height = scale * pen.uniform(10, 22), scale * pen.uniform(10, 22)
        if pen.chance(0.4):
            pen.fill(ellipse(0j, width, height), color)
        elif pen.chance(0.5):
            pen.fill(np.array([-width - height * 1j, width - height * 1j, width + height * 1j, -width + height * 1j]), color)
        else:
            pen.fill(np.array([-height * 1j, width + height * 1j, -width + height * 1j]), color)
    return pen.finish()
