"""The one loop, with a method that is no GAN: a seam test of stream, checkpoints, writers and ``fit``."""

import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf
from helpers import gaussians

from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.loggers import Writers
from gan_tf.training.loop import Plan, asked_to_stop, input_error, progress, told, train
from pipelines.errors import InputError


def go(folder, steps, first=0, built=None, **plan):
    """Trains a fresh (or given) classifier in ``folder``; returns the method, the steps done and the plan."""
    method, stream = built or gaussians.build()
    plan = Plan(steps, **{"log_every": 1, "checkpoint_every": 4, **plan})
    checkpoints = Checkpoints(folder / "checkpoints", method)
    if first:
        plan.state.update(checkpoints.restore(first))
    folder.mkdir(exist_ok=True)
    writers = Writers(folder, first)
    try:
        done = train(method, stream, plan, checkpoints, writers, first)
    finally:
        writers.close()
    return method, done, plan


def state(method) -> list[bytes]:
    """All that the method changes, as bytes."""
    variables = [*method.net.variables, *method.rate_optimizer.variables]
    return [np.asarray(v).tobytes() for v in variables]


def test_it_learns(tmp_path):
    _, done, _ = go(tmp_path / "run", 60)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert done == 60
    assert [line["step"] for line in lines] == list(range(1, 61))
    assert abs(lines[0]["loss"] - np.log(2)) < 1e-6  # zero weights: every point is worth log 2
    assert lines[-1]["loss"] < 0.2


def test_loop_equals_keras_fit(tmp_path):
    by_loop, _, _ = go(tmp_path / "run", 10)
    by_fit, stream = gaussians.build()
    by_fit.fit(stream.dataset(0, 10), shuffle=False, verbose=0)
    assert state(by_loop) == state(by_fit)


def test_resume_gives_the_same_bits(tmp_path):
    whole, _, _ = go(tmp_path / "whole", 12)
    go(tmp_path / "parts", 5, checkpoint_every=5)
    parts, done, _ = go(tmp_path / "parts", 12, first=5)
    assert done == 12
    assert state(whole) == state(parts)
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "parts/metrics.jsonl").read_text()


def test_a_signal_ends_with_a_checkpoint(tmp_path):
    def interrupt(step):
        if step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    method, done, _ = go(tmp_path / "run", 12, every=[(1, interrupt)])
    assert done in (6, 7)
    assert Checkpoints(tmp_path / "run/checkpoints", method).newest() == done
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_signal_of_another_kind_is_handled_the_usual_way():
    usual, before = [], signal.signal(signal.SIGTERM, lambda number, frame: usual.append(number))
    try:
        with asked_to_stop() as asked:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        assert (asked, usual) == ([signal.SIGINT], [signal.SIGTERM])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_refusal_while_data_is_read_comes_back_from_the_graph():
    refusal = InputError("/data/a;b is gone", "the file that was there", "put it back; or start anew")

    def take(index):
        raise refusal

    images = tf.data.Dataset.range(1).map(lambda index: tf.py_function(take, [index], tf.float32))
    with pytest.raises(tf.errors.UnknownError) as failure:
        next(iter(images))
    assert str(input_error(failure.value)) == str(refusal)


def test_the_time_stops_it_with_a_checkpoint_and_the_rest_gives_the_same_bits(tmp_path):
    whole, _, _ = go(tmp_path / "whole", 12)
    method, done, plan = go(tmp_path / "parts", 12, seconds=1e-6)
    assert done == 1
    assert plan.time_is_up
    assert Checkpoints(tmp_path / "parts/checkpoints", method).newest() == 1
    parts, done, _ = go(tmp_path / "parts", 12, first=1)
    assert done == 12
    assert state(whole) == state(parts)


def test_time_counts_over_resumes(tmp_path):
    go(tmp_path / "run", 12, seconds=1e-6, state={"seconds": 1000.0})
    _, done, plan = go(tmp_path / "run", 12, first=1, seconds=1000.0)
    assert done == 2
    assert plan.state["seconds"] > 1000.0
    _, done, _ = go(tmp_path / "run", 4, first=2, seconds=2000.0)
    assert done == 4  # the steps come first


def test_actions_run_at_their_interval_and_at_the_end(tmp_path):
    seen = []
    go(tmp_path / "run", 11, every=[(4, seen.append), (0, pytest.fail)])
    assert seen == [4, 8, 11]


def test_no_checkpoint_after_a_failure(tmp_path):
    method, stream = gaussians.build()
    good = stream.source.take
    stream.source.take = lambda indices: good(indices) * np.nan
    with pytest.raises(InputError, match=r"step 1: gradient was not finite"):
        go(tmp_path / "run", 8, built=(method, stream), checkpoint_every=1)
    assert Checkpoints(tmp_path / "run/checkpoints", method).newest() is None
    assert all(np.isfinite(np.asarray(v)).all() for v in method.net.variables)


def test_two_devices_share_the_batch(tmp_path, two_devices):
    alone, _, _ = go(tmp_path / "one", 5)
    with two_devices.scope():
        built = gaussians.build()
    both, _, _ = go(tmp_path / "two", 5, built=built, strategy=two_devices)
    for a, b in zip(alone.net.variables, both.net.variables, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b.value), rtol=1e-5, atol=1e-6)
    one = [json.loads(line) for line in (tmp_path / "one/metrics.jsonl").read_text().splitlines()]
    two = [json.loads(line) for line in (tmp_path / "two/metrics.jsonl").read_text().splitlines()]
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_the_bar_tells_the_minutes_left_where_the_clock_may_end_the_training():
    values = {"d_loss": 1.0, "penalty": 2.0, "g_loss": 0.25}
    assert told(values, Plan(steps=5)) == {"d_loss": "1.000", "g_loss": "0.250"}
    timed = Plan(steps=5, seconds=600.0, state={"seconds": 150.0})
    assert told(values, timed) == {"d_loss": "1.000", "g_loss": "0.250", "minutes left": "7.5"}
    with progress(2, Plan(steps=5)) as bar, progress(2, timed) as open_ended:
        assert (bar.total, bar.n, open_ended.total) == (5, 2, None)
