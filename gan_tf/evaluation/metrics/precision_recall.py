"""Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

The manifold of a sample is the union of balls around its members, each reaching to its k-th neighbour in the sample.
Everything runs in blocks: no full matrix of distances is ever held.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import InputError


@dataclass(frozen=True)
class ManifoldScores:
    """The four shares: 1 is best, save that density may exceed it.

    Attributes:
        precision: generated images within the real manifold (quality).
        recall: real images within the generated manifold (variety).
        density: how many real balls hold a generated image, on average, divided by k; not bounded by 1.
        coverage: real images whose ball holds a generated image (variety, robust to outliers among the generated).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_radii(features: np.ndarray, neighbours: Sequence[int], *, block: int = 2048) -> np.ndarray:
    """Squared distance of each feature to its k-th nearest neighbour in the sample, itself not counted.

    Args:
        features: [n, d] with n > every k.
        neighbours: which neighbours, from 1.
        block: rows and columns of distances held at once.

    Returns:
        float64 [len(neighbours), n].
    """
    last = max(neighbours)
    radii = np.empty((len(neighbours), len(features)))
    for top in range(0, len(features), block):
        nearest = np.empty((len(features[top : top + block]), 0))
        for left in range(0, len(features), block):
            distances = squared_distances(features[top : top + block], features[left : left + block])
            if left == top:
                np.fill_diagonal(distances, -1.0)  # itself comes first, whatever rounding says
            nearest = np.concatenate([nearest, distances], axis=1)
            nearest = np.partition(nearest, min(last, nearest.shape[1] - 1), axis=1)[:, : last + 1]
        radii[:, top : top + block] = np.sort(nearest, axis=1)[:, neighbours].T
    return radii


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances float64 [n, m] of features [n, d] and [m, d], by one matrix product."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    distances = first @ second.T
    distances *= -2
    distances += np.einsum("nd,nd->n", first, first)[:, None]
    distances += np.einsum("md,md->m", second, second)
    return np.maximum(distances, 0.0, out=distances)


def manifold_scores(
    generated: np.ndarray, real: np.ndarray, *, k: int = 3, k_coverage: int = 5, block: int = 2048
) -> ManifoldScores:
    """Precision, recall, density and coverage of generated features against real ones (in this order of arguments).

    Args:
        generated: [n, d].
        real: [m, d].
        k: neighbours for precision and recall (3 in the paper and in torch-fidelity).
        k_coverage: neighbours for density and coverage (5 in the paper).
        block: rows and columns of distances held at once.

    Raises:
        InputError: a side has no more than the larger k of features, or one isn't finite.
    """
    if min(len(generated), len(real)) <= max(k, k_coverage) or k < 1 or k_coverage < 1:
        raise InputError(
            f"{len(generated)} generated and {len(real)} real images with k = {max(k, k_coverage)} neighbours",
            "more images than neighbours on each side",
            "add images",
        )
    if not (np.isfinite(generated).all() and np.isfinite(real).all()):
        raise InputError("features that are not finite", "finite features", "check the images and the weights")
    (radii_generated,) = neighbour_radii(generated, [k], block=block)
    radii_real, radii_coverage = neighbour_radii(real, [k, k_coverage], block=block)
    precise = np.zeros(len(generated), bool)
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    balls = 0
    for top in range(0, len(generated), block):
        rows = slice(top, top + block)
        for left in range(0, len(real), block):
            columns = slice(left, left + block)
            distances = squared_distances(generated[rows], real[columns])
            precise[rows] |= (distances <= radii_real[columns]).any(axis=1)
            recalled[columns] |= (distances <= radii_generated[rows, None]).any(axis=0)
            balls += np.count_nonzero(distances < radii_coverage[columns])
            covered[columns] |= (distances < radii_coverage[columns]).any(axis=0)
    density = balls / (k_coverage * len(generated))
    return ManifoldScores(float(precise.mean()), float(recalled.mean()), float(density), float(covered.mean()))
