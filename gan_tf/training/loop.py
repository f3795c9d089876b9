"""The training loop: steps, intervals, signals, progress, logging and checkpoints, for any model."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tqdm import tqdm

from gan_tf.nn.ema import kept_statistics
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.finite_check import finite_check_error
from pipelines.errors import user_error_from
from pipelines.stream import Stream

if TYPE_CHECKING:
    from gan_tf.training.callbacks import Callback
    from gan_tf.training.context import RunContext
    from gan_tf.workflow import TrainableModel

Batch = Mapping[str, Any]
Logs = dict[str, tf.Tensor]


@dataclass
class TrainingPlan:
    """How long to train, and how often to log and to save a checkpoint. None of it changes the weights.

    Attributes:
        steps: training steps in all, including those before a resume.
        log_every: steps between two points of the curves.
        checkpoint_every: steps between two checkpoints: what is lost at most when the process is killed.
        seconds: training time in all, including that before a resume, after which to stop early; None without a limit.
        state: JSON values that are saved with each checkpoint; callbacks may change it. "seconds" is the time so far.
    """

    steps: int
    log_every: int = 10
    checkpoint_every: int = 500
    seconds: float | None = None
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def time_is_up(self) -> bool:
        """Whether the training time is used up."""
        return self.seconds is not None and self.state.get("seconds", 0.0) >= self.seconds


def train(
    run: "RunContext",
    model: "TrainableModel",
    checkpoints: Checkpoints,
    callbacks: Sequence["Callback"],
    first_step: int = 0,
) -> int:
    """Trains a model from ``first_step`` to ``run.plan.steps``; returns the number of steps done.

    The weights are those of ``model.fit(stream.dataset(first_step, steps))``. SIGINT, SIGTERM, SIGHUP and the end of
    ``run.plan.seconds`` stop it early, with a checkpoint. At each step the checkpoint comes first and the callbacks after it:
    if one of them fails or is killed, no step is lost, and a resumed run catches up on it. After an error in a step no
    checkpoint is written.

    Raises:
        FiniteCheckError: a loss or a gradient is not finite.
        UserError: an image cannot be read, or a file cannot be written.
    """
    plan, step = run.plan, first_step
    train_step = build_step_function(model, run.strategy)
    start_time = time.monotonic() - plan.state.get("seconds", 0.0)
    for callback in callbacks:
        callback.on_start(first_step)
    if first_step:
        _catch_up(model, callbacks, first_step, plan)
    with _stop_signals() as received, _progress_bar(first_step, plan) as bar:
        batches = iter(build_batches(run.stream, run.strategy, first_step, plan.steps))
        while step < plan.steps:
            with _plain_errors(step + 1):
                logs = train_step(next(batches))
            step += 1
            bar.update()
            if step % plan.log_every == 0:
                values = {name: float(value) for name, value in logs.items()}
                run.loggers.scalars(step, values)
                bar.set_postfix(_progress_text(values, plan) | run.progress, refresh=False)
            plan.state["seconds"] = time.monotonic() - start_time
            is_last = bool(received) or plan.time_is_up or step == plan.steps
            is_checkpoint = is_last or step % plan.checkpoint_every == 0
            if is_checkpoint:
                run.loggers.flush()
                checkpoints.save(step, plan.state)
            due = [callback for callback in callbacks if callback.interval and (is_last or step % callback.interval == 0)]
            _call(model, callbacks if is_checkpoint else [], due, step)
            if is_last:
                break
    return step


@contextlib.contextmanager
def _plain_errors(step: int) -> Iterator[None]:
    """Replaces what TensorFlow says of a number that is not finite, or of an image that cannot be read, by our own error."""
    try:
        yield
    except tf.errors.OpError as error:
        user_error = finite_check_error(error, step) or user_error_from(error)
        if user_error is None:
            raise
        raise user_error from None


def _catch_up(model: "TrainableModel", callbacks: Sequence["Callback"], step: int, plan: TrainingPlan) -> None:
    """Calls what was due at the step of the checkpoint that a run resumes from, and had not been done when it stopped."""
    with kept_statistics(model):
        for callback in callbacks:
            if not callback.is_done(step):
                callback.on_checkpoint(step)
                if callback.interval and (step % callback.interval == 0 or step == plan.steps):
                    callback.on_interval(step)


def _call(model: "TrainableModel", at_checkpoint: Sequence["Callback"], at_interval: Sequence["Callback"], step: int) -> None:
    """Calls callbacks after a step. They share what one of them recomputes; then the training has its own values again."""
    if not at_checkpoint and not at_interval:
        return
    with kept_statistics(model):
        for callback in at_checkpoint:
            callback.on_checkpoint(step)
        for callback in at_interval:
            callback.on_interval(step)


def build_step_function(model: "TrainableModel", strategy: tf.distribute.Strategy | None) -> Callable[[Batch], Logs]:
    """Returns ``model.train_step`` as a ``tf.function``.

    Under a strategy it runs on all devices, and the logs of the replicas are summed.
    """

    @tf.function
    def train_step(batch: Batch) -> Logs:
        if strategy is None:
            return model.train_step(batch)
        logs = strategy.run(model.train_step, args=(batch,))
        return {name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in logs.items()}

    return train_step


def build_batches(stream: Stream, strategy: tf.distribute.Strategy | None, first_step: int, last_step: int) -> Iterable[Batch]:
    """Returns the batches of steps ``first_step`` to ``last_step - 1``.

    Under a strategy each batch is cut into equal parts, one for each device.
    """
    dataset = stream.dataset(first_step, last_step)
    if strategy is None:
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return strategy.experimental_distribute_dataset(dataset.with_options(options))


def _progress_bar(first_step: int, plan: TrainingPlan) -> tqdm:
    """Returns a progress bar that is redrawn rarely where standard error is a log file.

    It has no total where the time limit may come first.
    """
    interval = 0.2 if sys.stderr.isatty() else 30.0
    total = plan.steps if plan.seconds is None else None
    return tqdm(initial=first_step, total=total, unit="step", mininterval=interval, maxinterval=interval, dynamic_ncols=True)


def _progress_text(values: Mapping[str, float], plan: TrainingPlan) -> dict[str, str]:
    """Returns what stands beside the bar: the first value, "g_loss" if there is one, and the time left if it is limited."""
    shown = [*list(values)[:1], "g_loss"]
    text = {name: f"{values[name]:.3f}" for name in shown if name in values}
    if plan.seconds is not None:
        text["minutes left"] = f"{max(0.0, plan.seconds - plan.state.get('seconds', 0.0)) / 60:.1f}"
    return text


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Yields a list that receives SIGINT, SIGTERM or SIGHUP; a second signal is handled as outside of this block."""
    received: list[int] = []
    previous: dict[int, Any] = {}

    def restore_handlers() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore_handlers()
        print("\nstopping after this step: first the checkpoint, then pictures and scores", end="", file=sys.stderr)
        print(" (Ctrl-C leaves these out)", file=sys.stderr, flush=True)

    with contextlib.suppress(ValueError):  # not the main thread, as in a notebook: there are no signals to handle
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            previous[number] = signal.signal(number, receive)
    try:
        yield received
    finally:
        restore_handlers()
