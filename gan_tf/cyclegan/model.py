"""CycleGAN (Zhu et al. 2017): two generators and two discriminators, trained on unpaired images of two domains A and B."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from gan_tf.cyclegan.config import CycleGanConfig
from gan_tf.cyclegan.image_pool import ImagePool
from gan_tf.nn.ema import create_images_seen, ema_decay, update_ema
from gan_tf.training.finite_check import apply_gradients, check_finite
from pipelines.randomness import Purpose, uniform
from pipelines.stream import Stream

Batch = Mapping[str, tf.Tensor]
Logs = dict[str, tf.Tensor]
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


class CycleGAN(keras.Model):
    """Generators G_AB and G_BA, and discriminators D_A and D_B.

    One ``train_step`` is one update of both generators, then one of both discriminators. With x of A and y of B, the
    generators minimize (sections 3.1, 3.2 and 5.2 of the paper)

        E (D_B(G_AB(x)) - 1)² + E (D_A(G_BA(y)) - 1)²
        + lambda_cycle    (E |G_BA(G_AB(x)) - x| + E |G_AB(G_BA(y)) - y|)
        + lambda_identity (E |G_AB(y) - y| + E |G_BA(x) - x|)

    and D_B minimizes E (D_B(y) - 1)² / 2 + E D_B(fake)² / 2, where fakes come from a pool of earlier ones; D_A likewise.
    Means are over pixels or patches. Instance norm normalizes each image by itself, so images share a batch wherever they pass
    the same network: x and y in a generator, real and fake images in a discriminator. ``plain_losses`` in
    ``tests/cyclegan/test_model.py`` has each pass by itself, and gives the same gradients.

    Args:
        networks: "generator_ab", "generator_ba", "discriminator_a" and "discriminator_b".
        generators_ema: networks of the same structure as the two generators, for their EMA, under the same names.
        config: see ``CycleGanConfig``.
    """

    def __init__(self, networks: Mapping[str, keras.Model], generators_ema: Mapping[str, keras.Model], config: CycleGanConfig):
        super().__init__(name="cyclegan")
        self.config = config
        self.generator_ab, self.generator_ba = networks["generator_ab"], networks["generator_ba"]
        self.discriminator_a, self.discriminator_b = networks["discriminator_a"], networks["discriminator_b"]
        self.generator_ab_ema, self.generator_ba_ema = generators_ema["generator_ab"], generators_ema["generator_ba"]
        image_shape = (config.crop_size, config.crop_size, 3)
        self.pool_a, self.pool_b = (ImagePool(config.pool_size, image_shape, name) for name in ("pool_a", "pool_b"))
        self.g_optimizer = build_optimizer(config, _variables(self.generator_ab, self.generator_ba))
        self.d_optimizer = build_optimizer(config, _variables(self.discriminator_a, self.discriminator_b))
        self.images_seen = create_images_seen(self)
        self._update_emas(tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def networks(self) -> dict[str, keras.Model]:
        """Returns the networks that are trained, by name."""
        names = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
        return dict(zip(names, (self.generator_ab, self.generator_ba, self.discriminator_a, self.discriminator_b), strict=True))

    def exported(self, stream: Stream | None = None) -> dict[str, keras.Model]:
        """Returns the EMA generators; they have no statistics that ``stream`` would be needed for."""
        return {"generator_ab": self.generator_ab_ema, "generator_ba": self.generator_ba_ema}

    def random_inputs(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns all random inputs of a step, a pure function of (seed, step)."""
        return {"pool": uniform((self.config.batch, 2, 2), self.config.seed, step, Purpose.IMAGE_POOL)}

    def train_step(self, batch: Batch) -> Logs:
        """Trains all four networks for one step.

        Args:
            batch: "a" and "b" ``[batch, 1, crop_size, crop_size, 3]`` in [-1, 1], the entries of ``random_inputs``, and
                "epoch" ``[batch, 2]``: how often the step's images of A and of B have been seen, for the log.

        Returns:
            Scalars by name.
        """
        real_a, real_b = batch["a"][:, 0], batch["b"][:, 0]
        fake_a, fake_b, g_logs = self._update_generators(real_a, real_b)
        d_logs = self._update_discriminators(real_a, real_b, fake_a, fake_b, batch["pool"])
        self._update_emas(ema_decay(self.config.ema_half_life, self.config.batch, self.images_seen))
        self.images_seen.assign_add(self.config.batch)
        correlations = {
            "luminance_correlation_ab": tf.reduce_mean(luminance_correlation(real_a, fake_b)),
            "luminance_correlation_ba": tf.reduce_mean(luminance_correlation(real_b, fake_a)),
        }
        epoch_a, epoch_b = tf.unstack(tf.reduce_mean(batch["epoch"], axis=0))
        return g_logs | d_logs | correlations | {"epoch_a": epoch_a, "epoch_b": epoch_b}

    def _update_generators(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Logs]:
        """Updates both generators; returns the fake images of A and B and the logs."""
        variables = _variables(self.generator_ab, self.generator_ba)
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            fake_a, fake_b, losses = self.generator_losses(real_a, real_b)
            loss = check_finite(self._weighted_sum(losses), "the generators' loss")
        norm = apply_gradients(self.g_optimizer, tape.gradient(loss, values), variables, "the generators' gradient")
        return fake_a, fake_b, {"g_loss": loss, **losses, "g_gradient_norm": norm}

    def generator_losses(self, real_a: tf.Tensor, real_b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Logs]:
        """Returns the fake images of A and of B, and the terms of the generators' loss before their weights."""
        fake_b, same_b = self._translate(self.generator_ab, real_a, real_b)
        fake_a, same_a = self._translate(self.generator_ba, real_b, real_a)
        cycled_a, cycled_b = self.generator_ba(fake_b, training=True), self.generator_ab(fake_a, training=True)
        losses = {
            "ab_adversarial_loss": tf.reduce_mean(tf.square(self.discriminator_b(fake_b, training=True) - 1.0)),
            "ba_adversarial_loss": tf.reduce_mean(tf.square(self.discriminator_a(fake_a, training=True) - 1.0)),
            "cycle_loss": _mean_distance(cycled_a, real_a) + _mean_distance(cycled_b, real_b),
        }
        if same_a is not None and same_b is not None:
            losses["identity_loss"] = _mean_distance(same_a, real_a) + _mean_distance(same_b, real_b)
        return fake_a, fake_b, losses

    def _translate(self, generator: keras.Model, images: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Translates images, and in the same batch those of the target domain if there is an identity loss."""
        if not self.config.lambda_identity:
            return generator(images, training=True), None
        translated, same = tf.split(generator(tf.concat([images, targets], axis=0), training=True), 2)
        return translated, same

    def _weighted_sum(self, losses: Logs) -> tf.Tensor:
        total = losses["ab_adversarial_loss"] + losses["ba_adversarial_loss"] + self.config.lambda_cycle * losses["cycle_loss"]
        return total + self.config.lambda_identity * losses["identity_loss"] if "identity_loss" in losses else total

    def _update_discriminators(
        self, real_a: tf.Tensor, real_b: tf.Tensor, fake_a: tf.Tensor, fake_b: tf.Tensor, random: tf.Tensor
    ) -> Logs:
        """Updates both discriminators on real images and on fakes from the pools."""
        pooled_a, pooled_b = self.pool_a(fake_a, random[:, 0]), self.pool_b(fake_b, random[:, 1])
        variables = _variables(self.discriminator_a, self.discriminator_b)
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss_a, metrics_a = discriminator_loss(self.discriminator_a, real_a, pooled_a)
            loss_b, metrics_b = discriminator_loss(self.discriminator_b, real_b, pooled_b)
            loss = check_finite(loss_a + loss_b, "the discriminators' loss")
        norm = apply_gradients(self.d_optimizer, tape.gradient(loss, values), variables, "the discriminators' gradient")
        metrics = {name: 0.5 * (metrics_a[name] + metrics_b[name]) for name in metrics_a}
        return {"d_a_loss": loss_a, "d_b_loss": loss_b, **metrics, "d_gradient_norm": norm}

    def _update_emas(self, decay: tf.Tensor) -> None:
        update_ema(self.generator_ab_ema, self.generator_ab, decay)
        update_ema(self.generator_ba_ema, self.generator_ba, decay)


@keras.saving.register_keras_serializable("gan_tf")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant, then falls linearly to 0 (appendix 7.1 of the paper).

    Args:
        learning_rate: its initial value.
        constant_steps: steps before it begins to fall.
        decay_steps: steps in which it falls to 0.
    """

    def __init__(self, learning_rate: float, constant_steps: int, decay_steps: int):
        self.learning_rate, self.constant_steps, self.decay_steps = learning_rate, constant_steps, decay_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        falling = (tf.cast(step, tf.float32) - self.constant_steps) / self.decay_steps
        return self.learning_rate * (1.0 - tf.clip_by_value(falling, 0.0, 1.0))

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


def build_optimizer(config: CycleGanConfig, variables: list[keras.Variable]) -> keras.optimizers.Optimizer:
    """Builds Adam with its slots: those built inside the first step would trace it twice."""
    schedule: Any = config.learning_rate
    if config.last_step:
        schedule = ConstantThenLinear(schedule, config.constant_steps, config.last_step - config.constant_steps)
    optimizer = keras.optimizers.Adam(schedule, config.beta1, config.beta2)
    optimizer.build(variables)
    return optimizer


def discriminator_loss(discriminator: keras.Model, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, Logs]:
    """Returns a discriminator's loss, and its mean outputs and accuracies (threshold 1/2) on real and fake patches."""
    logits = discriminator(tf.concat([real, fake], axis=0), training=True)
    real_logits, fake_logits = tf.split(logits, 2)
    loss = 0.5 * (tf.reduce_mean(tf.square(real_logits - 1.0)) + tf.reduce_mean(tf.square(fake_logits)))
    return loss, {
        "d_real": tf.reduce_mean(real_logits),
        "d_fake": tf.reduce_mean(fake_logits),
        "d_accuracy_real": tf.reduce_mean(tf.cast(real_logits > 0.5, tf.float32)),
        "d_accuracy_fake": tf.reduce_mean(tf.cast(fake_logits <= 0.5, tf.float32)),
    }


def luminance_correlation(images: tf.Tensor, translated: tf.Tensor) -> tf.Tensor:
    """Returns the correlation of brightness between each image and its translation over their pixels, ``[batch]`` in [-1, 1].

    It is negative where a generator inverts brightness: the cycle undoes that, so no loss tells.
    """
    first, second = (tf.tensordot(x, tf.constant(_LUMINANCE), 1) for x in (images, translated))
    first, second = (x - tf.reduce_mean(x, axis=[1, 2], keepdims=True) for x in (first, second))
    products = tf.reduce_sum(first * second, axis=[1, 2])
    return products * tf.math.rsqrt(tf.reduce_sum(first**2, axis=[1, 2]) * tf.reduce_sum(second**2, axis=[1, 2]) + 1e-12)


def _mean_distance(images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(images - others))


def _variables(*networks: keras.Model) -> list[keras.Variable]:
    return [variable for network in networks for variable in network.trainable_variables]
