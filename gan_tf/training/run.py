"""One training run from its request to its scores: data, model, checkpoints, loop, evaluation."""

import contextlib
import dataclasses
import datetime
import shlex
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from gan_tf.curves import METRICS
from gan_tf.options import Resolved, format_config
from gan_tf.run_dir import FAILURE, FORMAT, RunDir, create_run_dir, read_run_config
from gan_tf.training import environment
from gan_tf.training.callbacks import Callback
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.conclusion import conclude_run
from gan_tf.training.context import RunContext
from gan_tf.training.data import find_folders, open_training_data
from gan_tf.training.devices import build_strategy, find_gpus, require_one_device
from gan_tf.training.finite_check import FiniteCheckError
from gan_tf.training.initialization import initialize_model
from gan_tf.training.loggers import TENSORBOARD, Loggers
from gan_tf.training.loop import TrainingPlan, build_step_function, train
from gan_tf.training.memory import require_memory
from gan_tf.training.network_summary import describe_network
from gan_tf.training.report_page import ReportPage
from gan_tf.training.request import TrainingRequest
from gan_tf.training.resume import check_progress, compare_data, restore_run
from gan_tf.utils.files import file_errors, remove_leftovers, require_space, write_json
from gan_tf.workflow import Workflow, build_workflow
from pipelines.location import Location
from pipelines.stream import Stream

_FREE_SPACE = 500_000_000  # bytes: checkpoints of the largest network, four at once, with space for curves and images
_TIMED_STEPS = 4  # of --dry-run


@dataclass(frozen=True)
class _Preparation:
    """A training that can start: whatever can be refused has been, and no folder has been made.

    Attributes:
        previous: ``config.json`` of the run that is resumed; None for a new run.
        resolved: the configuration.
        workflow: how the model is trained.
        model: with the weights to start from.
        plan: how long to train, and the state so far.
        first_step: the step to start from.
        stages: the trainings that the weights of ``--init-from`` went through; None without them.
        data: the folder of the images; None for synthetic ones.
        stream: the batches.
    """

    previous: dict[str, Any] | None
    resolved: Resolved
    workflow: Workflow
    model: Any
    plan: TrainingPlan
    first_step: int
    stages: list[dict[str, Any]] | None
    data: Location | None
    stream: Stream


def train_run(request: TrainingRequest) -> int:
    """Trains a new run, or resumes one, and scores it at its last step; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    require_space(request.run_dir.path if request.run_dir else request.runs, _FREE_SPACE)
    devices = find_gpus()
    if not request.task.family.several_devices:
        require_one_device(devices, request.task.name)
    strategy = build_strategy(devices, request.resolved.config.batch)
    ready = _prepare(request, strategy)
    with _open_run_dir(request, ready) as run_dir:
        checkpoints = Checkpoints(run_dir.path / "checkpoints", ready.model, keep_every=request.options.keep_every)
        config = _describe_run(request, ready)
        _write_start(run_dir, checkpoints, config, ready)
        with contextlib.closing(_open_loggers(run_dir, ready.first_step)) as loggers:
            run = RunContext(request.task.name, run_dir, config, request.options, ready.stream, loggers, ready.plan, strategy)
            page = ReportPage(request.task, run, ready.model)
            callbacks = [*ready.workflow.callbacks(run, ready.model), page]  # which shows what the others have written
            try:
                last_step = _train(run, ready.model, checkpoints, callbacks, ready.first_step)
            except FiniteCheckError:
                page.write()
                raise
        exit_code = conclude_run(request, run, last_step)
        page.write()
        return exit_code


def describe_training(request: TrainingRequest) -> None:
    """Prints the configuration, the networks, the data and the estimated time of a training, without starting a run.

    Raises:
        UserError: as ``train_run``.
    """
    ready = _prepare(request, None)
    print(format_config(ready.resolved))
    for name, network in ready.model.networks().items():
        print(f"{name}: {describe_network(network)['trainable']:,} trainable parameters")
    step = build_step_function(ready.model, None)
    batches = iter(ready.stream.dataset(0, 1 + _TIMED_STEPS))
    step(next(batches))  # traces the graph
    start = time.monotonic()
    for batch in batches:
        step(batch)
    seconds = (time.monotonic() - start) / _TIMED_STEPS
    duration = datetime.timedelta(seconds=round(seconds * request.steps))
    print(f"{request.steps:,} steps of {seconds:.3g} s: about {duration} in all")


def _prepare(request: TrainingRequest, strategy: tf.distribute.Strategy | None) -> _Preparation:
    """Builds a training; the images come last, since it may take minutes to read them."""
    previous = read_run_config(request.run_dir.path) if request.run_dir else None
    resolved = request.resolved if previous else _adapt(request)
    plan = _build_plan(request, previous["run_id"] if previous else uuid.uuid4().hex)
    workflow = build_workflow(request.task, resolved.config)
    workflow.check_run_options(request.options)
    if not find_gpus():  # their memory is their own
        require_memory(workflow, resolved)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = workflow.build_model()
    first_step = _restore(request.run_dir, model, plan) if request.run_dir else 0
    stages = _initialize(request, model)
    data, sources = open_training_data(request, resolved.config, previous)
    if request.run_dir:
        compare_data(request.run_dir, sources)
    stream = workflow.build_stream(model, sources)
    return _Preparation(previous, resolved, workflow, model, plan, first_step, stages, data, stream)


def _restore(run_dir: RunDir, model: Any, plan: TrainingPlan) -> int:
    """Restores the run that is resumed; returns the step to start from."""
    first_step = restore_run(run_dir, Checkpoints(run_dir.path / "checkpoints", model), plan)
    check_progress(plan, first_step)
    return first_step


def _initialize(request: TrainingRequest, model: Any) -> list[dict[str, Any]] | None:
    """Copies the weights of ``--init-from``; returns the trainings that they went through, or None without them."""
    if request.initial_weights is None or request.initial_task is None:
        return None
    initialization = initialize_model(model, request.initial_task, request.initial_weights)
    print(*initialization.lines, sep="\n")
    return initialization.stages


@contextlib.contextmanager
def _open_run_dir(request: TrainingRequest, ready: _Preparation) -> Iterator[RunDir]:
    """Yields the folder of the run, locked; a new one is removed again if the training fails before it leaves anything."""
    run_dir = request.run_dir
    if run_dir is None:
        names = "-".join(source.name for source in ready.stream.sources.values())
        variant = request.task.variant_of(ready.resolved.config)
        run_dir = create_run_dir(request.runs, request.task.name, f"{variant}-{names}")
        run_dir.lock()
    try:
        yield run_dir
    except BaseException:
        if request.run_dir is None:
            run_dir.remove_untrained()
        raise
    finally:
        run_dir.unlock()


def _write_start(run_dir: RunDir, checkpoints: Checkpoints, config: dict[str, Any], ready: _Preparation) -> None:
    """Writes what a run is resumed from: ``config.json`` comes last, since it makes the folder a run."""
    if ready.stages is not None:  # otherwise a run killed before its first checkpoint would resume from other weights
        checkpoints.save(0, ready.plan.state)
    if ready.previous:
        remove_leftovers(run_dir.path)
        checkpoints.discard_after(ready.first_step)
    run_dir.write_config(config)


def _build_plan(request: TrainingRequest, run_id: str) -> TrainingPlan:
    seconds, state = 60 * request.minutes if request.minutes else None, {"run_id": run_id}
    return TrainingPlan(request.steps, request.options.log_every, request.options.checkpoint_every, seconds, state)


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


def _adapt(request: TrainingRequest) -> Resolved:
    """Returns the configuration of a new run, as far as it depends on the images and on this machine."""
    task = request.task
    return _choose_precision(task.family.adapt(task, request.resolved, request.data))


def _choose_precision(resolved: Resolved) -> Resolved:
    """Returns the configuration with the precision that this machine is fast in, unless one was given."""
    if resolved.sources.get("precision") != "default":
        return resolved
    config = dataclasses.replace(resolved.config, precision=environment.fast_precision())
    return dataclasses.replace(resolved, config=config, sources={**resolved.sources, "precision": "machine"})


def _describe_run(request: TrainingRequest, ready: _Preparation) -> dict[str, Any]:
    """Returns the content of ``config.json``; warns if something that decides the bits has changed since the start."""
    now, previous = environment.describe_environment(), ready.previous
    annotations = request.task.data.annotations
    if previous:
        changed = environment.changed_facts(previous["environment"], now)
        if changed:
            print(f"warning: no longer bit-exact, since these have changed: {', '.join(changed)}", file=sys.stderr)
    config: dict[str, Any] = {
        "format": FORMAT,
        "run_id": ready.plan.state["run_id"],
        "task": request.task.name,
        "command": previous["command"] if previous else request.command,
        "steps": request.steps,
        "config": dataclasses.asdict(ready.resolved.config),
        "sources": ready.resolved.sources,
        "explicit": ready.resolved.explicit,
        "options": dataclasses.asdict(request.options),
        "data": {
            "path": str(ready.data.resolve()) if ready.data else None,
            "annotations": str(annotations.resolve()) if annotations else None,
            "sources": {
                name: {"name": source.name, "count": len(source), "digest": source.digest}
                for name, source in ready.stream.sources.items()
            },
        },
        "environment": previous["environment"] if previous else now,
    }
    folders = find_folders(request, previous)
    if folders:
        config["data"]["folders"] = {name: str(path.resolve()) for name, path in folders.items()}
    stages = previous.get("initialized_from") if previous else ready.stages
    return config if stages is None else config | {"initialized_from": stages}
