"""Archives that would expand to far more than they are, as damaged or hostile ones do: refused before anything is expanded."""

import contextlib
import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

_MAX_RATIO = 100  # zeros, which compress best, reach 1,000; weights and images less than 10
_HARMLESS = 64 << 20  # bytes that are expanded whatever the ratio


def check_expansion(compressed: int, expanded: int) -> None:
    """Checks how many bytes an archive would become.

    Raises:
        ValueError: it would become more than a hundred times as large, and 64 MiB.
    """
    if expanded > max(_HARMLESS, _MAX_RATIO * compressed):
        raise ValueError(f"it would expand from {compressed / 1e6:,.1f} to {expanded / 1e6:,.0f} MB")


@contextlib.contextmanager
def open_arrays(path: Path) -> "Iterator[NpzFile]":
    """Opens an ``.npz`` file of named arrays; nothing in it is executed.

    Raises:
        ValueError: as ``check_expansion``.
        Exception: one of ``pipelines.errors.READ_ERRORS``, as NumPy and zipfile raise them.
    """
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        check_expansion(Path(path).stat().st_size, sum(member.file_size for member in archive.infolist()))
    with np.load(path, allow_pickle=False) as arrays:
        yield arrays


def gunzip(data: bytes) -> bytes:
    """Returns the content of a gzip file.

    Raises:
        ValueError: as ``check_expansion``.
        OSError, EOFError, zlib.error: it is damaged.
    """
    limit = max(_HARMLESS, _MAX_RATIO * len(data))
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        content = file.read(limit + 1)
    check_expansion(len(data), len(content))
    return content
