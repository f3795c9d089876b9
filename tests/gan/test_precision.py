"""A step of bfloat16: what is computed in it, and how near it is to one of float32."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.models import SHAPE, batch_of, settings_of

from gan_tf.gan.config import NETWORK_RECIPES
from gan_tf.gan.losses import LOSSES
from gan_tf.gan.workflow import build
from gan_tf.tasks import find


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
        if network is method.discriminator:
            assert inner.pop().compute_dtype == "float32"  # its last convolution
        assert {layer.compute_dtype for layer in inner if layer.weights} == {"bfloat16"}
    batch = batch_of(method)
    images = method.generator(batch["noise"][:, 0], training=True)
    assert images.dtype == method.averaged(batch["noise"][:, 0]).dtype == tf.float32
    assert method.discriminator(images, training=True).dtype == tf.float32
    assert {value.dtype for value in method.train_step(batch).values()} == {tf.float32}


@pytest.mark.parametrize("network", sorted(NETWORK_RECIPES))
@pytest.mark.parametrize("norm", ["layer", "spectral"])
def test_logits_far_from_zero_keep_their_differences(network, norm):
    """Near 1000 bfloat16 knows multiples of 4 only; what D says of two images must not become the same there."""
    task = dataclasses.replace(find("anime"), shape=SHAPE)
    method = build(task, settings_of(precision="bfloat16", loss="wgangp", network=network, norm=norm))
    method.discriminator.layers[-2].bias.assign([1000.0])
    real = batch_of(method)["real"]
    logits = method.discriminator(tf.reshape(real, [-1, *SHAPE])).numpy()[:, 0]
    assert len(set(logits.tolist())) > len(logits) / 2
    assert 0 < np.ptp(logits) < 4


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
