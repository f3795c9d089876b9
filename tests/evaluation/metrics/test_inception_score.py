"""The Inception Score against its extremes, the formula in plain loops, and torch-fidelity where it is installed."""

import numpy as np
import pytest

from gan_tf.evaluation.metrics.inception_score import inception_score
from pipelines.errors import UserError


def test_inception_score_certain_even_classes_is_their_number():
    logits = np.tile(np.eye(10) * 1000, (20, 1))
    assert inception_score(logits, splits=1) == (pytest.approx(10), None)


def test_inception_score_one_class_or_uniform_is_one():
    collapsed = np.zeros((40, 10))
    collapsed[:, 3] = 500
    assert inception_score(collapsed)[0] == pytest.approx(1)
    assert inception_score(np.zeros((40, 10)))[0] == pytest.approx(1)


def test_inception_score_equals_the_formula_and_depends_on_splits():
    logits = np.random.default_rng(0).normal(0, 3, (30, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    parts = [p[:10], p[10:20], p[20:]]
    expected = [np.exp(np.mean([np.sum(row * np.log(row / part.mean(0))) for row in part])) for part in parts]
    score = inception_score(logits, splits=3, shuffle=False)
    assert score == (pytest.approx(np.mean(expected)), pytest.approx(np.std(expected)))
    assert inception_score(logits, splits=1, shuffle=False)[0] > score[0]


def test_inception_score_bad_logits_are_refused():
    with pytest.raises(UserError, match="splits"):
        inception_score(np.zeros((5, 3)), splits=6)
    with pytest.raises(UserError, match="finite"):
        inception_score(np.full((5, 3), np.nan), splits=1)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score_equals_torch_fidelity(splits):
    torch = pytest.importorskip("torch")
    metric = pytest.importorskip("torch_fidelity.metric_isc")
    logits = np.random.default_rng(1).normal(0, 4, (333, 1008)).astype(np.float32)
    theirs = metric.isc_features_to_metric(torch.from_numpy(logits), splits=splits, rng_seed=11)
    mean, deviation = inception_score(logits, splits=splits, seed=11)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert deviation == pytest.approx(theirs["inception_score_std"], abs=1e-9)
