"""What the tests of the adversarial method share: small networks, a method of them and a batch."""

import importlib

import keras
import numpy as np
import tensorflow as tf

from gan_tf.gan.config import NETWORK_RECIPES
from gan_tf.gan.model import Adversarial
from gan_tf.options import GanSettings, resolve_gan

SHAPE, LATENT, HIDDEN, BATCH = (16, 16, 3), 6, 4, 4
MODULES = {name: importlib.import_module(f"gan_tf.gan.networks.{name}") for name in NETWORK_RECIPES}
NORMS = GanSettings.__dataclass_fields__["norm"].metadata["choices"]


def settings_of(**said) -> GanSettings:
    return resolve_gan({}, {}, {"batch": BATCH, "latent": LATENT, "hidden": HIDDEN, **said}).settings


def networks(s: GanSettings):
    """Generator, averaged generator and discriminator of a setting."""
    module = MODULES[s.network]
    generators = [module.build_generator(SHAPE, s.latent, s.hidden, seed=seed) for seed in (1, 2)]
    return *generators, module.build_discriminator(SHAPE, s.hidden, s.norm, seed=1)


def method_of(sgd: float = 0.0, **said) -> Adversarial:
    """A method; with plain SGD of rate ``sgd`` an update is the gradient times the rate."""
    s = settings_of(**said)
    method = Adversarial(*networks(s), s)
    if sgd:
        for name, network in (("g_optimizer", method.generator), ("d_optimizer", method.discriminator)):
            optimizer = keras.optimizers.SGD(sgd)
            optimizer.build(network.trainable_variables)
            setattr(method, name, optimizer)
    return method


def batch_of(method, step=0, seed=0) -> dict[str, tf.Tensor]:
    real = np.random.default_rng(seed).uniform(-1, 1, (method.settings.batch, method.settings.d_steps, *SHAPE))
    return {"real": tf.constant(real, tf.float32), **method.draws(tf.constant(step))}


def values(network) -> list[np.ndarray]:
    return [v.numpy().copy() for v in network.trainable_variables]


def same(first, second) -> bool:
    return all((a == b).all() for a, b in zip(first, second, strict=True))
