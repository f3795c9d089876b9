"""The cache folder of weights and of real images' features, and files that appear whole or not at all."""

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import InputError


def cache_folder() -> Path:
    """The folder for what can be got again: ``$GAN_TF_CACHE``, else ``~/.cache/gan_tf``. It may not exist yet."""
    return Path(os.environ.get("GAN_TF_CACHE") or Path.home() / ".cache" / "gan_tf")


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Calls ``write`` on a temporary file beside ``path`` and renames it, so that ``path`` appears whole or not at all.

    Raises:
        InputError: the folder can't be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"'{path}' can't be written ({error.strerror or error})",
            "a folder with write permission and room",
            "name another path, or another cache folder by GAN_TF_CACHE",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
