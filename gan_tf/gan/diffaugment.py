"""Differentiable augmentation of what a discriminator sees (Zhao et al. 2020, DiffAugment): colour, translation, cutout.

With few training images D learns them by heart; images that both networks see changed at random hold that off, and what
G learns is not itself changed, since its gradient passes through the same operations.
"""

import tensorflow as tf

VIEW = 7  # numbers drawn for one image: brightness, saturation, contrast, shift down and across, hole down and across
SHIFT, HOLE = 1 / 8, 1 / 2  # shares of the image's size


def diffaugment(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """The policy "color,translation,cutout" of the paper.

    Args:
        images: ``[batch, height, width, channels]`` in [-1, 1].
        draws: uniform in [0, 1), ``[batch, VIEW]``.

    Returns:
        Images of the same shape, somewhat beyond [-1, 1]; 0 (grey) where nothing of the image is left.
    """
    brightness, saturation, contrast = (draws[:, i, None, None, None] for i in range(3))
    images = images + (brightness - 0.5)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * saturation * (images - grey)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + (0.5 + contrast) * (images - mean)
    return cut(translate(images, draws[:, 3:5]), draws[:, 5:7])


def translate(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Shifts by whole pixels, up to an eighth of the size either way; ``draws`` ``[batch, 2]``: down, across."""
    height, width = images.shape[1:3]
    most = [int(SHIFT * height + 0.5), int(SHIFT * width + 0.5)]
    shift = tf.floor(draws * [2.0 * n + 1.0 for n in most]) - [float(n) for n in most]
    one, zero = tf.ones_like(shift[:, 0]), tf.zeros_like(shift[:, 0])
    rows = tf.stack([one, zero, -shift[:, 1], zero, one, -shift[:, 0], zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=rows,
        output_shape=[height, width],
        interpolation="NEAREST",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def cut(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """A hole of half the size with its centre anywhere in the image; ``draws`` ``[batch, 2]``: down, across."""
    keeps = []
    for axis in (0, 1):
        size = images.shape[1 + axis]
        hole = int(HOLE * size + 0.5)
        centre = tf.floor(draws[:, axis, None] * (size + 1.0 - hole % 2))
        place = tf.range(size, dtype=tf.float32)[None] - centre + hole // 2
        keeps.append((place >= 0.0) & (place < hole))
    inside = keeps[0][:, :, None, None] & keeps[1][:, None, :, None]
    return tf.where(inside, 0.0, images)
