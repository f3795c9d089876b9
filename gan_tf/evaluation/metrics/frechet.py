"""The Fréchet distance between two Gaussians (Dowson and Landau 1982), which on Inception's features is the FID.

‖μ₁ - μ₂‖² + Tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½), Heusel et al. 2017, eq. 6. Computed by a pivoted Cholesky factor and
symmetric eigenvalues: nothing can become imaginary, and a singular covariance needs no offset.
"""

import numpy as np
import scipy.linalg

from gan_tf.evaluation.metrics.statistics import FeatureStatistics
from pipelines.errors import UserError

_BLOCK = 8192


def frechet_distance(mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray) -> float:
    """Computes the squared Fréchet distance of N(mean_1, cov_1) and N(mean_2, cov_2).

    The trace of (Σ₁Σ₂)^½ is the sum of the roots of the eigenvalues of L'Σ₂L, where Σ₁ = LL'.

    Args:
        mean_1: [d], cov_1: [d, d] symmetric, positive semi-definite up to rounding; the same for ``mean_2``, ``cov_2``.

    Returns:
        A real number, zero or more; exactly ‖mean_1 - mean_2‖² for equal covariances.

    Raises:
        UserError: shapes differ or a number is not finite.
    """
    mean_1, mean_2 = (np.atleast_1d(np.asarray(mean, np.float64)) for mean in (mean_1, mean_2))
    cov_1, cov_2 = (np.atleast_2d(np.asarray(covariance, np.float64)) for covariance in (cov_1, cov_2))
    _check(
        mean_1.shape == mean_2.shape and cov_1.shape == cov_2.shape == 2 * mean_1.shape,
        "the shapes of means and covariances do not match",
    )
    _check(all(np.isfinite(values).all() for values in (mean_1, mean_2, cov_1, cov_2)), "a mean or covariance is not finite")
    means = float(np.sum((mean_1 - mean_2) ** 2))
    if np.array_equal(cov_1, cov_2):
        return means
    root = _root(cov_1)
    overlap = _sum_of_roots(_eigenvalues(root.T @ cov_2 @ root))
    return max(0.0, means + float(np.trace(cov_1) + np.trace(cov_2)) - 2 * overlap)


def frechet_distance_of_features(features_1: np.ndarray, features_2: np.ndarray) -> float:
    """Computes the same distance from features; exact, and fast when there are fewer of them than dimensions.

    With centered features A [n, d] and B [m, d], scaled by 1/√(n-1) and 1/√(m-1), Σ₁ = A'A and Σ₂ = B'B, and the eigenvalues
    of Σ₁Σ₂ that are not zero are the squared singular values of AB' [n, m]: the trace is its nuclear norm.
    The matrix is never larger than the smaller of samples and dimensions.

    Args:
        features_1: [n, d], features_2: [m, d], of any float type; computed in float64.

    Returns:
        A real number, zero or more.

    Raises:
        UserError: fewer than two features on a side, other shapes, or a number that is not finite.
    """
    sides = [np.asarray(features) for features in (features_1, features_2)]
    _check(all(side.ndim == 2 and len(side) >= 2 for side in sides), "each side needs two or more images")
    _check(sides[0].shape[1] == sides[1].shape[1], "the features of the two sides have different lengths")
    _check(all(np.isfinite(side).all() for side in sides), "some features are not finite")
    small, large = sorted(sides, key=len)
    dimensions = small.shape[1]
    if len(small) >= dimensions:
        one, two = _statistics(small), _statistics(large)
        return frechet_distance(one.mean, one.covariance, two.mean, two.covariance)
    mean, centered = _centered(small)
    if len(large) >= dimensions:
        rest = _statistics(large)
        other_mean, other_trace = rest.mean, np.trace(rest.covariance)
        overlap = _sum_of_roots(_eigenvalues(centered @ rest.covariance @ centered.T))
    else:
        other_mean, other = _centered(large)
        other_trace = np.sum(other**2)
        overlap = np.sum(scipy.linalg.svdvals(centered @ other.T, check_finite=False))
    total = np.sum((mean - other_mean) ** 2) + np.sum(centered**2) + other_trace - 2 * overlap
    return max(0.0, float(total))


def _centered(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean, and a matrix [n, d] whose transpose times itself is the covariance."""
    mean = features.mean(axis=0, dtype=np.float64)
    return mean, (features - mean) / np.sqrt(len(features) - 1)


def _statistics(features: np.ndarray) -> FeatureStatistics:
    statistics = FeatureStatistics.empty(features.shape[1])
    for start in range(0, len(features), _BLOCK):
        statistics = statistics.add(features[start : start + _BLOCK])
    return statistics


def _root(covariance: np.ndarray) -> np.ndarray:
    """Returns a matrix [d, rank] whose product with its transpose is the covariance."""
    factor, pivots, rank, _ = scipy.linalg.lapack.dpstrf((covariance + covariance.T) / 2, lower=1)
    root = np.zeros((len(covariance), rank))
    root[pivots - 1] = np.tril(factor)[:, :rank]
    return root


def _eigenvalues(symmetric: np.ndarray) -> np.ndarray:
    return scipy.linalg.eigvalsh((symmetric + symmetric.T) / 2, check_finite=False, overwrite_a=True)


def _sum_of_roots(values: np.ndarray) -> float:
    return float(np.sum(np.sqrt(np.maximum(values, 0.0))))


def _check(condition: bool, problem: str) -> None:
    if not condition:
        raise UserError(f"No Fréchet distance can be computed: {problem}", "Check the images and the network's weights")
