"""Synthetic anime faces: hair, eyes, mouth, clothes and pose are a pure function of (seed, index)."""

import numpy as np

from pipelines.synthetic import SyntheticImages
from pipelines.synthetic.anime_hair import INK, WHITE, Look, build_fringe, draw_back_hair, draw_front_hair, draw_ornament
from pipelines.synthetic.pen import Color, Pen, blob, curve, ellipse, mirror, mix, rgb

_HAIRS = (  # hue, saturation, value
    (0.12, 0.40, 0.98), (0.10, 0.55, 0.93), (0.07, 0.55, 0.62), (0.06, 0.62, 0.42), (0.65, 0.38, 0.32),
    (0.62, 0.10, 0.90), (0.94, 0.38, 0.97), (0.98, 0.68, 0.82), (0.55, 0.45, 0.86), (0.48, 0.48, 0.70),
    (0.76, 0.36, 0.80), (0.04, 0.65, 0.92), (0.34, 0.38, 0.66), (0.61, 0.58, 0.75),
)  # fmt: skip
_IRISES = (
    (0.38, 0.75, 0.62), (0.58, 0.75, 0.88), (0.07, 0.75, 0.60), (0.98, 0.75, 0.80), (0.77, 0.55, 0.80),
    (0.12, 0.80, 0.88), (0.50, 0.75, 0.74), (0.65, 0.70, 0.66),
)  # fmt: skip
_SKINS = (
    (0.070, 0.10, 1.0), (0.065, 0.13, 1.0), (0.060, 0.16, 1.0), (0.055, 0.19, 0.99), (0.065, 0.15, 1.0),
    (0.070, 0.26, 0.96), (0.060, 0.40, 0.82),
)  # fmt: skip
_CLOTHES = (
    (0.62, 0.55, 0.38), (0.98, 0.70, 0.75), (0.0, 0.0, 0.97), (0.0, 0.0, 0.25), (0.55, 0.35, 0.85),
    (0.13, 0.45, 0.97), (0.93, 0.30, 0.97), (0.38, 0.35, 0.62), (0.75, 0.35, 0.70),
)  # fmt: skip
_STYLES = (
    "short", "short", "bob", "bob", "medium", "medium", "long", "long", "wavy", "twin", "twin", "pony", "buns",
    "wild", "wild",
)  # fmt: skip


class SyntheticFaces(SyntheticImages):
    """The first ``count`` faces of ``draw_face``, about 2 ms each."""

    def __init__(self, count: int = 4000, size: int = 64, seed: int = 0):
        super().__init__(draw_face, count, size, seed)


def draw_face(seed: int, index: int, size: int = 64) -> np.ndarray:
    """Renders face ``index`` of the endless set ``seed``, both from 0.

    Returns:
        uint8 [size, size, 3], in [0, 255].
    """
    pen = Pen(np.random.default_rng((seed, index)), size)
    look = _sample_look(pen)
    pen.draw_background()
    roll = np.deg2rad(pen.uniform(-9, 9))
    transform = pen.uniform(1.0, 1.16) * complex(np.cos(roll), np.sin(roll))
    pen.set_pose(transform, complex(pen.uniform(-2, 2), pen.uniform(-2.5, 1.5)))
    draw_back_hair(pen, look)
    _draw_body(pen, look)
    _draw_head(pen, look)
    fringe, partings = build_fringe(pen, look)
    pen.fill(fringe.real * 0.86 + 1j * (fringe.imag + 2.4), look.shadow)
    _draw_mouth(pen, look)
    _draw_eyes(pen, look)
    draw_front_hair(pen, look, fringe, partings)
    draw_ornament(pen, look)
    return pen.finish(pen.uniform(-0.1, 0.1), pen.uniform(0.02, 0.12))


def _sample_look(pen: Pen) -> Look:
    hue, saturation, value = (c + pen.uniform(-d, d) for c, d in zip(pen.pick(_HAIRS), (0.02, 0.06, 0.04), strict=True))
    skin_hue, skin_saturation, skin_value = pen.pick(_SKINS)
    return Look(
        hair=rgb(hue, saturation, value),
        shade=rgb(hue - 0.02, saturation * 1.1 + 0.10, value * 0.80),
        outline=rgb(hue - 0.03, saturation * 0.9 + 0.22, value * 0.45),
        skin=rgb(skin_hue, skin_saturation, skin_value),
        shadow=rgb(skin_hue - 0.025, skin_saturation + 0.12, skin_value * 0.93),
        contour=rgb(skin_hue - 0.04, skin_saturation * 0.7 + 0.32, skin_value * 0.62),
        accent=rgb(*pen.pick(_CLOTHES)),
        style=pen.pick(_STYLES),
        turn=pen.uniform(-1, 1),
    )


def _draw_body(pen: Pen, look: Look) -> None:
    pen.fill(np.array((-5.5 + 12j, 5.5 + 12j, 6.5 + 28j, -6.5 + 28j)), look.skin, look.contour, 0.5)
    pen.fill(mirror(12j, 6 + 14j, 5.5 + 20j, 24j), look.shadow)
    shoulders = mirror(24.5j, 6 + 24.5j, 14 + 26.5j, 24 + 29j, 30 + 36j, 32 + 48j)
    cloth, fold = look.accent, mix(look.accent, (70, 50, 90), 0.35)
    kind = pen.pick(("sailor", "shirt", "high", "bare", "round", "round"))
    if kind == "bare":
        pen.fill(shoulders, look.skin, look.contour, 0.5)
        pen.fill(mirror(34j, 10 + 33j, 16 + 29j, 19 + 29j, 22 + 48j), cloth, fold, 0.6)
        return
    pen.fill(shoulders, cloth, fold, 0.7)
    if kind == "high":
        pen.fill(mirror(21j, 7 + 20j, 8 + 26j, 28j), cloth, fold, 0.7)
    elif kind == "round":
        pen.fill(np.array((-6 + 24j, 6 + 24j, 4 + 27.5j, 28j)), look.skin)
        pen.line(curve(-7 + 24j, -4 + 27.5j, 28.3j, 4 + 27.5j, 7 + 24j), mix(cloth, WHITE, 0.6), 1.2)
    else:
        pen.fill(np.array((-6 + 24j, 6 + 24j, 32j)), look.skin)
        collar, bow = WHITE if kind == "shirt" else mix(cloth, (30, 40, 90), 0.6), rgb(pen.uniform(0, 1), 0.7, 0.85)
        for side in (-1, 1):
            pen.fill(np.array((side * 5 + 22j, side * 14 + 26j, side * 9 + 34j, 33j)), collar, fold, 0.6)
        for side in (-1, 1):
            pen.fill(np.array((31j, side * 7 + 28j, side * 7 + 35j)), bow, mix(bow, INK, 0.5), 0.5)


def _draw_head(pen: Pen, look: Look) -> None:
    if look.style in ("short", "pony", "buns", "twin", "wild"):
        for side in (-1, 1):
            pen.fill(ellipse(side * 17.2 + 4j, 2.6, 4.4), look.skin, look.contour, 0.6)
            pen.line(curve(side * 17 + 2j, side * 18.4 + 3j, side * 17.4 + 6j), look.shadow, 0.8)
    jaw, chin = pen.uniform(13.2, 15.2), pen.uniform(19, 21) * 1j
    face = mirror(-20j, 12 - 17j, 16.8 - 6j, 16.9 + 3j, jaw + 10j, jaw * 0.62 + 16j, 3 - 0.5j + chin, chin)
    # The chin goes with the features when the head turns, the crown stays.
    pen.fill(face + look.turn * (face.imag + 20) / 25, look.skin, look.contour)
    strength = pen.pick((0.0, 0.12, 0.2, 0.32))
    for side in (-1, 1):
        for radius_factor in (0.35, 0.7, 1.0):
            spot = ellipse(side * 10.6 + look.turn * 2.4 + 9.3j, 4.4 - 2.2 * radius_factor, 2.7 - 1.4 * radius_factor)
            pen.fill(spot, mix(look.skin, (255, 140, 140), strength * radius_factor))
    nose = look.turn * 3.2 + 8.6j
    pen.fill(np.array((nose, nose + look.turn + 0.9j, nose + 1.3j)), look.shadow, mix(look.shadow, look.contour, 0.5), 0.3)


def _draw_mouth(pen: Pen, look: Look) -> None:
    center, wide = look.turn * 2.7 + 1j * pen.uniform(13.0, 14.2), pen.uniform(2.2, 4.2)
    dark, inside = mix(look.contour, INK, 0.45), (176, 62, 70)
    kind = pen.pick(("smile", "smile", "smile", "open", "open", "small", "flat", "cat"))
    if kind == "open":
        deep = pen.uniform(2.4, 4.2) * 1j
        lips = blob(-wide - 0.4j, 0.2j, wide - 0.4j, wide * 0.6 + deep * 0.7, deep, -wide * 0.6 + deep * 0.7)
        pen.fill(center + lips, inside, dark, 0.5)
        pen.fill(ellipse(center + 0.72 * deep, wide * 0.5, deep.imag * 0.25), (238, 130, 130))
    elif kind == "small":
        pen.fill(ellipse(center + 0.5j, pen.uniform(0.9, 1.6), pen.uniform(0.9, 1.5)), inside, dark, 0.5)
    elif kind == "cat":
        pen.line(center + wide * curve(-0.8, -0.4 + 0.35j, 0, 0.4 + 0.35j, 0.8), dark, 0.75)
    else:
        sag = pen.uniform(0.7, 1.6) if kind == "smile" else pen.uniform(-0.5, 0.2)
        pen.line(center + curve(-wide - 0.3j * sag, 1j * sag, wide - 0.3j * sag), dark, 0.75)


def _draw_eyes(pen: Pen, look: Look) -> None:
    hue, saturation, value = pen.pick(_IRISES)
    hue += pen.uniform(-0.03, 0.03)
    irises = rgb(hue, saturation, value), rgb(hue - 0.02, saturation, value * 0.42), rgb(hue + 0.03, saturation / 2, 1)
    wide, tall, gap = pen.uniform(5.0, 6.2), pen.uniform(4.6, 6.2), pen.uniform(9.2, 10.2)
    tilt, flat, high = pen.uniform(-0.7, 1.1), pen.uniform(1.9, 3.2), pen.uniform(1.0, 2.2)
    light, spark = pen.pick((-1, 1)), pen.uniform(1.1, 1.8)
    frown, lift = pen.uniform(-1.4, 1.6), pen.uniform(2.2, 4.2)
    lash, brow = mix(look.outline, INK, 0.75), mix(look.outline, INK, 0.2)
    out = np.linspace(-1, 1, 15)  # from the inner to the outer corner
    for side in (-1, 1):
        across = wide * (1 - 0.15 * max(0.0, side * look.turn))  # the far eye is narrower
        center = complex(side * gap + look.turn * 2.6, high)
        upper = side * across * out - 1j * (tall * (1 - np.abs(out) ** flat) + tilt * out)
        lower = side * across * out + 1j * (0.82 * tall * (1 - np.abs(out) ** 3) - tilt * out)
        middle, radius = look.turn * 0.8 - 0.2j, (0.66 * across, 1.02 * tall)
        _draw_eyeball(pen, center, (upper, lower), (middle, *radius), irises)
        for sign, scale in ((1, 1.0), (-1, 0.45)):
            glint = middle + sign * light * 0.4 * radius[0] - sign * 0.45j * radius[1]
            pen.fill(center + ellipse(glint, spark * scale, spark * scale * 1.1), WHITE)
        wing = upper[-1] + complex(side * 1.5, -1.5)
        pen.fill(center + np.concatenate((upper - 1j * (1.3 + 0.55 * out), [wing], upper[::-1] + 0.35j)), lash)
        pen.line(center + lower[6:], mix(lash, look.contour, 0.4), 0.5)
        pen.line(center + upper[3:12] - 2.3j, look.contour, 0.4)
        ends = (complex(-0.75 * side * across, frown), -0.9j, complex(0.9 * side * across, -0.3 * frown))
        pen.line(center - 1j * (tall + lift) + curve(*ends), brow, 0.8)


def _draw_eyeball(
    pen: Pen,
    center: complex,
    lids: tuple[np.ndarray, np.ndarray],
    iris: tuple[complex, float, float],
    colors: tuple[Color, Color, Color],
) -> None:
    upper, lower = lids
    order = np.argsort(upper.real)
    x, top, bottom = upper.real[order], upper.imag[order], lower.imag[order]
    (middle, wide, tall), (color, dark, glow) = iris, colors

    def layer(down: float, width: float, height: float, shade: Color) -> None:
        shape = ellipse(middle + 1j * down * tall, width, height)
        y = np.clip(shape.imag, np.interp(shape.real, x, top), np.interp(shape.real, x, bottom))
        pen.fill(center + np.clip(shape.real, x[0], x[-1]) + 1j * y, shade)

    pen.fill(center + np.concatenate((upper, lower[::-1])), (250, 248, 252))
    layer(0, wide, tall, dark)
    layer(0.1, wide - 0.6, tall - 0.7, color)
    layer(-0.55, wide - 0.6, tall * 0.55, mix(color, dark, 0.75))
    layer(0.62, wide * 0.62, tall * 0.3, glow)
    layer(-0.02, wide * 0.42, tall * 0.46, mix(dark, INK, 0.6))
