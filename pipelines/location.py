"""Where a task's images lie, which is what ``--data`` names: a folder, or a data set of tensorflow-datasets.

Free of TensorFlow.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    from pipelines.formats.tfds import TfdsData

FORM = "tfds[:NAME][@DIR]"
"""How a data set of tensorflow-datasets is written; a folder of that name can be given as ./tfds."""

_TFDS = re.compile(r"tfds(?::(?P<name>[^@]*))?(?:@(?P<data_dir>.*))?", re.DOTALL)
_NAME = re.compile(r"\w+(/[\w.-]+)?(:[\d.]+)?")  # without a namespace, which tensorflow-datasets would look up in the network


@dataclass(frozen=True)
class TfdsLocation:
    """A data set that tensorflow-datasets has prepared.

    Attributes:
        name: as ``tfds.load`` takes it, such as "cifar10" or "cycle_gan/summer2winter_yosemite"; None: the task's own.
        data_dir: the folder of prepared data sets; None: ``TFDS_DATA_DIR``, or ~/tensorflow_datasets.
    """

    name: str | None = None
    data_dir: Path | None = None

    def __str__(self) -> str:
        name = f":{self.name}" if self.name else ""
        return f"tfds{name}@{self.data_dir}" if self.data_dir else f"tfds{name}"

    def resolve(self) -> "TfdsLocation":
        """Returns the same location with an absolute folder, as ``Path.resolve`` does."""
        return TfdsLocation(self.name, self.data_dir.resolve() if self.data_dir else None)


Location = Path | TfdsLocation


def parse_location(text: str) -> Location:
    """Returns the location that a person wrote; ``str`` of it gives the same location again.

    Raises:
        UserError: it begins like a data set of tensorflow-datasets, but names none, or the folder of an unknown user.
    """
    match = _TFDS.fullmatch(text)
    if match is None:
        return Path(text)
    name, data_dir = match["name"], match["data_dir"]
    if data_dir == "" or (name is not None and not _NAME.fullmatch(name)):
        raise UserError(f"--data {text} is not {FORM}, such as tfds:cifar10@/path/to/tensorflow_datasets", "Correct the value")
    try:
        return TfdsLocation(name, Path(data_dir).expanduser() if data_dir else None)
    except RuntimeError:  # of ~ or ~somebody
        raise UserError(f"--data {text} names a user who has no home folder", "Write the path without ~") from None


def open_data(spec: DataSpec, location: Location, split: Split, memory_budget: int) -> dict[str, Source]:
    """Reads a task's data; see ``DataSpec.open``.

    Args:
        spec: of the task.
        location: a folder, or a data set of tensorflow-datasets.
        split: "train" or "val".
        memory_budget: how many bytes of decoded images may be held in memory.

    Raises:
        UserError: there is no such data, it is damaged, or it does not fit the task.
    """
    if isinstance(location, Path):
        return spec.open(location, split, memory_budget)
    return _tfds_of(spec, location).open(location, split, memory_budget)


def has_validation(spec: DataSpec, location: Location) -> bool:
    """Returns whether there are validation images; see ``DataSpec.has_validation``. Raises as ``open_data``."""
    if isinstance(location, Path):
        return spec.has_validation(location)
    return _tfds_of(spec, location).has_validation(location)


def describe_locations(spec: DataSpec) -> str:
    """Returns what ``--data`` takes for a task, as help and messages say it."""
    about = f"a folder with {spec.layout}"
    if spec.tfds is None:
        return about
    return f"{about}; or {FORM}: tensorflow-datasets' {spec.tfds.name or 'data set NAME'}"


def _tfds_of(spec: DataSpec, location: TfdsLocation) -> "TfdsData":
    if spec.tfds is None:
        raise UserError(f"--data {location} does not apply to this task, which reads folders only", "Name a folder by --data")
    return spec.tfds
