"""GAN losses as pure functions of logits, one row a loss; what belongs to each besides stands in ``recipes.py``.

Every function maps logits of any shape ``[batch, …]`` (patches are averaged) to one value an image, ``[batch]``;
the method sums them and divides by the global batch, so each loss is a mean over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Loss:
    """A pair of losses.

    Attributes:
        discriminator: ``(real_logits, fake_logits) -> [batch]``, what D minimises.
        generator: ``(fake_logits, real_logits) -> [batch]``, what G minimises; ``real_logits`` is None unless ``pairs``.
        pairs: whether G's loss looks at real images too.
        boundary: the logit above which D calls an image real; None where only differences mean something (critics),
            then halfway between the mean outputs of the two batches.
        probability: whether the sigmoid of the logit is D(x), the probability of "real".
    """

    discriminator: Callable
    generator: Callable
    pairs: bool = False
    boundary: float | None = 0.0
    probability: bool = False


def per_image(values: tf.Tensor) -> tf.Tensor:
    """The mean over all axes but the first: ``[batch, …] -> [batch]``."""
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def same_shape(real: tf.Tensor, fake: tf.Tensor) -> None:
    """Refuses ``[B]`` against ``[B, 1]``, which would broadcast silently to ``[B, B]``.

    Raises:
        ValueError: where the two differ in shape.
    """
    if not real.shape.is_compatible_with(fake.shape):
        raise ValueError(f"real logits {real.shape} and fake logits {fake.shape} differ in shape")


def gan_discriminator(real, fake):
    """-log D(x) - log(1 - D(G(z))) with D = sigmoid(logit) (Goodfellow et al. 2014, eq. 1)."""
    return per_image(tf.nn.softplus(-real)) + per_image(tf.nn.softplus(fake))


def gan_generator(fake, real=None):
    """-log D(G(z)), the non-saturating form (Goodfellow et al. 2014, section 3)."""
    return per_image(tf.nn.softplus(-fake))


def lsgan_discriminator(real, fake):
    """1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2 (Mao et al. 2017, eq. 9: a = 0, b = c = 1)."""
    return per_image(0.5 * tf.square(real - 1.0)) + per_image(0.5 * tf.square(fake))


def lsgan_generator(fake, real=None):
    """1/2 (D(G(z)) - 1)^2 (Mao et al. 2017, eq. 9)."""
    return per_image(0.5 * tf.square(fake - 1.0))


def wasserstein_critic(real, fake):
    """D(G(z)) - D(x) (Arjovsky et al. 2017, eq. 2)."""
    return per_image(fake) - per_image(real)


def wasserstein_generator(fake, real=None):
    """-D(G(z)) (Arjovsky et al. 2017, eq. 2); the hinge loss's generator too."""
    return -per_image(fake)


def hinge_discriminator(real, fake):
    """relu(1 - D(x)) + relu(1 + D(G(z))) (Miyato et al. 2018, eq. 16)."""
    return per_image(tf.nn.relu(1.0 - real)) + per_image(tf.nn.relu(1.0 + fake))


def rpgan_discriminator(real, fake):
    """softplus(-(D(x) - D(G(z)))) on pairs (Huang et al. 2024, eq. 2)."""
    same_shape(real, fake)
    return per_image(tf.nn.softplus(fake - real))


def rpgan_generator(fake, real):
    """softplus(-(D(G(z)) - D(x))) on pairs (Huang et al. 2024, eq. 2)."""
    same_shape(real, fake)
    return per_image(tf.nn.softplus(real - fake))


LOSSES: dict[str, Loss] = {
    "gan": Loss(gan_discriminator, gan_generator, probability=True),
    "lsgan": Loss(lsgan_discriminator, lsgan_generator, boundary=0.5),
    "wgan": Loss(wasserstein_critic, wasserstein_generator, boundary=None),
    "wgangp": Loss(wasserstein_critic, wasserstein_generator, boundary=None),
    "hinge": Loss(hinge_discriminator, wasserstein_generator),
    "rpgan": Loss(rpgan_discriminator, rpgan_generator, pairs=True, boundary=None),
}
