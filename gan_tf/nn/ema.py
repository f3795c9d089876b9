"""The exponential moving average (EMA) of a network's trainable variables, with a warm-up that is counted in images.

During warm-up the half-life is 5 % of the images seen so far (Karras et al. 2022, EDM), so that the EMA soon forgets the
initial weights. Batch-norm statistics are not averaged but recomputed from fixed batches before the network is used
(Izmailov et al. 2018, SWA, section 3.2).
"""

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

_WARM_UP_FRACTION = 0.05
_STATISTICS = ("moving_mean", "moving_variance")  # Keras's names of a batch norm's variables


def create_images_seen(model: keras.Model) -> keras.Variable:
    """Adds to ``model`` an int64 variable that counts its training images, with one value for all devices."""
    return model.add_weight(
        shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica", name="images_seen"
    )


def ema_decay(half_life: float, batch: int, images_seen: tf.Tensor) -> tf.Tensor:
    """Returns the weight of the old EMA in one update, in [0, 1); 0 at the first step.

    Args:
        half_life: in images, after warm-up; 0 makes the EMA equal to the network itself.
        batch: images in one step.
        images_seen: images before this step, integer scalar.
    """
    current_half_life = tf.minimum(tf.cast(half_life, tf.float32), _WARM_UP_FRACTION * tf.cast(images_seen, tf.float32))
    return tf.pow(0.5, batch / tf.maximum(current_half_life, 1e-8))


def update_ema(network_ema: keras.Model, network: keras.Model, decay: tf.Tensor) -> None:
    """Sets network_ema <- decay * network_ema + (1 - decay) * network, for the trainable variables.

    Raises:
        ValueError: the networks differ in the number of variables.
    """
    for average, variable in zip(network_ema.trainable_variables, network.trainable_variables, strict=True):
        average.assign(variable + decay * (average - variable))


def recompute_batch_norm(network: keras.Model, batches: Iterable[tf.Tensor]) -> None:
    """Sets the moving statistics of all batch norms to their means over ``batches`` of inputs."""
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:  # a momentum of 0 discards previous statistics only where they are finite
        layer.moving_mean.assign(tf.zeros_like(layer.moving_mean))
        layer.moving_variance.assign(tf.zeros_like(layer.moving_variance))
    try:
        for n, batch in enumerate(batches):
            for layer in layers:
                layer.momentum = n / (n + 1)  # cumulative mean
            network(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


@contextlib.contextmanager
def kept_statistics(model: keras.Model) -> Iterator[None]:
    """Gives all batch norms of ``model`` the moving statistics back that they had before the ``with`` block.

    What is exported in the block has recomputed ones. They decide nothing in training, but they stand in the next
    checkpoint, which should have the same bits whether or not a run was resumed between the two.
    """
    variables = [variable for variable in model.non_trainable_variables if variable.name in _STATISTICS]
    values = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            if not np.array_equal(variable.numpy(), value, equal_nan=True):
                variable.assign(value)
