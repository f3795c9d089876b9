"""The averaged network: an exponential moving average of trainable variables, with a warm-up counted in images.

The half-life grows with the images seen (5 % of them, as in Karras et al. 2022, EDM) up to its full value, so the average
isn't noise for the first thousands of steps. Batch-norm statistics are not averaged: they are computed anew from fixed
chunks when the network is about to be used (Izmailov et al. 2018, SWA, section 3.2).
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

WARM_UP = 0.05


def images_seen(method: keras.Model) -> keras.Variable:
    """A variable of ``method``, int64 from 0, in which its steps count their images; devices count as one."""
    return method.add_weight(
        shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica", name="images_seen"
    )


def decay(half_life: float, batch: int, images_seen: tf.Tensor) -> tf.Tensor:
    """The share of the old average to keep at a step of ``batch`` images; 0 where there is nothing to average yet.

    Args:
        half_life: in images; 0 keeps nothing, so the average is the network itself.
        batch: images a step.
        images_seen: before this step, integer scalar.
    """
    now = tf.minimum(tf.cast(half_life, tf.float32), WARM_UP * tf.cast(images_seen, tf.float32))
    return tf.pow(0.5, batch / tf.maximum(now, 1e-8))


def update(averaged: keras.Model, network: keras.Model, keep: tf.Tensor) -> None:
    """averaged <- keep * averaged + (1 - keep) * network, over trainable variables in their order."""
    for a, v in zip(averaged.trainable_variables, network.trainable_variables, strict=True):
        a.assign(v + keep * (a - v))


def refresh_batch_norm(network: keras.Model, chunks: Iterable[tf.Tensor]) -> None:
    """Sets the moving statistics of all batch norms to the mean over ``chunks`` of inputs, whatever they were before."""
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:  # 0 times what was there is 0 only where that was finite
        layer.moving_mean.assign(tf.zeros_like(layer.moving_mean))
        layer.moving_variance.assign(tf.zeros_like(layer.moving_variance))
    try:
        for n, chunk in enumerate(chunks):
            for layer in layers:
                layer.momentum = n / (n + 1)  # a cumulative mean: the first chunk replaces what was there
            network(chunk, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
