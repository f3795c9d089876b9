"""A pen that renders synthetic images, and shapes for it.

Points are complex numbers x + iy in units of 1/64 of the image's size, with the origin in its center and y downwards; so a
pose (rotation, scale, translation) is one multiplication and one addition. A pen draws at four times the resolution and
averages down.
"""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]
_Item = TypeVar("_Item")
_CIRCLE = np.exp(2j * np.pi * np.arange(28) / 28)
_SUPERSAMPLING = 4


def rgb(hue: float, saturation: float, value: float) -> Color:
    """Returns a color in 0 to 255 from hue (periodic in 1), saturation and value (both clipped to [0, 1])."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, *np.clip((saturation, value), 0, 1).tolist())
    return round(255 * red), round(255 * green), round(255 * blue)


def mix(start: Color, end: Color, t: float) -> Color:
    """Returns the linear interpolation of two colors: ``start`` at t = 0, ``end`` at t = 1."""
    red, green, blue = (round(a + (b - a) * t) for a, b in zip(start, end, strict=True))
    return red, green, blue


@lru_cache(maxsize=64)
def _spline(count: int, closed: bool, parts: int = 6) -> np.ndarray:
    spans = count if closed else count - 1
    matrix = np.zeros((spans * parts + (not closed), count))
    for row in range(len(matrix)):
        span, t = divmod(row / parts, 1.0)
        weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3)
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            at = int(span) + offset
            matrix[row, at % count if closed else min(max(at, 0), count - 1)] += weight / 2
    return matrix


def curve(*points: complex) -> np.ndarray:
    """Returns an open Catmull-Rom curve through ``points``, as complex [6 * (points - 1) + 1]."""
    return _spline(len(points), False) @ np.array(points)


def blob(*points: complex) -> np.ndarray:
    """Returns a closed Catmull-Rom curve through ``points``, as complex [6 * points]."""
    return _spline(len(points), True) @ np.array(points)


def mirror(*right: complex) -> np.ndarray:
    """Returns the closed curve through the points of a right half, top to bottom, and their mirror images."""
    return blob(*right, *(-p.conjugate() for p in reversed(right) if p.real))


def ellipse(center: complex, width: float, height: float) -> np.ndarray:
    """Returns an upright ellipse with the given semi-axes, as complex [28]."""
    return center + width * _CIRCLE.real + 1j * height * _CIRCLE.imag


def zigzag(tips: Sequence[complex], notches: Sequence[complex]) -> np.ndarray:
    """Returns pointed strands side by side, as of hair, as an open line: first notch, tip, notch, tip … last notch.

    Each strand is curved to the side that its tip leans to: one edge is convex where the other is concave.
    """
    corners = np.array([p for pair in zip(notches, tips, strict=False) for p in pair] + [notches[-1]])
    start, end = corners[:-1, None], corners[1:, None]
    leans = corners[1::2] - (corners[:-2:2] + corners[2::2]) / 2
    side = np.repeat(np.sign(leans.real.round(3)), 2)
    side[1::2] *= -1
    across, along = (0.35 - 0.25 * side)[:, None], (0.45 + 0.2 * side)[:, None]
    across[1::2], along[1::2] = 1 - across[1::2], 1 - along[1::2]
    control = start.real + (end.real - start.real) * across + 1j * (start.imag + (end.imag - start.imag) * along)
    t = np.arange(6) / 6
    return np.append(((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end).ravel(), corners[-1])


class Pen:
    """Draws shapes in a pose on a square image, and holds the random generator that decides them.

    Args:
        rng: the generator of every random choice.
        size: height and width of the finished image in pixels.
    """

    def __init__(self, rng: np.random.Generator, size: int):
        self.rng = rng
        self._image = Image.new("RGB", (size * _SUPERSAMPLING, size * _SUPERSAMPLING))
        self._draw = ImageDraw.Draw(self._image)
        self._unit = size * _SUPERSAMPLING / 64
        self.set_pose(1, 0)

    def set_pose(self, transform: complex, shift: complex) -> None:
        """Lets shapes from now on be multiplied by ``transform`` (rotation and scale) and translated by ``shift``."""
        self._transform, self._shift = transform * self._unit, (shift + 32 + 32j) * self._unit

    def fill(self, points: np.ndarray, color: Color, edge: Color | None = None, width: float = 0.7) -> None:
        """Draws a filled polygon, with an outline of ``width`` if there is an ``edge`` color."""
        flat = self._flat(points)
        self._draw.polygon(flat, color)
        if edge is not None:
            self._draw.line(flat + flat[:4], edge, self._pixels(width))

    def line(self, points: np.ndarray, color: Color, width: float) -> None:
        """Draws an open line through ``points``."""
        self._draw.line(self._flat(points), color, self._pixels(width))

    def finish(self, gradient_x: float = 0.0, gradient_y: float = 0.0) -> np.ndarray:
        """Returns the image, averaged down: uint8 [size, size, 3].

        Its brightness is multiplied by a linear ramp along each axis, from 1 + gradient to 1 - gradient.
        """
        pixels = np.asarray(self._image.reduce(_SUPERSAMPLING))
        ramp = np.linspace(1, -1, len(pixels), dtype=np.float32)
        light = 1.0 + gradient_x * ramp[None, :, None] + gradient_y * ramp[:, None, None]
        return (pixels * light + 0.5).clip(0, 255).astype(np.uint8)

    def draw_background(self) -> None:
        """Fills the image with one of several pale patterns."""
        hue = self.uniform(0, 1)
        pale = rgb(hue, self.uniform(0, 0.16), 1.0)
        soft = rgb(hue + self.uniform(-0.1, 0.1), self.uniform(0.12, 0.35), 0.95)
        square = np.array((-32 - 32j, 32 - 32j, 32 + 32j, -32 + 32j))
        kind = self.pick(("plain", "white", "fade", "fade", "stripes", "dots", "sun"))
        self.fill(square, (255, 255, 255) if kind == "white" else pale)
        if kind == "fade":
            for band in range(16):
                self.fill(square.real + 1j * (square.imag / 16 - 30 + 4 * band), mix(pale, soft, band / 15))
        elif kind == "stripes":
            slant = np.array((0, 0, 1, 1)) * self.uniform(-20, 20)
            for x in range(-55, 60, 10):
                self.fill(square.real * 0.08 + 1j * square.imag + slant + x, mix(pale, soft, 0.6))
        elif kind == "dots":
            for _ in range(9):
                spot = ellipse(complex(self.uniform(-32, 32), self.uniform(-32, 32)), *[self.uniform(2, 7)] * 2)
                self.fill(spot, mix(pale, soft, self.uniform(0.3, 0.8)))
        elif kind == "sun":
            self.fill(ellipse(0, 30, 30), mix(pale, soft, 0.7))

    def uniform(self, low: float, high: float) -> float:
        """Returns a uniform random number in [low, high)."""
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        """Returns True with this probability."""
        return self.rng.random() < probability

    def pick(self, choices: Sequence[_Item]) -> _Item:
        """Returns one of the choices, all equally likely."""
        return choices[int(self.rng.random() * len(choices))]

    def _flat(self, points: np.ndarray) -> list[float]:
        return (points * self._transform + self._shift).view(np.float64).tolist()

    def _pixels(self, width: float) -> int:
        return max(1, round(width * abs(self._transform)))
