"""The classifier's network: its outputs, its parameters counted by hand, its size as shipped."""

import numpy as np
import pytest
from helpers.keras_reference import keras_reference

from gan_tf.classifier.networks import build_classifier


@pytest.fixture(scope="module")
def network():
    return build_classifier((28, 28, 3), 24)


def random_images(count):
    return np.random.default_rng(0).uniform(-1, 1, (count, 28, 28, 3)).astype(np.float32)


def test_network_outputs_are_features_and_their_logits(network):
    features, logits = network(random_images(5))
    assert features.shape == (5, 128)
    assert logits.shape == (5, 10)
    assert features.numpy().min() == 0.0
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(features.numpy() @ kernel + bias, logits, atol=1e-4)


def test_network_parameters_equal_the_count_by_hand(network):
    convolutions = 9 * (3 * 24 + 24 * 48 + 48 * 48 + 48 * 96 + 96 * 96 + 96 * 96)
    norms = 2 * (24 + 48 + 48 + 96 + 96 + 96 + 128)
    dense = 4 * 4 * 96 * 128 + 128 * 10 + 10
    assert sum(int(np.prod(w.shape)) for w in network.trainable_weights) == convolutions + norms + dense
    assert 2 * network.count_params() < 2e6  # bytes in float16


def test_network_of_keras_layers_has_the_same_outputs(network):
    images = random_images(5)
    for found, expected in zip(keras_reference(network)(images), network(images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_initial_weights_depend_on_the_seed():
    first, again, other = (build_classifier((28, 28, 3), 2, seed).get_weights() for seed in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
