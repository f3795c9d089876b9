"""Files that appear whole or not at all, and file-system errors that the user can fix. Free of TensorFlow."""

import contextlib
import csv
import errno
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import UserError

MAKE_ROOM = "Free some disk space; train.py continues with --resume"
WRITE_HINTS = {
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f); train.py continues with --resume",
    errno.EACCES: "Choose another folder, or change its permissions",
    errno.EPERM: "Choose another folder, or change its permissions",
    errno.EROFS: "Choose a folder on a file system that can be written",
    errno.ENOTDIR: "Choose another path; a part of this one is a file, not a folder",
    errno.EISDIR: "Choose another path; this one is a folder, not a file",
    errno.EEXIST: "Choose another path; this one is a file, not a folder",
    errno.ENAMETOOLONG: "Choose a shorter path",
    errno.ELOOP: "Choose a path without a link that leads to itself",
    errno.ENOENT: "Choose another folder; this one has been removed, or nothing can be created in it",
}
"""How to fix what keeps a file from being written, by the number of the error."""

LEFTOVERS = ".gan_tf-*.tmp"  # what a killed process has not finished


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turns errors of the file system that the user can fix (full, read-only, not permitted) into a UserError.

    Args:
        path: what is written inside the ``with`` block; named in the message.

    Raises:
        UserError: the disk is full, the path cannot be written, …
    """
    try:
        yield
    except OSError as error:
        if error.errno not in WRITE_HINTS:
            raise
        raise UserError(f"{path} cannot be written ({os.strerror(error.errno)})", WRITE_HINTS[error.errno]) from error


def fsync_path(path: Path) -> None:
    """Flushes a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes, durable: bool = True) -> None:
    """Writes ``data`` to ``path`` by way of a temporary file that is renamed, so that readers see all of it or nothing.

    Args:
        path: the file; missing folders are created.
        data: the whole content.
        durable: whether to wait until it has reached the disk, which thousands of images need not.

    Raises:
        UserError: it cannot be written; no partial file is left behind.
    """
    path = Path(path)
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".gan_tf-{os.urandom(8).hex()}.tmp")  # processes of other machines share numbers, not this
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            fsync_path(path.parent)


def remove_leftovers(directory: Path) -> None:
    """Removes the temporary files that killed processes have left anywhere below a directory, which nobody else may write now.

    Raises:
        UserError: one cannot be removed.
    """
    with file_errors(directory):
        for leftover in Path(directory).rglob(LEFTOVERS):
            leftover.unlink()


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes named arrays as an ``.npz`` that is read without pickle; raises as ``write_atomic``."""
    import numpy as np  # this module is imported for --help, which should not wait for NumPy

    data = io.BytesIO()
    np.savez(data, **arrays)
    write_atomic(path, data.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, keys in the order given; raises as ``write_atomic``."""
    write_atomic(path, encode_json(json.dumps(value, indent=2, ensure_ascii=False) + "\n"))


def encode_json(text: str) -> bytes:
    """Returns JSON in UTF-8; bytes of paths that are no UTF-8 become escapes, which JSON reads as the same bytes."""
    return text.encode(errors="backslashreplace")


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file in UTF-8, whatever the locale.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, no UTF-8, or nested without end.
    """
    try:
        return json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def require_space(directory: Path, num_bytes: int, what: str = "checkpoints") -> None:
    """Checks that ``directory`` can be created and written, and that its disk has ``num_bytes`` free for ``what``.

    Raises:
        UserError: it cannot, or has not.
    """
    absolute = Path(directory).absolute()
    existing = next(parent for parent in (absolute, *absolute.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"{directory} cannot be written", "Choose another folder, or change its permissions")
    free = shutil.disk_usage(existing).free
    if free < num_bytes:
        problem = f"{directory} has {free / 1e6:.0f} MB of free space, but {what} need {num_bytes / 1e6:.0f} MB"
        raise UserError(problem, "Free some disk space, or choose another folder")


def format_label_table(names: Sequence[str], labels: Sequence[str]) -> bytes:
    """Returns the CSV file of the labels of images, ``image_name,label``; names that are no UTF-8 keep their bytes."""
    table = io.StringIO()
    rows: Any = csv.writer(table, lineterminator="\n")
    rows.writerow(("image_name", "label"))
    rows.writerows(zip(names, labels, strict=True))
    return table.getvalue().encode(errors="surrogateescape")


def check_label_files(images: Path | None, out: Path | None, overwrite: bool) -> None:
    """Checks the arguments of a command that writes the labels of a folder's images into a CSV file; None is not given yet.

    Raises:
        UserError: no such folder, or an output that is not a CSV file, or that there is already.
    """
    if out is not None and out.suffix.lower() != ".csv":
        raise UserError(f"OUT {out} must be a .csv file", "Change it")
    if out is not None and out.is_dir():
        raise UserError(f"{out} is a folder", "Name another file")
    if out is not None and os.path.lexists(out) and not overwrite:
        raise UserError(f"{out} exists already", "Name another file, or add --overwrite")
    if out is not None:
        require_space(out.parent, 0)
    if images is not None and not images.is_dir():
        raise UserError(f"{images} is not a folder", "Give a folder of images")
