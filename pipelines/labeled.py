"""Images with a label each, held in memory: what the readers of labeled layouts return."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

from pipelines.transforms import pixels_sha256, take_rows


class LabeledImages:
    """A source (see ``pipelines.source.Source``) of images with labels.

    Args:
        images: uint8 [n, height, width, channels], in [0, 255].
        labels: integers [n], in [0, 255].
        name: the data set's name, safe as a part of a file name.
        split: the part of the data set, such as "train"; "" if it has no parts.
        note: what ``summary`` should say besides.

    Raises:
        ValueError: types, shapes or labels differ from these.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, name: str, split: str = "", note: str = ""):
        if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1] or not len(images):
            raise ValueError(f"images {images.dtype} {images.shape} with labels {labels.shape}")
        if labels.min() < 0 or labels.max() > 255:  # a byte would hold another one
            raise ValueError(f"labels from {labels.min()} to {labels.max()}")
        self.images, self.labels, self.name, self.split = images, labels.astype(np.uint8), name, split
        self.note = note

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> dict[str, tf.Tensor]:
        """Returns the samples at ``indices`` (integers [n]), eagerly or inside ``tf.data.Dataset.map``.

        Returns:
            "image": uint8 [n, height, width, channels]; "label": uint8 [n].

        Raises:
            ValueError: as ``pipelines.transforms.take_rows``.
        """
        return {
            "image": take_rows(self.images.__getitem__, indices, self.images.shape),
            "label": take_rows(self.labels.__getitem__, indices, self.labels.shape),
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over shape, pixels and labels."""
        return pixels_sha256(self.images, self.labels)

    @property
    def summary(self) -> str:
        """One line: how many images, of which size, how many with each label, and ``note``."""
        height, width, channels = self.images.shape[1:]
        values, counts = np.unique(self.labels, return_counts=True)
        label_counts = ", ".join(f"{value}: {count:,}" for value, count in zip(values, counts, strict=True))
        line = f"{self.name}: {len(self):,} labeled images of {width}x{height}x{channels} ({label_counts})"
        return line + (f"; {self.note}" if self.note else "")


def concatenate(parts: Sequence[LabeledImages]) -> LabeledImages:
    """Joins several sets of one image size, in their order; the name holds all their names, the note each of their notes."""
    if len(parts) == 1:
        return parts[0]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    joined = LabeledImages(images, labels, "-".join(part.name for part in parts), parts[0].split)
    joined.note = "; ".join(dict.fromkeys(f"{part.name}: {part.note}" for part in parts if part.note))
    return joined
