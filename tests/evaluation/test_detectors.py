"""Face detectors on images whose answer is known; real detectors where their files or packages are available."""

import sys
from types import SimpleNamespace

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


def test_detect_anime_faces_counts_what_the_cascade_finds_in_each_grid(tmp_path, monkeypatch):
    """The stand-in finds a face at each bright tile, with the arguments of the handout's baseline.py."""
    cv2 = pytest.importorskip("cv2")

    class BrightTiles:
        def load(self, file):
            return True

        def detectMultiScale(self, gray, **options):
            assert options == {"scaleFactor": 1.1, "minNeighbors": 5, "minSize": (24, 24)}
            assert (gray.shape, gray.dtype) == ((320, 320), np.uint8)
            tiles = gray.reshape(5, 64, 5, 64).mean(axis=(1, 3))
            return [(64 * column, 64 * row, 64, 64) for row, column in zip(*np.nonzero(tiles > 128), strict=True)]

    monkeypatch.setattr(cv2, "CascadeClassifier", BrightTiles)
    (tmp_path / "cascade.xml").write_text("")
    images = np.zeros((60, 64, 64, 3), np.uint8)  # two grids of 25; the last ten fill none
    images[[0, 7, 24, 30]], images[50:] = 255, 255
    counts = detect_anime_faces(images, tmp_path / "cascade.xml")
    assert counts.counts == (3, 1)


def test_detect_faces_counts_what_dlib_finds_in_each_image(monkeypatch):
    """With one step of upsampling, as face_recognition does."""

    def detector(image, num_upsampled):
        assert num_upsampled == 1
        return [None] * int(image[0, 0, 0])

    stand_in = SimpleNamespace(get_frontal_face_detector=lambda: detector, __version__="0")
    monkeypatch.setitem(sys.modules, "dlib", stand_in)
    images = np.zeros((4, 8, 8, 3), np.uint8)
    images[:, 0, 0, 0] = [1, 0, 2, 1]
    counts = detect_faces(images)
    assert counts.counts == (1, 0, 2, 1)
    assert counts.fraction_with_one == 0.5


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
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match="dlib-bin"):
        detect_faces([])
