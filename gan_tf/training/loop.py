"""The only training loop. It knows steps, intervals, signals, progress and writers, and nothing of what is trained."""

import contextlib
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.finite_check import diverged
from gan_tf.training.loggers import Writers
from pipelines.errors import InputError
from pipelines.stream import Stream


@dataclass
class Plan:
    """How long to train and what to do on the way; none of it changes the weights.

    Attributes:
        steps: updates in all, those before a resume included.
        log_every: steps between two points of the curves.
        checkpoint_every: steps between two checkpoints, which is what a kill can lose.
        every: other things to do, as (interval, action of the step); all of them come at the last step too.
        at_checkpoint: actions of the step that come before each checkpoint.
        state: small JSON state saved with each checkpoint, changed by the actions.
        strategy: several devices; None for one.
        seconds: training time in all, those before a resume included, after which to stop early; None: no limit.
    """

    steps: int
    log_every: int = 10
    checkpoint_every: int = 500
    every: list[tuple[int, Callable[[int], None]]] = field(default_factory=list)
    at_checkpoint: list[Callable[[int], None]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    strategy: tf.distribute.Strategy | None = None
    seconds: float | None = None

    @property
    def time_is_up(self) -> bool:
        """Whether the training time is used up."""
        return self.seconds is not None and self.state.get("seconds", 0.0) >= self.seconds


def train(method, stream: Stream, plan: Plan, checkpoints: Checkpoints, writers: Writers, first: int = 0) -> int:
    """Trains ``method`` from step ``first`` to ``plan.steps``; returns the steps done.

    The weights are those of ``method.fit(stream.dataset(first, plan.steps))``. A stop asked for by SIGINT or SIGTERM,
    and the end of ``plan.seconds``, end with a checkpoint and return early; after a failure none is written.

    Raises:
        InputError: from the guard, where a loss or a gradient is not finite.
    """
    update = compiled(method, plan.strategy)
    done, began = first, time.monotonic() - plan.state.get("seconds", 0.0)
    with asked_to_stop() as stop, progress(first, plan) as bar:
        upcoming = iter(batches(stream, plan, first))
        while done < plan.steps:
            try:
                logs = update(next(upcoming))
            except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
                raise diverged(error, done + 1) or input_error(error) or error from None
            done += 1
            bar.update()
            if done % plan.log_every == 0:
                values = {name: float(value) for name, value in logs.items()}
                writers.scalars(done, values)
                bar.set_postfix(told(values, plan), refresh=False)
            plan.state["seconds"] = time.monotonic() - began
            stopped = bool(stop) or plan.time_is_up or done == plan.steps
            for interval, action in plan.every:
                if interval and (done % interval == 0 or done == plan.steps):
                    action(done)
            if stopped or done % plan.checkpoint_every == 0:
                for action in plan.at_checkpoint:
                    action(done)
                writers.flush()
                checkpoints.save(done, plan.state)
            if stopped:
                break
    return done


def input_error(error: tf.errors.OpError) -> InputError | None:
    """An InputError raised while data was read, which the graph hands on as text; None for any other error."""
    words = re.search(r"InputError: (.*?); expected (.*); (.*)", str(error))
    return InputError(*words.groups()) if words else None


def compiled(method, strategy) -> Callable[[dict], dict]:
    """The one ``tf.function``: a step on one device, or on all devices of a strategy with the replicas' logs summed."""

    @tf.function
    def update(batch):
        if strategy is None:
            return method.train_step(batch)
        logs = strategy.run(method.train_step, args=(batch,))
        return {name: strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in logs.items()}

    return update


def batches(stream: Stream, plan: Plan, first: int):
    """The stream from ``first`` on, each batch cut into equal shares where there are several devices."""
    dataset = stream.dataset(first, plan.steps)
    if plan.strategy is None:
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return plan.strategy.experimental_distribute_dataset(dataset.with_options(options))


def progress(first: int, plan: Plan) -> tqdm:
    """A bar with the time left on a terminal, a line now and then in a log; no end in steps where the clock may come first."""
    quiet = not sys.stderr.isatty()
    interval = 30.0 if quiet else 0.2
    total = plan.steps if plan.seconds is None else None
    return tqdm(initial=first, total=total, unit="step", mininterval=interval, maxinterval=interval, dynamic_ncols=True)


def told(values: dict[str, float], plan: Plan) -> dict[str, str]:
    """What stands beside the bar: two losses, and the minutes left where the clock may end the training."""
    losses = {name: f"{values[name]:.3f}" for name in [*list(values)[:1], "g_loss"] if name in values}
    if plan.seconds is None:
        return losses
    return losses | {"minutes left": f"{max(0.0, plan.seconds - plan.state.get('seconds', 0.0)) / 60:.1f}"}


@contextlib.contextmanager
def asked_to_stop():
    """A list that is no longer empty once SIGINT or SIGTERM came; a second signal ends the process the usual way."""
    asked: list[int] = []

    def note(number, frame):
        asked.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)
        print("\nstopping after this step, with a checkpoint (again: at once)", file=sys.stderr)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: a notebook's worker, say, has no signals to handle
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
