"""Synthetic images against geometry and colors of other libraries, and faces against what makes them a data set."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import hsv_to_rgb
from scipy.interpolate import CubicHermiteSpline

from pipelines.synthetic.anime import SyntheticFaces, draw_face
from pipelines.synthetic.pen import Pen, curve, ellipse, mirror, mix, rgb, zigzag

unit = st.floats(0, 1)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.stack([draw_face(5, index) for index in range(250)])


@given(st.floats(-2, 2), unit, unit)
def test_rgb_equals_hsv_of_matplotlib(hue, saturation, value):
    expected = 255 * hsv_to_rgb((hue % 1.0, saturation, value))
    np.testing.assert_allclose(rgb(hue, saturation, value), expected, atol=0.51)


def test_mix_interpolates_linearly():
    assert mix((0, 100, 255), (255, 100, 0), 0.0) == (0, 100, 255)
    assert mix((0, 100, 255), (255, 100, 0), 1.0) == (255, 100, 0)
    assert mix((0, 100, 255), (255, 100, 5), 0.2) == (51, 100, 205)


@given(st.lists(st.complex_numbers(max_magnitude=30, allow_nan=False), min_size=3, max_size=9))
def test_curve_equals_a_cubic_spline_with_catmull_rom_tangents(points):
    points = np.array(points)
    ends = np.concatenate((points[:1], points, points[-1:]))
    spline = CubicHermiteSpline(np.arange(len(points)), points, (ends[2:] - ends[:-2]) / 2)
    np.testing.assert_allclose(curve(*points), spline(np.arange(6 * len(points) - 5) / 6), atol=1e-9)


def test_mirror_is_symmetric_and_closed():
    shape = mirror(-10j, 5 - 3j, 7 + 4j, 9j)
    np.testing.assert_allclose(np.sort_complex(-shape.conjugate()), np.sort_complex(shape), atol=1e-9)
    for corner in (-10j, 5 - 3j, -5 - 3j, -7 + 4j, 9j):
        assert np.abs(shape - corner).min() < 1e-9


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(2, 9)), min_size=1, max_size=8))
def test_zigzag_runs_from_notch_to_tip_within_its_corners(strands):
    notches = [complex(3 * k, 0) for k in range(len(strands) + 1)]
    tips = [complex(3 * k + 1.5 + lean, length) for k, (lean, length) in enumerate(strands)]
    line = zigzag(tips, notches)
    np.testing.assert_allclose(line[::12], notches, atol=1e-9)
    np.testing.assert_allclose(line[6::12], tips, atol=1e-9)
    assert line.imag.min() >= -1e-9
    assert line.imag.max() <= max(tip.imag for tip in tips) + 1e-9


@pytest.mark.parametrize("size", [32, 64, 128])
def test_fill_of_a_disc_in_a_pose_has_its_area_and_center(size):
    pen = Pen(np.random.default_rng(0), size)
    transform, shift = 1.2 * np.exp(0.5j), 3 - 4j
    pen.set_pose(transform, shift)
    pen.fill(ellipse(10 + 2j, 8, 8), (255, 255, 255))
    weight = pen.finish()[..., 0] / 255.0
    scale = size / 64
    assert weight.sum() == pytest.approx(np.pi * (8 * 1.2 * scale) ** 2, rel=0.05)
    y, x = np.indices(weight.shape) + 0.5
    center = complex((x * weight).sum(), (y * weight).sum()) / weight.sum()
    expected = ((10 + 2j) * transform + shift + 32 + 32j) * scale
    assert abs(center - expected) < 0.3


def test_finish_with_gradients_scales_brightness_linearly():
    pen = Pen(np.random.default_rng(0), 64)
    pen.fill(np.array((-40 - 40j, 40 - 40j, 40 + 40j, -40 + 40j)), (180, 100, 50))
    ramp = np.linspace(1, -1, 64)
    expected = np.array([180, 100, 50]) * (1 + 0.1 * ramp[None, :, None] - 0.2 * ramp[:, None, None])
    np.testing.assert_allclose(pen.finish(0.1, -0.2), expected, atol=0.51)


def test_draw_face_depends_only_on_seed_and_index(faces):
    for index in (249, 3, 100):
        np.testing.assert_array_equal(draw_face(5, index), faces[index])


def test_faces_are_all_different(faces):
    others = np.stack([draw_face(6, index) for index in range(50)])
    everything = np.concatenate((faces, others)).reshape(300, -1).astype(np.float32)
    squares = (everything**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * everything @ everything.T
    np.fill_diagonal(distances, np.inf)
    assert np.sqrt(distances.min() / everything.shape[1]) > 10  # gray levels, root mean square
    assert faces.std(axis=0).mean() > 40


def test_mean_of_faces_is_a_symmetric_face(faces):
    mean = faces.mean(axis=0)
    gray = mean.mean(axis=2)
    assert np.corrcoef(gray.ravel(), gray[:, ::-1].ravel())[0, 1] > 0.97  # no side is preferred
    eyes, cheeks, crown = gray[28:38, 18:46], gray[40:46, 24:40], gray[4:12, 20:44]
    assert cheeks.mean() > crown.mean() + 30
    assert cheeks.mean() > eyes[:, [2, 3, 4, 23, 24, 25]].mean() + 30
    assert (mean[40:46, 24:40, 0] > mean[40:46, 24:40, 2] + 20).all()  # skin is warm


def test_draw_face_at_another_size_shows_the_same_face():
    small, large = draw_face(5, 0, 64).astype(float), draw_face(5, 0, 128).astype(float)
    reduced = large.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - reduced).mean() < 6
    assert np.abs(small - draw_face(5, 1, 64)).mean() > 30


def test_synthetic_faces_equal_draw_face(faces):
    source = SyntheticFaces(count=6, seed=5)
    assert (len(source), source.images.shape, source.name) == (6, (6, 64, 64, 3), "synthetic")
    np.testing.assert_array_equal(source.take([5, 0, 0]), faces[[5, 0, 0]])
    steps = tf.data.Dataset.range(2).map(lambda step: source.take(step * 3 + tf.range(3, dtype=tf.int64)))
    assert steps.element_spec == tf.TensorSpec((3, 64, 64, 3), tf.uint8)
    np.testing.assert_array_equal(np.concatenate(list(steps)), faces[:6])
    assert source.summary == "synthetic: 6 images of 64x64x3, held in memory (0.1 MB), seed 5"
    with pytest.raises(ValueError, match="indices"):
        source.take([6])
    with pytest.raises(ValueError, match="count"):
        SyntheticFaces(count=0)


def test_digest_depends_on_seed_count_and_size():
    sources = [SyntheticFaces(3), SyntheticFaces(3), SyntheticFaces(4), SyntheticFaces(3, seed=1), SyntheticFaces(3, size=32)]
    digests = [source.digest for source in sources]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
    pixels = sources[0].take([0, 1, 2]).numpy()
    assert digests[0] == hashlib.sha256(b"(3, 64, 64, 3)" + pixels.tobytes()).hexdigest()
