"""What a step says of D (outputs, accuracies) against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import BATCH, SHAPE, batch_of, method_of, networks

from gan_tf.gan.losses import LOSSES


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("loss", sorted(LOSSES))
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
    boundary = LOSSES[loss].boundary  # what each is, tests/test_losses.py knows
    boundary = (real.mean() + fake.mean()) / 2 if boundary is None else boundary
    output = sigmoid if LOSSES[loss].probability else np.array
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
