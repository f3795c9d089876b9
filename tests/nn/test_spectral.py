"""Spectral norm against NumPy's singular values and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import bfloat16_layer_and_caller, each_context, random

from gan_tf.gan.networks import dcgan
from gan_tf.nn.layers import SpectralConv2D


def build_layer_and_images(filters=6, size=3, channels=2):
    """Builds a float64 layer whose kernel covers an image, so that its output is the matrix product x.W / sigma."""
    kernel_init = keras.initializers.RandomNormal(0.0, 0.5, seed=3)
    layer = SpectralConv2D(filters, size, dtype="float64", kernel_initializer=kernel_init)
    images = tf.constant(random(4, size, size, channels))
    layer.build(images.shape)
    return layer, images, np.reshape(images, [4, -1])


def kernel_matrix(layer):
    return layer.kernel.numpy().reshape(-1, layer.filters)


def normalize(vector):
    return vector / np.linalg.norm(vector)


def test_sigma_after_many_iterations_is_the_largest_singular_value():
    layer, images, flat = build_layer_and_images()
    for _ in range(80):
        layer(images, training=True)
    largest = np.linalg.svd(kernel_matrix(layer), compute_uv=False)[0]
    for training in (True, False):
        found = layer(images, training=training).numpy().reshape(4, -1)
        np.testing.assert_allclose(found, flat @ kernel_matrix(layer) / largest, rtol=1e-7)


def test_each_training_call_does_one_power_iteration():
    layer, images, flat = build_layer_and_images()
    left = layer.left.numpy()[0]
    for _ in range(3):
        right = normalize(kernel_matrix(layer) @ left)
        left = normalize(kernel_matrix(layer).T @ right)
        sigma = right @ kernel_matrix(layer) @ left
        found = layer(images, training=True).numpy().reshape(4, -1)
        np.testing.assert_allclose(found, flat @ kernel_matrix(layer) / sigma, rtol=1e-9)
        np.testing.assert_allclose(layer.left.numpy()[0], left, rtol=1e-9)


def test_training_keeps_the_kernel_and_inference_changes_nothing():
    layer, images, _ = build_layer_and_images()
    kernel, left = layer.kernel.numpy(), layer.left.numpy()
    layer(images, training=False)
    np.testing.assert_array_equal(layer.left.numpy(), left)
    layer(images, training=True)
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    assert (layer.left.numpy() != left).any()
    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]


def test_gradient_is_orthogonal_to_the_kernel():
    """w / sigma(w) does not change when w is scaled."""
    layer, images, _ = build_layer_and_images()
    target = random(4, 1, 1, 6)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(images, training=True)) * target)
        gradient, kernel = tape.gradient(loss, layer.kernel.value).numpy().ravel(), layer.kernel.numpy().ravel()
        assert abs(gradient @ kernel) < 1e-10 * np.linalg.norm(gradient) * np.linalg.norm(kernel)
        assert np.linalg.norm(gradient) > 0.1


def test_gradient_equals_finite_differences_with_constant_singular_vectors():
    layer, images, flat = build_layer_and_images()
    target = random(4, 6)
    matrix = kernel_matrix(layer)
    right = normalize(matrix @ layer.left.numpy()[0])
    left = normalize(matrix.T @ right)

    def loss(w):
        return np.sum(np.sin(flat @ w / (right @ w @ left)) * target)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.sin(tf.reshape(layer(images, training=True), [4, 6])) * target)
    np.testing.assert_allclose(value, loss(matrix), rtol=1e-10)
    found = tape.gradient(value, layer.kernel.value).numpy().reshape(matrix.shape)
    for index in np.ndindex(*matrix.shape):
        step = np.zeros_like(matrix)
        step[index] = 1e-6
        np.testing.assert_allclose(found[index], (loss(matrix + step) - loss(matrix - step)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_gradient_after_many_iterations_is_that_of_the_exact_singular_value():
    layer, images, flat = build_layer_and_images()
    target = random(4, 6)
    for _ in range(80):
        layer(images, training=True)
    matrix = kernel_matrix(layer)

    def loss(w):
        return np.sum(flat @ w / np.linalg.svd(w, compute_uv=False)[0] * target)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.reshape(layer(images, training=True), [4, 6]) * target)
    found = tape.gradient(value, layer.kernel.value).numpy().reshape(matrix.shape)
    for index in [(0, 0), (5, 3), (17, 5)]:
        step = np.zeros_like(matrix)
        step[index] = 1e-6
        np.testing.assert_allclose(found[index], (loss(matrix + step) - loss(matrix - step)) / 2e-6, rtol=1e-5)


def test_bias_strides_and_padding_equal_those_of_a_convolution():
    images = random(2, 8, 8, 3)
    kernel_init = keras.initializers.RandomNormal(0.0, 0.5, seed=3)  # for which the iteration converges soon
    layer = SpectralConv2D(5, 4, 2, "same", dtype="float64", kernel_initializer=kernel_init)
    reference = keras.layers.Conv2D(5, 4, 2, "same", dtype="float64")
    for each in (layer, reference):
        each.build(images.shape)
    layer.bias.assign(np.arange(5.0))
    for _ in range(80):
        layer(images, training=True)
    largest = np.linalg.svd(kernel_matrix(layer), compute_uv=False)[0]
    reference.set_weights([layer.kernel.numpy() / largest, np.arange(5.0)])
    np.testing.assert_allclose(layer(images), reference(images), rtol=1e-6, atol=1e-9)


def test_activation_is_applied():
    layer = SpectralConv2D(5, 3, activation="relu")
    assert float(tf.reduce_min(layer(tf.constant(random(2, 5, 5, 3), tf.float32)))) >= 0.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
def test_network_after_saving_and_loading_has_the_same_outputs(tmp_path):
    network = dcgan.build_discriminator((8, 8, 1), 4, "spectral")
    images = tf.constant(np.clip(random(2, 8, 8, 1), -1, 1), tf.float32)
    network(images, training=True)
    network.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "net.keras")(images), network(images))


class RecordingSpectralConv2D(SpectralConv2D):
    """Records the kernel that it convolves with, before it is rounded."""

    def convolution_op(self, inputs, kernel):
        self.recorded_kernel = tf.convert_to_tensor(kernel)
        return super().convolution_op(inputs, kernel)


@each_context
def test_bfloat16_layer_divides_by_the_singular_value_of_its_float32_kernel(context):
    """Rounded to bfloat16 this kernel is a matrix of ones."""
    kernel = np.float32(1.0) + np.float32(2.0**-9) * np.random.default_rng(0).uniform(0.1, 0.9, (2, 2, 3, 5)).astype(np.float32)
    assert (tf.cast(kernel, tf.bfloat16).numpy() == 1.0).all()
    layer, network = bfloat16_layer_and_caller(lambda: RecordingSpectralConv2D(5, 2), (2, 2, 3), context)
    layer.kernel.assign(kernel)
    images = tf.constant(random(3, 2, 2, 3), tf.float32)
    for _ in range(20):
        network(images, training=True)
    largest = np.linalg.svd(kernel.reshape(-1, 5).astype(np.float64), compute_uv=False)[0]
    assert abs(largest / np.sqrt(60) - 1) > 5e-4  # sqrt(60) is that of a matrix of ones
    for training in (True, False):
        outputs = network(images, training=training)
        assert layer.recorded_kernel.dtype == tf.float32
        np.testing.assert_allclose(kernel / layer.recorded_kernel, largest, rtol=2e-6)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert outputs.dtype == tf.bfloat16
    expected = np.reshape(images, [3, 12]) @ kernel.reshape(12, 5) / largest
    np.testing.assert_allclose(tf.cast(outputs, tf.float32)[:, 0, 0], expected, atol=0.03)
