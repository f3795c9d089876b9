"""Precision, recall, density and coverage against full matrices of distances, by hand, and against torch-fidelity."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_tf.evaluation.metrics.precision_recall import manifold_scores, neighbor_radii
from pipelines.errors import UserError


def in_full(generated, real, k, k_coverage):
    """All four from their papers' formulas with whole matrices."""
    across = cdist(generated, real)
    radii_generated = np.sort(cdist(generated, generated), axis=1)[:, k]
    radii_real = np.sort(cdist(real, real), axis=1)[:, k]
    radii_coverage = np.sort(cdist(real, real), axis=1)[:, k_coverage]
    return (
        (across <= radii_real).any(axis=1).mean(),
        (across <= radii_generated[:, None]).any(axis=0).mean(),
        (across < radii_coverage).sum(axis=1).mean() / k_coverage,
        (across.min(axis=0) < radii_coverage).mean(),
    )


def four(scores):
    return scores.precision, scores.recall, scores.density, scores.coverage


@pytest.mark.parametrize("block", [1, 7, 50, 2048])
def test_manifold_scores_do_not_depend_on_blocks(block):
    random = np.random.default_rng(0)
    generated, real = random.normal(0.5, 1, (60, 5)), random.normal(size=(80, 5))
    scores = manifold_scores(generated, real, k=3, k_coverage=5, block=block)
    np.testing.assert_allclose(four(scores), in_full(generated, real, 3, 5), rtol=1e-12)


def test_neighbor_radii_equal_hand_computed_ones():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    np.testing.assert_allclose(neighbor_radii(points, [1, 2], block=2), [[1, 1, 4, 16], [9, 4, 9, 36]])


def test_manifold_scores_collapsed_generator_has_high_precision_and_low_recall():
    random = np.random.default_rng(1)
    real = random.normal(size=(400, 6))
    collapsed = real[:1] + random.normal(0, 1e-3, (400, 6))
    scores = manifold_scores(collapsed, real)
    assert scores.precision > 0.95
    assert scores.recall < 0.05
    assert scores.coverage < 0.05


def test_manifold_scores_noisy_generator_has_low_precision():
    random = np.random.default_rng(2)
    scores = manifold_scores(random.normal(0, 6, (400, 6)), random.normal(size=(400, 6)))
    assert scores.precision < 0.3
    assert scores.recall > 0.9
    assert scores.density < 0.3


def test_manifold_scores_same_distribution_is_high():
    random = np.random.default_rng(3)
    scores = manifold_scores(random.normal(size=(1000, 4)), random.normal(size=(1000, 4)))
    assert min(four(scores)) > 0.8
    assert scores.density == pytest.approx(1, abs=0.1)


def test_manifold_scores_duplicates_are_in_each_others_balls():
    twice = np.repeat(np.eye(6), 4, axis=0)
    scores = manifold_scores(twice, twice, k=3, k_coverage=5)
    assert (scores.precision, scores.recall) == (1, 1)


def test_manifold_scores_too_few_images_and_nan_are_refused():
    with pytest.raises(UserError, match="too few"):
        manifold_scores(np.zeros((5, 2)), np.zeros((50, 2)))
    with pytest.raises(UserError, match="finite"):
        manifold_scores(np.full((9, 2), np.nan), np.zeros((50, 2)))


def test_manifold_scores_equal_torch_fidelity():
    torch = pytest.importorskip("torch")
    metric = pytest.importorskip("torch_fidelity.metric_prc")
    random = np.random.default_rng(4)
    generated, real = random.normal(0.2, 1, (500, 32)), random.normal(size=(600, 32))
    theirs = metric.prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    ours = manifold_scores(generated, real)
    assert ours.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], abs=1e-6)
