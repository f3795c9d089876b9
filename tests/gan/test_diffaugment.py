"""DiffAugment against loops over pixels in NumPy, its draws' distribution, its gradients against the matrix that it is."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from gan_tf.gan.diffaugment import VIEW, cut, diffaugment, translate

BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
NEUTRAL, CORNER = 0.5, 0.0  # changes nothing; a hole around the corner, of which a quarter lies in the image
SIZES = [(16, 16, 3), (64, 64, 1), (7, 11, 3), (15, 22, 2)]


def pictures(batch, height, width, channels):
    return np.random.default_rng([batch, height, width]).uniform(-1, 1, (batch, height, width, channels)).astype(np.float32)


def views(batch, seed=0):
    return np.random.default_rng(seed).uniform(0, BELOW_ONE, (batch, VIEW)).astype(np.float32)


# --- the same, pixel by pixel ------------------------------------------------------------------------------------------


def nearest(x: float) -> int:
    return int(np.floor(x + 0.5))


def plain_shift(image, down, across):
    shifted = np.zeros_like(image)
    for i, j in itertools.product(*map(range, image.shape[:2])):
        if 0 <= i - down < image.shape[0] and 0 <= j - across < image.shape[1]:
            shifted[i, j] = image[i - down, j - across]
    return shifted


def plain_hole(image, centre_down, centre_across):
    """Half the size either way; of an even size the centre is the first pixel of the second half."""
    left = image.copy()
    high, wide = nearest(image.shape[0] / 2), nearest(image.shape[1] / 2)
    for i, j in itertools.product(range(high), range(wide)):
        row, column = centre_down - high // 2 + i, centre_across - wide // 2 + j
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            left[row, column] = 0.0
    return left


def plain_colour(image, brightness, saturation, contrast):
    image = image + brightness - 0.5
    for i, j in itertools.product(*map(range, image.shape[:2])):
        grey = image[i, j].sum() / image.shape[2]
        image[i, j] = grey + 2 * saturation * (image[i, j] - grey)
    mean = image.sum() / image.size
    return mean + (contrast + 0.5) * (image - mean)


def plain(images, draws):
    """Zhao et al. 2020 and their code: colour, then translation, then cutout; float64."""
    seen = []
    for image, draw in zip(images.astype(np.float64), draws.astype(np.float64), strict=True):
        height, width = image.shape[:2]
        image = plain_colour(image, *draw[:3])
        most = nearest(height / 8), nearest(width / 8)
        image = plain_shift(image, *(int(d * (2 * n + 1)) - n for d, n in zip(draw[3:5], most, strict=True)))
        # Centres 0 to size where the hole has a middle between pixels, else 0 to size - 1.
        places = [size + 1 if nearest(size / 2) % 2 == 0 else size for size in (height, width)]
        seen.append(plain_hole(image, *(int(d * n) for d, n in zip(draw[5:7], places, strict=True))))
    return np.stack(seen)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_the_whole_policy_pixel_by_pixel(shape):
    images, draws = pictures(12, *shape), views(12)
    draws[0], draws[1] = 0.0, BELOW_ONE
    found = diffaugment(tf.constant(images), tf.constant(draws))
    np.testing.assert_allclose(found, plain(images, draws), atol=2e-6)
    assert found.dtype == tf.float32


def outside_corner(shape):
    """Where nothing is cut off with the hole at the corner."""
    kept = np.ones(shape, bool)
    kept[: shape[0] // 4, : shape[1] // 4] = False
    return kept


@pytest.mark.parametrize("shape", [(16, 16, 3), (8, 24, 1)], ids=str)
def test_neutral_draws_change_nothing_but_the_hole(shape):
    images = pictures(3, *shape)
    draws = np.array([[NEUTRAL] * 5 + [CORNER] * 2] * 3, np.float32)
    found = diffaugment(tf.constant(images), tf.constant(draws)).numpy()
    kept = outside_corner(shape)
    np.testing.assert_allclose(found[:, kept], images[:, kept], atol=5e-7)
    assert not found[:, ~kept].any()


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5, 0.9, BELOW_ONE])
@pytest.mark.parametrize("part", range(3), ids=["brightness", "saturation", "contrast"])
def test_one_change_of_colour_at_a_time(part, draw):
    images, kept = pictures(4, 8, 8, 3), outside_corner((8, 8, 3))
    draws = np.array([[NEUTRAL] * 5 + [CORNER] * 2] * 4, np.float32)
    draws[:, part] = draw
    found = diffaugment(tf.constant(images), tf.constant(draws)).numpy()
    for image, seen in zip(images, found, strict=True):
        if part == 0:  # from half darker to half lighter
            expected = image + (draw - 0.5)
        elif part == 1:  # from grey to twice as colourful
            expected = np.stack(
                [2 * draw * channel + (1 - 2 * draw) * image.mean(axis=2) for channel in image.T.swapaxes(1, 2)], 2
            )
        else:  # from half the contrast to one and a half
            expected = (0.5 + draw) * image + (0.5 - draw) * image.mean()
        np.testing.assert_allclose(seen[kept], expected[kept], atol=1e-6)


def test_draws_of_one_image_touch_no_other():
    images, draws = pictures(3, 8, 8, 3), views(3)
    before = diffaugment(tf.constant(images), tf.constant(draws)).numpy()
    draws[1] = views(1, seed=9)
    images[1] = -images[1]
    after = diffaugment(tf.constant(images), tf.constant(draws)).numpy()
    assert (before[[0, 2]] == after[[0, 2]]).all()
    assert not np.allclose(before[1], after[1])


def test_grey_images_have_no_saturation():
    images, draws = tf.constant(pictures(4, 8, 8, 1)), views(4)
    other = draws.copy()
    other[:, 1] = 1 - draws[:, 1] / 3
    np.testing.assert_array_equal(diffaugment(images, tf.constant(draws)), diffaugment(images, tf.constant(other)))


# --- translation -----------------------------------------------------------------------------------------------------


def test_every_shift_of_64_pixels():
    """Down and to the right by 8 at most, and as far up and left; zeros come in, the bits of the rest are kept."""
    images = pictures(1, 64, 64, 2)
    shifts = np.array(list(itertools.product(range(-8, 9), repeat=2)))
    draws = tf.constant((shifts + 8.5) / 17, tf.float32)
    found = translate(tf.constant(np.repeat(images, len(shifts), axis=0)), draws).numpy()
    for (down, across), seen in zip(shifts, found, strict=True):
        expected = np.zeros((64, 64, 2), np.float32)
        expected[max(down, 0) : 64 + min(down, 0), max(across, 0) : 64 + min(across, 0)] = images[
            0, max(-down, 0) : 64 + min(-down, 0), max(-across, 0) : 64 + min(-across, 0)
        ]
        np.testing.assert_array_equal(seen, expected, err_msg=f"{down} down, {across} across")


@pytest.mark.parametrize("shape", [(64, 64, 1), (16, 32, 3), (7, 11, 2)], ids=str)
def test_the_ends_of_the_range_of_shifts(shape):
    images = pictures(3, *shape)
    draws = np.array([[0.0, 0.0], [BELOW_ONE, BELOW_ONE], [0.0, BELOW_ONE]], np.float32)
    down, across = nearest(shape[0] / 8), nearest(shape[1] / 8)
    found = translate(tf.constant(images), tf.constant(draws))
    for image, seen, shift in zip(images, found, [(-down, -across), (down, across), (-down, across)], strict=True):
        np.testing.assert_array_equal(seen, plain_shift(image, *shift))


MANY = 20_000


def many_draws(seed):
    return tf.random.stateless_uniform((MANY, 2), (seed, 1), alg="philox")


def likely(counts) -> bool:
    """Whether counts may well be those of equally likely values."""
    return stats.chisquare(counts).pvalue > 1e-3


def test_shifts_are_equally_likely():
    """A pixel's value tells where it came from."""
    height, width = 17, 24  # shifts by 2 and by 3 either way
    values = 1 + np.arange(height * width, dtype=np.float32).reshape(1, height, width, 1)
    middle = translate(tf.constant(np.repeat(values, MANY, axis=0)), many_draws(3)).numpy()[:, 8, 12, 0] - 1
    down, across = 8 - middle // width, 12 - middle % width
    for shift, most in ((down, 2), (across, 3)):
        found, counts = np.unique(shift, return_counts=True)
        assert found.tolist() == list(range(-most, most + 1))
        assert likely(counts)
    assert likely(np.histogram2d(down, across, [5, 7])[0].ravel())  # and independent of each other


# --- the hole --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "hole", "centres"), [(64, 32, 65), (6, 3, 6), (7, 4, 8), (16, 8, 17)])
def test_every_place_of_the_hole(size, hole, centres):
    """It lies partly outside at both borders, by half of it at most."""
    places = np.arange(centres)
    draws = np.stack([(places + 0.5) / centres, (places[::-1] + 0.5) / centres], axis=1)
    draws = np.concatenate([draws, [[0.0, BELOW_ONE], [BELOW_ONE, 0.0]]]).astype(np.float32)
    rows = [*places, 0, centres - 1]
    columns = [*places[::-1], centres - 1, 0]
    images = pictures(len(rows), size, size, 2) + 2.0
    found = cut(tf.constant(images), tf.constant(draws)).numpy()
    for image, seen, row, column in zip(images, found, rows, columns, strict=True):
        expected = image.copy()
        top, left = row - hole // 2, column - hole // 2
        expected[max(top, 0) : top + hole, max(left, 0) : left + hole] = 0.0
        np.testing.assert_array_equal(seen, expected)
        np.testing.assert_array_equal(seen, plain_hole(image, row, column))
        assert (seen == 0).any()


def test_centres_of_holes_are_equally_likely():
    images = tf.ones((MANY, 8, 12, 1))
    lost = cut(images, many_draws(5)).numpy()[..., 0] == 0
    centres = []
    for rows, size in ((lost.any(axis=2), 8), (lost.any(axis=1), 12)):
        first, last = rows.argmax(axis=1), size - 1 - rows[:, ::-1].argmax(axis=1)
        half = size // 4
        centres.append(np.where(first > 0, first + half, last + 1 - half))
        found, counts = np.unique(centres[-1], return_counts=True)
        assert found.tolist() == list(range(size + 1))
        assert likely(counts)
    assert likely(np.histogram2d(*centres, [9, 13])[0].ravel())


# --- as a map --------------------------------------------------------------------------------------------------------


def test_it_is_affine_in_the_images():
    draws = tf.constant(views(8))
    first, second = pictures(8, 16, 16, 3), pictures(8, 16, 16, 3)[::-1]
    between = diffaugment(tf.constant(0.3 * first + 0.7 * second), draws)
    apart = 0.3 * diffaugment(tf.constant(first), draws) + 0.7 * diffaugment(tf.constant(second), draws)
    np.testing.assert_allclose(between, apart, atol=2e-6)


def matrix(shape, draws):
    """The linear part for each row of ``draws``, ``[batch, out, in]``, from the loops in NumPy."""
    size = int(np.prod(shape))
    basis = np.concatenate([np.zeros((1, size)), np.eye(size)]).reshape(-1, *shape)
    images = [plain(basis, np.repeat(draw[None], len(basis), axis=0)).reshape(len(basis), size) for draw in draws]
    return np.stack([(seen[1:] - seen[0]).T for seen in images])


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_gradients_are_those_of_the_matrix(traced):
    """First order the transposed matrix, second order that of a penalty on what D sees."""
    shape, batch = (7, 8, 2), 3
    images, draws = pictures(batch, *shape), views(batch, seed=4)

    def both(x, d):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(tf.sin(3.0 * diffaugment(x, d)))
            slope = tape.gradient(value, x)
            norm = tf.reduce_sum(tf.square(slope))
        return slope, outer.gradient(norm, x)

    signature = [tf.TensorSpec((None, *shape)), tf.TensorSpec((None, VIEW))]
    run = tf.function(both, input_signature=signature) if traced else both
    slope, bend = (np.reshape(x, [batch, -1]) for x in run(tf.constant(images), tf.constant(draws)))
    linear, seen = matrix(shape, draws), 3.0 * plain(images, draws).reshape(batch, -1)
    expected = np.einsum("boi,bo->bi", linear, 3.0 * np.cos(seen))
    np.testing.assert_allclose(slope, expected, atol=2e-5)
    ahead = np.einsum("boi,bi->bo", linear, expected)
    expected = np.einsum("boi,bo->bi", linear, -18.0 * np.sin(seen) * ahead)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(bend, expected, atol=1e-5 * np.abs(expected).max())
