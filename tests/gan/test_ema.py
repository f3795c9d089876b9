"""The averaged generator, which is what is sampled."""

import numpy as np
import tensorflow as tf
from helpers.models import BATCH, batch_of, method_of, same, values


def test_the_average_begins_as_the_generator():
    method = method_of()
    assert same(values(method.averaged), values(method.generator))


def test_the_average_follows_the_recursion():
    method = method_of(ema_half_life=10.0)
    expected = values(method.generator)
    for step in range(4):
        method.train_step(batch_of(method, step))
        life = min(10.0, 0.05 * step * BATCH)
        keep = 0.5 ** (BATCH / life) if life else 0.0
        expected = [keep * a + (1 - keep) * v for a, v in zip(expected, values(method.generator), strict=True)]
    for found, value in zip(values(method.averaged), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)


def test_without_averaging_the_average_is_the_generator():
    method = method_of(ema_half_life=0.0)
    method.train_step(batch_of(method))
    assert same(values(method.averaged), values(method.generator))


def test_the_sampler_is_the_same_each_time_and_leaves_the_training_alone():
    method = method_of()
    method.train_step(batch_of(method))
    before = method.generator.get_weights(), values(method.averaged)
    noise = method.draws(tf.constant(9))["noise"][:, 0]
    first = method.sampler()(noise).numpy()
    np.testing.assert_array_equal(first, method.sampler()(noise))
    assert method.sampler() is method.averaged
    assert same(before[0], method.generator.get_weights())
    assert same(before[1], values(method.averaged))
    assert np.abs(first).max() <= 1.0
