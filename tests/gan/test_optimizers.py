"""The optimisers of an adversarial method: built from the settings, traced once, their rates falling as said."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.models import batch_of, method_of, settings_of, values

from gan_tf.gan.model import build_optimizer


def test_each_optimiser_has_its_own_rate():
    """The first update of Adam is the rate itself, in the direction of the gradient; RMSprop's is its square root of 10."""
    method = method_of(g_rate=1e-3, d_rate=3e-3)
    before = values(method.generator), values(method.discriminator)
    method.train_step(batch_of(method))
    for network, start, rate in ((method.generator, before[0], 1e-3), (method.discriminator, before[1], 3e-3)):
        moved = np.concatenate([np.abs(b - a).ravel() for a, b in zip(start, values(network), strict=True)])
        np.testing.assert_allclose(moved.max(), rate, rtol=1e-3)
        assert np.median(moved) > 0.5 * rate
    variable = keras.Variable([1.0, 2.0])
    optimizer = build_optimizer(settings_of(loss="wgan"), 1e-2, 1, [variable])
    optimizer.apply([tf.constant([4.0, -0.5])], [variable])
    np.testing.assert_allclose(variable.numpy() - [1.0, 2.0], [-1e-2 * 10**0.5, 1e-2 * 10**0.5], rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_optimisers_are_built_at_once_from_the_settings(optimizer):
    s = settings_of(optimizer=optimizer)
    if optimizer == "adam":
        s = dataclasses.replace(s, beta1=0.25, beta2=0.75)
    built = build_optimizer(s, 0.125, 1, [keras.Variable([1.0, 2.0])])
    assert built.built
    assert float(built.learning_rate) == 0.125
    assert type(built) is {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[optimizer]
    if optimizer == "adam":
        assert (built.beta_1, built.beta_2) == (0.25, 0.75)


@pytest.mark.parametrize("d_steps", [1, 3])
def test_both_rates_fall_linearly_to_zero_over_the_images_said(d_steps):
    method = method_of(decay_images=32, batch=8, d_steps=d_steps, loss="hinge", norm="none", g_rate=0.25, d_rate=0.5)
    for step in range(5):
        left = max(0.0, 1 - step * 8 / 32)
        np.testing.assert_allclose(float(method.g_optimizer.learning_rate), 0.25 * left)
        np.testing.assert_allclose(float(method.d_optimizer.learning_rate), 0.5 * left)
        before = values(method.generator)
        method.train_step(batch_of(method))
        assert all((a == b).all() for a, b in zip(before, values(method.generator), strict=True)) == (left == 0)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_the_optimisers_trace_no_second_time(optimizer):
    """Slots made inside the first step would trace it twice."""
    method, traces = method_of(network="baseline", optimizer=optimizer), []

    @tf.function
    def update(batch):
        traces.append(1)
        return method.train_step(batch)

    for step in range(2):
        update(batch_of(method, step))
    assert len(traces) == 1
