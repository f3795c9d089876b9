"""Folders of pictures: list them and hand out uint8 batches by index."""

import hashlib
import logging
import os
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.decode import UnreadableImage, check_header, decode
from pipelines.errors import InputError
from pipelines.transforms import take_rows

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_GROUP = 16  # files a task of the thread pool
_REACH = 100  # as many unreadable files in a row mean that the folder is gone, not that a picture is damaged
_NAMED = 5

_log = logging.getLogger(__name__)


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the pictures below ``folder`` at any depth, told by suffix (any case), without opening them.

    Files and folders whose names begin with a dot are skipped; links are followed, loops are not.

    Returns:
        Paths that begin with ``folder``, sorted by their relative POSIX path (by code point, so the same everywhere).

    Raises:
        InputError: there is no such folder, it isn't one, it can't be read, or no picture is in it.
    """
    root = Path(folder)
    expected = f"a folder with pictures ({', '.join(SUFFIXES)}) at any depth"
    if not root.exists():
        nearest = next(parent for parent in root.absolute().parents if parent.exists())
        raise InputError(f"no such folder: {root}", expected, f"check the path; it exists as far as {nearest}")
    if not root.is_dir():
        raise InputError(f"not a folder: {root}", expected, f"give a folder, perhaps {root.absolute().parent}")
    try:
        found, others = _scan(root)
    except OSError as error:
        mend = "make it readable or give another folder"
        raise InputError(f"folder can't be read: {error.filename} ({error.strerror})", expected, mend) from error
    if not found:
        kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common(5))
        holds = f"it holds {others.total()} other files ({kinds})" if others else "it is empty"
        mend = "convert them to PNG or give another folder" if others else "put pictures there or give another folder"
        raise InputError(f"no pictures in {root}: {holds}", expected, mend)
    return [root / relative for relative in sorted(found)]


def _scan(root: Path) -> tuple[list[str], Counter[str]]:
    found: list[str] = []
    others: Counter[str] = Counter()
    waiting, seen = [""], set()
    while waiting:
        relative = waiting.pop()
        status = os.stat(root / relative)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / relative) as unsorted:
            for entry in sorted(unsorted, key=lambda entry: entry.name, reverse=True):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    waiting.append(f"{relative}{entry.name}/")
                elif (suffix := os.path.splitext(entry.name)[1].lower()) in SUFFIXES:
                    found.append(relative + entry.name)
                else:
                    others[suffix] += 1
    return found, others


class Folder:
    """The pictures below a folder as uint8 arrays by index, in the order of ``list_images``.

    When all fit the memory budget they are decoded once, here, and unreadable files are left out. Otherwise only
    headers are checked here (``check_header``) and pictures are decoded as they are taken. A file that turns out to be
    damaged only then is replaced by the next readable one in the list (the first follows the last), named in the log
    and in ``summary``: so training goes on, and a picture stays a pure function of its index and the files.

    Args:
        folder: searched at any depth.
        size: side of the square pictures in pixels.
        channels: 3 for RGB, 1 for grey.
        memory_budget: bytes that decoded pictures may take; 0 decodes them as they come.

    Attributes:
        paths: the files behind the indices.
        memory_bytes: what the decoded pictures take in memory, 0 when they are decoded as they come.
        name: the folder's own name, safe as a part of a file name.

    Raises:
        InputError: ``list_images`` raises it, or none of the files is readable.
    """

    def __init__(self, folder: str | os.PathLike[str], size: int, channels: int = 3, memory_budget: int = 2 << 30):
        self.folder, self.size, self.channels, self.memory_budget = Path(folder), size, channels, memory_budget
        self.name = re.sub(r"[^\w.-]+", "-", self.folder.resolve().name) or "folder"
        self._lock = threading.Lock()
        listed = list_images(folder)
        self._needed = len(listed) * size * size * channels
        fits = self._needed <= memory_budget
        pixels = np.empty((len(listed) if fits else 0, size, size, channels), np.uint8)

        def error_of(index: int) -> UnreadableImage | None:
            try:
                if fits:
                    pixels[index] = decode(listed[index], size, channels)
                else:
                    check_header(listed[index])
            except UnreadableImage as error:
                return error
            return None

        def errors_of(indices: range) -> list[UnreadableImage | None]:
            return [error_of(index) for index in indices]

        if fits:
            groups = [range(start, min(start + _GROUP, len(listed))) for start in range(0, len(listed), _GROUP)]
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as workers:
                errors = list(chain.from_iterable(workers.map(errors_of, groups)))
        else:  # headers are parsed by Python alone, where threads only wait for one another
            errors = errors_of(range(len(listed)))
        kept = [index for index, error in enumerate(errors) if error is None]
        self._unreadable = {error.path: error.reason for error in errors if error}
        self._left_out = len(self._unreadable)
        if not kept:
            given = f"none of the {len(listed):,} pictures in {folder} is readable: {self._named()}"
            raise InputError(given, "whole JPEG, PNG, BMP or WebP files", "fetch or copy the pictures again")
        self.paths = [listed[index] for index in kept]
        if fits and self._left_out:
            for place, index in enumerate(kept):  # in place, because a second array might not fit
                pixels[place] = pixels[index]
        self._pixels = pixels[: len(kept)] if fits else None
        self.memory_bytes = len(kept) * size * size * channels if fits else 0

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> tf.Tensor:
        """The pictures at ``indices`` (integers [n] in 0 .. len - 1), eagerly or inside ``tf.data.Dataset.map``.

        Returns:
            uint8 [n, size, size, channels], in [0, 255].

        Raises:
            ValueError: an index is outside; in a graph it comes as ``tf.errors.InvalidArgumentError``.
            InputError: many files in a row have become unreadable; in a graph it comes as ``tf.errors.UnknownError``.
        """
        return take_rows(self._rows, indices, (len(self), self.size, self.size, self.channels))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the relative paths and sizes in bytes of the files used; their contents aren't read."""
        total = hashlib.sha256()
        for path in self.paths:
            relative = os.fsencode(path.relative_to(self.folder).as_posix())
            total.update(relative + b"\0" + str(os.path.getsize(path)).encode() + b"\n")
        return total.hexdigest()

    @property
    def summary(self) -> str:
        """One line: how many pictures, where they are held, which files were unreadable (the first five by name)."""
        line = f"{self.name}: {len(self):,} pictures of {self.size}x{self.size}x{self.channels}, "
        if self._pixels is not None:
            line += f"held in memory ({_megabytes(self.memory_bytes)})"
        else:
            line += f"decoded as they come ({_megabytes(self._needed)} are above the budget of "
            line += f"{_megabytes(self.memory_budget)}; only headers were checked)"
        if self._left_out:
            line += f"; {self._left_out:,} unreadable left out"
        if replaced := len(self._unreadable) - self._left_out:
            line += f"; {replaced:,} damaged replaced by the next"
        return line + (f": {self._named()}" if self._unreadable else "")

    def _named(self) -> str:
        with self._lock:
            first = list(self._unreadable.items())[:_NAMED]
            more = len(self._unreadable) - len(first)
        names = [f"{self._shown(path)} ({reason})" for path, reason in first]
        return ", ".join(names) + (f" and {more:,} more" if more else "")

    def _shown(self, path: Path) -> str:
        return os.fsencode(path.relative_to(self.folder).as_posix()).decode(errors="backslashreplace")

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        if self._pixels is not None:
            return self._pixels[indices]
        rows = np.empty((len(indices), self.size, self.size, self.channels), np.uint8)
        for place, index in enumerate(indices):  # without threads: where they help, the stream takes several batches at once
            rows[place] = self._decode_at(int(index))
        return rows

    def _decode_at(self, index: int) -> np.ndarray:
        for step in range(min(len(self), _REACH)):
            path = self.paths[(index + step) % len(self)]
            try:
                return decode(path, self.size, self.channels)
            except UnreadableImage as error:
                self._note(error)
        given = f"{min(len(self), _REACH)} pictures in a row became unreadable in {self.folder}: {self._named()}"
        raise InputError(given, "the files as they were at the start", "bring the folder back and resume")

    def _note(self, error: UnreadableImage) -> None:
        with self._lock:
            known = error.path in self._unreadable
            self._unreadable[error.path] = error.reason
            replaced = len(self._unreadable) - self._left_out
        if not known and replaced <= _NAMED:
            _log.warning("%s is damaged (%s); the next picture stands in for it", self._shown(error.path), error.reason)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
