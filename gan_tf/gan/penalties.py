"""Gradient penalties on a discriminator, one entry of ``PENALTIES`` each.

A penalty is a function of the squared norm of D's gradient by its input image, either at interpolates between real and
fake images or at the images themselves. The gradient is computed with a nested tape, so that it can itself be
differentiated by D's weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from gan_tf.gan.losses import mean_per_image


@dataclass(frozen=True)
class Penalty:
    """A gradient penalty, as a function of ‖∇ D‖², one value per image. Exactly one of the two functions is given.

    Attributes:
        at_interpolates: ``squared norms at interpolates [batch] -> [batch]``; needs a forward pass of its own.
        at_images: ``(squared norms at real images, at fake images) -> [batch]``; uses the forward pass of the loss.
    """

    at_interpolates: Callable[[tf.Tensor], tf.Tensor] | None = None
    at_images: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None


def gradient_norm(squared_norm: tf.Tensor) -> tf.Tensor:
    """Returns the square root; 1e-12 keeps its gradient finite where D is constant."""
    return tf.sqrt(squared_norm + 1e-12)


def two_sided(squared_norm: tf.Tensor) -> tf.Tensor:
    """Computes (‖∇ D(x̂)‖ - 1)² at interpolates x̂ (WGAN-GP, Gulrajani et al. 2017, eq. 3)."""
    return tf.square(gradient_norm(squared_norm) - 1.0)


def one_sided(squared_norm: tf.Tensor) -> tf.Tensor:
    """Computes max(0, ‖∇ D(x̂)‖ - 1), not squared, as in the anime handout (Petzka et al. 2018 square it)."""
    return tf.nn.relu(gradient_norm(squared_norm) - 1.0)


def r1(squared_norm_real: tf.Tensor, squared_norm_fake: tf.Tensor) -> tf.Tensor:
    """Computes 1/2 ‖∇ D(x)‖² at real images (Mescheder et al. 2018, eq. 9)."""
    return 0.5 * squared_norm_real


def r2(squared_norm_real: tf.Tensor, squared_norm_fake: tf.Tensor) -> tf.Tensor:
    """Computes 1/2 ‖∇ D(G(z))‖² at fake images (Mescheder et al. 2018, eq. 10)."""
    return 0.5 * squared_norm_fake


def r1r2(squared_norm_real: tf.Tensor, squared_norm_fake: tf.Tensor) -> tf.Tensor:
    """Computes R1 + R2 (Huang et al. 2024)."""
    return 0.5 * squared_norm_real + 0.5 * squared_norm_fake


PENALTIES: dict[str, Penalty] = {
    "two-sided": Penalty(at_interpolates=two_sided),
    "one-sided": Penalty(at_interpolates=one_sided),
    "r1": Penalty(at_images=r1),
    "r2": Penalty(at_images=r2),
    "r1r2": Penalty(at_images=r1r2),
}


def interpolate(real: tf.Tensor, fake: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns points between fake (weight 0) and real images (weight 1); one weight per image, ``[batch]``."""
    weights = tf.reshape(weights, [-1, 1, 1, 1])
    return fake + weights * (real - fake)


def forward_with_tape(discriminator: keras.Model, images: tf.Tensor) -> tuple[tf.Tensor, tf.GradientTape]:
    """Returns D's logits of ``images`` and the tape that recorded them, for ``gradient_squared_norm``."""
    tape = tf.GradientTape(watch_accessed_variables=False)
    with tape:
        tape.watch(images)
        logits = discriminator(images, training=True)
    return logits, tape


def gradient_squared_norm(tape: tf.GradientTape, logits: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Returns ‖∇ D(x)‖² of each image, ``[batch]``; D(x) is the mean logit of an image's patches."""
    with tape:
        sum_of_outputs = tf.reduce_sum(mean_per_image(logits))  # an image's output depends on that image only
    gradient = tape.gradient(sum_of_outputs, images)
    return tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


def forward_with_penalty(
    discriminator: keras.Model,
    penalty: str,
    real: tf.Tensor,
    fake: tf.Tensor,
    interpolation: tf.Tensor,
    is_penalty_step: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes D's logits of real and fake images, passed as one batch, and the gradient penalty.

    Args:
        discriminator: a network without batch norm, called with ``training=True``.
        penalty: a name in ``PENALTIES``.
        real: ``[batch, height, width, channels]`` in [-1, 1].
        fake: of the same shape and range.
        interpolation: the weights of ``interpolate``, ``[batch]`` in [0, 1).
        is_penalty_step: for lazy regularization, a scalar: where it is False, the penalty is 0 and, on a single device, not
            computed at all. None: the penalty is always computed.

    Returns:
        The logits of the real images, those of the fake ones, and the penalty of each pair, ``[batch]``.
    """
    functions = PENALTIES[penalty]
    images = tf.concat([real, fake], axis=0)
    logits, tape = forward_with_tape(discriminator, images)
    real_logits, fake_logits = tf.split(logits, 2)

    def compute_penalty() -> tf.Tensor:
        if functions.at_images is not None:
            at_real, at_fake = tf.split(gradient_squared_norm(tape, logits, images), 2)
            return functions.at_images(at_real, at_fake)
        assert functions.at_interpolates is not None
        interpolates = interpolate(real, fake, interpolation)
        logits_at_interpolates, tape_at_interpolates = forward_with_tape(discriminator, interpolates)
        return functions.at_interpolates(gradient_squared_norm(tape_at_interpolates, logits_at_interpolates, interpolates))

    if is_penalty_step is None:
        return real_logits, fake_logits, compute_penalty()
    zeros = tf.zeros(tf.shape(real)[:1], real.dtype)
    if tf.distribute.get_replica_context().num_replicas_in_sync > 1:
        # A spectral norm assigns a variable in the forward pass, which several devices cannot do inside a tf.cond.
        value = tf.where(is_penalty_step, compute_penalty(), zeros)
    else:
        value = tf.cond(is_penalty_step, compute_penalty, lambda: zeros)
    return real_logits, fake_logits, value
