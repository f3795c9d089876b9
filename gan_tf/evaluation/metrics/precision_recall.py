"""Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

The manifold of a sample is the union of balls around its members, each reaching to its k-th nearest neighbor in the sample.
Everything is computed blockwise: no full matrix of distances is in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import UserError


@dataclass(frozen=True)
class ManifoldScores:
    """Four fractions; 1 is best, but density may exceed it.

    Attributes:
        precision: generated images within the real manifold (quality).
        recall: real images within the generated manifold (variety).
        density: mean number of real balls that contain a generated image, divided by k; not bounded by 1.
        coverage: real images whose ball contains a generated image (variety, robust to outliers among the generated).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbor_radii(features: np.ndarray, neighbors: Sequence[int], *, block: int = 2048) -> np.ndarray:
    """Computes the squared distance of each feature to its k-th nearest neighbor in the sample, itself excluded.

    Args:
        features: [n, d] with n > every k.
        neighbors: the values of k, from 1.
        block: rows and columns of distances in memory at once.

    Returns:
        float64 [len(neighbors), n].
    """
    last = max(neighbors)
    radii = np.empty((len(neighbors), len(features)))
    for top in range(0, len(features), block):
        nearest = np.empty((len(features[top : top + block]), 0))
        for left in range(0, len(features), block):
            distances = squared_distances(features[top : top + block], features[left : left + block])
            if left == top:
                np.fill_diagonal(distances, -1.0)  # the image itself comes first, whatever rounding does
            nearest = np.concatenate([nearest, distances], axis=1)
            nearest = np.partition(nearest, min(last, nearest.shape[1] - 1), axis=1)[:, : last + 1]
        radii[:, top : top + block] = np.sort(nearest, axis=1)[:, neighbors].T
    return radii


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes squared Euclidean distances float64 [n, m] of features [n, d] and [m, d], by one matrix product."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    distances = first @ second.T
    distances *= -2
    distances += np.einsum("nd,nd->n", first, first)[:, None]
    distances += np.einsum("md,md->m", second, second)
    return np.maximum(distances, 0.0, out=distances)


def manifold_scores(
    generated: np.ndarray, real: np.ndarray, *, k: int = 3, k_coverage: int = 5, block: int = 2048
) -> ManifoldScores:
    """Computes precision, recall, density and coverage of generated features against real ones (arguments in this order).

    Args:
        generated: [n, d].
        real: [m, d].
        k: neighbors for precision and recall (3 in the paper and in torch-fidelity).
        k_coverage: neighbors for density and coverage (5 in the paper).
        block: rows and columns of distances in memory at once.

    Raises:
        UserError: a side has no more features than the larger k, or one is not finite.
    """
    if min(len(generated), len(real)) <= max(k, k_coverage) or k < 1 or k_coverage < 1:
        problem = f"{len(generated)} generated and {len(real)} real images are too few: "
        raise UserError(problem + f"each side needs more than k = {max(k, k_coverage)}", "Add images")
    if not (np.isfinite(generated).all() and np.isfinite(real).all()):
        raise UserError("Some features are not finite", "Check the images and the network's weights")
    (radii_generated,) = neighbor_radii(generated, [k], block=block)
    radii_real, radii_coverage = neighbor_radii(real, [k, k_coverage], block=block)
    in_real_manifold = np.zeros(len(generated), bool)
    in_generated_manifold, is_covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    num_containing_balls = 0
    for top in range(0, len(generated), block):
        rows = slice(top, top + block)
        for left in range(0, len(real), block):
            columns = slice(left, left + block)
            distances = squared_distances(generated[rows], real[columns])
            in_real_manifold[rows] |= (distances <= radii_real[columns]).any(axis=1)
            in_generated_manifold[columns] |= (distances <= radii_generated[rows, None]).any(axis=0)
            num_containing_balls += int(np.count_nonzero(distances < radii_coverage[columns]))
            is_covered[columns] |= (distances < radii_coverage[columns]).any(axis=0)
    density = num_containing_balls / (k_coverage * len(generated))
    return ManifoldScores(
        precision=float(in_real_manifold.mean()),
        recall=float(in_generated_manifold.mean()),
        density=float(density),
        coverage=float(is_covered.mean()),
    )
