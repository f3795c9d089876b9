"""Images without labels, held in memory: what the readers of layouts that are no folders of images return."""

import hashlib
from functools import cached_property

import numpy as np
import tensorflow as tf

from pipelines.errors import counted
from pipelines.transforms import pixels_sha256, take_rows


class ImageArray:
    """A source (see ``pipelines.source.Source``) of images in an array.

    Args:
        images: uint8 [n, height, width, channels], in [0, 255].
        name: the data set's name, safe as a part of a file name.
        split: the part of the data set, such as "train"; "" if it has no parts.
        note: what ``summary`` should say besides.

    Raises:
        ValueError: another type or shape, or no images.
    """

    def __init__(self, images: np.ndarray, name: str, split: str = "", note: str = ""):
        if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
            raise ValueError(f"images {images.dtype} {images.shape}")
        self.images, self.name, self.split, self.note = images, name, split, note

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> tf.Tensor:
        """Returns uint8 [n, height, width, channels] for integers [n]; raises as ``pipelines.transforms.take_rows``."""
        return take_rows(self.images.__getitem__, indices, self.images.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over shape and pixels."""
        return pixels_sha256(self.images)

    @property
    def summary(self) -> str:
        """One line: how many images of which size, where they are held, and what they take there."""
        height, width, channels = self.images.shape[1:]
        size = f"{width}x{height}x{channels}"
        place = "in a temporary file" if isinstance(self.images, np.memmap) else "in memory"
        line = f"{self.name}: {counted(len(self), 'image')} of {size}, held {place} ({self.images.nbytes / 1e6:,.1f} MB)"
        return line + (f"; {self.note}" if self.note else "")


def sort_by_content(images: np.ndarray) -> np.ndarray:
    """Returns images ``[n, …]`` in the order of the SHA-256 of their pixels, which no name, folder or label decides."""
    digests = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
    return images[sorted(range(len(images)), key=digests.__getitem__)]
