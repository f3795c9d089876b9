"""Latent vectors: the generator's inputs, and paths between them."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines.randomness import Purpose, normal, uniform

SAMPLE_BATCH = 64  # images are always generated in batches of this size: other sizes round differently in the last bits


def draw_latents(distribution: str, shape: tuple[int, ...], seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """Returns latents, float32 of ``shape``: standard normal, or uniform in [-1, 1); see ``pipelines.randomness``."""
    if distribution == "uniform":
        return 2.0 * uniform(shape, seed, step, purpose) - 1.0
    return normal(shape, seed, step, purpose)


def sample_latents(count: int, latent_dim: int, seed: int, first: int = 0, distribution: str = "normal") -> np.ndarray:
    """Returns the latent vectors of images ``first`` to ``first + count - 1`` of a seed, float32 ``[count, latent_dim]``.

    Vector i depends only on (seed, i), not on ``count``: whole batches are sampled, keyed by (seed, batch).
    """
    first_batch, end_batch = first // SAMPLE_BATCH, -(-(first + count) // SAMPLE_BATCH)
    shape = (SAMPLE_BATCH, latent_dim)
    batches = [
        draw_latents(distribution, shape, seed, batch, Purpose.SAMPLE_LATENTS).numpy()
        for batch in range(first_batch, end_batch)
    ]
    offset = first - SAMPLE_BATCH * first_batch
    return np.concatenate([np.zeros((0, latent_dim), np.float32), *batches])[offset : offset + count]


def slerp(start: np.ndarray, end: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Interpolates spherically between two latent vectors (White 2016).

    Args:
        start: ``[latent_dim]``, the point at weight 0.
        end: ``[latent_dim]``, the point at weight 1.
        weights: ``[n]``; values below 0 or above 1 extrapolate along the same great circle.

    Returns:
        float32 ``[n, latent_dim]``. Nearly parallel vectors, which lie on no single great circle, are interpolated linearly.
    """
    # In float32 the angle between opposite vectors has a sine of 3e-4 instead of 0.
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    cosine = np.clip(np.dot(start / np.linalg.norm(start), end / np.linalg.norm(end)), -1.0, 1.0)
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-6:
        return lerp(start, end, weights)
    weights = np.asarray(weights, np.float64)[:, None]
    points = (np.sin((1 - weights) * angle) * start + np.sin(weights * angle) * end) / np.sin(angle)
    return points.astype(np.float32)


def lerp(start: np.ndarray, end: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Interpolates linearly between two latent vectors; arguments and result are those of ``slerp``."""
    weights = np.asarray(weights, np.float64)[:, None]
    return (start + weights * (end.astype(np.float64) - start)).astype(np.float32)


PATHS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {"slerp": slerp, "lerp": lerp}


def interpolation_weights(num_points: int, extrapolation: float = 0.0) -> np.ndarray:
    """Returns ``num_points`` evenly spaced weights from ``-extrapolation`` to ``1 + extrapolation``."""
    return np.linspace(-extrapolation, 1.0 + extrapolation, num_points)
