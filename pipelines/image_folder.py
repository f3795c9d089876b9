"""Folders of images: lists them and returns uint8 batches by index."""

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
from pipelines.errors import UserError
from pipelines.transforms import take_rows

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_FILES_PER_TASK = 16  # of the thread pool
_MAX_REPLACEMENTS = 100  # as many unreadable files in a row mean that the folder is gone, not that images are damaged
_MAX_NAMED = 5  # unreadable files that a message names

_log = logging.getLogger(__name__)


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the images below ``folder`` at any depth by their suffix (any case), without opening them.

    Files and folders whose names start with a dot are skipped; links are followed, but no folder is visited twice.

    Returns:
        Paths that start with ``folder``, sorted by their relative POSIX path (by code point, so the same everywhere).

    Raises:
        UserError: there is no such folder, it is a file, it cannot be read, or there is no image in it.
    """
    root = Path(folder)
    if not root.exists():
        nearest = next(parent for parent in root.absolute().parents if parent.exists())
        raise UserError(f"There is no folder {root}; the path exists as far as {nearest}", "Correct the path")
    if not root.is_dir():
        raise UserError(f"{root} is not a folder", f"Give a folder of images, perhaps {root.absolute().parent}")
    try:
        images, others = _scan(root)
    except OSError as error:
        hint = "Make it readable, or give another folder"
        raise UserError(f"{error.filename} cannot be read ({error.strerror})", hint) from error
    if not images and others:
        kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common(5))
        problem = f"No images were found in {root}; it holds {others.total()} other files ({kinds})"
        raise UserError(problem, "Convert them to PNG, or give another folder")
    if not images:
        problem = f"No images were found in {root} (it is empty)"
        raise UserError(problem, f"Put image files there ({', '.join(SUFFIXES)}), or give another folder")
    return [root / relative for relative in sorted(images)]


def _scan(root: Path) -> tuple[list[str], Counter[str]]:
    """The relative paths of images, and how many other files there are of each suffix."""
    images: list[str] = []
    others: Counter[str] = Counter()
    pending, visited = [""], set()
    while pending:
        relative = pending.pop()
        status = os.stat(root / relative)
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(root / relative) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):
                if entry.name.startswith("."):
                    continue
                suffix = os.path.splitext(entry.name)[1].lower()
                if entry.is_dir():
                    pending.append(f"{relative}{entry.name}/")
                elif suffix in SUFFIXES:
                    images.append(relative + entry.name)
                else:
                    others[suffix] += 1
    return images, others


class ImageFolder:
    """A source (see ``pipelines.source.Source``) of the images below a folder, in the order of ``list_images``.

    If all fit the memory budget, they are decoded once, here, and unreadable files are left out. Otherwise only headers
    are checked here (``check_header``) and images are decoded on each access. A file that turns out to be damaged only
    then is replaced by the next readable one in the list (the first follows the last), and named in the log and in
    ``summary``: so training continues, and an image is still a pure function of its index and the files.

    Args:
        folder: searched at any depth.
        size: height and width of the images in pixels.
        channels: 3 for RGB, 1 for grayscale.
        memory_budget: bytes that decoded images may take; 0 decodes them on each access.

    Attributes:
        paths: the files behind the indices.
        memory_bytes: what the decoded images take in memory, 0 if they are decoded on each access.
        name: the folder's own name, safe as a part of a file name, unless it is set to another one.
        split: the part of the data set; "" unless it is set.
        note: what ``summary`` should say besides; "" unless it is set.

    Raises:
        UserError: as ``list_images``, or none of the files is readable.
    """

    def __init__(self, folder: str | os.PathLike[str], size: int, channels: int = 3, memory_budget: int = 2 << 30):
        self.folder, self.size, self.channels, self.memory_budget = Path(folder), size, channels, memory_budget
        self.name = re.sub(r"[^\w.-]+", "-", self.folder.resolve().name) or "folder"
        self.split, self.note = "", ""
        self._lock = threading.Lock()
        files = list_images(folder)
        self._needed_bytes = len(files) * size * size * channels
        fits = self._needed_bytes <= memory_budget
        pixels = np.empty((len(files) if fits else 0, size, size, channels), np.uint8)

        def read(index: int) -> UnreadableImage | None:
            try:
                if fits:
                    pixels[index] = decode(files[index], size, channels)
                else:
                    check_header(files[index])
            except UnreadableImage as error:
                return error
            return None

        def read_all(indices: range) -> list[UnreadableImage | None]:
            return [read(index) for index in indices]

        if fits:
            tasks = [range(start, min(start + _FILES_PER_TASK, len(files))) for start in range(0, len(files), _FILES_PER_TASK)]
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
                errors = list(chain.from_iterable(pool.map(read_all, tasks)))
        else:  # headers are parsed by Python alone, where threads only wait for one another
            errors = read_all(range(len(files)))
        kept = [index for index, error in enumerate(errors) if error is None]
        self._unreadable = {error.path: error.reason for error in errors if error}
        self._num_left_out = len(self._unreadable)
        if not kept:
            problem = f"None of the {len(files):,} images in {folder} is readable: {self._first_unreadable()}"
            raise UserError(problem, "Download or copy the images again")
        self.paths = [files[index] for index in kept]
        if fits and self._num_left_out:
            for target, index in enumerate(kept):  # in place, because a second array might not fit
                pixels[target] = pixels[index]
        self._pixels = pixels[: len(kept)] if fits else None
        self.memory_bytes = len(kept) * size * size * channels if fits else 0

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> tf.Tensor:
        """Returns the images at ``indices`` (integers [n] in 0 .. len - 1), eagerly or inside ``tf.data.Dataset.map``.

        Returns:
            uint8 [n, size, size, channels], in [0, 255].

        Raises:
            ValueError: as ``pipelines.transforms.take_rows``.
            UserError: many files in a row have become unreadable; in a graph as ``pipelines.transforms.take_rows``.
        """
        return take_rows(self._rows, indices, (len(self), self.size, self.size, self.channels))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the relative paths and sizes in bytes of the files used; their contents are not read."""
        digest = hashlib.sha256()
        for path in self.paths:
            relative = os.fsencode(path.relative_to(self.folder).as_posix())
            digest.update(relative + b"\0" + str(os.path.getsize(path)).encode() + b"\n")
        return digest.hexdigest()

    @property
    def summary(self) -> str:
        """One line: how many images, where they are held, and which files were unreadable (the first five by name)."""
        line = f"{self.name}: {len(self):,} images of {self.size}x{self.size}x{self.channels}, "
        if self._pixels is not None:
            line += f"held in memory ({_megabytes(self.memory_bytes)})"
        else:
            line += f"decoded on each access ({_megabytes(self._needed_bytes)} exceed the memory budget of "
            line += f"{_megabytes(self.memory_budget)}; only headers were checked)"
        if self.note:
            line += f"; {self.note}"
        if self._num_left_out:
            line += f"; {self._num_left_out:,} unreadable files left out"
        num_replaced = len(self._unreadable) - self._num_left_out
        if num_replaced:
            line += f"; {num_replaced:,} damaged files replaced by the next"
        return line + (f": {self._first_unreadable()}" if self._unreadable else "")

    def _first_unreadable(self) -> str:
        with self._lock:
            first = list(self._unreadable.items())[:_MAX_NAMED]
            more = len(self._unreadable) - len(first)
        names = [f"{self._relative(path)} ({reason})" for path, reason in first]
        return ", ".join(names) + (f" and {more:,} more" if more else "")

    def _relative(self, path: Path) -> str:
        return os.fsencode(path.relative_to(self.folder).as_posix()).decode(errors="backslashreplace")

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        if self._pixels is not None:
            return self._pixels[indices]
        rows = np.empty((len(indices), self.size, self.size, self.channels), np.uint8)
        for row, index in enumerate(indices):  # without threads: where they help, the stream takes several batches at once
            rows[row] = self._decode_at(int(index))
        return rows

    def _decode_at(self, index: int) -> np.ndarray:
        num_tried = min(len(self), _MAX_REPLACEMENTS)
        for offset in range(num_tried):
            path = self.paths[(index + offset) % len(self)]
            try:
                return decode(path, self.size, self.channels)
            except UnreadableImage as error:
                self._add_unreadable(error)
        problem = f"{num_tried} images in a row have become unreadable in {self.folder}: {self._first_unreadable()}"
        raise UserError(problem, "Restore the folder and resume the run")

    def _add_unreadable(self, error: UnreadableImage) -> None:
        with self._lock:
            is_known = error.path in self._unreadable
            self._unreadable[error.path] = error.reason
            num_replaced = len(self._unreadable) - self._num_left_out
        if not is_known and num_replaced <= _MAX_NAMED:
            _log.warning("%s is damaged (%s) and is replaced by the next image", self._relative(error.path), error.reason)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
