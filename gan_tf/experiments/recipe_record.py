"""The record of a comparison of recipes, ``results.json``: begun once, gone on with only where its rows stay comparable."""

import contextlib
import dataclasses
import os
import pkgutil
import platform
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gan_tf.experiments.recipe_table import RESULTS, machine_words, read, spoken
from gan_tf.tasks import Task
from gan_tf.training.run_dir import Run
from gan_tf.utils.files import readable_failures, write_json
from pipelines.errors import InputError


def begin(task: Task, data: Path, minutes: float, runs: Path) -> dict[str, Any]:
    """The record in ``runs/results.json``, or a new one.

    Raises:
        InputError: where it was begun with other arguments or on another machine.
    """
    now = {"task": task.name, "minutes": minutes, "machine": machine(), "data": {"path": str(data.resolve())}, "rows": {}}
    record = read(runs)
    if record is None:
        return now
    mend = "say it as then, or begin another comparison by another --runs"
    for name, old, new in [(f"--{name}", record[name], now[name]) for name in ("task", "minutes")]:
        if old != new:
            raise InputError(f"{name} {new}", f"{old}, with which {runs / RESULTS} was begun", mend)
    if record["data"]["path"] != now["data"]["path"]:
        raise InputError(f"--data {data}", f"{record['data']['path']}, with which the comparison in {runs} was begun", mend)
    if record["machine"] != now["machine"]:
        given = f"this machine ({machine_words(now['machine'])})"
        expected = f"that of the other rows, {machine_words(record['machine'])}: equal times mean nothing else"
        raise InputError(given, expected, "go on there with as many threads, or begin another comparison by another --runs")
    return record


def machine() -> dict[str, Any]:
    """What the work done in a minute depends on: the processor, its cores, and how many threads there may be."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        model = found[1].strip() if found else model
    return {"cpu": model, "cores": os.cpu_count(), "threads": len(os.sched_getaffinity(0))}


def check(task: Task, name: str, flags: dict[str, Any], record: dict[str, Any], runs: Path) -> None:
    """Refuses a recipe whose settings exclude each other, or differ from those recorded under its name.

    Raises:
        InputError: saying which.
    """
    resolved = pkgutil.resolve_name(task.workflow).resolve(task, {}, flags)
    settings = dataclasses.asdict(resolved.settings)
    row, folder = record["rows"].get(name), runs / name
    mend = f"give it another name, or begin another comparison by another --runs ({runs} holds this one)"
    if row is None:
        if folder.exists():
            given = f"{folder} exists, but {runs / RESULTS} knows nothing of it"
            raise InputError(given, "no folder, or its row", "remove it, or choose another --runs")
        return
    # A setting that has come since is no difference: it then has the value that means "as before". Nor is a precision
    # that nobody said, since train.py chooses it by the machine, which is the same (``begin``).
    old = row.get("settings", {})
    free = {"precision"} if resolved.sources["precision"] == "default" else set()
    changed = [key for key in old if key not in free and settings.get(key) != old[key]]
    if row["flags"] != flags:
        given = f"recipe {name} with {shlex.join(spoken(flags))}"
        raise InputError(given, f"{shlex.join(spoken(row['flags']))}, as it was recorded", mend)
    if changed:
        given = f"recipe {name} with {', '.join(f'{key} {settings.get(key)}' for key in changed)}"
        raise InputError(given, f"{', '.join(f'{key} {old[key]}' for key in changed)}, as it was recorded", mend)


def describe(row: dict[str, Any], record: dict[str, Any], run: Run) -> None:
    """Adds to the row and the record what the run's own ``config.json`` says.

    Raises:
        InputError: where the images are not those of the other rows.
    """
    config = run.config
    row |= {"settings": config["settings"], "environment": config["environment"]}
    data = {name: config["data"][name] for name in ("name", "count", "digest")}
    if record["data"].setdefault("digest", data["digest"]) != data["digest"]:
        given = f"the images now in {record['data']['path']} are not those of the other rows"
        mend = f"put them back and remove {run.folder}, which was trained on others, or choose another --runs"
        raise InputError(given, f"the same {record['data']['count']} files", mend)
    record["data"] |= data


def save(record: dict[str, Any], runs: Path) -> None:
    """Writes the record, whole."""
    write_json(runs / RESULTS, record)


@contextlib.contextmanager
def held(runs: Path) -> Iterator[None]:
    """Keeps other comparisons out of the folder: two at once would lose rows, and share the cores that they time.

    Raises:
        InputError: where another holds it.
    """
    with readable_failures(runs):
        runs.mkdir(parents=True, exist_ok=True)
    comparison = Run(runs)
    comparison.lock()
    try:
        yield
    finally:
        comparison.unlock()
