"""One SGD step on two devices equals the step on one: shares of the batch, summed gradients, batch norm over all images.

SGD, because Adam forgives a gradient that is a constant factor off.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.gan.model import Adversarial
from gan_tf.gan.networks import dcgan
from gan_tf.options import resolve_gan
from gan_tf.training.loop import Plan, batches, compiled
from pipelines.stream import Stream

SHAPE = (16, 16, 3)


class Pixels:
    """Twenty float pictures, some brighter than others so that the two halves of a batch differ."""

    def __init__(self):
        pixels = np.random.default_rng(0).uniform(-1, 1, (20, *SHAPE)) * np.linspace(0.1, 1, 20)[:, None, None, None]
        self.pixels = tf.constant(pixels, tf.float32)

    def __len__(self) -> int:
        return 20

    def take(self, indices):
        return tf.gather(self.pixels, indices)


def step(loss: str, rate: float, strategy=None) -> tuple[list[np.ndarray], dict[str, float]]:
    """Weights after one step, and its logs."""
    settings = resolve_gan({}, {}, {"loss": loss, "batch": 8, "latent": 6, "hidden": 4}).settings

    def build() -> Adversarial:
        generators = [dcgan.build_generator(SHAPE, settings.latent, settings.hidden) for _ in range(2)]
        method = Adversarial(*generators, dcgan.build_discriminator(SHAPE, settings.hidden, settings.norm), settings)
        for name, network in (("g_optimizer", method.generator), ("d_optimizer", method.discriminator)):
            optimizer = keras.optimizers.SGD(rate)
            optimizer.build(network.trainable_variables)
            setattr(method, name, optimizer)
        return method

    if strategy:
        with strategy.scope():
            method = build()
    else:
        method = build()
    stream = Stream(Pixels(), settings.batch, per_step=settings.d_steps, draws=method.draws)
    (batch,) = batches(stream, Plan(1, strategy=strategy), 0)
    logs = compiled(method, strategy)(batch)
    networks = (method.generator, method.discriminator, method.averaged)
    weights = [np.asarray(w.value) for network in networks for w in network.weights]
    return weights, {name: float(value) for name, value in logs.items()}


@pytest.mark.parametrize(("loss", "rate"), [("gan", 0.5), ("wgangp", 0.01)])
def test_two_devices_make_the_step_of_one(loss, rate, two_devices):
    expected, expected_logs = step(loss, rate)
    found, found_logs = step(loss, rate, two_devices)
    fresh = dcgan.build_generator(SHAPE, 6, 4).get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(expected, fresh, strict=False)) > 1e-3  # the step moved the weights
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
    assert expected_logs == pytest.approx(found_logs, rel=1e-4, abs=1e-6)
