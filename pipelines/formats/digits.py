"""Labeled digits below a directory: MNIST's IDX files and MNIST-M's CSV folder, whichever of the two are there.

Free of TensorFlow until images are read.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.formats.tfds import TfdsData, TfdsSample
from pipelines.location import Location
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    from pipelines.formats import idx
    from pipelines.labeled import LabeledImages

# Where each data set may lie: in the folder that is given (".") or below it, in upper or lower case. torchvision writes
# MNIST/raw, and hw2_data is the archive of DLCV 2022.
MNIST_DIRS = (".", "raw", "mnist", "mnist/raw", "digits/mnist", "digits/mnist/raw")
SIZE = 28  # height and width of the images in pixels
_MEMORY_BUDGET = 1 << 30  # bytes of the validation images of tensorflow-datasets
MNISTM_DIRS = (".", "mnistm", "digits/mnistm", "hw2_data/digits/mnistm")


@dataclass(frozen=True)
class LabeledDigitsData(DataSpec):
    """MNIST and MNIST-M as one source of images [28, 28, 3] with labels 0 to 9."""

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        mnist_places, mnistm_places = (describe_places(names) for names in (MNIST_DIRS, MNISTM_DIRS))
        return f"MNIST's four IDX files {mnist_places}; or MNIST-M's train.csv, val.csv and data/*.png {mnistm_places}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the digits of a split; see ``DataSpec.open``. They are held in memory, whatever the budget."""
        return {"real": read_training_digits(path) if split == "train" else _join(read_digit_sets(path, split), split)}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic digits; see ``DataSpec.open_synthetic``."""
        from pipelines.synthetic.digits import SyntheticDigits

        return {"real": SyntheticDigits()}

    def has_validation(self, path: Path) -> bool:
        """Returns whether a set below ``path`` has its validation part; see ``DataSpec.has_validation``."""
        from pipelines.formats import idx, label_csv

        mnist = first_folder(path, MNIST_DIRS, (lambda place: idx.has_part(place, "test"),))
        mnistm = first_folder(path, MNISTM_DIRS, (lambda place: label_csv.has_split(place, "val"),))
        return mnist is not None or mnistm is not None

    @property
    def tfds(self) -> TfdsData:
        """MNIST, or other digits with labels, of tensorflow-datasets; see ``DataSpec.tfds``."""
        return TfdsData("mnist", TfdsSample(SIZE, num_classes=10))


def read_validation_sets(location: Location) -> "list[LabeledImages]":
    """Reads the validation parts of all sets of digits at a location, held in memory.

    Raises:
        UserError: as ``read_digit_sets`` and ``pipelines.location.open_data``.
    """
    if isinstance(location, Path):
        return read_digit_sets(location, "val")
    from pipelines.labeled import LabeledImages

    sources = LabeledDigitsData().tfds.open(location, "val", _MEMORY_BUDGET).values()
    return [source for source in sources if isinstance(source, LabeledImages)]


def read_digit_sets(folder: str | Path, split: Split) -> "list[LabeledImages]":
    """Reads all sets of digits below ``folder``, one after another.

    Each set is read from the first of its places that has the split. Its name is that of its folder, or of the folder above
    ``raw``, in lower case.

    Args:
        folder: holds MNIST's files in one of ``MNIST_DIRS``, or those of MNIST-M in one of ``MNISTM_DIRS``.
        split: "train", or "val": MNIST's test images and ``val.csv``.

    Raises:
        UserError: there is none, one of them lacks a file of the split, or one is damaged.
    """
    from pipelines.formats import idx, label_csv

    part: idx.Part = "train" if split == "train" else "test"
    sets = []
    mnist = find_mnist(folder, part)
    if mnist is not None:
        sets.append(idx.read_digits(mnist, part, size=SIZE))
        sets[-1].name = _data_set_name(mnist)
    mnistm = find_labeled_folder(folder, split)
    if mnistm is not None:
        sets.append(label_csv.read_split(mnistm, split, SIZE))
        sets[-1].name = _data_set_name(mnistm)
    for images in sets:
        images.split = split
    if not sets:
        raise UserError(f"No labeled digits were found in {folder}", f"Put {LabeledDigitsData().layout}")
    return sets


def find_mnist(folder: str | Path, part: "idx.Part") -> Path | None:
    """Returns the first of ``MNIST_DIRS`` that has a part of MNIST, otherwise the first with any of its files, or None."""
    from pipelines.formats import idx

    return first_folder(folder, MNIST_DIRS, (lambda place: idx.has_part(place, part), idx.has_any_file))


def find_labeled_folder(folder: str | Path, split: Split) -> Path | None:
    """Returns the first of ``MNISTM_DIRS`` that has the table of a split, otherwise the first with any table, or None."""
    from pipelines.formats import label_csv

    return first_folder(folder, MNISTM_DIRS, (lambda place: label_csv.has_split(place, split), label_csv.has_any_split))


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


def first_folder(folder: str | Path, names: Iterable[str], conditions: Iterable[Callable[[Path], bool]]) -> Path | None:
    """Returns the first place that meets the first condition, otherwise the first that meets the next one, and so on."""
    places = [place for name in names for place in _folders_named(Path(folder), name)]
    return next((place for condition in conditions for place in places if condition(place)), None)


def _folders_named(folder: Path, name: str) -> list[Path]:
    """Returns the folders at the relative path ``name`` below ``folder``, in upper or lower case."""
    found = [folder] if folder.is_dir() else []
    for part in PurePosixPath(name).parts:
        try:
            children = [child for parent in found for child in sorted(parent.iterdir())]
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read ({error.strerror})", "Make it readable") from error
        found = [child for child in children if child.name.lower() == part and child.is_dir()]
    return found


def _data_set_name(place: Path) -> str:
    place = place.resolve()
    return (place.parent if place.name.lower() == "raw" else place).name.lower() or "digits"


def describe_places(names: Iterable[str]) -> str:
    """Returns in words where files may lie, as it follows their names."""
    *others, last = (f"{name}/" for name in names if name != ".")
    return f"there, or in {', '.join(others)} or {last}"
