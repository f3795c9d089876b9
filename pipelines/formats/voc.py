"""Images with Pascal VOC annotations (Everingham et al. 2010), as Stanford Dogs has them: a sample for each box.

Below the data folder lie ``images/`` and ``annotations/`` (in any case, or ``Annotation/``); annotations are XML files with or
without their ending, in the same folders as the images or in one folder. Where the images are split by folders such as
``images/train`` and ``images/val``, or the data folder has ``train`` and ``val`` that each hold both, those for validation
are held out. Free of TensorFlow until images are read.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pipelines.errors import UserError, counted
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.formats.tfds import ALL, TfdsData, TfdsSample, TfdsSplits
from pipelines.image_listing import SUFFIXES, list_images_except
from pipelines.source import DataSpec, Source, Split
from pipelines.split_names import check_training_folder, find_split_dir, is_held_out

if TYPE_CHECKING:
    from pipelines.boxed_images import Box

IMAGE_DIRS, ANNOTATION_DIRS = ("images", "jpegimages"), ("annotations", "annotation")
_MAX_BYTES = 1 << 20  # of an annotation: real ones have about 1 KB
_MAX_NAMED = 5  # faulty annotations that a message names


@dataclass(frozen=True)
class VocData(DataSpec):
    """Boxes of images as squares; whole images where there are no annotations at all.

    Without validation images, scores compare with all training images.

    Attributes:
        folders: how images without annotations are read.
        annotations: the folder of the annotations; None finds it below the data folder.
    """

    folders: ImageFolderData
    annotations: Path | None = None

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return f"images/ and annotations/ (Pascal VOC), or {self.folders.layout}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the boxed images; see ``DataSpec.open``. Both splits are the same images if none are for validation."""
        from pipelines.boxed_images import BoxedImages

        if split == "val" and not self._has_own_validation(path):
            split = "train"
        places = self._find(path, split)
        if places is None:
            return self.folders.open(path, split, memory_budget)
        images, annotations = places
        if split == "train":
            files, notes = _training_images(path, images)
        else:
            files, notes = _list(_find_validation(images))[0], []
        found = match_boxes(annotations, images, files, [*_list(images)[0], *_images_beside(path)])
        source = BoxedImages(images, self.folders.image_shape[0], found.files, found.boxes, memory_budget)
        source.name, source.split, source.note = path.resolve().name, split, "; ".join([found.note, *notes])
        return {"real": source}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic images; see ``DataSpec.open_synthetic``."""
        return self.folders.open_synthetic()

    def at_size(self, image_size: int) -> "VocData":
        """Returns the same boxes at another size; see ``DataSpec.at_size``."""
        return replace(self, folders=self.folders.at_size(image_size))

    def has_validation(self, path: Path) -> bool:
        """Returns True: where there are no validation images, scores compare with the training images."""
        return True

    @property
    def tfds(self) -> TfdsData:
        """Stanford Dogs, or other images with boxes, of tensorflow-datasets; see ``DataSpec.tfds``.

        All splits are the training images and the reference, as where the same data set lies in folders (NCTU 2021): its
        split into training and test images was made for classifiers of breeds.
        """
        return TfdsData("stanford_dogs", TfdsSample(self.folders.image_shape[0], boxes=True), {"real": TfdsSplits(ALL, (ALL,))})

    def _has_own_validation(self, path: Path) -> bool:
        if self._find(path, "train") is None:
            return self.folders.has_validation(path)
        images = find_dir(path, IMAGE_DIRS) or path
        return find_split_dir(path, "val") is not None or _find_validation(images) != images

    def _find(self, path: Path, split: Split) -> tuple[Path, Path] | None:
        """Returns the folder in which a split's images lie, and that of annotations; None if they have no annotations."""
        annotations = self.annotations or find_dir(path, ANNOTATION_DIRS)
        part = find_split_dir(path, split)
        own = find_dir(part, ANNOTATION_DIRS) if part else None
        if part is not None and own is not None:
            return find_dir(part, IMAGE_DIRS) or part, own
        if annotations is None:
            return None
        if part is not None and split == "val":
            return part, annotations
        return find_dir(path, IMAGE_DIRS) or path, annotations


@dataclass(frozen=True)
class BoxedFiles:
    """A file and a box for each sample, and what was noticed, in words."""

    files: list[Path]
    boxes: "list[Box]"
    note: str


def find_dir(path: Path, names: tuple[str, ...]) -> Path | None:
    """Returns the folder below ``path`` that has one of the names, in any case; None without one."""
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})", "Give the folder with images/ and annotations/") from error
    return next((entry for name in names for entry in entries if entry.name.lower() == name and entry.is_dir()), None)


def _list(
    folder: Path, is_skipped: Callable[[str], bool] = lambda name: False, held_out: list[Path] | None = None
) -> tuple[list[Path], list[Path]]:
    """Returns ``list_images_except`` of a folder without that of annotations, which may lie in it."""
    images, skipped = list_images_except(
        folder, lambda name: is_skipped(name) or name.lower() in ANNOTATION_DIRS, held_out or []
    )
    return images, [path for path in skipped if path.name.lower() not in ANNOTATION_DIRS]


def _training_images(path: Path, images: Path) -> tuple[list[Path], list[str]]:
    """Returns the images below the folder ``images`` to train on, and what is held out, in words; ``path`` is the data's."""
    training = find_split_dir(images, "train") or images
    note = check_training_folder(images) if images in (path, find_dir(path, IMAGE_DIRS)) and training == images else ""
    _, held_out = _list(images, is_held_out)
    files, _ = _list(training, is_held_out, held_out)
    names = ", ".join(f"{folder.relative_to(path).as_posix()}/" for folder in held_out)
    return files, [text for text in (f"held out: {names}" if names else "", note) if text]


def _find_validation(images: Path) -> Path:
    """Returns the folder of validation images: that directly in ``images``, else the only one at any depth, else ``images``."""
    validation = find_split_dir(images, "val")
    if validation is not None:
        return validation
    held_out = [folder for folder in _list(images, is_held_out)[1] if folder.is_dir()]
    return held_out[0] if len(held_out) == 1 else images


def _images_beside(path: Path) -> list[Path]:
    """Returns the images in a folder for validation directly in the data folder; none if it has none."""
    folder = find_split_dir(path, "val")
    if folder is None or all(file.suffix.lower() not in SUFFIXES for file in folder.rglob("*")):
        return []
    return _list(folder)[0]


def match_boxes(annotations: Path, images: Path, wanted: list[Path], known: list[Path]) -> BoxedFiles:
    """Returns the boxes of all annotations whose image is there; faulty ones are counted and named.

    Args:
        annotations: folder of the annotations, searched at any depth.
        images: folder of the images.
        wanted: those of the images that are to be used.
        known: more images, whose annotations are passed over.

    Raises:
        UserError: there is no annotation, or none is usable.
    """
    wanted_files = set(wanted)
    by_place, by_name = _index_images(images, dict.fromkeys([*wanted, *known]))
    files, boxes, faults, used = [], [], [], set()
    for annotation in _list_annotations(annotations):
        place = annotation.relative_to(annotations)
        place = place.with_suffix("") if place.suffix.lower() == ".xml" else place
        image = by_place.get(place.as_posix()) or by_name.get(place.name)
        try:
            if image is None:
                raise ValueError("its image is missing")
            if image not in wanted_files:
                continue
            for box in read_boxes(annotation):
                files.append(image)
                boxes.append(box)
            used.add(image)
        except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:  # LookupError: an unknown encoding
            faults.append(f"{place.as_posix()} ({' '.join(str(error).split())})")
    if not boxes:
        first = f": {_first(faults)}" if faults else " (it is empty)"
        raise UserError(f"No annotation in {annotations} is usable{first}", "Put Pascal VOC files there, or remove the folder")
    notes = [f"{counted(len(used), 'image')} with boxes"]
    without = len(wanted) - len(used)
    if without:
        notes.append(f"without a box and not used: {counted(without, 'image')}")
    if faults:
        notes.append(f"{counted(len(faults), 'faulty annotation')} left out: {_first(faults)}")
    return BoxedFiles(files, boxes, "; ".join(notes))


def _index_images(images: Path, files: Iterable[Path]) -> tuple[dict[str, Path], dict[str, Path | None]]:
    """Returns files by their path below ``images`` without ending, and by their name: None for one that occurs twice."""
    by_place, by_name = {}, {}
    for file in files:
        if file.is_relative_to(images):
            by_place[file.relative_to(images).with_suffix("").as_posix()] = file
        by_name[file.stem] = None if file.stem in by_name else file
    return by_place, by_name


def read_boxes(path: Path) -> "list[Box]":
    """Returns the boxes of an annotation, clipped to the image.

    Raises:
        OSError: it cannot be read.
        ValueError: it declares entities, is far too long, or has no box that lies in the image.
        ElementTree.ParseError: it is no XML.
    """
    from pipelines.boxed_images import Box

    data = path.read_bytes()
    if len(data) > _MAX_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("it is too long, or declares entities")  # with which a short file can take any amount of memory
    root = ElementTree.fromstring(data)
    width, height = (_number(root, f"size/{name}") for name in ("width", "height"))
    if width < 1 or height < 1:
        raise ValueError("its image has no size")
    boxes = []
    for element in root.iterfind("object/bndbox"):
        left, top, right, bottom = (_number(element, name) for name in ("xmin", "ymin", "xmax", "ymax"))
        left, right = max(left, 0.0), min(right, width)
        top, bottom = max(top, 0.0), min(bottom, height)
        if left < right and top < bottom:
            boxes.append(Box(left, top, right, bottom, int(width), int(height)))
    if not boxes:
        raise ValueError("it has no box in the image")
    return boxes


def _number(element: ElementTree.Element, name: str) -> float:
    text = element.findtext(name)
    if text is None:
        raise ValueError(f"it has no {name}")
    value = float(text)
    if not abs(value) < 1e6:  # NaN too
        raise ValueError(f"its {name} is {text.strip()}")
    return value


def _list_annotations(folder: Path) -> Iterator[Path]:
    """Yields the files below a folder that may be annotations, sorted: those with .xml or without an ending."""
    for directory, subfolders, names in os.walk(folder, onerror=_refuse):
        subfolders.sort()
        for name in sorted(names):
            path = Path(directory, name)
            if not name.startswith(".") and path.suffix.lower() in ("", ".xml") and (path.is_file() or not path.exists()):
                yield path  # a link that leads nowhere is a fault, and opening a pipe would wait


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror})", "Change its permissions, or remove the folder")


def _first(faults: list[str]) -> str:
    more = len(faults) - _MAX_NAMED
    return "; ".join(faults[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
