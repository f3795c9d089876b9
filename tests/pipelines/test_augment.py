"""Random changes of images against SciPy and arithmetic, and the same inside ``Dataset.map`` as eagerly."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from pipelines import augment
from pipelines.randomness import seed_for

AUGMENTATIONS = [augment.random_affine, augment.mnistm_blend, augment.random_color]


@pytest.fixture(scope="module")
def images():
    colored = np.random.default_rng(0).uniform(-1, 1, (6, 28, 28, 3))
    gray = np.repeat(np.random.default_rng(1).uniform(-1, 1, (6, 28, 28, 1)), 3, axis=3)
    return tf.constant(np.concatenate([colored, gray]), tf.float32)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmentation_is_a_pure_function_of_the_seed(augmentation, images):
    steps = tf.data.Dataset.range(3).map(lambda step: augmentation(images, seed_for(5, step, 1)))
    found = [batch.numpy() for batch in steps]
    for step, batch in enumerate(found):
        np.testing.assert_allclose(batch, augmentation(images, seed_for(5, step, 1)), atol=1e-4)
        assert batch.shape == images.shape
        assert np.abs(batch).max() <= 1.0 + 1e-5
    assert np.abs(found[0] - found[1]).max() > 0.1
    assert np.abs(found[0] - augmentation(images, seed_for(6, 0, 1))).max() > 0.1


def test_random_affine_equals_scipy_affine_transform_about_the_center(images):
    seed = seed_for(0, 4, 2)
    found = augment.random_affine(images, seed).numpy()
    angle, scale, shear, shift_x, shift_y = (
        augment._uniform([12], seed, n, -bound, bound).numpy() for n, bound in enumerate((np.deg2rad(12), 0.12, 0.12, 2, 2))
    )
    for n in range(12):
        rotation = np.array([[np.cos(angle[n]), -np.sin(angle[n])], [np.sin(angle[n]), np.cos(angle[n])]])
        matrix = (1 + scale[n]) * rotation @ np.array([[1, shear[n]], [0, 1]])
        swapped = matrix[::-1, ::-1]  # SciPy's coordinates are (row, column)
        offset = 13.5 - swapped @ [13.5, 13.5] + [shift_y[n], shift_x[n]]
        for channel in range(3):
            expected = ndimage.affine_transform(images[n, ..., channel].numpy(), swapped, offset, order=1, mode="nearest")
            inner = np.s_[5:23, 5:23]  # libraries repeat edges differently
            np.testing.assert_allclose(found[n, ..., channel][inner], expected[inner], atol=1e-3)


def test_mnistm_blend_changes_only_gray_images_to_absolute_differences(images):
    seed = seed_for(1, 2, 3)
    found = augment.mnistm_blend(images, seed, probability=1.0).numpy()
    np.testing.assert_allclose(found[:6], images[:6], atol=1e-6)
    expected = np.abs(augment.random_backgrounds(images, seed).numpy() - (images.numpy() + 1) / 2)[6:]
    np.testing.assert_allclose((found[6:] + 1) / 2, expected, atol=1e-6)
    np.testing.assert_allclose(augment.mnistm_blend(images, seed, probability=0.0), images, atol=1e-6)
    batches = [augment.mnistm_blend(images, seed_for(1, step, 3)).numpy()[6:] for step in range(50)]
    changed = np.mean([np.abs(batch - images[6:]).max(axis=(1, 2, 3)) > 0.01 for batch in batches])
    assert 0.35 < changed < 0.65


def test_random_color_permutes_channels_and_maps_values_affinely(images):
    found = augment.random_color(images, seed_for(2, 0, 4)).numpy().reshape(12, -1, 3)
    before = images.numpy().reshape(12, -1, 3)
    for n in range(12):
        correlations = np.corrcoef(before[n].T, found[n].T)[:3, 3:]
        assert np.sort(np.abs(correlations).max(axis=0)).min() > 1 - 1e-6  # each channel was a channel before
        scale = found[n].std() / before[n].std()
        assert 0.5 - 1e-3 <= scale <= 1 + 1e-3
    negatives = []
    for step in range(40):
        after = augment.random_color(images, seed_for(3, step, 4)).numpy().reshape(12, -1, 3)
        negatives += [np.corrcoef(before[n].ravel(), after[n].ravel())[0, 1] < 0 for n in range(6, 12)]
    assert 0.2 < np.mean(negatives) < 0.46
