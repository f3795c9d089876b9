"""Pictures with a label each, held in memory: what the readers of labelled layouts give, and what a stream draws from."""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

from pipelines.transforms import take_rows


class Labelled:
    """Pictures and their labels by index; the interface of ``pipelines.image_folder.Folder``, but a sample is a dictionary.

    Args:
        images: uint8 [n, height, width, channels], in [0, 255].
        labels: integers [n], in [0, 255].
        name: what the set is called, safe as a part of a file name.

    Raises:
        ValueError: types or shapes are others.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, name: str):
        if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1] or not len(images):
            raise ValueError(f"images {images.dtype} {images.shape} with labels {labels.shape}")
        self.images, self.labels, self.name = images, labels.astype(np.uint8), name

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> dict[str, tf.Tensor]:
        """The samples at ``indices`` (integers [n]), eagerly or inside ``tf.data.Dataset.map``.

        Returns:
            "image": uint8 [n, height, width, channels]; "label": uint8 [n].

        Raises:
            ValueError: as ``pipelines.image_folder.take_rows`` does.
        """
        return {
            "image": take_rows(self.images.__getitem__, indices, self.images.shape),
            "label": take_rows(self.labels.__getitem__, indices, self.labels.shape),
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over shape, pixels and labels."""
        total = hashlib.sha256(repr(self.images.shape).encode())
        total.update(np.ascontiguousarray(self.images))
        total.update(self.labels)
        return total.hexdigest()

    @property
    def summary(self) -> str:
        """One line: how many pictures, of which size, and how many of each label."""
        height, width, channels = self.images.shape[1:]
        values, counts = np.unique(self.labels, return_counts=True)
        each = ", ".join(f"{value}: {count:,}" for value, count in zip(values, counts, strict=True))
        return f"{self.name}: {len(self):,} labelled pictures of {height}x{width}x{channels} ({each})"


def joined(parts: Sequence[Labelled]) -> Labelled:
    """Several sets of one picture size as one, in their order, named by all of them."""
    if len(parts) == 1:
        return parts[0]
    images, labels = (np.concatenate(arrays) for arrays in zip(*((p.images, p.labels) for p in parts), strict=True))
    return Labelled(images, labels, "-".join(part.name for part in parts))
