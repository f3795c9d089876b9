"""Folders of images in which each class has a folder of its own, perhaps below ``train`` and ``val``.

Free of TensorFlow until images are read.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.formats.image_dirs import TRAINING_NAMES, VALIDATION_NAMES
from pipelines.source import Split

if TYPE_CHECKING:
    from pipelines.image_array import ImageArray
    from pipelines.labeled import LabeledImages


def find_split(folder: Path, split: Split) -> Path | None:
    """Returns where the class folders of a split lie: in ``train`` or ``val``, by any usual name, else in the folder itself.

    Validation images are only found in a folder with such a name; None without one.
    """
    names = TRAINING_NAMES if split == "train" else VALIDATION_NAMES
    found = next((path for name in names for path in _folders(folder) if path.name.lower() == name), None)
    return folder if found is None and split == "train" else found


def class_names(folder: Path) -> tuple[str, ...]:
    """Returns the names of the class folders of the training images, sorted.

    Raises:
        UserError: there are fewer than two.
    """
    training = find_split(folder, "train")
    assert training is not None
    names = tuple(path.name for path in _folders(training) if path.name.lower() not in VALIDATION_NAMES)
    if len(names) < 2:
        problem = f"{training} has {len(names)} folders of classes, but two or more are needed"
        raise UserError(problem, "Put the images of each class into a folder with its name")
    return names


def read_labeled(folder: Path, split: Split, classes: tuple[str, ...], shape: tuple[int, int, int]) -> "LabeledImages":
    """Reads the images of class folders, with the numbers of their classes; other folders are not read.

    Raises:
        UserError: the folder of a class is missing or has no images, or none is readable.
    """
    import numpy as np

    from pipelines.image_folder import ImageFolder
    from pipelines.image_listing import list_images
    from pipelines.labeled import LabeledImages

    place = find_split(folder, split)
    if place is None:
        raise UserError(f"{folder} has no folder of validation images", f"Put class folders into {folder / 'val'}")
    files = [path for name in classes for path in list_images(place / name)]
    size, _, channels = shape
    images = ImageFolder(place, size, channels, len(files) * size * size * channels, files=files)
    labels = np.array([classes.index(path.relative_to(place).parts[0]) for path in images.paths])
    pixels = images.take(np.arange(len(images))).numpy()
    return LabeledImages(pixels, labels, folder.resolve().name or "folder", split, images.remarks)


def read_unlabeled(folder: Path, shape: tuple[int, int, int]) -> "ImageArray":
    """Reads the training images below a folder, at any depth, in an order that names and folders do not decide.

    Images in a folder with the name of validation images are left out, as everywhere.

    Raises:
        UserError: there are no images, or none is readable.
    """
    import numpy as np

    from pipelines.image_array import ImageArray, sort_by_content
    from pipelines.image_folder import ImageFolder
    from pipelines.image_listing import list_images_except

    files, _ = list_images_except(folder, VALIDATION_NAMES)
    size, _, channels = shape
    images = ImageFolder(folder, size, channels, len(files) * size * size * channels, files=files)
    pixels = images.take(np.arange(len(images))).numpy()
    return ImageArray(sort_by_content(pixels), images.name, "train", images.remarks)


def _folders(folder: Path) -> list[Path]:
    """Returns the folders directly in a folder, sorted by name.

    Raises:
        UserError: it is no folder, or cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read ({error.strerror})", "Give a folder in which each class has a folder"
        ) from error
