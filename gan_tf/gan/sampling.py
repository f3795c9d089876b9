"""Generates images, always in whole batches of one size, so that image i does not depend on how many are generated."""

from collections.abc import Iterator

import keras
import numpy as np

from gan_tf.gan.latents import SAMPLE_BATCH, sample_latents
from gan_tf.utils.images import to_uint8


def generate_images(generator: keras.Model, latents: np.ndarray) -> np.ndarray:
    """Returns the images of latent vectors ``[n, latent_dim]``, uint8 ``[n, height, width, channels]``."""
    n = len(latents)
    padded = np.concatenate([latents, np.zeros((-n % SAMPLE_BATCH, latents.shape[1]), np.float32)])
    batches = [padded[i : i + SAMPLE_BATCH] for i in range(0, len(padded), SAMPLE_BATCH)]
    return np.concatenate([to_uint8(generator(batch, training=False)) for batch in batches])[:n]


def iterate_images(generator: keras.Model, count: int, seed: int, distribution: str = "normal") -> Iterator[np.ndarray]:
    """Yields images 0 to ``count - 1`` of a seed in batches, uint8, so that memory does not grow with ``count``."""
    latent_dim = generator.input_shape[-1]
    for first in range(0, count, SAMPLE_BATCH):
        batch = min(SAMPLE_BATCH, count - first)
        yield generate_images(generator, sample_latents(batch, latent_dim, seed, first, distribution))
