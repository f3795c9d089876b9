"""Generator against discriminator (Goodfellow et al. 2014), with any loss, penalty and pair of networks."""

import keras
import tensorflow as tf

from gan_tf.gan.diffaugment import VIEW, diffaugment
from gan_tf.gan.latents import PENALTY_POINTS, REFRESH, STEP_NOISE, VIEWS, gaussian, uniform
from gan_tf.gan.losses import LOSSES, per_image
from gan_tf.gan.penalties import penalised
from gan_tf.nn import ema
from gan_tf.options import GanSettings
from gan_tf.training.finite_check import apply_gradients, checked

REFRESH_CHUNKS = 16  # batches of noise from which the averaged generator's batch-norm statistics are computed


class Adversarial(keras.Model):
    """A GAN whose ``train_step`` is one generator update, after its discriminator updates.

    Args:
        generator: noise ``[batch, latent]`` -> images in [-1, 1].
        averaged: a second network of the same structure, which holds the generator's moving average.
        discriminator: images -> logits ``[batch, …]``.
        settings: see ``GanSettings``.
    """

    def __init__(self, generator: keras.Model, averaged: keras.Model, discriminator: keras.Model, settings: GanSettings):
        super().__init__(name="adversarial")
        self.generator, self.averaged, self.discriminator = generator, averaged, discriminator
        self.settings, self.loss_pair = settings, LOSSES[settings.loss]
        s = settings
        self.g_optimizer = build_optimizer(s, s.g_rate, s.g_steps, generator.trainable_variables)
        self.d_optimizer = build_optimizer(s, s.d_rate, s.d_steps, discriminator.trainable_variables)
        self.images_seen = ema.images_seen(self)
        self.last_penalty = None
        if s.penalty_every > 1:
            self.last_penalty = self.add_weight(shape=(), initializer="zeros", trainable=False, aggregation="sum")
        ema.update(averaged, generator, tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def draws(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """All that is random in a step besides the real images.

        Returns:
            "noise" ``[batch, batches of fakes, latent]``; "share" ``[batch, d_steps]`` for the penalty's points; where D
            sees augmented images, "views" ``[batch, d_steps + g_steps, 2, VIEW]`` for the real and the fake of each update.
        """
        s = self.settings
        fakes, updates = 1 if s.shares_fakes else s.d_steps + s.g_steps, s.d_steps + s.g_steps
        drawn = {
            "noise": gaussian((s.batch, fakes, s.latent), s.seed, step, STEP_NOISE),
            "share": uniform((s.batch, s.d_steps), s.seed, step, PENALTY_POINTS),
        }
        if s.augment != "none":
            drawn["views"] = uniform((s.batch, updates, 2, VIEW), s.seed, step, VIEWS)
        return drawn

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on "real" ``[batch, d_steps, height, width, channels]`` and what ``draws`` gives.

        Returns:
            Scalars; under a strategy each replica's share of them, to be summed.
        """
        s = self.settings
        if s.shares_fakes:
            logs = self.shared_step(batch)
        else:
            for k in range(s.d_steps):
                fake = self.generator(batch["noise"][:, k], training=True)
                logs = self.update_discriminator(batch, k, fake)
            for k in range(s.d_steps, s.d_steps + s.g_steps):
                logs |= self.update_generator(batch, k)
        ema.update(self.averaged, self.generator, ema.decay(s.ema_half_life, s.batch, self.images_seen))
        self.images_seen.assign_add(s.batch)
        return logs

    def shared_step(self, batch) -> dict[str, tf.Tensor]:
        """One update of each network on the same fakes: they are made once, D's update stands between (DCGAN)."""
        variables = [v.value for v in self.generator.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            fake = self.generator(batch["noise"][:, 0], training=True)
            logs = self.update_discriminator(batch, 0, tf.stop_gradient(fake))
            loss, more = self.generator_loss(batch, 1, fake)
        return logs | more | self.apply("g", self.g_optimizer, tape.gradient(loss, variables), self.generator)

    def update_generator(self, batch, update: int) -> dict[str, tf.Tensor]:
        """One update of G on fakes of its own."""
        variables = [v.value for v in self.generator.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss, logs = self.generator_loss(batch, update, self.generator(batch["noise"][:, update], training=True))
        return logs | self.apply("g", self.g_optimizer, tape.gradient(loss, variables), self.generator)

    def generator_loss(self, batch, update: int, fake) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """G's loss on fakes, and D's mean output on them now that D has been updated."""
        real, fake = self.views(batch, update, batch["real"][:, -1], fake)
        fake_logits = self.discriminator(fake, training=True)
        real_logits = self.discriminator(real, training=True) if self.loss_pair.pairs else None
        loss = checked(self.mean(self.loss_pair.generator(fake_logits, real_logits)), "G's loss")
        return loss, {"g_loss": loss, "d_fake_after": self.mean_output(fake_logits)}

    def update_discriminator(self, batch, update: int, fake) -> dict[str, tf.Tensor]:
        """One update of D on real and fake images."""
        s = self.settings
        real, fake = self.views(batch, update, batch["real"][:, update], fake)
        variables = [v.value for v in self.discriminator.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            real_logits, fake_logits, penalty = self.judge(real, fake, batch["share"][:, update])
            loss = checked(self.mean(self.loss_pair.discriminator(real_logits, fake_logits)), "D's loss")
            total = loss + s.penalty_weight * s.penalty_every * penalty
        logs = {"d_loss": loss, "penalty": self.penalty_reading(penalty), **self.readings(real_logits, fake_logits)}
        logs |= self.apply("d", self.d_optimizer, tape.gradient(total, variables), self.discriminator)
        if s.clip:
            for v in self.discriminator.trainable_variables:
                v.assign(tf.clip_by_value(v, -s.clip, s.clip))
        return logs

    def views(self, batch, update: int, real, fake) -> tuple[tf.Tensor, tf.Tensor]:
        """Real and fake images as D sees them in this update, D's and G's alike (Zhao et al. 2020)."""
        if self.settings.augment == "none":
            return real, fake
        return diffaugment(real, batch["views"][:, update, 0]), diffaugment(fake, batch["views"][:, update, 1])

    def judge(self, real, fake, share) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """D's logits of both and the mean penalty; in one pass, but two where batch norm must keep the two apart."""
        s = self.settings
        if s.norm == "batch":
            return self.discriminator(real, training=True), self.discriminator(fake, training=True), tf.zeros(())
        if s.penalty == "none":
            logits = self.discriminator(tf.concat([real, fake], axis=0), training=True)
            return *tf.split(logits, 2), tf.zeros(())
        *logits, penalty = penalised(self.discriminator, s.penalty, real, fake, share, self.penalty_due)
        return *logits, self.mean(penalty)

    @property
    def penalty_due(self) -> tf.Tensor | None:
        """Whether this step takes the penalty, which else is 0 (Karras et al. 2020, StyleGAN2, section 2); None: all do."""
        s = self.settings
        return None if s.penalty_every == 1 else self.images_seen // s.batch % s.penalty_every == 0

    def penalty_reading(self, penalty) -> tf.Tensor:
        """The penalty, or the last one taken where this step takes none: intervals of logs would meet it rarely or never."""
        if self.last_penalty is None:
            return penalty
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        self.last_penalty.assign(tf.where(self.penalty_due, penalty, self.last_penalty / replicas))  # the shares' sum
        return self.last_penalty / replicas

    def apply(self, name, optimizer, gradients, network) -> dict[str, tf.Tensor]:
        """Applies gradients and returns their norm; every replica knows the whole norm, so each gives its share."""
        norm = apply_gradients(optimizer, gradients, network.trainable_variables, f"{name.upper()}'s gradient")
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return {f"{name}_gradient_norm": norm / replicas}

    def readings(self, real_logits, fake_logits) -> dict[str, tf.Tensor]:
        """D's mean output and its accuracy on real and fake images, before its update."""
        real, fake = per_image(real_logits), per_image(fake_logits)
        boundary = self.loss_pair.boundary
        if boundary is None:
            boundary = 0.5 * self.mean(real + fake)
            replica = tf.distribute.get_replica_context()
            if replica.num_replicas_in_sync > 1:  # halfway between the means of the whole batch, not of one share of it
                boundary = replica.all_reduce(tf.distribute.ReduceOp.SUM, boundary)
        return {
            "d_real": self.mean_output(real_logits),
            "d_fake_before": self.mean_output(fake_logits),
            "d_accuracy_real": self.mean(tf.cast(real > boundary, tf.float32)),
            "d_accuracy_fake": self.mean(tf.cast(fake <= boundary, tf.float32)),
        }

    def mean_output(self, logits) -> tf.Tensor:
        """The mean of D(x): a probability where the loss reads the logit as one, else the raw output."""
        return self.mean(per_image(tf.sigmoid(logits) if self.loss_pair.probability else logits))

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """The sum of ``[batch]`` values over the *global* batch's size: this replica's share of the mean."""
        return tf.reduce_sum(values) / self.settings.batch

    def sampler(self) -> keras.Model:
        """The averaged generator, its batch-norm statistics computed anew from the same noise each time."""
        s = self.settings
        chunks = (gaussian((s.batch, s.latent), s.seed, n, REFRESH) for n in range(REFRESH_CHUNKS))
        ema.refresh_batch_norm(self.averaged, chunks)
        return self.averaged


def build_optimizer(s: GanSettings, rate: float, updates: int, variables: list) -> keras.optimizers.Optimizer:
    """The optimiser that the settings name, built at once: one built inside the first step would trace it twice.

    Args:
        s: the settings.
        rate: its learning rate at the start.
        updates: how often it is applied in a step.
        variables: what it updates.
    """
    if s.last_step:
        rate = keras.optimizers.schedules.PolynomialDecay(rate, s.last_step * updates, 0.0)
    adam = s.optimizer == "adam"
    optimizer = keras.optimizers.Adam(rate, s.beta1, s.beta2) if adam else keras.optimizers.RMSprop(rate)
    optimizer.build(variables)
    return optimizer
