"""IDX files, the layout of MNIST (LeCun et al. 1998): big-endian sizes and then the bytes, plain or gzipped.

The header is two zero bytes, a type byte (8: unsigned bytes, the only one supported here), the number of dimensions, and
each dimension as a 32-bit integer.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.archives import gunzip
from pipelines.errors import UserError
from pipelines.labeled import LabeledImages

Part = Literal["train", "test"]
Kind = Literal["images", "labels"]

PREFIXES: dict[Part, str] = {"train": "train", "test": "t10k"}
_KINDS: tuple[Kind, ...] = ("images", "labels")
_HINT = "Download the file again"


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """Returns the uint8 array of one IDX file, plain or gzipped (detected by its content).

    Args:
        path: the file.
        dimensions: the number it must have: 3 for images, 1 for labels.

    Raises:
        UserError: it cannot be read, is no IDX file of bytes, or is truncated or too long.
    """
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gunzip(data)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error})", _HINT) from error
    if len(data) < 4 or data[:2] != b"\0\0":
        raise UserError(f"{path} is not an IDX file: it does not start with two zero bytes", _HINT)
    if data[2] != 8 or data[3] != dimensions:
        problem = (
            f"{path} holds type {data[2]:#04x} in {data[3]} dimension(s); unsigned bytes (0x08) in {dimensions} are needed"
        )
        raise UserError(problem, "Give another file")
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise UserError(f"{path} has only {len(data)} bytes, but the header of an IDX file takes {start}", _HINT)
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    if len(data) - start != math.prod(shape):
        needed = start + math.prod(shape)
        raise UserError(f"{path} has {len(data):,} bytes, but its header asks for {needed:,}", _HINT)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def find_file(folder: str | Path, part: Part, kind: Kind) -> Path | None:
    """Returns the file of a part in any of the spellings that are in use, or None if there is none."""
    dimensions = 3 if kind == "images" else 1
    for separator in "-.":
        for suffix in ("", ".gz"):
            path = Path(folder) / f"{PREFIXES[part]}-{kind}{separator}idx{dimensions}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def has_part(folder: str | Path, part: Part) -> bool:
    """Returns whether both files of a part, images and labels, lie in a folder."""
    return all(find_file(folder, part, kind) for kind in _KINDS)


def has_any_file(folder: str | Path) -> bool:
    """Returns whether at least one of the four files lies in a folder."""
    return any(find_file(folder, part, kind) for part in PREFIXES for kind in _KINDS)


def read_digits(folder: str | Path, part: Part, channels: int = 3, size: int | None = None) -> LabeledImages:
    """Reads the images and labels of one part, with the gray values repeated in each channel.

    Args:
        folder: where the four files lie.
        part: ``train`` or ``test``.
        channels: of the result.
        size: height and width that the images must have in pixels; None takes any.

    Raises:
        UserError: a file is missing or damaged, there are no images, or as many labels, or a label is not in 0 to 9, or the
            images have another size.
    """
    images_file, labels_file = find_file(folder, part, "images"), find_file(folder, part, "labels")
    if images_file is None or labels_file is None:
        missing = f"{PREFIXES[part]}-{'images-idx3' if images_file is None else 'labels-idx1'}-ubyte"
        raise UserError(f"{folder} lacks {missing}", "Put MNIST's four IDX files there, plain or as .gz")
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
    height, width = images.shape[1:]
    if not images.size:
        raise UserError(f"{images_file} has {len(images):,} images of {width}x{height} pixels", _HINT)
    if size is not None and (height, width) != (size, size):
        problem = f"{images_file} has images of {width}x{height} pixels, but {size}x{size} are needed, as MNIST has them"
        raise UserError(problem, "Name another folder")
    if len(images) != len(labels):
        problem = f"{folder} has {len(images):,} {part} images and {len(labels):,} labels; there must be as many of each"
        raise UserError(problem, "Download the files again")
    if labels.max() > 9:
        raise UserError(f"{labels_file} has label {labels.max()}; labels must be in 0 to 9", _HINT)
    name = Path(folder).resolve().name or "idx"
    return LabeledImages(np.repeat(images[..., None], channels, axis=-1), labels, name, part)
