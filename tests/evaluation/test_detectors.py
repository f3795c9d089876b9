"""The judges on pictures where the answer is known; real detectors where their files or packages are."""

import numpy as np
import pytest

from gan_tf.evaluation.detectors import FaceCounts, count_anime_faces, find_cascade, judge_anime, judge_faces, tile
from gan_tf.utils.cache import cache_folder
from pipelines.errors import InputError


def test_tiles_stand_in_reading_order():
    images = np.arange(25, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    grid = tile(images)
    assert grid.shape == (20, 30, 3)
    np.testing.assert_array_equal(grid[::4, ::6, 0], np.arange(25).reshape(5, 5))


def test_shares_and_means():
    counts = FaceCounts((1, 0, 1, 2), "judge")
    assert counts.exactly_one == 0.5
    assert counts.mean == 1


def test_no_cascade_says_how_to_get_it():
    with pytest.raises(InputError, match="--cascade"):
        find_cascade()


def test_a_bad_cascade_is_refused(tmp_path):
    pytest.importorskip("cv2")
    (tmp_path / "bad.xml").write_text("<opencv_storage></opencv_storage>")
    with pytest.raises(InputError, match="can't be read by OpenCV"):
        count_anime_faces([np.zeros((64, 64, 3), np.uint8)], tmp_path / "bad.xml")


def test_fewer_than_a_grid_is_refused():
    with pytest.raises(InputError, match="25 or more"):
        judge_anime(np.zeros((24, 64, 64, 3), np.uint8))


@pytest.mark.slow
def test_no_faces_in_noise():
    pytest.importorskip("cv2")
    try:
        find_cascade()
    except InputError as error:
        pytest.skip(str(error))
    assert cache_folder().is_dir()
    noise = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8)
    assert judge_anime(noise).mean < 1


def test_the_face_judge_finds_none_in_flat_pictures():
    pytest.importorskip("dlib")
    assert judge_faces(np.full((3, 64, 64, 3), 127, np.uint8)).counts == (0, 0, 0)


def test_without_dlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(InputError, match="dlib-bin"):
        judge_faces([])
