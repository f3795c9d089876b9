"""``train.py``: reads the arguments, resolves the configuration, and hands over to ``training.run``."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_tf.cli.arguments import Parser, add_annotations_argument, add_options, given_options, requested_task, with_annotations
from gan_tf.options import CLI, Resolved, check_values, flag_name, from_values
from gan_tf.run_dir import RunDir, find_newest_run, has_checkpoints, read_run_config
from gan_tf.tasks import TASKS, Task, find_task
from gan_tf.training.run_options import RunOptions
from gan_tf.utils.files import read_json
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.location import describe_locations, parse_location
from pipelines.numbers import positive_numbers, whole_numbers

_MAX_STEPS = 1_000_000_000


def build_parser(task: Task | None) -> Parser:
    """Returns the arguments of train.py, with the options of the task's family (of the first task's without one)."""
    description = "Trains a model from scratch, or resumes a run.\n\n  python train.py --task anime --data FOLDER"
    parser = Parser(prog="train.py", description=description)
    parser.add_argument("--task", metavar="NAME", help="what to train (below)")
    task = task or next(iter(TASKS.values()))
    about = f"{describe_locations(task.data)} (default: synthetic images)"
    parser.add_argument("--data", type=parse_location, metavar="DIR", help=about)
    add_annotations_argument(parser, task)
    for domain in ("source", "target"):
        about = f"--task dann: any folder of {domain} images in which each class has a folder, instead of --data"
        parser.add_argument(f"--{domain}-data", type=Path, metavar="DIR", help=about)
    about = "number of training steps (default: as many as --lr-decay-images takes, else the task's number)"
    parser.add_argument("--steps", type=whole_numbers(1, _MAX_STEPS), metavar="N", help=about)
    about = "stop with a checkpoint after M minutes of training in all, including those before a resume"
    parser.add_argument("--minutes", type=positive_numbers(), metavar="M", help=about)
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON file of options, such as a run's config.json")
    about = "print the configuration, the networks, the data and the estimated time, and exit"
    parser.add_argument("--dry-run", action="store_true", help=about)
    run = parser.add_argument_group("run")
    run.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run folders lie (default: runs)")
    about = "resume a run, bit for bit as if it had not stopped (without RUN: the task's newest run, or a new one)"
    run.add_argument("--resume", nargs="?", const="newest", metavar="RUN", help=about)
    about = "start from the weights of another run, or from exported weights"
    run.add_argument("--init-from", type=Path, metavar="RUN", help=about)
    add_options(parser.add_argument_group("logging and checkpoints (--resume keeps the former values)"), RunOptions())
    title = f"configuration (decides the weights; the defaults of --task {task.name}, which other choices may change)"
    add_options(parser.add_argument_group(title), task.family.resolve(task, {}, {}).config)
    return parser


def run(argv: Sequence[str]) -> int:
    """Trains as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = build_parser(requested_task(argv))
    args = parser.parse(argv)
    task = find_task(args.task)
    _check_arguments(args)
    run_dir = _find_run(task, args)
    previous = read_run_config(run_dir.path) if run_dir else None
    former = previous["data"].get("annotations") if previous and args.data is None else None
    task = with_annotations(task, args.annotations or (Path(former) if former else None))
    folders = {name: path for name, path in (("source", args.source_data), ("target", args.target_data)) if path}
    given = given_options(args, task.family.config)
    if folders:
        given = {**task.data.options_of_folders(folders), **given}
    if previous is None:
        resolved = task.family.resolve(task, _read_config_file(task, args.config), given)
    else:
        resolved = _restore_config(task, previous, given)
    options = _resolve_run_options(previous, given_options(args, RunOptions))
    steps = _resolve_steps(task, resolved.config, args, previous)
    if run_dir and not args.dry_run:
        run_dir.lock()
    import_tensorflow()
    from gan_tf.training.run import TrainingRequest, describe_training, train_run

    request = TrainingRequest(
        task=task,
        resolved=resolved,
        options=options,
        steps=steps,
        minutes=args.minutes,
        data=args.data,
        folders=folders,
        runs=args.runs,
        run_dir=run_dir,
        initial_weights=args.init_from,
        initial_task=_check_initial_weights(task, args.init_from),
        command=parser.recorded_command(argv),
    )
    if args.dry_run:
        describe_training(request)
        return 0
    return train_run(request)


def _check_arguments(args: argparse.Namespace) -> None:
    """Refuses arguments that exclude each other."""
    if args.data and (args.source_data or args.target_data):
        raise UserError("--data and --source-data or --target-data exclude each other", "Leave one of them out")
    for other in ("init_from", "config"):
        if args.resume and getattr(args, other):
            raise UserError(f"--resume and {flag_name(other)} exclude each other", "Leave one of the two out")


def _check_initial_weights(task: Task, directory: Path | None) -> Task | None:
    """Returns the task of the weights that ``--init-from`` names, which must be of the same family."""
    if directory is None:
        return None
    from gan_tf import cards

    is_export = (directory / cards.CARD).is_file() and not has_checkpoints(directory)
    description = cards.read_card(directory) if is_export else read_run_config(directory)
    other = find_task(description["task"])
    if other.family is not task.family:
        same = ", ".join(name for name, entry in TASKS.items() if entry.family is task.family)
        problem = f"--init-from {directory} holds weights of task {other.name}, a model of another kind"
        raise UserError(problem, f"Name weights of one of these tasks: {same}")
    return other


def _find_run(task: Task, args: argparse.Namespace) -> RunDir | None:
    """Returns the run that ``--resume`` names; None to start a new one."""
    if not args.resume:
        return None
    run_dir = find_newest_run(args.runs, task.name) if args.resume == "newest" else RunDir(Path(args.resume))
    if run_dir is None:
        print(f"no run of {task.name} in {args.runs} yet: starting one")
        return None
    config = run_dir.config
    if config["task"] != task.name:
        raise UserError(f"{run_dir.path} is a run of task {config['task']}, not of {task.name}", "Correct --task or RUN")
    if args.resume == "newest":
        print(f"resuming {run_dir.path}")
    return run_dir


def _read_config_file(task: Task, path: Path | None) -> dict[str, Any]:
    """Returns the values of a JSON file: a plain object, or the explicit values of a run's ``config.json``."""
    if path is None:
        return {}
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--config {path} cannot be read ({reason})", "Name a JSON file of options") from None
    if not isinstance(content, dict):
        raise UserError(f"--config {path} is not a JSON object", "Name a JSON file of options")
    if "task" not in content:
        return content
    if not isinstance(content.get("explicit"), dict) or not isinstance(content["task"], str):
        raise UserError(f"--config {path} was written by an older version of gan_tf", "Name a JSON file of options")
    if find_task(content["task"]).family is not task.family:
        problem = f"--config {path} belongs to a run of task {content['task']}, a model of another kind than {task.name}"
        raise UserError(problem, "Correct --task or FILE")
    return dict(content["explicit"])


def _restore_config(task: Task, previous: Mapping[str, Any], given: Mapping[str, Any]) -> Resolved:
    """Returns the configuration of the run that is resumed; values that are given again must agree with it."""
    config = from_values(task.family.config, previous["config"], "config.json")
    for name, value in check_values(task.family.config, given, CLI).items():
        former = getattr(config, name)
        if value != former:
            problem = f"{flag_name(name)} {value} differs from {former}, with which this run was started"
            raise UserError(problem, "Leave it out, or start a new run without --resume")
    sources = dict.fromkeys(dataclasses.asdict(config), "default") | previous["sources"]
    return Resolved(config, sources, check_values(task.family.config, previous["explicit"], "config.json"))


def _resolve_run_options(previous: Mapping[str, Any] | None, given: Mapping[str, Any]) -> RunOptions:
    """Returns the options of the run: as given, else as before, else the defaults."""
    former = previous["options"] if previous else {}
    values = {**check_values(RunOptions, former, "config.json"), **check_values(RunOptions, given, CLI)}
    return RunOptions(**values)


def _resolve_steps(task: Task, config: Any, args: argparse.Namespace, previous: Mapping[str, Any] | None) -> int:
    """Returns the number of steps: as given, else as before, else until the learning rates are 0, else the task's."""
    steps = args.steps or (previous["steps"] if previous else None) or config.last_step or task.steps
    if steps > _MAX_STEPS:
        raise UserError(f"{steps:,} steps are too many: at most {_MAX_STEPS:,} are possible", "Lower --steps")
    if config.last_step and steps > config.last_step:
        problem = f"--steps {steps} is more than the {config.last_step} steps after which --lr-decay-images "
        problem += f"{config.lr_decay_images} has brought the learning rates to 0"
        raise UserError(problem, "Change one of the two")
    return steps
