"""Batch norm against Keras's own, and its statistics by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import around, random, surrounded, with_gradients

from gan_tf.nn.layers import BatchNorm


def two_norms(shape, kind=BatchNorm, **more):
    """Ours and Keras's with the same scales and offsets, none of them 1 or 0."""
    layers = [kind(momentum=0.9, epsilon=1e-5, **more), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **more)]
    for layer in layers:
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 2.0, shape[-1]))
        layer.beta.assign(np.linspace(-1.0, 1.0, shape[-1]))
    return layers


@pytest.fixture
def fused_calls(monkeypatch):
    """The shapes that TensorFlow's fused operation was called with."""
    operation, shapes = tf.compat.v1.nn.fused_batch_norm, []

    def counted(images, *args, **more):
        shapes.append(tuple(images.shape))
        return operation(images, *args, **more)

    monkeypatch.setattr(tf.compat.v1.nn, "fused_batch_norm", counted)
    return shapes


@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 1, 2, 3), (3, 4, 5, 2)], ids=str)
def test_batch_norm_is_keras_own_over_several_steps(shape, fused_calls):
    """Of 2 and 4 values a channel the biased and the unbiased variance differ by half and by a third."""
    ours, theirs = two_norms(shape)
    for step in range(4):
        images = tf.constant(np.random.default_rng(step).normal(step, 1.0 + step, shape), tf.float32)
        for found, expected in zip(*(with_gradients(layer, images, training=True) for layer in (ours, theirs)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=5e-4, atol=2e-4)
        np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-5)
    assert fused_calls == [shape] * 4
    for found, expected in zip(*(with_gradients(layer, images, training=False) for layer in (ours, theirs)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_moving_statistics_by_hand():
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
def test_where_batch_norm_falls_back_on_keras(shape, dtype, training, fused_calls):
    ours, theirs = two_norms(shape, dtype=dtype)
    images = tf.constant(random(*shape), dtype)
    for found, expected in zip(*(with_gradients(layer, images, training=training) for layer in (ours, theirs)), strict=True):
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours.moving_variance, theirs.moving_variance)
    assert not fused_calls


def test_batch_norm_over_devices_falls_back_on_keras(fused_calls):
    ours, theirs = two_norms((2, 3, 2, 3), synchronized=True)
    images = tf.constant(random(2, 3, 2, 3), tf.float32)
    np.testing.assert_array_equal(ours(images, training=True), theirs(images, training=True))
    assert not fused_calls


def test_a_frozen_batch_norm_neither_moves_nor_uses_the_batch():
    ours, theirs = two_norms((2, 3, 2, 3))
    ours.trainable = theirs.trainable = False
    images = tf.constant(3.0 * random(2, 3, 2, 3) + 1.0, tf.float32)
    np.testing.assert_allclose(ours(images, training=True), theirs(images, training=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.moving_mean, np.zeros(3))


FINE = 1.0 + 2.0**-10  # bfloat16 would make 1 of it


@around
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("gamma", "beta"), [(FINE, -1.0), (1.0, -FINE)], ids=["scale", "offset"])
def test_bfloat16_rounds_neither_scale_nor_offset(gamma, beta, training, around):
    layer, network = surrounded(lambda: BatchNorm(epsilon=1e-5), (1, 2, 1), around)
    assert {v.dtype for v in layer.variables} == {"float32"}
    layer.gamma.assign([gamma])
    layer.beta.assign([beta])
    layer.moving_variance.assign([64.0**2])
    outputs = network(tf.constant([[[[64.0], [-64.0]]]]), training=training)  # normalised to 1 and -1
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs[0, 0, 0], tf.float32), [gamma + beta], rtol=0.01)


@around
def test_bfloat16_keeps_moving_statistics_in_float32(around, fused_calls):
    layer, network = surrounded(lambda: BatchNorm(momentum=0.9), (1, 3, 1), around)
    values, mean, variance = np.array([1.0, 2.0, 2.0]), 0.0, 1.0  # a mean of 5/3 has no end in binary
    fused_calls.clear()
    for _ in range(3):
        network(tf.constant(values, tf.float32, (1, 1, 3, 1)), training=True)
        mean, variance = 0.9 * mean + 0.1 * values.mean(), 0.9 * variance + 0.1 * values.var()
    np.testing.assert_allclose(layer.moving_mean, [mean], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [variance], rtol=1e-6)
    assert fused_calls == [(1, 1, 3, 1)] * 3
