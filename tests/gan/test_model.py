"""The adversarial step against the same step written out plainly, and what it is besides its gradients."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import BATCH, LATENT, SHAPE, batch_of, method_of, networks, same, values

from gan_tf.gan.diffaugment import VIEW, diffaugment
from gan_tf.training.finite_check import diverged


def log_sigmoid(x):
    return -tf.math.log(1 + tf.exp(-x))


D_LOSS = {
    "gan": lambda real, fake: -tf.reduce_mean(log_sigmoid(real)) - tf.reduce_mean(log_sigmoid(-fake)),
    "lsgan": lambda real, fake: tf.reduce_mean((real - 1) ** 2) / 2 + tf.reduce_mean(fake**2) / 2,
    "wgan": lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real),
    "wgangp": lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real),
    "hinge": lambda real, fake: tf.reduce_mean(tf.maximum(0.0, 1 - real)) + tf.reduce_mean(tf.maximum(0.0, 1 + fake)),
    "rpgan": lambda real, fake: -tf.reduce_mean(log_sigmoid(real - fake)),
}
G_LOSS = {
    "gan": lambda real, fake: -tf.reduce_mean(log_sigmoid(fake)),
    "lsgan": lambda real, fake: tf.reduce_mean((fake - 1) ** 2) / 2,
    "wgan": lambda real, fake: -tf.reduce_mean(fake),
    "wgangp": lambda real, fake: -tf.reduce_mean(fake),
    "hinge": lambda real, fake: -tf.reduce_mean(fake),
    "rpgan": lambda real, fake: -tf.reduce_mean(log_sigmoid(fake - real)),
}


def plain_penalty(s, discriminator, real, fake, share):
    """The mean penalty, image by image."""

    def norms(images):
        gradients = []
        for i in range(s.batch):
            with tf.GradientTape() as tape:
                image = images[i : i + 1]
                tape.watch(image)
                score = tf.reduce_sum(discriminator(image, training=True))
            gradients.append(tape.gradient(score, image))
        return tf.sqrt(tf.reduce_sum(tf.square(tf.concat(gradients, axis=0)), axis=[1, 2, 3]) + 1e-12)

    if s.penalty == "none":
        return 0.0
    if s.penalty == "r1r2":
        return tf.reduce_mean(norms(real) ** 2 / 2) + tf.reduce_mean(norms(fake) ** 2 / 2)
    share = share[:, None, None, None]
    return tf.reduce_mean((norms(share * real + (1 - share) * fake) - 1) ** 2)


def descend(network, gradients, rate):
    for v, g in zip(network.trainable_variables, gradients, strict=True):
        v.assign(v - rate * g)


def seen(batch, update, which, images):
    """Images as D sees them in an update; ``which``: 0 for real, 1 for fake."""
    return diffaugment(images, batch["views"][:, update, which]) if "views" in batch else images


def plain_step(s, generator, discriminator, batch, rate, shared):
    """Goodfellow's two alternating updates; each has a tape of its own and makes its fakes anew. Returns the losses."""
    for k in range(s.d_steps):
        real, fake = batch["real"][:, k], generator(batch["noise"][:, k], training=True)
        real, fake = seen(batch, k, 0, real), seen(batch, k, 1, fake)
        with tf.GradientTape() as tape:
            if s.norm == "spectral":  # one pass of both: each training call moves the estimate of the singular vectors
                logits = tf.split(discriminator(tf.concat([real, fake], axis=0), training=True), 2)
            else:
                logits = discriminator(real, training=True), discriminator(fake, training=True)
            d_loss = D_LOSS[s.loss](*logits)
            total = d_loss + s.penalty_weight * plain_penalty(s, discriminator, real, fake, batch["share"][:, k])
        d_gradients = tape.gradient(total, discriminator.trainable_variables)
        descend(discriminator, d_gradients, rate)
    for k in range(s.g_steps):
        noise = batch["noise"][:, 0 if shared else s.d_steps + k]
        with tf.GradientTape() as tape:
            fake_logits = discriminator(seen(batch, s.d_steps + k, 1, generator(noise, training=True)), training=True)
            real = seen(batch, s.d_steps + k, 0, batch["real"][:, -1])
            real_logits = discriminator(real, training=True) if s.loss == "rpgan" else None
            g_loss = G_LOSS[s.loss](real_logits, fake_logits)
        g_gradients = tape.gradient(g_loss, generator.trainable_variables)
        descend(generator, g_gradients, rate)
    return d_loss, g_loss, tf.linalg.global_norm(d_gradients), tf.linalg.global_norm(g_gradients)


CASES = [
    # said, whether fakes are shared
    ({"loss": "gan"}, True),
    ({"loss": "lsgan"}, True),
    ({"loss": "hinge"}, True),
    ({"loss": "rpgan"}, True),
    ({"loss": "gan", "network": "baseline"}, True),
    ({"loss": "gan", "d_steps": 2}, False),
    ({"loss": "gan", "g_steps": 2}, False),
    ({"loss": "wgan", "d_steps": 1, "clip": 10.0}, False),
    ({"loss": "wgangp", "d_steps": 2}, False),
    ({"loss": "wgangp", "d_steps": 1, "norm": "instance"}, False),
    ({"loss": "rpgan", "d_steps": 2, "g_steps": 2}, False),
    ({"loss": "gan", "augment": "diffaugment"}, True),
    ({"loss": "rpgan", "augment": "diffaugment"}, True),
    ({"loss": "wgangp", "d_steps": 2, "augment": "diffaugment"}, False),
    ({"loss": "rpgan", "g_steps": 2, "augment": "diffaugment"}, False),
]


@pytest.mark.parametrize(("said", "shared"), CASES, ids=lambda x: "-".join(map(str, x.values())) if isinstance(x, dict) else "")
def test_a_step_is_the_step_written_out(said, shared):
    rate = 0.05
    method = method_of(sgd=rate, **said)
    s, batch = method.settings, batch_of(method)
    assert batch["noise"].shape[1] == (1 if shared else s.d_steps + s.g_steps)
    generator, _, discriminator = networks(s)
    for network in (method.discriminator, discriminator):  # logits large enough for every image to count differently
        network.set_weights([4.0 * w if w.ndim > 2 else w for w in network.get_weights()])
    before = values(method.generator), values(method.discriminator)
    logs = method.train_step(batch)
    d_loss, g_loss, d_norm, g_norm = plain_step(s, generator, discriminator, batch, rate, shared)
    for network, plain, start in ((method.generator, generator, before[0]), (method.discriminator, discriminator, before[1])):
        for found, expected, first in zip(values(network), values(plain), start, strict=True):
            np.testing.assert_allclose((found - first) / rate, (expected - first) / rate, rtol=2e-3, atol=2e-5)
        assert not same(values(network), start)
    found = [float(logs[name]) for name in ("d_loss", "g_loss", "d_gradient_norm", "g_gradient_norm")]
    np.testing.assert_allclose(found, [float(x) for x in (d_loss, g_loss, d_norm, g_norm)], rtol=1e-3)


@pytest.mark.parametrize("said", [{"loss": "gan"}, {"loss": "wgangp", "d_steps": 2}, {"loss": "hinge"}], ids=str)
def test_a_step_is_traced_once_and_does_what_the_eager_one_does(said):
    method, eager, traces = method_of(sgd=0.003, **said), method_of(sgd=0.003, **said), []

    @tf.function
    def update(batch):
        traces.append(1)
        return method.train_step(batch)

    for step in range(3):
        batch = batch_of(method, step, seed=step)
        logs, eager_logs = update(batch), eager.train_step(batch)
        for name in logs:
            np.testing.assert_allclose(logs[name], eager_logs[name], rtol=1e-3, atol=1e-5)
    assert len(traces) == 1
    assert update.experimental_get_tracing_count() == 1
    assert int(method.images_seen) == 3 * BATCH
    for a, b in zip(values(eager.generator), values(method.generator), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_clipping_bounds_the_discriminator_and_nothing_else():
    method = method_of(loss="wgan", d_steps=1, clip=0.005, norm="none")
    start = values(method.generator)
    method.train_step(batch_of(method))
    weights = np.concatenate([v.ravel() for v in values(method.discriminator)])
    assert np.abs(weights).max() <= np.float32(0.005)
    assert np.mean(np.abs(weights) == np.float32(0.005)) > 0.5  # N(0, 0.02) lies mostly outside
    assert max(np.abs(v).max() for v in values(method.generator)) > 0.02
    assert not same(values(method.generator), start)


def test_without_clipping_weights_are_free():
    method = method_of()
    method.train_step(batch_of(method))
    assert max(np.abs(v).max() for v in values(method.discriminator)) > 0.05


@pytest.mark.parametrize(("loss", "d_steps", "g_steps"), [("gan", 1, 1), ("gan", 1, 2), ("wgan", 3, 1)])
def test_updates_are_counted(loss, d_steps, g_steps):
    method = method_of(loss=loss, d_steps=d_steps, g_steps=g_steps)
    for step in range(2):
        method.train_step(batch_of(method, step))
    assert int(method.d_optimizer.iterations) == 2 * d_steps
    assert int(method.g_optimizer.iterations) == 2 * g_steps
    assert int(method.images_seen) == 2 * BATCH  # generator steps count, whatever D does


def test_each_update_changes_its_own_network_only():
    method = method_of(loss="wgan", d_steps=1)
    batch = batch_of(method)
    before = values(method.generator), values(method.discriminator)
    fake = method.generator(batch["noise"][:, 0], training=True)
    method.update_discriminator(batch, 0, fake)
    assert same(before[0], values(method.generator))
    assert not same(before[1], values(method.discriminator))
    before = values(method.discriminator)
    method.update_generator(batch, 1)
    assert same(before, values(method.discriminator))


def test_noise_is_drawn_for_each_batch_of_fakes():
    method = method_of(loss="wgangp", d_steps=3, g_steps=2)
    draws, again, other = (method.draws(tf.constant(step)) for step in (5, 5, 6))
    assert {name: tuple(value.shape) for name, value in draws.items()} == {"noise": (BATCH, 5, LATENT), "share": (BATCH, 3)}
    assert np.all((draws["share"] >= 0) & (draws["share"] < 1))
    for name in draws:
        np.testing.assert_array_equal(draws[name], again[name])
        assert not np.any(draws[name] == other[name])
    assert len(np.unique(draws["noise"])) == BATCH * 5 * LATENT
    other_seed = method_of(loss="wgangp", d_steps=3, g_steps=2, seed=1).draws(tf.constant(5))
    assert not np.any(draws["noise"] == other_seed["noise"])


@pytest.mark.parametrize(
    ("said", "updates"), [({"loss": "gan"}, 2), ({"loss": "wgangp", "d_steps": 3, "g_steps": 2}, 5)], ids=str
)
def test_views_are_drawn_for_each_image_and_update(said, updates):
    assert "views" not in method_of(**said).draws(tf.constant(5))
    method = method_of(augment="diffaugment", **said)
    views, again, other = (method.draws(tf.constant(step))["views"].numpy() for step in (5, 5, 6))
    assert views.shape == (BATCH, updates, 2, VIEW)
    assert ((views >= 0) & (views < 1)).all()
    np.testing.assert_array_equal(views, again)
    assert len(np.unique(np.stack([views, other]))) > 0.99 * 2 * views.size  # no image, update, kind or step has another's
    reseeded = method_of(augment="diffaugment", seed=1, **said).draws(tf.constant(5))["views"]
    assert not np.any(views == reseeded)
    drawn, plain = method.draws(tf.constant(5)), method_of(**said).draws(tf.constant(5))
    for name in plain:  # the rest of a step's randomness is what it is without
        np.testing.assert_array_equal(drawn[name], plain[name])
    assert not np.isin(drawn["share"], drawn["views"]).any()  # each purpose has numbers of its own


def test_generators_gradient_passes_through_what_d_sees():
    """Where the hole is, D says nothing to G."""
    gradients = {}
    for augment in ("none", "diffaugment"):
        method = method_of(augment=augment, network="baseline")
        batch = batch_of(method)
        batch["views"] = tf.constant([0.5] * 5 + [0.0] * 2) * tf.ones((BATCH, 2, 2, 1))  # nothing but a hole in a corner
        fake = method.generator(batch["noise"][:, 0])
        with tf.GradientTape() as tape:
            tape.watch(fake)
            loss, _ = method.generator_loss(batch, 1, fake)
        gradients[augment] = tape.gradient(loss, fake).numpy()
    corner = np.zeros(SHAPE, bool)
    corner[:4, :4] = True
    assert not gradients["diffaugment"][:, corner].any()
    assert gradients["none"][:, corner].any()
    assert gradients["diffaugment"][:, ~corner].any()


@pytest.mark.parametrize(("spoilt", "quantity"), [("real", "D's loss"), ("noise", "D's loss"), ("share", "D's gradient")])
def test_what_is_not_finite_is_refused_before_anything_is_applied(spoilt, quantity):
    method = method_of(loss="wgangp", d_steps=1)
    before = values(method.generator), values(method.discriminator)
    batch = batch_of(method)
    batch[spoilt] = batch[spoilt] * np.nan
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        method.train_step(batch)
    assert diverged(failure.value, 3).given == f"training stopped at step 3: {quantity} was not finite"
    assert same(before[0], values(method.generator))
    assert same(before[1], values(method.discriminator))
    assert int(method.d_optimizer.iterations) == 0
