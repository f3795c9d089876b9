"""Synthetic digits 0 to 9, bright on dark or on patterns; each is a pure function of (seed, index)."""

import numpy as np
import tensorflow as tf

from pipelines.image_array import ImageArray
from pipelines.synthetic import SyntheticImages
from pipelines.synthetic.pen import Color, Pen, curve, ellipse, rgb
from pipelines.transforms import take_rows

# Each digit as strokes through these points; see pipelines.synthetic.pen for the units.
_STROKES: tuple[tuple[tuple[complex, ...], ...], ...] = (
    ((-18j, -9 - 12j, -11 + 0j, -8 + 13j, 18j, 9 + 12j, 11 + 0j, 8 - 13j, -18j),),
    ((-6 - 12j, 1 - 18j, 0j, 18j),),
    ((-10 - 11j, -3 - 18j, 8 - 15j, 8 - 6j, 0 + 6j, -10 + 17j), (-10 + 17j, 0 + 16.5j, 11 + 17j)),
    ((-9 - 15j, 0 - 18j, 9 - 13j, 6 - 4j, -2 - 1j), (-2 - 1j, 8 + 2j, 9 + 12j, -1 + 18j, -10 + 14j)),
    ((-2 - 18j, -7 - 6j, -11 + 5j), (-11 + 5j, 0 + 4.5j, 12 + 4j), (5 - 8j, 5 + 5j, 4 + 18j)),
    ((9 - 17j, 0 - 17j, -7 - 17j), (-7 - 17j, -8 - 9j, -9 - 3j), (-9 - 3j, 2 - 5j, 10 + 4j, 6 + 15j, -3 + 18j, -10 + 14j)),
    ((6 - 18j, -4 - 10j, -9 + 3j, -7 + 14j, 1 + 18j, 9 + 12j, 7 + 4j, -1 + 2j, -8 + 8j),),
    ((-11 - 16j, 0 - 16.5j, 10 - 17j), (10 - 17j, 3 - 2j, -3 + 18j)),
    ((7 - 14j, 0 - 18j, -7 - 13j, -4 - 4j, 5 + 3j, 9 + 11j, 1 + 18j, -8 + 12j, -4 + 3j, 4 - 4j, 7 - 14j),),
    ((8 - 8j, 4 - 1j, -5 - 2j, -8 - 10j, -1 - 18j, 7 - 15j, 8 - 8j), (8 - 10j, 7 + 4j, 4 + 18j)),
)


class SyntheticDigits(SyntheticImages):
    """The first ``count`` digits of ``draw_digit``; samples are like those of ``pipelines.labeled.LabeledImages``."""

    def __init__(self, count: int = 2000, size: int = 28, seed: int = 0):
        super().__init__(draw_digit, count, size, seed)
        self.labels = (np.arange(count) % 10).astype(np.uint8)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> dict[str, tf.Tensor]:
        """Returns "image": uint8 [n, size, size, 3], and "label": uint8 [n], for integers [n]."""
        return {"image": super().take(indices), "label": take_rows(self.labels.__getitem__, indices, self.labels.shape)}


def build_gray_digits() -> ImageArray:
    """Returns 2,000 of the digits in gray, uint8 [32, 32, 1] each, as a source without labels."""
    gray = SyntheticDigits(size=32).images.mean(axis=-1, keepdims=True)
    return ImageArray(np.rint(gray).astype(np.uint8), "synthetic")


def draw_digit(seed: int, index: int, size: int = 28) -> np.ndarray:
    """Renders image ``index`` of the endless set ``seed``, both from 0; it shows the digit ``index % 10``.

    Returns:
        uint8 [size, size, 3], in [0, 255]: half of them white on black as MNIST's, half in colors.
    """
    pen = Pen(np.random.default_rng((seed, index)), size)
    ink = _draw_background(pen)
    roll = np.deg2rad(pen.uniform(-14, 14))
    transform = pen.uniform(0.85, 1.15) * complex(np.cos(roll), np.sin(roll))
    pen.set_pose(transform, complex(pen.uniform(-4, 4), pen.uniform(-4, 4)))
    thickness, slant, narrow = pen.uniform(3, 7), pen.uniform(-0.25, 0.15), pen.uniform(0.75, 1.1)
    for stroke in _STROKES[index % 10]:
        points = np.array(stroke)
        inner = points[1:-1] + [complex(pen.uniform(-1.2, 1.2), pen.uniform(-1.2, 1.2)) for _ in stroke[1:-1]]
        line = curve(points[0], *inner, points[-1])
        line = narrow * line.real - slant * line.imag + 1j * line.imag
        pen.line(line, ink, thickness)
        for point in line[::3]:  # round ends and joints
            pen.fill(ellipse(point, thickness / 2, thickness / 2), ink)
    return pen.finish()


def _draw_background(pen: Pen) -> Color:
    """Fills the image, and returns a color that stands out against it."""
    if pen.chance(0.5):
        return (255, 255, 255)
    if pen.chance(0.5):
        pen.draw_background()
        return rgb(pen.uniform(0, 1), pen.uniform(0.3, 1), pen.uniform(0, 0.45))
    square = np.array((-32 - 32j, 32 - 32j, 32 + 32j, -32 + 32j))
    pen.fill(square, rgb(pen.uniform(0, 1), pen.uniform(0.3, 1), pen.uniform(0.05, 0.4)))
    return rgb(pen.uniform(0, 1), pen.uniform(0, 0.4), pen.uniform(0.8, 1))
