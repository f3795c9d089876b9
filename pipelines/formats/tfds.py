"""Data sets of tensorflow-datasets: which one a task reads, which of its splits, and what it makes of an example.

They are read where tensorflow-datasets has prepared them; nothing is downloaded here. Free of TensorFlow and of
tensorflow-datasets until images are read.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from pipelines.errors import UserError
from pipelines.location import TfdsLocation
from pipelines.source import Source, Split


@dataclass(frozen=True)
class TfdsSample:
    """What an example becomes.

    Attributes:
        size: height and width in pixels.
        channels: 3 for RGB, 1 for grayscale; color images are not made gray.
        num_classes: the number of classes that labels must have; 0 for samples without labels.
        boxes: whether each box of an example is a sample, cut out as ``BoxedImages`` does. Where a data set has no boxes,
            its whole images are the samples.
        stretch: whether images are resized bilinearly without cropping, instead of covering the square (Lanczos).
    """

    size: int
    channels: int = 3
    num_classes: int = 0
    boxes: bool = False
    stretch: bool = False


@dataclass(frozen=True)
class TfdsSplits:
    """Which splits a source reads.

    Attributes:
        training: the split of the training images.
        validation: names for that of the validation images; the first one that exists is read.
        max_validation: read only so many validation images; None reads all.
    """

    training: str = "train"
    validation: tuple[str, ...] = ("validation", "test")
    max_validation: int | None = None

    def find_validation(self, existing: Container[str]) -> str | None:
        """Returns the split of the validation images; None if none of its names exists."""
        return next((name for name in self.validation if name == ALL or name in existing), None)


ALL = "all"
"""The name by which tensorflow-datasets gives all splits together."""


@dataclass(frozen=True)
class TfdsData:
    """How a task's sources are read from tensorflow-datasets.

    Attributes:
        name: the task's own data set; None if there is none, so that one must be named.
        sample: what an example becomes.
        splits: which splits each source reads.
    """

    name: str | None
    sample: TfdsSample
    splits: Mapping[str, TfdsSplits] = field(default_factory=lambda: {"real": TfdsSplits()})

    def open(self, location: TfdsLocation, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the sources of a split; see ``pipelines.location.open_data``."""
        from pipelines.formats import tfds_files

        builder = tfds_files.find_builder(self._name_at(location), location.data_dir)
        sources = {}
        for name, splits in self.splits.items():
            part = splits.training if split == "train" else splits.find_validation(builder.info.splits)
            if part is None:
                problem = f"{builder.info.name} has no split {' or '.join(splits.validation)} to compare with"
                raise UserError(problem, "Name another data set")
            limit = splits.max_validation if split == "val" else None
            sources[name] = tfds_files.open_split(builder, part, self.sample, memory_budget, limit)
        return sources

    def has_validation(self, location: TfdsLocation) -> bool:
        """Returns whether every source has validation images."""
        from pipelines.formats import tfds_files

        existing = tfds_files.find_builder(self._name_at(location), location.data_dir).info.splits
        return all(splits.find_validation(existing) for splits in self.splits.values())

    def _name_at(self, location: TfdsLocation) -> str:
        name = location.name or self.name
        if name is None:
            problem = f"--data {location} names no data set, and tensorflow-datasets has none that is this task's own"
            raise UserError(problem, "Name one that fits, such as --data tfds:NAME, or a folder")
        return name
