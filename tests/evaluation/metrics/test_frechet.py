"""The Fréchet distance against closed forms, SciPy's sqrtm and the other form of itself."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_tf.evaluation.metrics.frechet import frechet_distance, frechet_distance_of_features
from gan_tf.evaluation.metrics.statistics import FeatureStatistics
from pipelines.errors import UserError


def covariance(dimensions, rank, seed):
    factor = np.random.default_rng(seed).normal(size=(dimensions, rank))
    return factor @ factor.T / rank


def by_sqrtm(mean_1, cov_1, mean_2, cov_2):
    root = scipy.linalg.sqrtm(cov_1 @ cov_2)
    return np.sum((mean_1 - mean_2) ** 2) + np.trace(cov_1 + cov_2 - 2 * root.real)


def by_statistics(first, second):
    one, two = FeatureStatistics.of(first), FeatureStatistics.of(second)
    return frechet_distance(one.mean, one.covariance, two.mean, two.covariance)


@pytest.mark.parametrize("rank", [2, 30])
def test_frechet_distance_equal_covariances_is_exactly_that_of_the_means(rank):
    cov = covariance(30, rank, 0)
    first, second = np.zeros(30), np.full(30, 0.5)
    assert frechet_distance(first, cov, second, cov.copy()) == 30 * 0.25


@given(*[st.floats(-10, 10)] * 2, *[st.floats(0, 10)] * 2)
def test_frechet_distance_one_dimension_equals_the_closed_form(mean_1, mean_2, deviation_1, deviation_2):
    expected = (mean_1 - mean_2) ** 2 + (deviation_1 - deviation_2) ** 2
    assert frechet_distance(mean_1, deviation_1**2, mean_2, deviation_2**2) == pytest.approx(expected, abs=1e-9)


def test_frechet_distance_commuting_covariances_equals_the_closed_form():
    vectors, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))
    first, second = np.linspace(0, 4, 20), np.linspace(9, 1, 20)
    distance = frechet_distance(np.zeros(20), vectors * first @ vectors.T, np.zeros(20), vectors * second @ vectors.T)
    assert distance == pytest.approx(np.sum((np.sqrt(first) - np.sqrt(second)) ** 2), abs=1e-9)


def test_frechet_distance_equals_sqrtm():
    means = np.random.default_rng(2).normal(size=(2, 25))
    one, two = covariance(25, 60, 3), covariance(25, 60, 4)
    assert frechet_distance(means[0], one, means[1], two) == pytest.approx(by_sqrtm(means[0], one, means[1], two), rel=1e-9)


@pytest.mark.parametrize("ranks", [(3, 40), (40, 3), (5, 5), (0, 40), (0, 0)])
def test_frechet_distance_singular_covariances_is_real(ranks):
    one, two = (covariance(40, rank, rank) if rank else np.zeros((40, 40)) for rank in ranks)
    distance = frechet_distance(np.zeros(40), one, np.zeros(40), two)
    assert isinstance(distance, float)
    assert distance >= 0
    shifted = by_sqrtm(np.zeros(40), one + 1e-9 * np.eye(40), np.zeros(40), two + 1e-9 * np.eye(40))
    assert distance == pytest.approx(shifted, abs=1e-2)


def test_frechet_distance_nearly_singular_covariances_is_accurate():
    vectors, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(50, 50)))
    first, second = np.logspace(-13, 1, 50), np.logspace(1, -13, 50)
    distance = frechet_distance(np.zeros(50), vectors * first @ vectors.T, np.zeros(50), vectors * second @ vectors.T)
    assert distance == pytest.approx(np.sum((np.sqrt(first) - np.sqrt(second)) ** 2), abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_frechet_distance_is_symmetric_and_not_negative(seed):
    random = np.random.default_rng(seed)
    means, ranks = random.normal(size=(2, 8)), random.integers(1, 12, 2)
    one, two = (covariance(8, rank, seed + i) for i, rank in enumerate(ranks))
    forth = frechet_distance(means[0], one, means[1], two)
    assert forth >= 0
    assert forth == pytest.approx(frechet_distance(means[1], two, means[0], one), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("counts", [(10, 12), (10, 90), (90, 10), (10, 200), (70, 90), (2, 2)])
def test_frechet_distance_of_features_equals_that_of_statistics(counts):
    random = np.random.default_rng(5)
    first, second = (random.normal(i, 1 + i, (count, 64)) for i, count in enumerate(counts))
    assert frechet_distance_of_features(first, second) == pytest.approx(by_statistics(first, second), rel=1e-6)


def test_frechet_distance_of_features_to_itself_is_zero():
    features = np.random.default_rng(6).normal(size=(40, 64)).astype(np.float32)
    assert frechet_distance_of_features(features, features) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4))),
        (np.zeros((5, 4)), np.zeros((5, 3))),
        (np.full((5, 4), np.nan), np.zeros((5, 4))),
        (np.zeros(4), np.zeros(4)),
    ],
)
def test_frechet_distance_of_features_bad_features_are_refused(first, second):
    with pytest.raises(UserError):
        frechet_distance_of_features(first, second)


def test_frechet_distance_other_shapes_are_refused():
    with pytest.raises(UserError):
        frechet_distance(np.zeros(3), np.eye(4), np.zeros(3), np.eye(3))
    with pytest.raises(UserError):
        frechet_distance(np.zeros(3), np.full((3, 3), np.inf), np.zeros(3), np.eye(3))
