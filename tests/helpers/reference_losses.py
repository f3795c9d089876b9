"""The GAN losses as their papers print them, in float64 NumPy: what all tests of losses compare with.

They use logarithms of probabilities instead of softplus. A new loss needs one entry in ``REFERENCE_LOSSES``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReferenceLoss:
    """A loss; logits are ``[batch, …]``, results ``[batch]``.

    Attributes:
        discriminator: ``(real, fake) -> [batch]``, minimized by D.
        generator: ``(fake, real) -> [batch]``, minimized by G.
        threshold: the logit between fake and real; None where only differences of logits matter.
        is_probability: whether the sigmoid of a logit is the probability that the image is real.
    """

    discriminator: Callable[[np.ndarray, np.ndarray], np.ndarray]
    generator: Callable[[np.ndarray, np.ndarray], np.ndarray]
    threshold: float | None = None
    is_probability: bool = False


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def mean_of_patches(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).mean(axis=1)


_WASSERSTEIN = ReferenceLoss(
    discriminator=lambda real, fake: mean_of_patches(fake) - mean_of_patches(real),
    generator=lambda fake, real: -mean_of_patches(fake),
)
REFERENCE_LOSSES = {
    "gan": ReferenceLoss(
        discriminator=lambda real, fake: mean_of_patches(-np.log(sigmoid(real)) - np.log(1 - sigmoid(fake))),
        generator=lambda fake, real: mean_of_patches(-np.log(sigmoid(fake))),
        threshold=0.0,
        is_probability=True,
    ),
    "lsgan": ReferenceLoss(
        discriminator=lambda real, fake: mean_of_patches((real - 1) ** 2 / 2 + (fake - 0) ** 2 / 2),
        generator=lambda fake, real: mean_of_patches((fake - 1) ** 2 / 2),
        threshold=0.5,  # halfway between the labels 0 and 1
    ),
    "wgan": _WASSERSTEIN,
    "wgangp": _WASSERSTEIN,
    "hinge": ReferenceLoss(
        discriminator=lambda real, fake: mean_of_patches(np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)),
        generator=lambda fake, real: -mean_of_patches(fake),
        threshold=0.0,
    ),
    "rpgan": ReferenceLoss(
        discriminator=lambda real, fake: mean_of_patches(-np.log(sigmoid(real - fake))),
        generator=lambda fake, real: mean_of_patches(-np.log(sigmoid(fake - real))),
    ),
}


def central_differences(loss: Callable[..., np.ndarray], *logits: np.ndarray, step: float = 1e-6) -> list[np.ndarray]:
    """Returns the gradients of the sum of ``loss(*logits)`` by each of its float64 arguments."""
    gradients = [np.zeros_like(values) for values in logits]
    for which, values in enumerate(logits):
        for index in np.ndindex(values.shape):
            sums = []
            for offset in (step, -step):
                moved = [array.copy() for array in logits]
                moved[which][index] += offset
                sums.append(loss(*moved).sum())
            gradients[which][index] = (sums[0] - sums[1]) / (2 * step)
    return gradients
