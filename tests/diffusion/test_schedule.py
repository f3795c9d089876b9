"""Noise schedules against closed forms and published values."""

import numpy as np
import pytest

from gan_tf.diffusion.schedule import SCHEDULES, cosine_schedule, linear_schedule, loss_weights

both = pytest.mark.parametrize("name", sorted(SCHEDULES))


@both
@pytest.mark.parametrize("num_timesteps", [2, 100, 1000])
def test_schedule_falls_from_the_image_to_noise(name, num_timesteps):
    alpha_bar = SCHEDULES[name](num_timesteps).alpha_bar
    assert alpha_bar.dtype == np.float64
    assert alpha_bar.shape == (num_timesteps + 1,)
    assert alpha_bar[0] == 1.0
    assert (np.diff(alpha_bar) < 0).all()
    assert 0 < alpha_bar[-1] < 1e-3 or num_timesteps == 2


def test_linear_schedule_prior_is_as_far_from_normal_as_in_the_paper():
    """Ho et al. 2020, section 4: KL(q(x_T | x_0) | N(0, I)) is about 1e-5 bits per dimension for images in [-1, 1]."""
    alpha_bar = linear_schedule(1000).alpha_bar[-1]
    mean_square = 1 / 3  # of values that are uniform in [-1, 1]
    bits = 0.5 * (alpha_bar * mean_square - alpha_bar - np.log1p(-alpha_bar)) / np.log(2)
    assert 0.5e-5 < bits < 2e-5


def test_linear_schedule_betas_are_those_of_the_paper():
    alpha_bar = linear_schedule(1000).alpha_bar
    betas = 1 - alpha_bar[1:] / alpha_bar[:-1]
    np.testing.assert_allclose(betas, [1e-4 + (0.02 - 1e-4) * i / 999 for i in range(1000)], rtol=1e-9)


def test_cosine_schedule_is_the_squared_cosine_before_betas_are_clipped():
    alpha_bar = cosine_schedule(1000).alpha_bar
    t = np.arange(990)
    expected = np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(alpha_bar[:990], expected, rtol=1e-9)
    assert 1 - alpha_bar[-1] / alpha_bar[-2] == pytest.approx(0.999)


@both
@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_loss_weights_min_snr_weight_the_error_of_the_image(name, prediction):
    """An error e of x_0 is an error of the prediction; weighted, it must count min(SNR, 5) e² (Hang et al. 2023)."""
    schedule, error = SCHEDULES[name](50), 0.3
    weights = loss_weights(schedule, prediction, "min-snr")
    for t in range(1, 51):
        signal_rate, noise_rate = np.sqrt(schedule.alpha_bar[t]), np.sqrt(1 - schedule.alpha_bar[t])
        # x_t is given, so that an error of x_0 brings one of epsilon with it: signal_rate * e + noise_rate * e_epsilon = 0.
        epsilon_error = -signal_rate / noise_rate * error
        v_error = signal_rate * epsilon_error - noise_rate * error
        found = weights[t] * (v_error if prediction == "v" else epsilon_error) ** 2
        assert found == pytest.approx(min(signal_rate**2 / noise_rate**2, 5.0) * error**2, rel=1e-9)


def test_loss_weights_none_are_one_for_each_timestep_of_training():
    assert (loss_weights(cosine_schedule(50), "epsilon", "none")[1:] == 1.0).all()
