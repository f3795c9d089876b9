"""Noise for generators, keyed, and walks through it."""

import numpy as np
import tensorflow as tf

from pipelines.stream import key

# Purposes of randomness; see pipelines.stream.key.
SAMPLING, REAL_FLIPS, STEP_NOISE, PENALTY_POINTS, REFRESH, VIEWS = range(6)
CHUNK = 64  # images made together, always: other batch sizes round differently in the last bits


def gaussian(shape: tuple[int, ...], seed: int, step, purpose: int) -> tf.Tensor:
    """N(0, I) float32 of ``shape``, a pure function of (seed, step, purpose)."""
    return tf.random.stateless_normal(shape, seed=key(seed, step, purpose), alg="philox")


def uniform(shape: tuple[int, ...], seed: int, step, purpose: int) -> tf.Tensor:
    """Numbers in [0, 1), float32 of ``shape``, a pure function of (seed, step, purpose)."""
    return tf.random.stateless_uniform(shape, seed=key(seed, step, purpose), alg="philox")


def noises(count: int, latent: int, seed: int, first: int = 0) -> np.ndarray:
    """The noises of images ``first`` to ``first + count - 1`` of a seed, float32 ``[count, latent]``.

    Row i depends on (seed, i) alone, never on ``count``: whole chunks are drawn, keyed by (seed, chunk).
    """
    chunks = range(first // CHUNK, -(-(first + count) // CHUNK))
    drawn = [gaussian((CHUNK, latent), seed, chunk, purpose=SAMPLING).numpy() for chunk in chunks]
    start = first - CHUNK * (first // CHUNK)
    return np.concatenate([np.zeros((0, latent), np.float32), *drawn])[start : start + count]


def great_circle(a: np.ndarray, b: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Points between two noises along a great circle (White 2016, "slerp"), ``[len(shares), latent]``.

    Args:
        a: start, ``[latent]``.
        b: end, ``[latent]``.
        shares: 0 is ``a``, 1 is ``b``; beyond them the circle goes on.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)  # in float32 opposite noises have a sine of 3e-4, not 0
    cosine = np.clip(np.dot(a / np.linalg.norm(a), b / np.linalg.norm(b)), -1.0, 1.0)
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-6:
        return straight(a, b, shares)
    shares = np.asarray(shares, np.float64)[:, None]
    points = (np.sin((1 - shares) * angle) * a + np.sin(shares * angle) * b) / np.sin(angle)
    return points.astype(np.float32)


def straight(a: np.ndarray, b: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Points a + share (b - a), ``[len(shares), latent]``; beyond 0 and 1 the line goes on."""
    shares = np.asarray(shares, np.float64)[:, None]
    return (a + shares * (b.astype(np.float64) - a)).astype(np.float32)


WALKS = {"great-circle": great_circle, "straight": straight}


def walk_shares(points: int, beyond: float = 0.0) -> np.ndarray:
    """``points`` even steps from 0 to 1, or from ``-beyond`` to ``1 + beyond``."""
    return np.linspace(-beyond, 1.0 + beyond, points)
