"""The losses of domain adaptation: adversarial (Ganin et al. 2016) and on pseudo-labels (AdaMatch, Berthelot et al. 2021)."""

import tensorflow as tf

_RAMP = 0.3  # fraction of the training over which the weight of pseudo-labels rises


def domain_loss(source_logits: tf.Tensor, target_logits: tf.Tensor) -> tf.Tensor:
    """Computes the domain classifier's binary cross entropy; ln 2 if it cannot tell the domains apart.

    Args:
        source_logits: ``[batch, 1]``.
        target_logits: ``[batch, 1]``.

    Raises:
        ValueError: other shapes.
    """
    if source_logits.shape != target_logits.shape or source_logits.shape.rank != 2:
        raise ValueError(f"the shapes of logits {source_logits.shape} and {target_logits.shape} do not match")
    return 0.5 * (tf.reduce_mean(tf.nn.softplus(source_logits)) + tf.reduce_mean(tf.nn.softplus(-target_logits)))


def align_distribution(probabilities: tf.Tensor, source_mean: tf.Tensor, target_mean: tf.Tensor) -> tf.Tensor:
    """Returns probabilities ``[batch, K]``, made more likely where the source predicts a class more often than the target.

    p' = p * source_mean / target_mean, divided by its sum (Berthelot et al. 2021, equation 3).

    Args:
        probabilities: of target images.
        source_mean: mean prediction on source images, ``[K]``.
        target_mean: mean prediction on target images, ``[K]``.
    """
    aligned = probabilities * (source_mean / tf.maximum(target_mean, 1e-6))
    return aligned / tf.reduce_sum(aligned, axis=1, keepdims=True)


def confident(probabilities: tf.Tensor, source_probabilities: tf.Tensor, fraction: float) -> tf.Tensor:
    """Returns which rows are sure enough, as 0 or 1 ``[batch]``.

    Those whose largest probability is at least ``fraction`` of the mean largest probability of source images (Berthelot et
    al. 2021, equation 4).
    """
    threshold = fraction * tf.reduce_mean(tf.reduce_max(source_probabilities, axis=1))
    return tf.cast(tf.reduce_max(probabilities, axis=1) >= threshold, tf.float32)


def pseudo_label_loss(targets: tf.Tensor, mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes the mean over the batch of the cross entropy of logits ``[batch, K]``, 0 where ``mask`` is 0."""
    losses = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(targets), logits)
    return tf.reduce_mean(mask * losses)


def pseudo_label_ramp(progress: tf.Tensor) -> tf.Tensor:
    """Returns the weight of the loss on pseudo-labels: it rises linearly to 1 over the first 30 % of the training."""
    return tf.minimum(progress / _RAMP, 1.0)
