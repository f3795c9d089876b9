"""CycleGAN's training: resume, learning rates, logs, options."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.cyclegans import SIZE, build_cyclegan, cyclegan_config, random_batch

from gan_tf.cyclegan.model import CycleGAN, build_optimizer, luminance_correlation
from gan_tf.training.checkpoints import Checkpoints


def state(model: CycleGAN) -> list[np.ndarray]:
    """Returns all variables: weights, EMA, pools, optimizers, counters."""
    return [variable.numpy() for variable in (*model.variables, *model.g_optimizer.variables, *model.d_optimizer.variables)]


def train(model: CycleGAN, first_step: int, last_step: int) -> None:
    for step in range(first_step, last_step):
        model.train_step(random_batch(1, step))


def test_resume_with_full_pools_gives_the_same_bits(tmp_path):
    whole, stopped, resumed = (build_cyclegan(pool_size=2, ema_half_life=5.0) for _ in range(3))
    train(whole, 0, 6)
    train(stopped, 0, 4)
    Checkpoints(tmp_path, stopped).save(4)
    Checkpoints(tmp_path, resumed).restore(4)
    assert int(resumed.pool_a.count) == 2
    train(resumed, 4, 6)
    for expected, found in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_random_inputs_are_a_function_of_seed_and_step():
    model, other = build_cyclegan(), build_cyclegan(seed=1)
    first, second = (model.random_inputs(tf.constant(step))["pool"] for step in (3, 4))
    assert first.shape == (1, 2, 2)
    np.testing.assert_array_equal(first, model.random_inputs(tf.constant(3))["pool"])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other.random_inputs(tf.constant(3))["pool"])


def test_train_step_without_identity_loss_and_pool_changes_all_networks():
    model = build_cyclegan(lambda_identity=0.0, pool_size=0)
    before = state(model)
    logs = model.train_step(random_batch(1))
    assert "identity_loss" not in logs
    assert all(np.isfinite(value) for value in logs.values())
    np.testing.assert_allclose(
        logs["g_loss"], logs["ab_adversarial_loss"] + logs["ba_adversarial_loss"] + 10 * logs["cycle_loss"], rtol=1e-6
    )
    trained = [variable for network in model.networks().values() for variable in network.trainable_variables]
    kernels = [n for n, variable in enumerate(model.variables) if any(variable is v for v in trained) and variable.ndim == 4]
    assert kernels
    assert all(not np.array_equal(before[n], model.variables[n]) for n in kernels)


def plain_losses(model: CycleGAN, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the losses as sections 3.1, 3.2 and 5.2 of the paper state them, each pass of a network by itself."""
    g_ab, g_ba, d_a, d_b = model.networks().values()
    fake_b, fake_a = g_ab(x), g_ba(y)
    losses = {
        "ab_adversarial_loss": tf.reduce_mean((d_b(fake_b) - 1) ** 2),
        "ba_adversarial_loss": tf.reduce_mean((d_a(fake_a) - 1) ** 2),
        "cycle_loss": tf.reduce_mean(tf.abs(g_ba(fake_b) - x)) + tf.reduce_mean(tf.abs(g_ab(fake_a) - y)),
        "identity_loss": tf.reduce_mean(tf.abs(g_ab(y) - y)) + tf.reduce_mean(tf.abs(g_ba(x) - x)),
    }
    losses["g_loss"] = (
        losses["ab_adversarial_loss"] + losses["ba_adversarial_loss"] + 3 * losses["cycle_loss"] + 7 * losses["identity_loss"]
    )
    for name, discriminator, real, fake in (("d_a_loss", d_a, x, fake_a), ("d_b_loss", d_b, y, fake_b)):
        fake = tf.stop_gradient(fake)
        losses[name] = tf.reduce_mean((discriminator(real) - 1) ** 2) / 2 + tf.reduce_mean(discriminator(fake) ** 2) / 2
    return losses


def test_train_step_is_gradient_descent_on_the_losses_of_the_paper():
    """With SGD at rate 1 each variable changes by its negative gradient. The pools are empty, so fakes are this step's."""
    model = build_cyclegan(batch=2, lambda_cycle=3.0, lambda_identity=7.0)
    for name in ("g_optimizer", "d_optimizer"):
        setattr(model, name, keras.optimizers.SGD(1.0))
    batch = random_batch(2)
    pairs = [
        ("g_loss", ("generator_ab", "generator_ba")),
        ("d_a_loss", ("discriminator_a",)),
        ("d_b_loss", ("discriminator_b",)),
    ]
    with tf.GradientTape(persistent=True) as tape:
        losses = plain_losses(model, batch["a"][:, 0], batch["b"][:, 0])
    expected = {}
    for loss, names in pairs:
        for name in names:
            variables = model.networks()[name].trainable_variables
            gradients = tape.gradient(losses[loss], [variable.value for variable in variables])
            expected[name] = [variable.numpy() - gradient for variable, gradient in zip(variables, gradients, strict=True)]
    logs = model.train_step(batch)
    for name, value in losses.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4, err_msg=name)
    for name, values in expected.items():
        for variable, value in zip(model.networks()[name].trainable_variables, values, strict=True):
            np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-4, err_msg=variable.path)


def test_exported_without_ema_are_the_generators_themselves():
    model = build_cyclegan()
    train(model, 0, 1)
    for name, network in model.exported().items():
        for exported, weight in zip(network.weights, model.networks()[name].weights, strict=True):
            np.testing.assert_array_equal(exported, weight)


def test_exported_with_ema_follow_its_formula():
    """From the second step on; the first sets the EMA to the weights."""
    model = build_cyclegan(ema_half_life=100.0)
    train(model, 0, 1)
    old = model.generator_ab.get_weights()
    train(model, 1, 2)
    decay = 0.5 ** (1 / min(100.0, 0.05))
    for exported, before, now in zip(model.generator_ab_ema.weights, old, model.generator_ab.weights, strict=True):
        np.testing.assert_allclose(exported, now + decay * (before - now), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch", [1, 3])
def test_learning_rate_is_constant_then_falls_linearly_to_0(batch):
    config = cyclegan_config(learning_rate=1e-3, lr_constant_images=30, lr_decay_images=60, batch=batch)
    assert config.last_step == 90 // batch
    optimizer = build_optimizer(config, [])
    rates = []
    for step in range(config.last_step + 2):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    expected = np.interp(np.arange(len(rates)) * batch, [0, 30, 90], [1e-3, 1e-3, 0.0])
    np.testing.assert_allclose(rates, expected, atol=1e-9)


def test_luminance_correlation_equals_numpy():
    images, translated = np.random.default_rng(0).uniform(-1, 1, (2, 3, SIZE, SIZE, 3)).astype(np.float32)
    translated[0], translated[1] = -images[0], 0.5 * images[1] + 0.2
    weights = np.array([0.299, 0.587, 0.114])
    expected = [
        np.corrcoef((x @ weights).ravel(), (y @ weights).ravel())[0, 1] for x, y in zip(images, translated, strict=True)
    ]
    found = luminance_correlation(tf.constant(images), tf.constant(translated))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found[:2], [-1, 1], atol=1e-5)


def test_luminance_correlation_of_flat_images_is_finite():
    assert np.isfinite(luminance_correlation(tf.zeros((1, 8, 8, 3)), tf.ones((1, 8, 8, 3)))).all()


@pytest.mark.slow
def test_train_step_of_the_full_networks_at_256_pixels_is_finite():
    model = build_cyclegan(hidden_dim=64, num_blocks=6, load_size=286, crop_size=256, pool_size=1)
    random = np.random.default_rng(0)
    images = {name: tf.constant(random.uniform(-1, 1, (1, 1, 256, 256, 3)), tf.float32) for name in ("a", "b")}
    logs = tf.function(model.train_step)({**images, "pool": tf.zeros((1, 2, 2)), "epoch": tf.zeros((1, 2))})
    assert all(np.isfinite(value) for value in logs.values())
