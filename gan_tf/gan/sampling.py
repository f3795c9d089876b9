"""Images from a generator, always in whole chunks of one size, so that image i doesn't depend on how many are made."""

from collections.abc import Iterator

import keras
import numpy as np

from gan_tf.gan.latents import CHUNK, noises


def to_pixels(images: np.ndarray) -> np.ndarray:
    """float in [-1, 1] to uint8, rounded to the nearest level."""
    return np.clip(np.rint((np.asarray(images) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def generate(generator: keras.Model, noise: np.ndarray) -> np.ndarray:
    """Images of noises ``[n, latent]``, uint8 ``[n, height, width, channels]``; the last chunk is padded."""
    n = len(noise)
    padded = np.concatenate([noise, np.zeros((-n % CHUNK, noise.shape[1]), np.float32)])
    chunks = [to_pixels(generator(padded[i : i + CHUNK], training=False)) for i in range(0, len(padded), CHUNK)]
    return np.concatenate(chunks)[:n]


def stream_images(generator: keras.Model, count: int, seed: int) -> Iterator[np.ndarray]:
    """Images 0 to ``count - 1`` of a seed, chunk by chunk, uint8: memory stays constant whatever the count."""
    latent = generator.input_shape[-1]
    for first in range(0, count, CHUNK):
        yield generate(generator, noises(min(CHUNK, count - first), latent, seed, first))
