"""From dataclasses of options to argparse, and from parsed arguments back to values."""

import argparse
import dataclasses
import difflib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import gan_tf
from gan_tf.options import check_values, flag_name, number_range, value_type
from gan_tf.tasks import TASKS, Task, find_task
from pipelines.errors import UserError, shorten
from pipelines.formats.voc import VocData
from pipelines.location import TfdsLocation, parse_location

_METAVARS = {str: "NAME", int: "N", float: "X", Path: "PATH"}
# Say only where things lie on one's own machine, or whether a run is new.
_LEFT_OUT = ("runs", "out", "resume")
_PREFIX = "option_"  # in the namespace, so that options and a command's own arguments cannot collide


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises a UserError for wrong usage, and that accepts no abbreviations."""

    def __init__(self, prog: str, description: str):
        formatter = argparse.RawDescriptionHelpFormatter
        words: dict[str, Any] = {"allow_abbrev": False, "exit_on_error": False, "formatter_class": formatter}
        super().__init__(prog=prog, description=description, **words)
        self.add_argument("--version", action="version", version=f"gan_tf {gan_tf.__version__}")
        tasks = "\n".join(f"  {task.name:10} {task.summary}" for task in TASKS.values())
        self.epilog = f"tasks:\n{tasks}\n\nThe cache folder is ~/.cache/gan_tf, or what the variable GAN_TF_CACHE names."

    def error(self, message: str) -> NoReturn:
        raise UserError(message[:1].upper() + message[1:], f"See {self.prog} --help")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parses arguments; for an unknown option, the error suggests the nearest known one.

        Raises:
            UserError: wrong usage.
        """
        _refuse_empty(argv)
        try:
            args, unknown = self.parse_known_args(argv)
        except argparse.ArgumentError as error:
            if isinstance(error.__context__, argparse.ArgumentTypeError):  # a sentence of a NumberRange about the value
                raise UserError(f"{error.argument_name} {error.message}", f"See {self.prog} --help") from None
            self.error(" ".join(shorten(word) for word in str(error).split(" ")))
        if unknown:
            name = unknown[0].split("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            close = difflib.get_close_matches(name, known, n=1) if name.startswith("-") else []
            suggestion = f" (did you mean {close[0]}?)" if close else ""
            raise UserError(f"There is no argument {name}{suggestion}", f"See {self.prog} --help")
        return args

    def recorded_command(self, argv: Sequence[str]) -> str:
        """Returns the command as others can type it.

        A path of one's own machine is replaced by what the help calls it, such as DIR; a data set of tensorflow-datasets keeps
        its name. ``--runs``, ``--out`` and ``--resume`` are left out.

        Args:
            argv: arguments that ``parse`` has accepted.
        """
        shown = [self.prog if self.prog.startswith("python") else f"python {self.prog}"]
        remaining = list(argv)
        positional = [action for action in self._actions if not action.option_strings]
        only_positional = False
        while remaining:
            name, has_value, value = remaining[0].partition("=")
            action = None if only_positional else self._option_string_actions.get(name)
            if name == "--" and not only_positional:
                only_positional = True
                shown.append(remaining.pop(0))
                continue
            if action is None:
                owner = positional[0] if positional[0].nargs == "+" else positional.pop(0)
                shown += _shown_values(owner, [remaining.pop(0)])
                continue
            del remaining[0]
            values = [value] if has_value else [remaining.pop(0) for _ in range(_count_values(action, remaining))]
            if action.dest in _LEFT_OUT:
                continue
            words = _shown_values(action, values)
            shown += [f"{name}={words[0]}"] if has_value else [name, *words]
        return " ".join(shown)


def _refuse_empty(argv: Sequence[str]) -> None:
    """Checks that no argument is empty, as those of unset variables of the shell are; a path would be the current folder.

    Raises:
        UserError: one is.
    """
    for i, word in enumerate(argv):
        name, has_value, value = word.partition("=")
        if word and not (name.startswith("--") and has_value and not value):
            continue
        before = argv[i - 1] if i else ""
        owner = name or (before if before.startswith("--") else "An argument")
        hint = "Check whether a variable of the shell is not set (the current folder is called .)"
        raise UserError(f"{owner} is empty", hint)


def _count_values(action: argparse.Action, words: Sequence[str]) -> int:
    """Returns how many of the words that follow an option are its values."""
    if action.nargs is None:
        return 1
    if action.nargs == 0:
        return 0
    following = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    return min(following, 1) if action.nargs == "?" else following


def _shown_values(action: argparse.Action, values: Sequence[str]) -> list[str]:
    """Returns the values of an argument as a recorded command shows them."""
    if action.type not in (Path, parse_location):
        is_folder = action.dest == "weights" and os.sep in values[0]  # which takes names and folders
        return ["DIR"] if is_folder else [shlex.quote(value) for value in values]
    locations = [parse_location(value) if action.type is parse_location else Path(value) for value in values]
    return [
        str(TfdsLocation(location.name)) if isinstance(location, TfdsLocation) else str(action.metavar)
        for location in locations
    ]


def requested_task(argv: Sequence[str]) -> Task | None:
    """Returns the task that ``--task`` names, before the other arguments are parsed; None without one.

    Raises:
        UserError: an unknown task.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--task", nargs="?")
    name = early.parse_known_args(argv)[0].task
    return find_task(name) if name is not None else None


def add_options(group: Any, shown: Any) -> None:
    """Adds one argument for each field of a dataclass of options; arguments that are not given stay out of the namespace.

    Args:
        group: a parser or a group of its arguments.
        shown: an instance of the dataclass, whose values stand as defaults in the help.
    """
    for field in dataclasses.fields(shown):
        if field.metadata["positional"]:
            group.add_argument(
                _PREFIX + field.name, type=value_type(field), metavar=field.metadata["metavar"], help=field.metadata["about"]
            )
            continue
        words: dict[str, Any] = {"dest": _PREFIX + field.name, "default": argparse.SUPPRESS, "help": _help(field, shown)}
        if field.type is bool:
            group.add_argument(flag_name(field.name), action=argparse.BooleanOptionalAction, **words)
        else:
            kind = value_type(field)
            metavar = field.metadata["metavar"] or _METAVARS[kind]
            is_range = kind in (int, float) and not field.metadata["choices"]
            group.add_argument(flag_name(field.name), type=number_range(field) if is_range else kind, metavar=metavar, **words)


def add_annotations_argument(parser: Parser, task: Task | None) -> None:
    """Adds ``--annotations`` for tasks whose images have annotations; for others it is None."""
    parser.set_defaults(annotations=None)
    if task is not None and isinstance(task.data, VocData):
        about = "the folder of the annotations, if it does not lie in that of --data"
        parser.add_argument("--annotations", type=Path, metavar="DIR", help=about)


def with_annotations(task: Task, directory: Path | None) -> Task:
    """Returns the task with the folder that ``--annotations`` names; the same task without one.

    Raises:
        UserError: there is no such folder.
    """
    if directory is None or not isinstance(task.data, VocData):
        return task
    if not directory.is_dir():
        raise UserError(f"--annotations {directory} is not a folder", "Give the folder with the Pascal VOC annotations")
    return dataclasses.replace(task, data=dataclasses.replace(task.data, annotations=directory))


def given_options(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    """Returns the values of a dataclass of options that were given on the command line, by field name."""
    names = {_PREFIX + field.name: field.name for field in dataclasses.fields(cls)}
    return {names[name]: value for name, value in vars(args).items() if name in names}


def build_options(args: argparse.Namespace, cls: type) -> Any:
    """Returns an instance of a dataclass of options from the command line; its ``validate()`` is called.

    Raises:
        UserError: a value that its option does not allow, or options that exclude each other.
    """
    options = cls(**check_values(cls, given_options(args, cls), "cli"))
    options.validate()
    return options


def _help(field: dataclasses.Field, shown: Any) -> str:
    about = field.metadata["about"].replace("%", "%%")
    if field.metadata["choices"]:
        about += ": " + ", ".join(map(str, field.metadata["choices"]))
    default = field.metadata["shown_default"] or getattr(shown, field.name)
    return about if default is None else f"{about} (default: {default})"
