"""GAN losses as pure functions of logits, one entry of ``LOSSES`` each; their presets are in ``config.py``.

Every function maps logits of any shape ``[batch, …]`` (the patches of an image are averaged) to one value per image,
``[batch]``. The model sums these values and divides by the global batch size, so each loss is a mean over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Loss:
    """The losses of a discriminator and its generator, and how the discriminator's logits are interpreted.

    Attributes:
        discriminator: ``(real_logits, fake_logits) -> [batch]``, minimized by D.
        generator: ``(fake_logits, real_logits) -> [batch]``, minimized by G; ``real_logits`` is None unless ``relativistic``.
        relativistic: whether G's loss depends on the logits of real images too.
        threshold: the logit above which D classifies an image as real. None for losses in which only differences of
            logits matter; then it is halfway between the mean logits of the real and the fake batch.
        is_probability: whether the sigmoid of a logit is the probability that the image is real.
        labeled: ``(logits, labels [batch]) -> [batch]``, what D minimizes for images with other labels than 1 (real) and 0
            (fake); the sum over both with these is ``discriminator``. None for losses without labels.
    """

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator: Callable[..., tf.Tensor]
    relativistic: bool = False
    threshold: float | None = 0.0
    is_probability: bool = False
    labeled: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None


def mean_per_image(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean over all axes but the first: ``[batch, …] -> [batch]``."""
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def check_same_shape(real: tf.Tensor, fake: tf.Tensor) -> None:
    """Rejects logits ``[B]`` with logits ``[B, 1]``, whose difference would silently broadcast to ``[B, B]``.

    Raises:
        ValueError: the shapes differ.
    """
    if not real.shape.is_compatible_with(fake.shape):
        raise ValueError(f"real logits {real.shape} and fake logits {fake.shape} differ in shape")


def gan_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Computes -log D(x) - log(1 - D(G(z))) with D = sigmoid(logit) (Goodfellow et al. 2014, eq. 1)."""
    return mean_per_image(tf.nn.softplus(-real)) + mean_per_image(tf.nn.softplus(fake))


def gan_generator(fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
    """Computes -log D(G(z)), the non-saturating loss (Goodfellow et al. 2014, section 3)."""
    return mean_per_image(tf.nn.softplus(-fake))


def gan_saturating_generator(fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
    """Computes log(1 - D(G(z))), whose gradient vanishes where D rejects G's images (Goodfellow et al. 2014, eq. 1)."""
    return -mean_per_image(tf.nn.softplus(fake))


def gan_labeled(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Computes the cross entropy -t log D - (1 - t) log(1 - D) for labels t; beyond [0, 1] it has no lower bound."""
    return mean_per_image(tf.nn.softplus(logits)) - labels * mean_per_image(logits)


def lsgan_labeled(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Computes 1/2 (D - t)^2 for labels t."""
    targets = tf.reshape(labels, [-1, *[1] * (len(logits.shape) - 1)])
    return mean_per_image(0.5 * tf.square(logits - targets))


def lsgan_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Computes 1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2 (Mao et al. 2017, eq. 9: a = 0, b = c = 1)."""
    return mean_per_image(0.5 * tf.square(real - 1.0)) + mean_per_image(0.5 * tf.square(fake))


def lsgan_generator(fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
    """Computes 1/2 (D(G(z)) - 1)^2 (Mao et al. 2017, eq. 9)."""
    return mean_per_image(0.5 * tf.square(fake - 1.0))


def wasserstein_critic(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Computes D(G(z)) - D(x) (Arjovsky et al. 2017, eq. 2)."""
    return mean_per_image(fake) - mean_per_image(real)


def wasserstein_generator(fake: tf.Tensor, real: tf.Tensor | None = None) -> tf.Tensor:
    """Computes -D(G(z)) (Arjovsky et al. 2017, eq. 2), which is the generator's hinge loss too."""
    return -mean_per_image(fake)


def hinge_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Computes relu(1 - D(x)) + relu(1 + D(G(z))) (Miyato et al. 2018, eq. 16)."""
    return mean_per_image(tf.nn.relu(1.0 - real)) + mean_per_image(tf.nn.relu(1.0 + fake))


def rpgan_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Computes softplus(-(D(x) - D(G(z)))) on pairs of a real and a fake image (Huang et al. 2024, eq. 2)."""
    check_same_shape(real, fake)
    return mean_per_image(tf.nn.softplus(fake - real))


def rpgan_generator(fake: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Computes softplus(-(D(G(z)) - D(x))) on pairs of a real and a fake image (Huang et al. 2024, eq. 2)."""
    check_same_shape(real, fake)
    return mean_per_image(tf.nn.softplus(real - fake))


def noisy_labels(uniform: tf.Tensor, soft: bool, flipped: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns labels of real and of fake images, ``[batch]`` each.

    Args:
        uniform: random numbers in [0, 1), ``[batch, 2, 2]``: for real and fake images, how soft a label is and whether it is
            exchanged.
        soft: whether real labels are in [0.7, 1.2) and fake ones in [0, 0.3), instead of 1 and 0.
        flipped: the fraction of labels that are those of the other kind.
    """
    softness = uniform[:, :, 0]
    real = 0.7 + 0.5 * softness if soft else tf.ones_like(softness)
    fake = 0.3 * softness if soft else tf.zeros_like(softness)
    is_real = tf.constant([True, False]) != (uniform[:, :, 1] < flipped)
    labels = tf.where(is_real, real, fake)
    return labels[:, 0], labels[:, 1]


LOSSES: dict[str, Loss] = {
    "gan": Loss(gan_discriminator, gan_generator, is_probability=True, labeled=gan_labeled),
    "lsgan": Loss(lsgan_discriminator, lsgan_generator, threshold=0.5, labeled=lsgan_labeled),
    "wgan": Loss(wasserstein_critic, wasserstein_generator, threshold=None),
    "wgangp": Loss(wasserstein_critic, wasserstein_generator, threshold=None),
    "hinge": Loss(hinge_discriminator, wasserstein_generator),
    "rpgan": Loss(rpgan_discriminator, rpgan_generator, relativistic=True, threshold=None),
}
