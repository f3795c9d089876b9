"""Schedules and single steps of the samplers against the schedulers of diffusers, where it is installed."""

import numpy as np
import pytest

from gan_tf.diffusion.samplers import ancestral, ddim, dpm_solver_pp
from gan_tf.diffusion.schedule import SCHEDULES

diffusers = pytest.importorskip("diffusers")
torch = pytest.importorskip("torch")

SHAPE, STEPS = (2, 3, 4, 4), 20
NAMES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
each_schedule = pytest.mark.parametrize("name", NAMES)


def denoise(x: np.ndarray, t: int) -> np.ndarray:
    """Some estimate of x_0 that depends on both arguments."""
    return np.tanh(0.3 * x + t / 1000)


def build_scheduler(kind: str, name: str, **words):
    """Returns a scheduler with our ᾱ, which it would otherwise hold in float32, and its timesteps."""
    scheduler = getattr(diffusers, kind)(1000, beta_schedule=NAMES[name], prediction_type="sample", **words)
    scheduler.alphas_cumprod = torch.from_numpy(SCHEDULES[name](1000).alpha_bar[1:])
    return scheduler


def run(scheduler, num_steps: int, x: np.ndarray, **words) -> list[np.ndarray]:
    """Returns x_t after each step of a scheduler; its t counts from 0, ours from 1."""
    scheduler.set_timesteps(num_steps)
    images = []
    for t in scheduler.timesteps:
        x0 = torch.from_numpy(denoise(x, int(t) + 1))
        x = scheduler.step(x0, int(t), torch.from_numpy(x), **words).prev_sample.numpy().astype(np.float64)
        images.append(x)
    return images


def first_noise(t: int) -> np.ndarray:
    return np.random.default_rng(t).standard_normal(SHAPE)


@each_schedule
def test_schedule_equals_that_of_diffusers(name):
    theirs = diffusers.DDPMScheduler(1000, beta_schedule=NAMES[name]).alphas_cumprod.numpy()
    np.testing.assert_allclose(SCHEDULES[name](1000).alpha_bar[1:], theirs, rtol=2e-4, atol=1e-6)


@each_schedule
def test_ancestral_steps_equal_those_of_diffusers(name):
    generator, draws = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)

    def noise(t: int) -> np.ndarray:
        return first_noise(t) if t == 1000 else torch.randn(SHAPE, generator=draws, dtype=torch.float64).numpy()

    scheduler = build_scheduler("DDPMScheduler", name, clip_sample=False, timestep_spacing="trailing")
    theirs = run(scheduler, STEPS, first_noise(1000), generator=generator)
    ours = [x for _, x in ancestral(denoise, SCHEDULES[name](1000), noise, STEPS)][1:]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@each_schedule
def test_ddim_steps_equal_those_of_diffusers(name):
    scheduler = build_scheduler("DDIMScheduler", name, clip_sample=False, timestep_spacing="trailing")
    theirs = run(scheduler, STEPS, first_noise(1000))
    ours = [x for _, x in ddim(denoise, SCHEDULES[name](1000), first_noise, STEPS)][1:]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@each_schedule
def test_dpm_solver_steps_equal_those_of_diffusers(name):
    words = {"timestep_spacing": "trailing", "final_sigmas_type": "zero", "algorithm_type": "dpmsolver++"}
    theirs = run(build_scheduler("DPMSolverMultistepScheduler", name, **words), STEPS, first_noise(1000))
    ours = [x for _, x in dpm_solver_pp(denoise, SCHEDULES[name](1000), first_noise, STEPS)][1:]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
