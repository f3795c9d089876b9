"""Options: fields of a frozen dataclass that are also command-line flags, and how layers of values become one configuration.

A family's configuration, its ``infer.py`` options and the options of a run are such dataclasses. Free of TensorFlow.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import UserError, shorten
from pipelines.numbers import NumberRange

CLI = "cli"  # the source of a value that was given on the command line


def option(
    default: Any,
    about: str,
    *,
    choices: tuple[str, ...] | tuple[int, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    **words: Any,
) -> Any:
    """Returns a dataclass field with the help text and the allowed values of its flag.

    Args:
        default: the field's default; None for an optional value, or for a positional argument that must be given.
        about: the help text.
        choices: the allowed values.
        minimum: the lowest allowed number.
        maximum: the highest allowed number; None for the highest that fits 32 bits.
        above: a number that the value must exceed.
        words: ``shown_default`` (what the help shows instead of the default), ``metavar``, ``positional`` (True for a
            positional argument), ``takes_memory`` (True for a number that, the higher it is, makes a training larger).
    """
    metadata = {"about": about, "choices": choices, "minimum": minimum, "maximum": maximum, "above": above}
    others = {"shown_default": None, "metavar": None, "positional": False, "takes_memory": False}
    unknown = words.keys() - others.keys()
    if unknown:
        raise TypeError(f"option() got unexpected arguments: {', '.join(sorted(unknown))}")
    return dataclasses.field(default=default, metadata=metadata | others | words)


@dataclass(frozen=True)
class Resolved:
    """A configuration and where its values came from.

    Attributes:
        config: an instance of a dataclass of options.
        sources: for each field the layer that decided it ("default", "task", "loss", …, "config", "cli").
        explicit: the values that the user gave, in a ``--config`` file or on the command line.
    """

    config: Any
    sources: dict[str, str]
    explicit: dict[str, Any]


@dataclass(frozen=True)
class Preset:
    """Values that some choice brings with it. Explicit values override them.

    Attributes:
        source: the name under which the values are recorded, for example "loss".
        when: the values that must hold for the preset to apply; see ``holds``.
        sets: the values that it sets.
    """

    source: str
    when: Mapping[str, Any]
    sets: Mapping[str, Any]


@dataclass(frozen=True)
class Conflict:
    """A combination of values that is refused.

    Attributes:
        when: the values that together are refused; see ``holds``.
        reason: why, as a clause that follows "because".
        hint: how to fix it.
        explicit: options that are refused beside ``when`` only where the user gave them.
    """

    when: Mapping[str, Any]
    reason: str
    hint: str
    explicit: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Activity:
    """A condition on an option that can be switched off by "none" or 0."""

    active: bool

    def allows(self, value: Any) -> bool:
        return (value not in ("none", 0)) == self.active


ACTIVE, INACTIVE = _Activity(True), _Activity(False)


def holds(when: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Returns whether ``values`` fulfill all conditions: ACTIVE, INACTIVE, a tuple of allowed values, or one value."""
    for name, condition in when.items():
        if isinstance(condition, _Activity):
            fulfilled = condition.allows(values[name])
        elif isinstance(condition, tuple):
            fulfilled = values[name] in condition
        else:
            fulfilled = values[name] == condition
        if not fulfilled:
            return False
    return True


def resolve(
    cls: type, defaults: Mapping[str, Any], presets: Iterable[Preset], file: Mapping[str, Any], cli: Mapping[str, Any]
) -> Resolved:
    """Resolves a configuration: defaults < the task's defaults < presets < ``--config`` file < command line.

    Args:
        cls: a dataclass of options.
        defaults: the task's defaults.
        presets: applied in order, where their conditions hold for the values that the earlier ones and the user gave.
        file: values of a ``--config`` file.
        cli: values of the command line.

    Raises:
        UserError: a name that ``cls`` does not have, or a value that its option does not allow.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    explicit = {**check_values(cls, file, "config"), **check_values(cls, cli, CLI)}
    values = {name: field.default for name, field in fields.items()} | check_values(cls, defaults, "task")
    sources = dict.fromkeys(fields, "default") | dict.fromkeys(defaults, "task")
    for preset in presets:
        if holds(preset.when, values | explicit):
            values |= check_values(cls, preset.sets, preset.source)
            sources |= dict.fromkeys(preset.sets, preset.source)
    sources |= dict.fromkeys(file, "config") | dict.fromkeys(cli, CLI)
    return Resolved(cls(**(values | explicit)), sources, explicit)


def refuse_conflicts(resolved: Resolved, conflicts: Iterable[Conflict]) -> None:
    """Checks a configuration against combinations that make no sense.

    Raises:
        UserError: for the first conflict, with its reason.
    """
    values = dataclasses.asdict(resolved.config)
    for conflict in conflicts:
        given = [name for name in conflict.explicit if name in resolved.explicit]
        if holds(conflict.when, values) and (given or not conflict.explicit):
            set_names = [name for name in [*given, *conflict.when] if values[name] is not None]
            combination = " ".join(f"{flag_name(name)} {values[name]}" for name in set_names)
            raise UserError(f"{combination} is not possible, because {conflict.reason}", conflict.hint)


def from_values(cls: type, values: Mapping[str, Any], source: str) -> Any:
    """Returns an instance of a dataclass of options from recorded values; raises as ``check_values``."""
    return cls(**check_values(cls, values, source))


def check_values(cls: type, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Returns ``values``, each as its option's type.

    Raises:
        UserError: a name that ``cls`` does not have, or a value that its option does not allow.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in values:
        if name not in fields:
            raise UserError(f"There is no option {name!r} ({source}); {suggest(name, fields)}", "Correct the name")
    return {name: _check_value(fields[name], value, source) for name, value in values.items()}


def flag_name(field_name: str) -> str:
    """Returns the command-line spelling of a field."""
    return "--" + field_name.replace("_", "-")


def value_type(field: "dataclasses.Field[Any]") -> type:
    """Returns the type of a field's values, without the None of an optional one."""
    if isinstance(field.type, types.UnionType):
        return next(kind for kind in typing.get_args(field.type) if kind is not types.NoneType)
    assert isinstance(field.type, type)
    return field.type


def number_range(field: "dataclasses.Field[Any]") -> NumberRange:
    """Returns the allowed numbers of a field of numbers."""
    meta = field.metadata
    return NumberRange(value_type(field), meta["minimum"], meta["maximum"], meta["above"])


def format_config(resolved: Resolved) -> str:
    """Returns a configuration as lines for people: each option with its value and the layer that decided it."""
    values = dataclasses.asdict(resolved.config)
    width = max(len(name) for name in values)
    return "\n".join(f"  {name:{width}}  {value!s:12} {resolved.sources[name]}" for name, value in values.items())


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns "choose one of: …" with the known names, and the one that may have been meant."""
    names = sorted(known, key=lambda name: (int(name), "") if name.isdecimal() else (0, name))
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"choose one of: {', '.join(names)}" + (f" (did you mean {close[0]!r}?)" if close else "")


def _check_value(field: "dataclasses.Field[Any]", value: Any, source: str) -> Any:
    """Returns ``value`` as the field's type, or raises a UserError that names the flag."""
    meta = field.metadata
    kind: Any = value_type(field)
    name = field.metadata["metavar"] if meta["positional"] else flag_name(field.name)
    shown = f"{name} {shorten(str(value))}" + (f" (from {source})" if source != CLI else "")
    if value is None and field.default is None and not meta["positional"]:
        return None
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf  # float() raises where it would overflow
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{shown} is not valid: a value of type {kind.__name__} is needed", "Correct the value")
    if meta["choices"] and value not in meta["choices"]:
        raise UserError(f"{shown} is not valid; {suggest(value, map(str, meta['choices']))}", "Correct the value")
    if kind in (int, float) and value not in number_range(field):
        raise UserError(f"{shown} is not valid: {number_range(field)} is needed", "Correct the value")
    return value
