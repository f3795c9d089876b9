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

TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("val", "valid", "validation", "test", "testing")
"""What folders are called in every data set, in any case. Images in a folder of the second kind are never trained on."""

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

    Training images are those of the first pair whose training folder exists, else those of ``TRAINING_NAMES``, else all
    images below the data folder. Whichever it is, folders with the name of a validation folder are held out at any depth,
    and the data folder must not be one itself.

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
            self._refuse_held_out(path)
            folder, validation = self._find(path).training, self._find(path).validation
            files, held_out = list_images_except(folder, self._validation_names(), [validation] if validation else [])
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
            source.note = self._describe_rest(path, folder, held_out)
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
        own_names = [pair.validation for pair in self.pairs]
        for pair in self.pairs:
            training = find_dir(path, pair.training)
            if training is not None:
                return _Places(training, _first_dir(path, (pair.validation, *VALIDATION_NAMES)))
        validation = _first_dir(path, (*VALIDATION_NAMES, *own_names))
        return _Places(_first_dir(path, TRAINING_NAMES) or path, validation)

    def _refuse_held_out(self, path: Path) -> None:
        """Raises a UserError if the data folder itself is a folder of validation images beside its training images."""
        if not path.is_dir() or self._find(path).training != path:
            return  # a data set with folders of its own, whatever it is called
        for place in (path.absolute(), path.resolve()):
            training = _first_dir(place.parent, (*(pair.training for pair in self.pairs), *TRAINING_NAMES))
            if place.name.lower() in self._validation_names() and training is not None:
                problem = f"{path} holds validation images, which are held out from training on {training}"
                raise UserError(problem, f"Name the folder of both, {place.parent}, by --data, or move the images elsewhere")

    def _find_validation(self, path: Path) -> Path | None:
        """Returns the folder of validation images: the one directly below ``path``, else the only one at any depth."""
        validation = self._find(path).validation
        if validation is not None:
            return validation
        _, held_out = list_images_except(path, self._validation_names())
        folders = {folder.resolve(): folder for folder in reversed(held_out) if folder.is_dir()}
        return next(iter(folders.values())) if len(folders) == 1 else None

    def _validation_names(self) -> set[str]:
        """The names, in lower case, of folders whose images are never trained on."""
        return {*VALIDATION_NAMES, *(Path(pair.validation).name.lower() for pair in self.pairs)}

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


def _first_dir(path: Path, names: tuple[str, ...]) -> Path | None:
    """Returns the first of several folders that exists below ``path``."""
    return next((found for name in names if (found := find_dir(path, name)) is not None), None)


def find_dir(path: Path, name: str) -> Path | None:
    """Returns the folder ``name`` (perhaps several names, "a/b") below ``path``, whatever its case; None without one."""
    for part in Path(name).parts:
        if (path / part).is_dir():
            path = path / part
            continue
        try:
            entries = sorted(path.iterdir())
        except OSError:  # is reported when images are listed
            return None
        same = [entry for entry in entries if entry.name.lower() == part.lower() and entry.is_dir()]
        if not same:
            return None
        path = same[0]
    return path
