"""The averaged network against the recursion written out in NumPy, and batch-norm statistics against NumPy's."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn import ema

HALF_LIFE, BATCH = 200.0, 8


def scalar_network(value: float) -> keras.Model:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.set_weights([np.full((1, 1), value)])
    return network


def weight(network) -> float:
    return float(network.get_weights()[0][0, 0])


def keep(half_life, batch, seen) -> float:
    return float(ema.decay(half_life, batch, tf.constant(seen, tf.int64)))


@pytest.mark.parametrize("half_life", [0.0, 20.0, HALF_LIFE])
def test_a_sequence_of_scalars_with_its_warm_up(half_life):
    values = np.random.default_rng(0).normal(size=60)
    network, averaged = scalar_network(0.0), scalar_network(123.0)  # what stood there before must not count
    expected = np.nan
    for step, value in enumerate(values):
        network.set_weights([np.full((1, 1), value)])
        ema.update(averaged, network, ema.decay(half_life, BATCH, tf.constant(step * BATCH, tf.int64)))
        life = min(half_life, 0.05 * step * BATCH)
        share = 0.0 if life == 0 else 0.5 ** (BATCH / life)
        expected = value if share == 0 else share * expected + (1 - share) * value
        np.testing.assert_allclose(weight(averaged), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 8, 50])
def test_after_a_half_life_the_old_counts_a_half(batch):
    """Once the warm-up is over (20 half-lives): the average of constant zeros, then `HALF_LIFE` images of ones."""
    network, averaged = scalar_network(1.0), scalar_network(0.0)
    seen = int(20 * HALF_LIFE)
    for step in range(int(HALF_LIFE) // batch):
        ema.update(averaged, network, ema.decay(HALF_LIFE, batch, tf.constant(seen + step * batch)))
    np.testing.assert_allclose(weight(averaged), 0.5, rtol=1e-5)


def test_decay_rises_to_its_full_value_and_stays():
    shares = [keep(HALF_LIFE, BATCH, seen) for seen in range(0, 8000, 50)]
    assert shares[0] == 0.0
    assert all(a <= b for a, b in itertools.pairwise(shares))
    full = 0.5 ** (BATCH / HALF_LIFE)
    assert shares[int(19.9 * HALF_LIFE) // 50] < full * (1 - 1e-6)
    for seen in (20 * HALF_LIFE, 100 * HALF_LIFE, 10**9):
        np.testing.assert_allclose(keep(HALF_LIFE, BATCH, int(seen)), full, rtol=1e-6)


def test_during_the_warm_up_the_half_life_is_a_twentieth_of_the_images_seen():
    np.testing.assert_allclose(keep(20_000.0, 10, 1000), 0.5 ** (10 / 50), rtol=1e-6)


@pytest.mark.parametrize("seen", [0, 64, 10**9])
def test_without_a_half_life_the_average_is_the_network(seen):
    assert keep(0.0, 64, seen) == 0.0
    network, averaged = scalar_network(0.1), scalar_network(5.0)
    ema.update(averaged, network, ema.decay(0.0, 64, tf.constant(seen, tf.int64)))
    assert weight(averaged) == weight(network)


def normed_network(seed=0) -> keras.Model:
    """Two batch norms, the second after the first and a nonlinearity."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=seed, stddev=1.0))(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(seed=seed + 1, stddev=1.0))(keras.ops.tanh(x))
    return keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-5)(x))


def norms(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics(network):
    return [v.numpy() for v in network.non_trainable_variables]


def test_only_trainable_variables_are_averaged():
    network, averaged = normed_network(0), normed_network(5)
    for layer in norms(network):
        layer.moving_mean.assign(layer.moving_mean + 3.0)
    before = [v.numpy() for v in averaged.trainable_variables]
    ema.update(averaged, network, tf.constant(0.25))
    for old, new, v in zip(before, averaged.trainable_variables, network.trainable_variables, strict=True):
        np.testing.assert_allclose(new.numpy(), 0.25 * old + 0.75 * v.numpy(), rtol=1e-5, atol=1e-7)
    assert all(not layer.moving_mean.numpy().any() for layer in norms(averaged))


def test_networks_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="zip"):
        ema.update(normed_network(), scalar_network(1.0), tf.constant(0.5))


def chunks(count=5, size=6):
    return np.random.default_rng(1).normal(size=(count, size, 3)).astype(np.float32) * 2 + 1


def expected_statistics(network, data):
    """Means over chunks of each chunk's mean and variance, layer by layer, in NumPy."""
    weights = [v.numpy().astype(np.float64) for v in network.trainable_variables]
    found = []
    for chunk in data.astype(np.float64):
        rows, x = [], chunk
        for (kernel, bias, gamma, beta), last in ((weights[:4], False), (weights[4:], True)):
            x = x @ kernel + bias
            rows += [x.mean(axis=0), x.var(axis=0)]
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * gamma + beta
            x = x if last else np.tanh(x)
        found.append(rows)
    return [np.mean(rows, axis=0) for rows in zip(*found, strict=True)]


def test_batch_norm_statistics_are_the_means_over_the_chunks():
    network, data = normed_network(), chunks()
    ema.refresh_batch_norm(network, [tf.constant(chunk) for chunk in data])
    for found, expected in zip(statistics(network), expected_statistics(network, data), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("former", [0.0, -7.0, 1e30, np.inf, np.nan])
def test_former_statistics_do_not_count(former):
    """Bit for bit, and even where they were not finite."""
    network, other, data = normed_network(), normed_network(), chunks()
    ema.refresh_batch_norm(network, [tf.constant(chunk) for chunk in data])
    for v in other.non_trainable_variables:
        v.assign(tf.fill(v.shape, former))
    ema.refresh_batch_norm(other, (tf.constant(chunk) for chunk in data))
    for a, b in zip(statistics(network), statistics(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_refreshing_changes_statistics_only_and_puts_the_momenta_back():
    network = normed_network()
    before = [v.numpy() for v in network.trainable_variables]
    ema.refresh_batch_norm(network, [tf.constant(chunk) for chunk in chunks()])
    for old, v in zip(before, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(v.numpy(), old)
    assert [layer.momentum for layer in norms(network)] == [0.9, 0.7]


def test_momenta_are_put_back_after_an_error_too():
    network = normed_network()

    def broken():
        yield tf.constant(chunks()[0])
        yield tf.constant(chunks()[1])
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        ema.refresh_batch_norm(network, broken())
    assert [layer.momentum for layer in norms(network)] == [0.9, 0.7]
    with pytest.raises(ValueError, match="incompatible"):
        ema.refresh_batch_norm(network, [tf.zeros((4, 17))])
    assert [layer.momentum for layer in norms(network)] == [0.9, 0.7]


def test_a_network_without_batch_norm_is_left_alone():
    network = scalar_network(2.0)

    def never():
        raise AssertionError("asked for inputs that nobody needs")
        yield

    ema.refresh_batch_norm(network, never())
    assert weight(network) == 2.0
