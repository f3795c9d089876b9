"""The pool of earlier fakes, against the same rules in plain Python."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.cyclegan.image_pool import ImagePool

SHAPE = (2, 3, 3)


def levels(image: np.ndarray) -> np.ndarray:
    """Rounds an image in [-1, 1] to 256 levels."""
    return (np.rint((image + 1) * 127.5) / 127.5 - 1).astype(np.float32)


def expected_exchange(pool: list, size: int, images: np.ndarray, random: np.ndarray) -> np.ndarray:
    """Exchanges images one after the other, as section 2.3 of the paper says and the authors' code does."""
    returned = []
    for image, (decision, place) in zip(images, random, strict=True):
        if len(pool) < size:
            pool.append(levels(image))
            returned.append(image)
        elif decision < 0.5:
            slot = int(place * size)
            returned.append(pool[slot])
            pool[slot] = levels(image)
        else:
            returned.append(image)
    return np.stack(returned)


@pytest.mark.parametrize(("size", "batch"), [(1, 1), (3, 1), (3, 2), (5, 4)])
@pytest.mark.parametrize("in_graph", [False, True])
def test_pool_exchanges_as_the_plain_rules(size, batch, in_graph):
    pool, expected_pool, random = ImagePool(size, SHAPE, "pool"), [], np.random.default_rng(size)
    call = tf.function(pool) if in_graph else pool
    num_old = 0
    for _ in range(20):
        images = random.uniform(-1, 1, (batch, *SHAPE)).astype(np.float32)
        numbers = random.uniform(0, 1, (batch, 2)).astype(np.float32)
        expected = expected_exchange(expected_pool, size, images, numbers)
        returned = call(tf.constant(images), tf.constant(numbers)).numpy()
        np.testing.assert_allclose(returned, expected, atol=1e-6)
        num_old += (np.abs(returned - images).max(axis=(1, 2, 3)) > 0).sum()
    assert num_old > 0


def test_pool_of_size_0_returns_new_images():
    images = tf.random.stateless_uniform((2, *SHAPE), (0, 1))
    pool = ImagePool(0, SHAPE, "pool")
    assert pool(images, tf.zeros((2, 2))) is images
    assert not pool.weights


def test_pool_returns_old_images_half_of_the_time_and_each_equally_often():
    size, count = 4, 400
    pool, random = ImagePool(size, (1, 1, 1), "pool"), np.random.default_rng(0)
    slots = np.zeros(size, int)
    for step in range(size + count):
        before = pool.images.numpy()
        value = np.full((1, 1, 1, 1), 2 * (step % 251) / 255 - 1, np.float32)
        pool(tf.constant(value), tf.constant(random.uniform(0, 1, (1, 2)), tf.float32))
        if step >= size:
            slots += (pool.images.numpy() != before).reshape(size)
    assert abs(slots.sum() - count / 2) < 4 * np.sqrt(count / 4)
    assert slots.min() > 0.5 * count / 2 / size


def test_pool_is_part_of_a_checkpoint(tmp_path):
    pool, other = (ImagePool(3, SHAPE, "pool") for _ in range(2))
    pool(tf.random.stateless_uniform((2, *SHAPE), (0, 1), -1, 1), tf.zeros((2, 2)))
    path = tf.train.Checkpoint(pool=pool).save(str(tmp_path / "pool"))
    tf.train.Checkpoint(pool=other).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(other.images, pool.images)
    assert int(other.count) == 2
    assert pool.images.dtype == "uint8"
