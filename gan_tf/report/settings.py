"""The configuration of runs as tables: what differs from the defaults, and what differs between runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_tf.options import flag_name
from gan_tf.report.run_files import RunFiles

_SOURCES = {
    "cli": "command line",
    "config": "--config file",
    "default": "default",
    "task": "default of the task",
    "machine": "what this machine is fast in",
    "data": "the images",
}
NONE = "–"


@dataclass(frozen=True)
class Setting:
    """An option of a configuration, in words.

    Attributes:
        flag: its flag.
        value: its value.
        default: the family's default.
        source: what decided the value.
        about: its help text.
        changed: whether the value is not the default.
    """

    flag: str
    value: str
    default: str
    source: str
    about: str
    changed: bool


def list_settings(run: RunFiles) -> list[Setting]:
    """Returns all options of a run's configuration, those that are not at their defaults first."""
    sources, settings = run.record["sources"], []
    for field in dataclasses.fields(run.config):
        value = getattr(run.config, field.name)
        source = str(sources.get(field.name, "default"))
        settings.append(
            Setting(
                flag_name(field.name),
                format_value(value),
                format_value(field.default),
                _SOURCES.get(source, f"goes with --{source.replace('_', '-')}"),
                field.metadata["about"],
                value != field.default,
            )
        )
    return sorted(settings, key=lambda setting: not setting.changed)


def find_differences(runs: Sequence[RunFiles]) -> list[tuple[str, list[str]]]:
    """Returns what differs between runs: a name and each run's value, the configuration first."""
    tables = [_describe(run) for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = [(name, [table.get(name, NONE) for table in tables]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _describe(run: RunFiles) -> dict[str, str]:
    """Returns all that decides a run's weights, by name."""
    environment: Mapping[str, Any] = run.record["environment"]
    values = {"task": run.task.name}
    values |= {flag_name(name): format_value(value) for name, value in dataclasses.asdict(run.config).items()}
    values["steps planned"] = f"{run.record['steps']:,}"
    for name, source in run.record["data"]["sources"].items():
        values[f"images ({name})"] = f"{source['count']:,} of {source['name']}, SHA-256 {source['digest'][:12]}"
    stages = run.record.get("initialized_from", [])
    values["initialized from"] = f"{len(stages)} earlier training{'s' * (len(stages) > 1)}" if stages else "random weights"
    for name, version in environment.get("versions", {}).items():
        values[name] = str(version)
    values["threads"] = str(environment.get("threads", NONE))
    values["code"] = str(environment.get("code", NONE))[:12]
    return values


def format_value(value: Any) -> str:
    """Returns a value as a reader expects it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and 1000 <= abs(value) < 1e15 else f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value))
    return str(value)
