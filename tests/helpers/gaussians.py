"""The classic toy GAN of 25 Gaussians on a 5x5 grid, with small MLPs: it goes through the loop, checkpoints and ``fit``."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_tf.nn.ema import create_images_seen, ema_decay, update_ema
from gan_tf.run_dir import FORMAT, RunDir
from gan_tf.training.context import RunContext
from gan_tf.training.finite_check import apply_gradients
from gan_tf.training.loggers import Loggers
from gan_tf.training.loop import TrainingPlan
from gan_tf.training.run_options import RunOptions
from pipelines.randomness import Purpose, normal
from pipelines.stream import Stream

LATENT_DIM, HIDDEN_DIM, BATCH, SEED = 4, 32, 16, 3
CENTERS = np.stack(np.meshgrid(np.arange(-2.0, 3.0), np.arange(-2.0, 3.0)), axis=-1).reshape(25, 2)
STANDARD_DEVIATION = 0.05


class Gaussians25:
    """1,000 points of the plane, 40 around each center."""

    name, split = "gaussians25", ""

    def __init__(self) -> None:
        noise = np.random.default_rng(0).normal(size=(1000, 2))
        self.points = (np.repeat(CENTERS, 40, axis=0) + STANDARD_DEVIATION * noise).astype(np.float32)
        self.digest = hashlib.sha256(self.points.tobytes()).hexdigest()
        self.summary = f"{self.name}: {len(self):,} points"

    def __len__(self) -> int:
        return len(self.points)

    def take(self, indices: Any) -> tf.Tensor:
        return tf.gather(tf.constant(self.points), indices)


def build_generator(hidden_dim: int = HIDDEN_DIM, seed: int = SEED) -> keras.Model:
    """Builds the MLP from latents ``[batch, LATENT_DIM]`` to points ``[batch, 2]``."""
    return _build_mlp(LATENT_DIM, hidden_dim, 2, keras.initializers.GlorotUniform(seed=seed + 2), seed)


def build_discriminator(hidden_dim: int = HIDDEN_DIM, seed: int = SEED) -> keras.Model:
    """Builds the MLP from points ``[batch, 2]`` to logits ``[batch, 1]``, which are 0 before training."""
    return _build_mlp(2, hidden_dim, 1, "zeros", seed + 10)


def _build_mlp(inputs: int, hidden_dim: int, outputs: int, last_init: Any, seed: int) -> keras.Model:
    layers = [
        keras.layers.Dense(hidden_dim, "relu", kernel_initializer=keras.initializers.HeNormal(seed=seed + i)) for i in range(2)
    ]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(outputs, kernel_initializer=last_init)])


class GaussianGAN(keras.Model):
    """A GAN with the non-saturating loss of Goodfellow et al. 2014; D and G are updated on the same fakes."""

    def __init__(
        self,
        generator: keras.Model,
        generator_ema: keras.Model,
        discriminator: keras.Model,
        batch: int = BATCH,
        seed: int = SEED,
    ):
        super().__init__(name="gaussian_gan")
        self.generator, self.generator_ema, self.discriminator = generator, generator_ema, discriminator
        self.batch, self.seed = batch, seed
        self.g_optimizer, self.d_optimizer = (keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2))
        self.g_optimizer.build(generator.trainable_variables)
        self.d_optimizer.build(discriminator.trainable_variables)
        self.images_seen = create_images_seen(self)
        update_ema(generator_ema, generator, tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def exported(self, stream: Stream) -> dict[str, keras.Model]:
        return {"generator": self.generator_ema}

    def random_inputs(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"latents": normal((self.batch, LATENT_DIM), self.seed, step, Purpose.TRAIN_LATENTS)}

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Trains on "real" ``[batch, 1, 2]`` and "latents" ``[batch, LATENT_DIM]``; each replica returns its part of sums."""
        with tf.GradientTape(persistent=True) as tape:
            fake = self.generator(batch["latents"], training=True)
            real_logits = self.discriminator(batch["real"][:, 0], training=True)
            fake_logits = self.discriminator(fake, training=True)
            d_losses = tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits)
            d_loss = tf.reduce_sum(d_losses) / self.batch
            g_loss = tf.reduce_sum(tf.nn.softplus(-fake_logits)) / self.batch
        networks = {"d": (d_loss, self.discriminator, self.d_optimizer), "g": (g_loss, self.generator, self.g_optimizer)}
        logs, replicas = {"d_loss": d_loss, "g_loss": g_loss}, tf.distribute.get_replica_context().num_replicas_in_sync
        for name, (loss, network, optimizer) in networks.items():
            gradients = tape.gradient(loss, network.trainable_variables)
            norm = apply_gradients(optimizer, gradients, network.trainable_variables, f"{name.upper()}'s gradient")
            logs[f"{name}_gradient_norm"] = norm / replicas
        update_ema(self.generator_ema, self.generator, ema_decay(1000.0, self.batch, self.images_seen))
        self.images_seen.assign_add(self.batch)
        return logs


def build(batch: int = BATCH) -> tuple[GaussianGAN, Stream]:
    """Builds a model and its stream."""
    model = GaussianGAN(build_generator(), build_generator(), build_discriminator(), batch)
    return model, Stream({"real": Gaussians25()}, batch, seed=SEED, random_inputs=model.random_inputs)


def run_context(
    directory: Path, stream: Stream, plan: TrainingPlan, first_step: int = 0, strategy: Any = None, **options: Any
) -> RunContext:
    """Returns the context of a run in ``directory``, which is created; ``options`` are those of ``RunOptions``."""
    directory.mkdir(exist_ok=True)
    source = stream.sources["real"]
    config = {
        "format": FORMAT,
        "run_id": "a run",
        "task": "gaussians",
        "command": "python train.py --task gaussians",
        "steps": plan.steps,
        "config": {"batch": stream.batch_size, "seed": SEED},
        "sources": {"batch": "default", "seed": "default"},
        "explicit": {},
        "options": options,
        "data": {
            "path": None,
            "sources": {"real": {"name": source.name, "count": len(source), "digest": source.digest}},
        },
        "environment": {},
    }
    return RunContext(
        task="gaussians",
        run_dir=RunDir(directory),
        config=config,
        options=RunOptions(**options),
        stream=stream,
        loggers=Loggers(directory, first_step),
        plan=plan,
        strategy=strategy,
    )
