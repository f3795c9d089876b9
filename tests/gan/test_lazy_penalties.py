"""Lazy regularization (penalties every few steps), and which images pass D as one batch."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import BATCH, NORMS, build_gan, build_networks, gan_config, make_batch, trainable_values, use_sgd

from gan_tf.gan.model import GAN

LAZY = [
    {"loss": "rpgan"},
    {"loss": "wgangp", "d_steps": 1},
    {"loss": "hinge", "penalty": "r1"},
    {"loss": "hinge", "penalty": "two-sided"},
]


@pytest.mark.parametrize(
    ("options", "use_graph"), [(LAZY[0], True), (LAZY[1], False), (LAZY[2], False), (LAZY[3], True)], ids=str
)
def test_logged_penalty_with_penalty_every_3_changes_every_third_step(options, use_graph):
    """The steps between them log the last value."""
    gan, traces = build_gan(sgd=1e-3, network="baseline", penalty_every=3, **options), []

    def train_step(batch):
        traces.append(1)
        return gan.train_step(batch)

    run = tf.function(train_step) if use_graph else train_step
    found = [float(run(make_batch(gan, step))["penalty"]) for step in range(7)]
    first, second, third = found[0], found[3], found[6]
    assert found == [first, first, first, second, second, second, third]
    assert len({0.0, first, second, third}) == 4
    assert len(traces) == (1 if use_graph else 7)


@pytest.mark.parametrize("options", LAZY, ids=str)
def test_penalty_every_3_has_three_times_the_weight_in_penalty_steps_and_none_between(options):
    """Eagerly, and in a graph that is traced once for both kinds of steps."""
    configs = [
        gan_config(network="baseline", penalty_every=every, penalty_weight=weight, **options)
        for every, weight in ((3, 0.5), (1, 1.5), (1, 0.5), (1, 0.0))
    ]
    networks = build_networks(configs[0])
    lazy, *others = [GAN(*networks, config) for config in configs]
    for gan in (lazy, *others):
        use_sgd(gan, 0.05)
    batch = make_batch(lazy)
    fake = lazy.generator(batch["latents"][:, 0])
    initial = [4.0 * w if w.ndim > 2 else w for w in lazy.discriminator.get_weights()]
    lazy_update_in_a_graph = tf.function(lazy._update_discriminator)

    def weights_after(update, gan, step: int) -> list[np.ndarray]:
        gan.discriminator.set_weights(initial)
        gan.images_seen.assign(step * BATCH)
        update(batch, 0, fake)
        return trainable_values(gan.discriminator)

    def distance(first, second) -> float:
        return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))

    expected, weaker, none = (weights_after(gan._update_discriminator, gan, 0) for gan in others)
    assert distance(weaker, expected) > 0.1 * distance(expected, none) > 0
    for update in (lazy._update_discriminator, lazy_update_in_a_graph):
        assert distance(weights_after(update, lazy, 0), expected) < 1e-3 * distance(expected, none)
        assert distance(weights_after(update, lazy, 1), none) < 1e-3 * distance(expected, none)
    assert lazy_update_in_a_graph.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("norm", ["layer", "spectral"])
def test_lazy_penalty_on_two_devices_equals_that_on_one(norm, two_devices):
    with two_devices.scope():
        gan, single = (
            build_gan(sgd=1e-3, network="baseline", loss="wgangp", norm=norm, d_steps=1, penalty_every=2) for _ in range(2)
        )
    parts = [{name: tf.split(value, 2)[i] for name, value in make_batch(gan).items()} for i in range(2)]

    @tf.function
    def train_step():
        batch = two_devices.experimental_distribute_values_from_function(lambda c: parts[c.replica_id_in_sync_group])
        penalty = two_devices.run(lambda part: gan.train_step(part)["penalty"], args=(batch,))
        return two_devices.reduce("SUM", penalty, axis=None)

    found = [float(train_step()) for _ in range(3)]
    expected = [float(single.train_step(make_batch(single))["penalty"]) for _ in range(3)]
    # On several devices D is applied to the interpolates in each step, so spectral norm does more power iterations.
    np.testing.assert_allclose(found, expected, rtol=2e-2 if norm == "spectral" else 1e-3)
    assert found[0] == found[1] != found[2]


def test_lazy_penalty_after_a_resume_keeps_its_phase():
    gan = build_gan(loss="rpgan", network="baseline", penalty_every=3)
    gan.images_seen.assign(4 * BATCH)
    found = [float(gan.train_step(make_batch(gan, step))["penalty"]) for step in range(4, 8)]
    assert found[:2] == [0.0, 0.0]  # this model has computed none yet
    assert found[2] == found[3] > 0


@pytest.mark.parametrize("norm", NORMS)
def test_real_and_fake_images_pass_the_discriminator_as_one_batch_except_with_batch_norm(norm):
    gan = build_gan(network="baseline", norm=norm)
    batch, discriminator, sizes = make_batch(gan), gan.discriminator, []

    def count_images(images, training):
        sizes.append(int(images.shape[0]))
        return discriminator(images, training=training)

    count_images.trainable_variables = discriminator.trainable_variables
    gan.discriminator = count_images
    gan._update_discriminator(batch, 0, gan.generator(batch["latents"][:, 0]))
    assert sizes == ([BATCH, BATCH] if norm == "batch" else [2 * BATCH])
