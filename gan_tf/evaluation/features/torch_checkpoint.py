"""Tensors out of PyTorch's files without PyTorch, and without executing anything in them.

Reads TorchScript archives, ``torch.save`` checkpoints (the zip layout since 1.6) and the older layout of one pickle with
raw storages after it. A pickle can name any function to call; this unpickler knows tensors and their containers, and
refuses every other name.
"""

import collections
import io
import math
import os
import pickle
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipelines.errors import UserError

# Strings, because a pickle can change the state of an object that it names, but not that of a string.
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MALFORMED = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, EOFError, struct.error, KeyError, ValueError, TypeError),
    *(AttributeError, IndexError, OverflowError, RecursionError, NotImplementedError, UnicodeError, MemoryError),
)


@dataclass
class _Storage:
    dtype: np.dtype
    count: int
    values: np.ndarray | None = None


@dataclass
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        inside = all(isinstance(n, int) and n >= 0 for n in (self.offset, *self.shape, *self.strides))
        if not inside or len(self.shape) != len(self.strides) or self.storage.values is None:
            raise ValueError("malformed tensor")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if math.prod(self.shape) > self.storage.count or (math.prod(self.shape) > 0 and last >= self.storage.count):
            raise ValueError("a tensor reaches beyond its storage")
        values, size = self.storage.values, self.storage.dtype.itemsize
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, [s * size for s in self.strides])
        return np.array(view)


@dataclass
class _Module:
    """Stands in for a TorchScript class: keeps the attributes, knows no methods."""

    attributes: dict[str, Any] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = dict(state)


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_ignored: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _Tensor, *_ignored: object) -> _Tensor:
    return tensor


def _build_list(values: list) -> list:
    return list(values)


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch.jit._pickle", f"build_{kind}list"): _build_list for kind in ("int", "double", "bool", "tensor")},
    **{("torch", name): dtype for name, dtype in _STORAGES.items()},
}


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, source: str):
        super().__init__(file, encoding="utf-8")
        self.source = source
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        problem = f"'{self.source}' would execute '{module}.{name}'; it must hold tensors and nothing else"
        raise UserError(problem, "Do not use this file: run 'python -m gan_tf fetch-weights'")

    def persistent_load(self, identity: Any) -> _Storage:
        kind, dtype, key, _location, count, *view = identity
        if kind != "storage" or dtype not in _STORAGES.values() or any(part is not None for part in view):
            raise pickle.UnpicklingError("unknown kind of storage")
        dtype = np.dtype(dtype)
        storage = self.storages.setdefault(str(key), _Storage(dtype, int(count)))
        if (storage.dtype, storage.count) != (dtype, int(count)):
            raise pickle.UnpicklingError("one storage of two kinds")
        return storage


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if sum(member.file_size for member in members.values()) > os.path.getsize(path):
            raise ValueError("compressed members")  # PyTorch stores them as they are; a packed one could fill the memory
        root = next(name for name in members if name.endswith("/data.pkl"))[: -len("data.pkl")]
        unpickler = _TensorUnpickler(io.BytesIO(archive.read(root + "data.pkl")), path.name)
        content = unpickler.load()
        if root + "byteorder" in members and archive.read(root + "byteorder") != b"little":
            raise ValueError("big-endian storages")
        for key, storage in unpickler.storages.items():
            storage.values = np.frombuffer(archive.read(f"{root}data/{key}"), storage.dtype)
            if len(storage.values) < storage.count:
                raise ValueError("a storage is cut off")
    return content


def _read_legacy(path: Path) -> Any:
    with open(path, "rb") as file:
        magic, protocol, _system = (_TensorUnpickler(file, path.name).load() for _ in range(3))
        if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
            raise ValueError("not a checkpoint")
        unpickler = _TensorUnpickler(file, path.name)
        content = unpickler.load()
        for key in _TensorUnpickler(file, path.name).load():
            storage = unpickler.storages[key]
            (count,) = struct.unpack("<q", file.read(8))
            data = file.read(storage.count * storage.dtype.itemsize)
            if count != storage.count:
                raise ValueError("a storage of another length")
            storage.values = np.frombuffer(data, storage.dtype, storage.count)
    return content


def _flatten(content: Any, prefix: str = "") -> dict[str, np.ndarray]:
    if isinstance(content, _Tensor):
        return {prefix: content.array()}
    if isinstance(content, _Module):
        content = content.attributes
    if not isinstance(content, dict):
        return {}
    named = {}
    for key, value in content.items():
        named.update(_flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return named


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a TorchScript archive or PyTorch checkpoint, by dotted name, in the order of the file.

    Nothing of the file is executed: names outside a short list of tensor types are refused, and each tensor's shape and
    strides are checked against the length of its storage.

    Returns:
        Names such as ``Mixed_5b.branch1x1.conv.weight`` and their arrays, in PyTorch's layout (OIHW kernels).

    Raises:
        UserError: the file is missing, damaged, not of these formats, or would execute something.
    """
    path = Path(path)
    try:
        content = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        named = _flatten(content)
    except OSError as error:
        raise UserError(f"'{path}' cannot be read ({error.strerror})", "Check the path") from error
    except (*_MALFORMED, StopIteration, RuntimeError) as error:
        raise _unreadable(path, f" ({error})" if str(error) else "") from error
    if not named:
        raise _unreadable(path, " (no tensors in it)")
    return named


def _unreadable(path: Path, why: str) -> UserError:
    problem = f"'{path}' cannot be read as a TorchScript archive or a PyTorch checkpoint{why}"
    return UserError(problem, "Run 'python -m gan_tf fetch-weights'")
