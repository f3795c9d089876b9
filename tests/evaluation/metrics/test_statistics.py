"""Streamed mean and covariance against NumPy's, however the stream is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_tf.evaluation.metrics.statistics import FeatureStatistics
from pipelines.errors import UserError

FEATURES = np.random.default_rng(0).normal(3, 2, (100, 6))


@settings(deadline=None)
@given(st.lists(st.integers(0, 100), max_size=8))
def test_add_any_batches_equals_numpy(cuts):
    statistics = FeatureStatistics.empty(6)
    for part in np.split(FEATURES, sorted(cuts)):
        statistics = statistics.add(part)
    assert statistics.count == 100
    np.testing.assert_allclose(statistics.mean, FEATURES.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.covariance, np.cov(FEATURES, rowvar=False), rtol=1e-11, atol=1e-13)


def test_merge_two_halves_equals_the_whole():
    merged = FeatureStatistics.of(FEATURES[:30]).merge(FeatureStatistics.of(FEATURES[30:]))
    np.testing.assert_allclose(merged.covariance, np.cov(FEATURES, rowvar=False), rtol=1e-11, atol=1e-13)


def test_add_large_offset_keeps_precision():
    far = FEATURES.astype(np.float32).astype(np.float64) + 1e6
    statistics = FeatureStatistics.empty(6)
    for part in np.array_split(far, 10):
        statistics = statistics.add(part)
    np.testing.assert_allclose(statistics.covariance, np.cov(far, rowvar=False), rtol=1e-8, atol=1e-8)


def test_covariance_of_one_image_is_refused():
    with pytest.raises(UserError, match="two or more"):
        _ = FeatureStatistics.of(FEATURES[:1]).covariance


def test_of_nan_is_refused():
    with pytest.raises(UserError, match="finite"):
        FeatureStatistics.of(np.array([[np.nan, 1.0]]))
