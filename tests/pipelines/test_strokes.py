"""The gray channel in which the stroke is bright, against NumPy and against what it must not depend on."""

import numpy as np
import tensorflow as tf

from pipelines.strokes import stroke_images
from pipelines.synthetic.digits import SyntheticDigits


def digits(count: int = 20) -> np.ndarray:
    return SyntheticDigits(count).images


def expected_strokes(image: np.ndarray) -> np.ndarray:
    """The definition, for one image, by a singular value decomposition."""
    pixels = image.reshape(-1, 3) / 255.0
    pixels = pixels - pixels.mean(axis=0)
    axis = np.linalg.svd(pixels, full_matrices=False)[2][0]
    projection = pixels @ axis
    projection *= -1 if (projection**3).mean() < 0 else 1
    return (projection / (projection.std() + 0.03)).reshape(*image.shape[:2], 1)


def test_stroke_images_are_the_first_principal_component():
    images = digits()
    np.testing.assert_allclose(stroke_images(images), [expected_strokes(image) for image in images], atol=2e-3)


def test_stroke_images_of_the_negative_are_the_same():
    images = digits()
    np.testing.assert_allclose(stroke_images(255 - images), stroke_images(images), atol=2e-3)


def test_stroke_images_depend_on_their_own_image_alone():
    images = digits()
    np.testing.assert_array_equal(stroke_images(images)[3:5], stroke_images(images[3:5]))


def test_stroke_images_of_a_plain_image_are_zero():
    np.testing.assert_allclose(stroke_images(np.full((2, 28, 28, 3), 90, np.uint8)), np.zeros((2, 28, 28, 1)), atol=1e-3)


def test_stroke_images_are_the_same_in_a_graph():
    images = digits(4)
    (in_graph,) = tf.data.Dataset.from_tensors(images).map(stroke_images)
    np.testing.assert_allclose(in_graph, stroke_images(images), atol=1e-5)
