"""Kernel Inception Distance (Bińkowski et al. 2018): the unbiased squared MMD under the kernel (x'y/d + 1)³."""

import numpy as np

from pipelines.errors import UserError


def kernel_distance(features_1: np.ndarray, features_2: np.ndarray, *, block: int = 4096) -> float:
    """Computes the unbiased estimate over all pairs, in float64, blockwise (memory does not grow with the number of pairs).

    Args:
        features_1: [n, d], features_2: [m, d]; n, m >= 2.
        block: rows and columns of the kernel matrix in memory at once.

    Returns:
        The squared MMD; it may be a little below 0 when the distributions are the same.

    Raises:
        UserError: fewer than two features on a side.
    """
    first, second = (np.asarray(features, np.float64) for features in (features_1, features_2))
    if min(len(first), len(second)) < 2:
        raise UserError("KID needs two or more images on each side", "Add images")
    return (
        _sum_of_kernel(first, first, block, diagonal=False) / (len(first) * (len(first) - 1))
        + _sum_of_kernel(second, second, block, diagonal=False) / (len(second) * (len(second) - 1))
        - 2 * _sum_of_kernel(first, second, block, diagonal=True) / (len(first) * len(second))
    )


def kernel_distance_of_subsets(
    features_1: np.ndarray, features_2: np.ndarray, *, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> tuple[float, float | None]:
    """Computes mean and standard deviation over random subsets, sampled as torch-fidelity samples them.

    Where a subset is the whole of both sides, all subsets are the same: one is computed, and there is no deviation.

    Args:
        features_1: [n, d], features_2: [m, d].
        subsets: number of pairs of subsets.
        size: images in each; at most n and m.
        seed: of NumPy's ``RandomState``, as torch-fidelity's ``rng_seed``.

    Returns:
        Mean, and standard deviation (divided by ``subsets``) of the unbiased estimates, or None.

    Raises:
        UserError: a side has fewer than ``size`` features.
    """
    if not 2 <= size <= min(len(features_1), len(features_2)):
        problem = f"KID subsets of {size} images cannot be taken from {len(features_1)} and {len(features_2)} images"
        raise UserError(problem, "Add images")
    if size == len(features_1) == len(features_2):
        return kernel_distance(features_1, features_2), None
    random = np.random.RandomState(seed)  # torch-fidelity's generator
    distances = []
    for _ in range(subsets):
        first = features_1[random.choice(len(features_1), size, replace=False)]
        second = features_2[random.choice(len(features_2), size, replace=False)]
        distances.append(kernel_distance(first, second))
    return float(np.mean(distances)), float(np.std(distances))


def _sum_of_kernel(first: np.ndarray, second: np.ndarray, block: int, *, diagonal: bool) -> float:
    total = 0.0
    for rows in range(0, len(first), block):
        for columns in range(0, len(second), block):
            base = first[rows : rows + block] @ second[columns : columns + block].T
            base /= first.shape[1]
            base += 1
            kernel = base * base
            kernel *= base
            total += kernel.sum()
            if not diagonal and rows == columns:
                total -= np.trace(kernel)
    return float(total)
