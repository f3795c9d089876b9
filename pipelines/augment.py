"""Keyed changes of pictures of digits: each picture of a batch gets its own, a pure function of the key.

All take and give float32 ``[n, height, width, channels]`` in [-1, 1], eagerly or in a graph.
"""

import math

import tensorflow as tf


def uniform(shape, seed: tf.Tensor, purpose: int, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Numbers drawn uniformly; another purpose (in 0..31) of the same key gives other numbers."""
    return tf.random.stateless_uniform(shape, seed * 32 + [0, purpose], low, high, alg="philox")


def moved(images: tf.Tensor, seed: tf.Tensor, turn: float = 12.0, zoom: float = 0.12, shift: float = 2.0) -> tf.Tensor:
    """Turns by up to ``turn`` degrees, zooms and slants by up to a share ``zoom``, shifts by up to ``shift`` pixels.

    What comes in from outside repeats the edge.
    """
    n, (height, width) = tf.shape(images)[0], images.shape[1:3]
    angle = uniform([n], seed, 0, -math.radians(turn), math.radians(turn))
    scale = 1.0 + uniform([n], seed, 1, -zoom, zoom)
    slant = uniform([n], seed, 2, -zoom, zoom)
    across, down = uniform([n], seed, 3, -shift, shift), uniform([n], seed, 4, -shift, shift)
    a, b = scale * tf.cos(angle), scale * (slant * tf.cos(angle) - tf.sin(angle))
    c, d = scale * tf.sin(angle), scale * (slant * tf.sin(angle) + tf.cos(angle))
    x, y = (width - 1) / 2, (height - 1) / 2  # the centre stays where it is, save for the shift
    zero = tf.zeros_like(a)
    rows = tf.stack([a, b, x - a * x - b * y + across, c, d, y - c * x - d * y + down, zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=rows,
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def is_grey(images: tf.Tensor) -> tf.Tensor:
    """Which pictures have no colour at all, as 0 or 1 ``[n, 1, 1, 1]``."""
    spread = tf.reduce_max(images, axis=3) - tf.reduce_min(images, axis=3)
    return tf.cast(tf.reduce_max(spread, axis=[1, 2]) <= 0.0, tf.float32)[:, None, None, None]


def backdrops(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Smooth and rough coloured patterns of the shape of ``images``, in [0, 1]."""
    n, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    pattern = uniform([n, 1, 1, channels], seed, 5)
    for purpose, side, strength in ((6, 3, 0.5), (8, 7, 0.4), (10, 14, 0.3)):
        noise = uniform([n, side, side, channels], seed, purpose, -1.0, 1.0)
        grey = tf.reduce_mean(noise, axis=3, keepdims=True)
        noise = 0.4 * noise + 1.2 * grey  # patterns of photographs are brighter and darker more than coloured
        strengths = uniform([n, 1, 1, 1], seed, purpose + 1, 0.0, strength)
        pattern += strengths * tf.image.resize(noise, (height, width))
    return tf.clip_by_value(pattern, 0.0, 1.0)


def blended(images: tf.Tensor, seed: tf.Tensor, share: float = 0.5) -> tf.Tensor:
    """Lays a ``share`` of the grey pictures on a pattern as MNIST-M was made: |pattern - picture| (Ganin et al. 2016)."""
    coins = uniform([tf.shape(images)[0], 1, 1, 1], seed, 12) < share
    chosen = is_grey(images) * tf.cast(coins, tf.float32)
    light = (images + 1.0) / 2.0
    return 2.0 * tf.abs(chosen * backdrops(images, seed) - light) - 1.0


def recoloured(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Turns a third of the pictures into their negatives, exchanges colours, and weakens contrast and light at random."""
    shape, channels = [tf.shape(images)[0], 1, 1, 1], images.shape[3]
    images = tf.where(uniform(shape, seed, 13) < 1 / 3, -images, images)
    if channels == 3:
        order = tf.argsort(uniform([shape[0], 3], seed, 14), axis=1)
        images = tf.einsum("nhwc,nkc->nhwk", images, tf.one_hot(order, 3))
    contrast = uniform(shape, seed, 15, 0.5, 1.0)
    room = 1.0 - contrast
    return contrast * images + uniform(shape, seed, 16, -1.0, 1.0) * room
