"""Face detectors on images whose answer is known; real detectors where their files or packages are available."""

import numpy as np
import pytest

from gan_tf.evaluation.detectors import FaceCounts, count_anime_faces, detect_anime_faces, detect_faces, find_cascade
from pipelines.errors import UserError


def test_face_counts_mean_and_fraction_with_one():
    counts = FaceCounts((1, 0, 1, 2), "detector")
    assert counts.fraction_with_one == 0.5
    assert counts.mean == 1


def test_find_cascade_missing_says_how_to_get_it():
    with pytest.raises(UserError, match="--cascade"):
        find_cascade()


def test_count_anime_faces_bad_cascade_is_refused(tmp_path):
    pytest.importorskip("cv2")
    (tmp_path / "bad.xml").write_text("<opencv_storage></opencv_storage>")
    with pytest.raises(UserError, match="OpenCV cannot read"):
        count_anime_faces([np.zeros((64, 64, 3), np.uint8)], tmp_path / "bad.xml")


def test_detect_anime_faces_fewer_than_a_grid_is_refused():
    with pytest.raises(UserError, match="24 images are too few"):
        detect_anime_faces(np.zeros((24, 64, 64, 3), np.uint8))


@pytest.mark.slow
def test_detect_anime_faces_noise_has_none():
    pytest.importorskip("cv2")
    try:
        find_cascade()
    except UserError as error:
        pytest.skip(str(error))
    noise = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8)
    assert detect_anime_faces(noise).mean < 1


def test_detect_faces_flat_images_have_none():
    pytest.importorskip("dlib")
    assert detect_faces(np.full((3, 64, 64, 3), 127, np.uint8)).counts == (0, 0, 0)


def test_detect_faces_without_dlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(UserError, match="dlib-bin"):
        detect_faces([])
