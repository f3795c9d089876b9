"""A generative adversarial network (Goodfellow et al. 2014) with any loss, gradient penalty and pair of networks."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from gan_tf.gan.config import GanConfig
from gan_tf.gan.diffaugment import NUM_AUGMENTATION_PARAMETERS, diffaugment
from gan_tf.gan.latents import draw_latents
from gan_tf.gan.losses import LOSSES, gan_saturating_generator, mean_per_image, noisy_labels
from gan_tf.gan.penalties import forward_with_penalty
from gan_tf.nn.ema import create_images_seen, ema_decay, recompute_batch_norm, update_ema
from gan_tf.training.finite_check import apply_gradients, check_finite
from pipelines.randomness import Purpose, normal, uniform
from pipelines.stream import Stream

_NUM_BATCH_NORM_BATCHES = 16  # batches of latents from which batch-norm statistics are recomputed

Batch = dict[str, tf.Tensor]
Logs = dict[str, tf.Tensor]


class GAN(keras.Model):
    """A generator G and a discriminator D that are trained against each other.

    One ``train_step`` is ``d_steps`` updates of D, then ``g_steps`` updates of G, then an update of G's EMA. Each update
    has its own batch of fake images, except that a step of one update each generates them once and uses them for both
    (not with Wasserstein losses). D is applied to real and fake images as one batch, except with batch norm. R1 and R2
    penalties use the loss's own forward pass. ``plain_step`` in ``tests/gan/test_model.py`` is the same step without these
    optimizations; the tests compare the two.

    Args:
        generator: latents ``[batch, latent_dim]`` -> images in [-1, 1]; with dropout its latents have more dimensions.
        generator_ema: a second network of the same structure, for the generator's EMA.
        discriminator: images -> logits ``[batch, …]``.
        config: see ``GanConfig``.
    """

    def __init__(self, generator: keras.Model, generator_ema: keras.Model, discriminator: keras.Model, config: GanConfig):
        super().__init__(name="gan")
        self.generator, self.generator_ema, self.discriminator = generator, generator_ema, discriminator
        self.config, self.loss_functions = config, LOSSES[config.loss]
        is_saturating = config.generator_loss == "saturating"
        self.generator_loss = gan_saturating_generator if is_saturating else self.loss_functions.generator
        self.g_optimizer = build_optimizer(config, config.g_lr, config.g_steps, generator.trainable_variables)
        d_config = dataclasses.replace(config, optimizer=config.d_optimizer or config.optimizer)
        self.d_optimizer = build_optimizer(d_config, config.d_lr, config.d_steps, discriminator.trainable_variables)
        self.images_seen = create_images_seen(self)
        self.last_penalty = None
        if config.penalty_every > 1:
            self.last_penalty = self.add_weight(shape=(), initializer="zeros", trainable=False, aggregation="sum")
        update_ema(generator_ema, generator, tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def networks(self) -> dict[str, keras.Model]:
        """Returns the networks that are trained, by name."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def exported(self, stream: Stream | None = None) -> dict[str, keras.Model]:
        """Returns the EMA generator, its batch-norm statistics recomputed from the same latents each time.

        ``stream`` is ignored: families whose inputs are images recompute the statistics from training batches.
        """
        config = self.config
        shape, distribution = (config.batch, self.generator.input_shape[-1]), config.latent_distribution
        recompute_batch_norm(
            self.generator_ema,
            (
                draw_latents(distribution, shape, config.seed, n, Purpose.BATCH_NORM_LATENTS)
                for n in range(_NUM_BATCH_NORM_BATCHES)
            ),
        )
        return {"generator": self.generator_ema}

    def random_inputs(self, step: tf.Tensor) -> Batch:
        """Returns all random inputs of a step, a pure function of (seed, step).

        Returns:
            "latents": ``[batch, number of fake batches, latent_dim]``.
            "interpolation": ``[batch, d_steps]`` in [0, 1), for penalties at interpolates between real and fake images.
            "augmentation": ``[batch, d_steps + g_steps, 2, NUM_AUGMENTATION_PARAMETERS]`` in [0, 1), for the real and the
            fake images of each update; only with ``augment``.
            "instance_noise": ``[batch, d_steps + g_steps, 2, height, width, channels]``, in the same order; only with
            ``instance_noise``.
            "labels": ``[batch, d_steps, 2, 2]`` in [0, 1), see ``noisy_labels``; only with ``soft_labels`` or
            ``flip_labels``.
        """
        config = self.config
        num_updates = config.d_steps + config.g_steps
        num_fakes = 1 if config.shares_fakes else num_updates
        latents_shape = (config.batch, num_fakes, self.generator.input_shape[-1])
        inputs = {
            "latents": draw_latents(config.latent_distribution, latents_shape, config.seed, step, Purpose.TRAIN_LATENTS),
            "interpolation": uniform((config.batch, config.d_steps), config.seed, step, Purpose.INTERPOLATION),
        }
        if config.augment != "none":
            augmentation_shape = (config.batch, num_updates, 2, NUM_AUGMENTATION_PARAMETERS)
            inputs["augmentation"] = uniform(augmentation_shape, config.seed, step, Purpose.AUGMENTATION)
        if config.instance_noise:
            noise_shape = (config.batch, num_updates, 2, *self.discriminator.input_shape[1:])
            inputs["instance_noise"] = normal(noise_shape, config.seed, step, Purpose.INSTANCE_NOISE)
        if config.soft_labels or config.flip_labels:
            inputs["labels"] = uniform((config.batch, config.d_steps, 2, 2), config.seed, step, Purpose.LABELS)
        return inputs

    def train_step(self, batch: Batch) -> Logs:
        """Trains both networks for one step.

        Args:
            batch: "real" ``[batch, d_steps, height, width, channels]`` in [-1, 1], and the entries of ``random_inputs``.

        Returns:
            Scalars by name; under a distribution strategy each replica's part of them, to be summed.
        """
        config = self.config
        logs: Logs = {}
        if config.shares_fakes:
            logs = self._update_both_on_shared_fakes(batch)
        else:
            for update in range(config.d_steps):
                fake = self.generator(batch["latents"][:, update], training=True)
                logs |= self._update_discriminator(batch, update, fake)
            for update in range(config.d_steps, config.d_steps + config.g_steps):
                logs |= self._update_generator(batch, update)
        update_ema(self.generator_ema, self.generator, ema_decay(config.ema_half_life, config.batch, self.images_seen))
        self.images_seen.assign_add(config.batch)
        return logs

    def _update_both_on_shared_fakes(self, batch: Batch) -> Logs:
        """Updates D, then G, on the same fake images. G's loss uses the updated D, and G's forward pass runs only once."""
        variables = [v.value for v in self.generator.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            fake = self.generator(batch["latents"][:, 0], training=True)
            d_logs = self._update_discriminator(batch, 0, tf.stop_gradient(fake))
            loss, g_logs = self._generator_loss(batch, 1, fake)
        gradients = tape.gradient(loss, variables)
        return d_logs | g_logs | self._apply_gradients("g", self.g_optimizer, gradients, self.generator)

    def _update_generator(self, batch: Batch, update: int) -> Logs:
        """Updates G on newly generated images. ``update`` counts all updates of the step, first D's, then G's."""
        variables = [v.value for v in self.generator.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            fake = self.generator(batch["latents"][:, update], training=True)
            loss, logs = self._generator_loss(batch, update, fake)
        return logs | self._apply_gradients("g", self.g_optimizer, tape.gradient(loss, variables), self.generator)

    def _generator_loss(self, batch: Batch, update: int, fake: tf.Tensor) -> tuple[tf.Tensor, Logs]:
        """Computes G's loss on fake images; "d_fake_after" is D's mean output on them, after D's update."""
        real, fake = self._discriminator_inputs(batch, update, batch["real"][:, -1], fake)
        if self.config.d_batches == "mixed":
            real_logits, fake_logits = self._forward_mixed(real, fake)
        else:
            fake_logits = self.discriminator(fake, training=True)
            real_logits = self.discriminator(real, training=True) if self.loss_functions.relativistic else None
        loss = check_finite(self._batch_mean(self.generator_loss(fake_logits, real_logits)), "G's loss")
        return loss, {"g_loss": loss, "d_fake_after": self._mean_output(fake_logits)}

    def _update_discriminator(self, batch: Batch, update: int, fake: tf.Tensor) -> Logs:
        """Updates D on real and fake images."""
        config = self.config
        real, fake = self._discriminator_inputs(batch, update, batch["real"][:, update], fake)
        variables = [v.value for v in self.discriminator.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            real_logits, fake_logits, penalty = self._discriminator_forward(real, fake, batch["interpolation"][:, update])
            losses = self._discriminator_losses(real_logits, fake_logits, batch, update)
            loss = check_finite(self._batch_mean(losses), "D's loss")
            total = loss + config.penalty_weight * config.penalty_every * penalty
        logs = {"d_loss": loss, "penalty": self._logged_penalty(penalty)}
        logs |= self._discriminator_metrics(real_logits, fake_logits)
        logs |= self._apply_gradients("d", self.d_optimizer, tape.gradient(total, variables), self.discriminator)
        if config.clip:
            for variable in self.discriminator.trainable_variables:
                variable.assign(tf.clip_by_value(variable, -config.clip, config.clip))
        return logs

    def _discriminator_losses(self, real_logits: tf.Tensor, fake_logits: tf.Tensor, batch: Batch, update: int) -> tf.Tensor:
        """Computes D's loss of each pair of images, ``[batch]``; with labels other than 1 and 0, if there are any."""
        if "labels" not in batch:
            return self.loss_functions.discriminator(real_logits, fake_logits)
        config, labeled = self.config, self.loss_functions.labeled
        assert labeled is not None  # a conflict of options otherwise
        real_labels, fake_labels = noisy_labels(batch["labels"][:, update], config.soft_labels, config.flip_labels)
        return labeled(real_logits, real_labels) + labeled(fake_logits, fake_labels)

    def _discriminator_inputs(self, batch: Batch, update: int, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Augments D's inputs and adds noise to them, in its own updates and in those of G alike.

        See Zhao et al. 2020 for the augmentation, Sønderby et al. 2017 and Arjovsky and Bottou 2017 for the noise.
        """
        config = self.config
        if config.augment != "none":
            parameters = batch["augmentation"][:, update]
            real, fake = diffaugment(real, parameters[:, 0]), diffaugment(fake, parameters[:, 1])
        if config.instance_noise:
            seen = tf.cast(self.images_seen, tf.float32) / config.instance_noise_images
            noise = config.instance_noise * tf.maximum(0.0, 1.0 - seen) * batch["instance_noise"][:, update]
            real, fake = real + noise[:, 0], fake + noise[:, 1]
        return real, fake

    def _forward_mixed(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes D's logits of real and of fake images, passed as one batch."""
        real_logits, fake_logits = tf.split(self.discriminator(tf.concat([real, fake], axis=0), training=True), 2)
        return real_logits, fake_logits

    def _discriminator_forward(
        self, real: tf.Tensor, fake: tf.Tensor, interpolation: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Computes D's logits of real and of fake images, and the mean gradient penalty."""
        config = self.config
        if config.norm == "batch" and config.d_batches == "separate":  # each of the two batches has its own statistics
            return self.discriminator(real, training=True), self.discriminator(fake, training=True), tf.zeros(())
        if config.penalty == "none":
            return *self._forward_mixed(real, fake), tf.zeros(())
        real_logits, fake_logits, penalty = forward_with_penalty(
            self.discriminator, config.penalty, real, fake, interpolation, self._is_penalty_step()
        )
        return real_logits, fake_logits, self._batch_mean(penalty)

    def _is_penalty_step(self) -> tf.Tensor | None:
        """Returns whether this step has a penalty (lazy regularization); None: every step does.

        See Karras et al. 2020, StyleGAN2, section 3.1.
        """
        config = self.config
        return None if config.penalty_every == 1 else self.images_seen // config.batch % config.penalty_every == 0

    def _logged_penalty(self, penalty: tf.Tensor) -> tf.Tensor:
        """Returns the last penalty that was computed: the steps that are logged may all be steps without one."""
        if self.last_penalty is None:
            return penalty
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        # Reading the variable gives the sum over the replicas.
        self.last_penalty.assign(tf.where(self._is_penalty_step(), penalty, self.last_penalty / replicas))
        return self.last_penalty / replicas

    def _apply_gradients(self, name: str, optimizer: Any, gradients: list[tf.Tensor], network: keras.Model) -> Logs:
        """Applies gradients and returns their norm, divided by the number of replicas, because each of them knows it."""
        norm = apply_gradients(optimizer, gradients, network.trainable_variables, f"{name.upper()}'s gradient")
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return {f"{name}_gradient_norm": norm / replicas}

    def _discriminator_metrics(self, real_logits: tf.Tensor, fake_logits: tf.Tensor) -> Logs:
        """Computes D's mean output and accuracy on real and fake images."""
        real, fake = mean_per_image(real_logits), mean_per_image(fake_logits)
        threshold = self.loss_functions.threshold
        if threshold is None:
            threshold = 0.5 * self._batch_mean(real + fake)
            replica = tf.distribute.get_replica_context()
            if replica.num_replicas_in_sync > 1:
                threshold = replica.all_reduce(tf.distribute.ReduceOp.SUM, threshold)
        return {
            "d_real": self._mean_output(real_logits),
            "d_fake_before": self._mean_output(fake_logits),
            "d_accuracy_real": self._batch_mean(tf.cast(real > threshold, tf.float32)),
            "d_accuracy_fake": self._batch_mean(tf.cast(fake <= threshold, tf.float32)),
        }

    def _mean_output(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the mean probability that an image is real, or the mean logit with losses that do not define one."""
        outputs = tf.sigmoid(logits) if self.loss_functions.is_probability else logits
        return self._batch_mean(mean_per_image(outputs))

    def _batch_mean(self, values: tf.Tensor) -> tf.Tensor:
        """Returns this replica's part of the mean over the global batch: its sum of ``[batch]`` values / the global size."""
        return tf.reduce_sum(values) / self.config.batch


def build_optimizer(
    config: GanConfig, learning_rate: float, updates_per_step: int, variables: list[keras.Variable]
) -> keras.optimizers.Optimizer:
    """Builds the optimizer of one network, including its slots: those built inside the first step would trace it twice.

    Args:
        config: the configuration.
        learning_rate: its initial value.
        updates_per_step: how often the optimizer is applied in one step.
        variables: what it updates.
    """
    schedule = learning_rate
    if config.last_step:
        schedule = keras.optimizers.schedules.PolynomialDecay(learning_rate, config.last_step * updates_per_step, 0.0)
    if config.optimizer == "adam":
        optimizer = keras.optimizers.Adam(schedule, config.beta1, config.beta2)
    elif config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(schedule)
    else:
        optimizer = keras.optimizers.RMSprop(schedule)
    optimizer.build(variables)
    return optimizer
