"""Gradient penalties against critics whose gradients are known exactly, and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.gan.penalties import PENALTIES, between, length, penalised
from gan_tf.options import GanSettings

SHAPE = (3, 4, 4, 2)
NAMES = sorted(PENALTIES)


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def squares(values):
    """Sum of squares of each image."""
    return np.square(values).sum(axis=(1, 2, 3))


def penalty_of(name, critic, real, fake, share):
    return penalised(critic, name, real, fake, share)[2]


def linear(weights):
    """D(x) = w.x, whose gradient is w everywhere."""

    def critic(images, training):
        assert training is True
        return tf.reduce_sum(images * weights, axis=[1, 2, 3])[:, None]

    return critic


def quadratic(weights):
    """D(x) = 1/2 sum w x^2, whose gradient is w x."""

    def critic(images, training):
        return 0.5 * tf.reduce_sum(weights * tf.square(images), axis=[1, 2, 3])[:, None]

    return critic


def expected_penalties(gradient, real, fake, share):
    """All penalties in NumPy, from the gradient of the critic as a function of the images."""
    points = share * real + (1 - share) * fake
    norm = np.sqrt(squares(gradient(points)))
    on_real, on_fake = squares(gradient(real)), squares(gradient(fake))
    return {
        "two-sided": (norm - 1) ** 2,
        "one-sided": np.maximum(0, norm - 1),
        "r1": on_real / 2,
        "r2": on_fake / 2,
        "r1r2": (on_real + on_fake) / 2,
    }


@pytest.fixture
def images():
    """Real and fake images, and a share for each, as NumPy's."""
    return random(*SHAPE), random(*SHAPE)[::-1].copy(), np.array([[0.0], [0.25], [0.9]])


def test_the_settings_know_the_penalties():
    choices = GanSettings.__dataclass_fields__["penalty"].metadata["choices"]
    assert set(choices) == {"none", *PENALTIES}


@pytest.mark.parametrize("size", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("name", NAMES)
def test_linear_critic(name, size, images):
    real, fake, share = images
    weights = random(*SHAPE[1:])
    weights *= size / np.linalg.norm(weights)  # so the gradient's norm is `size` at every image
    found = penalty_of(name, linear(weights), tf.constant(real), tf.constant(fake), tf.constant(share))
    by_hand = {
        "two-sided": (size - 1) ** 2,
        "one-sided": max(0.0, size - 1),
        "r1": size**2 / 2,
        "r2": size**2 / 2,
        "r1r2": size**2,
    }
    np.testing.assert_allclose(found, np.full(SHAPE[0], by_hand[name]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_quadratic_critic(name, images):
    real, fake, share = images
    weights = 0.4 * random(*SHAPE[1:])
    found = penalty_of(name, quadratic(weights), tf.constant(real), tf.constant(fake), tf.constant(share))
    expected = expected_penalties(lambda x: weights * x, real, fake, share[..., None, None])
    np.testing.assert_allclose(found, expected[name], rtol=1e-9)


def test_patches_count_by_their_mean(images):
    """A critic with one patch a row and column: the gradient of the mean over 16 patches is w / 16."""
    weights = random(*SHAPE[1:])

    def patches(x, training):
        return tf.reduce_sum(x * weights, axis=3, keepdims=True)

    found = penalty_of("r1", patches, *map(tf.constant, images))
    np.testing.assert_allclose(found, np.full(SHAPE[0], np.square(weights / 16).sum() / 2), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_second_order_gradient_against_finite_differences(name, images):
    real, fake, share = map(tf.constant, images)
    start = [0.8 * random(8, 5), 1.5 * random(5, 1)]  # gradients of norm above 1, for the one-sided penalty too
    project = random(32, 8) / 5.0

    def penalty(first, second):
        def critic(x, training):
            hidden = tf.tanh(tf.reshape(x, [-1, 32]) @ project @ first)
            return tf.square(hidden) @ second + hidden @ second

        return tf.reduce_sum(penalty_of(name, critic, real, fake, share))

    weights = [tf.Variable(w) for w in start]
    with tf.GradientTape() as tape:
        value = penalty(*weights)
    found = tape.gradient(value, weights)
    step = 1e-5
    for seed in range(6):  # slopes along random directions of all weights together
        directions = [np.random.default_rng(seed).normal(size=w.shape) for w in start]
        ends = [penalty(*(w + sign * step * d for w, d in zip(start, directions, strict=True))) for sign in (1, -1)]
        slope = sum(np.sum(g * d) for g, d in zip(found, directions, strict=True))
        np.testing.assert_allclose(slope, float(ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-7)
    assert float(tf.linalg.global_norm(found)) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_critic_has_finite_gradients(name, images):
    """The root of the squared norm has an infinite slope at 0; float32, as in training."""
    real, fake, share = (tf.constant(x, tf.float32) for x in images)
    weights = tf.Variable(tf.zeros(SHAPE[1:]))
    with tf.GradientTape() as tape:
        value = penalty_of(name, linear(weights), real, fake, share)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, weights)).all()


def test_the_length_of_nothing_is_0():
    np.testing.assert_allclose(length(tf.zeros(3, tf.float64)), np.zeros(3), atol=1.1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_logits_are_those_of_one_batch(name, images):
    real, fake, share = map(tf.constant, images)
    critic, batches = quadratic(random(*SHAPE[1:])), []

    def counted(x, training):
        batches.append(len(x))
        return critic(x, training)

    *logits, _ = penalised(counted, name, real, fake, share)
    for found, x in zip(logits, (real, fake), strict=True):
        np.testing.assert_allclose(found, critic(x, True), rtol=1e-12)
    assert batches == ([6, 3] if name in ("two-sided", "one-sided") else [6])  # points between need a pass of their own


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_due_is_0_and_the_rest_as_ever(name, graph, images):
    real, fake, share = map(tf.constant, images)
    weights = tf.Variable(0.4 * random(*SHAPE[1:]))

    def step(due):
        with tf.GradientTape() as tape:
            *logits, penalty = penalised(quadratic(weights), name, real, fake, share, due)
            total = tf.reduce_sum(penalty) + sum(map(tf.reduce_sum, logits))
        return *logits, penalty, tape.gradient(total, weights)

    run = tf.function(step) if graph else step
    for due in (True, False):
        *logits, penalty, slope = run(tf.constant(due))
        *expected, always, its_slope = step(None)
        np.testing.assert_allclose(logits, expected, rtol=1e-12)
        np.testing.assert_allclose(penalty, always if due else np.zeros(3), rtol=1e-12)
        alone = 0.5 * np.square(images[0]).sum(axis=0) + 0.5 * np.square(images[1]).sum(axis=0)  # of the logits
        np.testing.assert_allclose(slope, its_slope if due else alone, rtol=1e-9)


def test_points_between_real_and_fake(images):
    real, fake, share = images
    found = between(tf.constant(real), tf.constant(fake), tf.constant(share)).numpy()
    np.testing.assert_array_equal(found[0], fake[0])  # share 0
    np.testing.assert_allclose(found[1], 0.25 * real[1] + 0.75 * fake[1], rtol=1e-12)
    np.testing.assert_allclose(found[2], 0.9 * real[2] + 0.1 * fake[2], rtol=1e-12)
    ones = between(tf.constant(real), tf.constant(fake), tf.ones((3, 1), tf.float64))
    np.testing.assert_allclose(ones, real, rtol=1e-12, atol=1e-15)


def test_shares_of_shape_batch_mean_the_same(images):
    """The training hands shares over as ``[batch]``."""
    real, fake, share = map(tf.constant, images)
    np.testing.assert_array_equal(between(real, fake, share[:, 0]), between(real, fake, share))


@pytest.mark.parametrize("name", NAMES)
def test_images_do_not_touch_each_other(name, images):
    """One image changed: its own penalty changes, those of the others don't."""
    real, fake, share = images
    critic = quadratic(0.4 * random(*SHAPE[1:]))
    before = penalty_of(name, critic, *map(tf.constant, (real, fake, share))).numpy()
    real, fake = real.copy(), fake.copy()
    real[1], fake[1] = real[1] + 3.0, fake[1] - 3.0
    after = penalty_of(name, critic, *map(tf.constant, (real, fake, share))).numpy()
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert after[1] != before[1]


@pytest.mark.parametrize(("name", "other"), [("r1", "fake"), ("r2", "real")])
def test_one_sided_choice_of_images(name, other, images):
    """R1 never looks at fakes, R2 never at real images."""
    real, fake, share = map(tf.constant, images)
    critic = quadratic(random(*SHAPE[1:]))
    broken = tf.fill(SHAPE, tf.constant(np.nan, tf.float64))
    real, fake = (broken if other == "real" else real), (broken if other == "fake" else fake)
    assert np.isfinite(penalty_of(name, critic, real, fake, share)).all()
