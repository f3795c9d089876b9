"""The pen that pictures are drawn with, and shapes for it.

Points are complex numbers x + iy in units of 1/64 of the picture's side, the origin in its centre, y downwards; so a
pose (turn, zoom, shift) is one multiplication and one addition. A pen draws four times too large and averages down.
"""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
_Item = TypeVar("_Item")
_CIRCLE = np.exp(2j * np.pi * np.arange(28) / 28)
_SUPER = 4


def rgb(hue: float, saturation: float, value: float) -> Colour:
    """A colour in 0..255 from hue (turns, any number), saturation and value (clipped to [0, 1])."""
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1.0, *np.clip((saturation, value), 0, 1).tolist()))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """The colour that lies ``share`` of the way from ``one`` to ``other``."""
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))


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
    """An open Catmull-Rom curve through ``points``, as complex [6 * (points - 1) + 1]."""
    return _spline(len(points), False) @ np.array(points)


def blob(*points: complex) -> np.ndarray:
    """A closed Catmull-Rom curve through ``points``, as complex [6 * points]."""
    return _spline(len(points), True) @ np.array(points)


def mirrored(*right: complex) -> np.ndarray:
    """The closed curve through the points of a right half, top to bottom, and their mirror images."""
    return blob(*right, *(-p.conjugate() for p in reversed(right) if p.real))


def ellipse(centre: complex, width: float, height: float) -> np.ndarray:
    """An upright ellipse with the given half axes, as complex [28]."""
    return centre + width * _CIRCLE.real + 1j * height * _CIRCLE.imag


def zigzag(tips: Sequence[complex], notches: Sequence[complex]) -> np.ndarray:
    """Pointed ends side by side, such as strands of hair, as an open line: first notch, tip, notch, tip … last notch.

    Each end hooks to the side its tip leans to: one edge is round where the other is hollow.
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
    """Draws posed shapes on a square picture, with the random numbers that decide them.

    Args:
        rng: what every choice is drawn from.
        size: side of the finished picture in pixels.
    """

    def __init__(self, rng: np.random.Generator, size: int):
        self.rng = rng
        self._image = Image.new("RGB", (size * _SUPER, size * _SUPER))
        self._draw = ImageDraw.Draw(self._image)
        self._unit = size * _SUPER / 64
        self.pose(1, 0)

    def pose(self, turn: complex, shift: complex) -> None:
        """What is drawn from now on is multiplied by ``turn`` (zoom and rotation) and moved by ``shift``."""
        self._turn, self._shift = turn * self._unit, (shift + 32 + 32j) * self._unit

    def fill(self, points: np.ndarray, colour: Colour, edge: Colour | None = None, width: float = 0.7) -> None:
        """A filled polygon, with an outline of ``width`` if it has an ``edge`` colour."""
        flat = self._flat(points)
        self._draw.polygon(flat, colour)
        if edge is not None:
            self._draw.line(flat + flat[:4], edge, self._pixels(width))

    def line(self, points: np.ndarray, colour: Colour, width: float) -> None:
        """An open line through ``points``."""
        self._draw.line(self._flat(points), colour, self._pixels(width))

    def finish(self, across: float = 0.0, down: float = 0.0) -> np.ndarray:
        """The picture averaged down: uint8 [size, size, 3]; its light falls off from edge to edge by these shares."""
        pixels = np.asarray(self._image.reduce(_SUPER))
        ramp = np.linspace(1, -1, len(pixels), dtype=np.float32)
        light = 1.0 + across * ramp[None, :, None] + down * ramp[:, None, None]
        return (pixels * light + 0.5).clip(0, 255).astype(np.uint8)

    def backdrop(self) -> None:
        """Covers the picture with one of several pale patterns."""
        hue = self.between(0, 1)
        pale = rgb(hue, self.between(0, 0.16), 1.0)
        soft = rgb(hue + self.between(-0.1, 0.1), self.between(0.12, 0.35), 0.95)
        square = np.array((-32 - 32j, 32 - 32j, 32 + 32j, -32 + 32j))
        kind = self.pick(("plain", "white", "fade", "fade", "stripes", "dots", "sun"))
        self.fill(square, (255, 255, 255) if kind == "white" else pale)
        if kind == "fade":
            for band in range(16):
                self.fill(square.real + 1j * (square.imag / 16 - 30 + 4 * band), mix(pale, soft, band / 15))
        elif kind == "stripes":
            slant = np.array((0, 0, 1, 1)) * self.between(-20, 20)
            for x in range(-55, 60, 10):
                self.fill(square.real * 0.08 + 1j * square.imag + slant + x, mix(pale, soft, 0.6))
        elif kind == "dots":
            for _ in range(9):
                spot = ellipse(complex(self.between(-32, 32), self.between(-32, 32)), *[self.between(2, 7)] * 2)
                self.fill(spot, mix(pale, soft, self.between(0.3, 0.8)))
        elif kind == "sun":
            self.fill(ellipse(0, 30, 30), mix(pale, soft, 0.7))

    def between(self, low: float, high: float) -> float:
        """A number drawn uniformly."""
        return low + (high - low) * self.rng.random()

    def chance(self, share: float) -> bool:
        """True in ``share`` of the draws."""
        return self.rng.random() < share

    def pick(self, choices: Sequence[_Item]) -> _Item:
        """One of the choices, all equally likely."""
        return choices[int(self.rng.random() * len(choices))]

    def _flat(self, points: np.ndarray) -> list[float]:
        return (points * self._turn + self._shift).view(np.float64).tolist()

    def _pixels(self, width: float) -> int:
        return max(1, round(width * abs(self._turn)))
