"""One training run from its request to its scores: data, model, checkpoints, loop, evaluation."""

import contextlib
import dataclasses
import datetime
import json
import math
import shlex
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf import export
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.report import render_table, to_json
from gan_tf.options import Resolved, format_config
from gan_tf.run_dir import FAILURE, FORMAT, RunDir, create_run_dir, hint_new_run, read_run_config
from gan_tf.training import environment
from gan_tf.training.callbacks import Callback
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.context import RunContext
from gan_tf.training.devices import build_strategy, find_gpus, require_one_device
from gan_tf.training.finite_check import FiniteCheckError
from gan_tf.training.initialization import initialize_model
from gan_tf.training.loggers import METRICS, TENSORBOARD, Loggers, parse_line
from gan_tf.training.loop import TrainingPlan, build_step_function, train
from gan_tf.training.run_options import RunOptions
from gan_tf.utils.files import file_errors, require_space, write_json
from gan_tf.workflow import build_workflow, evaluate_weights
from pipelines.errors import UserError
from pipelines.source import Source

if TYPE_CHECKING:
    from gan_tf.tasks import Task

_FREE_SPACE = 500_000_000  # bytes: checkpoints of the largest network, four at once, with space for curves and images
_TIMED_STEPS = 4  # of --dry-run


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained.

    Attributes:
        task: the registry's entry.
        resolved: the configuration.
        options: logging, checkpoints and scores during training.
        steps: training steps in all.
        minutes: training time in all after which to stop early; None without a limit.
        data: the task's images; None takes those of the run that is resumed, else synthetic ones.
        folders: instead of ``data``, a folder for each source by its name; see ``DataSpec.open_folders``.
        runs: where run folders lie.
        run_dir: the run to resume, locked; None starts a new one.
        initial_weights: a run or exported weights to start from; None starts from scratch.
        initial_task: the task of ``initial_weights``.
        command: the command as others can type it.
    """

    task: "Task"
    resolved: Resolved
    options: RunOptions
    steps: int
    minutes: float | None
    data: Path | None
    folders: Mapping[str, Path]
    runs: Path
    run_dir: RunDir | None
    initial_weights: Path | None
    initial_task: "Task | None"
    command: str


def train_run(request: TrainingRequest) -> int:
    """Trains a new run, or resumes one, and scores it at its last step; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    previous = read_run_config(request.run_dir.path) if request.run_dir else None
    require_space(request.run_dir.path if request.run_dir else request.runs, _FREE_SPACE)
    resolved = request.resolved if previous else _choose_precision(request.resolved)
    devices = find_gpus()
    if not request.task.family.trains_on_several_devices:
        require_one_device(devices, request.task.name)
    strategy = build_strategy(devices, resolved.config.batch)
    data, sources = _open_data(request, resolved.config, previous)
    run_dir = _open_run_dir(request, resolved.config, sources, previous)
    try:
        config = _describe_run(request, resolved, sources, data, previous)
        workflow = build_workflow(request.task, resolved.config)
        with strategy.scope() if strategy else contextlib.nullcontext():
            model = workflow.build_model()
        plan = _build_plan(request)
        checkpoints = Checkpoints(run_dir.path / "checkpoints", model, keep_every=request.options.keep_every)
        plan.state["run_id"] = config["run_id"]
        first_step = _initialize(request, model, checkpoints, plan, config)
        run_dir.write_config(config)
        stream = workflow.build_stream(model, sources)
        with contextlib.closing(_open_loggers(run_dir, first_step)) as loggers:
            run = RunContext(request.task.name, run_dir, config, request.options, stream, loggers, plan, strategy)
            last_step = _train(run, model, checkpoints, workflow.callbacks(run, model), first_step)
        return _finish(request, run, last_step)
    finally:
        run_dir.unlock()


def describe_training(request: TrainingRequest) -> None:
    """Prints the configuration, the networks, the data and the estimated time of a training, without starting a run.

    Raises:
        UserError: as ``train_run``.
    """
    previous = read_run_config(request.run_dir.path) if request.run_dir else None
    resolved = request.resolved if previous else _choose_precision(request.resolved)
    print(format_config(resolved))
    _, sources = _open_data(request, resolved.config, previous)
    workflow = build_workflow(request.task, resolved.config)
    model = workflow.build_model()
    for name, network in model.networks().items():
        count = sum(math.prod(variable.shape) for variable in network.trainable_variables)
        print(f"{name}: {count:,} trainable parameters")
    step = build_step_function(model, None)
    batches = iter(workflow.build_stream(model, sources).dataset(0, 1 + _TIMED_STEPS))
    step(next(batches))  # traces the graph
    start = time.monotonic()
    for batch in batches:
        step(batch)
    seconds = (time.monotonic() - start) / _TIMED_STEPS
    duration = datetime.timedelta(seconds=round(seconds * request.steps))
    print(f"{request.steps:,} steps of {seconds:.3g} s: about {duration} in all")


def open_sources(
    task: "Task", config: Any, data: Path | None, memory_budget: int, folders: Mapping[str, Path] | None = None
) -> dict[str, Source]:
    """Opens the training images and prints what they are; synthetic ones without ``data``.

    Args:
        task: the registry's entry.
        config: the model's configuration.
        data: the folder that ``--data`` names.
        memory_budget: bytes that decoded images may take.
        folders: instead of ``data``, a folder for each source by its name.
    """
    spec = task.family.data(task, config)
    if folders:
        sources = spec.open_folders(folders, "train", memory_budget)
    elif data is None:
        print("warning: no --data given, training on synthetic images", file=sys.stderr)
        sources = spec.open_synthetic()
    else:
        sources = spec.open(data, "train", memory_budget)
    for source in sources.values():
        print(source.summary, flush=True)
    return sources


def _open_run_dir(request: TrainingRequest, config: Any, sources: dict[str, Source], previous: dict[str, Any] | None) -> RunDir:
    """Returns the folder of the run, locked: a new one, or that of the run to resume, whose images must be the same."""
    if request.run_dir is not None and previous is not None:
        _compare_data(request.run_dir, previous, sources)
        return request.run_dir
    names = "-".join(source.name for source in sources.values())
    run_dir = create_run_dir(request.runs, request.task.name, f"{request.task.variant_of(config)}-{names}")
    run_dir.lock()
    return run_dir


def _build_plan(request: TrainingRequest) -> TrainingPlan:
    seconds = 60 * request.minutes if request.minutes else None
    return TrainingPlan(request.steps, request.options.log_every, request.options.checkpoint_every, seconds)


def _initialize(
    request: TrainingRequest, model: Any, checkpoints: Checkpoints, plan: TrainingPlan, config: dict[str, Any]
) -> int:
    """Restores the run that is resumed, or copies the weights of ``--init-from``; returns the step to start from."""
    first_step = _restore(request.run_dir, checkpoints, plan, config) if request.run_dir else 0
    if request.initial_weights is not None and request.initial_task is not None:
        initialization = initialize_model(model, request.initial_task, request.initial_weights)
        print(*initialization.lines, sep="\n")
        config["initialized_from"] = initialization.stages
        checkpoints.save(0, plan.state)  # otherwise a run killed before its first checkpoint would resume from other weights
    _check_progress(plan, first_step, request.minutes)
    return first_step


def _open_loggers(run_dir: RunDir, first_step: int) -> Loggers:
    """Opens the loggers of a run and prints where it is, and which curves are lost."""
    if first_step:
        for name in (METRICS, TENSORBOARD):
            if not (run_dir.path / name).exists():
                print(f"warning: {run_dir.path / name} is lost; the curves in it start again", file=sys.stderr)
    (run_dir.path / FAILURE).unlink(missing_ok=True)
    print(f"run folder: {run_dir.path}; watch it with: tensorboard --logdir {shlex.quote(str(run_dir.path))}", flush=True)
    with file_errors(run_dir.path):
        return Loggers(run_dir.path, first_step)


def _train(run: RunContext, model: Any, checkpoints: Checkpoints, callbacks: list[Callback], first_step: int) -> int:
    """Trains, and records in the run folder if a number that is not finite ends it; returns the last step done."""
    try:
        return train(run, model, checkpoints, callbacks, first_step)
    except FiniteCheckError as error:
        write_json(run.run_dir.path / FAILURE, error.record())
        raise


def _choose_precision(resolved: Resolved) -> Resolved:
    """Returns the configuration with the precision that this machine is fast in, unless one was given."""
    if resolved.sources.get("precision") != "default":
        return resolved
    config = dataclasses.replace(resolved.config, precision=environment.fast_precision())
    return dataclasses.replace(resolved, config=config, sources={**resolved.sources, "precision": "machine"})


def _open_data(request: TrainingRequest, config: Any, previous: dict[str, Any] | None) -> tuple[Path | None, dict[str, Source]]:
    """Returns the data folder, which is by default that of the run to resume, and the training images in it."""
    folders = _find_folders(request, previous)
    if folders:
        data = folders.get("target")  # whose validation images are scored
        return data, open_sources(request.task, config, data, int(request.options.memory_budget * 1e6), folders)
    former = previous["data"]["path"] if previous else None
    data = request.data or (Path(former) if former else None)
    if data is not None and data != request.data and not data.exists():
        problem = f"The run was trained on the images in {data}, which are not there any more"
        raise UserError(problem, "Put them back, or name the folder where they are now by --data")
    return data, open_sources(request.task, config, data, int(request.options.memory_budget * 1e6))


def _find_folders(request: TrainingRequest, previous: dict[str, Any] | None) -> Mapping[str, Path]:
    """Returns the folder of each source, by default those of the run to resume; empty where ``--data`` is used."""
    if request.folders or request.data or previous is None:
        return request.folders
    return {name: Path(path) for name, path in previous["data"].get("folders", {}).items()}


def _compare_data(run_dir: RunDir, previous: dict[str, Any], sources: dict[str, Source]) -> None:
    """Checks that a run is resumed with the images it was started with."""
    for name, source in sources.items():
        former = previous["data"]["sources"].get(name)
        if former is None or source.digest != former["digest"]:
            problem = f"The images in {source.name} ({len(source)}) are not those that {run_dir.path} was started with"
            hint = "Put the former images back, name them by --data, or start a new run"
            raise UserError(problem + (f" ({former['count']})" if former else ""), hint)


def _describe_run(
    request: TrainingRequest,
    resolved: Resolved,
    sources: dict[str, Source],
    data: Path | None,
    previous: dict[str, Any] | None,
) -> dict[str, Any]:
    """Returns the content of ``config.json``; warns if something that decides the bits has changed since the start."""
    now = environment.describe_environment()
    if previous:
        changed = environment.changed_facts(previous["environment"], now)
        if changed:
            print(f"warning: no longer bit-exact, since these have changed: {', '.join(changed)}", file=sys.stderr)
    config: dict[str, Any] = {
        "format": FORMAT,
        "run_id": previous["run_id"] if previous else uuid.uuid4().hex,
        "task": request.task.name,
        "command": previous["command"] if previous else request.command,
        "steps": request.steps,
        "config": dataclasses.asdict(resolved.config),
        "sources": resolved.sources,
        "explicit": resolved.explicit,
        "options": dataclasses.asdict(request.options),
        "data": {
            "path": str(data.resolve()) if data else None,
            "sources": {
                name: {"name": source.name, "count": len(source), "digest": source.digest} for name, source in sources.items()
            },
        },
        "environment": previous["environment"] if previous else now,
    }
    folders = _find_folders(request, previous)
    if folders:
        config["data"]["folders"] = {name: str(path.resolve()) for name, path in folders.items()}
    if previous and "initialized_from" in previous:
        config["initialized_from"] = previous["initialized_from"]
    return config


def _restore(run_dir: RunDir, checkpoints: Checkpoints, plan: TrainingPlan, config: dict[str, Any]) -> int:
    """Returns the step to resume from: the newest valid checkpoint's, or 0 where none was written yet.

    Raises:
        UserError: the checkpoints are lost, damaged, or those of another run.
    """
    hint = f"Put them back, or {hint_new_run(run_dir.path)}"
    step = checkpoints.newest()
    if step is None and checkpoints.steps():
        raise UserError(f"No checkpoint in {checkpoints.directory} is valid", hint)
    if step is None and _has_had_checkpoints(run_dir):
        raise UserError(f"{run_dir.path} has been trained, but its checkpoints are lost", hint)
    if step is None:
        print("no checkpoint yet: starting at step 0")
        return 0
    state = checkpoints.restore(step)
    if state.get("run_id") != config["run_id"]:
        problem = f"{checkpoints.path(step)} belongs to another run than {run_dir.path}"
        raise UserError(problem, "Put the checkpoints of this run back, or resume the other one")
    plan.state.update(state)
    checkpoints.discard_after(step)
    print(f"restored step {step}")
    return step


def _has_had_checkpoints(run_dir: RunDir) -> bool:
    """Returns whether a run holds what is written only after a checkpoint, or in a run of ``--init-from`` its first one."""
    after_checkpoint = (export.WEIGHTS, export.FINETUNE, export.CARD, export.SCORES)
    if "initialized_from" in run_dir.config or any((run_dir.path / name).is_file() for name in after_checkpoint):
        return True
    metrics = run_dir.path / METRICS
    lines = map(parse_line, metrics.read_bytes().split(b"\n")) if metrics.is_file() else ()
    return max((values["step"] for values in lines if values), default=0) > run_dir.config["options"]["checkpoint_every"]


def _check_progress(plan: TrainingPlan, first_step: int, minutes: float | None) -> None:
    """Checks that there is something left to train."""
    if first_step > plan.steps:
        raise UserError(f"--steps {plan.steps} is less than the {first_step} steps that this run has done", "Give more steps")
    if first_step < plan.steps and plan.time_is_up:
        trained = plan.state["seconds"] / 60
        problem = f"--minutes {minutes:g} is not more than the {trained:.4g} minutes that this run has trained"
        raise UserError(problem, "Give more minutes, or leave --minutes out")


def _finish(request: TrainingRequest, run: RunContext, last_step: int) -> int:
    """Prints what was reached and what to do next, and scores a finished run; returns the exit code."""
    task, folder, plan = request.task, shlex.quote(str(run.run_dir.path)), run.plan
    resume = f"python train.py --task {task.name} --runs {shlex.quote(str(request.runs))} --resume {folder}"
    if last_step < plan.steps and plan.time_is_up and request.minutes:
        print(f"stopped at step {last_step} with a checkpoint after --minutes {request.minutes:g}; resume with:")
        print(f"{resume} --minutes {2 * request.minutes:g}  (or without --minutes, to step {plan.steps})")
        return 0
    if last_step < plan.steps:
        print(f"stopped at step {last_step} with a checkpoint; resume with: {resume}")
        return 130
    images = f"; look at {run.run_dir.path / 'images'} and curves.png beside it" if request.options.grid_every else ""
    print(f"done: {last_step:,} steps, the weights are in {run.run_dir.path}{images}")
    print(f"use them:  python infer.py --task {task.name} --weights {folder} {task.family.example}")
    _score(request, run)
    return 0


def _score(request: TrainingRequest, run: RunContext) -> None:
    """Writes the task's scores (validation images, once), unless these weights have been scored; says what is missing."""
    data, directory, task = run.config["data"]["path"], run.run_dir.path, request.task
    if export.has_scores(directory):
        print(f"these weights have been scored: see {directory / export.SCORES}")
        return
    left_out: list[str] = []
    try:
        scores = evaluate_weights(task, directory, Path(data) if data else None, EvaluationOptions(), left_out.append)
    except UserError as error:
        left_out, scores = left_out or [error.problem], {}
    if scores:
        export.write_scores(directory, json.loads(to_json(scores, task.thresholds)))
        print(render_table(scores, task.thresholds), end="")
    if left_out:
        print(f"not scored: {'; '.join(left_out)}")
    if not scores:
        print(f"score them: python evaluate.py --task {task.name} --weights {shlex.quote(str(directory))} --data FOLDER")
