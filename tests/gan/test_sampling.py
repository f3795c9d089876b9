"""Generated images: image i is a function of (weights, seed, i) alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.gan.latents import SAMPLE_BATCH, sample_latents
from gan_tf.gan.networks import dcgan
from gan_tf.gan.sampling import generate_images, iterate_images


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return dcgan.build_generator((8, 8, 1), latent_dim=6, hidden_dim=4, seed=2)


@pytest.mark.parametrize("count", [1, 7, SAMPLE_BATCH - 1, SAMPLE_BATCH, SAMPLE_BATCH + 1])
def test_generate_images_of_any_count_equals_a_slice_of_a_larger_one(generator, count):
    latents = sample_latents(2 * SAMPLE_BATCH, 6, seed=9)
    found = generate_images(generator, latents[:count])
    assert found.shape == (count, 8, 8, 1)
    np.testing.assert_array_equal(found, generate_images(generator, latents)[:count])


def test_generate_images_calls_the_generator_with_whole_batches(generator):
    calls = []

    def record_calls(latents, training):
        calls.append((len(latents), training))
        return generator(latents, training=training)

    generate_images(record_calls, sample_latents(SAMPLE_BATCH + 1, 6, seed=0))
    assert calls == [(SAMPLE_BATCH, False)] * 2


def test_generate_images_equals_the_generators_outputs(generator):
    latents = sample_latents(3, 6, seed=9)
    expected = np.clip((generator(tf.constant(latents)).numpy().astype(np.float64) + 1) * 127.5, 0, 255)
    assert np.abs(generate_images(generator, latents) - expected).max() < 0.501


@pytest.mark.parametrize("count", [1, SAMPLE_BATCH, 2 * SAMPLE_BATCH + 5])
def test_iterate_images_equals_generate_images(generator, count):
    batches = list(iterate_images(generator, count, seed=3))
    assert max(len(batch) for batch in batches) <= SAMPLE_BATCH
    np.testing.assert_array_equal(np.concatenate(batches), generate_images(generator, sample_latents(count, 6, seed=3)))
