"""Random views of stroke images: each change against a simple case that can be computed otherwise."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from pipelines.randomness import seed_for
from pipelines.strokes import stroke_images
from pipelines.synthetic.digits import SyntheticDigits
from pipelines.views import View, random_views

EVERYTHING = View((0.6, 1.0), (0.8, 1.2), 12.0, 0.2, 2.0, 0.5, 0.5, 0.5, 0.25, 0.1, 0.5, (8.0, 10.0))


def strokes(count: int = 64) -> tf.Tensor:
    return stroke_images(SyntheticDigits(count).images)


def seed(step: int = 0) -> tf.Tensor:
    return seed_for(0, tf.constant(step), 30)


def test_random_views_without_changes_are_the_images():
    images = strokes()
    np.testing.assert_allclose(random_views(images, seed(), View()), images, atol=1e-4)


def test_random_views_keep_mean_and_deviation_of_each_image():
    images = strokes()
    views = random_views(images, seed(), View(**{**vars(EVERYTHING), "cutout": (0.0, 0.0)})).numpy()
    np.testing.assert_allclose(views.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(views.std(axis=(1, 2)), images.numpy().std(axis=(1, 2)), rtol=1e-3)


def test_random_views_are_a_function_of_the_seed_and_the_same_in_a_graph():
    images = strokes()
    first = random_views(images, seed(), EVERYTHING)
    (in_graph,) = tf.data.Dataset.from_tensors(images).map(lambda batch: random_views(batch, seed(), EVERYTHING))
    np.testing.assert_allclose(in_graph, first, atol=1e-4)
    assert np.abs(random_views(images, seed(1), EVERYTHING) - first).max() > 0.5


def test_random_views_inverted_images_are_their_negatives():
    images = strokes()
    np.testing.assert_allclose(random_views(images, seed(), View(inversion=1.0)), -images, atol=1e-4)


def test_random_views_cutout_is_a_square_of_zeros_inside():
    views = random_views(strokes(), seed(), View(cutout=(8.0, 10.0))).numpy()[..., 0]
    for view in views:
        rows, columns = np.nonzero(view == 0.0)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert 8 <= height <= 10
        assert 8 <= width <= 10


def test_random_views_scale_makes_a_square_as_large_as_it_says():
    images = np.zeros((8, 28, 28, 1), np.float32)
    images[:, 10:18, 10:18] = 1.0
    views = random_views(tf.constant(images), seed(), View(scale_x=(2.0, 2.0), scale_y=(1.5, 1.5))).numpy()[..., 0]
    sizes = {(np.ptp(np.nonzero(b)[0]) + 1, np.ptp(np.nonzero(b)[1]) + 1) for b in views > 0}
    assert all(abs(height - 12) <= 2 and abs(width - 16) <= 2 for height, width in sizes)


@pytest.mark.parametrize(("field", "value"), [("max_degrees", 15.0), ("max_shift", 3.0), ("max_shear", 0.3)])
def test_random_views_moves_are_symmetric(field, value):
    """A centered dot stays where it is on average; a shift moves it by at most its bound, other moves do not."""
    images = np.zeros((400, 28, 28, 1), np.float32)
    images[:, 13:15, 13:15] = 1.0
    views = random_views(tf.constant(images), seed(), View(**{field: value})).numpy()[..., 0]
    centers = np.array([ndimage.center_of_mass(np.maximum(view - view.min(), 0) ** 4) for view in views]) - 13.5
    bound = value if field == "max_shift" else 0.2
    assert np.abs(centers).max() <= bound + 0.1
    assert np.abs(centers.mean(axis=0)).max() < 0.4
    if field == "max_shift":
        assert np.abs(centers).max() > 0.9 * bound


def test_random_views_neighbors_stand_at_the_sides_and_leave_the_digit():
    images = strokes()
    views = random_views(images, seed(), View(neighbor=1.0, scale_x=(0.5, 0.5), scale_y=(1.0, 1.0))).numpy()
    alone = random_views(images, seed(), View(scale_x=(0.5, 0.5), scale_y=(1.0, 1.0))).numpy()
    middle, sides = slice(10, 18), [slice(0, 7), slice(21, 28)]
    same = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(views[:, :, middle], alone[:, :, middle], strict=True)]
    assert np.median(same) > 0.99
    for side in sides:
        assert views[:, :, side].std() > 2 * alone[:, :, side].std()
