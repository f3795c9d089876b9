"""What generated images depend on, and classifier-free guidance against its formula."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.diffusion.config import DiffusionConfig
from gan_tf.diffusion.generator import SAMPLE_BATCH, DiffusionGenerator, Sampling
from gan_tf.diffusion.samplers import SAMPLERS
from gan_tf.diffusion.unet import build_unet
from pipelines.errors import UserError

SHAPE = (8, 8, 3)


def build_generator(**options) -> DiffusionGenerator:
    """Builds a generator of random weights."""
    config = DiffusionConfig(**{"hidden_dim": 4, "blocks": 1, "classes": 3, "timesteps": 50} | options)
    network = build_unet(SHAPE, config.hidden_dim, config.blocks, config.classes)
    for index, weight in enumerate(network.weights):
        weight.assign(0.1 * np.random.default_rng(index).standard_normal(weight.shape))
    return DiffusionGenerator(network, config, SHAPE)


class LabelPredictor:
    """A network whose prediction is the label (10 without one) at every pixel; it counts how many images it sees."""

    def __init__(self):
        self.images_seen = tf.Variable(0)

    def __call__(self, inputs, training):
        images, _, labels = inputs
        self.images_seen.assign_add(tf.shape(images)[0])
        values = tf.where(labels == 3, 10, labels)
        return tf.zeros_like(images) + tf.cast(values, tf.float32)[:, None, None, None]


@pytest.fixture(scope="module")
def generator() -> DiffusionGenerator:
    return build_generator()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_generate_image_depends_on_seed_label_and_number_alone(sampler, generator):
    sampling = Sampling(sampler, 4)
    images = generator.generate(3 * SAMPLE_BATCH + 6, seed=1, sampling=sampling)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(generator.generate(7, seed=1, sampling=sampling), images[:7])
    of_label_2 = generator.generate(SAMPLE_BATCH + 2, seed=1, labels=[2], sampling=sampling)
    np.testing.assert_array_equal(of_label_2, images[2::3])
    turned = generator.generate(4, seed=1, labels=[2, 0], sampling=sampling)
    np.testing.assert_array_equal(turned, images[[2, 0, 5, 3]])
    assert np.any(generator.generate(3, seed=2, sampling=sampling) != images[:3])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_generate_without_labels_gives_different_images():
    images = build_generator(classes=0).generate(5, sampling=Sampling(steps=4))
    assert len(np.unique(images.reshape(5, -1), axis=0)) == 5


@pytest.mark.parametrize(("guidance", "images_seen"), [(1.0, SAMPLE_BATCH), (0.0, SAMPLE_BATCH), (2.5, 2 * SAMPLE_BATCH)])
def test_guidance_extrapolates_from_the_prediction_without_label(guidance, images_seen):
    """Ho and Salimans 2021, equation 6, with w + 1 as the strength; 1 and 0 need one evaluation of the network only."""
    network = LabelPredictor()
    generator = DiffusionGenerator(network, DiffusionConfig(classes=3, timesteps=50, prediction="epsilon"), SHAPE)
    labels = np.arange(SAMPLE_BATCH) % 3
    noise = generator.batch_noise(0, 0, 0)
    found = generator._guided(labels, guidance)(noise(50), 50)
    expected = 10 + guidance * (labels - 10.0)
    np.testing.assert_allclose(found, np.broadcast_to(expected[:, None, None, None], found.shape), rtol=1e-5)
    assert int(network.images_seen) == images_seen


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_denoiser_recovers_the_image_from_a_right_prediction(prediction):
    """With the true noise as the prediction, the estimate of x_0 is x_0, clipped to the range of images."""
    config = DiffusionConfig(classes=3, timesteps=50, prediction=prediction)
    image, noise = np.random.default_rng(0).uniform(-1.2, 1.2, (2, 1, *SHAPE)).astype(np.float32)
    signal_rate, noise_rate = (
        np.sqrt(value) for value in (generator_alpha_bar(config, 20), 1 - generator_alpha_bar(config, 20))
    )
    target = noise if prediction == "epsilon" else signal_rate * noise - noise_rate * image
    generator = DiffusionGenerator(lambda inputs, training: tf.constant(target, tf.float32), config, SHAPE)
    found = generator._build_denoiser(np.array([0]), 1.0)((signal_rate * image + noise_rate * noise).astype(np.float32), 20)
    np.testing.assert_allclose(found, np.clip(image, -1, 1), atol=1e-4)


def generator_alpha_bar(config: DiffusionConfig, t: int) -> float:
    """Returns the share of the image at t under the cosine schedule, from its formula."""
    f = np.cos((np.array([0, t]) / config.timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
    return float(f[1] / f[0])


def test_sampling_defaults_are_all_timesteps_for_the_ancestral_sampler_only():
    assert Sampling("ancestral").num_steps(1000) == 1000
    assert Sampling("ddim").num_steps(1000) == 20
    assert Sampling("ddim").num_steps(5) == 5
    assert Sampling("ddim", 7).num_steps(1000) == 7


def test_sampling_guides_only_models_that_were_trained_with_dropped_labels():
    dropped, kept, unlabeled = (
        DiffusionConfig(classes=classes, label_drop=drop) for classes, drop in ((10, 0.1), (10, 0.0), (0, 0.1))
    )
    assert [Sampling().strength(config) for config in (dropped, kept, unlabeled)] == [2.0, 1.0, 1.0]
    assert Sampling(guidance=3.0).strength(dropped) == 3.0
    assert Sampling(guidance=1.0).strength(kept) == 1.0
    for config in (kept, unlabeled):
        with pytest.raises(UserError, match="--guidance 3 needs weights that were trained with --label-drop above 0"):
            Sampling(guidance=3.0).strength(config)


def test_sampling_of_more_steps_than_timesteps_is_refused():
    with pytest.raises(UserError, match="51 sampling steps"):
        Sampling("ddim", 51).num_steps(50)
