"""Labeled digits below a directory: MNIST's IDX files and MNIST-M's CSV folder, whichever of the two are there.

Free of TensorFlow until images are read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    from pipelines.labeled import LabeledImages

IDX_DIRS = (".", "mnist")
CSV_DIRS = (".", "mnistm", "digits/mnistm")


@dataclass(frozen=True)
class LabeledDigitsData(DataSpec):
    """MNIST and MNIST-M as one source of images [28, 28, 3] with labels 0 to 9."""

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return "MNIST's IDX files there or in mnist/, or data/*.png with train.csv and val.csv there or in mnistm/"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the digits of a split; see ``DataSpec.open``. They are held in memory, whatever the budget."""
        return {"real": read_training_digits(path) if split == "train" else _join(read_digit_sets(path, split), split)}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic digits; see ``DataSpec.open_synthetic``."""
        from pipelines.synthetic.digits import SyntheticDigits

        return {"real": SyntheticDigits()}

    def has_validation(self, path: Path) -> bool:
        """Returns False: digits are no images that generated ones are compared with."""
        return False


def read_digit_sets(folder: str | Path, split: Split) -> "list[LabeledImages]":
    """Reads all sets of digits below ``folder``, one after another.

    Args:
        folder: holds MNIST's files, itself or in ``mnist``, or those of MNIST-M, itself or in ``mnistm``.
        split: "train", or "val": MNIST's test images and ``val.csv``.

    Raises:
        UserError: there is none, or one is damaged.
    """
    from pipelines.formats import idx, label_csv

    folder, sets = Path(folder), []
    for name in IDX_DIRS:
        if idx.find_file(folder / name, "train", "images") or idx.find_file(folder / name, "test", "images"):
            sets.append(idx.read_digits(folder / name, "train" if split == "train" else "test"))
            break
    for name in CSV_DIRS:
        if (folder / name / "data").is_dir() and any((folder / name / f"{part}.csv").is_file() for part in ("train", "val")):
            sets.append(label_csv.read_split(folder / name, split))
            break
    for images in sets:
        images.split = split
    if not sets:
        layouts = "MNIST's IDX files there or in mnist/, or data/*.png with train.csv and val.csv there or in mnistm/"
        raise UserError(f"No labeled digits were found in {folder}", f"Put {layouts}, or give another folder")
    return sets


def read_training_digits(folder: str | Path) -> "LabeledImages":
    """Reads all training digits below ``folder`` as one source, in which each set is about as frequent as the largest.

    A smaller set is repeated (MNIST-M's 14,000 images four times beside MNIST's 60,000), since it is the harder one.

    Raises:
        UserError: as ``read_digit_sets``.
    """
    sets = read_digit_sets(folder, "train")
    largest = max(len(images) for images in sets)
    source = _join([images for images in sets for _ in range(round(largest / len(images)))], "train")
    source.name = "-".join(images.name for images in sets)
    return source


def _join(sets: "list[LabeledImages]", split: Split) -> "LabeledImages":
    from pipelines.labeled import concatenate

    source = concatenate(sets)
    source.split = split
    return source
