"""Folders with ``data/*.png`` and tables ``train.csv`` and ``val.csv`` with columns image_name,label (DLCV 2022, HW2)."""

import csv
from collections.abc import Container, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from pipelines.decode import DecodedImage, UnreadableImage, decode_bytes, read_bytes
from pipelines.errors import UserError, counted, shorten
from pipelines.image_array import ImageArray, sort_by_content
from pipelines.labeled import LabeledImages
from pipelines.source import Split

COLUMNS = ("image_name", "label")
_MAX_NAMED = 5  # faults that a message names


def read_rows(path: str | Path) -> list[tuple[str, int]]:
    """Returns image_name and label of each row of a table; other columns are ignored.

    Raises:
        UserError: the file or a column is missing, a label is no digit, a name is empty, or there are no rows.
    """
    rows = _read_columns(path, COLUMNS)
    invalid = [
        f"line {number}: {shorten(name)!r},{shorten(label)!r}"
        for number, (name, label) in enumerate(rows, 2)
        if not name or not is_digit(label)
    ]
    if invalid:
        problem = f"{path} has rows without an image name and a label in 0 to 9: {_first(invalid)}"
        raise UserError(problem, "Correct these rows")
    return [(name, int(label)) for name, label in rows]


def _read_columns(path: str | Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns certain columns of each row of a table, "" where a row has none; see ``read_rows``.

    Bytes that are no UTF-8 are kept, since they may be names of files, or lie in a column that nobody reads.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or ()
            missing = [name for name in columns if name not in header]
            if missing:
                problem = f"{path} has no column {' and no '.join(missing)}"
                problem += f"; its first line is {shorten(','.join(header))!r}" if header else ""
                raise UserError(problem, f"Begin it with the line {','.join(columns)}, and separate columns by commas")
            rows = [tuple(row[name] or "" for name in columns) for row in reader]
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = f"Put a CSV file with the columns {','.join(columns)} there"
        raise UserError(f"{path} cannot be read ({reason})", hint) from error
    if not rows:
        raise UserError(f"{path} has no rows", "Add a row image_name,label for each image")
    return rows


def has_split(folder: str | Path, split: Split) -> bool:
    """Returns whether a folder has ``data`` and the table of a split."""
    return (Path(folder) / "data").is_dir() and (Path(folder) / f"{split}.csv").is_file()


def has_any_split(folder: str | Path) -> bool:
    """Returns whether a folder has ``data`` and at least one of the two tables."""
    return any(has_split(folder, split) for split in get_args(Split))


def read_split(folder: str | Path, split: Split, size: int = 28, channels: int = 3) -> LabeledImages:
    """Reads the images that ``train.csv`` or ``val.csv`` lists, with their labels, in its order.

    Images that are missing or damaged, names with a path in them, repeated names and training images that ``val.csv`` lists
    too are left out with their labels; these and images of another size are counted and named in ``summary``.

    Args:
        folder: holds ``data`` and the tables.
        split: ``train`` or ``val``.
        size: height and width of the images in pixels; others are fitted to it.
        channels: 3 for RGB, 1 for grayscale.

    Raises:
        UserError: as ``read_rows``, or none of the images is readable.
    """
    table = Path(folder) / f"{split}.csv"
    rows = read_rows(table)
    held_out = _validation_names(table) if split == "train" else frozenset()
    images, positions, note = _read_images(table, [name for name, _ in rows], size, channels, held_out)
    labels = np.array([rows[position][1] for position in positions])
    return LabeledImages(images, labels, Path(folder).resolve().name or "csv", split, note)


def read_names(path: str | Path) -> list[str]:
    """Returns the image names of a table, each once and sorted; whatever else is in it is ignored, labels too.

    Raises:
        UserError: the file or the column is missing, a name is empty, or there are no rows.
    """
    rows = _read_columns(path, COLUMNS[:1])
    empty = [f"line {number}" for number, (name,) in enumerate(rows, 2) if not name]
    if empty:
        raise UserError(f"{path} has rows without an image name: {_first(empty)}", "Correct these rows")
    return sorted({name for (name,) in rows})


def read_unlabeled(folder: str | Path, size: int = 28, channels: int = 3) -> ImageArray:
    """Reads the images that ``train.csv`` lists, and nothing of its labels, which may be missing or wrong.

    The order is that of the pixels' digests, so that neither rows nor names decide it. Images that are missing or damaged
    are left out, counted and named in ``summary``. ``val.csv`` is not opened: nothing in it may decide a training without
    labels.

    Args:
        folder: holds ``data`` and ``train.csv``.
        size: as in ``read_split``.
        channels: as in ``read_split``.

    Raises:
        UserError: as ``read_names``, or none of the images is readable.
    """
    table = Path(folder) / "train.csv"
    images, _, note = _read_images(table, read_names(table), size, channels)
    return ImageArray(sort_by_content(images), Path(folder).resolve().name or "csv", "train", note)


def _read_images(
    table: Path, names: Sequence[str], size: int, channels: int, held_out: Container[str] = ()
) -> tuple[np.ndarray, list[int], str]:
    """Reads the images of a table that are readable, in ``data`` beside it, and not among those that are ``held_out``.

    Returns:
        The images, uint8 [n, size, size, channels], the position of each in ``names``, and what was left out, in words.

    Raises:
        UserError: none of them is readable.
    """
    data = table.parent / "data"
    images: dict[str, np.ndarray] = {}
    positions, unreadable, fitted, in_both = [], [], [], []
    for position, name in enumerate(names):
        if name in held_out:
            in_both.append(_show(name))
            continue
        try:
            image = _read_image(data, name, size, channels, images)
        except UnreadableImage as error:
            unreadable.append(f"{_show(name)} ({error.reason})")
            continue
        images[name] = image.pixels
        positions.append(position)
        if image.own_size != (size, size):
            fitted.append(f"{_show(name)} ({image.own_size[1]}x{image.own_size[0]})")
    if in_both and len(in_both) == len(names):
        raise UserError(f"{table} lists only images that val.csv lists too", "Divide them between the two tables")
    if not images:
        problem = f"None of the {len(unreadable):,} images that {table} lists is readable: {_first(unreadable)}"
        raise UserError(problem, f"Copy them to {data} again, or correct the names")
    notes = [f"{counted(len(unreadable), 'unreadable file')} left out: {_first(unreadable)}"] if unreadable else []
    notes += [f"{len(fitted):,} of another size fitted to {size}x{size}: {_first(fitted)}"] if fitted else []
    notes += [f"held out: {len(in_both):,} that val.csv lists too: {_first(in_both)}"] if in_both else []
    return np.stack([*images.values()]), positions, "; ".join(notes)


def _validation_names(table: Path) -> frozenset[str]:
    """Returns the images that ``val.csv`` beside a table of training images lists; none if it is missing."""
    validation = table.with_name("val.csv")
    return frozenset(read_names(validation)) if validation.is_file() else frozenset()


def _read_image(data: Path, name: str, size: int, channels: int, former: Container[str]) -> DecodedImage:
    """Reads the image of a row.

    Raises:
        UnreadableImage: it is missing or damaged, its name has a path in it, or is one of the former names.
    """
    if name != Path(name).name or "\\" in name:
        raise UnreadableImage(data / name, "a path instead of a name")
    if name in former:
        raise UnreadableImage(data / name, "listed before")
    return decode_bytes(read_bytes(data / name), data / name, size, channels)


def is_digit(text: str) -> bool:
    """Returns whether a label is one of 0 to 9."""
    return len(text.strip()) == 1 and text.strip() in "0123456789"


def _show(name: str) -> str:
    """Returns the name of a file as messages show it: short, and with escapes for what cannot be printed."""
    short = shorten(name)
    return short if short.isprintable() else repr(short)[1:-1]


def _first(items: list[str]) -> str:
    """The first few items, and how many more there are."""
    more = len(items) - _MAX_NAMED
    return "; ".join(items[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
