"""Hair of the synthetic anime faces: behind the head, in front of it, and its ornaments."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.synthetic.pen import Color, Pen, curve, ellipse, mix, rgb, zigzag

WHITE, INK = (255, 255, 255), (52, 36, 44)

_FRINGES = {  # strands, depth of notches, how far tips lean outwards, height of the tips at the parting and far from it
    "blunt": (8, 2.4, 0.0, -4.0, -3.5),
    "spiky": (6, 8.5, 1.0, 0.5, -2.5),
    "swept": (6, 5.0, 2.4, -9.0, 0.5),
    "parted": (6, 4.5, 2.2, -11.0, 2.0),
}


@dataclass(frozen=True)
class Look:
    """What several parts of one face have in common; ``turn`` in [-1, 1] is how far the head looks to the right."""

    hair: Color
    shade: Color
    outline: Color
    skin: Color
    shadow: Color
    contour: Color
    accent: Color
    style: str
    turn: float


def draw_back_hair(pen: Pen, look: Look) -> None:
    """Draws the hair behind the head, which depends on the style."""
    if look.style == "twin":
        high, swing = pen.uniform(-16, -4) * 1j, pen.uniform(-1, 5)
        outer: tuple[complex, ...] = (15 + high, 25 - 5j + high, 31 + swing + 12j + high, 30 + swing + 26j, 24 + swing + 42j)
        for side in (-1, 1):
            _tail(pen, look, outer, (24 + 26j, 21 + 14j + high, 15 + 2j + high), side)
    elif look.style == "pony":
        outer = (6 - 27j, 18 - 31j, 29 - 20j, 31 - 2j, 27 + 14j, 33 + 28j)
        _tail(pen, look, outer, (22 + 20j, 21 + 2j, 19 - 12j), pen.pick((-1, 1)))
    elif look.style == "buns":
        for side in (-1, 1):
            pen.fill(ellipse(side * 17 - 22j, 7.5, 7), look.hair, look.outline)
            pen.line(curve(side * 13 - 25j, side * 17 - 26j, side * 20 - 23j, side * 18 - 20j), look.shade, 0.8)
    wide = pen.uniform(20.5, 23)
    cap = curve(-wide + 2j, -wide - 12j, -15 - 26j, -29j, 15 - 26j, wide - 12j, wide + 2j)
    if look.style in ("long", "wavy"):
        flare, wave = pen.uniform(0, 4), 2.2 if look.style == "wavy" else 0.3
        right = curve(wide + 2j, *(complex(wide + flare * k / 4 + wave * (-1) ** k, 4 + 7 * k) for k in range(6)))
        rest = np.concatenate((right, -right[::-1].conjugate()))
    else:
        spread, low = {"short": (0.93, 10), "bob": (0.97, 18), "medium": (1.1, 25)}.get(look.style, (0.9, 12))
        rest = _ends(pen, wide * spread, low + pen.uniform(-2, 2))
    pen.fill(np.concatenate((cap, rest)), look.shade, look.outline)
    if look.style in ("long", "wavy"):
        for x in (-19, -16, -13, 13, 16, 19):
            pen.line(curve(x - 2j, x * 1.03 + 14j, x * 1.1 + 34j), look.outline, 0.35)
    elif look.style == "wild":
        pen.fill(_spikes(pen), look.hair, look.outline)


def _ends(pen: Pen, width: float, bottom: float) -> np.ndarray:
    """The lower edge of hair that hangs behind the head, right to left."""
    xs = np.linspace(width, -width, 8)
    notches = [complex(x, bottom - 4.5 * pen.uniform(0.7, 1.3)) for x in xs]
    tips = [complex(1.06 * (a + b) / 2, bottom + pen.uniform(-1, 1)) for a, b in pairwise(xs)]
    return zigzag(tips, notches)


def _spikes(pen: Pen) -> np.ndarray:
    """Hair that stands off around the head, from ear to ear."""
    angles = np.linspace(-2.05, 2.05, 10)
    notches = 20 * np.sin(angles) - 20j * np.cos(angles) - 6j
    angles = (angles[:-1] + angles[1:]) / 2
    angles += 0.1 * np.sign(angles)
    tips = [complex(pen.uniform(26, 30) * np.sin(a), -pen.uniform(25, 29) * np.cos(a) - 5) for a in angles]
    return zigzag(tips, list(notches))


def _tail(pen: Pen, look: Look, outer: tuple[complex, ...], inner: tuple[complex, ...], side: int) -> None:
    shape = np.concatenate((curve(*outer), curve(outer[-1], *inner)))
    shape = shape if side > 0 else -shape.conjugate()
    pen.fill(shape, look.hair, look.outline)
    middle = shape.mean()
    pen.fill(middle + (shape - middle) * 0.5 - side * 1.5, look.shade)
    pen.fill(ellipse(shape[0] + side * 2.5, 2.6, 2.6), look.accent, mix(look.accent, INK, 0.5), 0.5)


def build_fringe(pen: Pen, look: Look) -> tuple[np.ndarray, list[tuple[complex, complex]]]:
    """Returns the outline of the hair in front, and for each parting between its strands (root, notch)."""
    kind = "spiky" if look.style == "wild" else pen.pick(("blunt", "spiky", "swept", "swept", "parted"))
    count, depth, lean, near, far = _FRINGES[kind]
    low, side = pen.uniform(-1.5, 1), pen.pick((-1, 1))
    part = side * {"blunt": 0.0, "swept": pen.uniform(6, 11), "parted": pen.uniform(0, 2)}.get(kind, pen.uniform(0, 5))
    left = round((part + 17.5) / 35 * count)
    xs = np.concatenate((np.linspace(-17.5, part, left, endpoint=False), np.linspace(part, 17.5, count - left + 1)))

    def height(x: float) -> float:
        return low + near + (far - near) * (abs(x - part) / (17.5 + abs(part))) ** 0.7

    notches = [complex(x, height(x) - depth * pen.uniform(0.8, 1.2)) for x in xs]
    notches[0], notches[-1] = -18.5 - 3j, 18.5 - 3j
    middles = (xs[:-1] + xs[1:]) / 2
    middles += lean * np.sign(middles - part)
    tips = [complex(x, height(x) + pen.uniform(-0.2, 0.2) * depth) for x in middles]
    cap = curve(19.5 - 1j, 21 - 12j, 14.5 - 25.5j, -29.5j, -14.5 - 25.5j, -21 - 12j, -19.5 - 1j)
    partings = [(complex(part * 0.7 + n.real * 0.25, -28 + abs(n.real) * 0.15), n) for n in notches[1:-1]]
    return np.concatenate((cap, zigzag(tips, notches))), partings


def draw_front_hair(pen: Pen, look: Look, fringe: np.ndarray, partings: list[tuple[complex, complex]]) -> None:
    """Draws the fringe, side locks and highlights, in front of the face."""
    shortest, longest = {"short": (4, 10), "wild": (4, 10), "long": (20, 34), "wavy": (20, 34)}.get(look.style, (8, 22))
    length, lock = pen.uniform(shortest, longest) * 1j, pen.uniform(3.4, 5.4)
    for side in (-1, 1):
        tip = side * (18 - 0.04 * length.imag) + length
        outer = curve(side * 19.5 - 8j, side * 20.2 + 2j, side * 19.6 + length * 0.6, tip)
        inner = curve(tip, side * (19.8 - lock) + length * 0.45, side * (18.6 - lock) - 2j, side * 15 - 9j)
        pen.fill(np.concatenate((outer, inner)), look.hair, look.outline, 0.6)
        pen.line(curve(side * 18.5 - 4j, side * 18.6 + length * 0.3, tip), look.shade, 0.6)
    pen.fill(fringe, look.hair, look.outline, 0.6)
    for root, notch in partings:
        middle = (root + notch) / 2 + notch.real * 0.25
        left, right = curve(root, middle - 0.2, notch - 1.5), curve(notch + 1.5, middle + 0.3, root)
        pen.fill(np.concatenate((left, right)), look.shade)
    if pen.chance(0.7):
        top = curve(-15 + 4j, -8, -1j, 8, 15 + 4j) + 1j * pen.uniform(-20, -16)
        teeth = 1j * np.where(np.arange(len(top)) % 4 < 2, 1.2, 2.6)
        pen.fill(np.concatenate((top, (top + teeth)[::-1])), mix(look.hair, WHITE, 0.45))


def draw_ornament(pen: Pen, look: Look) -> None:
    """Draws a bow, a flower, a clip or another ornament, or none."""
    color, side = rgb(pen.uniform(0, 1), 0.65, 0.92), pen.pick((-1, 1))
    edge = mix(color, INK, 0.5)
    kind = pen.pick(("none", "none", "none", "pin", "bow", "band", "flower", "ears", "ahoge"))
    if kind == "pin":
        for down in (0, 2.4j):
            pen.line(np.array((side * 11 - 10j, side * 16 - 11.5j)) + down, color, 1.3)
    elif kind == "bow":
        knot = side * 15 - 22j
        for wing in (-6.5, 6.5):
            pen.fill(knot + np.array((0, wing - 4j, wing + 4j)), color, edge)
        pen.fill(ellipse(knot, 1.7, 1.7), color, edge)
    elif kind == "band":
        arc = curve(-20 - 9j, -14 - 21j, -25j, 14 - 21j, 20 - 9j)
        pen.line(arc, edge, 3.4)
        pen.line(arc, color, 2.4)
    elif kind == "flower":
        heart = side * 15.5 - 15j
        for petal in 2.7 * np.exp(2j * np.pi * np.arange(5) / 5):
            pen.fill(ellipse(heart + petal, 2.1, 2.1), color, edge, 0.4)
        pen.fill(ellipse(heart, 1.5, 1.5), (255, 226, 120))
    elif kind == "ears":
        for ear in (-1, 1):
            pen.fill(np.array((ear * 7 - 26j, ear * 17 - 36j, ear * 20 - 19j)), look.hair, look.outline)
            pen.fill(np.array((ear * 10.5 - 26j, ear * 16 - 32j, ear * 17.5 - 22j)), (250, 190, 190))
    elif kind == "ahoge":
        wisp = curve(-27j, side * 3 - 33j, side * 9 - 33j, side * 12 - 28j)
        pen.line(wisp, look.outline, 2.2)
        pen.line(wisp, look.hair, 1.3)
