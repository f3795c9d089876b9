"""What a stream reads samples from, and where the data sets of a task lie. Free of TensorFlow."""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pipelines.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from pipelines.formats.tfds import TfdsData

Split = Literal["train", "val"]


class Source(Protocol):
    """A fixed number of samples that can be taken by index, eagerly or in a graph."""

    @property
    def name(self) -> str:
        """The data set's name, which is safe as a part of a path."""
        ...

    @property
    def split(self) -> str:
        """The part of the data set, such as "train" or "val"; "" if the data set has no parts."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 (hex) that identifies the data; a run resumes only on data of the same digest."""
        ...

    @property
    def summary(self) -> str:
        """One line about the data: how many samples of which size, and what was noticed when they were read."""
        ...

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def take(self, indices: Any) -> "tf.Tensor | dict[str, tf.Tensor]":
        """Returns the samples at ``indices`` (integers [n], each in 0 .. len - 1), stacked along the first axis.

        A sample is an image (uint8 [n, height, width, channels]) or a dictionary with "image" and, where the data has
        labels, "label".
        """
        ...


class DataSpec(abc.ABC):
    """Where the data sets of a task lie below a folder, and how they are read.

    Attributes:
        annotations: a folder of annotations that do not lie below the data folder; None without one.
    """

    annotations: Path | None = None

    @property
    @abc.abstractmethod
    def layout(self) -> str:
        """What the folder holds, in words that follow "a folder with": help, documentation and messages say it so."""

    @abc.abstractmethod
    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the data below ``path``.

        Args:
            path: what ``--data`` names.
            split: "train" or "val".
            memory_budget: how many bytes of decoded images may be held in memory, where there is a choice.

        Returns:
            The sources by name; a single one is called "real".

        Raises:
            UserError: there is no such data, or it is damaged.
        """

    @abc.abstractmethod
    def open_synthetic(self) -> dict[str, Source]:
        """Returns sources of the same names with synthetic images, for machines without data."""

    def at_size(self, image_size: int) -> "DataSpec":
        """Returns the same data as images of ``image_size`` pixels in height and width.

        Raises:
            UserError: the images of this data set have one size.
        """
        problem = f"--image-size {image_size} applies to folders of images, not to a data set whose images have one size"
        raise UserError(problem, "Leave --image-size out, or use --task anime, face or dog for images of your own")

    def has_labels(self, path: Path) -> bool:
        """Returns whether the samples of ``open(path, "train", …)`` have labels: not unless a data set says so."""
        return False

    @abc.abstractmethod
    def has_validation(self, path: Path) -> bool:
        """Returns whether ``open(path, "val", …)`` finds real images that generated ones can be compared with."""

    @property
    def tfds(self) -> "TfdsData | None":
        """How the same data, or other data that fits, is read from tensorflow-datasets; None if it is not."""
        return None

    def open_folders(self, folders: Mapping[str, Path], split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads sources that lie in a folder each, which tasks with a source and a target domain allow; see ``open``.

        Args:
            folders: what ``--source-data`` and ``--target-data`` name, by "source" and "target".
            split: "train" or "val".
            memory_budget: as of ``open``.

        Raises:
            UserError: this is no such task, or as ``open``.
        """
        raise self._no_domains()

    def options_of_folders(self, folders: Mapping[str, Path]) -> dict[str, Any]:
        """Returns the options of the model that such folders decide, by name; raises as ``open_folders``."""
        raise self._no_domains()

    def _no_domains(self) -> UserError:
        problem = "--source-data and --target-data apply to tasks with a source and a target domain only, such as dann"
        return UserError(problem, "Name the images by --data")
