"""Folders with ``data/*.png`` and tables ``train.csv`` and ``val.csv`` with columns image_name,label (DLCV 2022, HW2)."""

import csv
from pathlib import Path
from typing import get_args

import numpy as np

from pipelines.decode import UnreadableImage, decode
from pipelines.errors import UserError
from pipelines.labeled import LabeledImages
from pipelines.source import Split

COLUMNS = ("image_name", "label")
_MAX_NAMED = 5  # faults that a message names


def read_rows(path: str | Path) -> list[tuple[str, int]]:
    """Returns image_name and label of each row of a table; other columns are ignored.

    Raises:
        UserError: the file or a column is missing, a label is no digit, a name is empty, or there are no rows.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                problem = f"{path} has no column {' and no '.join(missing)}"
                raise UserError(problem, "Add a header with the columns image_name,label")
            rows = [(row["image_name"] or "", row["label"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error})", "Put a CSV file with the columns image_name,label there") from error
    invalid = [
        f"line {number}: {name!r},{label!r}" for number, (name, label) in enumerate(rows, 2) if not name or not is_digit(label)
    ]
    if invalid:
        problem = f"{path} has rows without an image name and a label in 0 to 9: {_first(invalid)}"
        raise UserError(problem, "Correct these rows")
    if not rows:
        raise UserError(f"{path} has no rows", "Add a row image_name,label for each image")
    return [(name, int(label)) for name, label in rows]


def has_split(folder: str | Path, split: Split) -> bool:
    """Returns whether a folder has ``data`` and the table of a split."""
    return (Path(folder) / "data").is_dir() and (Path(folder) / f"{split}.csv").is_file()


def has_any_split(folder: str | Path) -> bool:
    """Returns whether a folder has ``data`` and at least one of the two tables."""
    return any(has_split(folder, split) for split in get_args(Split))


def read_split(folder: str | Path, split: Split, size: int = 28, channels: int = 3) -> LabeledImages:
    """Reads the images that ``train.csv`` or ``val.csv`` lists, with their labels, in its order.

    Images that are missing or damaged are left out with their labels, counted and named in ``summary``, as in folders of
    images.

    Args:
        folder: holds ``data`` and the tables.
        split: ``train`` or ``val``.
        size: height and width of the images in pixels; others are fitted to it.
        channels: 3 for RGB, 1 for grayscale.

    Raises:
        UserError: as ``read_rows``, or none of the images is readable.
    """
    table, data = Path(folder) / f"{split}.csv", Path(folder) / "data"
    images, labels, unreadable = [], [], []
    for name, label in read_rows(table):
        try:
            images.append(decode(data / name, size, channels))
            labels.append(label)
        except UnreadableImage as error:
            unreadable.append(f"{name} ({error.reason})")
    if not images:
        problem = f"None of the {len(unreadable):,} images that {table} lists is readable: {_first(unreadable)}"
        raise UserError(problem, f"Copy them to {data} again, or correct the names")
    source = LabeledImages(np.stack(images), np.array(labels), Path(folder).resolve().name or "csv", split)
    if unreadable:
        source.note = f"{len(unreadable):,} unreadable files left out: {_first(unreadable)}"
    return source


def is_digit(text: str) -> bool:
    """Returns whether a label is one of 0 to 9."""
    return len(text.strip()) == 1 and text.strip() in "0123456789"


def _first(items: list[str]) -> str:
    """The first few items, and how many more there are."""
    more = len(items) - _MAX_NAMED
    return "; ".join(items[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
