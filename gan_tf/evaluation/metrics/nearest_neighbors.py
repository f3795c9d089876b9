"""Does a generator copy? The training pictures nearest to its samples, and how much nearer they are than the others.

A distance alone says little, since a smooth picture is near to everything. So each nearest distance is divided by the
mean of the next 50 (Carlini et al. 2023, "Extracting training data from diffusion models", section 4.2): about 0.9 for a
picture of its own, far below for a copy. What real pictures that nobody trained on score is the measure to compare with.
"""

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 50
_PART = 2500  # pictures of the pool at a time: 123 MB of float32 at 64x64x3


@dataclass(frozen=True)
class Nearest:
    """For each picture asked about, ``[n]``.

    Attributes:
        index: which picture of the pool is the nearest.
        mirrored: whether it is the nearest only when mirrored.
        distance: root mean square over all values, in grey levels from 0 to 255.
        closeness: ``distance`` over the mean distance of the next 50; in 0..1, 0 for a copy.
    """

    index: np.ndarray
    mirrored: np.ndarray
    distance: np.ndarray
    closeness: np.ndarray


def nearest(images: np.ndarray, pool: np.ndarray) -> Nearest:
    """Looks for ``images`` among ``pool`` and its mirror images, exactly.

    Args:
        images: uint8 ``[n, height, width, channels]``.
        pool: uint8 ``[m, height, width, channels]``, more than 50.

    Raises:
        ValueError: where shapes differ or the pool is too small.
    """
    if images.shape[1:] != pool.shape[1:] or len(pool) <= NEIGHBOURS:
        raise ValueError(f"pictures {images.shape} and a pool {pool.shape} of more than {NEIGHBOURS} don't go together")
    plain, turned = (_flat(x) for x in (images, images[:, :, ::-1]))  # mirroring them is mirroring the pool
    squares = np.empty((len(images), len(pool)), np.float32)
    mirrored = np.empty((len(images), len(pool)), bool)
    for start in range(0, len(pool), _PART):
        part = _flat(pool[start : start + _PART])
        both = [_squared_distances(x, part) for x in (plain, turned)]
        here = slice(start, start + len(part))
        squares[:, here] = np.minimum(*both)
        mirrored[:, here] = both[1] < both[0]
    order = np.argpartition(squares, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
    distances = np.sqrt(np.take_along_axis(squares, order, axis=1) / plain.shape[1])
    best = distances.argmin(axis=1)
    rows = np.arange(len(images))
    index, distance = order[rows, best], distances[rows, best]
    others = (distances.sum(axis=1) - distance) / NEIGHBOURS
    closeness = distance / np.maximum(others, 1e-6)
    return Nearest(index, mirrored[rows, index], distance, closeness)


def _flat(images: np.ndarray) -> np.ndarray:
    """Rows of values from -127.5 to 127.5: the smaller the numbers, the less their products round."""
    return images.reshape(len(images), -1).astype(np.float32) - np.float32(127.5)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a - b‖² of each row of a with each of b; never below 0, which rounding might make it."""
    return np.maximum((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2.0 * (a @ b.T), 0.0)
