"""Synthetic images, rendered by the program itself, so that every task runs without a download."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import tensorflow as tf

from pipelines.transforms import pixels_sha256, take_rows


class SyntheticImages:
    """A source (see ``pipelines.source.Source``) of images that are rendered at construction and held in memory.

    Args:
        render: ``(seed, index, size) -> uint8 [size, size, 3]``, a pure function.
        count: number of images, at least 1.
        size: height and width of the images in pixels.
        seed: of the set, from 0.

    Raises:
        ValueError: ``count`` is below 1.
    """

    channels = 3
    name, split = "synthetic", ""

    def __init__(self, render: Callable[[int, int, int], np.ndarray], count: int, size: int, seed: int):
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self.size, self.seed = size, seed
        self._pixels = np.empty((count, size, size, 3), np.uint8)
        for index in range(count):
            self._pixels[index] = render(seed, index, size)
        self.memory_bytes = self._pixels.nbytes

    def __len__(self) -> int:
        return len(self._pixels)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> tf.Tensor | dict[str, tf.Tensor]:
        """Returns uint8 [n, size, size, 3] for integers [n]; raises as ``pipelines.transforms.take_rows``."""
        return take_rows(self._pixels.__getitem__, indices, self._pixels.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over shape and pixels, which covers the rendering code, the seed, the count and the size."""
        return pixels_sha256(self._pixels)

    @property
    def summary(self) -> str:
        """One line: how many images, of which size and seed, and what they take in memory."""
        size = f"{self.size}x{self.size}x3"
        return (
            f"{self.name}: {len(self):,} images of {size}, seed {self.seed}, held in memory ({self.memory_bytes / 1e6:,.1f} MB)"
        )
