"""What folders of training and of validation images are called: one table for all data sets and commands.

Free of TensorFlow.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.errors import UserError
from pipelines.source import Split

TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("val", "valid", "validation", "test", "testing", "eval", "evaluation", "holdout", "heldout")
"""In any case, and with what people add: ``val2017``, ``test_set``, ``testA``, ``extra_val``. The first ones are preferred."""

_NAMES: dict[Split, tuple[str, ...]] = {"train": TRAINING_NAMES, "val": VALIDATION_NAMES}
_ADDED = r"(?:[\W_]?(?:set|data|images?|imgs?|\d+|[ab]))?"


def split_of(name: str) -> tuple[Split, str] | None:
    """Returns the split that a folder of this name holds, and which of the names of the table it has; None without one."""
    for split, names in _NAMES.items():
        words = "|".join(names)
        match = re.fullmatch(rf"(?:(?P<first>{words}){_ADDED}|.*[\W_](?P<last>{words}))", name.lower(), re.DOTALL)
        if match:
            return split, match["first"] or match["last"]
    return None


def is_held_out(name: str) -> bool:
    """Returns whether a folder of this name holds validation images, which are never trained on."""
    found = split_of(name)
    return found is not None and found[0] == "val"


def find_split_dir(folder: Path, split: Split) -> Path | None:
    """Returns the folder of a split directly below ``folder``; None without one, and if several have an equal claim.

    A folder with just a name of the table comes before one with an addition to it.
    """
    folders = list_dirs(folder)
    exact = [path for name in _NAMES[split] for path in folders if path.name.lower() == name]
    if exact:
        return exact[0]
    for name in _NAMES[split]:
        same = [path for path in folders if split_of(path.name) == (split, name)]
        if same:
            return same[0] if len(same) == 1 else None
    return None


def find_dir(path: Path, name: str) -> Path | None:
    """Returns the folder ``name`` (perhaps several names, "a/b") below ``path``, whatever its case; None without one."""
    for part in Path(name).parts:
        if (path / part).is_dir():
            path = path / part
            continue
        same = [entry for entry in list_dirs(path) if entry.name.lower() == part.lower()]
        if not same:
            return None
        path = same[0]
    return path


def first_dir(path: Path, names: Iterable[str]) -> Path | None:
    """Returns the first of several folders that exists below ``path``; see ``find_dir``."""
    return next((found for name in names if (found := find_dir(path, name)) is not None), None)


def list_dirs(folder: Path) -> list[Path]:
    """Returns the folders directly below ``folder``, sorted; none if it cannot be read, which is reported with its images."""
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []


def check_training_folder(path: Path, training_names: Sequence[str] = ()) -> str:
    """Checks a folder that is to be trained on as it is: whether it is, or lies in, the validation images of a data set.

    Args:
        path: what was named on the command line.
        training_names: what this data set calls its folders of training images, besides the names of the table.

    Returns:
        What is worth saying of it: that it is called like validation images, where no training images lie beside it.

    Raises:
        UserError: there are training images beside it, from which it is held out.
    """
    note = ""
    for place in (path.absolute(), path.resolve()):
        for folder in (place, *place.parents):
            if not is_held_out(folder.name):
                continue
            training = first_dir(folder.parent, training_names) or find_split_dir(folder.parent, "train")
            if training is None and split_of(folder.parent.name) == ("train", folder.parent.name.lower()):
                training = folder.parent
            if training is not None and training != folder:
                problem = f"{path} holds validation images, which are held out from training on {training}"
                hint = f"Name the folder of both, {folder.parent}, by --data, or move the images elsewhere"
                raise UserError(problem, hint)
            note = note or f"trained on although it lies in {folder.name}/, as validation images do: no score holds it out"
    return note
