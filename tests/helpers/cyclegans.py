"""Small CycleGANs for tests: a configuration, a model and batches."""

from typing import Any

import numpy as np
import tensorflow as tf

from gan_tf.cyclegan.config import CycleGanConfig
from gan_tf.cyclegan.model import CycleGAN
from gan_tf.cyclegan.workflow import CycleGanWorkflow
from gan_tf.options import from_values
from gan_tf.tasks import YOSEMITE

SIZE = 32
SMALL = {"hidden_dim": 4, "num_blocks": 2, "load_size": 36, "crop_size": SIZE, "pool_size": 3}


def cyclegan_config(**options: Any) -> CycleGanConfig:
    """Returns a small configuration in float32."""
    return from_values(CycleGanConfig, SMALL | options, "test")


def build_cyclegan(**options: Any) -> CycleGAN:
    """Builds a small model with random weights in all variables, biases too."""
    model = CycleGanWorkflow(YOSEMITE, cyclegan_config(**options)).build_model()
    random = np.random.default_rng(0)
    for network in model.networks().values():
        for variable in network.weights:
            variable.assign(random.normal(0, 0.2, variable.shape))
    return model


def random_batch(batch: int, seed: int = 0) -> dict[str, tf.Tensor]:
    """Returns a batch of noise: real images, the pools' draws, and epochs."""
    random = np.random.default_rng(seed)
    images = {name: tf.constant(random.uniform(-1, 1, (batch, 1, SIZE, SIZE, 3)), tf.float32) for name in ("a", "b")}
    pool = tf.constant(random.uniform(0, 1, (batch, 2, 2)), tf.float32)
    return {**images, "pool": pool, "epoch": tf.zeros((batch, 2))}
