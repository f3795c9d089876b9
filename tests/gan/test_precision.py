"""A training step in bfloat16: what is computed in it, and how close it is to one in float32."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.models import NETWORKS, SHAPE, gan_config, make_batch

from gan_tf.gan.losses import LOSSES
from gan_tf.gan.workflow import GanWorkflow
from gan_tf.tasks import find_task


def build_gan_with_precision(precision, **options):
    """Builds a small GAN as ``train.py`` does."""
    task = dataclasses.replace(find_task("anime"), image_shape=SHAPE)
    return GanWorkflow(task, gan_config(precision=precision, **options)).build_model()


def float_dtypes(variables):
    return {v.dtype for v in variables if "float" in v.dtype}


def test_gan_in_bfloat16_has_float32_variables_outputs_and_last_layers():
    policy_before = keras.config.dtype_policy()
    gan = build_gan_with_precision("bfloat16", loss="hinge", hidden_dim=64)  # wide enough for strided_conv
    assert keras.config.dtype_policy() is policy_before
    variables = [*gan.variables, *gan.g_optimizer.variables, *gan.d_optimizer.variables]
    assert float_dtypes(variables) == {"float32"}
    assert {layer.compute_dtype for layer in gan.generator_ema.layers} == {"float32"}
    for network, num_float32_layers in ((gan.generator, 1), (gan.discriminator, 2)):
        inner, last = network.layers[:-num_float32_layers], network.layers[-num_float32_layers:]
        assert {layer.compute_dtype for layer in last} == {"float32"}
        assert {layer.compute_dtype for layer in inner if layer.weights} == {"bfloat16"}
    batch = make_batch(gan)
    images = gan.generator(batch["latents"][:, 0], training=True)
    assert images.dtype == gan.generator_ema(batch["latents"][:, 0]).dtype == tf.float32
    assert gan.discriminator(images, training=True).dtype == tf.float32
    assert {value.dtype for value in gan.train_step(batch).values()} == {tf.float32}


@pytest.mark.parametrize("network", sorted(NETWORKS.keys() - {"cifar10"}))  # whose last layer, dcgan's, has no bias
@pytest.mark.parametrize("norm", ["layer", "spectral"])
def test_large_logits_in_bfloat16_keep_their_differences(network, norm):
    """Near 1000 bfloat16 represents multiples of 4 only, so D's last layer must not compute in it."""
    gan = build_gan_with_precision("bfloat16", loss="wgangp", network=network, norm=norm)
    gan.discriminator.layers[-2].bias.assign([1000.0])
    real = make_batch(gan)["real"]
    logits = gan.discriminator(tf.reshape(real, [-1, *SHAPE])).numpy()[:, 0]
    assert len(set(logits.tolist())) > len(logits) / 2
    assert 0 < np.ptp(logits) < 4


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_train_step_in_bfloat16_is_close_to_that_in_float32(loss):
    logs = []
    for precision in ("float32", "bfloat16"):
        gan = build_gan_with_precision(precision, loss=loss, hidden_dim=64, d_steps=1)
        gan.discriminator.set_weights([2.0 * w if w.ndim > 2 else w for w in gan.discriminator.get_weights()])
        logs.append({name: float(value) for name, value in gan.train_step(make_batch(gan)).items()})
        assert keras.config.dtype_policy().name == "float32"
    exact, rounded = logs
    for name in ("d_loss", "g_loss", "penalty", "d_real", "d_fake_before", "g_gradient_norm", "d_gradient_norm"):
        assert rounded[name] == pytest.approx(exact[name], rel=0.05, abs=0.02), name
    assert rounded["g_gradient_norm"] != exact["g_gradient_norm"]
