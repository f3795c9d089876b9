"""Two domains of unpaired images, in the folders trainA, trainB, testA and testB (Zhu et al. 2017).

Free of TensorFlow until images are read.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import UserError
from pipelines.image_listing import list_images_except
from pipelines.source import DataSpec, Source, Split
from pipelines.split_names import TRAINING_NAMES, VALIDATION_NAMES, find_dir, first_dir, is_held_out

DOMAINS = ("a", "b")
_NAMES: dict[Split, tuple[str, ...]] = {"train": TRAINING_NAMES, "val": ("test", *VALIDATION_NAMES)}  # the usual one first
_CHANNELS = 3


@dataclass(frozen=True)
class UnpairedData(DataSpec):
    """Images of domain A and of domain B, as the sources "a" and "b".

    Attributes:
        size: height and width that all images are fitted to.
        names: what the folder that holds the four is called, where it lies below the data folder.
    """

    size: int
    names: tuple[str, ...] = ()

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        below = "".join(f", or in {name}/" for name in self.names)
        return f"images in trainA/ and trainB/, and validation images in testA/ and testB/ if there are any, there{below}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads both domains of a split; see ``DataSpec.open``. Each may use half of the memory."""
        from pipelines.image_folder import ImageFolder

        path = Path(path)
        sources: dict[str, Source] = {}
        for domain, folder in self._find_both(path, split).items():
            files, held_out = list_images_except(folder, is_held_out if split == "train" else None)
            source = ImageFolder(folder, self.size, _CHANNELS, memory_budget // 2, files=files, check_pixels=split == "val")
            source.note = f"held out: {', '.join(str(place.relative_to(path)) for place in held_out)}" if held_out else ""
            source.name = Path(path.resolve().name, *folder.relative_to(path).parts).as_posix()
            source.split = split
            sources[domain] = source
        return sources

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic landscapes in summer and in winter; see ``DataSpec.open_synthetic``."""
        from pipelines.synthetic.seasons import SyntheticSummer, SyntheticWinter

        return {"a": SyntheticSummer(size=self.size), "b": SyntheticWinter(size=self.size)}

    def at_size(self, image_size: int) -> "UnpairedData":
        """Returns the same images, fitted to another size; see ``DataSpec.at_size``."""
        return replace(self, size=image_size)

    def has_validation(self, path: Path) -> bool:
        """Returns whether there are testA and testB; see ``DataSpec.has_validation``."""
        root = self._find_root(Path(path))
        return all(_find_part(root, "val", domain) is not None for domain in DOMAINS)

    def _find_both(self, path: Path, split: Split) -> dict[str, Path]:
        """Returns the folders of both domains of a split; raises a UserError that says what was found instead."""
        root = self._find_root(path)
        folders = {domain: _find_part(root, split, domain) for domain in DOMAINS}
        missing = [_folder_name(split, domain) for domain, folder in folders.items() if folder is None]
        if missing:
            raise _missing(root, missing, [_folder_name(split, domain) for domain in DOMAINS])
        return {domain: folder for domain, folder in folders.items() if folder is not None}

    def _find_root(self, path: Path) -> Path:
        """Returns the folder that holds one of the four: ``path``, or else one of ``names`` below it, or else ``path``."""
        places = [path, *(place for name in self.names if (place := find_dir(path, name)) is not None)]
        parts = [(split, domain) for split in _NAMES for domain in DOMAINS]
        return next((place for place in places if any(_find_part(place, *part) is not None for part in parts)), path)


def _folder_name(split: Split, domain: str) -> str:
    return _NAMES[split][0] + domain.upper()


def _find_part(root: Path, split: Split, domain: str) -> Path | None:
    """Returns the folder of a domain's split below ``root``, by any of the names that a split has; None without one."""
    return first_dir(root, [name + domain.upper() for name in _NAMES[split]])


def _missing(root: Path, missing: list[str], needed: list[str]) -> UserError:
    """Returns the error for a folder without images of both domains."""
    first, second = needed
    hint = f"Put the images of the two domains into {root / first} and {root / second}"
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        return UserError(f"{root} {state}, but a folder with {first}/ and {second}/ is needed", hint)
    entries = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    found = f"only {', '.join(entries[:5])}{' and more' if len(entries) > 5 else ''}" if entries else "nothing"
    return UserError(f"{root} has no folder {' and no folder '.join(missing)}; it holds {found}", hint)
