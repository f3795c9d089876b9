"""Folders of images without labels, where a data set may keep its training and validation images apart.

Free of TensorFlow until images are read.
"""

import pkgutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.errors import UserError
from pipelines.formats.tfds import TfdsData, TfdsSample, TfdsSplits
from pipelines.image_listing import list_images, list_images_except
from pipelines.source import DataSpec, Source, Split
from pipelines.split_names import VALIDATION_NAMES, check_training_folder, find_dir, find_split_dir, is_held_out

_MAX_NAMED = 5  # entries of the data folder that a message names


@dataclass(frozen=True)
class FolderPair:
    """Folders below the data folder that a certain data set calls otherwise: of its training and its validation images."""

    training: str
    validation: str


@dataclass(frozen=True)
class _Places:
    """Where the two kinds of images lie; there may be no validation images."""

    training: Path
    validation: Path | None


@dataclass(frozen=True)
class ImageFolderData(DataSpec):
    """Images below a folder, at any depth.

    Training images are those of the first pair whose training folder exists, else those of a folder whose name says so
    (``split_names``), else all images below the data folder. Whichever it is, folders with the name of validation images are
    held out at any depth, and the data folder must not be one itself, nor lie in one.

    Attributes:
        image_shape: height, width and channels that images are fitted to; height and width are equal.
        synthetic: dotted path of the function that returns a source of synthetic images ("module:function"); None where
            there are none of this size.
        pairs: what this data set calls its folders, in the order of preference.
        tfds_name: the same data set of tensorflow-datasets; None if there is none.
        tfds_splits: which of its splits are read.
    """

    image_shape: tuple[int, int, int]
    synthetic: str | None
    pairs: tuple[FolderPair, ...] = ()
    tfds_name: str | None = None
    tfds_splits: TfdsSplits = field(default_factory=TfdsSplits)

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        named = "".join(f", or {pair.training}/ and {pair.validation}/" for pair in self.pairs)
        return f"images at any depth, with validation images in val/ or test/ if there are any{named}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the images of a split; see ``DataSpec.open``. The source is named by its path below ``path``."""
        from pipelines.image_folder import ImageFolder

        if split == "train":
            folder, validation = self._find(path).training, self._find(path).validation
            named_note = self._check_folder(path)
            files, held_out = list_images_except(folder, is_held_out, [validation] if validation else [])
        else:
            validation = self._find_validation(path)
            if validation is None:
                raise UserError(f"{path} has no folder of validation images", f"Put them into {path / VALIDATION_NAMES[0]}")
            folder, held_out = validation, []
            files = list_images(folder)
        size, _, channels = self.image_shape
        source = ImageFolder(folder, size, channels, memory_budget, files=files, check_pixels=split == "val")
        source.name = Path(path.resolve().name, *folder.relative_to(path).parts).as_posix()
        source.split = split
        if split == "train":
            source.note = "; ".join(filter(None, [named_note, self._describe_rest(path, folder, held_out)]))
        return {"real": source}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic images; see ``DataSpec.open_synthetic``.

        Raises:
            UserError: there are none of this size.
        """
        if self.synthetic is None:
            size = "x".join(map(str, self.image_shape[:2]))
            raise UserError(f"There are no synthetic images of {size} pixels", "Name a folder of images by --data")
        return {"real": pkgutil.resolve_name(self.synthetic)()}

    def at_size(self, image_size: int) -> "ImageFolderData":
        """Returns the same folders, whose images are fitted to another size; see ``DataSpec.at_size``."""
        return replace(self, image_shape=(image_size, image_size, self.image_shape[2]), synthetic=None)

    def has_validation(self, path: Path) -> bool:
        """Returns whether there is a folder of validation images; see ``DataSpec.has_validation``."""
        return self._find_validation(path) is not None

    @property
    def tfds(self) -> TfdsData:
        """Images of tensorflow-datasets; see ``DataSpec.tfds``."""
        size, _, channels = self.image_shape
        return TfdsData(self.tfds_name, TfdsSample(size, channels), {"real": self.tfds_splits})

    def _find(self, path: Path) -> _Places:
        """Returns where the images lie, as far as the folders directly below ``path`` say."""
        for pair in self.pairs:
            training = find_dir(path, pair.training)
            if training is not None:
                return _Places(training, find_dir(path, pair.validation) or find_split_dir(path, "val"))
        return _Places(find_split_dir(path, "train") or path, find_split_dir(path, "val"))

    def _check_folder(self, path: Path) -> str:
        """Returns what ``check_training_folder`` has to say; "" for a data set with folders of its own, whatever its name."""
        if not path.is_dir() or self._find(path).training != path:
            return ""
        return check_training_folder(path, [pair.training for pair in self.pairs])

    def _find_validation(self, path: Path) -> Path | None:
        """Returns the folder of validation images: the one directly below ``path``, else the only one at any depth."""
        validation = self._find(path).validation
        if validation is not None:
            return validation
        _, held_out = list_images_except(path, is_held_out)
        folders = {folder.resolve(): folder for folder in reversed(held_out) if folder.is_dir()}
        return next(iter(folders.values())) if len(folders) == 1 else None

    def _describe_rest(self, path: Path, training: Path, held_out: list[Path]) -> str:
        """Returns what in the data folder is held out, and what else is not used; "" if all is used."""
        validation = self._find_validation(path)
        held_out = sorted({*held_out, *([validation] if validation else [])})
        parts = [f"held out: {_first([_relative(path, folder) for folder in held_out])}"] if held_out else []
        if training != path:
            used = {training.relative_to(path).parts[0], *(folder.relative_to(path).parts[0] for folder in held_out)}
            others = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(".") and entry.name not in used)
            if others:
                parts.append(f"not used: {_first(others)}")
        return "; ".join(parts)


def _relative(path: Path, folder: Path) -> str:
    """Returns a path relative to the data folder, with a slash at the end of a folder."""
    return folder.relative_to(path).as_posix() + ("/" if folder.is_dir() else "")


def _first(names: list[str]) -> str:
    """Returns the first few names, and how many more there are."""
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
