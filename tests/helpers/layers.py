"""Helpers for tests of layers: random arrays, gradients, and layers of bfloat16 called in several contexts."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn.precision import dtype_policy_scope


def random(*shape: int) -> np.ndarray:
    """Returns normal random numbers, the same for the same shape."""
    return np.random.default_rng(sum(shape)).normal(size=shape)


def outputs_and_gradients(layer: Any, images: tf.Tensor, **arguments: Any) -> list[tf.Tensor]:
    """Returns the outputs, and the gradients of a weighted sum of them by the inputs and by each variable."""
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, **arguments)
    weights = tf.reshape(1.5 + tf.sin(tf.range(tf.size(outputs), dtype=tf.float32)), outputs.shape)
    return [outputs, *tape.gradient(outputs, [images, *variables], tf.cast(weights, outputs.dtype))]


def network_of(layer: keras.layers.Layer, shape: tuple[int, ...]) -> keras.Model:
    """Builds a network of one layer under the current dtype policy."""
    inputs = keras.Input(shape)
    cast = keras.layers.Activation("linear", dtype=layer.dtype_policy)(inputs)  # casts to the layer's dtype
    return keras.Model(inputs, layer(cast))


def bfloat16_layer_and_caller(
    make_layer: Callable[[], keras.layers.Layer], shape: tuple[int, ...], context: str
) -> tuple[keras.layers.Layer, Any]:
    """Makes a layer under bfloat16, and a function that calls it.

    Args:
        make_layer: the layer's constructor.
        shape: of one input.
        context: what surrounds the call, since Keras casts variables by the policy of the caller: a network built under
            "bfloat16", one built under "float32" (as after loading a file), or "none".
    """
    with dtype_policy_scope("bfloat16"):
        layer = make_layer()
        network = network_of(layer, shape)
    if context == "bfloat16":
        return layer, network
    if context == "float32":
        return layer, network_of(layer, shape)
    return layer, lambda images, **arguments: layer(tf.cast(images, tf.bfloat16), **arguments)


each_context = pytest.mark.parametrize("context", ["bfloat16", "float32", "none"])
