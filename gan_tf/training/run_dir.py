"""Run folders ``runs/<task>/<NNN>-<loss>-<data>``: made, found, locked, described by ``config.json``."""

import fcntl
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_tf.utils.files import readable_failures, write_json
from pipelines.errors import InputError

NAME = re.compile(r"(\d{3,})-.+")
# What each config.json holds and others count on; "watched" is missing in early ones, "began_with" is there after --init-from.
CONTENT = {"task": str, "command": str, "steps": int, "settings": dict, "sources": dict, "data": dict, "environment": dict}
DATA = {"name": str, "path": str | None, "count": int, "digest": str}


class Run:
    """A run folder that exists."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.lock_file = None

    @property
    def config(self) -> dict:
        """What ``config.json`` says.

        Raises:
            InputError: where the folder is not a run's.
        """
        return read_config(self.folder)

    def write_config(self, config: dict) -> None:
        write_json(self.folder / "config.json", config)

    def lock(self) -> None:
        """Holds the run until the process ends, however it ends.

        Raises:
            InputError: where another process trains it.
        """
        with readable_failures(self.folder / "lock"):
            self.lock_file = open(self.folder / "lock", "w")  # noqa: SIM115 (held as long as the process lives)
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            given = f"{self.folder} is being trained by another process"
            raise InputError(given, "a run that nobody trains", "wait for it, or start another run") from None

    def unlock(self) -> None:
        if self.lock_file:
            self.lock_file.close()
            self.lock_file = None


def read_config(folder: Path) -> dict:
    """The ``config.json`` of a run folder.

    Raises:
        InputError: where there is no such folder, or it isn't a run's.
    """
    mend = "give a folder such as runs/anime/000-hinge-faces"
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is not a folder", "a run folder", mend)
    try:
        config = json.loads((Path(folder) / "config.json").read_text())
        if not (holds(config, CONTENT) and holds(config["data"], DATA) and isinstance(config.get("watched", {}), dict)):
            raise ValueError
    except (OSError, ValueError):
        raise InputError(f"{folder} has no readable config.json", "a run folder", mend) from None
    return config


def holds(values: Any, content: Mapping[str, Any]) -> bool:
    """Whether ``values`` is a dictionary with all that ``content`` names, each of its type."""
    return isinstance(values, dict) and all(name in values and isinstance(values[name], kind) for name, kind in content.items())


def create(root: Path, task: str, name: str) -> Run:
    """Makes the next free run folder of a task; two processes never get the same one."""
    parent = Path(root) / task
    with readable_failures(parent):
        parent.mkdir(parents=True, exist_ok=True)
        with open(parent / ".numbering", "w") as numbering:
            fcntl.flock(numbering, fcntl.LOCK_EX)
            number = max((int(m[1]) for p in parent.iterdir() if (m := NAME.fullmatch(p.name))), default=-1) + 1
            folder = parent / f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-')}"
            folder.mkdir()
    return Run(folder)


def newest(root: Path, task: str) -> Run | None:
    """The run of a task with the highest number that has a config; None where there is none."""
    parent = Path(root) / task
    if not parent.is_dir():
        return None
    numbered = [(int(m[1]), p) for p in parent.iterdir() if (m := NAME.fullmatch(p.name))]
    return next((Run(p) for _, p in sorted(numbered, reverse=True) if (p / "config.json").is_file()), None)
