"""Where labelled digits lie below a folder: MNIST's IDX files and the CSV folders of MNIST-M, whichever of them are there."""

from pathlib import Path

from pipelines.errors import InputError
from pipelines.formats import idx
from pipelines.formats import label_csv as csv_folders
from pipelines.labelled import Labelled, joined

IDX_FOLDERS = (".", "mnist")
CSV_FOLDERS = (".", "mnistm", "digits/mnistm")


def digit_sets(folder: str | Path, validation: bool = False) -> list[Labelled]:
    """The training or the validation parts (MNIST's test images, ``val.csv``) of all sets below ``folder``.

    Raises:
        InputError: there is none, or one is damaged.
    """
    folder, sets = Path(folder), []
    for place in IDX_FOLDERS:
        if idx.find(folder / place, "train", "images") or idx.find(folder / place, "test", "images"):
            sets.append(idx.read_digits(folder / place, "test" if validation else "train"))
            break
    for place in CSV_FOLDERS:
        if (folder / place / "data").is_dir() and any((folder / place / f"{p}.csv").is_file() for p in ("train", "val")):
            sets.append(csv_folders.read_part(folder / place, "val" if validation else "train"))
            break
    if not sets:
        expected = "MNIST's IDX files (here or in mnist/), or data/*.png with train.csv and val.csv (here or in mnistm/)"
        raise InputError(f"no labelled digits in {folder}", expected, "correct --data")
    return sets


def training_digits(folder: str | Path) -> Labelled:
    """All training digits below ``folder`` as one source, in which each set is about as frequent as the largest.

    A smaller set comes several times (MNIST-M's 14,000 four times beside MNIST's 60,000): it is the harder one.

    Raises:
        InputError: as ``digit_sets``.
    """
    sets = digit_sets(folder)
    most = max(map(len, sets))
    source = joined([part for part in sets for _ in range(round(most / len(part)))])
    source.name = "-".join(part.name for part in sets)
    return source
