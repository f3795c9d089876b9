"""Normalisations in NumPy, and the precision that layers compute in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import random

from gan_tf.gan.networks import dcgan
from gan_tf.nn.layers import computing_in, normalise


@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 1, 2)), ("layer", (1, 2, 3)), ("instance", (1, 2))])
def test_normalisations_in_numpy(norm, axes):
    inputs = keras.Input((5, 4, 6))
    network = keras.Model(inputs, normalise(inputs, norm))
    values = 3.0 * random(3, 5, 4, 6) + 2.0
    mean, variance = values.mean(axis=axes, keepdims=True), values.var(axis=axes, keepdims=True)
    found = network(tf.constant(values, tf.float32), training=True)
    np.testing.assert_allclose(found, (values - mean) / np.sqrt(variance + 1e-5), atol=2e-5)
    assert [tuple(v.shape) for v in network.trainable_variables] == [(6,), (6,)]  # a scale and an offset a channel


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_normalisations_that_leave_activations_alone(norm):
    inputs = keras.Input((5, 4, 6))
    assert normalise(inputs, norm) is inputs


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_norms_can_be_differentiated_twice(norm):
    """The slope of a gradient's length along a direction of the kernel, against finite differences; Keras's own fails."""
    rng = np.random.default_rng(0)
    images, mix = (tf.constant(rng.normal(size=shape)) for shape in ((2, 4, 4, 3), (4, 4, 3)))
    kernel, direction = (rng.normal(size=(1, 1, 3, 3)) for _ in range(2))
    inputs = keras.Input((4, 4, 3), dtype="float64")
    with computing_in("float64"):  # in which finite differences are exact to many digits
        with_norm = keras.Model(inputs, normalise(inputs, norm))

    def length(weights):
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = tf.reduce_sum(mix * tf.tanh(with_norm(tf.nn.conv2d(images, weights, 1, "SAME"))))
        return tf.reduce_sum(tf.square(tape.gradient(score, images)))

    start = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(start)
        value = length(start)
    found = tf.reduce_sum(tape.gradient(value, start) * direction)
    step = 1e-5
    expected = (length(start + step * direction) - length(start - step * direction)) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def policy():
    return keras.config.dtype_policy().name


def test_layers_compute_in_what_surrounds_them():
    with computing_in("bfloat16"):
        low = keras.layers.Dense(2)
    with computing_in("float32"):
        high = keras.layers.Dense(2)
    for layer, dtype in ((low, "bfloat16"), (high, "float32")):
        layer.build((1, 3))
        assert layer.compute_dtype == layer(tf.ones((1, 3))).dtype == dtype
        assert {v.dtype for v in layer.variables} == {"float32"}


def test_the_policy_is_restored():
    before = keras.config.dtype_policy()
    with computing_in("bfloat16"):
        assert policy() == "mixed_bfloat16"
        with computing_in("float32"):
            assert policy() == "float32"
            with computing_in("bfloat16"):
                assert policy() == "mixed_bfloat16"
            assert policy() == "float32"
        assert policy() == "mixed_bfloat16"
    assert keras.config.dtype_policy() is before


def test_the_policy_is_restored_where_building_fails():
    before = keras.config.dtype_policy()
    with computing_in("float32"):
        with pytest.raises(ZeroDivisionError), computing_in("bfloat16"):
            1 / 0  # noqa: B018
        assert policy() == "float32"
    assert keras.config.dtype_policy() is before


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
@pytest.mark.parametrize("part", ["batch", "spectral", "none", "generator"])
def test_networks_of_bfloat16_are_saved_and_loaded(part, tmp_path):
    with computing_in("bfloat16"):
        if part == "generator":
            network, inputs = dcgan.build_generator((16, 16, 3), 5, 16), tf.constant(random(2, 5), tf.float32)
        else:
            network, inputs = dcgan.build_discriminator((16, 16, 3), 4, part), tf.constant(random(2, 16, 16, 3), tf.float32)
    network(inputs, training=True)
    network.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    computed = [[layer.compute_dtype for layer in each.layers[1:]] for each in (loaded, network)]
    assert computed[0] == computed[1]
    assert computed[0].count("bfloat16") > 3
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in network.layers]
    assert {v.dtype for v in loaded.trainable_variables} == {"float32"}
    np.testing.assert_array_equal(loaded(inputs), network(inputs))
    assert network(inputs).dtype == tf.float32
