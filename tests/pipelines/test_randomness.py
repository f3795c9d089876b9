"""Keys of random numbers against their formula, and the orders of epochs: exact permutations that are independent."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipelines.randomness import Purpose, normal, seed_for, shuffled_indices, uniform

quick = settings(deadline=None, max_examples=25, database=None)
seeds = st.integers(0, 2**31 - 1)


def epoch_order(count, epoch, seed=0) -> np.ndarray:
    """The indices of one epoch in their order."""
    return shuffled_indices(tf.range(count, dtype=tf.int64) + epoch * count, count, seed).numpy()


def first_samples(count, epochs, seed=0, length=2) -> np.ndarray:
    """The first samples of many epochs, ``[epochs, length]``."""
    positions = np.asarray(epochs, np.int64)[:, None] * count + np.arange(length)
    return shuffled_indices(tf.constant(positions.ravel()), count, seed).numpy().reshape(-1, length)


def test_purposes_are_distinct_and_fit_the_formula_of_seeds():
    assert len(Purpose.__members__) == len(set(Purpose))  # members of one value would be aliases
    assert all(0 <= purpose < 64 for purpose in Purpose)


@given(seeds, st.integers(0, 2**31 - 1), st.integers(0, 63))
@quick
def test_seed_for_any_integer_type_equals_the_formula(seed, step, purpose):
    for typed_step in (step, tf.constant(step, tf.int32), tf.constant(step, tf.int64)):
        found = seed_for(seed, typed_step, purpose)
        assert found.dtype == tf.int64
        assert found.numpy().tolist() == [seed, step * 64 + purpose]


def test_seed_for_different_uses_is_distinct():
    used = {tuple(seed_for(seed, step, purpose).numpy()) for seed in (0, 1) for step in range(20) for purpose in (0, 1, 2, 63)}
    assert len(used) == 2 * 20 * 4


def test_normal_and_uniform_follow_their_distributions_for_each_purpose():
    normals = np.stack([normal((4000,), 3, 5, purpose) for purpose in Purpose])
    uniforms = np.stack([uniform((4000,), 3, 5, purpose) for purpose in Purpose])
    for row in range(len(Purpose)):
        assert stats.kstest(normals[row], "norm").pvalue > 1e-4
        assert stats.kstest(uniforms[row], "uniform").pvalue > 1e-4
    for numbers in (normals, uniforms):
        correlations = np.corrcoef(numbers) - np.eye(len(Purpose))
        assert np.abs(correlations).max() < 5 / np.sqrt(4000)


@given(st.integers(1, 300), st.integers(0, 10**6), seeds)
@quick
def test_shuffled_indices_of_an_epoch_are_a_permutation(count, epoch, seed):
    np.testing.assert_array_equal(np.sort(epoch_order(count, epoch, seed)), np.arange(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 1000])
def test_shuffled_indices_of_late_epochs_are_permutations(count):
    for epoch in (0, 1, 7, 10**9):
        np.testing.assert_array_equal(np.sort(epoch_order(count, epoch)), np.arange(count))


def test_shuffled_indices_of_other_epochs_and_seeds_differ():
    """Far more than 256 of each: the operation keeps only a few bits of each word of its seed."""
    epochs = [*range(600), 2**16, 2**24, 2**31, 2**40]
    assert len(np.unique(first_samples(1000, epochs, length=8), axis=0)) == len(epochs)
    many_seeds = [*range(300), 2**16, 2**24, 2**31 - 1, 2**32, 2**32 + 1, 2**33, 2**64 - 1]
    orders = np.concatenate([first_samples(1000, [1], seed, length=8) for seed in many_seeds])
    assert len(np.unique(orders, axis=0)) == len(many_seeds)
    assert (first_samples(1000, [1], seed=2, length=8) != first_samples(1000, [2], seed=1, length=8)).any()


@pytest.mark.parametrize("count", [2, 5, 16])
def test_shuffled_indices_are_uniform_at_every_position(count):
    orders = first_samples(count, range(400))
    for position in range(2):
        assert stats.chisquare(np.bincount(orders[:, position], minlength=count)).pvalue > 1e-6
    if count > 2:
        differences = (orders[:, 1] - orders[:, 0]) % count
        assert stats.chisquare(np.bincount(differences, minlength=count)[1:]).pvalue > 1e-6


@pytest.mark.parametrize("count", [100, 1000, 25_000, 60_000])
def test_shuffled_indices_correlate_neither_with_files_nor_with_the_epoch_before(count):
    """Rank correlations of random orders have deviation 1 / sqrt(count - 1)."""
    first, second = (epoch_order(count, epoch).astype(np.float64) for epoch in (0, 1))
    pairs = [(first, np.arange(count)), (second, np.arange(count)), (first, second), (first[1:], first[:-1])]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(count) < 5
