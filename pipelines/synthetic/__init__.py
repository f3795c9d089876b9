"""Pictures the program draws itself, so that every task runs without a download."""

import hashlib
from collections.abc import Callable
from functools import cached_property

import numpy as np
import tensorflow as tf

from pipelines.transforms import take_rows


class Drawn:
    """Pictures drawn at construction and held in memory, by index; the interface of ``pipelines.image_folder.Folder``.

    Args:
        draw: ``(seed, index, size) -> uint8 [size, size, 3]``, a pure function.
        name: what the set is called.
        count: how many pictures, from 1.
        size: side of the pictures in pixels.
        seed: of the set, from 0.

    Raises:
        ValueError: ``count`` is below 1.
    """

    channels = 3

    def __init__(self, draw: Callable[[int, int, int], np.ndarray], name: str, count: int, size: int, seed: int):
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self.name, self.size, self.seed = name, size, seed
        self._pixels = np.empty((count, size, size, 3), np.uint8)
        for index in range(count):
            self._pixels[index] = draw(seed, index, size)
        self.memory_bytes = self._pixels.nbytes

    def __len__(self) -> int:
        return len(self._pixels)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> tf.Tensor:
        """uint8 [n, size, size, 3] for integers [n]; raises as ``pipelines.image_folder.take_rows`` does."""
        return take_rows(self._pixels.__getitem__, indices, self._pixels.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over shape and pixels, so over all that decides them: drawing code, seed, count and size."""
        total = hashlib.sha256(repr(self._pixels.shape).encode())
        total.update(self._pixels)
        return total.hexdigest()

    @property
    def summary(self) -> str:
        """One line: how many pictures, of which seed, and what they take in memory."""
        held = f"held in memory ({self.memory_bytes / 1e6:,.1f} MB)"
        return f"{self.name}: {len(self):,} pictures of {self.size}x{self.size}x3 from seed {self.seed}, {held}"
