"""Small data sets that tensorflow-datasets itself writes, under the names, features and versions of real ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds


def prepare(name: str, data_dir: Path, features: Mapping[str, Any], splits: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Writes TFRecord files of a data set below ``data_dir``, where ``tfds.builder(name, data_dir=…)`` finds them.

    Args:
        name: of a data set that tensorflow-datasets knows, whose current version is written.
        data_dir: the folder of prepared data sets.
        features: of an example.
        splits: the examples of each split, which are written in this order.
    """
    known = tfds.builder(name, data_dir=data_dir)
    tfds.disable_progress_bar()
    tfds.dataset_builders.store_as_tfds_dataset(
        known.name,
        version=known.version,
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: list(enumerate(examples)) for split, examples in splits.items()},
        config=known.builder_config.name if known.builder_config else None,
        data_dir=data_dir,
        disable_shuffling=True,
    )


def prepare_labeled(name: str, data_dir: Path, shape: tuple[int, int, int], counts: Mapping[str, int]) -> dict[str, Any]:
    """Writes random images of ``shape`` with labels 0 to 9; returns for each split its images and labels."""
    splits = {
        split: (np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8), np.arange(count) % 10)
        for split, count in counts.items()
    }
    features = {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(num_classes=10)}
    examples = {
        split: [{"image": image, "label": label} for image, label in zip(*arrays, strict=True)]
        for split, arrays in splits.items()
    }
    prepare(name, data_dir, features, examples)
    return splits
