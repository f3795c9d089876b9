"""Synthetic images, rendered by the program itself, so that every task runs without a download."""

from collections.abc import Callable

import numpy as np

from pipelines.image_array import ImageArray


class SyntheticImages(ImageArray):
    """A source (see ``pipelines.source.Source``) of images that are rendered at construction and held in memory.

    Their digest covers the rendering code, the seed, the count and the size, since it is that of the pixels.

    Args:
        render: ``(seed, index, size) -> uint8 [size, size, 3]``, a pure function.
        count: number of images, at least 1.
        size: height and width of the images in pixels.
        seed: of the set, from 0.

    Raises:
        ValueError: ``count`` is below 1.
    """

    def __init__(self, render: Callable[[int, int, int], np.ndarray], count: int, size: int, seed: int):
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self.seed = seed
        images = np.empty((count, size, size, 3), np.uint8)
        for index in range(count):
            images[index] = render(seed, index, size)
        super().__init__(images, "synthetic")

    @property
    def summary(self) -> str:
        """One line: how many images, of which size and seed, and what they take in memory."""
        return f"{super().summary}, seed {self.seed}"
