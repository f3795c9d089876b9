"""What the tests of layers share: random arrays, gradients, and the ways in which a layer of bfloat16 is called."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn.layers import computing_in


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def with_gradients(layer, images, **more):
    """Outputs, and gradients by inputs and variables of their sum, weighted so that it doesn't cancel out."""
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, **more)
    weights = tf.reshape(1.5 + tf.sin(tf.range(tf.size(outputs), dtype=tf.float32)), outputs.shape)
    return [outputs, *tape.gradient(outputs, [images, *variables], tf.cast(weights, outputs.dtype))]


def network_of(layer, shape):
    """A network around one layer, of the policy that holds."""
    inputs = keras.Input(shape)
    first = keras.layers.Activation("linear", dtype=layer.dtype_policy)(inputs)  # casts to the layer's dtype
    return keras.Model(inputs, layer(first))


def surrounded(make, shape, around):
    """A layer made under bfloat16 and what calls it; how Keras casts variables depends on the caller's policy, too."""
    with computing_in("bfloat16"):
        layer = make()
        network = network_of(layer, shape)
    if around == "bfloat16":
        return layer, network
    if around == "float32":  # as where a network of bfloat16 was loaded from a file
        return layer, network_of(layer, shape)
    return layer, lambda images, **more: layer(tf.cast(images, tf.bfloat16), **more)


around = pytest.mark.parametrize("around", ["bfloat16", "float32", "nothing"])
