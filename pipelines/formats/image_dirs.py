"""Directories of images without labels, where a data set may keep its training and validation images apart.

Free of TensorFlow until images are read.
"""

import pkgutil
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError
from pipelines.source import DataSpec, Source, Split


@dataclass(frozen=True)
class ImageFolderData(DataSpec):
    """Images below a directory, at any depth.

    Attributes:
        image_shape: height, width and channels that images are fitted to; height and width are equal.
        training_dirs: where training images may lie below the data directory, so that validation images beside them are
            never trained on. The first that exists is used, otherwise the data directory itself.
        reference_dirs: where validation images may lie below the data directory; the first that exists is used.
        synthetic: dotted path of the function that returns a source of synthetic images ("module:function").
    """

    image_shape: tuple[int, int, int]
    training_dirs: tuple[str, ...]
    reference_dirs: tuple[str, ...]
    synthetic: str

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the images of a split; see ``DataSpec.open``. The source is named by its path below ``path``."""
        from pipelines.image_folder import ImageFolder

        folder = self.training_dir(path) if split == "train" else self.reference_dir(path)
        if folder is None:
            hint = f"Put them into {path / self.reference_dirs[0]}" if self.reference_dirs else "Use training images"
            raise UserError(f"{path} has no folder of validation images ({', '.join(self.reference_dirs)})", hint)
        size, _, channels = self.image_shape
        source = ImageFolder(folder, size, channels, memory_budget)
        source.name = Path(path.resolve().name, *folder.relative_to(path).parts).as_posix()
        source.split = split
        if folder != path:
            source.note = f"nothing else in {path} is used"
        return {"real": source}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic images; see ``DataSpec.open_synthetic``."""
        return {"real": pkgutil.resolve_name(self.synthetic)()}

    def training_dir(self, path: Path) -> Path:
        """Returns the first of ``training_dirs`` that exists below ``path``, otherwise ``path``."""
        return _first_dir(path, self.training_dirs) or path

    def reference_dir(self, path: Path) -> Path | None:
        """Returns the first of ``reference_dirs`` that exists below ``path``, otherwise None."""
        return _first_dir(path, self.reference_dirs)


def _first_dir(path: Path, names: tuple[str, ...]) -> Path | None:
    for name in names:
        if (path / name).is_dir():
            return path / name
    return None
