"""Latent vectors: vector i is a function of (seed, i) alone; interpolation against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_tf.gan.latents import SAMPLE_BATCH, interpolation_weights, lerp, sample_latents, slerp

# --- sampling ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 3 * SAMPLE_BATCH), st.integers(0, 2 * SAMPLE_BATCH))
@settings(deadline=None, max_examples=25, database=None)
def test_sample_latents_of_any_range_equals_a_slice_of_a_larger_sample(first, count):
    found = sample_latents(count, 3, seed=5, first=first)
    assert found.shape == (count, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, sample_latents(5 * SAMPLE_BATCH, 3, seed=5)[first : first + count])


def test_sample_latents_are_standard_normal_and_all_different():
    found = sample_latents(20 * SAMPLE_BATCH, 4, seed=1)
    assert len(np.unique(found)) > 0.999 * found.size
    assert abs(found.mean()) < 5 / np.sqrt(found.size)
    assert abs(found.std() - 1) < 5 / np.sqrt(2 * found.size)
    covariance = np.cov(found.T)
    assert np.abs(covariance - np.eye(4)).max() < 0.2


def test_sample_latents_of_another_seed_differ():
    assert not (sample_latents(10, 3, seed=1) == sample_latents(10, 3, seed=2)).any()


# --- interpolation -----------------------------------------------------------------------------------------------------


def random_ends(start_norm=1.0, end_norm=1.0, latent_dim=8):
    start, end = np.random.default_rng(0).normal(size=(2, latent_dim))
    return (
        (start_norm * start / np.linalg.norm(start)).astype(np.float32),
        (end_norm * end / np.linalg.norm(end)).astype(np.float32),
    )


@pytest.mark.parametrize("path", [slerp, lerp])
def test_paths_at_weights_0_and_1_are_their_ends(path):
    start, end = random_ends(2.0, 3.0)
    found = path(start, end, np.array([0.0, 1.0]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [start, end], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("extrapolation", [0.0, 0.5, 2.0])
def test_slerp_between_equal_norms_keeps_the_norm(extrapolation):
    start, end = random_ends(3.0, 3.0)
    found = slerp(start, end, interpolation_weights(11, extrapolation))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 3.0, rtol=1e-5)


def test_slerp_of_even_weights_has_even_angles_in_the_plane_of_its_ends():
    start, end = random_ends(2.0, 2.0)
    angle = np.arccos(start @ end / 4)
    found = slerp(start, end, interpolation_weights(6, 0.5)).astype(np.float64)
    steps = np.arccos(np.sum(found[1:] * found[:-1], axis=1) / 4)
    np.testing.assert_allclose(steps, 2 * angle / 5, rtol=1e-4)
    ends = np.stack([start, end])
    out_of_plane = found - found @ np.linalg.pinv(ends) @ ends
    np.testing.assert_allclose(out_of_plane, 0.0, atol=1e-5)


def test_slerp_on_a_quarter_circle_equals_sines_and_cosines():
    found = slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.5, 1 / 3, 2.0, -1.0]))
    expected = [[np.sqrt(0.5), np.sqrt(0.5)], [np.cos(np.pi / 6), 0.5], [-1.0, 0.0], [0.0, -1.0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, -3.0])
def test_slerp_of_parallel_vectors_equals_lerp(factor):
    """No single great circle goes through parallel vectors, and the sine of their angle is 0. In float32, as latents are."""
    weights = interpolation_weights(5, 0.25)
    for start in sample_latents(50, 100, seed=4):
        end = (factor * start).astype(np.float32)
        np.testing.assert_allclose(slerp(start, end, weights), lerp(start, end, weights), rtol=1e-4, atol=1e-4)


def test_lerp_equals_values_computed_by_hand():
    start, end = np.array([1.0, 2.0], np.float32), np.array([3.0, -2.0], np.float32)
    np.testing.assert_allclose(lerp(start, end, np.array([0.25, 1.5, -0.5])), [[1.5, 1], [4, -4], [0, 4]])


def test_interpolation_weights_are_even_and_extrapolate_at_both_ends():
    np.testing.assert_allclose(interpolation_weights(5), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(interpolation_weights(3, 0.5), [-0.5, 0.5, 1.5])
