"""The adversarial step against the same step written out plainly, in every combination of its parts, traced once."""

import dataclasses
import itertools
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.diffaugment import VIEW, diffaugment
from gan_tf.losses import LOSSES
from gan_tf.methods.adversarial import Adversarial, build_optimizer
from gan_tf.networks import baseline, dcgan
from gan_tf.penalties import PENALTIES
from gan_tf.recipes import LOSS_RECIPES
from gan_tf.settings import GanSettings, resolve_gan
from gan_tf.tasks import find
from gan_tf.training.guard import diverged
from gan_tf.workflows.gan import build
from pipelines.errors import InputError

SHAPE, LATENT, HIDDEN, BATCH = (16, 16, 3), 6, 4, 4
MODULES = {"dcgan": dcgan, "baseline": baseline}
NORMS = GanSettings.__dataclass_fields__["norm"].metadata["choices"]


def settings_of(**said) -> GanSettings:
    return resolve_gan({}, {}, {"batch": BATCH, "latent": LATENT, "hidden": HIDDEN, **said}).settings


def networks(s: GanSettings):
    """Generator, averaged generator and discriminator of a setting."""
    module = MODULES[s.network]
    generators = [module.build_generator(SHAPE, s.latent, s.hidden, seed=seed) for seed in (1, 2)]
    return *generators, module.build_discriminator(SHAPE, s.hidden, s.norm, seed=1)


def method_of(sgd: float = 0.0, **said) -> Adversarial:
    """A method; with plain SGD of rate ``sgd`` an update is the gradient times the rate."""
    s = settings_of(**said)
    method = Adversarial(*networks(s), s)
    if sgd:
        for name, network in (("g_optimizer", method.generator), ("d_optimizer", method.discriminator)):
            optimizer = keras.optimizers.SGD(sgd)
            optimizer.build(network.trainable_variables)
            setattr(method, name, optimizer)
    return method


def batch_of(method, step=0, seed=0) -> dict[str, tf.Tensor]:
    real = np.random.default_rng(seed).uniform(-1, 1, (method.settings.batch, method.settings.d_steps, *SHAPE))
    return {"real": tf.constant(real, tf.float32), **method.draws(tf.constant(step))}


def values(network) -> list[np.ndarray]:
    return [v.numpy().copy() for v in network.trainable_variables]


def same(first, second) -> bool:
    return all((a == b).all() for a, b in zip(first, second, strict=True))


# --- one step written out --------------------------------------------------------------------------------------------


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


def test_each_optimiser_has_its_own_rate():
    """The first update of Adam is the rate itself, in the direction of the gradient; RMSprop's is its square root of 10."""
    method = method_of(g_rate=1e-3, d_rate=3e-3)
    before = values(method.generator), values(method.discriminator)
    method.train_step(batch_of(method))
    for network, start, rate in ((method.generator, before[0], 1e-3), (method.discriminator, before[1], 3e-3)):
        moved = np.concatenate([np.abs(b - a).ravel() for a, b in zip(start, values(network), strict=True)])
        np.testing.assert_allclose(moved.max(), rate, rtol=1e-3)
        assert np.median(moved) > 0.5 * rate
    variable = keras.Variable([1.0, 2.0])
    optimizer = build_optimizer(settings_of(loss="wgan"), 1e-2, 1, [variable])
    optimizer.apply([tf.constant([4.0, -0.5])], [variable])
    np.testing.assert_allclose(variable.numpy() - [1.0, 2.0], [-1e-2 * 10**0.5, 1e-2 * 10**0.5], rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_optimisers_are_built_at_once_from_the_settings(optimizer):
    s = settings_of(optimizer=optimizer)
    if optimizer == "adam":
        s = dataclasses.replace(s, beta1=0.25, beta2=0.75)
    built = build_optimizer(s, 0.125, 1, [keras.Variable([1.0, 2.0])])
    assert built.built
    assert float(built.learning_rate) == 0.125
    assert type(built) is {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[optimizer]
    if optimizer == "adam":
        assert (built.beta_1, built.beta_2) == (0.25, 0.75)


@pytest.mark.parametrize("d_steps", [1, 3])
def test_both_rates_fall_linearly_to_zero_over_the_images_said(d_steps):
    method = method_of(decay_images=32, batch=8, d_steps=d_steps, loss="hinge", norm="none", g_rate=0.25, d_rate=0.5)
    for step in range(5):
        left = max(0.0, 1 - step * 8 / 32)
        np.testing.assert_allclose(float(method.g_optimizer.learning_rate), 0.25 * left)
        np.testing.assert_allclose(float(method.d_optimizer.learning_rate), 0.5 * left)
        before = values(method.generator)
        method.train_step(batch_of(method))
        assert all((a == b).all() for a, b in zip(before, values(method.generator), strict=True)) == (left == 0)


# --- every combination -----------------------------------------------------------------------------------------------


def sensible(**said) -> bool:
    try:
        return bool(settings_of(**said))
    except InputError:
        return False


def combinations():
    """Every loss x network x norm, every loss x penalty, every norm x penalty; contradictions left out."""
    penalties = ("none", *PENALTIES)
    found = [{"loss": loss, "network": n, "norm": norm} for loss, n, norm in itertools.product(LOSS_RECIPES, MODULES, NORMS)]
    found += [{"loss": loss, "penalty": penalty} for loss, penalty in itertools.product(LOSS_RECIPES, penalties)]
    found += [{"network": "baseline", "norm": norm, "penalty": p} for norm, p in itertools.product(NORMS, penalties)]
    return [said for said in found if sensible(**said)]


@cache
def cached_networks(network, norm):
    return networks(settings_of(network=network, norm=norm))


def test_no_combination_is_forgotten():
    combined = combinations()
    assert len(combined) > 100
    for name, choices in (("loss", LOSSES), ("network", MODULES), ("norm", NORMS), ("penalty", PENALTIES)):
        assert {said[name] for said in combined if name in said} >= set(choices)


@pytest.mark.parametrize("said", combinations(), ids=lambda said: "-".join(said.values()))
def test_every_combination_makes_a_step(said):
    s = settings_of(**{"d_steps": 1, **said})
    *generators, discriminator = cached_networks(s.network, s.norm)
    method = Adversarial(*generators, discriminator, s)
    before = values(method.generator), values(method.discriminator)
    logs = method.train_step(batch_of(method))
    assert all(np.isfinite(float(value)) for value in logs.values()), logs
    assert all(np.isfinite(w).all() for network in generators for w in values(network))
    assert not same(before[0], values(method.generator))
    assert not same(before[1], values(method.discriminator))
    if s.penalty != "one-sided":  # which is 0 wherever the gradient is short
        assert (float(logs["penalty"]) > 0) == (s.penalty != "none")
    for name in ("d_accuracy_real", "d_accuracy_fake"):
        assert float(logs[name]) in (0, 0.25, 0.5, 0.75, 1)


# --- what a step is besides its gradients ----------------------------------------------------------------------------


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


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_the_optimisers_trace_no_second_time(optimizer):
    """Slots made inside the first step would trace it twice."""
    method, traces = method_of(network="baseline", optimizer=optimizer), []

    @tf.function
    def update(batch):
        traces.append(1)
        return method.train_step(batch)

    for step in range(2):
        update(batch_of(method, step))
    assert len(traces) == 1


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


# --- lazy penalties and one pass -------------------------------------------------------------------------------------

LAZY = [
    {"loss": "rpgan"},
    {"loss": "wgangp", "d_steps": 1},
    {"loss": "hinge", "penalty": "r1"},
    {"loss": "hinge", "penalty": "two-sided"},
]


@pytest.mark.parametrize(("said", "traced"), [(LAZY[0], True), (LAZY[1], False), (LAZY[2], False), (LAZY[3], True)], ids=str)
def test_a_lazy_penalty_is_taken_each_third_step(said, traced):
    method, traces = method_of(sgd=1e-3, network="baseline", penalty_every=3, **said), []

    def update(batch):
        traces.append(1)
        return method.train_step(batch)

    run = tf.function(update) if traced else update
    found = [float(run(batch_of(method, step))["penalty"]) for step in range(7)]
    assert [value > 0 for value in found] == [True, False, False, True, False, False, True]
    assert [value == 0 for value in found] == [False, True, True, False, True, True, False]
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
    shares = [{name: tf.split(value, 2)[i] for name, value in batch_of(method).items()} for i in range(2)]

    @tf.function
    def update():
        given = two_devices.experimental_distribute_values_from_function(lambda c: shares[c.replica_id_in_sync_group])
        return two_devices.reduce("SUM", two_devices.run(lambda b: method.train_step(b)["penalty"], args=(given,)), axis=None)

    assert [float(update()) > 0 for _ in range(3)] == [True, False, True]


def test_a_lazy_penalty_goes_on_in_phase_after_a_resume():
    method = method_of(loss="rpgan", network="baseline", penalty_every=3)
    method.images_seen.assign(4 * BATCH)
    found = [float(method.train_step(batch_of(method, step))["penalty"]) for step in range(4, 8)]
    assert [value > 0 for value in found] == [False, False, True, False]


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


# --- precision -------------------------------------------------------------------------------------------------------


def built(precision, **said):
    """A method as ``train.py`` builds it, small but with layers wide enough for the faster gradients."""
    task = dataclasses.replace(find("anime"), shape=SHAPE)
    return build(task, settings_of(hidden=64, precision=precision, d_steps=1, **said))


def test_bfloat16_is_what_the_trained_networks_compute_in_and_nothing_else():
    before = keras.config.dtype_policy()
    method = built("bfloat16", loss="hinge")
    assert keras.config.dtype_policy() is before
    assert {v.dtype for v in method.variables if "float" in v.dtype} == {"float32"}
    assert {v.dtype for v in [*method.g_optimizer.variables, *method.d_optimizer.variables] if "float" in v.dtype} == {
        "float32"
    }
    assert {layer.compute_dtype for layer in method.averaged.layers} == {"float32"}
    for network in (method.generator, method.discriminator):
        *inner, last = network.layers
        assert last.compute_dtype == "float32"
        assert {layer.compute_dtype for layer in inner if layer.weights} == {"bfloat16"}
    batch = batch_of(method)
    images = method.generator(batch["noise"][:, 0], training=True)
    assert images.dtype == method.averaged(batch["noise"][:, 0]).dtype == tf.float32
    assert method.discriminator(images, training=True).dtype == tf.float32
    assert {value.dtype for value in method.train_step(batch).values()} == {tf.float32}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_step_of_bfloat16_is_about_the_step_of_float32(loss):
    logs = []
    for precision in ("float32", "bfloat16"):
        method = built(precision, loss=loss)
        discriminator = method.discriminator
        discriminator.set_weights([2.0 * w if w.ndim > 2 else w for w in discriminator.get_weights()])
        logs.append({name: float(value) for name, value in method.train_step(batch_of(method)).items()})
        assert keras.config.dtype_policy().name == "float32"
    exact, rounded = logs
    for name in ("d_loss", "g_loss", "penalty", "d_real", "d_fake_before", "g_gradient_norm", "d_gradient_norm"):
        assert rounded[name] == pytest.approx(exact[name], rel=0.05, abs=0.02), name
    assert rounded["g_gradient_norm"] != exact["g_gradient_norm"]


# --- readings --------------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("loss", sorted(LOSS_RECIPES))
def test_readings_in_numpy(loss):
    """D's mean output and accuracy before its update, its mean output on the fakes after it."""
    said = {"loss": loss, "d_steps": 1, "network": "baseline", "norm": "none", "batch": 8}
    method = method_of(sgd=0.01, **said)
    generator, _, discriminator = networks(method.settings)
    batch = batch_of(method)
    batch["real"] = batch["real"] + tf.linspace(-2.0, 2.0, 8)[:, None, None, None, None]  # so that D is often wrong
    for network in (method.discriminator, discriminator):  # and its logits far from 0 or 0.5
        network.set_weights([3.0 * w for w in network.get_weights()])
    real = discriminator(batch["real"][:, 0]).numpy().astype(np.float64).ravel()
    fake = discriminator(generator(batch["noise"][:, 0])).numpy().astype(np.float64).ravel()
    boundary = {"gan": 0.0, "hinge": 0.0, "lsgan": 0.5}.get(loss, (real.mean() + fake.mean()) / 2)
    output = sigmoid if loss == "gan" else np.array
    logs = {name: float(value) for name, value in method.train_step(batch).items()}
    np.testing.assert_allclose(logs["d_real"], output(real).mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logs["d_fake_before"], output(fake).mean(), rtol=1e-4, atol=1e-5)
    assert logs["d_accuracy_real"] == np.mean(real > boundary)
    assert logs["d_accuracy_fake"] == np.mean(fake <= boundary)
    fakes_of_g = generator(batch["noise"][:, 0 if method.settings.shares_fakes else 1])
    after = method.discriminator(fakes_of_g).numpy().astype(np.float64)
    np.testing.assert_allclose(logs["d_fake_after"], output(after).mean(), rtol=1e-4, atol=1e-5)


def test_accuracy_tells_a_sure_discriminator_from_a_wrong_one():
    method = method_of(loss="gan")
    high, low = tf.constant([[3.0], [1.0], [2.0], [0.1]]), tf.constant([[-3.0], [-1.0], [-2.0], [0.0]])
    right, wrong = method.readings(high, low), method.readings(low, high)
    assert (float(right["d_accuracy_real"]), float(right["d_accuracy_fake"])) == (1.0, 1.0)
    assert (float(wrong["d_accuracy_real"]), float(wrong["d_accuracy_fake"])) == (0.0, 0.0)


def test_a_critics_boundary_lies_between_the_means_of_the_whole_batch(two_devices):
    """Not of each device's share of it: here the first share's outputs are all high, the second's all low."""
    method = method_of(loss="wgan", d_steps=1)
    real, fake = np.array([9.0, 7.0, -1.0, 2.0], np.float32), np.array([6.0, 8.0, -9.0, -8.0], np.float32)
    boundary = (real.mean() + fake.mean()) / 2

    @tf.function
    def readings():
        def share():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            return method.readings(*(tf.reshape(logits, [2, 2, 1])[index] for logits in (real, fake)))

        shares = two_devices.run(share)
        return {name: two_devices.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in shares.items()}

    found = {name: float(value) for name, value in readings().items()}
    assert found["d_accuracy_real"] == np.mean(real > boundary) == 0.75
    assert found["d_accuracy_fake"] == np.mean(fake <= boundary) == 0.5
    np.testing.assert_allclose([found["d_real"], found["d_fake_before"]], [real.mean(), fake.mean()], rtol=1e-6)


def test_batch_norm_keeps_real_and_fake_apart():
    """What D says of real images doesn't depend on the fakes they are compared with."""
    readings = []
    for size in (0.1, 1.0):
        method = method_of(loss="gan", norm="batch")
        batch = batch_of(method)
        fake = size * tf.ones((BATCH, *SHAPE)) * tf.linspace(-1.0, 1.0, BATCH)[:, None, None, None]
        readings.append(method.update_discriminator(batch, 0, fake))
    assert float(readings[0]["d_real"]) == float(readings[1]["d_real"])
    assert float(readings[0]["d_fake_before"]) != float(readings[1]["d_fake_before"])


# --- the average and what is sampled ---------------------------------------------------------------------------------


def test_the_average_begins_as_the_generator():
    method = method_of()
    assert same(values(method.averaged), values(method.generator))


def test_the_average_follows_the_recursion():
    method = method_of(ema_half_life=10.0)
    expected = values(method.generator)
    for step in range(4):
        method.train_step(batch_of(method, step))
        life = min(10.0, 0.05 * step * BATCH)
        keep = 0.5 ** (BATCH / life) if life else 0.0
        expected = [keep * a + (1 - keep) * v for a, v in zip(expected, values(method.generator), strict=True)]
    for found, value in zip(values(method.averaged), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)


def test_without_averaging_the_average_is_the_generator():
    method = method_of(ema_half_life=0.0)
    method.train_step(batch_of(method))
    assert same(values(method.averaged), values(method.generator))


def test_the_sampler_is_the_same_each_time_and_leaves_the_training_alone():
    method = method_of()
    method.train_step(batch_of(method))
    before = method.generator.get_weights(), values(method.averaged)
    noise = method.draws(tf.constant(9))["noise"][:, 0]
    first = method.sampler()(noise).numpy()
    np.testing.assert_array_equal(first, method.sampler()(noise))
    assert method.sampler() is method.averaged
    assert same(before[0], method.generator.get_weights())
    assert same(before[1], values(method.averaged))
    assert np.abs(first).max() <= 1.0


# --- failures --------------------------------------------------------------------------------------------------------


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
