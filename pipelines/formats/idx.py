"""IDX files, the layout of MNIST (LeCun et al. 1998): big-endian sizes and then the bytes, plain or gzipped.

The header is two zero bytes, a type byte (8: unsigned bytes, the only one read here), the number of dimensions, and each
dimension as a 32-bit integer.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from pipelines.errors import InputError
from pipelines.labelled import Labelled

PREFIXES = {"train": "train", "test": "t10k"}
_MEND = "fetch the file anew"


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """The uint8 array of one IDX file, plain or gzipped (told by its content).

    Args:
        path: the file.
        dimensions: how many it must have: 3 for images, 1 for labels.

    Raises:
        InputError: it can't be read, is no IDX file of bytes, or is cut off or too long.
    """
    expected = f"an IDX file of unsigned bytes with {dimensions} dimension(s)"
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} can't be read ({error})", expected, _MEND) from error
    if len(data) < 4 or data[:2] != b"\0\0":
        raise InputError(f"{path} doesn't begin as an IDX file", expected, _MEND)
    if data[2] != 8 or data[3] != dimensions:
        raise InputError(f"{path} holds type {data[2]:#04x} in {data[3]} dimension(s)", expected, "name another file")
    start = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", data, 4) if len(data) >= start else ()
    if not shape or len(data) - start != math.prod(shape):
        given = f"{path} has {len(data):,} bytes"
        raise InputError(given, f"{start + math.prod(shape):,} by its header" if shape else expected, _MEND)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def find(folder: str | Path, part: str, kind: str) -> Path | None:
    """The file of a part in any of the spellings that are about, or None.

    Args:
        folder: where the four files lie.
        part: ``train`` or ``test``.
        kind: ``images`` or ``labels``.
    """
    dimensions = 3 if kind == "images" else 1
    stems = [f"{PREFIXES[part]}-{kind}{sign}idx{dimensions}-ubyte" for sign in "-."]
    return next((p for stem in stems for end in ("", ".gz") if (p := Path(folder) / f"{stem}{end}").is_file()), None)


def read_digits(folder: str | Path, part: str, channels: int = 3) -> Labelled:
    """The images and labels of one part, grey repeated in each channel.

    Args:
        folder: where the four files lie.
        part: ``train`` or ``test``.
        channels: of the result.

    Raises:
        InputError: a file is missing or damaged, numbers differ, or a label is beyond 0..9.
    """
    files = [find(folder, part, kind) for kind in ("images", "labels")]
    if None in files:
        missing = f"{PREFIXES[part]}-{'images-idx3' if files[0] is None else 'labels-idx1'}-ubyte"
        raise InputError(f"{folder} lacks {missing}", "MNIST's four IDX files, plain or .gz", "put it there")
    images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
    if len(images) != len(labels) or not len(images):
        raise InputError(f"{folder} has {len(images):,} {part} images and {len(labels):,} labels", "as many of each", _MEND)
    if labels.max() > 9:
        raise InputError(f"{files[1]} has label {labels.max()}", "labels in 0..9", _MEND)
    name = Path(folder).resolve().name or "idx"
    return Labelled(np.repeat(images[..., None], channels, axis=-1), labels, name)
