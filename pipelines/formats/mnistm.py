"""MNIST-M (Ganin et al. 2016) in the layout of DLCV 2022, HW2, or any folder of images without labels; and how to build it.

    python -m pipelines.formats.mnistm MNIST_DIR PHOTOS_DIR OUT

blends MNIST's digits with patches of photographs. Free of TensorFlow and NumPy until images are read.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipelines.errors import UserError
from pipelines.formats.digits import MNIST_DIRS, MNISTM_DIRS, describe_places, find_labeled_folder, find_mnist
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.image_listing import list_images
from pipelines.numbers import whole_numbers
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    import numpy as np

    from pipelines.formats import idx
    from pipelines.labeled import LabeledImages

SIZE = 28
_MAX_BYTES = 4_000_000_000  # of decoded photographs, which are held in memory
_TABLES: "dict[idx.Part, str]" = {"train": "train.csv", "test": "val.csv"}
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


def build_mnistm(mnist_dir: Path, photos_dir: Path, out: Path, seed: int = 0) -> str:
    """Writes MNIST-M as ``train.csv``, ``val.csv`` and ``data/*.png``, the same bytes for the same files and seed.

    Each digit gets a random patch of a random photograph; the image is |patch - digit| in each channel (Ganin et al. 2016,
    section 5.1). MNIST's test images become the validation images.

    Args:
        mnist_dir: holds MNIST's four IDX files, in one of the places where they may lie.
        photos_dir: photographs at any depth, such as BSDS500's; smaller ones than a digit are left out.
        out: a folder that does not exist yet; it appears when all is written.
        seed: of the choice of the patches, at least 0.

    Returns:
        One line that says what was written.

    Raises:
        UserError: there are no digits or photographs, ``out`` exists, or a file cannot be written.
    """
    if os.path.lexists(out):
        raise UserError(f"{out} exists already", "Name another folder, or remove it")
    digits = [read_mnist(mnist_dir, part) for part in _TABLES]
    photos, left_out = _read_photos(photos_dir)
    partial = out.with_name(f".mnistm-{os.urandom(8).hex()}.tmp")  # which is nobody else's
    try:
        (partial / "data").mkdir(parents=True)
        number = 0
        for part, table in zip(digits, _TABLES.values(), strict=True):
            _write_part(partial, table, part, _blend(part.images, photos, (seed, number)), number)
            number += len(part)
        partial.rename(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror})", "Name another folder, or free some space") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return f"{out}: {number:,} images, from patches of {len(photos):,} photographs{left_out}"


def read_mnist(folder: Path, part: "idx.Part") -> "LabeledImages":
    """Reads a part of MNIST, wherever its files may lie below ``folder``; raises a ``UserError`` as ``build_mnistm``."""
    from pipelines.formats import idx

    place = find_mnist(folder, part)
    if place is None:
        raise UserError(f"No MNIST was found in {folder}", f"Put its four IDX files {describe_places(MNIST_DIRS)}")
    return idx.read_digits(place, part, size=SIZE)


def _read_photos(folder: Path) -> "tuple[list[np.ndarray], str]":
    """Returns the photographs of a folder in the order of their paths, and which were left out, in words."""
    from pipelines.decode import UnreadableImage, decode

    photos, unusable, num_bytes = [], [], 0
    for path in list_images(folder):
        try:
            photo = decode(path)
        except UnreadableImage as error:
            unusable.append(f"{path.name} ({error.reason})")
            continue
        if min(photo.shape[:2]) < SIZE:
            unusable.append(f"{path.name} (smaller than {SIZE}x{SIZE} pixels)")
            continue
        photos.append(photo)
        num_bytes += photo.nbytes
        if num_bytes > _MAX_BYTES:
            problem = f"The photographs in {folder} take more than {_MAX_BYTES / 1e9:g} GB as pixels"
            raise UserError(problem, "Name a folder of fewer or smaller ones, such as the training images of BSDS500")
    if not photos:
        problem = f"No photographs of {SIZE}x{SIZE} pixels or more were found in {folder}"
        raise UserError(problem, "Name a folder of photographs, such as the training images of BSDS500")
    return photos, f"; left out: {len(unusable):,}, such as {unusable[0]}" if unusable else ""


def _blend(digits: "np.ndarray", photos: "list[np.ndarray]", key: tuple[int, int]) -> "np.ndarray":
    """Returns |patch - digit| for digits uint8 [n, 28, 28, 3], each with a patch of its own."""
    import numpy as np

    random = np.random.default_rng(key)
    blended = np.empty_like(digits)
    for index, digit in enumerate(digits):
        photo = photos[random.integers(len(photos))]
        top, left = (random.integers(length - SIZE + 1) for length in photo.shape[:2])
        patch = photo[top : top + SIZE, left : left + SIZE]
        blended[index] = np.abs(patch.astype(np.int16) - digit)
    return blended


def _write_part(folder: Path, table: str, digits: "LabeledImages", images: "np.ndarray", first: int) -> None:
    """Writes the images of a part, numbered from ``first``, and their table."""
    from PIL import Image

    names = [f"{first + index:05d}.png" for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / "data" / name)
    rows = [f"{name},{label}" for name, label in zip(names, digits.labels, strict=True)]
    (folder / table).write_text("\n".join(["image_name,label", *rows]) + "\n", encoding="utf-8")


class _Parser(argparse.ArgumentParser):
    """A parser that raises a UserError for wrong usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message[:1].upper() + message[1:], f"See {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Builds MNIST-M as the arguments say; returns the exit code, which no closed or full standard stream decides."""
    try:
        line = _build(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename} cannot be opened ({error.strerror}). Name another path.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    _say(line)
    return 0


def _say(line: str) -> None:
    """Prints a line, with escapes for what the encoding of standard output has no character for, if it can be printed."""
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError:  # whoever reads it has ended, or the disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise it fails again at the end


def _build(argv: Sequence[str] | None) -> str:
    parser = _Parser("python -m pipelines.formats.mnistm", description="Builds MNIST-M from MNIST and photographs.")
    parser.add_argument("mnist_dir", type=Path, metavar="MNIST_DIR", help="folder with MNIST's four IDX files")
    parser.add_argument("photos_dir", type=Path, metavar="PHOTOS_DIR", help="folder of photographs, at any depth")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, which must not exist yet")
    parser.add_argument(
        "--seed", type=whole_numbers(0), default=0, metavar="N", help="seed of the choice of the patches (default: 0)"
    )
    args = parser.parse_args(argv)
    return build_mnistm(args.mnist_dir, args.photos_dir, args.out, args.seed)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's log looks like errors
    sys.exit(main())
