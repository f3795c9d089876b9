"""Random changes of images of digits: each image of a batch gets its own, a pure function of the seed.

All take and return float32 ``[n, height, width, channels]`` in [-1, 1], eagerly or in a graph. ``seed`` is int64 ``[2]``,
see ``pipelines.randomness.seed_for``.
"""

import math
from typing import Any

import tensorflow as tf


def random_affine(
    images: tf.Tensor, seed: tf.Tensor, max_degrees: float = 12.0, max_zoom: float = 0.12, max_shift: float = 2.0
) -> tf.Tensor:
    """Rotates, scales, shears and translates each image at random; edge pixels are repeated beyond the edge.

    Args:
        images: see the module's docstring.
        seed: see the module's docstring.
        max_degrees: of the rotation, either way.
        max_zoom: of the change of scale and of the shear, as a fraction, either way.
        max_shift: of the translation in pixels, either way along each axis.
    """
    n, (height, width) = tf.shape(images)[0], images.shape[1:3]
    angle = _uniform([n], seed, 0, -math.radians(max_degrees), math.radians(max_degrees))
    scale = 1.0 + _uniform([n], seed, 1, -max_zoom, max_zoom)
    shear = _uniform([n], seed, 2, -max_zoom, max_zoom)
    shift_x, shift_y = _uniform([n], seed, 3, -max_shift, max_shift), _uniform([n], seed, 4, -max_shift, max_shift)
    a, b = scale * tf.cos(angle), scale * (shear * tf.cos(angle) - tf.sin(angle))
    c, d = scale * tf.sin(angle), scale * (shear * tf.sin(angle) + tf.cos(angle))
    x, y = (width - 1) / 2, (height - 1) / 2  # the center is a fixed point, apart from the translation
    zero = tf.zeros_like(a)
    rows = tf.stack([a, b, x - a * x - b * y + shift_x, c, d, y - c * x - d * y + shift_y, zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=rows,
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def mnistm_blend(images: tf.Tensor, seed: tf.Tensor, probability: float = 0.5) -> tf.Tensor:
    """Blends gray images with random backgrounds as MNIST-M was made: |background - image| (Ganin et al. 2016).

    Args:
        images: see the module's docstring; images with colors are left unchanged.
        seed: see the module's docstring.
        probability: that a gray image is blended.
    """
    is_drawn = _uniform([tf.shape(images)[0], 1, 1, 1], seed, 12) < probability
    is_blended = _is_gray(images) * tf.cast(is_drawn, tf.float32)
    brightness = (images + 1.0) / 2.0
    return 2.0 * tf.abs(is_blended * random_backgrounds(images, seed) - brightness) - 1.0


def random_backgrounds(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns smooth to rough colored patterns of the shape of ``images``, in [0, 1]."""
    n, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    pattern = _uniform([n, 1, 1, channels], seed, 5)
    for index, side, max_strength in ((6, 3, 0.5), (8, 7, 0.4), (10, 14, 0.3)):
        noise = _uniform([n, side, side, channels], seed, index, -1.0, 1.0)
        gray = tf.reduce_mean(noise, axis=3, keepdims=True)
        noise = 0.4 * noise + 1.2 * gray  # in photographs, brightness varies more than color
        strength = _uniform([n, 1, 1, 1], seed, index + 1, 0.0, max_strength)
        pattern += strength * tf.image.resize(noise, (height, width))
    return tf.clip_by_value(pattern, 0.0, 1.0)


def random_color(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Inverts a third of the images, permutes the channels, and reduces contrast and shifts brightness at random."""
    shape, channels = [tf.shape(images)[0], 1, 1, 1], images.shape[3]
    images = tf.where(_uniform(shape, seed, 13) < 1 / 3, -images, images)
    if channels == 3:
        order = tf.argsort(_uniform([shape[0], 3], seed, 14), axis=1)
        images = tf.einsum("nhwc,nkc->nhwk", images, tf.one_hot(order, 3))
    contrast = _uniform(shape, seed, 15, 0.5, 1.0)
    max_brightness = 1.0 - contrast  # so that the result stays in [-1, 1]
    return contrast * images + _uniform(shape, seed, 16, -1.0, 1.0) * max_brightness


def _is_gray(images: tf.Tensor) -> tf.Tensor:
    """Which images have three equal channels, as 0 or 1 ``[n, 1, 1, 1]``."""
    spread = tf.reduce_max(images, axis=3) - tf.reduce_min(images, axis=3)
    return tf.cast(tf.reduce_max(spread, axis=[1, 2]) <= 0.0, tf.float32)[:, None, None, None]


def _uniform(shape: list[Any], seed: tf.Tensor, index: int, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Uniform numbers in [low, high); each ``index`` in [0, 32) of a seed gives others."""
    return tf.random.stateless_uniform(shape, seed * 32 + [0, index], low, high, alg="philox")
