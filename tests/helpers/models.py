"""Small GANs for tests: a configuration, networks, a model and a batch."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_tf.gan.config import GanConfig, resolve_gan
from gan_tf.gan.model import GAN
from gan_tf.gan.network_options import apply_discriminator_options, apply_generator_options
from gan_tf.gan.workflow import NETWORKS

SHAPE, LATENT_DIM, HIDDEN_DIM, BATCH = (16, 16, 3), 6, 4, 4
NORMS = GanConfig.__dataclass_fields__["norm"].metadata["choices"]


def gan_config(**options: Any) -> GanConfig:
    """Returns a small configuration, resolved with the presets of the loss and the networks in ``options``."""
    small = {"batch": BATCH, "latent_dim": LATENT_DIM, "hidden_dim": HIDDEN_DIM}
    return resolve_gan({}, {}, small | options).config


def build_networks(config: GanConfig) -> tuple[keras.Model, keras.Model, keras.Model]:
    """Builds generator, EMA generator (with other weights) and discriminator."""
    module = NETWORKS[config.network]
    generator, generator_ema = (
        module.build_generator(SHAPE, config.latent_dim, config.hidden_dim, seed=seed) for seed in (1, 2)
    )
    discriminator = module.build_discriminator(SHAPE, config.hidden_dim, config.norm, seed=1)
    generators = (apply_generator_options(network, config) for network in (generator, generator_ema))
    return *generators, apply_discriminator_options(discriminator, config)


def build_gan(sgd: float = 0.0, **options: Any) -> GAN:
    """Builds a GAN; with plain SGD of learning rate ``sgd``, if it is not 0."""
    config = gan_config(**options)
    gan = GAN(*build_networks(config), config)
    if sgd:
        use_sgd(gan, sgd)
    return gan


def use_sgd(gan: GAN, learning_rate: float) -> None:
    """Replaces both optimizers by plain SGD, whose update is the gradient times the learning rate."""
    gan.g_optimizer, gan.d_optimizer = keras.optimizers.SGD(learning_rate), keras.optimizers.SGD(learning_rate)
    gan.g_optimizer.build(gan.generator.trainable_variables)
    gan.d_optimizer.build(gan.discriminator.trainable_variables)


def make_batch(gan: GAN, step: int = 0, seed: int = 0) -> dict[str, tf.Tensor]:
    """Makes a batch of random real images, with the random inputs of ``step``."""
    real = np.random.default_rng(seed).uniform(-1, 1, (gan.config.batch, gan.config.d_steps, *SHAPE))
    return {"real": tf.constant(real, tf.float32), **gan.random_inputs(tf.constant(step))}


def trainable_values(network: keras.Model) -> list[np.ndarray]:
    """Returns copies of the trainable variables."""
    return [v.numpy().copy() for v in network.trainable_variables]


def all_equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Returns whether two lists of arrays are equal bit for bit."""
    return all((a == b).all() for a, b in zip(first, second, strict=True))
