"""The command line: arguments, help and exit codes of the three doors.

Exit codes: 0 done, 2 wrong usage or bad input (one line), 130 stopped by Ctrl-C, 1 a bug (with its traceback).
Nothing here imports TensorFlow, so help and wrong usage answer at once.
"""

import argparse
import contextlib
import dataclasses
import difflib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import gan_tf
from gan_tf.options import RunSettings, flag
from gan_tf.tasks import TASKS, Task, find, find_for
from pipelines.errors import InputError


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line and which takes no abbreviations."""

    def __init__(self, **words):
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=formatter, **words)
        self.add_argument("--version", action="version", version=f"gan_tf {gan_tf.__version__}")
        tasks = "\n".join(f"  {task.name:10} {task.about}" for task in TASKS.values())
        self.epilog = f"tasks:\n{tasks}"

    def error(self, message: str) -> NoReturn:
        raise InputError(message, "arguments as --help shows them", f"see {self.prog} --help")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Like ``parse_args``; an unknown option gets the nearest known one suggested."""
        args, unknown = self.parse_known_args(argv)
        if unknown:
            name = unknown[0].split("=")[0]
            options = [option for action in self._actions for option in action.option_strings]
            close = difflib.get_close_matches(name, options, n=1) if name.startswith("-") else []
            expected = f"perhaps {close[0]}" if close else "what --help shows"
            raise InputError(f"unknown argument {name}", expected, f"see {self.prog} --help")
        return args


def guarded(body: Callable[[Sequence[str]], int], argv: Sequence[str] | None) -> int:
    """Runs a command; what a person can mend becomes one line on standard error and exit code 2."""
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        return body(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as in `… | head`
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0


def task_of(argv: Sequence[str]) -> Task | None:
    """The row that ``--task`` names, before the other arguments are read; None where it isn't said."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--task", nargs="?")
    name = early.parse_known_args(argv)[0].task
    return find(name) if name is not None else None


def add_settings(group, shown) -> None:
    """One flag for each field of a settings dataclass; what isn't said stays out of the result.

    Args:
        group: a parser or a group of its arguments.
        shown: an instance, whose values stand as defaults in the help.
    """
    for field in dataclasses.fields(shown):
        meta, words = field.metadata, {"dest": f"said_{field.name}", "default": argparse.SUPPRESS}
        about = meta["about"].replace("%", "%%")
        if meta["choices"]:
            about += ": " + ", ".join(meta["choices"])
        about += f" (default: {meta['unsaid'] or getattr(shown, field.name)})"
        if field.type is bool:
            group.add_argument(flag(field.name), action=argparse.BooleanOptionalAction, help=about, **words)
            continue
        metavar = "NAME" if field.type is str else "N" if field.type is int else "X"
        group.add_argument(flag(field.name), type=field.type, metavar=metavar, help=about, **words)


def said(args: argparse.Namespace, cls: type) -> dict:
    """The settings of a dataclass that the command line said, by name."""
    names = {f"said_{field.name}": field.name for field in dataclasses.fields(cls)}
    return {names[name]: value for name, value in vars(args).items() if name in names}


def workflow_of(task: Task):
    """The workflow module of a row."""
    return pkgutil.resolve_name(task.workflow)


def train_parser(task: Task | None) -> Parser:
    """Arguments of train.py: those of the task's own workflow, or of a GAN's where no task is said."""
    about = "Trains a model from scratch, or goes on with a run.\n\n  python train.py --task anime --data FOLDER"
    parser = Parser(prog="train.py", description=about)
    parser.add_argument("--task", metavar="NAME", help="what to train (below)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of images (without: pictures the program draws)")
    about = "generator updates in all (default: as many as --decay-images says, else the task's)"
    parser.add_argument("--steps", type=int, metavar="N", help=about)
    about = "stop with a checkpoint after M minutes of training in all, resumes included"
    parser.add_argument("--minutes", type=float, metavar="M", help=about)
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON with settings, such as a run's config.json")
    run = parser.add_argument_group("the run")
    run.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run folders go (default: runs)")
    run.add_argument(
        "--resume",
        nargs="?",
        const="newest",
        metavar="RUN",
        help="go on with a run (without RUN: the task's newest, or a new one), bit for bit as if it had not stopped",
    )
    about = "begin with the weights of another run, or exported ones (of a GAN: its generator), and nothing else of it"
    run.add_argument("--init-from", type=Path, metavar="RUN", help=about)
    watched = parser.add_argument_group("how it is watched and kept (--resume keeps what was said)")
    add_settings(watched, RunSettings())
    task = task or next(iter(TASKS.values()))
    about = f"settings (decide the weights; defaults of --task {task.name}: another --loss or --network brings its own)"
    add_settings(parser.add_argument_group(about), workflow_of(task).resolve(task, {}, {}).settings)
    return parser


def infer_parser(task: Task | None) -> Parser:
    """Arguments of infer.py, with those of the task's own workflow."""
    task = task or next(iter(TASKS.values()))
    workflow = workflow_of(task)
    example = f"python infer.py --task {task.name} {workflow.EXAMPLE}"
    about = f"{workflow.ABOUT}, with shipped weights or those of a run.\n\n  {example}"
    parser = Parser(prog="infer.py", description=about)
    parser.add_argument("--task", metavar="NAME", help="which model (below)")
    parser.add_argument("--run", type=Path, metavar="RUN", help="use this run's weights instead of the shipped ones")
    parser.add_argument("--loss", metavar="NAME", help="use the shipped weights trained with this loss")
    workflow.infer_arguments(parser)
    return parser


def train(argv: Sequence[str] | None = None) -> int:
    """What train.py does."""

    def body(words: Sequence[str]) -> int:
        args = train_parser(task_of(words)).parse(words)
        task = find(args.task)
        from gan_tf.cli.train import run

        return run(task, args, said(args, workflow_of(task).SETTINGS), said(args, RunSettings), ["train.py", *words])

    return guarded(body, argv)


def infer(argv: Sequence[str] | None = None) -> int:
    """What infer.py does."""

    def body(words: Sequence[str]) -> int:
        args = infer_parser(task_of(words)).parse(words)
        from gan_tf.cli.infer import run

        return run(find(args.task), args)

    return guarded(body, argv)


def evaluate_parser() -> Parser:
    """Arguments of evaluate.py."""
    from gan_tf.evaluation.evaluate import add_arguments

    about = (
        "Scores images: FID, KID, precision, recall and the handout's judge.\n\n  python evaluate.py --task anime --data FOLDER"
    )
    parser = Parser(prog="evaluate.py", description=about)
    parser.add_argument("--task", metavar="NAME", help="whose images and lines (below)")
    parser.add_argument("--run", type=Path, metavar="RUN", help="score this run's weights instead of the shipped ones")
    parser.add_argument("--loss", metavar="NAME", help="score the shipped weights trained with this loss")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the task's images, whose validation part is the reference")
    add_arguments(parser)
    return parser


def evaluate(argv: Sequence[str] | None = None) -> int:
    """What evaluate.py does."""

    def body(words: Sequence[str]) -> int:
        args = evaluate_parser().parse(words)
        task = find_for(args.task, args.judge)
        from gan_tf.cli.evaluate import run

        return run(task, args)

    return guarded(body, argv)
