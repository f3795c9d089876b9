"""Options that rebuild networks: each against NumPy, or against the network's own layers called one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.models import HIDDEN_DIM, LATENT_DIM, SHAPE, gan_config

from gan_tf.gan.latents import draw_latents
from gan_tf.gan.network_options import ChannelDropout, apply_discriminator_options, apply_generator_options
from gan_tf.gan.workflow import NETWORKS
from pipelines.randomness import Purpose

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (3, *SHAPE)).astype(np.float32)


def build_generator(network="dcgan", shape=SHAPE) -> keras.Model:
    return NETWORKS[network].build_generator(shape, LATENT_DIM, HIDDEN_DIM, seed=1)


def build_discriminator(network="dcgan", norm="none") -> keras.Model:
    return NETWORKS[network].build_discriminator(SHAPE, HIDDEN_DIM, norm, seed=1)


def test_defaults_keep_the_networks_themselves():
    generator, discriminator = build_generator(), build_discriminator()
    assert apply_generator_options(generator, gan_config()) is generator
    assert apply_discriminator_options(discriminator, gan_config()) is discriminator


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"baseline"}))
def test_generator_options_keep_weights_and_their_order(network):
    generator = build_generator(network, (32, 32, 3))
    changed = apply_generator_options(generator, gan_config(dropout=0.5, output="sigmoid"))
    assert [id(weight) for weight in changed.weights] == [id(weight) for weight in generator.weights]
    assert changed.input_shape[-1] > LATENT_DIM
    assert changed.output_shape == generator.output_shape


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"mlp"}))
def test_discriminator_options_keep_the_initial_weights(network):
    discriminator = build_discriminator(network, "spectral")
    changed = apply_discriminator_options(discriminator, gan_config(d_activation="relu", d_downsample="max-pool"))
    for before, after in zip(discriminator.weights, changed.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    assert not any(isinstance(layer, keras.layers.LeakyReLU) for layer in changed.layers)
    assert changed(IMAGES).shape == (3, 1)


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_sigmoid_output_is_the_sigmoid_of_what_tanh_is_taken_of(network):
    generator = build_generator(network)
    latents = RANDOM.normal(size=(3, LATENT_DIM)).astype(np.float32)
    logits = np.arctanh(generator(latents).numpy().astype(np.float64))
    images = apply_generator_options(generator, gan_config(output="sigmoid"))(latents).numpy()
    np.testing.assert_allclose((images + 1) / 2, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_sigmoid_output_gives_the_discriminator_images_from_0_to_1():
    discriminator = build_discriminator()
    changed = apply_discriminator_options(discriminator, gan_config(output="sigmoid"))
    np.testing.assert_allclose(changed(IMAGES), discriminator((IMAGES + 1) / 2), atol=1e-6)


def test_max_pooling_takes_the_maximum_of_a_convolution_without_stride():
    discriminator = build_discriminator()
    changed = apply_discriminator_options(discriminator, gan_config(d_downsample="max-pool"))
    kernel = discriminator.layers[1].kernel.numpy()
    dense = tf.nn.conv2d(IMAGES, kernel, 1, "SAME").numpy()
    expected = dense.reshape(3, 8, 2, 8, 2, HIDDEN_DIM).max(axis=(2, 4))
    pooled = keras.Model(changed.input, next(layer for layer in changed.layers if "pool" in layer.name).output)
    np.testing.assert_allclose(pooled(IMAGES), expected, atol=1e-5)


def test_relu_drops_what_leaky_relu_lets_through():
    changed = apply_discriminator_options(build_discriminator(), gan_config(d_activation="relu"))
    activation = next(layer for layer in changed.layers if isinstance(layer, keras.layers.ReLU))
    np.testing.assert_array_equal(activation(np.array([[-1.0, 2.0]], np.float32)), [[0.0, 2.0]])


@pytest.mark.parametrize("shape", [(4, 5, 5, 6), (4, 6)])
def test_channel_dropout_equals_numpy(shape):
    activations, noise = RANDOM.normal(size=shape).astype(np.float32), RANDOM.normal(size=(4, 6)).astype(np.float32)
    mask = (noise > 0.3).reshape(4, *[1] * (len(shape) - 2), 6)
    for training in (False, True):
        dropped = ChannelDropout(0.6, 0.3)([activations, noise], training=training)
        np.testing.assert_allclose(dropped, activations * mask / 0.4, rtol=1e-6)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_drops_its_fraction_of_channels(distribution, rate):
    generator = apply_generator_options(build_generator(), gan_config(dropout=rate, latent_distribution=distribution))
    layer = next(layer for layer in generator.layers if isinstance(layer, ChannelDropout))
    noise = draw_latents(distribution, (10_000, 1), 0, tf.constant(0), Purpose.SAMPLE_LATENTS)
    assert np.mean(layer([tf.ones_like(noise), noise]) == 0) == pytest.approx(rate, abs=0.02)


def test_dropout_follows_hidden_layers_but_the_last():
    """The MLP's layers one by one, with the masks that the additional latents say."""
    generator = build_generator("mlp")
    changed = apply_generator_options(generator, gan_config(dropout=0.5))
    inputs = RANDOM.normal(size=(3, changed.input_shape[-1])).astype(np.float32)
    widths = [HIDDEN_DIM, 2 * HIDDEN_DIM]
    masks = iter(np.split(inputs[:, LATENT_DIM:] > 0, [widths[0]], axis=1))
    x = inputs[:, :LATENT_DIM]
    num_relus = 0
    for layer in generator.layers[1:]:
        x = layer(x)
        if isinstance(layer, keras.layers.ReLU):
            num_relus += 1
            if num_relus <= len(widths):
                x = x * next(masks)[:, None, None] * 2.0
    assert inputs.shape[1] == LATENT_DIM + sum(widths)
    np.testing.assert_allclose(changed(inputs), x, atol=1e-6)


def test_dropout_without_relu_layers_is_a_programming_error():
    config = gan_config(dropout=0.5)
    with pytest.raises(ValueError, match="fewer than two ReLU layers"):
        apply_generator_options(build_generator("baseline"), config)
