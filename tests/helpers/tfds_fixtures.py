"""Small data sets that tensorflow-datasets itself writes, under the names, features and versions of real ones."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


def encode(pixels: np.ndarray, kind: str = "png") -> bytes:
    """Returns an image file of uint8 [height, width, channels] or [height, width]."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, kind)
    return file.getvalue()


def prepare(
    name: str, data_dir: Path, splits: Mapping[str, Sequence[Mapping[str, Any]]], file_format: str | None = None
) -> Path:
    """Writes a data set below ``data_dir``, where ``tfds.builder(name, data_dir=…)`` finds it.

    Args:
        name: of a data set that tensorflow-datasets knows; its current version and its own features are written.
        data_dir: the folder of prepared data sets.
        splits: the examples of each split, in the order in which they are written; "image" as the bytes of a file.
        file_format: another one than TFRecord.

    Returns:
        The folder of the files.
    """
    data_dir.mkdir(exist_ok=True)
    known = tfds.builder(name, data_dir=data_dir)
    tfds.disable_progress_bar()

    def complete(example: Mapping[str, Any]) -> dict[str, Any]:
        return _zeros(known.info.features) | dict(example) | {"image": io.BytesIO(example["image"])}

    written = tfds.dataset_builders.store_as_tfds_dataset(
        known.name,
        version=known.version,
        features=known.info.features,
        split_datasets={split: list(enumerate(map(complete, examples))) for split, examples in splits.items()},
        config=known.builder_config.name if known.builder_config else None,
        data_dir=data_dir,
        disable_shuffling=True,
        file_format=file_format,
    )
    return Path(written.data_path)


def prepare_labeled(name: str, data_dir: Path, counts: Mapping[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Writes random images of the data set's own shape with labels 0, 1, …; returns images and labels of each split."""
    shape = tfds.builder(name, data_dir=data_dir).info.features["image"].shape
    splits = {
        split: (np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8), np.arange(count) % 10)
        for split, count in counts.items()
    }
    examples = {
        split: [{"image": encode(image), "label": label} for image, label in zip(*arrays, strict=True)]
        for split, arrays in splits.items()
    }
    prepare(name, data_dir, examples)
    return splits


def _zeros(features: Any) -> Any:
    """Returns a value for each feature but images: 0, "", or no elements."""
    if isinstance(features, tfds.features.FeaturesDict):
        return {name: _zeros(feature) for name, feature in features.items() if not isinstance(feature, tfds.features.Image)}
    if isinstance(features, tfds.features.Sequence):
        return []
    return "" if isinstance(features, tfds.features.Text) else 0
