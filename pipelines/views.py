"""Random views of stroke images, by which a classifier learns to ignore how a digit is written and photographed.

Each image of a batch gets a view of its own, a pure function of the seed.
"""

import math
from dataclasses import dataclass

import tensorflow as tf

_MARGIN = 4  # columns at each side of MNIST's 28 in which there is no ink
_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_NUM_DRAWS = 17


@dataclass(frozen=True)
class View:
    """How strongly images are changed; lengths are in pixels, brightness in deviations of an image.

    Attributes:
        scale_x: range of the horizontal scale.
        scale_y: range of the vertical scale; None: the same number as the horizontal one.
        max_degrees: of the rotation, either way.
        max_shear: horizontal shift for each pixel of height, either way.
        max_shift: of the translation, either way along each axis.
        dilation: probability that bright strokes get two pixels wider.
        neighbor: probability, for each side, that another image of the batch stands beside the digit.
        blur: probability of a blur, whose strength is random.
        ramp: highest brightness that a linear ramp of light adds at the edge.
        noise: deviation of Gaussian noise.
        inversion: probability that dark and bright are exchanged.
        cutout: range of the side of a square that is erased; (0, 0) erases none.
    """

    scale_x: tuple[float, float] = (1.0, 1.0)
    scale_y: tuple[float, float] | None = None
    max_degrees: float = 0.0
    max_shear: float = 0.0
    max_shift: float = 0.0
    dilation: float = 0.0
    neighbor: float = 0.0
    blur: float = 0.0
    ramp: float = 0.0
    noise: float = 0.0
    inversion: float = 0.0
    cutout: tuple[float, float] = (0.0, 0.0)


def random_views(images: tf.Tensor, seed: tf.Tensor, view: View) -> tf.Tensor:
    """Returns a random view of each image, with the image's own deviation and, but for the cutout, mean 0.

    Args:
        images: float32 ``[n, height, width, 1]`` of ``stroke_images``.
        seed: int64 ``[2]``, see ``pipelines.randomness.seed_for``.
        view: how strongly images are changed.
    """
    n = tf.shape(images)[0]
    draws = tf.unstack(tf.random.stateless_uniform([n, _NUM_DRAWS], seed * 32, alg="philox"), axis=1)
    noise = tf.random.stateless_normal(tf.shape(images), seed * 32 + [0, 1], alg="philox")
    deviation = tf.math.reduce_std(images, axis=[1, 2], keepdims=True)
    changed = images
    if view.dilation:
        changed = _choose(draws[0] < view.dilation, tf.nn.max_pool2d(changed, 3, 1, "SAME"), changed)
    changed = _move(changed, draws[1:9], view)
    if view.blur:
        strength = tf.where(draws[9] < view.blur, draws[10], 0.0)
        changed += _per_image(strength) * (_blur(changed) - changed)
    changed += _ramp(changed, draws[11] * view.ramp, draws[12]) + view.noise * noise
    changed -= tf.reduce_mean(changed, axis=[1, 2], keepdims=True)
    changed *= deviation / (tf.math.reduce_std(changed, axis=[1, 2], keepdims=True) + 1e-6)
    changed = _choose(draws[13] < view.inversion, -changed, changed)
    return changed if view.cutout[1] == 0 else _cut_out(changed, draws[14:17], view.cutout)


def _move(images: tf.Tensor, draws: list[tf.Tensor], view: View) -> tf.Tensor:
    """Scales, shears, rotates and translates about the center; beyond the edge are neighbors, or the edge's own pixels."""
    height, width = images.shape[1:3]
    canvas, offset = _place_neighbors(images, draws[6:8], view.neighbor)
    scale_x = _between(draws[0], view.scale_x)
    scale_y = scale_x if view.scale_y is None else _between(draws[1], view.scale_y)
    angle = math.radians(view.max_degrees) * (2.0 * draws[2] - 1.0)
    shear = view.max_shear * (2.0 * draws[3] - 1.0)
    shift_x, shift_y = (view.max_shift * (2.0 * draw - 1.0) for draw in draws[4:6])
    # The operation maps output to input pixels, so each change is inverted: scale^-1 shear^-1 rotation^-1 (output - shift).
    cos, sin = tf.cos(angle), tf.sin(angle)
    a, b = (cos + shear * sin) / scale_x, (sin - shear * cos) / scale_x
    c, d = -sin / scale_y, cos / scale_y
    x, y = (width - 1) / 2, (height - 1) / 2
    row_x = [a, b, x + offset - a * (x + shift_x) - b * (y + shift_y)]
    row_y = [c, d, y - c * (x + shift_x) - d * (y + shift_y)]
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=canvas,
        transforms=tf.stack([*row_x, *row_y, zero, zero], axis=1),
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _place_neighbors(images: tf.Tensor, draws: list[tf.Tensor], probability: float) -> tuple[tf.Tensor, int]:
    """Returns images with others of the batch at their sides, and how many columns that adds at the left."""
    if not probability:
        return images, 0
    left = _left_side(images, tf.roll(images, 1, axis=0), draws[0] < probability)
    mirrored = tf.reverse(images, [2])
    right = tf.reverse(_left_side(mirrored, tf.roll(mirrored, 2, axis=0), draws[1] < probability), [2])
    return tf.concat([left, images[:, :, _MARGIN:-_MARGIN], right], axis=2), left.shape[2] - _MARGIN


def _left_side(images: tf.Tensor, neighbors: tf.Tensor, has_neighbor: tf.Tensor) -> tf.Tensor:
    """Returns what stands left of the digits: their neighbors without margins, or their own margins, continued."""
    digits = neighbors[:, :, _MARGIN:-_MARGIN]
    num_repeated = digits.shape[2] - _MARGIN
    own = tf.concat([tf.repeat(images[:, :, :1], num_repeated, axis=2), images[:, :, :_MARGIN]], axis=2)
    return _choose(has_neighbor, digits, own)


def _blur(images: tf.Tensor) -> tf.Tensor:
    """Blurs images by a binomial kernel of 5x5; edge pixels are repeated beyond the edge."""
    kernel = tf.constant(_BLUR)[:, None, None, None]
    padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    return tf.nn.conv2d(tf.nn.conv2d(padded, kernel, 1, "VALID"), tf.transpose(kernel, [1, 0, 2, 3]), 1, "VALID")


def _ramp(images: tf.Tensor, brightness: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """Returns linear ramps of light, ``[n, height, width, 1]``: 0 at the center, ``brightness`` at the middle of an edge."""
    x, y = (tf.linspace(-1.0, 1.0, size) for size in (images.shape[2], images.shape[1]))
    angle = 2.0 * math.pi * direction
    ramp = tf.cos(angle)[:, None, None] * x[None, None] + tf.sin(angle)[:, None, None] * y[None, :, None]
    return (brightness[:, None, None] * ramp)[..., None]


def _cut_out(images: tf.Tensor, draws: list[tf.Tensor], sides: tuple[float, float]) -> tf.Tensor:
    """Sets a square of each image to 0, its mean; the square lies inside the image."""
    side = _between(draws[0], sides)
    inside = []
    for draw, size in zip(draws[1:], images.shape[1:3], strict=True):
        first = draw * (size - side)
        pixels = tf.range(size, dtype=tf.float32)[None]
        inside.append((pixels >= first[:, None]) & (pixels < (first + side)[:, None]))
    is_cut = inside[0][:, :, None] & inside[1][:, None, :]
    return tf.where(is_cut[..., None], 0.0, images)


def _between(draw: tf.Tensor, limits: tuple[float, float]) -> tf.Tensor:
    return limits[0] + (limits[1] - limits[0]) * draw


def _per_image(values: tf.Tensor) -> tf.Tensor:
    return values[:, None, None, None]


def _choose(condition: tf.Tensor, chosen: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    """Returns for each image of a batch one of two, by a vector of conditions."""
    return tf.where(_per_image(condition), chosen, otherwise)
