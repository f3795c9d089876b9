"""Folders with ``data/*.png`` and the files ``train.csv`` and ``val.csv`` that say ``image_name,label`` (DLCV 2022, HW2)."""

import csv
from pathlib import Path

import numpy as np

from pipelines.decode import UnreadableImage, decode
from pipelines.errors import InputError
from pipelines.labelled import Labelled

COLUMNS = ("image_name", "label")
_NAMED = 3


def read_rows(path: str | Path) -> list[tuple[str, int]]:
    """The rows of a file with the columns ``image_name`` and ``label``; other columns are passed over.

    Raises:
        InputError: the file or a column is missing, a label is no digit, a name is empty, or there are no rows.
    """
    expected = "a CSV file with a header and the columns image_name,label"
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path} has no column {' and no '.join(missing)}", expected, "add it")
            rows = [(row["image_name"] or "", row["label"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read ({error})", expected, "put it there or correct it") from error
    odd = [f"line {n}: {name!r},{label!r}" for n, (name, label) in enumerate(rows, 2) if not name or not is_digit(label)]
    if odd or not rows:
        given = f"{path} has {named(odd)}" if odd else f"{path} has no rows"
        raise InputError(given, "a name and a label in 0..9 in each line", "correct it")
    return [(name, int(label)) for name, label in rows]


def read_part(folder: str | Path, part: str, size: int = 28, channels: int = 3) -> Labelled:
    """The pictures that ``train.csv`` or ``val.csv`` names, with their labels, in its order.

    Args:
        folder: holds ``data`` and the CSV files.
        part: ``train`` or ``val``.
        size: side of the square pictures in pixels; others are fitted to it.
        channels: 3 for RGB, 1 for grey.

    Raises:
        InputError: as ``read_rows``, or a picture that is named is missing or damaged.
    """
    rows = read_rows(Path(folder) / f"{part}.csv")
    images = np.empty((len(rows), size, size, channels), np.uint8)

    faults = []
    for place, (name, _) in enumerate(rows):
        try:
            images[place] = decode(Path(folder) / "data" / name, size, channels)
        except UnreadableImage as error:
            faults.append(f"{name} ({error.reason})")
    if faults:
        given = f"{len(faults):,} of the {len(rows):,} pictures of {folder}/{part}.csv are unreadable: {named(faults)}"
        raise InputError(given, f"whole pictures in {Path(folder) / 'data'}", "fetch them again, or take the lines out")
    return Labelled(images, np.array([label for _, label in rows]), Path(folder).resolve().name or "csv")


def is_digit(text: str) -> bool:
    """Whether a label is one of 0..9."""
    return len(text.strip()) == 1 and text.strip() in "0123456789"


def named(things: list[str]) -> str:
    """The first few, and how many more there are."""
    more = len(things) - _NAMED
    return "; ".join(things[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
