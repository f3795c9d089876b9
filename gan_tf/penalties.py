"""Gradient penalties on a discriminator: pure functions of it and of images, one value an image.

The gradient is taken by a nested tape, so the result can be differentiated by D's weights.
"""

import tensorflow as tf


def squared_gradient_norm(discriminator, images: tf.Tensor) -> tf.Tensor:
    """‖∇ D(x)‖² of each image, ``[batch]``; patches count by their mean.

    Args:
        discriminator: a network, called with ``training=True``.
        images: ``[batch, height, width, channels]`` in [-1, 1].
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = discriminator(images, training=True)
        score = tf.reduce_sum(tf.reduce_mean(tf.reshape(logits, [tf.shape(logits)[0], -1]), axis=1))
    return tf.reduce_sum(tf.square(tape.gradient(score, images)), axis=[1, 2, 3])


def gradient_norm(discriminator, images: tf.Tensor) -> tf.Tensor:
    """‖∇ D(x)‖ of each image; 1e-12 keeps the root's own gradient finite where D is flat."""
    return tf.sqrt(squared_gradient_norm(discriminator, images) + 1e-12)


def between(real: tf.Tensor, fake: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """A point on the line from fake (share 0) to real (share 1), one ``share`` in [0, 1) an image: ``[batch, 1]``."""
    share = tf.reshape(share, [-1, 1, 1, 1])
    return fake + share * (real - fake)


def two_sided(discriminator, real, fake, share):
    """(‖∇ D(x̂)‖ - 1)² with x̂ on the line real-fake (Gulrajani et al. 2017, eq. 3)."""
    return tf.square(gradient_norm(discriminator, between(real, fake, share)) - 1.0)


def one_sided(discriminator, real, fake, share):
    """max(0, ‖∇ D(x̂)‖ - 1), not squared, as the anime handout prints it (Petzka et al. 2018 square it)."""
    return tf.nn.relu(gradient_norm(discriminator, between(real, fake, share)) - 1.0)


def r1(discriminator, real, fake, share):
    """1/2 ‖∇ D(x)‖² on real images (Mescheder et al. 2018, eq. 9)."""
    return 0.5 * squared_gradient_norm(discriminator, real)


def r2(discriminator, real, fake, share):
    """1/2 ‖∇ D(G(z))‖² on fake images (Mescheder et al. 2018, eq. 10)."""
    return 0.5 * squared_gradient_norm(discriminator, fake)


def r1r2(discriminator, real, fake, share):
    """R1 + R2, one gradient for both: D treats images apart where no batch norm mixes them (Huang et al. 2024)."""
    both = 0.5 * squared_gradient_norm(discriminator, tf.concat([real, fake], axis=0))
    return tf.add(*tf.split(both, 2))


PENALTIES = {"two-sided": two_sided, "one-sided": one_sided, "r1": r1, "r2": r2, "r1r2": r1r2}
