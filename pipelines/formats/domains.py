"""Two domains for unsupervised adaptation: labeled images of a source, and a target whose labels are not used for it.

Either the digits of DLCV 2022, HW2 (MNIST-M to SVHN or USPS), or two folders of images in which each class has a folder.
Free of TensorFlow until images are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import UserError
from pipelines.formats import class_folders
from pipelines.formats.digits import MNISTM_DIRS, describe_places, first_folder
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    from pipelines.labeled import LabeledImages

DIGIT_TARGETS = ("svhn", "usps")
TARGETS = (*DIGIT_TARGETS, "folder")
DIGIT_CLASSES = "0/1/2/3/4/5/6/7/8/9"
SHAPE = (28, 28, 3)

SOURCE, TARGET = "source", "target"
_SOURCE_DIRS = tuple(name for name in MNISTM_DIRS if name != ".")  # a folder with tables of its own may be the target


@dataclass(frozen=True)
class DomainData(DataSpec):
    """The domains that a phase trains on, as the sources "source" (with labels) and "target".

    Attributes:
        target: the target domain, one of ``TARGETS``; "folder": that in ``target/``, or that of ``open_folders``.
        phase: "source", "adapt" or "target": which domains are trained on. Only the last one reads the target's labels.
        classes: names of the classes, which for digits are their labels.
    """

    target: str = "svhn"
    phase: str = "adapt"
    classes: tuple[str, ...] = tuple(DIGIT_CLASSES.split("/"))

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        places = describe_places((*_SOURCE_DIRS, *_target_dirs("svhn"), *_target_dirs("usps")))
        return f"train.csv, val.csv and data/*.png of MNIST-M and of SVHN or USPS, in {places.rpartition(' in ')[2]}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sources that the phase trains on."""
        return (SOURCE, TARGET) if self.phase == "adapt" else (self.phase,)

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the domains of the phase, or for "val" the labeled validation images of the target; see ``DataSpec.open``.

        All are held in memory, whatever the budget. Training reads no file of validation images.
        """
        if self.target == "folder":
            domains = {name: path / name for name in (SOURCE, TARGET)}
            return self.open_folders(domains if domains[TARGET].is_dir() else {TARGET: path}, split, memory_budget)
        self._require_digit_classes()
        if split == "val":
            return {TARGET: self._read_labeled(path, TARGET, "val")}
        if self.phase != "adapt":
            return {self.phase: self._read_labeled(path, self.phase, "train")}
        return {SOURCE: self._read_labeled(path, SOURCE, "train"), TARGET: self._read_unlabeled_target(path)}

    def open_validation(self, path: Path) -> "dict[str, LabeledImages]":
        """Reads the labeled validation images of both domains, which serve no training; raises as ``open``."""
        if self.target != "folder":
            return {name: self._read_labeled(path, name, "val") for name in (SOURCE, TARGET)}
        return {name: class_folders.read_labeled(path / name, "val", self.classes, SHAPE) for name in (SOURCE, TARGET)}

    def open_folders(self, folders: Mapping[str, Path], split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the domains from a folder each; see ``open``."""
        sources: dict[str, Source] = {}
        for name in self.names if split == "train" else (TARGET,):
            if name not in folders:
                raise UserError(f"--phase {self.phase} needs a folder of {name} images", f"Add --{name}-data DIR")
            if split == "train" and name == TARGET and self.phase == "adapt":
                sources[name] = class_folders.read_unlabeled(folders[name], SHAPE)
            else:
                sources[name] = class_folders.read_labeled(folders[name], split, self.classes, SHAPE)
        return sources

    def options_of_folders(self, folders: Mapping[str, Path]) -> dict[str, Any]:
        """Returns the names of the classes, which are those of the source's folders, or else of the target's."""
        labeled = folders.get(SOURCE, folders.get(TARGET))
        assert labeled is not None
        return {"target": "folder", "classes": "/".join(class_folders.class_names(labeled))}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic digits; those of the target have no labels in phase "adapt". See ``DataSpec.open_synthetic``."""
        from pipelines.image_array import ImageArray
        from pipelines.synthetic.digits import SyntheticDigits

        self._require_digit_classes()
        digits = {SOURCE: SyntheticDigits(), TARGET: SyntheticDigits(seed=1)}
        if self.phase != "adapt":
            return {self.phase: digits[self.phase]}
        return {SOURCE: digits[SOURCE], TARGET: ImageArray(digits[TARGET].images, "synthetic")}

    def has_validation(self, path: Path) -> bool:
        """Returns whether there are validation images of the target; see ``DataSpec.has_validation``."""
        from pipelines.formats.label_csv import has_split

        if self.target == "folder":
            place = path / TARGET
            return class_folders.find_split(place if place.is_dir() else path, "val") is not None
        return first_folder(path, _target_dirs(self.target), (lambda place: has_split(place, "val"),)) is not None

    def _require_digit_classes(self) -> None:
        """Raises a UserError if the classes are others than those of digits, whose labels are the numbers of their classes."""
        if self.classes != tuple(DIGIT_CLASSES.split("/")):
            problem = "Images of digits have the classes 0 to 9, but other classes were given"
            raise UserError(problem, "Leave --classes out, or name folders of classes by --source-data and --target-data")

    def _read_labeled(self, path: Path, domain: str, split: Split) -> "LabeledImages":
        from pipelines.formats.label_csv import has_any_split, has_split, read_split

        dirs = _SOURCE_DIRS if domain == SOURCE else _target_dirs(self.target)
        folder = first_folder(path, dirs, (lambda place: has_split(place, split), has_any_split))
        if folder is None:
            raise self._missing(path, domain)
        return read_split(folder, split)

    def _read_unlabeled_target(self, path: Path) -> Source:
        """Reads the target's training images: those of ``train.csv``, or all in its folder if there are no tables."""
        from pipelines.formats.label_csv import has_split, read_unlabeled

        names = [name for name in _target_dirs(self.target) if name != "."]
        folder = first_folder(path, names, (lambda place: has_split(place, "train"), Path.is_dir))
        if folder is None:
            raise self._missing(path, TARGET)
        if has_split(folder, "train"):
            return read_unlabeled(folder)
        if (folder / "val.csv").exists():
            problem = f"{folder} has val.csv but no train.csv, so nothing tells which images may be trained on"
            raise UserError(problem, "Add train.csv with the column image_name, or move val.csv and its images away")
        return class_folders.read_unlabeled(folder, SHAPE)

    def _missing(self, path: Path, domain: str) -> UserError:
        name = "MNIST-M" if domain == SOURCE else self.target.upper()
        return UserError(f"No images of {name}, the {domain} domain, were found in {path}", f"Put {self.layout}")


def _target_dirs(target: str) -> tuple[str, ...]:
    return (target, f"digits/{target}", f"hw2_data/digits/{target}", ".")
