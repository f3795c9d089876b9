"""Collects decoded images of unknown number in one array that may be larger than the memory."""

import io
import math
import tempfile
from collections.abc import Iterable
from typing import IO

import numpy as np

from pipelines.errors import UserError


def collect_rows(batches: Iterable[np.ndarray], shape: tuple[int, ...], memory_budget: int) -> np.ndarray:
    """Returns batches as one array: in memory as long as they fit, else mapped from a temporary file, which has no name.

    Such a file needs no removal: the system frees it when the array is, or when the process ends in whatever way.

    Args:
        batches: uint8 arrays [n, *shape], of any n.
        shape: of a row.
        memory_budget: bytes that the array may take in memory.

    Returns:
        uint8 [rows, *shape]; a ``numpy.memmap`` if it is in a file.

    Raises:
        UserError: there is no space for the file.
    """
    file: IO[bytes] = io.BytesIO()
    size = 0
    try:
        for batch in batches:
            size += batch.nbytes
            if size > memory_budget and isinstance(file, io.BytesIO):
                file = _move_to_disk(file)
            file.write(np.ascontiguousarray(batch).data)
        file.flush()
    except OSError as error:
        problem = f"The decoded images exceed the memory budget of {memory_budget / 1e6:,.0f} MB, and the temporary file "
        problem += f"for them in {tempfile.gettempdir()} cannot be written ({error.strerror})"
        raise UserError(problem, "Raise --memory-budget, or name a folder with more space by the variable TMPDIR") from error
    rows = size // math.prod(shape)
    if isinstance(file, io.BytesIO):
        return np.frombuffer(file.getbuffer(), np.uint8).reshape(rows, *shape)
    return np.memmap(file, np.uint8, "r", shape=(rows, *shape))


def _move_to_disk(memory: io.BytesIO) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the array that is mapped from it keeps it)
    file.write(memory.getbuffer())
    return file
