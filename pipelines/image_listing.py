"""Lists the images below a folder, without opening them. Free of TensorFlow and NumPy."""

import functools
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import UserError, counted

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_COMPANIONS = (
    ".csv",
    ".db",
    ".htm",
    ".html",
    ".ini",
    ".json",
    ".log",
    ".mat",
    ".md",
    ".pdf",
    ".tsv",
    ".txt",
    ".xml",
    ".yaml",
    ".yml",
)
"""Of files that lie beside images on purpose, so that nobody misses them."""

_MAX_NAMED = 5  # folders or files that a message names


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the images below ``folder`` at any depth by their suffix (any case), without opening them.

    Files and folders whose names start with a dot are skipped; links are followed, but no folder is visited twice. A warning
    says what else is left out: files of kinds that are not read, pipes and devices, and folders and links that lead nowhere.

    Returns:
        Paths that start with ``folder``, sorted by their relative POSIX path (by code point, so the same everywhere).

    Raises:
        UserError: there is no such folder, it is a file, it cannot be read, or there is no image in it.
    """
    return list_images_except(folder, None)[0]


def list_images_except(
    folder: str | os.PathLike[str], is_skipped: "Callable[[str], bool] | None", skipped_folders: Collection[Path] = ()
) -> tuple[list[Path], list[Path]]:
    """Lists images as ``list_images``, but none in certain folders, by whatever links they are reached.

    Args:
        folder: where to look.
        is_skipped: whether folders of a name are skipped, at any depth; None skips none.
        skipped_folders: other folders to skip, which need not lie below ``folder``.

    Returns:
        The images, and the folders (and links to images) that were skipped, both sorted.

    Raises:
        UserError: as ``list_images``.
    """
    root = Path(folder)
    if not root.exists():
        nearest = next(parent for parent in root.absolute().parents if parent.exists())
        raise UserError(f"There is no folder {root}; the path exists as far as {nearest}", "Correct the path")
    if not root.is_dir():
        raise UserError(f"{root} is not a folder", f"Give a folder of images, perhaps {root.absolute().parent}")
    try:
        found = _scan(root, is_skipped or _never)
        if is_skipped or skipped_folders:
            _skip_links(root, found, is_skipped or _never, skipped_folders)
    except OSError as error:
        hint = "Make it readable, or give another folder"
        raise UserError(f"{error.filename} cannot be read ({error.strerror})", hint) from error
    if not found.images and found.skipped:
        skipped = ", ".join(sorted(found.skipped)[:_MAX_NAMED])
        problem = f"No images were found in {root} but in {skipped or 'a validation folder'}, which is held out from training"
        raise UserError(problem, f"Put training images into {root / 'train'}")
    if not found.images and found.odd:
        path, reason = next(iter(found.odd.items()))
        raise UserError(
            f"No images can be read in {root}; {_printable(path)}: {reason}", "Make them readable, or give another folder"
        )
    if not found.images and found.others:
        kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in found.others.most_common(5))
        problem = f"No images were found in {root}; it holds {counted(found.others.total(), 'other file')} ({kinds})"
        raise UserError(problem, "Convert them to PNG, or give another folder")
    if not found.images:
        problem = f"No images were found in {root} (it is empty)"
        raise UserError(problem, f"Put image files there ({', '.join(SUFFIXES)}), or give another folder")
    _warn_of_rest(root, found)
    return [root / image for image in sorted(found.images)], [root / skipped for skipped in sorted(found.skipped)]


@dataclass
class _Found:
    """What lies below a folder: relative paths of images and of skipped folders, and how many other files of each suffix.

    Each image comes with its path without links, and whatever cannot be opened with the reason.
    """

    images: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    odd: dict[str, str] = field(default_factory=dict)


def _scan(root: Path, is_skipped: Callable[[str], bool]) -> _Found:
    found, visited = _Found(), set()
    pending = [("", os.path.realpath(root))]
    while pending:
        relative, real = pending.pop()
        try:
            status = os.stat(root / relative)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(root / relative) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):
                    if entry.name.startswith("."):
                        continue
                    real_entry = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}"
                    if _is_dir(entry) and is_skipped(entry.name):
                        found.skipped.append(relative + entry.name)
                    elif _is_dir(entry):
                        pending.append((f"{relative}{entry.name}/", real_entry))
                    else:
                        _add_file(found, entry, relative, real_entry)
        except OSError as error:
            if not relative:
                raise
            found.odd[relative] = error.strerror or str(error)
    return found


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False


def _add_file(found: _Found, entry: "os.DirEntry[str]", relative: str, real: str) -> None:
    """Counts a file as an image, as one of another kind, or as one that cannot be opened."""
    suffix = os.path.splitext(entry.name)[1].lower()
    try:
        is_regular = stat.S_ISREG(entry.stat().st_mode) if entry.is_symlink() else entry.is_file()
        reason = "" if is_regular else "a pipe, a socket or a device"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason and (suffix in SUFFIXES or entry.is_symlink()):
        found.odd[relative + entry.name] = reason
    elif suffix in SUFFIXES:
        found.images[relative + entry.name] = real
    else:
        found.others[suffix] += 1


def _warn_of_rest(root: Path, found: _Found) -> None:
    """Warns of what lies among the images and is not read, once for each folder."""
    kinds = Counter({suffix: count for suffix, count in sorted(found.others.items()) if suffix not in _COMPANIONS})
    parts = []
    if kinds:
        named = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in kinds.most_common(_MAX_NAMED))
        parts.append(f"{counted(kinds.total(), 'file')} of kinds that are not read ({named})")
    if found.odd:
        first = ", ".join(f"{_printable(path)} ({reason})" for path, reason in list(found.odd.items())[:_MAX_NAMED])
        more = f" and {len(found.odd) - _MAX_NAMED:,} more" if len(found.odd) > _MAX_NAMED else ""
        parts.append(f"{len(found.odd):,} that cannot be opened: {first}{more}")
    if parts:
        warnings.warn(f"left out in {_printable(str(root))}: {'; '.join(parts)}", stacklevel=2)


def _printable(path: str) -> str:
    """Returns a path whose bytes are no UTF-8 with escapes in their place."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _never(name: str) -> bool:
    return False


def _skip_links(root: Path, found: _Found, is_skipped: Callable[[str], bool], skipped_folders: Collection[Path]) -> None:
    """Removes the images that lie in a skipped folder where links are followed; notes the folders that they were found in."""
    real_root = os.path.realpath(root)
    real_skipped = [f"{os.path.realpath(path)}/" for path in (*skipped_folders, *map(root.joinpath, found.skipped))]

    @functools.cache
    def lies_in_skipped(real_folder: str) -> bool:
        names = os.path.relpath(real_folder, real_root).split("/")
        return any(map(is_skipped, names)) or f"{real_folder}/".startswith(tuple(real_skipped))

    linked = [image for image, real in found.images.items() if lies_in_skipped(os.path.dirname(real))]
    for image in linked:
        del found.images[image]
    found.skipped += {image if (root / image).is_symlink() else os.path.dirname(image) for image in linked}
