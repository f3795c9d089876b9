"""Run folders ``runs/<task>/<NNN>-<variant>-<data>``: created, found, locked, described by ``config.json``.

Free of TensorFlow.
"""

import errno
import fcntl
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from gan_tf.utils.files import file_errors, read_json, write_json
from pipelines.errors import UserError

FORMAT = 3
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # network file systems, and some in user space
FAILURE = "failure.json"  # written where a number that is not finite ended the training
_NAME = re.compile(r"(\d{3,})-.+")
_NAME_LENGTH = 100  # of names that hold those of folders of images; file systems allow 255 bytes
_CHECKPOINT = re.compile(r"step-(\d{9})")
# The keys of config.json that other code relies on, and those that are there only after --init-from and for some data.
_CONTENT = {
    "run_id": str,
    "task": str,
    "command": str,
    "steps": int,
    "config": dict,
    "sources": dict,
    "explicit": dict,
    "options": dict,
    "data": dict,
    "environment": dict,
}
_DATA = {"path": str | None, "sources": dict}
_OPTIONAL, _OPTIONAL_DATA = {"initialized_from": list}, {"annotations": str | None, "folders": dict}
_SOURCE = {"name": str, "count": int, "digest": str}


class RunDir:
    """The folder of a run.

    Attributes:
        path: the folder, which exists.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lock_file: IO[str] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The content of ``config.json``; raises as ``read_run_config``."""
        return read_run_config(self.path)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Writes ``config.json``."""
        write_json(self.path / "config.json", config)

    def lock(self) -> None:
        """Locks the run until ``unlock`` or until the process ends, in whatever way.

        Raises:
            UserError: another process holds the lock.
        """
        with file_errors(self.path / "lock"):
            self._lock_file = open(self.path / "lock", "w")  # noqa: SIM115 (held as long as the process lives)
        try:
            lock_file(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unlock()
            problem = f"The run {self.path} is locked by another process, which is training it"
            raise UserError(problem, "Wait until it has ended, or start another run") from None

    def unlock(self) -> None:
        """Releases the lock, if it is held."""
        if self._lock_file:
            self._lock_file.close()
            self._lock_file = None

    def remove_untrained(self) -> None:
        """Removes the folder, unless it holds the result of training or the record of a failure."""
        if not has_trained(self.path) and not (self.path / FAILURE).is_file():
            shutil.rmtree(self.path, ignore_errors=True)  # what is left does no harm, and the reason to remove it is told


def read_run_config(directory: Path) -> dict[str, Any]:
    """Returns the content of a run's ``config.json``.

    Raises:
        UserError: there is no such folder, it is not a run's, its ``config.json`` is lost, or an older version wrote it.
    """
    hint = "Give a run folder such as runs/anime/000-hinge-faces"
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"{directory} is not a folder", hint)
    config = _read_json(directory / "config.json")
    if isinstance(config, dict) and ("settings" in config or config.get("format") in range(2, FORMAT)):
        raise older_format(directory, "its config.json has another layout")
    if not _is_run_config(config):
        if has_trained(directory):
            problem = f"{directory} has been trained, but its config.json is lost or damaged"
            raise UserError(problem, f"Put it back, or {hint_new_run(directory)}")
        raise UserError(f"{directory} has no readable config.json, so it is not a run folder", hint)
    return config


def has_checkpoints(directory: Path) -> bool:
    """Returns whether a directory is a run's, with a ``config.json`` and checkpoints."""
    directory = Path(directory)
    return _is_run_config(_read_json(directory / "config.json")) and any((directory / "checkpoints").glob("step-*"))


def find_run_id(directory: Path) -> str | None:
    """Returns the identity of the run in a directory; None if it has no readable ``config.json``."""
    config = _read_json(Path(directory) / "config.json")
    return config["run_id"] if _is_run_config(config) else None


def has_trained(directory: Path) -> bool:
    """Returns whether a run holds the result of training: checkpoints, but for that of step 0, weights or curves."""
    directory = Path(directory)
    metrics = directory / "metrics.jsonl"
    steps = [_CHECKPOINT.fullmatch(path.name) for path in (directory / "checkpoints").glob("step-*")]
    if any(step and int(step[1]) for step in steps) or (directory / "weights.npz").is_file():
        return True
    return metrics.is_file() and metrics.stat().st_size > 0


def is_of_train(config: Mapping[str, Any]) -> bool:
    """Returns whether train.py started the run of a ``config.json``; it knows the task, which is not an experiment's own."""
    return str(config["command"]).startswith("python train.py ")


def hint_new_run(directory: Path) -> str:
    """Returns how to go on without a run that has lost files, as the second half of a hint."""
    directory = Path(directory)
    if (directory / "weights.npz").is_file() and (directory / "card.json").is_file():
        return f"start a new run from its weights by train.py --init-from {directory}"
    return "start a new run"


def older_format(directory: Path, reason: str) -> UserError:
    """Returns the error for a folder that a version of this program with another file format wrote."""
    problem = f"{directory} was written by an older version of gan_tf ({reason})"
    return UserError(problem, "Train again, or use the version that wrote it")


def create_run_dir(runs: Path, task: str, name: str) -> RunDir:
    """Creates the next free run folder of a task; two processes never get the same one.

    Raises:
        UserError: the folder cannot be created.
    """
    parent = Path(runs) / task
    with file_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        with open(parent / ".numbering", "w") as numbering:
            lock_file(numbering, fcntl.LOCK_EX)
            number = max((number for number, _ in _numbered_dirs(parent)), default=-1) + 1
            path = parent / f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-')[:_NAME_LENGTH]}"
            path.mkdir()
    return RunDir(path)


def lock_file(file: IO[str], operation: int) -> None:
    """Locks an open file with ``fcntl.flock``; on a file system that has no locks, warns and goes on without.

    Raises:
        BlockingIOError: another process holds the lock, and ``operation`` does not wait.
    """
    try:
        fcntl.flock(file, operation)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        reason = f"its file system has no locks ({error.strerror})"
        warnings.warn(f"{file.name} cannot be locked, since {reason}: train this run in one process only", stacklevel=2)


def find_newest_run(runs: Path, task: str) -> RunDir | None:
    """Returns the run of a task with the highest number, leaving out those that ended before they began; None without one.

    Raises:
        UserError: there are only runs without a number, which have been renamed.
    """
    parent = Path(runs) / task
    if not parent.is_dir():
        return None
    for _, path in sorted(_numbered_dirs(parent), reverse=True):
        if _is_run(path):
            return RunDir(path)
    renamed = next(filter(_is_run, sorted(parent.iterdir())), None)
    if renamed is not None:
        problem = f"No run in {parent} has a number, so none is known to be the newest; {renamed.name} is one without"
        raise UserError(problem, f"Name the folder of the run, such as {renamed}")
    return None


def _is_run(directory: Path) -> bool:
    return (directory / "config.json").is_file() or has_trained(directory)


def _read_json(path: Path) -> Any:
    """Returns the content of a JSON file; None if there is none, or it is damaged."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _numbered_dirs(parent: Path) -> list[tuple[int, Path]]:
    matches = [(_NAME.fullmatch(path.name), path) for path in parent.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match]


def _is_run_config(config: Any) -> bool:
    if not _has_keys(config, _CONTENT, _OPTIONAL) or config.get("format") != FORMAT:
        return False
    data, stages = config["data"], config.get("initialized_from", [])
    if not _has_keys(data, _DATA, _OPTIONAL_DATA) or not all(isinstance(stage, dict) for stage in stages):
        return False
    are_paths = all(isinstance(path, str) for path in data.get("folders", {}).values())
    are_facts = all(isinstance(config["environment"].get(name, {}), dict) for name in ("versions", "variables"))
    return are_paths and are_facts and all(_has_keys(source, _SOURCE) for source in data["sources"].values())


def _has_keys(values: Any, types: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> bool:
    """Returns whether ``values`` is a dictionary with all the keys in ``types``, each value of its type, as optional ones."""
    if not isinstance(values, dict) or not types.keys() <= values.keys():
        return False
    kinds = {**types, **(optional or {})}
    return all(isinstance(values[key], kind) for key, kind in kinds.items() if key in values)
