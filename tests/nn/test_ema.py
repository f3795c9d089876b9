"""The EMA against its recursion in NumPy, and recomputed batch-norm statistics against NumPy's."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn.ema import ema_decay, kept_statistics, recompute_batch_norm, update_ema

HALF_LIFE, BATCH = 200.0, 8


def scalar_network(value: float) -> keras.Model:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.set_weights([np.full((1, 1), value)])
    return network


def weight_of(network) -> float:
    return float(network.get_weights()[0][0, 0])


def decay_as_float(half_life, batch, images_seen) -> float:
    return float(ema_decay(half_life, batch, tf.constant(images_seen, tf.int64)))


@pytest.mark.parametrize("half_life", [0.0, 20.0, HALF_LIFE])
def test_ema_of_a_sequence_with_warm_up_follows_the_recursion(half_life):
    values = np.random.default_rng(0).normal(size=60)
    network, network_ema = scalar_network(0.0), scalar_network(123.0)  # the EMA's initial value must not count
    expected = np.nan
    for step, value in enumerate(values):
        network.set_weights([np.full((1, 1), value)])
        update_ema(network_ema, network, ema_decay(half_life, BATCH, tf.constant(step * BATCH, tf.int64)))
        current_half_life = min(half_life, 0.05 * step * BATCH)
        decay = 0.0 if current_half_life == 0 else 0.5 ** (BATCH / current_half_life)
        expected = value if decay == 0 else decay * expected + (1 - decay) * value
        np.testing.assert_allclose(weight_of(network_ema), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 8, 50])
def test_ema_after_one_half_life_has_half_of_its_old_value(batch):
    """After warm-up (20 half-lives) with an EMA of 0: one half-life of images with a weight of 1."""
    network, network_ema = scalar_network(1.0), scalar_network(0.0)
    images_seen = int(20 * HALF_LIFE)
    for step in range(int(HALF_LIFE) // batch):
        update_ema(network_ema, network, ema_decay(HALF_LIFE, batch, tf.constant(images_seen + step * batch)))
    np.testing.assert_allclose(weight_of(network_ema), 0.5, rtol=1e-5)


def test_ema_decay_rises_to_its_full_value_and_stays():
    decays = [decay_as_float(HALF_LIFE, BATCH, images_seen) for images_seen in range(0, 8000, 50)]
    assert decays[0] == 0.0
    assert all(a <= b for a, b in itertools.pairwise(decays))
    full = 0.5 ** (BATCH / HALF_LIFE)
    assert decays[int(19.9 * HALF_LIFE) // 50] < full * (1 - 1e-6)
    for images_seen in (20 * HALF_LIFE, 100 * HALF_LIFE, 10**9):
        np.testing.assert_allclose(decay_as_float(HALF_LIFE, BATCH, int(images_seen)), full, rtol=1e-6)


def test_ema_decay_during_warm_up_has_a_half_life_of_5_percent_of_the_images_seen():
    np.testing.assert_allclose(decay_as_float(20_000.0, 10, 1000), 0.5 ** (10 / 50), rtol=1e-6)


@pytest.mark.parametrize("images_seen", [0, 64, 10**9])
def test_ema_with_half_life_0_equals_the_network(images_seen):
    assert decay_as_float(0.0, 64, images_seen) == 0.0
    network, network_ema = scalar_network(0.1), scalar_network(5.0)
    update_ema(network_ema, network, ema_decay(0.0, 64, tf.constant(images_seen, tf.int64)))
    assert weight_of(network_ema) == weight_of(network)


def network_with_batch_norm(seed=0) -> keras.Model:
    """Builds a network of two batch norms, the second of them after the first and a nonlinearity."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=seed, stddev=1.0))(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(seed=seed + 1, stddev=1.0))(keras.ops.tanh(x))
    return keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-5)(x))


def batch_norms(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics(network):
    return [v.numpy() for v in network.non_trainable_variables]


def test_update_ema_changes_trainable_variables_only():
    network, network_ema = network_with_batch_norm(0), network_with_batch_norm(5)
    for layer in batch_norms(network):
        layer.moving_mean.assign(layer.moving_mean + 3.0)
    before = [v.numpy() for v in network_ema.trainable_variables]
    update_ema(network_ema, network, tf.constant(0.25))
    for old, new, v in zip(before, network_ema.trainable_variables, network.trainable_variables, strict=True):
        np.testing.assert_allclose(new.numpy(), 0.25 * old + 0.75 * v.numpy(), rtol=1e-5, atol=1e-7)
    assert all(not layer.moving_mean.numpy().any() for layer in batch_norms(network_ema))


def test_update_ema_of_networks_with_different_variables_raises():
    with pytest.raises(ValueError, match="zip"):
        update_ema(network_with_batch_norm(), scalar_network(1.0), tf.constant(0.5))


def random_batches(count=5, size=6):
    return np.random.default_rng(1).normal(size=(count, size, 3)).astype(np.float32) * 2 + 1


def expected_statistics(network, batches):
    """Computes the means over batches of each batch's mean and variance, layer by layer, in NumPy."""
    weights = [v.numpy().astype(np.float64) for v in network.trainable_variables]
    of_batches = []
    for batch in batches.astype(np.float64):
        values, x = [], batch
        for (kernel, bias, gamma, beta), is_last in ((weights[:4], False), (weights[4:], True)):
            x = x @ kernel + bias
            values += [x.mean(axis=0), x.var(axis=0)]
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * gamma + beta
            x = x if is_last else np.tanh(x)
        of_batches.append(values)
    return [np.mean(values, axis=0) for values in zip(*of_batches, strict=True)]


def test_recompute_batch_norm_sets_the_means_over_the_batches():
    network, batches = network_with_batch_norm(), random_batches()
    recompute_batch_norm(network, [tf.constant(batch) for batch in batches])
    for found, expected in zip(statistics(network), expected_statistics(network, batches), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("previous", [0.0, -7.0, 1e30, np.inf, np.nan])
def test_recompute_batch_norm_does_not_depend_on_previous_statistics(previous):
    """Bit for bit, and even where they were not finite."""
    network, other, batches = network_with_batch_norm(), network_with_batch_norm(), random_batches()
    recompute_batch_norm(network, [tf.constant(batch) for batch in batches])
    for v in other.non_trainable_variables:
        v.assign(tf.fill(v.shape, previous))
    recompute_batch_norm(other, (tf.constant(batch) for batch in batches))
    for a, b in zip(statistics(network), statistics(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_recompute_batch_norm_keeps_weights_and_momenta():
    network = network_with_batch_norm()
    before = [v.numpy() for v in network.trainable_variables]
    recompute_batch_norm(network, [tf.constant(batch) for batch in random_batches()])
    for old, v in zip(before, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(v.numpy(), old)
    assert [layer.momentum for layer in batch_norms(network)] == [0.9, 0.7]


def test_recompute_batch_norm_after_an_error_restores_the_momenta():
    network = network_with_batch_norm()

    def failing_batches():
        yield tf.constant(random_batches()[0])
        yield tf.constant(random_batches()[1])
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        recompute_batch_norm(network, failing_batches())
    assert [layer.momentum for layer in batch_norms(network)] == [0.9, 0.7]
    with pytest.raises(ValueError, match="incompatible"):
        recompute_batch_norm(network, [tf.zeros((4, 17))])
    assert [layer.momentum for layer in batch_norms(network)] == [0.9, 0.7]


def test_recompute_batch_norm_of_a_network_without_it_reads_no_batches():
    network = scalar_network(2.0)

    def unread_batches():
        raise AssertionError("a batch was read")
        yield

    recompute_batch_norm(network, unread_batches())
    assert weight_of(network) == 2.0


def test_kept_statistics_gives_back_what_a_recomputation_has_changed():
    network = network_with_batch_norm()
    network(np.random.default_rng(0).normal(size=(8, 3)), training=True)
    before = [variable.numpy() for variable in network.variables]
    with kept_statistics(network):
        recompute_batch_norm(network, [np.random.default_rng(1).normal(size=(8, 3)) + 5.0])
        assert not np.array_equal(network.layers[2].moving_mean.numpy(), before[2])
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
