"""The discriminator's metrics (mean outputs, accuracies) against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import BATCH, SHAPE, build_gan, build_networks, make_batch
from helpers.reference_losses import REFERENCE_LOSSES, sigmoid

from gan_tf.gan.losses import LOSSES


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_metrics_of_a_step_equal_numpy(loss):
    """D's mean outputs and accuracies before its update, its mean output on the fakes after it."""
    gan = build_gan(sgd=0.01, loss=loss, d_steps=1, network="baseline", norm="none", batch=8)
    generator, _, discriminator = build_networks(gan.config)
    batch = make_batch(gan)
    batch["real"] = batch["real"] + tf.linspace(-2.0, 2.0, 8)[:, None, None, None, None]  # so that D is often wrong
    for network in (gan.discriminator, discriminator):  # and its logits are far from 0 and 0.5
        network.set_weights([3.0 * w for w in network.get_weights()])
    real = discriminator(batch["real"][:, 0]).numpy().astype(np.float64).ravel()
    fake = discriminator(generator(batch["latents"][:, 0])).numpy().astype(np.float64).ravel()
    reference = REFERENCE_LOSSES[loss]
    threshold = (real.mean() + fake.mean()) / 2 if reference.threshold is None else reference.threshold
    to_output = sigmoid if reference.is_probability else np.array
    logs = {name: float(value) for name, value in gan.train_step(batch).items()}
    np.testing.assert_allclose(logs["d_real"], to_output(real).mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logs["d_fake_before"], to_output(fake).mean(), rtol=1e-4, atol=1e-5)
    assert logs["d_accuracy_real"] == np.mean(real > threshold)
    assert logs["d_accuracy_fake"] == np.mean(fake <= threshold)
    fakes_of_g_update = generator(batch["latents"][:, 0 if gan.config.shares_fakes else 1])
    after = gan.discriminator(fakes_of_g_update).numpy().astype(np.float64)
    np.testing.assert_allclose(logs["d_fake_after"], to_output(after).mean(), rtol=1e-4, atol=1e-5)


def test_accuracy_of_right_and_wrong_logits_is_1_and_0():
    gan = build_gan(loss="gan")
    high, low = tf.constant([[3.0], [1.0], [2.0], [0.1]]), tf.constant([[-3.0], [-1.0], [-2.0], [0.0]])
    right, wrong = gan._discriminator_metrics(high, low), gan._discriminator_metrics(low, high)
    assert (float(right["d_accuracy_real"]), float(right["d_accuracy_fake"])) == (1.0, 1.0)
    assert (float(wrong["d_accuracy_real"]), float(wrong["d_accuracy_fake"])) == (0.0, 0.0)


def test_critic_threshold_on_two_devices_is_that_of_the_global_batch(two_devices):
    """The first device's logits are all high, the second's all low, so that thresholds of their own would differ."""
    gan = build_gan(loss="wgan", d_steps=1)
    real, fake = np.array([9.0, 7.0, -1.0, 2.0], np.float32), np.array([6.0, 8.0, -9.0, -8.0], np.float32)
    threshold = (real.mean() + fake.mean()) / 2

    @tf.function
    def compute_metrics():
        def metrics_of_replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            return gan._discriminator_metrics(*(tf.reshape(logits, [2, 2, 1])[index] for logits in (real, fake)))

        parts = two_devices.run(metrics_of_replica)
        return {name: two_devices.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for name, value in parts.items()}

    found = {name: float(value) for name, value in compute_metrics().items()}
    assert found["d_accuracy_real"] == np.mean(real > threshold) == 0.75
    assert found["d_accuracy_fake"] == np.mean(fake <= threshold) == 0.5
    np.testing.assert_allclose([found["d_real"], found["d_fake_before"]], [real.mean(), fake.mean()], rtol=1e-6)


def test_batch_norm_logits_of_real_images_do_not_depend_on_the_fakes():
    logs = []
    for scale in (0.1, 1.0):
        gan = build_gan(loss="gan", norm="batch")
        fake = scale * tf.ones((BATCH, *SHAPE)) * tf.linspace(-1.0, 1.0, BATCH)[:, None, None, None]
        logs.append(gan._update_discriminator(make_batch(gan), 0, fake))
    assert float(logs[0]["d_real"]) == float(logs[1]["d_real"])
    assert float(logs[0]["d_fake_before"]) != float(logs[1]["d_fake_before"])
