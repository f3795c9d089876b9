"""Normalisations against NumPy, and spectral norm against linear algebra and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.networks import dcgan
from gan_tf.networks.layers import SpectralConv2D, normalise


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


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


# --- spectral norm ---------------------------------------------------------------------------------------------------


def layer_and_input(filters=6, size=3, channels=2):
    """A float64 layer that sees each image at one place, so that it is the matrix product x.W / sigma."""
    layer = SpectralConv2D(filters, size, dtype="float64", kernel_initializer=keras.initializers.RandomNormal(0.0, 0.5, seed=3))
    images = tf.constant(random(4, size, size, channels))
    layer.build(images.shape)
    return layer, images, np.reshape(images, [4, -1])


def matrix_of(layer):
    return layer.kernel.numpy().reshape(-1, layer.filters)


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_sigma_becomes_the_largest_singular_value():
    layer, images, flat = layer_and_input()
    for _ in range(80):
        layer(images, training=True)
    largest = np.linalg.svd(matrix_of(layer), compute_uv=False)[0]
    for training in (True, False):
        found = layer(images, training=training).numpy().reshape(4, -1)
        np.testing.assert_allclose(found, flat @ matrix_of(layer) / largest, rtol=1e-7)


def test_one_power_iteration_a_training_call():
    layer, images, flat = layer_and_input()
    left = layer.left.numpy()[0]
    for _ in range(3):
        right = unit(matrix_of(layer) @ left)
        left = unit(matrix_of(layer).T @ right)
        sigma = right @ matrix_of(layer) @ left
        found = layer(images, training=True).numpy().reshape(4, -1)
        np.testing.assert_allclose(found, flat @ matrix_of(layer) / sigma, rtol=1e-9)
        np.testing.assert_allclose(layer.left.numpy()[0], left, rtol=1e-9)


def test_the_kernel_is_never_overwritten_and_inference_moves_nothing():
    layer, images, _ = layer_and_input()
    kernel, left = layer.kernel.numpy(), layer.left.numpy()
    layer(images, training=False)
    np.testing.assert_array_equal(layer.left.numpy(), left)
    layer(images, training=True)
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    assert (layer.left.numpy() != left).any()
    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]


def test_the_gradient_is_orthogonal_to_the_kernel():
    """w / sigma(w) doesn't change with the length of w, so its gradient has no part along w."""
    layer, images, _ = layer_and_input()
    target = random(4, 1, 1, 6)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(images, training=True)) * target)
        gradient, kernel = tape.gradient(loss, layer.kernel.value).numpy().ravel(), layer.kernel.numpy().ravel()
        assert abs(gradient @ kernel) < 1e-10 * np.linalg.norm(gradient) * np.linalg.norm(kernel)
        assert np.linalg.norm(gradient) > 0.1


def test_the_gradient_against_finite_differences_with_the_vectors_fixed():
    layer, images, flat = layer_and_input()
    target = random(4, 6)
    matrix = matrix_of(layer)
    right = unit(matrix @ layer.left.numpy()[0])
    left = unit(matrix.T @ right)

    def loss(w):
        return np.sum(np.sin(flat @ w / (right @ w @ left)) * target)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.sin(tf.reshape(layer(images, training=True), [4, 6])) * target)
    np.testing.assert_allclose(value, loss(matrix), rtol=1e-10)
    found = tape.gradient(value, layer.kernel.value).numpy().reshape(matrix.shape)
    for at in np.ndindex(*matrix.shape):
        step = np.zeros_like(matrix)
        step[at] = 1e-6
        np.testing.assert_allclose(found[at], (loss(matrix + step) - loss(matrix - step)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_the_gradient_is_that_of_the_true_norm_once_the_iteration_has_settled():
    layer, images, flat = layer_and_input()
    target = random(4, 6)
    for _ in range(80):
        layer(images, training=True)
    matrix = matrix_of(layer)

    def loss(w):
        return np.sum(flat @ w / np.linalg.svd(w, compute_uv=False)[0] * target)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.reshape(layer(images, training=True), [4, 6]) * target)
    found = tape.gradient(value, layer.kernel.value).numpy().reshape(matrix.shape)
    for at in [(0, 0), (5, 3), (17, 5)]:
        step = np.zeros_like(matrix)
        step[at] = 1e-6
        np.testing.assert_allclose(found[at], (loss(matrix + step) - loss(matrix - step)) / 2e-6, rtol=1e-5)


def test_bias_strides_and_padding_are_those_of_a_convolution():
    images = random(2, 8, 8, 3)
    layer = SpectralConv2D(5, 4, 2, "same", dtype="float64")
    plain = keras.layers.Conv2D(5, 4, 2, "same", dtype="float64")
    for each in (layer, plain):
        each.build(images.shape)
    layer.bias.assign(np.arange(5.0))
    for _ in range(80):
        layer(images, training=True)
    plain.set_weights([layer.kernel.numpy() / np.linalg.svd(matrix_of(layer), compute_uv=False)[0], np.arange(5.0)])
    np.testing.assert_allclose(layer(images), plain(images), rtol=1e-6, atol=1e-9)


def test_an_activation_is_not_forgotten():
    layer = SpectralConv2D(5, 3, activation="relu")
    assert float(tf.reduce_min(layer(tf.constant(random(2, 5, 5, 3), tf.float32)))) >= 0.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
def test_it_is_saved_and_loaded_with_its_vector(tmp_path):
    network = dcgan.build_discriminator((8, 8, 1), 4, "spectral")
    images = tf.constant(np.clip(random(2, 8, 8, 1), -1, 1), tf.float32)
    network(images, training=True)
    network.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "net.keras")(images), network(images))
