"""Folders of images in which each class has a folder of its own, perhaps below ``train`` and ``val``.

Free of TensorFlow until images are read.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError, counted
from pipelines.source import Split
from pipelines.split_names import check_training_folder, find_split_dir, is_held_out

if TYPE_CHECKING:
    from pipelines.image_array import ImageArray
    from pipelines.labeled import LabeledImages


MAX_CLASSES = 256  # labels are held in one byte


def find_split(folder: Path, split: Split) -> Path | None:
    """Returns where the class folders of a split lie: in ``train`` or ``val``, by any usual name, else in the folder itself.

    Validation images are only found in a folder with such a name; None without one.
    """
    _folders(folder)  # raises if it cannot be read
    found = find_split_dir(folder, split)
    return folder if found is None and split == "train" else found


def class_names(folder: Path) -> tuple[str, ...]:
    """Returns the names of the class folders of the training images, sorted.

    Raises:
        UserError: there are fewer than two, or more than ``MAX_CLASSES``.
    """
    training = find_split(folder, "train")
    assert training is not None
    names = tuple(path.name for path in _folders(training) if not is_held_out(path.name))
    if len(names) < 2:
        problem = f"{training} has {counted(len(names), 'class folder')}, but two or more are needed"
        raise UserError(problem, "Put the images of each class into a folder with its name")
    if len(names) > MAX_CLASSES:
        problem = f"{training} has {counted(len(names), 'class folder')}, but at most {MAX_CLASSES} are possible"
        raise UserError(problem, "Leave some classes out, or join several into one")
    return names


def read_labeled(folder: Path, split: Split, classes: tuple[str, ...], shape: tuple[int, int, int]) -> "LabeledImages":
    """Reads the images of class folders, with the numbers of their classes; other folders are not read.

    Raises:
        UserError: the folder of a class is missing or has no images, or none is readable.
    """
    import numpy as np

    from pipelines.image_folder import ImageFolder
    from pipelines.image_listing import list_images_except
    from pipelines.labeled import LabeledImages

    place = find_split(folder, split)
    if place is None:
        raise UserError(f"{folder} has no folder of validation images", f"Put class folders into {folder / 'val'}")
    note = check_training_folder(place) if split == "train" else ""
    skipped = is_held_out if split == "train" else None
    files = [path for name in classes for path in list_images_except(place / name, skipped)[0]]
    size, _, channels = shape
    images = ImageFolder(place, size, channels, len(files) * size * size * channels, files=files)
    labels = np.array([classes.index(path.relative_to(place).parts[0]) for path in images.paths])
    pixels = images.take(np.arange(len(images))).numpy()
    note = "; ".join(filter(None, [images.remarks, note]))
    return LabeledImages(pixels, labels, folder.resolve().name or "folder", split, note)


def read_unlabeled(folder: Path, shape: tuple[int, int, int]) -> "ImageArray":
    """Reads the training images below a folder, at any depth, in an order that names and folders do not decide.

    They are those in ``train``, by any usual name, else all but those in folders with the name of validation images.

    Raises:
        UserError: there are no images, or none is readable.
    """
    import numpy as np

    from pipelines.image_array import ImageArray, sort_by_content
    from pipelines.image_folder import ImageFolder, safe_name
    from pipelines.image_listing import list_images_except

    place = find_split_dir(folder, "train") or folder
    files, _ = list_images_except(place, is_held_out)
    note = check_training_folder(place)
    size, _, channels = shape
    images = ImageFolder(place, size, channels, len(files) * size * size * channels, files=files)
    pixels = images.take(np.arange(len(images))).numpy()
    note = "; ".join(filter(None, [images.remarks, note]))
    return ImageArray(sort_by_content(pixels), safe_name(folder), "train", note)


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
