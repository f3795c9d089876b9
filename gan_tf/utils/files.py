"""Files that appear whole or not at all."""

import contextlib
import errno
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import InputError


@contextlib.contextmanager
def readable_failures(path: Path):
    """Turns the file system's own refusals (full, read-only, not permitted) into one line that says how to mend it."""
    try:
        yield
    except OSError as error:
        mends = {
            errno.ENOSPC: ("free space on the disk", "make room, then go on with --resume"),
            errno.EDQUOT: ("free space in your quota", "make room, then go on with --resume"),
            errno.EACCES: ("a folder you may write to", "choose another folder or change its permissions"),
            errno.EPERM: ("a folder you may write to", "choose another folder or change its permissions"),
            errno.EROFS: ("a file system that can be written", "choose another folder"),
            errno.ENOTDIR: ("a folder at each level of the path", "choose another path"),
            errno.EISDIR: ("a file, not a folder", "choose another path"),
            errno.EEXIST: ("a folder, not a file", "choose another path"),
            errno.ENAMETOOLONG: ("a shorter name", "choose another path"),
        }
        if error.errno not in mends:
            raise
        expected, mend = mends[error.errno]
        raise InputError(f"{path} can't be written ({os.strerror(error.errno)})", expected, mend) from error


def sync(path: Path) -> None:
    """Flushes a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes, durable: bool = True) -> None:
    """Writes ``data`` to ``path``: beside it first, then renamed over it.

    Args:
        path: where to; folders on the way are made.
        data: the whole content.
        durable: whether to wait until it has reached the disk, which thousands of pictures need not.

    Raises:
        InputError: where it can't be written; nothing half-written stays.
    """
    path = Path(path)
    with readable_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        if durable:
            sync(path.parent)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes named arrays as an ``.npz`` that is read without pickle."""
    import numpy as np

    data = io.BytesIO()
    np.savez(data, **arrays)
    write_whole(path, data.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people: indented, keys in the order given."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def require_space(folder: Path, needed: int) -> None:
    """Refuses to begin where ``folder`` can't be made or written, or fewer than ``needed`` bytes are free for it.

    Raises:
        InputError: saying which.
    """
    absolute = Path(folder).absolute()
    there = next(parent for parent in (absolute, *absolute.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"{folder} can't be written", "a folder you may write to", "choose another folder")
    free = shutil.disk_usage(there).free
    if free < needed:
        given = f"{folder} has {free / 1e6:.0f} MB free"
        raise InputError(given, f"at least {needed / 1e6:.0f} MB for checkpoints", "make room or choose another --runs")
