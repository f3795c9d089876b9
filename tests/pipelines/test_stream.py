"""The seekable stream: exact permutations, and batches that depend on (data, seed, step) alone."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipelines.stream import Stream, key, shuffled

quick = settings(deadline=None, max_examples=25, database=None)
seeds = st.integers(0, 2**31 - 1)


class Numbers:
    """A source whose sample i is the picture full of i."""

    def __init__(self, count: int):
        self.pictures = tf.reshape(tf.repeat(tf.range(count), 6), [count, 2, 3])

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices):
        return tf.gather(self.pictures, indices)


def order(count, epoch, seed=0):
    """The order of one epoch."""
    return shuffled(tf.range(count, dtype=tf.int64) + epoch * count, count, seed).numpy()


def which(batch) -> np.ndarray:
    """The indices of the pictures in a batch, ``[batch, per_step]``, each picture checked to be whole."""
    real = batch["real"].numpy()
    np.testing.assert_array_equal(real, np.broadcast_to(real[..., :1, :1], real.shape))
    return real[..., 0, 0]


@given(st.integers(1, 300), st.integers(0, 10**6), seeds)
@quick
def test_an_epoch_is_a_permutation(count, epoch, seed):
    np.testing.assert_array_equal(np.sort(order(count, epoch, seed)), np.arange(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 1000])
def test_epochs_of_all_sizes(count):
    for epoch in (0, 1, 7, 10**9):
        np.testing.assert_array_equal(np.sort(order(count, epoch)), np.arange(count))


def starts(count, epochs, seed=0, length=2) -> np.ndarray:
    """The first samples of many epochs, ``[epochs, length]``."""
    positions = np.asarray(epochs, np.int64)[:, None] * count + np.arange(length)
    return shuffled(tf.constant(positions.ravel()), count, seed).numpy().reshape(-1, length)


def test_other_epochs_and_other_seeds_have_other_orders():
    """Far more than 256 of each: the operation keeps but a few bits of each word of its seed."""
    epochs = [*range(600), 2**16, 2**24, 2**31, 2**40]
    assert len(np.unique(starts(1000, epochs, length=8), axis=0)) == len(epochs)
    for_seeds = [*range(300), 2**16, 2**24, 2**31 - 1]
    orders = np.concatenate([starts(1000, [1], seed, length=8) for seed in for_seeds])
    assert len(np.unique(orders, axis=0)) == len(for_seeds)
    assert (starts(1000, [1], seed=2, length=8) != starts(1000, [2], seed=1, length=8)).any()


@pytest.mark.parametrize("count", [2, 5, 16])
def test_every_sample_is_as_likely_at_every_place(count):
    orders = starts(count, range(400))
    for place in range(2):
        assert stats.chisquare(np.bincount(orders[:, place], minlength=count)).pvalue > 1e-6
    if count > 2:
        steps = (orders[:, 1] - orders[:, 0]) % count
        assert stats.chisquare(np.bincount(steps, minlength=count)[1:]).pvalue > 1e-6


@pytest.mark.parametrize("count", [100, 1000, 25_000, 60_000])
def test_an_order_has_to_do_with_neither_the_files_nor_the_epoch_before(count):
    """Rank correlations of random orders have deviation 1 / sqrt(count - 1)."""
    first, second = (order(count, epoch).astype(np.float64) for epoch in (0, 1))
    pairs = [(first, np.arange(count)), (second, np.arange(count)), (first, second), (first[1:], first[:-1])]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(count) < 5


@given(st.integers(1, 20), st.integers(1, 9), st.integers(1, 3), st.integers(0, 50))
@quick
def test_steps_walk_through_the_endless_sequence_of_epochs(count, batch, per_step, step):
    """Whatever the sizes: a batch larger than an epoch, an epoch that ends within one."""
    stream = Stream(Numbers(count), batch, per_step=per_step, seed=4)
    n = batch * per_step
    first, last = step * n // count, (step + 1) * n // count
    epochs = np.concatenate([order(count, epoch, seed=4) for epoch in range(first, last + 1)])
    expected = epochs[step * n - first * count :][:n]
    np.testing.assert_array_equal(stream.indices(step), expected)
    np.testing.assert_array_equal(which(stream.at(step)), expected.reshape(batch, per_step))


def test_an_epoch_that_ends_within_a_batch():
    stream = Stream(Numbers(6), 4, seed=1)
    seen = np.concatenate([which(stream.at(step))[:, 0] for step in range(3)])
    for epoch in (seen[:6], seen[6:]):
        assert sorted(epoch) == [0, 1, 2, 3, 4, 5]
    assert list(seen[:6]) != list(seen[6:])


def test_places_of_a_batch_hold_their_own_samples():
    """``[batch, per_step, …]``: the leading axis can be cut into shares for devices."""
    stream = Stream(Numbers(100), 4, per_step=5, seed=2)
    batch = stream.at(3)
    assert batch["real"].shape == (4, 5, 2, 3)
    np.testing.assert_array_equal(which(batch), stream.indices(3).numpy().reshape(4, 5))
    assert len(np.unique(which(batch))) == 20


def noisy_stream(seed=5) -> Stream:
    """A stream with all it can have: preparation and noise that are keyed by the step."""

    def prepare(samples, step):
        size = tf.shape(samples)[0]
        flips = tf.random.stateless_uniform([size, 1, 1], key(seed, step, 1), alg="philox") < 0.5
        return tf.where(flips, -1.0, 1.0) * tf.cast(samples, tf.float32) / 7.0

    def draws(step):
        return {
            "noise": tf.random.stateless_normal([4, 3], key(seed, step, 2), alg="philox"),
            "share": tf.random.stateless_uniform([4], key(seed, step, 3), alg="philox"),
        }

    return Stream(Numbers(11), 4, per_step=2, seed=seed, prepare=prepare, draws=draws)


@pytest.mark.parametrize("first", [0, 1, 5, 8])
def test_a_dataset_gives_the_batches_of_its_steps_bit_for_bit(first):
    stream = noisy_stream()
    batches = list(stream.dataset(first, 9))
    assert len(batches) == 9 - first
    for step, batch in enumerate(batches, first):
        expected = stream.at(step)
        assert set(batch) == set(expected) == {"real", "noise", "share"}
        for name in batch:
            np.testing.assert_array_equal(batch[name], expected[name])


def test_a_batch_does_not_depend_on_what_ran_before():
    first = noisy_stream().at(7)
    stream = noisy_stream()
    for step in (3, 1, 9):
        stream.at(step)
    tf.random.set_seed(99)
    for name, value in stream.at(7).items():
        np.testing.assert_array_equal(value, first[name])


def test_a_step_may_be_any_kind_of_integer():
    stream = noisy_stream()
    for step in (np.int32(7), tf.constant(7), tf.constant(7, tf.int64)):
        for name, value in stream.at(step).items():
            np.testing.assert_array_equal(value, stream.at(7)[name])


def test_other_steps_and_seeds_give_other_batches():
    batches = [noisy_stream(seed).at(step) for seed in (1, 2) for step in (0, 1, 2)]
    for name in ("real", "noise", "share"):
        assert len({value[name].numpy().tobytes() for value in batches}) == 6


def test_preparation_sees_all_samples_of_the_step():
    seen = []

    def prepare(samples, step):
        seen.append((samples.shape, int(step)))
        return samples + 1

    batch = Stream(Numbers(9), 2, per_step=3, prepare=prepare).at(4)
    assert seen == [((6, 2, 3), 4)]
    plain = Stream(Numbers(9), 2, per_step=3).at(4)
    assert set(plain) == {"real"}
    np.testing.assert_array_equal(which(batch), which(plain) + 1)


def test_draws_are_merged_into_the_batch():
    batch = Stream(Numbers(9), 2, draws=lambda step: {"step": tf.repeat(step, 2)}).at(6)
    assert set(batch) == {"real", "step"}
    np.testing.assert_array_equal(batch["step"], [6, 6])


def test_a_dataset_knows_its_shapes():
    """What a single trace of the training step needs."""
    spec = noisy_stream().dataset(0, 3).element_spec
    assert {name: value.shape.as_list() for name, value in spec.items()} == {
        "real": [4, 2, 2, 3],
        "noise": [4, 3],
        "share": [4],
    }


@given(seeds, st.integers(0, 2**31 - 1), st.integers(0, 63))
@quick
def test_keys_are_those_of_the_formula_even_for_32_bit_steps(seed, step, purpose):
    for given_step in (step, tf.constant(step, tf.int32), tf.constant(step, tf.int64)):
        found = key(seed, given_step, purpose)
        assert found.dtype == tf.int64
        assert found.numpy().tolist() == [seed, step * 64 + purpose]


def test_no_two_uses_share_a_key():
    keys = {tuple(key(seed, step, purpose).numpy()) for seed in (0, 1) for step in range(20) for purpose in (0, 1, 2, 63)}
    assert len(keys) == 2 * 20 * 4
