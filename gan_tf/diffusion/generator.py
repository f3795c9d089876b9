"""A trained diffusion model, ready for use: the network, the schedule and a sampler put together.

Image ``number`` of a label depends on (seed, label, number) alone: images are always sampled in batches of one size and one
label, whose noise is keyed by (seed, label, batch, timestep).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from gan_tf.diffusion.config import DEFAULT_GUIDANCE, DEFAULT_STEPS, NO_GUIDANCE, DiffusionConfig
from gan_tf.diffusion.samplers import SAMPLERS, Denoiser, Noise, Trajectory
from gan_tf.diffusion.schedule import SCHEDULES
from gan_tf.utils.images import to_uint8
from pipelines.errors import UserError
from pipelines.randomness import Purpose, normal

SAMPLE_BATCH = 25
"""Images that are sampled together; divides the 100 images of a digit."""

_KEYS_PER_BATCH = 1 << 14  # more than there can be timesteps


@dataclass(frozen=True)
class Sampling:
    """How images are sampled.

    Attributes:
        sampler: a name in ``SAMPLERS``.
        steps: evaluations of the network for each image; None takes 20, or all timesteps for the ancestral sampler.
        guidance: w of classifier-free guidance, prediction = (1 - w) * without label + w * with label; None takes 2, or 1
            for a model that was trained without dropped labels.
    """

    sampler: str = "dpm-solver++"
    steps: int | None = None
    guidance: float | None = None

    def num_steps(self, timesteps: int) -> int:
        """Returns the number of steps for a schedule of ``timesteps``.

        Raises:
            UserError: there are more steps than timesteps.
        """
        if self.steps is not None and self.steps > timesteps:
            raise UserError(f"{self.steps} sampling steps are more than the {timesteps} of training", "Lower --sample-steps")
        default = timesteps if self.sampler == "ancestral" else min(DEFAULT_STEPS, timesteps)
        return self.steps or default

    def strength(self, config: DiffusionConfig) -> float:
        """Returns the strength of guidance for a model of this configuration.

        Raises:
            UserError: guidance for a model that was trained without dropped labels.
        """
        if self.guidance is None:
            return DEFAULT_GUIDANCE if config.can_guide else NO_GUIDANCE
        if self.guidance != NO_GUIDANCE and not config.can_guide:
            problem = f"--guidance {self.guidance:g} needs weights that were trained with --label-drop above 0"
            raise UserError(problem, "Leave --guidance out, or use other weights")
        return self.guidance

    def describe(self, config: DiffusionConfig) -> str:
        """Returns the settings in words, for the protocol of a score; guidance applies only to models with labels."""
        words = f"{self.sampler} with {self.num_steps(config.timesteps)} steps"
        return f"{words} and guidance {self.strength(config):g}" if config.classes else words


class DiffusionGenerator:
    """An exported diffusion model.

    Args:
        network: see ``build_unet``.
        config: the configuration that it was trained with.
        image_shape: height, width and channels of an image.
    """

    def __init__(self, network: keras.Model, config: DiffusionConfig, image_shape: tuple[int, ...]):
        self.network, self.config, self.image_shape = network, config, image_shape
        self.schedule = SCHEDULES[config.schedule](config.timesteps)

        @tf.function
        def predict(images: tf.Tensor, timesteps: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            return network([images, timesteps, labels], training=False)

        self._predict = predict

    @property
    def labels(self) -> tuple[int, ...]:
        """What can be requested; a model that was trained without labels has only one, which means none."""
        return tuple(range(self.config.classes)) or (0,)

    def generate(
        self, count: int, seed: int = 0, labels: Sequence[int] | None = None, sampling: Sampling = Sampling()
    ) -> np.ndarray:
        """Returns images, uint8 ``[count, height, width, channels]``: one of each label in turn, again and again.

        Args:
            count: number of images.
            seed: of the noise.
            labels: what the images are to show; None takes all labels.
            sampling: how they are sampled.

        Raises:
            UserError: as ``sample``.
        """
        labels = self.labels if labels is None else labels
        images = np.empty((count, *self.image_shape), np.uint8)
        for index, label in enumerate(labels):
            needed = len(images[index :: len(labels)])
            batches = list(self.iterate(label, needed, seed, sampling))
            if batches:
                images[index :: len(labels)] = np.concatenate(batches)
        return images

    def iterate(self, label: int, count: int, seed: int = 0, sampling: Sampling = Sampling()) -> Iterator[np.ndarray]:
        """Yields images 0 to ``count - 1`` of a label in batches, uint8 ``[n, height, width, channels]``.

        Raises:
            UserError: as ``sample``.
        """
        for batch, first in enumerate(range(0, count, SAMPLE_BATCH)):
            noise = self.batch_noise(seed, label, batch)
            *_, (_, images) = self.sample(noise, np.full(SAMPLE_BATCH, label), sampling)
            yield to_uint8(images)[: count - first]

    def generate_grid(self, labels: Sequence[int], columns: int, seed: int = 0, sampling: Sampling = Sampling()) -> np.ndarray:
        """Returns images of each label from the same noise, uint8 ``[len(labels) * columns, height, width, channels]``.

        Args:
            labels: what the rows show.
            columns: images in a row, at most ``SAMPLE_BATCH``; column i begins from the same noise in each row.
            seed: of the noise.
            sampling: how they are sampled.

        Raises:
            UserError: as ``sample``.
        """
        noise, rows = self.batch_noise(seed, self.config.classes, 0), []
        for label in labels:
            *_, (_, images) = self.sample(noise, np.full(SAMPLE_BATCH, label), sampling)
            rows.append(to_uint8(images[:columns]))
        return np.concatenate(rows)

    def sample(self, noise: Noise, labels: np.ndarray, sampling: Sampling = Sampling()) -> Trajectory:
        """Yields (t, x_t) from noise to images, float32 ``[SAMPLE_BATCH, height, width, channels]`` each.

        Args:
            noise: from t to noise of the images' shape.
            labels: integers ``[SAMPLE_BATCH]``.
            sampling: how they are sampled.

        Raises:
            UserError: more steps than timesteps, or guidance that the model has not learned.
        """
        num_steps = sampling.num_steps(self.config.timesteps)
        denoise = self._build_denoiser(labels, sampling.strength(self.config))
        return SAMPLERS[sampling.sampler](denoise, self.schedule, noise, num_steps)

    def batch_noise(self, seed: int, label: int, batch: int) -> Noise:
        """Returns the noise of a batch of images of a label, a pure function of its arguments and of t."""
        key = (batch * (self.config.classes + 1) + label) * _KEYS_PER_BATCH
        shape = (SAMPLE_BATCH, *self.image_shape)
        return lambda t: normal(shape, seed, tf.constant(key + t, tf.int64), Purpose.SAMPLE_NOISE).numpy()

    def _build_denoiser(self, labels: np.ndarray, guidance: float) -> Denoiser:
        """Returns the estimate of x_0 for images of certain labels, clipped to [-1, 1] as images are."""
        predict = self._guided(labels, guidance)

        def denoise(images: np.ndarray, t: int) -> np.ndarray:
            prediction = predict(images, t)
            alpha_bar = self.schedule.alpha_bar[t]
            signal_rate, noise_rate = float(np.sqrt(alpha_bar)), float(np.sqrt(1.0 - alpha_bar))
            if self.config.prediction == "v":
                estimate = signal_rate * images - noise_rate * prediction
            else:
                estimate = (images - noise_rate * prediction) / signal_rate
            return np.clip(estimate, -1.0, 1.0)

        return denoise

    def _guided(self, labels: np.ndarray, guidance: float) -> Callable[[np.ndarray, int], np.ndarray]:
        """Returns the network's prediction with classifier-free guidance (Ho and Salimans 2021)."""
        no_labels = np.full_like(labels, self.config.classes)

        def predict(images: np.ndarray, t: int, given: np.ndarray) -> np.ndarray:
            timesteps = tf.fill([len(images)], t)
            return self._predict(tf.constant(images), timesteps, tf.constant(given, tf.int32)).numpy()

        def predict_guided(images: np.ndarray, t: int) -> np.ndarray:
            both = predict(np.concatenate([images, images]), t, np.concatenate([labels, no_labels]))
            conditional, unconditional = np.split(both, 2)
            return unconditional + guidance * (conditional - unconditional)

        if guidance == NO_GUIDANCE:
            return lambda images, t: predict(images, t, labels)
        if guidance == 0.0:
            return lambda images, t: predict(images, t, no_labels)
        return predict_guided
