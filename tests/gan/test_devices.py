"""One SGD step on two devices equals the step on one: the batch is split, gradients are summed, batch norm sees all images.

SGD, because Adam's update would hide a gradient that is wrong by a constant factor.
"""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from helpers.models import SHAPE, build_gan

from gan_tf.gan.networks import dcgan
from gan_tf.training.loop import build_batches, build_step_function
from pipelines.stream import Stream


class RandomImages:
    """Twenty float images, some brighter than others so that the two halves of a batch differ."""

    def __init__(self):
        images = np.random.default_rng(0).uniform(-1, 1, (20, *SHAPE)) * np.linspace(0.1, 1, 20)[:, None, None, None]
        self.images = tf.constant(images, tf.float32)

    def __len__(self) -> int:
        return 20

    def take(self, indices):
        return tf.gather(self.images, indices)


def train_one_step(options: dict, learning_rate: float, strategy=None) -> tuple[list[np.ndarray], dict[str, float]]:
    """Returns all weights after one step, and its logs."""
    with strategy.scope() if strategy else contextlib.nullcontext():
        gan = build_gan(sgd=learning_rate, batch=8, **options)
    config = gan.config
    samples_per_step = {"real": config.d_steps}
    stream = Stream({"real": RandomImages()}, config.batch, samples_per_step=samples_per_step, random_inputs=gan.random_inputs)
    (batch,) = build_batches(stream, strategy, 0, 1)
    logs = build_step_function(gan, strategy)(batch)
    networks = (gan.generator, gan.discriminator, gan.generator_ema)
    weights = [np.asarray(w.value) for network in networks for w in network.weights]
    return weights, {name: float(value) for name, value in logs.items()}


@pytest.mark.parametrize(
    ("options", "learning_rate"), [({"loss": "gan"}, 0.5), ({"loss": "wgangp", "d_steps": 2}, 0.01)], ids=str
)
def test_step_on_two_devices_equals_the_step_on_one(options, learning_rate, two_devices):
    expected, expected_logs = train_one_step(options, learning_rate)
    found, found_logs = train_one_step(options, learning_rate, two_devices)
    initial = dcgan.build_generator(SHAPE, 6, 4, seed=1).get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(expected, initial, strict=False)) > 1e-3  # the step changed the weights
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
    assert expected_logs == pytest.approx(found_logs, rel=1e-4, abs=1e-6)
