"""The training loop with a model that makes no images: stream, checkpoints, logging, signals, devices and Keras's ``fit``."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import gaussians

from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.training.callbacks import Callback
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.finite_check import FiniteCheckError
from gan_tf.training.loop import TrainingPlan, _progress_bar, _progress_text, _stop_signals, train
from pipelines.errors import UserError, graph_error


def run(directory: Path, steps: int, first_step: int = 0, built=None, strategy=None, callbacks=(), **plan):
    """Trains a new (or given) model in ``directory``; returns the model, the steps done and the plan."""
    model, stream = built or gaussians.build()
    plan = TrainingPlan(steps, **{"log_every": 1, "checkpoint_every": 4, **plan})
    checkpoints = Checkpoints(directory / "checkpoints", model)
    if first_step:
        plan.state.update(checkpoints.restore(first_step))
    context = gaussians.run_context(directory, stream, plan, first_step, strategy)
    try:
        last_step = train(context, model, checkpoints, callbacks, first_step)
    finally:
        context.loggers.close()
    return model, last_step, plan


def variables(model) -> list:
    networks = (model.generator, model.generator_ema, model.discriminator)
    optimizers = (model.g_optimizer, model.d_optimizer)
    return [*(v for owner in (*networks, *optimizers) for v in owner.variables), model.images_seen]


def state(model) -> list[bytes]:
    """Returns all that training changes, as bytes."""
    return [np.asarray(v).tobytes() for v in variables(model)]


def logged(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_train_toy_gan_learns_the_distribution(tmp_path):
    model, last_step, _ = run(tmp_path / "run", 400, log_every=100, checkpoint_every=400)
    latents, real = np.random.default_rng(0).normal(size=(1000, gaussians.LATENT_DIM)), gaussians.Gaussians25().points
    before, after = (
        frechet_distance_of_features(np.asarray(generator(latents)), real)
        for generator in (gaussians.build_generator(), model.generator_ema)
    )
    assert last_step == 400
    assert after < 0.25 * before
    assert after < 0.5


def test_train_logs_each_step(tmp_path):
    run(tmp_path / "run", 5)
    lines = logged(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["d_loss"] == pytest.approx(2 * np.log(2), abs=1e-6)  # all logits are 0 at first


def test_train_equals_keras_fit(tmp_path):
    by_loop, _, _ = run(tmp_path / "run", 10)
    by_fit, stream = gaussians.build()
    by_fit.fit(stream.dataset(0, 10), shuffle=False, verbose=0)
    assert state(by_loop) == state(by_fit)


def test_train_resumed_gives_the_same_bits(tmp_path):
    uninterrupted, _, _ = run(tmp_path / "uninterrupted", 12)
    run(tmp_path / "resumed", 5, checkpoint_every=5)
    resumed, last_step, _ = run(tmp_path / "resumed", 12, first_step=5)
    assert last_step == 12
    assert state(uninterrupted) == state(resumed)
    assert (tmp_path / "uninterrupted/metrics.jsonl").read_text() == (tmp_path / "resumed/metrics.jsonl").read_text()


class Interrupt(Callback):
    """Sends a signal to this process after step 6."""

    interval = 1
    number = signal.SIGINT

    def on_interval(self, step):
        if step == 6:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_train_signal_stops_with_a_checkpoint(tmp_path, number):
    before = signal.getsignal(number)
    callback = Interrupt()
    callback.number = number
    model, last_step, _ = run(tmp_path / "run", 12, callbacks=[callback])
    assert last_step in (6, 7)
    assert Checkpoints(tmp_path / "run/checkpoints", model).newest() == last_step
    assert signal.getsignal(number) is before


def test_stop_signals_second_signal_is_handled_as_before():
    handled, before = [], signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
    try:
        with _stop_signals() as received:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        assert (received, handled) == ([signal.SIGINT], [signal.SIGTERM])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_train_user_error_in_the_stream_is_raised(tmp_path):
    model, stream = gaussians.build()
    error = UserError("/data/a;b cannot be read", "Put it back")

    def fail(indices):
        raise graph_error(error)

    stream.sources["real"].take = lambda indices: tf.ensure_shape(tf.py_function(fail, [indices], tf.float32), (16, 2))
    with pytest.raises(UserError) as caught:
        run(tmp_path / "run", 2, built=(model, stream))
    assert caught.value is error


def test_train_time_limit_stops_with_a_checkpoint_and_resumes_with_the_same_bits(tmp_path):
    uninterrupted, _, _ = run(tmp_path / "uninterrupted", 12)
    model, last_step, plan = run(tmp_path / "resumed", 12, seconds=1e-6)
    assert last_step == 1
    assert plan.time_is_up
    assert Checkpoints(tmp_path / "resumed/checkpoints", model).newest() == 1
    resumed, last_step, _ = run(tmp_path / "resumed", 12, first_step=1)
    assert last_step == 12
    assert state(uninterrupted) == state(resumed)


def test_train_time_limit_counts_the_time_before_a_resume(tmp_path):
    run(tmp_path / "run", 12, seconds=1e-6, state={"seconds": 1000.0})
    _, last_step, plan = run(tmp_path / "run", 12, first_step=1, seconds=1000.0)
    assert last_step == 2
    assert plan.state["seconds"] > 1000.0
    _, last_step, _ = run(tmp_path / "run", 4, first_step=2, seconds=2000.0)
    assert last_step == 4  # the number of steps is reached first


class Recorder(Callback):
    """Records its calls in a list that several callbacks share."""

    def __init__(self, name: str, interval: int, calls: list):
        self.name, self.interval, self.calls = name, interval, calls

    def on_start(self, first_step):
        self.calls.append((self.name, "start", first_step))

    def on_interval(self, step):
        self.calls.append((self.name, "interval", step))

    def on_checkpoint(self, step):
        self.calls.append((self.name, "checkpoint", step))


def test_train_calls_callbacks_of_the_checkpoint_first_and_all_at_the_last_step(tmp_path):
    calls = []
    run(tmp_path / "run", 11, callbacks=[Recorder("a", 0, calls), Recorder("b", 4, calls)], checkpoint_every=8)
    starts = [("a", "start", 0), ("b", "start", 0)]
    checkpoint_calls = [[("a", "checkpoint", step), ("b", "checkpoint", step), ("b", "interval", step)] for step in (8, 11)]
    assert calls == [*starts, ("b", "interval", 4), *checkpoint_calls[0], *checkpoint_calls[1]]


class Failing(Recorder):
    """Fails at step 8 as long as it is asked to."""

    is_failing = True

    def on_interval(self, step):
        super().on_interval(step)
        if step == 8 and self.is_failing:
            raise UserError("The disk is full", "Free some space")

    def is_done(self, step):
        return step != 8


def test_train_failing_callback_loses_no_step_and_is_caught_up_on(tmp_path):
    """The checkpoint of its step is there; the resumed run does first what was due, once, and ends with the same bits."""
    uninterrupted, _, _ = run(tmp_path / "uninterrupted", 12)
    calls, callback = [], Failing("f", 4, [])
    callback.calls = calls
    built = gaussians.build()
    with pytest.raises(UserError, match="disk is full"):
        run(tmp_path / "run", 12, built=built, callbacks=[callback])
    assert Checkpoints(tmp_path / "run/checkpoints", built[0]).newest() == 8
    callback.is_failing = False
    calls.clear()
    resumed, last_step, _ = run(tmp_path / "run", 12, first_step=8, callbacks=[callback])
    assert [(kind, step) for _, kind, step in calls] == [
        ("start", 8),
        ("checkpoint", 8),
        ("interval", 8),
        ("checkpoint", 12),
        ("interval", 12),
    ]
    assert last_step == 12
    assert state(uninterrupted) == state(resumed)


def test_train_stopped_early_ends_with_the_interval_callbacks(tmp_path):
    calls = []
    run(tmp_path / "run", 12, callbacks=[Recorder("a", 1000, calls)], seconds=1e-6)
    assert calls == [("a", "start", 0), ("a", "checkpoint", 1), ("a", "interval", 1)]


def test_train_non_finite_loss_writes_no_checkpoint(tmp_path):
    model, stream = gaussians.build()
    source = stream.sources["real"]
    take = source.take
    source.take = lambda indices: take(indices) * np.nan
    with pytest.raises(FiniteCheckError, match="step 1") as caught:
        run(tmp_path / "run", 8, built=(model, stream), checkpoint_every=1)
    assert caught.value.record() == {"kind": "non-finite", "step": 1, "quantity": "D's gradient"}
    assert Checkpoints(tmp_path / "run/checkpoints", model).newest() is None
    assert all(np.isfinite(np.asarray(v)).all() for v in variables(model))


def test_train_two_devices_equal_one(tmp_path, two_devices):
    one, _, _ = run(tmp_path / "one", 5)
    with two_devices.scope():
        built = gaussians.build()
    two, _, _ = run(tmp_path / "two", 5, built=built, strategy=two_devices)
    for a, b in zip(variables(one), variables(two), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b.value), rtol=1e-4, atol=1e-6)
    for a, b in zip(logged(tmp_path / "one"), logged(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_progress_time_limit_shows_the_minutes_left():
    values = {"d_loss": 1.0, "penalty": 2.0, "g_loss": 0.25}
    limited = TrainingPlan(steps=5, seconds=600.0, state={"seconds": 150.0})
    assert _progress_text(values, TrainingPlan(steps=5)) == {"d_loss": "1.000", "g_loss": "0.250"}
    assert _progress_text(values, limited) == {"d_loss": "1.000", "g_loss": "0.250", "minutes left": "7.5"}
    with _progress_bar(2, TrainingPlan(steps=5)) as bar, _progress_bar(2, limited) as open_ended:
        assert (bar.total, bar.n, open_ended.total) == (5, 2, None)
