"""Normalization layers against NumPy, and the precision that layers compute in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import random

from gan_tf.gan.networks import dcgan
from gan_tf.nn.layers import apply_norm
from gan_tf.nn.precision import dtype_policy_scope


@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 1, 2)), ("layer", (1, 2, 3)), ("instance", (1, 2))])
def test_apply_norm_equals_numpy(norm, axes):
    inputs = keras.Input((5, 4, 6))
    network = keras.Model(inputs, apply_norm(inputs, norm))
    values = 3.0 * random(3, 5, 4, 6) + 2.0
    mean, variance = values.mean(axis=axes, keepdims=True), values.var(axis=axes, keepdims=True)
    found = network(tf.constant(values, tf.float32), training=True)
    np.testing.assert_allclose(found, (values - mean) / np.sqrt(variance + 1e-5), atol=2e-5)
    assert [tuple(v.shape) for v in network.trainable_variables] == [(6,), (6,)]  # a scale and an offset per channel


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_apply_norm_of_none_and_spectral_returns_its_input(norm):
    inputs = keras.Input((5, 4, 6))
    assert apply_norm(inputs, norm) is inputs


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_second_derivative_of_norms_equals_finite_differences(norm):
    """The derivative of a squared gradient norm along a direction of the kernel. Keras's layers fail here."""
    rng = np.random.default_rng(0)
    images, weights = (tf.constant(rng.normal(size=shape)) for shape in ((2, 4, 4, 3), (4, 4, 3)))
    initial_kernel, direction = (rng.normal(size=(1, 1, 3, 3)) for _ in range(2))
    inputs = keras.Input((4, 4, 3), dtype="float64")
    with dtype_policy_scope("float64"):  # for precise finite differences
        network = keras.Model(inputs, apply_norm(inputs, norm))

    def squared_gradient_norm(kernel):
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = tf.reduce_sum(weights * tf.tanh(network(tf.nn.conv2d(images, kernel, 1, "SAME"))))
        return tf.reduce_sum(tf.square(tape.gradient(score, images)))

    kernel = tf.constant(initial_kernel)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        value = squared_gradient_norm(kernel)
    found = tf.reduce_sum(tape.gradient(value, kernel) * direction)
    step = 1e-5
    difference = squared_gradient_norm(kernel + step * direction) - squared_gradient_norm(kernel - step * direction)
    expected = difference / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def policy_name():
    return keras.config.dtype_policy().name


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_layers_in_dtype_policy_scope_compute_in_its_precision(precision):
    with dtype_policy_scope(precision):
        layer = keras.layers.Dense(2)
    layer.build((1, 3))
    assert layer.compute_dtype == layer(tf.ones((1, 3))).dtype == precision
    assert {v.dtype for v in layer.variables} == {"float32"}


def test_dtype_policy_scope_nested_restores_each_policy():
    before = keras.config.dtype_policy()
    with dtype_policy_scope("bfloat16"):
        assert policy_name() == "mixed_bfloat16"
        with dtype_policy_scope("float32"):
            assert policy_name() == "float32"
            with dtype_policy_scope("bfloat16"):
                assert policy_name() == "mixed_bfloat16"
            assert policy_name() == "float32"
        assert policy_name() == "mixed_bfloat16"
    assert keras.config.dtype_policy() is before


def test_dtype_policy_scope_after_an_error_restores_the_policy():
    before = keras.config.dtype_policy()
    with dtype_policy_scope("float32"):
        with pytest.raises(ZeroDivisionError), dtype_policy_scope("bfloat16"):
            1 / 0  # noqa: B018
        assert policy_name() == "float32"
    assert keras.config.dtype_policy() is before


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
@pytest.mark.parametrize("part", ["batch", "spectral", "none", "generator"])
def test_bfloat16_network_after_saving_and_loading_is_the_same(part, tmp_path):
    with dtype_policy_scope("bfloat16"):
        if part == "generator":
            network, inputs = dcgan.build_generator((16, 16, 3), 5, 16), tf.constant(random(2, 5), tf.float32)
        else:
            network, inputs = dcgan.build_discriminator((16, 16, 3), 4, part), tf.constant(random(2, 16, 16, 3), tf.float32)
    network(inputs, training=True)
    network.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    compute_dtypes = [layer.compute_dtype for layer in loaded.layers[1:]]
    assert compute_dtypes == [layer.compute_dtype for layer in network.layers[1:]]
    assert compute_dtypes.count("bfloat16") > 3
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in network.layers]
    assert {v.dtype for v in loaded.trainable_variables} == {"float32"}
    np.testing.assert_array_equal(loaded(inputs), network(inputs))
    assert network(inputs).dtype == tf.float32
