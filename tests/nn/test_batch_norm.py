"""Batch norm against Keras's layer, and its statistics against values computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import bfloat16_layer_and_caller, each_context, outputs_and_gradients, random

from gan_tf.nn.layers import BatchNorm


def build_layer_and_reference(shape, **options):
    """Builds our layer and Keras's, with the same scales and offsets, none of them 1 or 0."""
    layers = [kind(momentum=0.9, epsilon=1e-5, **options) for kind in (BatchNorm, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 2.0, shape[-1]))
        layer.beta.assign(np.linspace(-1.0, 1.0, shape[-1]))
    return layers


@pytest.fixture
def fused_calls(monkeypatch):
    """The shapes that TensorFlow's fused operation was called with."""
    operation, shapes = tf.compat.v1.nn.fused_batch_norm, []

    def record_shape(images, *args, **kwargs):
        shapes.append(tuple(images.shape))
        return operation(images, *args, **kwargs)

    monkeypatch.setattr(tf.compat.v1.nn, "fused_batch_norm", record_shape)
    return shapes


@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 1, 2, 3), (3, 4, 5, 2)], ids=str)
def test_batch_norm_over_several_steps_equals_keras(shape, fused_calls):
    """With 2 and 4 values per channel the biased and the unbiased variance differ by a half and by a third."""
    layer, reference = build_layer_and_reference(shape)
    for step in range(4):
        images = tf.constant(np.random.default_rng(step).normal(step, 1.0 + step, shape), tf.float32)
        results = [outputs_and_gradients(each, images, training=True) for each in (layer, reference)]
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=5e-4, atol=2e-4)
        np.testing.assert_allclose(layer.moving_mean, reference.moving_mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.moving_variance, reference.moving_variance, rtol=1e-5)
    assert fused_calls == [shape] * 4
    results = [outputs_and_gradients(each, images, training=False) for each in (layer, reference)]
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_moving_statistics_equal_values_computed_by_hand():
    layer = BatchNorm(momentum=0.75)
    layer(tf.reshape(tf.constant([1.0, 2.0, 6.0]), [3, 1, 1, 1]), training=True)
    np.testing.assert_allclose(layer.moving_mean, [0.25 * 3.0], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [0.75 + 0.25 * (4 + 1 + 9) / 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype", "training"),
    [
        ((5, 3), "float32", True),
        ((2, 5, 3), "float32", True),
        ((2, 3, 2, 3), "float64", True),
        ((2, 3, 2, 3), "float32", False),
    ],
    ids=["rank 2", "rank 3", "float64", "inference"],
)
def test_batch_norm_of_other_inputs_falls_back_to_keras(shape, dtype, training, fused_calls):
    layer, reference = build_layer_and_reference(shape, dtype=dtype)
    images = tf.constant(random(*shape), dtype)
    results = [outputs_and_gradients(each, images, training=training) for each in (layer, reference)]
    for found, expected in zip(*results, strict=True):
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(layer.moving_variance, reference.moving_variance)
    assert not fused_calls


def test_synchronized_batch_norm_falls_back_to_keras(fused_calls):
    layer, reference = build_layer_and_reference((2, 3, 2, 3), synchronized=True)
    images = tf.constant(random(2, 3, 2, 3), tf.float32)
    np.testing.assert_array_equal(layer(images, training=True), reference(images, training=True))
    assert not fused_calls


def test_frozen_batch_norm_in_training_uses_and_keeps_its_moving_statistics():
    layer, reference = build_layer_and_reference((2, 3, 2, 3))
    layer.trainable = reference.trainable = False
    images = tf.constant(3.0 * random(2, 3, 2, 3) + 1.0, tf.float32)
    np.testing.assert_allclose(layer(images, training=True), reference(images, training=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))


FINE = 1.0 + 2.0**-10  # 1 when rounded to bfloat16


@each_context
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("gamma", "beta"), [(FINE, -1.0), (1.0, -FINE)], ids=["scale", "offset"])
def test_bfloat16_batch_norm_does_not_round_scale_and_offset(gamma, beta, training, context):
    layer, network = bfloat16_layer_and_caller(lambda: BatchNorm(epsilon=1e-5), (1, 2, 1), context)
    assert {v.dtype for v in layer.variables} == {"float32"}
    layer.gamma.assign([gamma])
    layer.beta.assign([beta])
    layer.moving_variance.assign([64.0**2])
    outputs = network(tf.constant([[[[64.0], [-64.0]]]]), training=training)  # normalized to 1 and -1
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs[0, 0, 0], tf.float32), [gamma + beta], rtol=0.01)


@each_context
def test_bfloat16_batch_norm_keeps_moving_statistics_in_float32(context, fused_calls):
    layer, network = bfloat16_layer_and_caller(lambda: BatchNorm(momentum=0.9), (1, 3, 1), context)
    values, mean, variance = np.array([1.0, 2.0, 2.0]), 0.0, 1.0  # the mean 5/3 is no finite binary number
    fused_calls.clear()
    for _ in range(3):
        network(tf.constant(values, tf.float32, (1, 1, 3, 1)), training=True)
        mean, variance = 0.9 * mean + 0.1 * values.mean(), 0.9 * variance + 0.1 * values.var()
    np.testing.assert_allclose(layer.moving_mean, [mean], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [variance], rtol=1e-6)
    assert fused_calls == [(1, 1, 3, 1)] * 3
