"""MNIST-M (Ganin et al. 2016) in the layout of DLCV 2022, HW2, or any folder of images without labels.

Free of TensorFlow and NumPy until images are read.
"""

from dataclasses import dataclass
from pathlib import Path

from pipelines.formats.digits import MNISTM_DIRS, describe_places, find_labeled_folder
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.source import DataSpec, Source, Split

SIZE = 28
_FOLDERS = ImageFolderData((SIZE, SIZE, 3), "pipelines.synthetic.digits:SyntheticDigits")


@dataclass(frozen=True)
class MnistmData(DataSpec):
    """Images [28, 28, 3] with labels 0 to 9 where there are tables of them, else images without labels."""

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return f"train.csv, val.csv and data/*.png {describe_places(MNISTM_DIRS)}; or {_FOLDERS.layout}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the images of a split; see ``DataSpec.open``. Those with labels are held in memory, whatever the budget."""
        from pipelines.formats import label_csv

        folder = find_labeled_folder(path, split)
        if folder is None:
            return _FOLDERS.open(path, split, memory_budget)
        return {"real": label_csv.read_split(folder, split, SIZE)}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic digits with their labels; see ``DataSpec.open_synthetic``."""
        return _FOLDERS.open_synthetic()

    def has_labels(self, path: Path) -> bool:
        """Returns whether there are tables of labels; see ``DataSpec.has_labels``."""
        return find_labeled_folder(path, "train") is not None

    def has_validation(self, path: Path) -> bool:
        """Returns whether there are validation images; see ``DataSpec.has_validation``."""
        from pipelines.formats import label_csv

        folder = find_labeled_folder(path, "val")
        return _FOLDERS.has_validation(path) if folder is None else label_csv.has_split(folder, "val")
