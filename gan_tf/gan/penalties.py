"""Gradient penalties on a discriminator, one row a penalty: where the gradient is taken and what is made of its length.

The gradient is taken by a nested tape, so the result can be differentiated by D's weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from gan_tf.gan.losses import per_image


@dataclass(frozen=True)
class Penalty:
    """What is made of ‖∇ D‖², ``[batch]`` each, one value an image.

    Attributes:
        between: ``squared -> [batch]`` at points between real and fake images, which need a pass of their own; or
        at_images: ``(squared at real, squared at fake) -> [batch]``, from the very pass that gives the loss its logits.
    """

    between: Callable | None = None
    at_images: Callable | None = None


def length(squared: tf.Tensor) -> tf.Tensor:
    """The root; 1e-12 keeps its own gradient finite where D is flat."""
    return tf.sqrt(squared + 1e-12)


def two_sided(squared):
    """(‖∇ D(x̂)‖ - 1)² with x̂ on the line real-fake (Gulrajani et al. 2017, eq. 3)."""
    return tf.square(length(squared) - 1.0)


def one_sided(squared):
    """max(0, ‖∇ D(x̂)‖ - 1), not squared, as the anime handout prints it (Petzka et al. 2018 square it)."""
    return tf.nn.relu(length(squared) - 1.0)


def r1(real, fake):
    """1/2 ‖∇ D(x)‖² on real images (Mescheder et al. 2018, eq. 9)."""
    return 0.5 * real


def r2(real, fake):
    """1/2 ‖∇ D(G(z))‖² on fake images (Mescheder et al. 2018, eq. 10)."""
    return 0.5 * fake


def r1r2(real, fake):
    """R1 + R2 (Huang et al. 2024)."""
    return 0.5 * real + 0.5 * fake


PENALTIES: dict[str, Penalty] = {
    "two-sided": Penalty(between=two_sided),
    "one-sided": Penalty(between=one_sided),
    "r1": Penalty(at_images=r1),
    "r2": Penalty(at_images=r2),
    "r1r2": Penalty(at_images=r1r2),
}


def between(real: tf.Tensor, fake: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """A point on the line from fake (share 0) to real (share 1), one ``share`` in [0, 1) an image: ``[batch, 1]``."""
    share = tf.reshape(share, [-1, 1, 1, 1])
    return fake + share * (real - fake)


def squared_gradient(tape: tf.GradientTape, logits: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """‖∇ D(x)‖² of each image, ``[batch]``, once D's logits were computed on ``tape``; patches count by their mean."""
    with tape:
        score = tf.reduce_sum(per_image(logits))
    return tf.reduce_sum(tf.square(tape.gradient(score, images)), axis=[1, 2, 3])


def penalised(discriminator, penalty: str, real: tf.Tensor, fake: tf.Tensor, share: tf.Tensor, due=None):
    """D's logits of real and fake images, as one batch, and its penalty, in as few passes as that takes.

    Args:
        discriminator: a network without batch norm, called with ``training=True``.
        penalty: a name in ``PENALTIES``.
        real: ``[batch, height, width, channels]`` in [-1, 1].
        fake: likewise.
        share: where between them, ``[batch]`` in [0, 1).
        due: a scalar; where it is false the penalty is 0, and on one device costs nothing. None: always due.

    Returns:
        Logits of real images, of fake ones, and the penalty of each pair, ``[batch]``.
    """
    row, both, tape = PENALTIES[penalty], tf.concat([real, fake], axis=0), tf.GradientTape(watch_accessed_variables=False)
    with tape:
        tape.watch(both)
        logits = discriminator(both, training=True)

    def value() -> tf.Tensor:
        if row.at_images:
            return row.at_images(*tf.split(squared_gradient(tape, logits, both), 2))
        points, own = between(real, fake, share), tf.GradientTape(watch_accessed_variables=False)
        with own:
            own.watch(points)
            their_logits = discriminator(points, training=True)
        return row.between(squared_gradient(own, their_logits, points))

    none = tf.zeros(tf.shape(real)[:1], real.dtype)
    if due is None:
        taken = value()
    elif tf.distribute.get_replica_context().num_replicas_in_sync > 1:
        taken = tf.where(due, value(), none)  # no variable of several devices may be assigned inside a tf.cond
    else:
        taken = tf.cond(due, value, lambda: none)
    return *tf.split(logits, 2), taken
