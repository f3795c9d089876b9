"""Samplers on data whose ideal denoiser is known, and against the papers' formulas."""

import numpy as np
import pytest

from gan_tf.diffusion.samplers import SAMPLERS, ancestral, ddim, dpm_solver_pp, sampling_timesteps
from gan_tf.diffusion.schedule import SCHEDULES, Schedule, cosine_schedule, linear_schedule

MEAN, DEVIATION = 0.3, 0.5
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
each_schedule = pytest.mark.parametrize("schedule", [SCHEDULES[name](1000) for name in SCHEDULES], ids=SCHEDULES)


def gaussian_denoiser(schedule: Schedule, deviation: float = DEVIATION):
    """Returns E[x_0 | x_t] for x_0 ~ N(MEAN, deviation²): the regression of one Gaussian on another."""

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        rate, variance = np.sqrt(schedule.alpha_bar[t]), schedule.alpha_bar[t] * deviation**2 + 1 - schedule.alpha_bar[t]
        return MEAN + rate * deviation**2 / variance * (x - rate * MEAN)

    return denoise


def standard_normal(size: int, seed: int = 0):
    """Returns noise of its own for each t."""
    return lambda t: np.random.default_rng((seed, t)).standard_normal(size)


def last(trajectory) -> np.ndarray:
    """Returns x_0, the end of a trajectory."""
    *_, (t, x) = trajectory
    assert t == 0
    return x


@each_sampler
@each_schedule
def test_sampler_reaches_mean_and_variance_of_gaussian_data(sampler, schedule):
    x = last(sampler(gaussian_denoiser(schedule), schedule, standard_normal(20_000), 1000))
    assert x.mean() == pytest.approx(MEAN, abs=4 * DEVIATION / np.sqrt(20_000))
    assert x.std() == pytest.approx(DEVIATION, rel=0.03)


@each_sampler
@each_schedule
@pytest.mark.parametrize("num_steps", [1, 2, 7, 1000])
def test_sampler_of_one_image_gives_that_image_in_any_number_of_steps(sampler, schedule, num_steps):
    x = last(sampler(gaussian_denoiser(schedule, deviation=0.0), schedule, standard_normal(50), num_steps))
    np.testing.assert_allclose(x, MEAN, atol=1e-9)


@each_schedule
def test_ancestral_with_all_steps_is_algorithm_2(schedule):
    """Ho et al. 2020: x ← (x - (1 - α)/sqrt(1 - ᾱ) ε) / sqrt(α) + σ z, with z = 0 at t = 1 and σ² of the posterior."""
    denoise, noise = gaussian_denoiser(schedule), standard_normal(50)
    x = noise(1000)
    for t in range(1000, 0, -1):
        alpha_bar, former = schedule.alpha_bar[t], schedule.alpha_bar[t - 1]
        alpha = alpha_bar / former
        epsilon = (x - np.sqrt(alpha_bar) * denoise(x, t)) / np.sqrt(1 - alpha_bar)
        z = noise(t - 1) if t > 1 else 0.0
        sigma = np.sqrt((1 - former) / (1 - alpha_bar) * (1 - alpha))
        x = (x - (1 - alpha) / np.sqrt(1 - alpha_bar) * epsilon) / np.sqrt(alpha) + sigma * z
    found = last(ancestral(denoise, schedule, noise, 1000))
    np.testing.assert_allclose(found, x, rtol=1e-7, atol=1e-9)


def test_ancestral_adds_no_noise_in_the_last_step():
    schedule = cosine_schedule(10)
    asked = []

    def noise(t: int) -> np.ndarray:
        asked.append(t)
        return np.zeros(3)

    last(ancestral(gaussian_denoiser(schedule), schedule, noise, 10))
    assert asked == list(range(10, 0, -1))


@each_schedule
def test_dpm_solver_first_step_is_that_of_ddim(schedule):
    """DPM-Solver++ of first order is DDIM (Lu et al. 2022, section 4)."""
    steps = [
        list(sampler(gaussian_denoiser(schedule), schedule, standard_normal(50), 20))[1] for sampler in (ddim, dpm_solver_pp)
    ]
    assert steps[0][0] == steps[1][0] == 950
    np.testing.assert_allclose(steps[0][1], steps[1][1], rtol=1e-9)


def test_deterministic_samplers_converge_to_the_solution_of_the_probability_flow():
    """For Gaussian data the flow keeps (x_t - sqrt(ᾱ_t) MEAN) / deviation of x_t; the second-order solver is nearer to it."""
    schedule = linear_schedule(1000)
    alpha_bar = schedule.alpha_bar[-1]
    z = (standard_normal(50)(1000) - np.sqrt(alpha_bar) * MEAN) / np.sqrt(alpha_bar * DEVIATION**2 + 1 - alpha_bar)
    exact = MEAN + DEVIATION * z

    def error(sampler, num_steps: int) -> float:
        x = last(sampler(gaussian_denoiser(schedule), schedule, standard_normal(50), num_steps))
        return float(np.abs(x - exact).max())

    assert error(ddim, 200) == pytest.approx(error(ddim, 100) / 2, rel=0.1)  # of first order
    assert error(dpm_solver_pp, 20) < 0.5 * error(ddim, 20)
    assert error(dpm_solver_pp, 100) < 0.01


@pytest.mark.parametrize(("num_steps", "expected"), [(1, [10, 0]), (4, [10, 8, 5, 2, 0]), (10, list(range(10, -1, -1)))])
def test_sampling_timesteps_are_evenly_spaced(num_steps, expected):
    assert sampling_timesteps(10, num_steps) == expected


@pytest.mark.parametrize("num_timesteps", [7, 1000])
def test_sampling_timesteps_are_all_different(num_timesteps):
    for num_steps in range(1, num_timesteps + 1):
        timesteps = sampling_timesteps(num_timesteps, num_steps)
        assert (timesteps[0], timesteps[-1], len(timesteps)) == (num_timesteps, 0, num_steps + 1)
        assert (np.diff(timesteps) < 0).all()


@pytest.mark.parametrize("num_steps", [0, 11])
def test_sampling_timesteps_out_of_range_are_refused(num_steps):
    with pytest.raises(ValueError, match="steps"):
        sampling_timesteps(10, num_steps)
