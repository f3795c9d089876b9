"""The nearest images against a plain search, and copies that must be found."""

import numpy as np
import pytest

from gan_tf.evaluation.metrics.nearest_neighbors import NUM_NEIGHBORS, find_nearest


def pictures(count, seed, size=8):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_find_nearest_equals_a_plain_search():
    images, pool = pictures(7, 0), pictures(5100, 1)  # more than two parts of the pool
    found = find_nearest(images, pool)
    for i, image in enumerate(images.astype(float)):
        plain, turned = (np.sqrt(np.mean((x - pool.astype(float)) ** 2, axis=(1, 2, 3))) for x in (image, image[:, ::-1]))
        distances = np.minimum(plain, turned)
        order = np.argsort(distances)[: NUM_NEIGHBORS + 1]
        np.testing.assert_array_equal(found.index[i], order)
        np.testing.assert_array_equal(found.mirrored[i], turned[order] < plain[order])
        np.testing.assert_allclose(found.distance[i], distances[order], rtol=1e-5)
        np.testing.assert_allclose(found.closeness[i], distances[order[0]] / distances[order[1:]].mean(), rtol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_find_nearest_finds_a_copy(mirrored):
    pool = pictures(200, 2)
    copy = pool[[150]][:, :, ::-1] if mirrored else pool[[150]]
    noisy = np.clip(copy.astype(int) + np.random.default_rng(3).integers(-5, 6, copy.shape), 0, 255).astype(np.uint8)
    for image, limit in ((copy, 0.01), (noisy, 0.05)):
        found = find_nearest(image, pool)
        assert found.index[0, 0] == 150
        assert found.mirrored[0, 0] == mirrored
        assert found.closeness[0] < limit
    assert find_nearest(pictures(1, 4), pool).closeness[0] > 0.9


def test_find_nearest_equal_images_do_not_divide_by_zero():
    black = np.zeros((NUM_NEIGHBORS + 1, 4, 4, 1), np.uint8)
    found = find_nearest(black[:1], black)
    assert not found.distance.any()
    assert found.closeness == [0]


@pytest.mark.parametrize("pool", [pictures(NUM_NEIGHBORS, 5), pictures(100, 5, size=4)], ids=["few", "small"])
def test_find_nearest_other_shapes_or_small_pool_raise_value_error(pool):
    with pytest.raises(ValueError, match="must match the pool"):
        find_nearest(pictures(2, 0), pool)
