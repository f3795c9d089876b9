"""Differentiable augmentation of the discriminator's inputs (DiffAugment, Zhao et al. 2020): color, translation, cutout.

With few training images D memorizes them; augmenting both real and fake images delays that. G does not learn to generate
augmented images, because its gradient passes through the same augmentation.
"""

import tensorflow as tf

# Parameters of one image: brightness, saturation, contrast, translation (down, right), position of the hole (down, right).
NUM_AUGMENTATION_PARAMETERS = 7
_MAX_TRANSLATION, _HOLE_SIZE = 1 / 8, 1 / 2  # as fractions of the image's size


def diffaugment(images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
    """Applies the paper's policy "color,translation,cutout".

    Args:
        images: ``[batch, height, width, channels]`` in [-1, 1].
        parameters: uniform random numbers in [0, 1), ``[batch, NUM_AUGMENTATION_PARAMETERS]``.

    Returns:
        Images of the same shape, whose values may lie somewhat outside [-1, 1]; pixels that were shifted in or cut out are
        0 (gray).
    """
    images = change_color(images, parameters[:, 0:3])
    return cut_out(translate(images, parameters[:, 3:5]), parameters[:, 5:7])


def change_color(images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
    """Changes brightness by up to 0.5, saturation by a factor of 0 to 2 and contrast by a factor of 0.5 to 1.5.

    ``parameters`` is ``[batch, 3]`` in [0, 1).
    """
    brightness, saturation, contrast = (parameters[:, i, None, None, None] for i in range(3))
    images = images + (brightness - 0.5)
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    images = gray + 2.0 * saturation * (images - gray)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (0.5 + contrast) * (images - mean)


def translate(images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
    """Translates by whole pixels, at most an eighth of the size; ``parameters`` is ``[batch, 2]``: down, right."""
    height, width = images.shape[1:3]
    limits = [int(_MAX_TRANSLATION * height + 0.5), int(_MAX_TRANSLATION * width + 0.5)]
    shift = tf.floor(parameters * [2.0 * n + 1.0 for n in limits]) - [float(n) for n in limits]
    one, zero = tf.ones_like(shift[:, 0]), tf.zeros_like(shift[:, 0])
    # Rows 1 and 2 of the matrix that maps output to input coordinates, then the two entries of a perspective.
    transforms = tf.stack([one, zero, -shift[:, 1], zero, one, -shift[:, 0], zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        interpolation="NEAREST",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def cut_out(images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
    """Sets a rectangle of half the size to 0, centered anywhere in the image; ``parameters`` as in ``translate``."""
    inside = []  # whether each row, and each column, intersects the hole
    for axis in (0, 1):
        size = images.shape[1 + axis]
        hole = int(_HOLE_SIZE * size + 0.5)
        center = tf.floor(parameters[:, axis, None] * (size + 1.0 - hole % 2))
        offset = tf.range(size, dtype=tf.float32)[None] - center + hole // 2
        inside.append((offset >= 0.0) & (offset < hole))
    in_hole = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return tf.where(in_hole, 0.0, images)
