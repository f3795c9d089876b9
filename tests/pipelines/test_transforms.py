"""Scaling and mirroring of pictures, eagerly and in a dataset."""

import numpy as np
import tensorflow as tf

from pipelines.transforms import flip, to_float


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_scaling():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    floats = to_float(images)
    assert floats.dtype == tf.float32
    np.testing.assert_allclose(floats, np.interp(images, [0, 255], [-1, 1]), atol=1e-7)


def test_flip_mirrors_half_of_the_pictures_each_as_a_whole():
    images = noise(2000, 2, 3, 3)
    flipped = flip(images, tf.constant([3, 14])).numpy()
    mirrored = images[:, :, ::-1]
    same, other = (flipped == images).all(axis=(1, 2, 3)), (flipped == mirrored).all(axis=(1, 2, 3))
    assert (same | other).all()
    assert abs(other.sum() - 1000) < 4.5 * np.sqrt(500)  # binomial: outside in 1 of 150,000 seeds
    longest = max(len(run) for run in "".join(map(str, other.astype(int))).split("0"))
    assert 5 < longest < 25  # coins, not a pattern


def test_flip_is_keyed_and_equal_in_a_dataset():
    images = tf.constant(noise(32, 4, 4, 3))
    steps = tf.data.Dataset.range(3).map(lambda step: flip(images, tf.stack([7, step])))
    eager = [flip(images, tf.constant([7, step], tf.int64)).numpy() for step in range(3)]
    assert steps.element_spec.shape == (32, 4, 4, 3)
    np.testing.assert_array_equal(list(steps), eager)
    assert len({array.tobytes() for array in eager}) == 3
