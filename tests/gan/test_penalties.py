"""Gradient penalties against critics whose gradients are known exactly, and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.gan.config import GanConfig
from gan_tf.gan.penalties import PENALTIES, forward_with_penalty, gradient_norm, interpolate

SHAPE = (3, 4, 4, 2)
NAMES = sorted(PENALTIES)


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def sum_of_squares(values):
    """Returns the sum of squares of each image."""
    return np.square(values).sum(axis=(1, 2, 3))


def compute_penalty(name, critic, real, fake, weights):
    return forward_with_penalty(critic, name, real, fake, weights)[2]


def linear_critic(weights):
    """Returns D(x) = w.x, whose gradient is w everywhere."""

    def critic(images, training):
        assert training is True
        return tf.reduce_sum(images * weights, axis=[1, 2, 3])[:, None]

    return critic


def quadratic_critic(weights):
    """Returns D(x) = 1/2 sum w x^2, whose gradient is w x."""

    def critic(images, training):
        return 0.5 * tf.reduce_sum(weights * tf.square(images), axis=[1, 2, 3])[:, None]

    return critic


def expected_penalties(gradient, real, fake, interpolation):
    """Computes all penalties in NumPy, from the gradient of the critic as a function of the images."""
    interpolates = interpolation * real + (1 - interpolation) * fake
    norm = np.sqrt(sum_of_squares(gradient(interpolates)))
    at_real, at_fake = sum_of_squares(gradient(real)), sum_of_squares(gradient(fake))
    return {
        "two-sided": (norm - 1) ** 2,
        "one-sided": np.maximum(0, norm - 1),
        "r1": at_real / 2,
        "r2": at_fake / 2,
        "r1r2": (at_real + at_fake) / 2,
    }


@pytest.fixture
def images():
    """Real and fake images, and an interpolation weight for each, as NumPy arrays."""
    return random(*SHAPE), random(*SHAPE)[::-1].copy(), np.array([0.0, 0.25, 0.9])


def test_penalty_choices_of_the_config_are_the_penalties():
    choices = GanConfig.__dataclass_fields__["penalty"].metadata["choices"]
    assert set(choices) == {"none", *PENALTIES}


@pytest.mark.parametrize("size", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("name", NAMES)
def test_penalties_of_a_linear_critic_equal_closed_forms(name, size, images):
    real, fake, interpolation = images
    weights = random(*SHAPE[1:])
    weights *= size / np.linalg.norm(weights)  # so that the gradient norm is `size` at every image
    found = compute_penalty(name, linear_critic(weights), tf.constant(real), tf.constant(fake), tf.constant(interpolation))
    expected = {
        "two-sided": (size - 1) ** 2,
        "one-sided": max(0.0, size - 1),
        "r1": size**2 / 2,
        "r2": size**2 / 2,
        "r1r2": size**2,
    }
    np.testing.assert_allclose(found, np.full(SHAPE[0], expected[name]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_penalties_of_a_quadratic_critic_equal_closed_forms(name, images):
    real, fake, interpolation = images
    weights = 0.4 * random(*SHAPE[1:])
    found = compute_penalty(name, quadratic_critic(weights), tf.constant(real), tf.constant(fake), tf.constant(interpolation))
    expected = expected_penalties(lambda x: weights * x, real, fake, interpolation[:, None, None, None])
    np.testing.assert_allclose(found, expected[name], rtol=1e-9)


def test_penalty_of_a_patch_critic_uses_the_mean_of_its_patches(images):
    """With one patch per pixel, the gradient of the mean over 16 patches is w / 16."""
    weights = random(*SHAPE[1:])

    def patch_critic(x, training):
        return tf.reduce_sum(x * weights, axis=3, keepdims=True)

    found = compute_penalty("r1", patch_critic, *map(tf.constant, images))
    np.testing.assert_allclose(found, np.full(SHAPE[0], np.square(weights / 16).sum() / 2), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_penalties_equal_finite_differences(name, images):
    real, fake, interpolation = map(tf.constant, images)
    initial = [0.8 * random(8, 5), 1.5 * random(5, 1)]  # gradient norms above 1, for the one-sided penalty
    projection = random(32, 8) / 5.0

    def penalty(first, second):
        def critic(x, training):
            hidden = tf.tanh(tf.reshape(x, [-1, 32]) @ projection @ first)
            return tf.square(hidden) @ second + hidden @ second

        return tf.reduce_sum(compute_penalty(name, critic, real, fake, interpolation))

    weights = [tf.Variable(w) for w in initial]
    with tf.GradientTape() as tape:
        value = penalty(*weights)
    found = tape.gradient(value, weights)
    step = 1e-5
    for seed in range(6):  # directional derivatives
        directions = [np.random.default_rng(seed).normal(size=w.shape) for w in initial]
        values = [penalty(*(w + sign * step * d for w, d in zip(initial, directions, strict=True))) for sign in (1, -1)]
        derivative = sum(np.sum(g * d) for g, d in zip(found, directions, strict=True))
        np.testing.assert_allclose(derivative, float(values[0] - values[1]) / (2 * step), rtol=1e-5, atol=1e-7)
    assert float(tf.linalg.global_norm(found)) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_penalties_of_a_constant_critic_are_finite(name, images):
    """The derivative of the square root is infinite at 0; float32, as in training."""
    real, fake, interpolation = (tf.constant(x, tf.float32) for x in images)
    weights = tf.Variable(tf.zeros(SHAPE[1:]))
    with tf.GradientTape() as tape:
        value = compute_penalty(name, linear_critic(weights), real, fake, interpolation)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, weights)).all()


def test_gradient_norm_of_0_is_0():
    np.testing.assert_allclose(gradient_norm(tf.zeros(3, tf.float64)), np.zeros(3), atol=1.1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_forward_with_penalty_passes_real_and_fake_images_as_one_batch(name, images):
    real, fake, interpolation = map(tf.constant, images)
    critic, batch_sizes = quadratic_critic(random(*SHAPE[1:])), []

    def count_images(x, training):
        batch_sizes.append(len(x))
        return critic(x, training)

    *logits, _ = forward_with_penalty(count_images, name, real, fake, interpolation)
    for found, x in zip(logits, (real, fake), strict=True):
        np.testing.assert_allclose(found, critic(x, True), rtol=1e-12)
    assert batch_sizes == ([6, 3] if name in ("two-sided", "one-sided") else [6])  # interpolates need their own pass


@pytest.mark.parametrize("use_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("name", NAMES)
def test_penalty_of_a_step_without_one_is_0_and_the_logits_are_unchanged(name, use_graph, images):
    real, fake, interpolation = map(tf.constant, images)
    weights = tf.Variable(0.4 * random(*SHAPE[1:]))

    def forward_and_gradient(is_penalty_step):
        critic = quadratic_critic(weights)
        with tf.GradientTape() as tape:
            *logits, penalty = forward_with_penalty(critic, name, real, fake, interpolation, is_penalty_step)
            total = tf.reduce_sum(penalty) + sum(map(tf.reduce_sum, logits))
        return *logits, penalty, tape.gradient(total, weights)

    run = tf.function(forward_and_gradient) if use_graph else forward_and_gradient
    *expected_logits, expected_penalty, expected_gradient = forward_and_gradient(None)
    gradient_of_logits = 0.5 * np.square(images[0]).sum(axis=0) + 0.5 * np.square(images[1]).sum(axis=0)
    for is_penalty_step in (True, False):
        *logits, penalty, gradient = run(tf.constant(is_penalty_step))
        np.testing.assert_allclose(logits, expected_logits, rtol=1e-12)
        np.testing.assert_allclose(penalty, expected_penalty if is_penalty_step else np.zeros(3), rtol=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient if is_penalty_step else gradient_of_logits, rtol=1e-9)


def test_interpolate_of_weights_0_and_1_is_fake_and_real(images):
    real, fake, interpolation = images
    found = interpolate(tf.constant(real), tf.constant(fake), tf.constant(interpolation)).numpy()
    np.testing.assert_array_equal(found[0], fake[0])  # weight 0
    np.testing.assert_allclose(found[1], 0.25 * real[1] + 0.75 * fake[1], rtol=1e-12)
    np.testing.assert_allclose(found[2], 0.9 * real[2] + 0.1 * fake[2], rtol=1e-12)
    at_weight_1 = interpolate(tf.constant(real), tf.constant(fake), tf.ones(3, tf.float64))
    np.testing.assert_allclose(at_weight_1, real, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_penalty_of_an_image_does_not_depend_on_the_others(name, images):
    real, fake, interpolation = images
    critic = quadratic_critic(0.4 * random(*SHAPE[1:]))
    before = compute_penalty(name, critic, *map(tf.constant, (real, fake, interpolation))).numpy()
    real, fake = real.copy(), fake.copy()
    real[1], fake[1] = real[1] + 3.0, fake[1] - 3.0
    after = compute_penalty(name, critic, *map(tf.constant, (real, fake, interpolation))).numpy()
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert after[1] != before[1]


@pytest.mark.parametrize(("name", "ignored"), [("r1", "fake"), ("r2", "real")])
def test_r1_ignores_fake_images_and_r2_real_ones(name, ignored, images):
    real, fake, interpolation = map(tf.constant, images)
    critic = quadratic_critic(random(*SHAPE[1:]))
    nans = tf.fill(SHAPE, tf.constant(np.nan, tf.float64))
    real, fake = (nans if ignored == "real" else real), (nans if ignored == "fake" else fake)
    assert np.isfinite(compute_penalty(name, critic, real, fake, interpolation)).all()
