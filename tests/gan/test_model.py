"""The GAN's training step against the same step without its optimizations, and its other properties."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import BATCH, LATENT_DIM, SHAPE, all_equal, build_gan, build_networks, make_batch, trainable_values
from helpers.reference_losses import REFERENCE_LOSSES, central_differences

from gan_tf.gan.diffaugment import NUM_AUGMENTATION_PARAMETERS, diffaugment
from gan_tf.training.finite_check import finite_check_error

# --- the step, written out plainly -------------------------------------------------------------------------------------


def plain_step(config, generator, discriminator, batch, learning_rate):
    """Does alternating updates of D and G (Goodfellow et al. 2014, algorithm 1) by gradient descent.

    Each update has its own tape and generates its own fakes. The gradient of a loss by the logits comes from NumPy.
    Returns the last update's losses and gradient norms: d_loss, g_loss, d_gradient_norm, g_gradient_norm.
    """
    loss = REFERENCE_LOSSES[config.loss]
    for k in range(config.d_steps):
        fake = generator(batch["latents"][:, k], training=True)
        real, fake = augment(batch, k, batch["real"][:, k], fake)
        with tf.GradientTape(persistent=True) as tape:
            real_logits, fake_logits = apply_discriminator(config, discriminator, real, fake)
            penalty = config.penalty_weight * mean_penalty(config, discriminator, real, fake, batch["interpolation"][:, k])
        d_loss, gradients_by_logits = mean_and_gradients(loss.discriminator, real_logits, fake_logits)
        variables = [v.value for v in discriminator.trainable_variables]
        d_gradients = tape.gradient([real_logits, fake_logits], variables, output_gradients=gradients_by_logits)
        if config.penalty != "none":
            penalty_gradients = tape.gradient(penalty, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            d_gradients = [a + b for a, b in zip(d_gradients, penalty_gradients, strict=True)]
        descend(variables, d_gradients, learning_rate)
    for k in range(config.d_steps, config.d_steps + config.g_steps):
        latents = batch["latents"][:, 0 if config.shares_fakes else k]
        with tf.GradientTape() as tape:
            real, fake = augment(batch, k, batch["real"][:, -1], generator(latents, training=True))
            fake_logits = discriminator(fake, training=True)
        real_logits = discriminator(real, training=True) if config.loss == "rpgan" else tf.zeros_like(fake_logits)
        g_loss, (gradient_by_logits, _) = mean_and_gradients(loss.generator, fake_logits, real_logits)
        variables = [v.value for v in generator.trainable_variables]
        g_gradients = tape.gradient(fake_logits, variables, output_gradients=gradient_by_logits)
        descend(variables, g_gradients, learning_rate)
    return d_loss, g_loss, tf.linalg.global_norm(d_gradients), tf.linalg.global_norm(g_gradients)


def augment(batch, update, real, fake):
    if "augmentation" not in batch:
        return real, fake
    parameters = batch["augmentation"][:, update]
    return diffaugment(real, parameters[:, 0]), diffaugment(fake, parameters[:, 1])


def apply_discriminator(config, discriminator, real, fake):
    if config.norm == "spectral":  # one call, because each call in training does one power iteration
        return tf.split(discriminator(tf.concat([real, fake], axis=0), training=True), 2)
    return discriminator(real, training=True), discriminator(fake, training=True)


def mean_and_gradients(loss, *logits):
    """Returns the mean of a reference loss over the batch, and its gradients by the logits."""
    logits = [x.numpy().astype(np.float64) for x in logits]
    gradients = central_differences(loss, *logits)
    return loss(*logits).mean(), [tf.constant(g / len(g), tf.float32) for g in gradients]


def mean_penalty(config, discriminator, real, fake, interpolation):
    """Computes the mean penalty, image by image."""

    def gradient_norms(images):
        gradients = []
        for i in range(config.batch):
            with tf.GradientTape() as tape:
                image = images[i : i + 1]
                tape.watch(image)
                score = tf.reduce_sum(discriminator(image, training=True))
            gradients.append(tape.gradient(score, image))
        return tf.sqrt(tf.reduce_sum(tf.square(tf.concat(gradients, axis=0)), axis=[1, 2, 3]) + 1e-12)

    if config.penalty == "none":
        return tf.zeros(())
    if config.penalty == "r1r2":
        return tf.reduce_mean(gradient_norms(real) ** 2 / 2) + tf.reduce_mean(gradient_norms(fake) ** 2 / 2)
    weights = interpolation[:, None, None, None]
    return tf.reduce_mean((gradient_norms(weights * real + (1 - weights) * fake) - 1) ** 2)


def descend(variables, gradients, learning_rate):
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign(variable - learning_rate * gradient)


CASES = [
    # options, whether both networks are updated on the same fakes
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


@pytest.mark.parametrize(
    ("options", "shares_fakes"), CASES, ids=lambda x: "-".join(map(str, x.values())) if isinstance(x, dict) else ""
)
def test_train_step_equals_the_plain_step(options, shares_fakes):
    learning_rate = 0.05
    gan = build_gan(sgd=learning_rate, **options)
    config, batch = gan.config, make_batch(gan)
    assert batch["latents"].shape[1] == (1 if shares_fakes else config.d_steps + config.g_steps)
    generator, _, discriminator = build_networks(config)
    for network in (gan.discriminator, discriminator):  # logits large enough for every image to have another gradient
        network.set_weights([4.0 * w if w.ndim > 2 else w for w in network.get_weights()])
    before = trainable_values(gan.generator), trainable_values(gan.discriminator)
    logs = gan.train_step(batch)
    expected_logs = plain_step(config, generator, discriminator, batch, learning_rate)
    for network, plain, initial in ((gan.generator, generator, before[0]), (gan.discriminator, discriminator, before[1])):
        for found, expected, first in zip(trainable_values(network), trainable_values(plain), initial, strict=True):
            found_gradient, expected_gradient = (found - first) / learning_rate, (expected - first) / learning_rate
            np.testing.assert_allclose(found_gradient, expected_gradient, rtol=2e-3, atol=2e-5)
        assert not all_equal(trainable_values(network), initial)
    found_logs = [float(logs[name]) for name in ("d_loss", "g_loss", "d_gradient_norm", "g_gradient_norm")]
    np.testing.assert_allclose(found_logs, [float(x) for x in expected_logs], rtol=1e-3)


# --- other properties of the step --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"loss": "gan"}, {"loss": "wgangp", "d_steps": 2}, {"loss": "hinge"}], ids=str)
def test_train_step_in_a_graph_is_traced_once_and_equals_the_eager_one(options):
    gan, eager, traces = build_gan(sgd=0.003, **options), build_gan(sgd=0.003, **options), []

    @tf.function
    def train_step(batch):
        traces.append(1)
        return gan.train_step(batch)

    for step in range(3):
        batch = make_batch(gan, step, seed=step)
        logs, eager_logs = train_step(batch), eager.train_step(batch)
        for name in logs:
            np.testing.assert_allclose(logs[name], eager_logs[name], rtol=1e-3, atol=1e-5)
    assert len(traces) == 1
    assert train_step.experimental_get_tracing_count() == 1
    assert int(gan.images_seen) == 3 * BATCH
    for a, b in zip(trainable_values(eager.generator), trainable_values(gan.generator), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_clip_bounds_the_discriminators_weights_only():
    gan = build_gan(loss="wgan", d_steps=1, clip=0.005, norm="none")
    before = trainable_values(gan.generator)
    gan.train_step(make_batch(gan))
    weights = np.concatenate([v.ravel() for v in trainable_values(gan.discriminator)])
    assert np.abs(weights).max() <= np.float32(0.005)
    assert np.mean(np.abs(weights) == np.float32(0.005)) > 0.5  # most of N(0, 0.02) lies outside
    assert max(np.abs(v).max() for v in trainable_values(gan.generator)) > 0.02
    assert not all_equal(trainable_values(gan.generator), before)


def test_clip_of_0_does_not_bound_weights():
    gan = build_gan()
    gan.train_step(make_batch(gan))
    assert max(np.abs(v).max() for v in trainable_values(gan.discriminator)) > 0.05


@pytest.mark.parametrize(("loss", "d_steps", "g_steps"), [("gan", 1, 1), ("gan", 1, 2), ("wgan", 3, 1)])
def test_train_step_counts_updates_and_images(loss, d_steps, g_steps):
    gan = build_gan(loss=loss, d_steps=d_steps, g_steps=g_steps)
    for step in range(2):
        gan.train_step(make_batch(gan, step))
    assert int(gan.d_optimizer.iterations) == 2 * d_steps
    assert int(gan.g_optimizer.iterations) == 2 * g_steps
    assert int(gan.images_seen) == 2 * BATCH  # one batch per step, however often D is updated


def test_each_update_changes_its_own_network_only():
    gan = build_gan(loss="wgan", d_steps=1)
    batch = make_batch(gan)
    before = trainable_values(gan.generator), trainable_values(gan.discriminator)
    fake = gan.generator(batch["latents"][:, 0], training=True)
    gan._update_discriminator(batch, 0, fake)
    assert all_equal(before[0], trainable_values(gan.generator))
    assert not all_equal(before[1], trainable_values(gan.discriminator))
    discriminator_before = trainable_values(gan.discriminator)
    gan._update_generator(batch, 1)
    assert all_equal(discriminator_before, trainable_values(gan.discriminator))


def test_networks_returns_the_trained_networks():
    gan = build_gan()
    assert gan.networks() == {"generator": gan.generator, "discriminator": gan.discriminator}


def test_gradient_of_the_generator_is_zero_where_diffaugment_cuts_out():
    gradients = {}
    for augment_name in ("none", "diffaugment"):
        gan = build_gan(augment=augment_name, network="baseline")
        batch = make_batch(gan)
        neutral_with_a_hole_in_a_corner = tf.constant([0.5] * 5 + [0.0] * 2)
        batch["augmentation"] = neutral_with_a_hole_in_a_corner * tf.ones((BATCH, 2, 2, 1))
        fake = gan.generator(batch["latents"][:, 0])
        with tf.GradientTape() as tape:
            tape.watch(fake)
            loss, _ = gan._generator_loss(batch, 1, fake)
        gradients[augment_name] = tape.gradient(loss, fake).numpy()
    corner = np.zeros(SHAPE, bool)
    corner[:4, :4] = True
    assert not gradients["diffaugment"][:, corner].any()
    assert gradients["none"][:, corner].any()
    assert gradients["diffaugment"][:, ~corner].any()


@pytest.mark.parametrize(
    ("corrupted", "quantity"), [("real", "D's loss"), ("latents", "D's loss"), ("interpolation", "D's gradient")]
)
def test_train_step_of_values_that_are_not_finite_raises_and_changes_nothing(corrupted, quantity):
    gan = build_gan(loss="wgangp", d_steps=1)
    before = trainable_values(gan.generator), trainable_values(gan.discriminator)
    batch = make_batch(gan)
    batch[corrupted] = batch[corrupted] * np.nan
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        gan.train_step(batch)
    assert finite_check_error(error.value, 3).quantity == quantity
    assert all_equal(before[0], trainable_values(gan.generator))
    assert all_equal(before[1], trainable_values(gan.discriminator))
    assert int(gan.d_optimizer.iterations) == 0


# --- random inputs -----------------------------------------------------------------------------------------------------


def test_random_inputs_depend_on_seed_and_step_and_have_one_latent_batch_per_update():
    gan = build_gan(loss="wgangp", d_steps=3, g_steps=2)
    inputs, again, other_step = (gan.random_inputs(tf.constant(step)) for step in (5, 5, 6))
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    assert shapes == {"latents": (BATCH, 5, LATENT_DIM), "interpolation": (BATCH, 3)}
    assert np.all((inputs["interpolation"] >= 0) & (inputs["interpolation"] < 1))
    for name in inputs:
        np.testing.assert_array_equal(inputs[name], again[name])
        assert not np.any(inputs[name] == other_step[name])
    assert len(np.unique(inputs["latents"])) == BATCH * 5 * LATENT_DIM
    other_seed = build_gan(loss="wgangp", d_steps=3, g_steps=2, seed=1).random_inputs(tf.constant(5))
    assert not np.any(inputs["latents"] == other_seed["latents"])


@pytest.mark.parametrize(
    ("options", "num_updates"), [({"loss": "gan"}, 2), ({"loss": "wgangp", "d_steps": 3, "g_steps": 2}, 5)], ids=str
)
def test_random_inputs_with_diffaugment_have_parameters_for_each_image_and_update(options, num_updates):
    gan, without = build_gan(augment="diffaugment", **options), build_gan(**options)
    inputs, other_inputs = gan.random_inputs(tf.constant(5)), without.random_inputs(tf.constant(5))
    parameters, again, other_step = (gan.random_inputs(tf.constant(step))["augmentation"].numpy() for step in (5, 5, 6))
    assert parameters.shape == (BATCH, num_updates, 2, NUM_AUGMENTATION_PARAMETERS)
    assert ((parameters >= 0) & (parameters < 1)).all()
    np.testing.assert_array_equal(parameters, again)
    # All images, updates, kinds and steps have different parameters.
    assert len(np.unique(np.stack([parameters, other_step]))) > 0.99 * 2 * parameters.size
    other_seed = build_gan(augment="diffaugment", seed=1, **options).random_inputs(tf.constant(5))["augmentation"]
    assert not np.any(parameters == other_seed)
    assert set(inputs) == {*other_inputs, "augmentation"}
    for name in other_inputs:  # the other random inputs do not depend on augmentation
        np.testing.assert_array_equal(inputs[name], other_inputs[name])
    assert not np.isin(inputs["interpolation"], parameters).any()
