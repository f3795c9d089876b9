"""The gradient reversal layer of domain-adversarial training (Ganin et al. 2016, equations 9 and 10)."""

from collections.abc import Callable

import tensorflow as tf


@tf.custom_gradient
def reverse_gradient(
    features: tf.Tensor, strength: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns ``features`` unchanged; the gradient that comes back is multiplied by ``-strength``.

    Args:
        features: any shape.
        strength: scalar (lambda in the paper), which itself receives no gradient.
    """
    return tf.identity(features), lambda gradient: (-strength * gradient, None)


def reversal_strength(progress: tf.Tensor) -> tf.Tensor:
    """Computes 2 / (1 + exp(-10 p)) - 1, which rises from 0 to 1; ``progress`` p is the fraction of the training done."""
    return 2.0 / (1.0 + tf.exp(-10.0 * progress)) - 1.0
