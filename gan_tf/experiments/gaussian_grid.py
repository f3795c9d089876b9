"""The grid of 25 Gaussians, on which a mode collapse is counted in seconds.

The data and the measure are those of Srivastava et al. 2017 (VEEGAN, section 5.1) and Lin et al. 2018 (PacGAN, section 4.1):
centers at -4, -2, 0, 2, 4 in each direction, standard deviation 0.05, 2,500 samples. A sample is of high quality within three
standard deviations of a center, and a mode is found if a sample of high quality lies there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from gan_tf.gan.config import resolve_gan
from gan_tf.gan.latents import sample_latents
from gan_tf.gan.model import GAN
from gan_tf.training.loop import build_step_function
from gan_tf.utils.plots import default_style, to_png
from pipelines.stream import Stream

CENTERS = np.stack(np.meshgrid(np.arange(-4.0, 5.0, 2.0), np.arange(-4.0, 5.0, 2.0)), axis=-1).reshape(25, 2)
STANDARD_DEVIATION, NUM_SAMPLES = 0.05, 2500
_SCALE = 4.0  # networks see points divided by it
_NUM_POINTS, _NUM_LAYERS = 100_000, 3
# The same for all losses, so that the loss alone differs.
SETTINGS: dict[str, Any] = {"norm": "none", "latent_dim": 2, "hidden_dim": 128, "batch": 128, "g_lr": 1e-3, "d_lr": 1e-3}


@dataclass(frozen=True)
class Modes:
    """What is counted.

    Attributes:
        found: modes with a sample of high quality, of 25.
        high_quality: fraction of samples within three standard deviations of a center.
    """

    found: int
    high_quality: float


def count_modes(points: np.ndarray) -> Modes:
    """Returns the modes of points ``[n, 2]``."""
    distances = np.linalg.norm(points[:, None] - CENTERS, axis=2)
    is_good = distances.min(axis=1) <= 3 * STANDARD_DEVIATION
    return Modes(len(np.unique(distances.argmin(axis=1)[is_good])), float(is_good.mean()))


class GaussianGrid:
    """A source of points as images of one pixel, float32 ``[n, 1, 1, 2]``, divided by 4.

    Args:
        seed: of the points.
    """

    name, split = "gaussian-grid", "train"

    def __init__(self, seed: int = 0):
        random = np.random.default_rng(seed)
        centers = CENTERS[random.integers(len(CENTERS), size=_NUM_POINTS)]
        self.points = centers + STANDARD_DEVIATION * random.normal(size=centers.shape)

    def __len__(self) -> int:
        return len(self.points)

    def take(self, indices: Any) -> tf.Tensor:
        """Returns the points of integers ``[n]``."""
        images = (self.points / _SCALE).astype(np.float32)[:, None, None]
        return tf.gather(tf.constant(images), indices)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the points."""
        return hashlib.sha256(self.points.tobytes()).hexdigest()

    @property
    def summary(self) -> str:
        """One line."""
        return f"{self.name}: {len(self):,} points"


def _build_network(inputs: tuple[int, ...], outputs: tuple[int, ...], units: int, seed: int) -> keras.Model:
    layers: list[keras.layers.Layer] = [keras.Input(inputs), keras.layers.Flatten()]
    for i in range(_NUM_LAYERS):
        init = keras.initializers.HeNormal(seed=seed + i)
        layers += [keras.layers.Dense(units, kernel_initializer=init), keras.layers.LeakyReLU(0.2)]
    init = keras.initializers.GlorotUniform(seed=seed + _NUM_LAYERS)
    layers += [keras.layers.Dense(int(np.prod(outputs)), kernel_initializer=init), keras.layers.Reshape(outputs)]
    return keras.Sequential(layers)


def train_points(flags: Mapping[str, Any], steps: int, seed: int = 0) -> np.ndarray:
    """Trains a GAN on the grid; returns ``NUM_SAMPLES`` points of it, ``[n, 2]``.

    Args:
        flags: options of ``GanConfig``, in addition to ``SETTINGS``.
        steps: training steps.
        seed: of everything.
    """
    config = resolve_gan({}, {}, {**SETTINGS, **flags, "seed": seed}).config
    point = (1, 1, 2)
    generator, generator_ema = (_build_network((config.latent_dim,), point, config.hidden_dim, 1000 * seed) for _ in range(2))
    discriminator = _build_network(point, (1,), config.hidden_dim, 1000 * seed + 100)
    gan = GAN(generator, generator_ema, discriminator, config)
    source, per_step = GaussianGrid(seed), {"real": config.d_steps}
    stream = Stream({"real": source}, config.batch, samples_per_step=per_step, seed=seed, random_inputs=gan.random_inputs)
    step = build_step_function(gan, None)
    for batch in stream.dataset(0, steps):
        step(batch)
    latents = sample_latents(NUM_SAMPLES, config.latent_dim, seed)
    return _SCALE * gan.exported()["generator"](latents, training=False).numpy().reshape(NUM_SAMPLES, 2)


@default_style()
def render_points(points: Mapping[str, np.ndarray]) -> bytes:
    """Draws points ``[n, 2]`` by the names of their trainings, one panel each; returns a PNG image."""
    figure = Figure(figsize=(4 * len(points), 4.2), dpi=100, layout="constrained")
    for axes, (name, found) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items(), strict=True):
        axes.scatter(*found.T, s=3, alpha=0.4, linewidths=0)
        axes.scatter(*CENTERS.T, s=30, marker="+", color="C3", linewidths=0.8)
        axes.set(xlim=(-5.5, 5.5), ylim=(-5.5, 5.5), aspect="equal", xticks=[], yticks=[])
        axes.set_title(name, fontsize=10)
    return to_png(figure)
