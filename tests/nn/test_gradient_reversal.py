"""The gradient reversal layer against its definition."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn.gradient_reversal import reversal_strength, reverse_gradient


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_reverse_gradient_is_the_identity_with_a_reversed_gradient(strength):
    features = tf.constant([[1.0, -2.0], [3.0, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs = reverse_gradient(features, tf.constant(strength))
        value = tf.reduce_sum(outputs**2)
    np.testing.assert_array_equal(outputs, features)
    np.testing.assert_allclose(tape.gradient(value, features), -strength * 2 * features.numpy())


def test_reversal_strength_is_the_schedule_of_the_paper():
    progress = np.array([0.0, 0.1, 0.5, 1.0], np.float32)
    expected = 2 / (1 + np.exp(-10 * progress)) - 1
    np.testing.assert_allclose(reversal_strength(tf.constant(progress)), expected, atol=1e-6)
