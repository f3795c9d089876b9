"""The batches of CIFAR-10's Python version, which are pickles, without executing anything in them.

A pickle can name any function to call. This unpickler hands out stand-ins for the three names with which NumPy's arrays are
pickled, and refuses every other name; it calls nothing but these stand-ins.
"""

import io
import pickle
from typing import Any

import numpy as np

_MALFORMED = (
    *(pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError),
    *(RecursionError, NotImplementedError, UnicodeError, MemoryError),
)


class _Array:
    """Stands in for an array of bytes: keeps its shape, type and content."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """Returns uint8 of the pickled shape; raises a ValueError for another type or layout."""
        _, shape, dtype, is_fortran, content = self.state
        if not isinstance(dtype, _Dtype) or dtype.name != "u1" or is_fortran or not isinstance(content, bytes):
            raise ValueError("its data are no bytes in rows")
        return np.frombuffer(content, np.uint8).reshape(shape)


class _Dtype:
    """Stands in for the type of an array's elements: keeps its name."""

    def __init__(self, name: str, *_flags: Any):
        self.name = name

    def __setstate__(self, _state: Any) -> None:
        """Ignores the byte order, which bytes do not have."""


class _NdarrayClass:
    """Stands in for the class ``numpy.ndarray``, which is only named."""


def _reconstruct(*_arguments: Any) -> _Array:
    return _Array()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        stand_ins = {"_reconstruct": _reconstruct, "ndarray": _NdarrayClass, "dtype": _Dtype}
        if module.split(".")[0] != "numpy" or name not in stand_ins:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of CIFAR-10")
        return stand_ins[name]


def read_batch(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images, uint8 [n, 32, 32, 3], and labels [n] of one batch.

    Args:
        data: the content of a file such as ``data_batch_1``.

    Raises:
        ValueError: it is something else.
    """
    try:
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        pixels = content[b"data"].array()
        labels = np.array(content[b"labels"], np.int64)
        images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    except _MALFORMED as error:
        raise ValueError(f"it is no batch of CIFAR-10: {error}") from error
    return np.ascontiguousarray(images), labels
