"""The record of a comparison of recipes, ``results.json``: continued only where its rows stay comparable."""

import contextlib
import dataclasses
import os
import platform
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gan_tf.options import flag_name
from gan_tf.run_dir import RunDir
from gan_tf.tasks import Task
from gan_tf.utils.files import file_errors, read_json, write_json
from pipelines.errors import UserError
from pipelines.location import Location

FORMAT = 2
RESULTS, SAMPLES = "results.json", "samples.png"
_KEYS = {"format", "task", "minutes", "machine", "data", "rows"}


def open_record(task: Task, data: Location, minutes: float, runs: Path) -> dict[str, Any]:
    """Returns the record in ``runs/results.json``, or a new one.

    Raises:
        UserError: the record was started with other arguments or on another machine.
    """
    new: dict[str, Any] = {
        "format": FORMAT,
        "task": task.name,
        "minutes": minutes,
        "machine": detect_machine(),
        "data": {"path": str(data.resolve())},
        "rows": {},
    }
    record = read_record(runs)
    if record is None:
        return new
    hint = "Give the former value, or start another comparison with another --runs"
    started = f"with which the comparison in {runs} was started"
    for name in ("task", "minutes"):
        if record[name] != new[name]:
            raise UserError(f"--{name} {new[name]} differs from {record[name]}, {started}", hint)
    if record["data"]["path"] != new["data"]["path"]:
        raise UserError(f"--data {data} differs from {record['data']['path']}, {started}", hint)
    if record["machine"] != new["machine"]:
        problem = f"This machine ({describe_machine(new['machine'])}) is not the one of the other rows "
        problem += f"({describe_machine(record['machine'])}), so equal times are not comparable"
        raise UserError(problem, "Continue there with as many threads, or start another comparison with another --runs")
    return record


def read_record(runs: Path) -> dict[str, Any] | None:
    """Returns the record of a comparison; None if there is none yet.

    Raises:
        UserError: the file is damaged, something else, or of an older format.
    """
    path = runs / RESULTS
    if not path.exists():
        return None
    hint = "Put the former file back, or choose another --runs"
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error})", hint) from None
    if not isinstance(record, dict) or not record.keys() >= _KEYS or record["format"] != FORMAT:
        raise UserError(f"{path} is not the record of a comparison by this version of gan_tf", hint)
    return record


def save_record(record: Mapping[str, Any], runs: Path) -> None:
    """Writes the record."""
    write_json(runs / RESULTS, record)


def detect_machine() -> dict[str, Any]:
    """Returns what decides how much is trained in a minute: the processor, its cores, and the number of usable threads."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        cpu = model[1].strip() if model else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": len(os.sched_getaffinity(0))}


def describe_machine(machine: Mapping[str, Any]) -> str:
    """Returns the processor and the part of it that was used, in words."""
    return f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores"


def to_arguments(flags: Mapping[str, Any]) -> list[str]:
    """Returns options by field name as arguments of a command line."""
    arguments = []
    for name, value in flags.items():
        if isinstance(value, bool):
            arguments.append(flag_name(name if value else f"no_{name}"))
        else:
            arguments += [flag_name(name), str(value)]
    return arguments


def is_finished(row: Mapping[str, Any]) -> bool:
    """Returns whether nothing is left to be measured: all minutes are used up, or the training diverged."""
    return "full" in row or "diverged" in row


def check_recipe(task: Task, name: str, flags: dict[str, Any], record: Mapping[str, Any], runs: Path) -> None:
    """Checks that the flags of a recipe are valid, and that its configuration is the one recorded under its name.

    Raises:
        UserError: they are not valid, or it is not, or there is a folder of that name without a row.
    """
    resolved = task.family.resolve(task, {}, flags)
    config = dataclasses.asdict(resolved.config)
    row = record["rows"].get(name)
    if row is None:
        if (runs / name).exists():
            problem = f"{runs / name} exists, but {runs / RESULTS} has no row for it"
            raise UserError(problem, "Remove the folder, or choose another --runs")
        return
    hint = f"Give it another name, or start another comparison with another --runs ({runs} holds this one)"
    if row["flags"] != flags:
        now, before = (shlex.join(to_arguments(values)) for values in (flags, row["flags"]))
        raise UserError(f"Recipe {name} has the flags {now}, but was recorded with {before}", hint)
    # train.py chooses the precision by the machine, which is the same (``open_record``), unless a flag sets it.
    free = {"precision"} if resolved.sources["precision"] == "default" else set()
    recorded = {key: value for key, value in row.get("config", {}).items() if key not in free}
    changed = [key for key, value in recorded.items() if config.get(key) != value]
    if changed:
        now, before = (", ".join(f"{key} {values.get(key)}" for key in changed) for values in (config, recorded))
        raise UserError(f"Recipe {name} has {now}, but was recorded with {before}", hint)


def record_run(row: dict[str, Any], record: dict[str, Any], run_dir: RunDir) -> None:
    """Adds the configuration and the environment of a run to its row, and the number of its images to the record.

    Raises:
        UserError: the images are not those of the other rows.
    """
    config = run_dir.config
    row |= {"config": config["config"], "environment": config["environment"]}
    source = config["data"]["sources"]["real"]
    if record["data"].setdefault("digest", source["digest"]) != source["digest"]:
        problem = f"The images in {record['data']['path']} ({source['count']}) are not those of the other rows"
        problem += f" ({record['data']['count']})"
        hint = f"Put the former images back and remove {run_dir.path}, which was trained on others, or choose another --runs"
        raise UserError(problem, hint)
    record["data"] |= {name: source[name] for name in ("name", "count")}


@contextlib.contextmanager
def lock_comparison(runs: Path) -> Iterator[None]:
    """Locks the folder of a comparison: two at once would overwrite each other's rows and compete for the cores they time.

    Raises:
        UserError: another process holds the lock.
    """
    with file_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
    comparison = RunDir(runs)
    comparison.lock()
    try:
        yield
    finally:
        comparison.unlock()
