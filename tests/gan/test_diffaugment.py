"""DiffAugment against loops over pixels in NumPy, the distribution of its parameters, its gradients against a matrix."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from gan_tf.gan.diffaugment import NUM_AUGMENTATION_PARAMETERS, cut_out, diffaugment, translate

BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
# Parameters that change nothing, and a hole around the top left corner, a quarter of which lies in the image.
NEUTRAL_WITH_HOLE_IN_CORNER = [0.5] * 5 + [0.0] * 2
SIZES = [(16, 16, 3), (64, 64, 1), (7, 11, 3), (15, 22, 2)]


def random_images(batch, height, width, channels):
    return np.random.default_rng([batch, height, width]).uniform(-1, 1, (batch, height, width, channels)).astype(np.float32)


def random_parameters(batch, seed=0):
    uniform = np.random.default_rng(seed).uniform(0, BELOW_ONE, (batch, NUM_AUGMENTATION_PARAMETERS))
    return uniform.astype(np.float32)


# --- the reference, pixel by pixel -------------------------------------------------------------------------------------


def round_half_up(x: float) -> int:
    return int(np.floor(x + 0.5))


def reference_translate(image, down, right):
    translated = np.zeros_like(image)
    for i, j in itertools.product(*map(range, image.shape[:2])):
        if 0 <= i - down < image.shape[0] and 0 <= j - right < image.shape[1]:
            translated[i, j] = image[i - down, j - right]
    return translated


def reference_cut_out(image, center_row, center_column):
    """Cuts out half the size; the center of an even size is the first pixel of its second half."""
    result = image.copy()
    hole_height, hole_width = round_half_up(image.shape[0] / 2), round_half_up(image.shape[1] / 2)
    for i, j in itertools.product(range(hole_height), range(hole_width)):
        row, column = center_row - hole_height // 2 + i, center_column - hole_width // 2 + j
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            result[row, column] = 0.0
    return result


def reference_color(image, brightness, saturation, contrast):
    image = image + brightness - 0.5
    for i, j in itertools.product(*map(range, image.shape[:2])):
        gray = image[i, j].sum() / image.shape[2]
        image[i, j] = gray + 2 * saturation * (image[i, j] - gray)
    mean = image.sum() / image.size
    return mean + (contrast + 0.5) * (image - mean)


def reference_diffaugment(images, parameters):
    """Follows Zhao et al. 2020 and their code: color, then translation, then cutout; float64."""
    results = []
    for image, values in zip(images.astype(np.float64), parameters.astype(np.float64), strict=True):
        height, width = image.shape[:2]
        image = reference_color(image, *values[:3])
        limits = round_half_up(height / 8), round_half_up(width / 8)
        down, right = (int(v * (2 * n + 1)) - n for v, n in zip(values[3:5], limits, strict=True))
        image = reference_translate(image, down, right)
        # Centers are 0 to size for holes of even size, else 0 to size - 1.
        num_centers = [size + 1 if round_half_up(size / 2) % 2 == 0 else size for size in (height, width)]
        results.append(reference_cut_out(image, *(int(v * n) for v, n in zip(values[5:7], num_centers, strict=True))))
    return np.stack(results)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_diffaugment_equals_the_reference(shape):
    images, parameters = random_images(12, *shape), random_parameters(12)
    parameters[0], parameters[1] = 0.0, BELOW_ONE
    found = diffaugment(tf.constant(images), tf.constant(parameters))
    np.testing.assert_allclose(found, reference_diffaugment(images, parameters), atol=2e-6)
    assert found.dtype == tf.float32


def mask_outside_corner(shape):
    """Returns where nothing is cut out with the hole around the corner."""
    kept = np.ones(shape, bool)
    kept[: shape[0] // 4, : shape[1] // 4] = False
    return kept


@pytest.mark.parametrize("shape", [(16, 16, 3), (8, 24, 1)], ids=str)
def test_diffaugment_of_neutral_parameters_changes_only_the_hole(shape):
    images = random_images(3, *shape)
    parameters = np.array([NEUTRAL_WITH_HOLE_IN_CORNER] * 3, np.float32)
    found = diffaugment(tf.constant(images), tf.constant(parameters)).numpy()
    kept = mask_outside_corner(shape)
    np.testing.assert_allclose(found[:, kept], images[:, kept], atol=5e-7)
    assert not found[:, ~kept].any()


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 0.9, BELOW_ONE])
@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast"])
def test_diffaugment_of_one_color_parameter_equals_its_formula(name, value):
    images, kept = random_images(4, 8, 8, 3), mask_outside_corner((8, 8, 3))
    parameters = np.array([NEUTRAL_WITH_HOLE_IN_CORNER] * 4, np.float32)
    parameters[:, ["brightness", "saturation", "contrast"].index(name)] = value
    found = diffaugment(tf.constant(images), tf.constant(parameters)).numpy()
    for image, result in zip(images, found, strict=True):
        if name == "brightness":  # from 0.5 darker to 0.5 lighter
            expected = image + (value - 0.5)
        elif name == "saturation":  # from gray to twice the saturation
            expected = 2 * value * image + (1 - 2 * value) * image.mean(axis=2, keepdims=True)
        else:  # from half the contrast to one and a half
            expected = (0.5 + value) * image + (0.5 - value) * image.mean()
        np.testing.assert_allclose(result[kept], expected[kept], atol=1e-6)


def test_diffaugment_parameters_of_one_image_do_not_affect_the_others():
    images, parameters = random_images(3, 8, 8, 3), random_parameters(3)
    before = diffaugment(tf.constant(images), tf.constant(parameters)).numpy()
    parameters[1] = random_parameters(1, seed=9)
    images[1] = -images[1]
    after = diffaugment(tf.constant(images), tf.constant(parameters)).numpy()
    assert (before[[0, 2]] == after[[0, 2]]).all()
    assert not np.allclose(before[1], after[1])


def test_diffaugment_of_gray_images_does_not_depend_on_saturation():
    images, parameters = tf.constant(random_images(4, 8, 8, 1)), random_parameters(4)
    other = parameters.copy()
    other[:, 1] = 1 - parameters[:, 1] / 3
    np.testing.assert_array_equal(diffaugment(images, tf.constant(parameters)), diffaugment(images, tf.constant(other)))


# --- translation -------------------------------------------------------------------------------------------------------


def test_translate_by_every_shift_of_64_pixels_equals_slices():
    """By 8 pixels at most in each direction; zeros are shifted in, the other pixels keep their bits."""
    images = random_images(1, 64, 64, 2)
    shifts = np.array(list(itertools.product(range(-8, 9), repeat=2)))
    parameters = tf.constant((shifts + 8.5) / 17, tf.float32)
    found = translate(tf.constant(np.repeat(images, len(shifts), axis=0)), parameters).numpy()
    for (down, right), result in zip(shifts, found, strict=True):
        expected = np.zeros((64, 64, 2), np.float32)
        expected[max(down, 0) : 64 + min(down, 0), max(right, 0) : 64 + min(right, 0)] = images[
            0, max(-down, 0) : 64 + min(-down, 0), max(-right, 0) : 64 + min(-right, 0)
        ]
        np.testing.assert_array_equal(result, expected, err_msg=f"{down} down, {right} right")


@pytest.mark.parametrize("shape", [(64, 64, 1), (16, 32, 3), (7, 11, 2)], ids=str)
def test_translate_of_the_lowest_and_highest_parameters_shifts_by_an_eighth(shape):
    images = random_images(3, *shape)
    parameters = np.array([[0.0, 0.0], [BELOW_ONE, BELOW_ONE], [0.0, BELOW_ONE]], np.float32)
    down, right = round_half_up(shape[0] / 8), round_half_up(shape[1] / 8)
    found = translate(tf.constant(images), tf.constant(parameters))
    for image, result, shift in zip(images, found, [(-down, -right), (down, right), (-down, right)], strict=True):
        np.testing.assert_array_equal(result, reference_translate(image, *shift))


MANY = 20_000


def many_parameters(seed):
    return tf.random.stateless_uniform((MANY, 2), (seed, 1), alg="philox")


def is_uniform(counts) -> bool:
    """Returns whether a chi-square test does not reject that all values are equally likely."""
    return stats.chisquare(counts).pvalue > 1e-3


def test_translate_shifts_are_uniform_and_independent():
    height, width = 17, 24  # shifts by up to 2 and up to 3
    values = 1 + np.arange(height * width, dtype=np.float32).reshape(1, height, width, 1)  # a value for each position
    middle = translate(tf.constant(np.repeat(values, MANY, axis=0)), many_parameters(3)).numpy()[:, 8, 12, 0] - 1
    down, right = 8 - middle // width, 12 - middle % width
    for shift, limit in ((down, 2), (right, 3)):
        found, counts = np.unique(shift, return_counts=True)
        assert found.tolist() == list(range(-limit, limit + 1))
        assert is_uniform(counts)
    assert is_uniform(np.histogram2d(down, right, [5, 7])[0].ravel())


# --- cutout ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "hole", "num_centers"), [(64, 32, 65), (6, 3, 6), (7, 4, 8), (16, 8, 17)])
def test_cut_out_of_every_center_equals_slices(size, hole, num_centers):
    """At the borders up to half of the hole lies outside the image."""
    centers = np.arange(num_centers)
    parameters = np.stack([(centers + 0.5) / num_centers, (centers[::-1] + 0.5) / num_centers], axis=1)
    parameters = np.concatenate([parameters, [[0.0, BELOW_ONE], [BELOW_ONE, 0.0]]]).astype(np.float32)
    rows = [*centers, 0, num_centers - 1]
    columns = [*centers[::-1], num_centers - 1, 0]
    images = random_images(len(rows), size, size, 2) + 2.0
    found = cut_out(tf.constant(images), tf.constant(parameters)).numpy()
    for image, result, row, column in zip(images, found, rows, columns, strict=True):
        expected = image.copy()
        top, left = row - hole // 2, column - hole // 2
        expected[max(top, 0) : top + hole, max(left, 0) : left + hole] = 0.0
        np.testing.assert_array_equal(result, expected)
        assert (result == 0).any()


def test_cut_out_centers_are_uniform_and_independent():
    images = tf.ones((MANY, 8, 12, 1))
    is_cut = cut_out(images, many_parameters(5)).numpy()[..., 0] == 0
    centers = []
    for rows, size in ((is_cut.any(axis=2), 8), (is_cut.any(axis=1), 12)):
        first, last = rows.argmax(axis=1), size - 1 - rows[:, ::-1].argmax(axis=1)
        half = size // 4
        centers.append(np.where(first > 0, first + half, last + 1 - half))
        found, counts = np.unique(centers[-1], return_counts=True)
        assert found.tolist() == list(range(size + 1))
        assert is_uniform(counts)
    assert is_uniform(np.histogram2d(*centers, [9, 13])[0].ravel())


# --- as an affine map --------------------------------------------------------------------------------------------------


def test_diffaugment_is_affine_in_the_images():
    parameters = tf.constant(random_parameters(8))
    first, second = random_images(8, 16, 16, 3), random_images(8, 16, 16, 3)[::-1]
    of_mixture = diffaugment(tf.constant(0.3 * first + 0.7 * second), parameters)
    mixture = 0.3 * diffaugment(tf.constant(first), parameters) + 0.7 * diffaugment(tf.constant(second), parameters)
    np.testing.assert_allclose(of_mixture, mixture, atol=2e-6)


def reference_matrices(shape, parameters):
    """Returns the linear part of the reference for each row of ``parameters``, ``[batch, out, in]``."""
    size = int(np.prod(shape))
    basis = np.concatenate([np.zeros((1, size)), np.eye(size)]).reshape(-1, *shape)
    images = [reference_diffaugment(basis, np.repeat(row[None], len(basis), axis=0)) for row in parameters]
    images = [image.reshape(len(basis), size) for image in images]
    return np.stack([(image[1:] - image[0]).T for image in images])


@pytest.mark.parametrize("use_graph", [False, True], ids=["eager", "graph"])
def test_gradients_of_first_and_second_order_equal_those_of_the_matrix(use_graph):
    """The second order is that of a gradient penalty."""
    shape, batch = (7, 8, 2), 3
    images, parameters = random_images(batch, *shape), random_parameters(batch, seed=4)

    def compute_gradients(x, p):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(tf.sin(3.0 * diffaugment(x, p)))
            gradient = tape.gradient(value, x)
            squared_norm = tf.reduce_sum(tf.square(gradient))
        return gradient, outer.gradient(squared_norm, x)

    signature = [tf.TensorSpec((None, *shape)), tf.TensorSpec((None, NUM_AUGMENTATION_PARAMETERS))]
    run = tf.function(compute_gradients, input_signature=signature) if use_graph else compute_gradients
    first_order, second_order = (np.reshape(x, [batch, -1]) for x in run(tf.constant(images), tf.constant(parameters)))
    matrices = reference_matrices(shape, parameters)
    augmented = 3.0 * reference_diffaugment(images, parameters).reshape(batch, -1)
    expected = np.einsum("boi,bo->bi", matrices, 3.0 * np.cos(augmented))
    np.testing.assert_allclose(first_order, expected, atol=2e-5)
    direction = np.einsum("boi,bi->bo", matrices, expected)
    expected = np.einsum("boi,bo->bi", matrices, -18.0 * np.sin(augmented) * direction)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(second_order, expected, atol=1e-5 * np.abs(expected).max())
