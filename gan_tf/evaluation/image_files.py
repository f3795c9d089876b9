"""Images that are to be scored: of a folder or of a source, decoded as in training and read when they are needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from gan_tf.evaluation.scores import ImageSet
from gan_tf.utils.images import to_rgb
from pipelines.errors import UserError
from pipelines.image_folder import ImageFolder
from pipelines.image_listing import list_images
from pipelines.source import Source

MEMORY_BUDGET = 4 << 30
"""Bytes of decoded images that are held in memory for each set; larger sets are decoded when they are read."""

_BATCH = 256


class SourceImages(Sequence[np.ndarray]):
    """The images of a source as a sequence, uint8 [n, height, width, 3], of which slices and index arrays are arrays.

    Args:
        source: where the images are taken from.
        indices: which of its samples, integers [n]; None takes all.
    """

    def __init__(self, source: Source, indices: np.ndarray | None = None):
        self.source = source
        self.indices = np.arange(len(source)) if indices is None else indices
        self.dtype = np.dtype(np.uint8)
        self.shape = (len(self.indices), *self[:1].shape[1:])

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> Any:
        wanted = np.atleast_1d(self.indices[rows])
        samples = self.source.take(tf.constant(wanted, tf.int64))
        images = to_rgb((samples["image"] if isinstance(samples, dict) else samples).numpy())
        return images[0] if isinstance(rows, int | np.integer) else images

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self), _BATCH):
            yield from self[start : start + _BATCH]


def source_images(source: Source, count: int | None = None, seed: int = 2020) -> ImageSet:
    """Returns the images of a source, named as it is.

    Args:
        source: images, with or without labels.
        count: take only so many, sampled without replacement, or all if there are fewer; None takes all.
        seed: of the sample.
    """
    total = len(source)
    if count is None or count >= total:
        return ImageSet(source.name, SourceImages(source), source.split)
    images = SourceImages(source, sample_indices(total, count, seed))
    return ImageSet(source.name, images, f"{count:,} sampled from {total:,}")


def read_image_dir(directory: str | Path, size: int | None = None, count: int | None = None, seed: int = 2020) -> ImageSet:
    """Returns the images below a directory, in the order of their paths, and prints what was noticed about them.

    Unreadable files are left out and named, as in training.

    Args:
        directory: any depth, any names; JPEG, PNG, BMP or WebP.
        size: height and width that images are fitted to as in training; None keeps their own size, which must be the same.
        count: take only so many, sampled without replacement; None takes all.
        seed: of the sample.

    Raises:
        UserError: there are no readable images, fewer than ``count``, or images of several sizes without ``size``.
    """
    files, split = list_images(directory), ""
    total = len(files)
    if count is not None:
        if count > total:
            raise UserError(f"--count {count} is not possible: {directory} has {total} images", "Lower --count")
        files = [files[index] for index in sample_indices(total, count, seed)]
        split = f"{count:,} sampled from {total:,}" if count < total else ""
    folder = ImageFolder(directory, size, 3, MEMORY_BUDGET, files=files, check_pixels=True)
    print(folder.summary, flush=True)
    return ImageSet(str(directory), SourceImages(folder), split, tuple(folder.paths))


def sample_indices(total: int, count: int, seed: int) -> np.ndarray:
    """Returns ``count`` of the integers below ``total`` in ascending order, sampled without replacement."""
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
