"""Scaling and flips of images, eagerly and in a dataset, and digests against those of the standard library."""

import hashlib

import numpy as np
import tensorflow as tf
from scipy import stats

from pipelines.transforms import normalize, pixels_sha256, random_crop, random_flip


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_normalize_maps_0_to_255_linearly_to_minus_1_to_1():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    floats = normalize(images)
    assert floats.dtype == tf.float32
    np.testing.assert_allclose(floats, np.interp(images, [0, 255], [-1, 1]), atol=1e-7)


def test_random_flip_flips_half_of_the_images_as_a_whole():
    images = noise(2000, 2, 3, 3)
    flipped = random_flip(images, tf.constant([3, 14])).numpy()
    mirrored = images[:, :, ::-1]
    same, other = (flipped == images).all(axis=(1, 2, 3)), (flipped == mirrored).all(axis=(1, 2, 3))
    assert (same | other).all()
    assert abs(other.sum() - 1000) < 4.5 * np.sqrt(500)  # binomial: outside in 1 of 150,000 seeds
    longest = max(len(run) for run in "".join(map(str, other.astype(int))).split("0"))
    assert 5 < longest < 25  # independent, not a pattern


def test_random_flip_depends_on_the_seed_and_is_equal_in_a_dataset():
    images = tf.constant(noise(32, 4, 4, 3))
    steps = tf.data.Dataset.range(3).map(lambda step: random_flip(images, tf.stack([7, step])))
    eager = [random_flip(images, tf.constant([7, step], tf.int64)).numpy() for step in range(3)]
    assert steps.element_spec.shape == (32, 4, 4, 3)
    np.testing.assert_array_equal(list(steps), eager)
    assert len({array.tobytes() for array in eager}) == 3


def test_random_crop_takes_squares_of_the_images_at_all_places_equally_often():
    """Each pixel of the images holds its own position, so that a crop tells where it was taken."""
    positions = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    crops = random_crop(np.repeat(positions, 2000, axis=0), 3, tf.constant([3, 14], tf.int64)).numpy()
    corners = crops[:, 0, 0, 0]
    assert set(corners) == {0, 1, 4, 5}
    expected = corners[:, None, None] + np.arange(3)[None, :, None] * 4 + np.arange(3)
    np.testing.assert_array_equal(crops[..., 0], expected)
    assert stats.chisquare(np.unique(corners, return_counts=True)[1]).pvalue > 1e-4


def test_random_crop_depends_on_the_seed_and_is_equal_in_a_dataset():
    images = tf.constant(noise(8, 9, 9, 3))
    steps = tf.data.Dataset.range(3).map(lambda step: random_crop(images, 4, tf.stack([7, step])))
    eager = [random_crop(images, 4, tf.constant([7, step], tf.int64)).numpy() for step in range(3)]
    assert steps.element_spec.shape == (8, 4, 4, 3)
    np.testing.assert_array_equal(list(steps), eager)
    assert len({array.tobytes() for array in eager}) == 3


def test_random_crop_of_the_whole_size_returns_the_images():
    images = noise(5, 6, 6, 3)
    np.testing.assert_array_equal(random_crop(images, 6, tf.constant([0, 1], tf.int64)), images)


def test_pixels_sha256_covers_shape_pixels_and_labels():
    images, labels = noise(4, 2, 3, 3), np.arange(4, dtype=np.uint8)
    assert pixels_sha256(images) == hashlib.sha256(b"(4, 2, 3, 3)" + images.tobytes()).hexdigest()
    assert pixels_sha256(images, labels) == hashlib.sha256(b"(4, 2, 3, 3)" + images.tobytes() + labels.tobytes()).hexdigest()
    strided = np.repeat(images, 2, axis=0)[::2]
    assert pixels_sha256(strided, np.repeat(labels, 2)[::2]) == pixels_sha256(images, labels)
