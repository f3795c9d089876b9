"""The optimizers of a GAN: built from the configuration, traced once, with a linear learning-rate decay."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.models import all_equal, build_gan, gan_config, make_batch, trainable_values

from gan_tf.gan.model import build_optimizer


def test_first_update_has_the_size_of_each_networks_learning_rate():
    """Adam's first update is the learning rate in the direction of the gradient, RMSprop's is sqrt(10) times that."""
    gan = build_gan(g_lr=1e-3, d_lr=3e-3)
    before = trainable_values(gan.generator), trainable_values(gan.discriminator)
    gan.train_step(make_batch(gan))
    for network, initial, learning_rate in ((gan.generator, before[0], 1e-3), (gan.discriminator, before[1], 3e-3)):
        changes = [np.abs(b - a).ravel() for a, b in zip(initial, trainable_values(network), strict=True)]
        np.testing.assert_allclose(np.concatenate(changes).max(), learning_rate, rtol=1e-3)
        assert np.median(np.concatenate(changes)) > 0.5 * learning_rate
    variable = keras.Variable([1.0, 2.0])
    optimizer = build_optimizer(gan_config(loss="wgan"), 1e-2, 1, [variable])
    optimizer.apply([tf.constant([4.0, -0.5])], [variable])
    np.testing.assert_allclose(variable.numpy() - [1.0, 2.0], [-1e-2 * 10**0.5, 1e-2 * 10**0.5], rtol=1e-3)


@pytest.mark.parametrize(("name", "expected"), [("adam", keras.optimizers.Adam), ("rmsprop", keras.optimizers.RMSprop)])
def test_build_optimizer_returns_a_built_optimizer_with_the_configured_values(name, expected):
    config = gan_config(optimizer=name)
    if name == "adam":
        config = dataclasses.replace(config, beta1=0.25, beta2=0.75)
    optimizer = build_optimizer(config, 0.125, 1, [keras.Variable([1.0, 2.0])])
    assert optimizer.built
    assert float(optimizer.learning_rate) == 0.125
    assert type(optimizer) is expected
    if name == "adam":
        assert (optimizer.beta_1, optimizer.beta_2) == (0.25, 0.75)


@pytest.mark.parametrize("d_steps", [1, 3])
def test_learning_rates_with_lr_decay_images_fall_linearly_to_0(d_steps):
    gan = build_gan(lr_decay_images=32, batch=8, d_steps=d_steps, loss="hinge", norm="none", g_lr=0.25, d_lr=0.5)
    for step in range(5):
        fraction = max(0.0, 1 - step * 8 / 32)
        np.testing.assert_allclose(float(gan.g_optimizer.learning_rate), 0.25 * fraction)
        np.testing.assert_allclose(float(gan.d_optimizer.learning_rate), 0.5 * fraction)
        before = trainable_values(gan.generator)
        gan.train_step(make_batch(gan))
        assert all_equal(before, trainable_values(gan.generator)) == (fraction == 0)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_train_step_with_each_optimizer_is_traced_once(optimizer):
    """Optimizer slots that are built inside the first step would trace it twice."""
    gan, traces = build_gan(network="baseline", optimizer=optimizer), []

    @tf.function
    def train_step(batch):
        traces.append(1)
        return gan.train_step(batch)

    for step in range(2):
        train_step(make_batch(gan, step))
    assert len(traces) == 1
