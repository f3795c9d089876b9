"""Does a generator copy? The training images nearest to its samples, and how much nearer they are than the others.

A distance alone says little, since a smooth image is near to everything. So each nearest distance is divided by the
mean of the next 50 (Carlini et al. 2023, "Extracting training data from diffusion models", section 4.2): about 0.9 for a
new image, far below for a copy. Compare with the values of real images that were not trained on.
"""

from dataclasses import dataclass

import numpy as np

NUM_NEIGHBORS = 50
_BATCH = 2500  # images of the pool at a time: 123 MB of float32 at 64x64x3


@dataclass(frozen=True)
class Nearest:
    """The 51 nearest neighbors of each image, the nearest first.

    Attributes:
        index: of the neighbors in the pool, ``[n, 51]``.
        mirrored: whether a neighbor's mirror image is nearer than the neighbor itself, ``[n, 51]``.
        distance: root mean square over all values, in gray levels from 0 to 255, ``[n, 51]``.
        closeness: distance of the nearest over the mean distance of the next 50; in [0, 1], 0 for a copy, ``[n]``.
    """

    index: np.ndarray
    mirrored: np.ndarray
    distance: np.ndarray
    closeness: np.ndarray


def find_nearest(images: np.ndarray, pool: np.ndarray) -> Nearest:
    """Finds the nearest neighbors of ``images`` among ``pool`` and its mirror images, exactly.

    Args:
        images: uint8 ``[n, height, width, channels]``.
        pool: uint8 ``[m, height, width, channels]``, more than 50.

    Raises:
        ValueError: shapes differ, or the pool is too small.
    """
    if images.shape[1:] != pool.shape[1:] or len(pool) <= NUM_NEIGHBORS:
        raise ValueError(f"images {images.shape} must match the pool {pool.shape}, which must exceed {NUM_NEIGHBORS}")
    plain, flipped = (_flatten(x) for x in (images, images[:, :, ::-1]))  # as if the pool were mirrored
    squares = np.empty((len(images), len(pool)), np.float32)
    mirrored = np.empty((len(images), len(pool)), bool)
    for start in range(0, len(pool), _BATCH):
        batch = _flatten(pool[start : start + _BATCH])
        both = [_squared_distances(x, batch) for x in (plain, flipped)]
        columns = slice(start, start + len(batch))
        squares[:, columns] = np.minimum(*both)
        mirrored[:, columns] = both[1] < both[0]
    index = np.argpartition(squares, NUM_NEIGHBORS, axis=1)[:, : NUM_NEIGHBORS + 1]
    order = np.argsort(np.take_along_axis(squares, index, axis=1), axis=1)
    index = np.take_along_axis(index, order, axis=1)
    distance = np.sqrt(np.take_along_axis(squares, index, axis=1) / plain.shape[1])
    closeness = distance[:, 0] / np.maximum(distance[:, 1:].mean(axis=1), 1e-6)
    return Nearest(index, np.take_along_axis(mirrored, index, axis=1), distance, closeness)


def _flatten(images: np.ndarray) -> np.ndarray:
    """Returns rows of values from -127.5 to 127.5: products of smaller numbers have smaller rounding errors."""
    return images.reshape(len(images), -1).astype(np.float32) - np.float32(127.5)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes ‖a - b‖² of each row of a with each row of b, clipped at 0 against rounding."""
    return np.maximum((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2.0 * (a @ b.T), 0.0)
