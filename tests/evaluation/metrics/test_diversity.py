"""The distance between neighboring samples, against a closed form and SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_tf.evaluation.metrics.diversity import neighbor_distance


def test_neighbor_distance_of_constant_images_is_the_median_gap():
    grays = np.array([0, 10, 30, 60, 100], np.uint8)  # gaps to the nearest: 10, 10, 20, 30, 40
    images = np.ones((5, 4, 4, 3), np.uint8) * grays[:, None, None, None]
    assert neighbor_distance(images) == pytest.approx(20)


def test_neighbor_distance_of_random_images_equals_scipy():
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    distances = cdist(*(images.reshape(30, -1).astype(float),) * 2)
    np.fill_diagonal(distances, np.inf)
    assert neighbor_distance(images) == pytest.approx(np.median(distances.min(axis=1)) / np.sqrt(8 * 8 * 3))


def test_neighbor_distance_of_a_few_repeated_images_is_zero():
    few = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    assert neighbor_distance(np.tile(few, (10, 1, 1, 1))) == 0


def test_neighbor_distance_of_one_image_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        neighbor_distance(np.zeros((1, 8, 8, 3), np.uint8))
