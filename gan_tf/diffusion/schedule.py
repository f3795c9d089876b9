"""The forward process: how much of an image is left after t steps of noise (Ho et al. 2020, equations 2 and 4).

x_t = sqrt(ᾱ_t) x_0 + sqrt(1 - ᾱ_t) ε with ε ~ N(0, I), for t from 1 to T; ᾱ_0 = 1 is the image itself. All numbers are
float64: in float32, 1 - ᾱ_1 would keep only three digits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_MAX_BETA = 0.999


@dataclass(frozen=True)
class Schedule:
    """A noise schedule.

    Attributes:
        alpha_bar: ᾱ_0 = 1 to ᾱ_T, falling, float64 ``[T + 1]``.
    """

    alpha_bar: np.ndarray

    @property
    def num_timesteps(self) -> int:
        """T."""
        return len(self.alpha_bar) - 1

    @property
    def signal_to_noise(self) -> np.ndarray:
        """ᾱ_t / (1 - ᾱ_t), float64 ``[T + 1]``; infinite at t = 0."""
        with np.errstate(divide="ignore"):
            return self.alpha_bar / (1.0 - self.alpha_bar)


def linear_schedule(num_timesteps: int) -> Schedule:
    """Returns β from 1e-4 to 0.02 (Ho et al. 2020, section 4), scaled by 1000/T so that x_T is as noisy for any T."""
    scale = 1000.0 / num_timesteps
    return _from_betas(np.linspace(scale * 1e-4, scale * 0.02, num_timesteps))


def cosine_schedule(num_timesteps: int) -> Schedule:
    """Returns ᾱ_t proportional to cos²((t/T + 0.008)/1.008 · π/2) (Nichol and Dhariwal 2021, equation 17), β at most 0.999."""
    t = np.arange(num_timesteps + 1) / num_timesteps
    signal = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    return _from_betas(1.0 - signal[1:] / signal[:-1])


def _from_betas(betas: np.ndarray) -> Schedule:
    return Schedule(np.cumprod(np.concatenate([[1.0], 1.0 - np.minimum(betas, _MAX_BETA)])))


SCHEDULES: dict[str, Callable[[int], Schedule]] = {"linear": linear_schedule, "cosine": cosine_schedule}


def loss_weights(schedule: Schedule, prediction: str, loss_weight: str) -> np.ndarray:
    """Returns the weight of the squared error of each t, float64 ``[T + 1]``; that of t = 0, which is never used, is 0.

    "none" weights the squared error of the prediction by 1. "min-snr" weights the squared error of x_0 by min(SNR_t, 5)
    (Hang et al. 2023), which divided by its ratio to the error of the prediction is min(SNR, 5) / SNR for ε and
    min(SNR, 5) / (SNR + 1) for v.

    Args:
        schedule: the noise schedule.
        prediction: "epsilon" or "v".
        loss_weight: "none" or "min-snr".
    """
    weights = np.ones(schedule.num_timesteps + 1)
    if loss_weight == "min-snr":
        snr = schedule.signal_to_noise[1:]
        weights[1:] = np.minimum(snr, 5.0) / (snr + 1.0 if prediction == "v" else snr)
    weights[0] = 0.0
    return weights
