"""Spectral norm against NumPy's singular values and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import around, random, surrounded

from gan_tf.gan.networks import dcgan
from gan_tf.nn.layers import SpectralConv2D


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
    kernel = keras.initializers.RandomNormal(0.0, 0.5, seed=3)  # one whose largest singular value the iteration finds soon
    layer = SpectralConv2D(5, 4, 2, "same", dtype="float64", kernel_initializer=kernel)
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


class Seen(SpectralConv2D):
    """Keeps the kernel that it convolves with, before it is rounded."""

    def convolution_op(self, inputs, kernel):
        self.seen = tf.convert_to_tensor(kernel)
        return super().convolution_op(inputs, kernel)


@around
def test_bfloat16_divides_by_the_singular_value_of_float32(around):
    """All that makes this kernel more than a matrix of ones, bfloat16 would round away."""
    kernel = np.float32(1.0) + np.float32(2.0**-9) * np.random.default_rng(0).uniform(0.1, 0.9, (2, 2, 3, 5)).astype(np.float32)
    assert (tf.cast(kernel, tf.bfloat16).numpy() == 1.0).all()
    layer, network = surrounded(lambda: Seen(5, 2), (2, 2, 3), around)
    layer.kernel.assign(kernel)
    images = tf.constant(random(3, 2, 2, 3), tf.float32)
    for _ in range(20):
        network(images, training=True)
    largest = np.linalg.svd(kernel.reshape(-1, 5).astype(np.float64), compute_uv=False)[0]
    assert abs(largest / np.sqrt(60) - 1) > 5e-4  # of ones it would be sqrt(60)
    for training in (True, False):
        outputs = network(images, training=training)
        assert layer.seen.dtype == tf.float32
        np.testing.assert_allclose(kernel / layer.seen, largest, rtol=2e-6)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert outputs.dtype == tf.bfloat16
    expected = np.reshape(images, [3, 12]) @ kernel.reshape(12, 5) / largest
    np.testing.assert_allclose(tf.cast(outputs, tf.float32)[:, 0, 0], expected, atol=0.03)
