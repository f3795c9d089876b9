"""Penalties taken each few steps, and which images pass D together."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import BATCH, NORMS, batch_of, method_of, values

LAZY = [
    {"loss": "rpgan"},
    {"loss": "wgangp", "d_steps": 1},
    {"loss": "hinge", "penalty": "r1"},
    {"loss": "hinge", "penalty": "two-sided"},
]


@pytest.mark.parametrize(("said", "traced"), [(LAZY[0], True), (LAZY[1], False), (LAZY[2], False), (LAZY[3], True)], ids=str)
def test_a_lazy_penalty_is_taken_each_third_step(said, traced):
    """The steps between show the one last taken."""
    method, traces = method_of(sgd=1e-3, network="baseline", penalty_every=3, **said), []

    def update(batch):
        traces.append(1)
        return method.train_step(batch)

    run = tf.function(update) if traced else update
    found = [float(run(batch_of(method, step))["penalty"]) for step in range(7)]
    first, second, third = found[0], found[3], found[6]
    assert found == [first, first, first, second, second, second, third]
    assert len({0.0, first, second, third}) == 4
    assert len(traces) == (1 if traced else 7)


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize("said", LAZY, ids=str)
def test_a_lazy_penalty_is_as_many_times_as_strong(said, traced):
    """The first update of D is that of three times the weight, one of the steps between that of none at all."""
    lazy, thrice, alike, without = (
        method_of(sgd=0.05, network="baseline", penalty_every=every, penalty_weight=weight, **said)
        for every, weight in ((3, 0.5), (1, 1.5), (1, 0.5), (1, 0.0))
    )
    methods, batch = (lazy, thrice, alike, without), batch_of(lazy)
    fake = lazy.generator(batch["noise"][:, 0])
    start = [4.0 * w if w.ndim > 2 else w for w in lazy.discriminator.get_weights()]

    def updated(step: int) -> list[list[np.ndarray]]:
        for method in methods:
            method.discriminator.set_weights(start)
            method.images_seen.assign(step * BATCH)
            update = method.update_discriminator
            (tf.function(update) if traced and method is lazy else update)(batch, 0, fake)
        return [values(method.discriminator) for method in methods]

    def apart(first, second) -> float:
        return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))

    found, expected, weaker, none = updated(0)
    assert apart(found, expected) < 1e-3 * apart(expected, none)
    assert apart(weaker, expected) > 0.1 * apart(expected, none) > 0
    found, expected, _, none = updated(1)
    assert apart(found, none) < 1e-3 * apart(expected, none)


@pytest.mark.parametrize("norm", ["layer", "spectral"])
def test_a_lazy_penalty_on_several_devices(norm, two_devices):
    with two_devices.scope():
        method = method_of(sgd=1e-3, network="baseline", loss="wgangp", norm=norm, d_steps=1, penalty_every=2)
        single = method_of(sgd=1e-3, network="baseline", loss="wgangp", norm=norm, d_steps=1, penalty_every=2)
    shares = [{name: tf.split(value, 2)[i] for name, value in batch_of(method).items()} for i in range(2)]

    @tf.function
    def update():
        given = two_devices.experimental_distribute_values_from_function(lambda c: shares[c.replica_id_in_sync_group])
        return two_devices.reduce("SUM", two_devices.run(lambda b: method.train_step(b)["penalty"], args=(given,)), axis=None)

    found = [float(update()) for _ in range(3)]
    expected = [float(single.train_step(batch_of(single))["penalty"]) for _ in range(3)]
    # On several devices D sees the points between images in each step, so a spectral norm's power iteration goes further.
    np.testing.assert_allclose(found, expected, rtol=2e-2 if norm == "spectral" else 1e-3)
    assert found[0] == found[1] != found[2]


def test_a_lazy_penalty_goes_on_in_phase_after_a_resume():
    method = method_of(loss="rpgan", network="baseline", penalty_every=3)
    method.images_seen.assign(4 * BATCH)
    found = [float(method.train_step(batch_of(method, step))["penalty"]) for step in range(4, 8)]
    assert found[:2] == [0.0, 0.0]  # this method has taken none yet
    assert found[2] == found[3] > 0


@pytest.mark.parametrize("said", [{"norm": norm} for norm in NORMS], ids=str)
def test_real_and_fake_images_pass_d_as_one_batch_but_for_batch_norm(said):
    method = method_of(network="baseline", **said)
    batch, inner, sizes = batch_of(method), method.discriminator, []

    def counted(images, training):
        sizes.append(int(images.shape[0]))
        return inner(images, training=training)

    counted.trainable_variables = inner.trainable_variables
    method.discriminator = counted
    method.update_discriminator(batch, 0, method.generator(batch["noise"][:, 0]))
    assert sizes == ([BATCH, BATCH] if said["norm"] == "batch" else [2 * BATCH])
