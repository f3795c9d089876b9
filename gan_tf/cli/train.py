"""What ``train.py`` does: settle the settings, make or find the run, train it, say what came out."""

import argparse
import contextlib
import dataclasses
import json
import pkgutil
import shlex
import sys
from pathlib import Path

from gan_tf import export
from gan_tf.options import Resolved, RunSettings, flag, resolve
from gan_tf.tasks import TASKS, Task, find, first_folder
from gan_tf.training.run_dir import Run, create, newest, read_config
from gan_tf.utils.files import readable_failures, require_space
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import InputError

FREE_SPACE = 500_000_000  # bytes: checkpoints of the largest network, four at once, with room for curves and pictures

NAMED = {"--data": "DIR", "--init-from": "RUN", "--config": "FILE"}  # what stands in a card's command for paths of one's own


def run(task: Task, args: argparse.Namespace, said: dict, watch: dict, command: list[str]) -> int:
    """Trains; returns the exit code.

    Args:
        task: its row.
        args: what isn't a setting.
        said: the settings that the command line said.
        watch: those of ``RunSettings`` that it said.
        command: its words.

    Raises:
        InputError: for whatever the person can mend.
    """
    check(task, args)
    workflow = pkgutil.resolve_name(task.workflow)
    place = find_run(task, args)
    before = place.config if place else {}
    resolved = again(workflow, before, said) if place else workflow.resolve(task, settings_from(task, args.config), said)
    watched = resolve(RunSettings, [("run", before.get("watched", {})), ("said", watch)]).settings
    steps = steps_of(task, resolved.settings, args, before)
    if place:
        place.lock()
    require_space(place.folder if place else args.runs, FREE_SPACE)
    import_tensorflow()
    from gan_tf.training import devices

    resolved = resolved if place else fit_machine(resolved)
    strategy = devices.strategy_for(devices.gpus(), resolved.settings.batch)
    source = open_data(task, args.data, watched.memory_budget, before)
    if place:
        compare_data(place, before, source)
    else:
        place = create(args.runs, task.name, f"{label(resolved)}-{source.name}")
        place.lock()
    config = describe(task, resolved, watched, steps, source, args, before, command)
    return go(task, workflow, resolved, watched, source, args, config, place, strategy, resumed=bool(before))


def check(task: Task, args: argparse.Namespace) -> None:
    """Refuses numbers that make no sense and options that exclude each other."""
    if args.steps is not None and args.steps < 1:
        raise InputError(f"--steps {args.steps}", "a whole number from 1", "change it")
    if args.minutes is not None and not 0 < args.minutes < float("inf"):
        raise InputError(f"--minutes {args.minutes}", "a number of minutes above 0", "change it")
    if args.resume and args.init_from:
        raise InputError("--resume with --init-from", "one of the two", "leave one out")
    if args.resume and args.config:
        raise InputError("--resume with --config", "one of the two, a run has its own config", "leave one out")
    if args.init_from:
        exported = (args.init_from / export.CARD).is_file() and not (args.init_from / "config.json").is_file()
        read = export.read_card if exported else read_config
        if (other := find(read(args.init_from)["task"])).workflow != task.workflow:
            alike = ", ".join(name for name, row in TASKS.items() if row.workflow == task.workflow)
            raise InputError(f"--init-from {args.init_from}, a run of {other.name}", f"a run of: {alike}", "name another run")


def find_run(task: Task, args: argparse.Namespace) -> Run | None:
    """The run that ``--resume`` means; None to start a new one."""
    if not args.resume:
        return None
    if args.resume == "newest":
        run = newest(args.runs, task.name)
        print(f"going on with {run.folder}" if run else f"no run of {task.name} in {args.runs} yet: starting one")
        return run
    config = read_config(Path(args.resume))
    if config["task"] != task.name:
        raise InputError(f"{args.resume} is a run of {config['task']}", f"one of {task.name}", "correct --task or RUN")
    return Run(Path(args.resume))


def settings_from(task: Task, path: Path | None) -> dict:
    """The settings in a JSON file: a plain object, or the ``config.json`` of a run of such a task."""
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--config {path} can't be read ({reason})", "a JSON file of settings", "correct it") from None
    if not isinstance(values, dict):
        raise InputError(f"--config {path}", "a JSON object of settings", "correct it")
    if isinstance(name := values.get("task"), str) and find(name).workflow != task.workflow:
        raise InputError(f"--config {path}, of a run of {name}", f"settings of {task.name}", "correct --task or FILE")
    return values.get("settings", values)


def again(workflow, config: dict, said: dict) -> Resolved:
    """The settings of a run that goes on; those said again must agree with it."""
    settings = resolve(workflow.SETTINGS, [("run", config["settings"])]).settings
    for name, value in said.items():
        old = getattr(settings, name)
        if value != old:
            mend = "leave it out, or start a new run without --resume"
            raise InputError(f"{flag(name)} {value}", f"{old}, with which this run was begun", mend)
    return Resolved(settings, config["sources"])


def steps_of(task: Task, settings, args: argparse.Namespace, before: dict) -> int:
    """The updates in all: as said, or as the run began with; else until the learning rates are 0, or the task's number."""
    last = getattr(settings, "last_step", None)
    steps = args.steps or before.get("steps") or last or task.steps
    if last and steps > last:
        given = f"--steps {steps} with --decay-images {settings.decay_images}"
        raise InputError(given, f"at most {last} steps, because the rates are 0 from then on", "change one of the two")
    return steps


def fit_machine(resolved: Resolved) -> Resolved:
    """Chooses the precision that this machine is fast in, where nobody has said one; a run keeps what it began with."""
    from gan_tf.training.environment import fast_precision

    if resolved.sources.get("precision") != "default":
        return resolved
    settings = dataclasses.replace(resolved.settings, precision=fast_precision())
    return Resolved(settings, {**resolved.sources, "precision": "machine"})


def open_data(task: Task, data: Path | None, megabytes: float, config: dict):
    """The training images: those of ``--data``, or of the run that goes on, or drawn ones, which is said loudly."""
    said = data or (Path(config["data"]["path"]) if config.get("data", {}).get("path") else None)
    if said is None:
        print("NO --data GIVEN: training on pictures that this program draws itself; nothing real is learnt from them.")
        return pkgutil.resolve_name(task.drawn)()
    if task.source:
        source = pkgutil.resolve_name(task.source)(said)
        print(source.summary, flush=True)
        return source
    from pipelines.image_folder import Folder

    folder = first_folder(said, task.train_folders)
    if folder != said:
        print(f"training images: {folder} (the rest of {said} is left alone)")
    source = Folder(folder, task.shape[0], task.shape[2], memory_budget=int(megabytes * 1e6))
    source.name = Path(said.resolve().name, *folder.relative_to(said).parts).as_posix()
    print(source.summary, flush=True)
    return source


def compare_data(run: Run, config: dict, source) -> None:
    """A run goes on with the images it began with, or not at all."""
    if source.digest != config["data"]["digest"]:
        given = f"the images now at hand ({source.name}, {len(source)}) are not those of {run.folder}"
        expected = f"the same {config['data']['count']} files"
        raise InputError(given, expected, "put them back, name them by --data, or start a new run")


def label(resolved: Resolved) -> str:
    """The word for the method in a run's name."""
    return getattr(resolved.settings, "loss", resolved.settings.network)


def describe(task, resolved, watched: RunSettings, steps: int, source, args, before: dict, command: list[str]) -> dict:
    """The content of ``config.json``."""
    from gan_tf.training.environment import describe as environment
    from gan_tf.training.environment import differences

    now = environment()
    if before:
        changed = differences(before["environment"], now)
        if changed:
            print(f"no longer bit-exact: since this run began, it has other {', '.join(changed)}", file=sys.stderr)
    path = args.data or (before.get("data", {}).get("path") if before else None)
    return {
        "task": task.name,
        **({"began_with": before["began_with"]} if "began_with" in before else {}),
        "command": before.get("command") or command_line(command),
        "steps": steps,
        "settings": dataclasses.asdict(resolved.settings),
        "sources": resolved.sources,
        "watched": dataclasses.asdict(watched),
        "data": {
            "name": source.name,
            "path": str(Path(path).resolve()) if path else None,
            "count": len(source),
            "digest": source.digest,
        },
        "environment": before.get("environment") or now,
    }


def command_line(words: list[str]) -> str:
    """The command for others to type: its own folders are left out or named DIR and RUN."""
    shown, skip = ["python"], False
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if skip:
            skip = False
        elif word in ("--runs", "--resume"):
            skip = not following.startswith("--")
        elif word in NAMED:
            shown, skip = [*shown, word, NAMED[word]], True
        elif (name := word.partition("=")[0]) in NAMED:
            shown.append(f"{name}={NAMED[name]}")
        elif not word.startswith(("--runs=", "--resume=")):
            shown.append(shlex.quote(word))
    return " ".join(shown)


def go(task, workflow, resolved, watched, source, args, config: dict, place: Run, strategy, resumed: bool) -> int:
    """Builds the method, restores what there is, trains to the last step."""
    from gan_tf.training.checkpoints import Checkpoints
    from gan_tf.training.loggers import Writers
    from gan_tf.training.loop import Plan, train
    from gan_tf.training.transfer import begin_with

    with strategy.scope() if strategy else contextlib.nullcontext():
        method = workflow.build(task, resolved.settings)
    stream = workflow.stream_for(method, source)
    checkpoints = Checkpoints(place.folder / "checkpoints", method, keep_every=watched.keep_every)
    seconds = 60 * args.minutes if args.minutes else None
    plan = Plan(config["steps"], watched.log_every, watched.checkpoint_every, strategy=strategy, seconds=seconds)
    first = restore(checkpoints, plan, place) if resumed else 0
    if args.init_from:
        config["began_with"], lines = begin_with(workflow, method, args.init_from)
        print(*lines, sep="\n")
        checkpoints.save(0)  # or a run killed before its first checkpoint would go on from other weights
    if first > plan.steps:
        raise InputError(f"--steps {plan.steps}", f"at least {first}, which this run has done", "say more steps")
    if first < plan.steps and plan.time_is_up:
        expected = f"more than {plan.state['seconds'] / 60:.4g}, which this run has trained"
        raise InputError(f"--minutes {args.minutes:g}", expected, "say more minutes, or leave --minutes out")
    place.write_config(config)
    print(f"run folder: {place.folder}; watch it: tensorboard --logdir {shlex.quote(str(place.folder))}", flush=True)
    with readable_failures(place.folder):
        writers = Writers(place.folder, first)
    try:
        with contextlib.closing(writers):
            workflow.actions(task, config, method, source, place.folder, plan, writers, watched)
            done = train(method, stream, plan, checkpoints, writers, first)
        return finish(task, workflow, args, place, plan, done)
    finally:
        place.unlock()


def finish(task, workflow, args, place: Run, plan, done: int) -> int:
    """Says what came out, and scores what is done while the run is still locked; returns the exit code."""
    folder, runs = shlex.quote(str(place.folder)), shlex.quote(str(args.runs))
    again = f"python train.py --task {task.name} --runs {runs} --resume {folder}"
    if done < plan.steps and plan.time_is_up:
        print(f"stopped at step {done} with a checkpoint, since --minutes {args.minutes:g} are over; go on with:")
        print(f"{again} --minutes {2 * args.minutes:g}  (or without --minutes, to step {plan.steps})")
        return 0
    if done < plan.steps:
        print(f"stopped at step {done} with a checkpoint; go on with: {again}")
        return 130
    print(f"done: {done} steps; weights and card in {place.folder}; look at {place.folder / 'images'}")
    print(f"use it: python infer.py --task {task.name} --run {folder} {workflow.EXAMPLE}")
    score(task, place.folder)
    return 0


def score(task: Task, folder: Path) -> None:
    """Ends a training by the task's scores (validation images, once), or by one line that says what is missing."""
    from gan_tf.cli import evaluate
    from gan_tf.cli.main import evaluate_parser

    try:
        words = ["--task", task.name, "--run", str(folder), "--json", str(folder / "scores.json")]
        evaluate.run(task, evaluate_parser().parse(words))
        export.add_scores(folder, json.loads((folder / "scores.json").read_text()))
    except InputError as error:
        print(f"not scored: {error}")


def restore(checkpoints, plan, place: Run) -> int:
    """The step to go on from: the newest whole checkpoint's, or 0 where none was written yet."""
    step = checkpoints.newest()
    if step is None:
        if checkpoints.steps():
            given = f"no checkpoint of {place.folder} is whole"
            raise InputError(given, "at least one that its manifest confirms", "start a new run")
        print("no checkpoint yet: beginning at step 0")
        return 0
    plan.state.update(checkpoints.restore(step))
    checkpoints.discard_after(step)
    print(f"restored step {step}")
    return step
