"""The generator's EMA, which is what generates images."""

import numpy as np
import tensorflow as tf
from helpers.ema import assert_ema_follows_the_recursion
from helpers.models import BATCH, all_equal, build_gan, make_batch, trainable_values


def test_ema_of_a_new_gan_equals_the_generator():
    gan = build_gan()
    assert all_equal(trainable_values(gan.generator_ema), trainable_values(gan.generator))


def test_ema_over_several_steps_follows_the_recursion():
    gan = build_gan(ema_half_life=10.0)
    assert_ema_follows_the_recursion(
        lambda step: gan.train_step(make_batch(gan, step)), gan.generator, gan.generator_ema, 10.0, BATCH
    )


def test_ema_with_half_life_0_equals_the_generator():
    gan = build_gan(ema_half_life=0.0)
    gan.train_step(make_batch(gan))
    assert all_equal(trainable_values(gan.generator_ema), trainable_values(gan.generator))


def test_exported_generator_is_the_same_each_time_and_changes_no_trained_weights():
    gan = build_gan()
    gan.train_step(make_batch(gan))
    before = gan.generator.get_weights(), trainable_values(gan.generator_ema)
    latents = gan.random_inputs(tf.constant(9))["latents"][:, 0]
    first = gan.exported()["generator"](latents).numpy()
    np.testing.assert_array_equal(first, gan.exported()["generator"](latents))
    assert gan.exported()["generator"] is gan.generator_ema
    assert all_equal(before[0], gan.generator.get_weights())
    assert all_equal(before[1], trainable_values(gan.generator_ema))
    assert np.abs(first).max() <= 1.0
