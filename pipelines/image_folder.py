"""Folders of images as a source: uint8 batches by index."""

import hashlib
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.decode import DecodedImage, UnreadableImage, decode_bytes, read_bytes, read_size
from pipelines.errors import UserError, counted
from pipelines.image_listing import list_images
from pipelines.transforms import take_rows

_FILES_PER_TASK = 16  # of the thread pool
_MAX_REPLACEMENTS = 100  # as many unreadable files in a row mean that the folder is gone, not that images are damaged
_MAX_NAMED = 5  # unreadable files that a message names

_log = logging.getLogger(__name__)


class ImageFolder:
    """A source (see ``pipelines.source.Source``) of images below a folder, by default all in the order of ``list_images``.

    If all fit the memory budget, they are decoded once, here, and unreadable files are left out. Otherwise only headers
    are checked here, unless ``check_pixels`` is set, and images are decoded on each access. A file that turns out to be
    damaged only then is replaced by the next readable one in the list (the first follows the last), and named in the log
    and in ``summary``: so training continues, and an image is still a pure function of its index and the files.

    Args:
        folder: searched at any depth.
        size: height and width that images are fitted to, in pixels; None keeps their own size, which must be the same.
        channels: 3 for RGB, 1 for grayscale.
        memory_budget: bytes that decoded images may take; 0 decodes them on each access.
        files: some of the images below the folder; None takes all.
        check_pixels: whether every image is decoded here, so that no unreadable one is found later.

    Attributes:
        paths: the files behind the indices.
        image_shape: height, width and channels.
        memory_bytes: what the decoded images take in memory, 0 if they are decoded on each access.
        digest: SHA-256 (hex) over the relative paths and the contents of the files used.
        own_sizes: how many images there are of each (height, width) in their files.
        name: the folder's own name, safe as a part of a file name, unless it is set to another one.
        split: the part of the data set; "" unless it is set.
        note: what ``summary`` should say besides; "" unless it is set.

    Raises:
        UserError: as ``list_images``, none of the files is readable, or they have several sizes and ``size`` is None.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        size: int | None,
        channels: int = 3,
        memory_budget: int = 2 << 30,
        *,
        files: Sequence[Path] | None = None,
        check_pixels: bool = False,
    ):
        self.folder, self.memory_budget = Path(folder), memory_budget
        self.name = safe_name(self.folder)
        self.split, self.note = "", ""
        self._lock = threading.Lock()
        self._files = files = list_images(folder) if files is None else files
        height, width = self._first_size(files) if size is None else (size, size)
        self._size, self.image_shape = size, (height, width, channels)
        self._needed_bytes = len(files) * height * width * channels
        fits = self._needed_bytes <= memory_budget
        self._is_checked = fits or check_pixels
        pixels = np.empty((len(files) if fits else 0, *self.image_shape), np.uint8)
        results = self._read_files(pixels)
        facts = {index: result for index, result in enumerate(results) if isinstance(result, _FileFacts)}
        self._unreadable = {result.path: result.reason for result in results if isinstance(result, UnreadableImage)}
        self._num_left_out = len(self._unreadable)
        if not facts:
            problem = f"None of the {len(files):,} images in {folder} is readable: {self._first_unreadable()}"
            raise UserError(problem, "Download or copy the images again")
        self._kept = list(facts)
        self.paths = [files[index] for index in facts]
        self.own_sizes = Counter(fact.own_size for fact in facts.values())
        if size is None and len(self.own_sizes) > 1:
            raise self._several_sizes([fact.own_size for fact in facts.values()])
        self.digest = self._combine_digests([fact.digest for fact in facts.values()])
        if fits and self._num_left_out:
            for target, index in enumerate(facts):  # in place, because a second array might not fit
                pixels[target] = pixels[index]
        self._pixels = pixels[: len(facts)] if fits else None
        self.memory_bytes = self._pixels.nbytes if self._pixels is not None else 0

    def _read_files(self, pixels: np.ndarray) -> "list[_FileFacts | UnreadableImage]":
        """Reads all files in parallel; writes their images into ``pixels``, unless it is empty.

        Files of another size than ``image_shape`` are left out there: they are refused once all sizes are known.
        """

        def read(index: int) -> "_FileFacts | UnreadableImage":
            path = self._files[index]
            try:
                data = read_bytes(path)
                if not self._is_checked:
                    own_size = read_size(data, path)
                else:
                    decoded = self._decode_file(index, data)
                    own_size = decoded.own_size
                    if len(pixels) and decoded.pixels.shape == self.image_shape:
                        pixels[index] = decoded.pixels
            except UnreadableImage as error:
                return error
            return _FileFacts(own_size, hashlib.sha256(data).digest())

        def read_all(indices: range) -> "list[_FileFacts | UnreadableImage]":
            return [read(index) for index in indices]

        count = len(self._files)
        tasks = [range(start, min(start + _FILES_PER_TASK, count)) for start in range(0, count, _FILES_PER_TASK)]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
            return list(chain.from_iterable(pool.map(read_all, tasks)))

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: tf.Tensor | np.ndarray | list[int]) -> tf.Tensor:
        """Returns the images at ``indices`` (integers [n] in 0 .. len - 1), eagerly or inside ``tf.data.Dataset.map``.

        Returns:
            uint8 [n, height, width, channels], in [0, 255].

        Raises:
            ValueError: as ``pipelines.transforms.take_rows``.
            UserError: many files in a row have become unreadable; in a graph as ``pipelines.transforms.take_rows``.
        """
        return take_rows(self._rows, indices, (len(self), *self.image_shape))

    @property
    def summary(self) -> str:
        """One line: how many images, how they are fitted, where they are held, which were unreadable (the first five)."""
        height, width, channels = self.image_shape
        line = f"{self.name}: {counted(len(self), 'image')} of {width}x{height}x{channels}, "
        line += self._describe_fitting()
        if self._pixels is not None:
            line += f"held in memory ({_megabytes(self.memory_bytes)})"
        else:
            line += f"decoded on each access ({_megabytes(self._needed_bytes)} exceed the memory budget of "
            line += f"{_megabytes(self.memory_budget)}{'' if self._is_checked else '; only headers were checked'})"
        if self.note:
            line += f"; {self.note}"
        unreadable = self._describe_unreadable()
        return line + (f"; {unreadable}" if unreadable else "")

    @property
    def remarks(self) -> str:
        """What is worth knowing of the files: how many were resized, and which were unreadable; "" if there is nothing."""
        return "; ".join(filter(None, [self._describe_fitting().removesuffix(", "), self._describe_unreadable()]))

    def _describe_unreadable(self) -> str:
        """Returns how many files were left out or replaced, and the first of them; "" if none was."""
        parts = []
        if self._num_left_out:
            parts.append(f"{counted(self._num_left_out, 'unreadable file')} left out")
        num_replaced = len(self._unreadable) - self._num_left_out
        if num_replaced:
            parts.append(f"{num_replaced:,} damaged files replaced by the next")
        return "; ".join(parts) + (f": {self._first_unreadable()}" if self._unreadable else "")

    def _describe_fitting(self) -> str:
        """Returns what was done to images that had another size in their files; "" if none had."""
        others = {own_size: count for own_size, count in self.own_sizes.items() if own_size != self.image_shape[:2]}
        if not others:
            return ""
        num_smaller = sum(count for own_size, count in others.items() if min(own_size) < min(self.image_shape[:2]))
        sizes = _format_size(next(iter(others))) if len(others) == 1 else f"{len(others):,} other sizes"
        line = f"{sum(others.values()):,} resized and cropped from {sizes}, "
        return line + (f"{num_smaller:,} of them enlarged, " if num_smaller else "")

    def _first_size(self, files: Sequence[Path]) -> tuple[int, int]:
        """Returns the own size of the first readable image; that of an image without pixels if there is none."""
        for path in files:
            try:
                return read_size(read_bytes(path), path)
            except UnreadableImage:  # is counted when all files are read
                continue
        return (0, 0)

    def _several_sizes(self, own_sizes: Sequence[tuple[int, int]]) -> UserError:
        """Returns the error for images of several sizes, with the number of each of the most frequent ones."""
        (usual, count), *_ = self.own_sizes.most_common(1)
        index = next(index for index, own_size in enumerate(own_sizes) if own_size != usual)
        problem = f"{self.folder} has images of several sizes: {count:,} of {len(own_sizes):,} have {_format_size(usual)} "
        problem += f"pixels, but {self._relative(self.paths[index])} has {_format_size(own_sizes[index])}"
        return UserError(problem, "Name one size for all by --image-size, or remove the others")

    def _combine_digests(self, digests: Sequence[bytes]) -> str:
        digest = hashlib.sha256()
        for number, content in zip(self._kept, digests, strict=True):
            digest.update(self._key(number) + b"\0" + content)
        return digest.hexdigest()

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
        rows = np.empty((len(indices), *self.image_shape), np.uint8)
        for row, index in enumerate(indices):  # without threads: where they help, the stream takes several batches at once
            rows[row] = self._decode_at(int(index))
        return rows

    def _decode_file(self, number: int, data: bytes) -> DecodedImage:
        """Returns the image of a file from its bytes; ``number`` is its place in the list of all files."""
        return decode_bytes(data, self._files[number], self._size, self.image_shape[2])

    def _key(self, number: int) -> bytes:
        """Returns what identifies a sample in the digest besides the content of its file."""
        return os.fsencode(self._files[number].relative_to(self.folder).as_posix())

    def _decode_at(self, index: int) -> np.ndarray:
        num_tried = min(len(self), _MAX_REPLACEMENTS)
        for offset in range(num_tried):
            number = self._kept[(index + offset) % len(self)]
            path = self._files[number]
            try:
                pixels = self._decode_file(number, read_bytes(path)).pixels
                if pixels.shape != self.image_shape:
                    raise UnreadableImage(path, f"its size has changed to {_format_size(pixels.shape)}")
                return pixels
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


@dataclass(frozen=True)
class _FileFacts:
    """What is known of a readable file: the image's own height and width, and the SHA-256 of the content."""

    own_size: tuple[int, int]
    digest: bytes


def safe_name(folder: Path) -> str:
    """Returns a folder's own name, safe as a part of a file name."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name) or "folder"


def _format_size(shape: tuple[int, ...]) -> str:
    """Returns width x height, as people write them, of a shape that starts with height and width."""
    return f"{shape[1]}x{shape[0]}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
