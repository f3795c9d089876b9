"""Sampling: image i is a function of (weights, seed, i) alone; walks, grids and files are what they say."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_tf.gan.latents import CHUNK, gaussian, great_circle, noises, straight, walk_shares
from gan_tf.gan.networks import dcgan
from gan_tf.gan.sampling import generate, stream_images, to_pixels
from gan_tf.utils.images import grid, write_images, write_png
from pipelines.transforms import to_float

quick = settings(deadline=None, max_examples=25, database=None)


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    return dcgan.build_generator((8, 8, 1), latent=6, hidden=4, seed=2)


def pixels(*shape) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


# --- noise -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 3 * CHUNK), st.integers(0, 2 * CHUNK))
@quick
def test_noise_of_an_image_depends_on_neither_count_nor_first(first, count):
    found = noises(count, 3, seed=5, first=first)
    assert found.shape == (count, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, noises(5 * CHUNK, 3, seed=5)[first : first + count])


def test_noises_are_normal_and_all_different():
    found = noises(20 * CHUNK, 4, seed=1)
    assert len(np.unique(found)) > 0.999 * found.size
    assert abs(found.mean()) < 5 / np.sqrt(found.size)
    assert abs(found.std() - 1) < 5 / np.sqrt(2 * found.size)
    covariance = np.cov(found.T)
    assert np.abs(covariance - np.eye(4)).max() < 0.2


def test_other_seeds_other_noises():
    assert not (noises(10, 3, seed=1) == noises(10, 3, seed=2)).any()


def test_purposes_and_steps_draw_apart():
    draws = [gaussian((50,), 3, step, purpose).numpy() for step in range(3) for purpose in range(5)]
    assert len(np.unique(np.concatenate(draws))) == 15 * 50


# --- walks -----------------------------------------------------------------------------------------------------------


def ends(norm_a=1.0, norm_b=1.0, latent=8):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, latent))
    return tuple((norm * v / np.linalg.norm(v)).astype(np.float32) for norm, v in ((norm_a, a), (norm_b, b)))


@pytest.mark.parametrize("walk", [great_circle, straight])
def test_a_walk_begins_and_ends_where_it_should(walk):
    a, b = ends(2.0, 3.0)
    found = walk(a, b, np.array([0.0, 1.0]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [a, b], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beyond", [0.0, 0.5, 2.0])
def test_a_great_circle_keeps_the_norm_also_beyond_its_ends(beyond):
    a, b = ends(3.0, 3.0)
    found = great_circle(a, b, walk_shares(11, beyond))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 3.0, rtol=1e-5)


def test_a_great_circle_turns_evenly():
    a, b = ends(2.0, 2.0)
    angle = np.arccos(a @ b / 4)
    found = great_circle(a, b, walk_shares(6, 0.5)).astype(np.float64)
    steps = np.arccos(np.sum(found[1:] * found[:-1], axis=1) / 4)
    np.testing.assert_allclose(steps, 2 * angle / 5, rtol=1e-4)
    normal = found - found @ np.linalg.pinv(np.stack([a, b])) @ np.stack([a, b])
    np.testing.assert_allclose(normal, 0.0, atol=1e-5)  # all in the plane of the two ends


def test_a_quarter_circle_by_hand():
    found = great_circle(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.5, 1 / 3, 2.0, -1.0]))
    expected = [[np.sqrt(0.5), np.sqrt(0.5)], [np.cos(np.pi / 6), 0.5], [-1.0, 0.0], [0.0, -1.0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, -3.0])
def test_parallel_ends_are_walked_straight(factor):
    """There is no one circle through parallel vectors (and sin of their angle is 0); float32, as noises are."""
    shares = walk_shares(5, 0.25)
    for a in noises(50, 100, seed=4):
        b = (factor * a).astype(np.float32)
        np.testing.assert_allclose(great_circle(a, b, shares), straight(a, b, shares), rtol=1e-4, atol=1e-4)


def test_a_straight_walk_by_hand():
    a, b = np.array([1.0, 2.0], np.float32), np.array([3.0, -2.0], np.float32)
    np.testing.assert_allclose(straight(a, b, np.array([0.25, 1.5, -0.5])), [[1.5, 1], [4, -4], [0, 4]])


def test_shares_of_a_walk():
    np.testing.assert_allclose(walk_shares(5), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(walk_shares(3, 0.5), [-0.5, 0.5, 1.5])


# --- images ----------------------------------------------------------------------------------------------------------


def test_pixels_are_rounded_to_the_nearest_level_and_clipped():
    levels = np.arange(256)
    exact = levels / 127.5 - 1
    np.testing.assert_array_equal(to_pixels(exact), levels)
    np.testing.assert_array_equal(to_pixels(exact + 0.49 / 127.5), levels)
    np.testing.assert_array_equal(to_pixels(exact - 0.49 / 127.5), levels)
    np.testing.assert_array_equal(to_pixels(np.array([-1.0, 1.0, -1.7, 1.7, -100.0, 100.0])), [0, 255, 0, 255, 0, 255])
    assert to_pixels(np.zeros(3)).dtype == np.uint8
    np.testing.assert_array_equal(to_pixels(to_float(levels.astype(np.uint8))), levels)


@pytest.mark.parametrize("count", [1, 7, CHUNK - 1, CHUNK, CHUNK + 1])
def test_an_image_does_not_depend_on_how_many_are_made(generator, count):
    noise = noises(2 * CHUNK, 6, seed=9)
    found = generate(generator, noise[:count])
    assert found.shape == (count, 8, 8, 1)
    np.testing.assert_array_equal(found, generate(generator, noise)[:count])


def test_the_generator_only_ever_sees_whole_chunks(generator):
    sizes = []

    def watched(noise, training):
        sizes.append((len(noise), training))
        return generator(noise, training=training)

    generate(watched, noises(CHUNK + 1, 6, seed=0))
    assert sizes == [(CHUNK, False)] * 2


def test_generated_images_are_those_of_the_noises(generator):
    noise = noises(3, 6, seed=9)
    expected = np.clip((generator(tf.constant(noise)).numpy().astype(np.float64) + 1) * 127.5, 0, 255)
    assert np.abs(generate(generator, noise) - expected).max() < 0.501


@pytest.mark.parametrize("count", [1, CHUNK, 2 * CHUNK + 5])
def test_streamed_images_are_those_made_at_once(generator, count):
    chunks = list(stream_images(generator, count, seed=3))
    assert max(len(chunk) for chunk in chunks) <= CHUNK
    np.testing.assert_array_equal(np.concatenate(chunks), generate(generator, noises(count, 6, seed=3)))


# --- grids and files -------------------------------------------------------------------------------------------------


def test_tiles_lie_row_by_row():
    tiles = pixels(6, 4, 5, 3)
    picture = grid(tiles, 2, 3)
    assert picture.shape == (8, 15, 3)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, 3)
        np.testing.assert_array_equal(picture[4 * row : 4 * row + 4, 5 * column : 5 * column + 5], tile)


def test_missing_tiles_are_black_and_superfluous_ones_left_out():
    tiles = pixels(7, 2, 2, 1)
    picture = grid(tiles[:3], 2, 2)
    np.testing.assert_array_equal(picture[2:, :2], tiles[2])
    assert not picture[2:, 2:].any()
    np.testing.assert_array_equal(grid(tiles, 2, 2), grid(tiles[:4], 2, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels_and_its_bytes_are_the_same_each_time(tmp_path, channels):
    image = pixels(6, 9, channels)
    for name in ("a.png", "b.png"):
        write_png(tmp_path / "new folder" / name, image)
    first, second = ((tmp_path / "new folder" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    with Image.open(io.BytesIO(first)) as picture:
        assert (picture.format, picture.mode) == ("PNG", {1: "L", 3: "RGB"}[channels])
        np.testing.assert_array_equal(np.asarray(picture).reshape(6, 9, channels), image)


def test_images_are_numbered_from_0000(tmp_path):
    images = pixels(5, 4, 4, 3)
    write_images(tmp_path, [images[:2], images[2:4], images[4:]], 5)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png"]
    for name, image in zip(names, images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), image)


@pytest.mark.parametrize(("count", "digits"), [(10_000, 4), (10_001, 5)])
def test_names_have_as_many_digits_as_the_last_number_needs(tmp_path, monkeypatch, count, digits):
    names = []
    monkeypatch.setattr("gan_tf.utils.images.write_png", lambda path, *_args, **_more: names.append(path.name))
    write_images(tmp_path, [np.zeros((count, 1, 1, 1), np.uint8)], count)
    assert names[0] == "0" * digits + ".png"
    assert names[-1] == f"{count - 1}.png"
    assert names == sorted(names)
    assert len(set(names)) == count
