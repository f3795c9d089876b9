"""KID against sums over pairs by hand, against its expectation, and against torch-fidelity where it is installed."""

import numpy as np
import pytest

from gan_tf.evaluation.metrics.kernel_distance import kernel_distance, kernel_distance_of_subsets
from pipelines.errors import UserError


def by_hand(first, second):
    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    n, m = len(first), len(second)
    inner = sum(kernel(x, y) for i, x in enumerate(first) for j, y in enumerate(first) if i != j) / (n * (n - 1))
    outer = sum(kernel(x, y) for i, x in enumerate(second) for j, y in enumerate(second) if i != j) / (m * (m - 1))
    return inner + outer - 2 * sum(kernel(x, y) for x in first for y in second) / (n * m)


@pytest.mark.parametrize("block", [1, 3, 4096])
def test_kernel_distance_equals_the_sum_over_pairs(block):
    random = np.random.default_rng(0)
    first, second = random.normal(size=(7, 4)), random.normal(1, 1, (5, 4))
    assert kernel_distance(first, second, block=block) == pytest.approx(by_hand(first, second), rel=1e-12)


def test_kernel_distance_is_unbiased_for_one_distribution_and_large_for_two():
    random = np.random.default_rng(1)
    same = [kernel_distance(random.normal(size=(20, 8)), random.normal(size=(20, 8))) for _ in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(300)
    assert kernel_distance(random.normal(size=(200, 8)), random.normal(1, 1, (200, 8))) > 1


def test_kernel_distance_of_subsets_too_large_is_refused():
    with pytest.raises(UserError, match="subset"):
        kernel_distance_of_subsets(np.zeros((9, 2)), np.zeros((20, 2)), size=10)
    with pytest.raises(UserError):
        kernel_distance(np.zeros((1, 2)), np.zeros((20, 2)))


def test_kernel_distance_of_subsets_equals_torch_fidelity():
    torch = pytest.importorskip("torch")
    metric = pytest.importorskip("torch_fidelity.metric_kid")
    random = np.random.default_rng(2)
    first, second = (random.exponential(0.4, (count, 256)).astype(np.float32) for count in (600, 700))
    theirs = metric.kid_features_to_metric(
        torch.from_numpy(first), torch.from_numpy(second), kid_subsets=20, kid_subset_size=300, rng_seed=7, verbose=False
    )
    mean, deviation = kernel_distance_of_subsets(first, second, subsets=20, size=300, seed=7)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-6)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-6)
