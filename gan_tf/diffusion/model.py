"""Denoising diffusion (Ho et al. 2020, algorithm 1) with labels, some of which are dropped (Ho and Salimans 2021)."""

from typing import Any

import keras
import tensorflow as tf

from gan_tf.diffusion.config import DiffusionConfig
from gan_tf.diffusion.schedule import SCHEDULES, loss_weights
from gan_tf.nn.ema import create_images_seen, ema_decay, update_ema
from gan_tf.training.finite_check import apply_gradients, check_finite
from pipelines.randomness import Purpose, normal, uniform
from pipelines.stream import Stream


class Diffusion(keras.Model):
    """A network that is trained to predict the noise in images, or with ``prediction="v"`` a mixture of image and noise.

    Args:
        unet: images x_t, timesteps and labels -> the prediction; see ``build_unet``.
        unet_ema: a second network of the same structure, for the EMA.
        image_shape: height, width and channels of an image.
        config: see ``DiffusionConfig``.
    """

    def __init__(self, unet: keras.Model, unet_ema: keras.Model, image_shape: tuple[int, int, int], config: DiffusionConfig):
        super().__init__(name="diffusion")
        self.unet, self.unet_ema, self.image_shape, self.config = unet, unet_ema, image_shape, config
        schedule = SCHEDULES[config.schedule](config.timesteps)
        self.signal_rates = tf.constant(schedule.alpha_bar**0.5, tf.float32)
        self.noise_rates = tf.constant((1.0 - schedule.alpha_bar) ** 0.5, tf.float32)
        self.loss_weights = tf.constant(loss_weights(schedule, config.prediction, config.loss_weight), tf.float32)
        self.unet_optimizer = keras.optimizers.Adam(config.learning_rate, beta_2=0.99)
        self.unet_optimizer.build(unet.trainable_variables)
        self.images_seen = create_images_seen(self)
        update_ema(unet_ema, unet, tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def networks(self) -> dict[str, keras.Model]:
        """Returns the network that is trained, by name."""
        return {"unet": self.unet}

    def exported(self, stream: Stream | None = None) -> dict[str, keras.Model]:
        """Returns the EMA network, which has no statistics that ``stream`` would be needed for."""
        return {"unet": self.unet_ema}

    def random_inputs(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns all random inputs of a step, a pure function of (seed, step).

        Returns:
            "timestep": int32 ``[batch]``, uniform in 1 .. T.
            "noise": standard normal ``[batch, height, width, channels]``.
            "is_label_dropped": bool ``[batch]``.
        """
        config = self.config
        fractions = uniform((config.batch,), config.seed, step, Purpose.TIMESTEP)
        return {
            "timestep": 1 + tf.cast(fractions * config.timesteps, tf.int32),
            "noise": normal((config.batch, *self.image_shape), config.seed, step, Purpose.DIFFUSION_NOISE),
            "is_label_dropped": uniform((config.batch,), config.seed, step, Purpose.LABEL_DROP) < config.label_drop,
        }

    def train_step(self, batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Trains the network for one step of algorithm 1: x_0, t and ε are given; one gradient step on the squared error.

        Args:
            batch: "real": {"image": ``[batch, 1, height, width, channels]`` in [-1, 1], "label": integers ``[batch, 1]``
                in 0 .. classes}, and the entries of ``random_inputs``.

        Returns:
            Scalars by name; under a distribution strategy each replica's part of them, to be summed.
        """
        config = self.config
        images = batch["real"]["image"][:, 0]
        labels = tf.where(batch["is_label_dropped"], config.classes, batch["real"]["label"][:, 0])
        variables = [v.value for v in self.unet.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            errors = self.squared_errors(self.unet, images, batch["timestep"], batch["noise"], labels)
            weighted = errors * tf.gather(self.loss_weights, batch["timestep"])
            loss = check_finite(tf.reduce_sum(weighted) / config.batch, "the loss")
        gradients = tape.gradient(loss, variables)
        norm = apply_gradients(self.unet_optimizer, gradients, self.unet.trainable_variables, "the gradient")
        update_ema(self.unet_ema, self.unet, ema_decay(config.ema_half_life, config.batch, self.images_seen))
        self.images_seen.assign_add(config.batch)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return {"loss": loss, "mse": tf.reduce_sum(errors) / config.batch, "gradient_norm": norm / replicas}

    def squared_errors(
        self, network: keras.Model, images: tf.Tensor, timesteps: tf.Tensor, noise: tf.Tensor, labels: tf.Tensor
    ) -> tf.Tensor:
        """Computes the mean squared error of the prediction for each image, ``[batch]``.

        The target is ε, or v = sqrt(ᾱ) ε - sqrt(1 - ᾱ) x_0 (Salimans and Ho 2022, appendix D).

        Args:
            network: ``unet`` or ``unet_ema``.
            images: x_0, ``[batch, height, width, channels]`` in [-1, 1].
            timesteps: t, integers ``[batch]`` in 1 .. T.
            noise: ε, of the images' shape.
            labels: integers ``[batch]`` in 0 .. classes.
        """
        signal_rate = tf.gather(self.signal_rates, timesteps)[:, None, None, None]
        noise_rate = tf.gather(self.noise_rates, timesteps)[:, None, None, None]
        noisy = signal_rate * images + noise_rate * noise
        target = signal_rate * noise - noise_rate * images if self.config.prediction == "v" else noise
        prediction = network([noisy, timesteps, labels], training=True)
        return tf.reduce_mean(tf.square(prediction - target), axis=[1, 2, 3])
