"""The reverse process: samplers that turn noise into images, whatever the network.

Each is a function of a denoiser, which estimates x_0 from x_t, and works on NumPy arrays of any shape and float type.
The estimate of the noise that belongs to one of x_0 is ε = (x_t - sqrt(ᾱ_t) x_0) / sqrt(1 - ᾱ_t).
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from gan_tf.diffusion.schedule import Schedule

Denoiser = Callable[[np.ndarray, int], np.ndarray]
"""(x_t, t) -> the estimate of x_0, of the same shape."""

Noise = Callable[[int], np.ndarray]
"""t -> standard normal noise of the images' shape: x_T for t = T, and what is added on the way to x_t below it."""

Trajectory = Iterator[tuple[int, np.ndarray]]
"""(t, x_t) from t = T down to t = 0."""


def sampling_timesteps(num_timesteps: int, num_steps: int) -> list[int]:
    """Returns T = t_0 > t_1 > … > t_n = 0, as evenly spaced as whole numbers can be.

    Args:
        num_timesteps: T.
        num_steps: n, the evaluations of the network, from 1 to T.

    Raises:
        ValueError: n is out of range.
    """
    if not 1 <= num_steps <= num_timesteps:
        raise ValueError(f"{num_steps} steps of {num_timesteps}")
    return [round(num_timesteps * (num_steps - i) / num_steps) for i in range(num_steps + 1)]


def ancestral(denoise: Denoiser, schedule: Schedule, noise: Noise, num_steps: int) -> Trajectory:
    """Samples by the posterior q(x_s | x_t, x_0) (Ho et al. 2020, equations 6 and 7; with n = T this is algorithm 2).

    Between t and s < t, α = ᾱ_t / ᾱ_s and β = 1 - α take the places of α_t and β_t. The variance is that of the posterior,
    β (1 - ᾱ_s) / (1 - ᾱ_t), which is 0 in the last step: no noise is added there.
    """
    timesteps = sampling_timesteps(schedule.num_timesteps, num_steps)
    x = noise(timesteps[0])
    yield timesteps[0], x
    for t, s in itertools.pairwise(timesteps):
        alpha_bar_t, alpha_bar_s = (float(schedule.alpha_bar[i]) for i in (t, s))
        alpha = alpha_bar_t / alpha_bar_s
        of_x0 = np.sqrt(alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t)
        of_xt = np.sqrt(alpha) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
        x = float(of_x0) * denoise(x, t) + float(of_xt) * x
        if s > 0:
            x = x + float(np.sqrt((1.0 - alpha) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t))) * noise(s)
        yield s, x


def ddim(denoise: Denoiser, schedule: Schedule, noise: Noise, num_steps: int) -> Trajectory:
    """Samples without noise on the way (Song et al. 2021, equation 12 with σ = 0): x_s = sqrt(ᾱ_s) x_0 + sqrt(1 - ᾱ_s) ε."""
    timesteps = sampling_timesteps(schedule.num_timesteps, num_steps)
    x = noise(timesteps[0])
    yield timesteps[0], x
    for t, s in itertools.pairwise(timesteps):
        alpha_bar_t, alpha_bar_s = (float(schedule.alpha_bar[i]) for i in (t, s))
        x0 = denoise(x, t)
        epsilon = (x - float(np.sqrt(alpha_bar_t)) * x0) / float(np.sqrt(1.0 - alpha_bar_t))
        x = float(np.sqrt(alpha_bar_s)) * x0 + float(np.sqrt(1.0 - alpha_bar_s)) * epsilon
        yield s, x


def dpm_solver_pp(denoise: Denoiser, schedule: Schedule, noise: Noise, num_steps: int) -> Trajectory:
    """Samples by DPM-Solver++(2M), which extrapolates from the last two estimates (Lu et al. 2022, algorithm 2).

    λ = log(sqrt(ᾱ) / sqrt(1 - ᾱ)) is the time of the solver and h its step. The last step, where λ becomes infinite, is the
    estimate of x_0 itself. With few steps it is of first order as the first one is, which has no former estimate.
    """
    timesteps = sampling_timesteps(schedule.num_timesteps, num_steps)
    with np.errstate(divide="ignore"):
        log_snr = 0.5 * np.log(schedule.signal_to_noise)
    x, former, former_h = noise(timesteps[0]), None, 0.0
    yield timesteps[0], x
    for t, s in itertools.pairwise(timesteps):
        x0 = denoise(x, t)
        if s == 0:
            x = x0
        else:
            h = float(log_snr[s] - log_snr[t])
            estimate = x0 if former is None else x0 + (h / (2.0 * former_h)) * (x0 - former)
            alpha_s, sigma_s, sigma_t = (
                float(np.sqrt(value))
                for value in (schedule.alpha_bar[s], 1.0 - schedule.alpha_bar[s], 1.0 - schedule.alpha_bar[t])
            )
            x = (sigma_s / sigma_t) * x - (alpha_s * float(np.expm1(-h))) * estimate
            former, former_h = x0, h
        yield s, x


SAMPLERS: dict[str, Callable[[Denoiser, Schedule, Noise, int], Trajectory]] = {
    "ancestral": ancestral,
    "ddim": ddim,
    "dpm-solver++": dpm_solver_pp,
}
