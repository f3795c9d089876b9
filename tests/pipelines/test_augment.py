"""Keyed changes of pictures against SciPy and arithmetic, and the same inside ``Dataset.map`` as eagerly."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from pipelines import augment
from pipelines.stream import key

CHANGES = [augment.moved, augment.blended, augment.recoloured]


@pytest.fixture(scope="module")
def pictures():
    colour = np.random.default_rng(0).uniform(-1, 1, (6, 28, 28, 3))
    grey = np.repeat(np.random.default_rng(1).uniform(-1, 1, (6, 28, 28, 1)), 3, axis=3)
    return tf.constant(np.concatenate([colour, grey]), tf.float32)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_a_pure_function_of_the_key(change, pictures):
    steps = tf.data.Dataset.range(3).map(lambda step: change(pictures, key(5, step, 1)))
    found = [batch.numpy() for batch in steps]
    for step, batch in enumerate(found):
        np.testing.assert_allclose(batch, change(pictures, key(5, step, 1)), atol=1e-4)
        assert batch.shape == pictures.shape
        assert np.abs(batch).max() <= 1.0 + 1e-5
    assert np.abs(found[0] - found[1]).max() > 0.1
    assert np.abs(found[0] - change(pictures, key(6, 0, 1))).max() > 0.1


def test_moving_is_an_affine_map_about_the_centre(pictures):
    seed = key(0, 4, 2)
    found = augment.moved(pictures, seed).numpy()
    angle, scale, slant, across, down = (
        augment.uniform([12], seed, n, -bound, bound).numpy() for n, bound in enumerate((np.deg2rad(12), 0.12, 0.12, 2, 2))
    )
    for n in range(12):
        turn = np.array([[np.cos(angle[n]), -np.sin(angle[n])], [np.sin(angle[n]), np.cos(angle[n])]])
        matrix = (1 + scale[n]) * turn @ np.array([[1, slant[n]], [0, 1]])
        swapped = matrix[::-1, ::-1]  # SciPy's coordinates are (row, column)
        offset = 13.5 - swapped @ [13.5, 13.5] + [down[n], across[n]]
        for channel in range(3):
            expected = ndimage.affine_transform(pictures[n, ..., channel].numpy(), swapped, offset, order=1, mode="nearest")
            inner = np.s_[5:23, 5:23]  # libraries repeat edges differently
            np.testing.assert_allclose(found[n, ..., channel][inner], expected[inner], atol=1e-3)


def test_only_grey_pictures_are_blended_as_mnist_m_was(pictures):
    seed = key(1, 2, 3)
    found = augment.blended(pictures, seed, share=1.0).numpy()
    np.testing.assert_allclose(found[:6], pictures[:6], atol=1e-6)
    expected = np.abs(augment.backdrops(pictures, seed).numpy() - (pictures.numpy() + 1) / 2)[6:]
    np.testing.assert_allclose((found[6:] + 1) / 2, expected, atol=1e-6)
    np.testing.assert_allclose(augment.blended(pictures, seed, share=0.0), pictures, atol=1e-6)
    coins = [augment.blended(pictures, key(1, step, 3)).numpy()[6:] for step in range(50)]
    changed = np.mean([np.abs(batch - pictures[6:]).max(axis=(1, 2, 3)) > 0.01 for batch in coins])
    assert 0.35 < changed < 0.65


def test_new_colours_are_an_exchange_a_sign_and_an_affine_map(pictures):
    found = augment.recoloured(pictures, key(2, 0, 4)).numpy().reshape(12, -1, 3)
    before = pictures.numpy().reshape(12, -1, 3)
    for n in range(12):
        correlations = np.corrcoef(before[n].T, found[n].T)[:3, 3:]
        assert np.sort(np.abs(correlations).max(axis=0)).min() > 1 - 1e-6  # each channel is a channel of before
        scale = found[n].std() / before[n].std()
        assert 0.5 - 1e-3 <= scale <= 1 + 1e-3
    negatives = []
    for step in range(40):
        after = augment.recoloured(pictures, key(3, step, 4)).numpy().reshape(12, -1, 3)
        negatives += [np.corrcoef(before[n].ravel(), after[n].ravel())[0, 1] < 0 for n in range(6, 12)]
    assert 0.2 < np.mean(negatives) < 0.46
