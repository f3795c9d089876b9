"""The handouts' face detectors: OpenCV's anime face cascade on grids of 25 (H3), dlib's HOG face detector (H1).

Their libraries are extras, which are imported when a detector is used.
"""

import hashlib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.utils.cache import cache_folder
from gan_tf.utils.images import tile_images
from pipelines.errors import UserError

CASCADE_NAME = "lbpcascade_animeface.xml"
_GRID_ROWS = 5  # rows and columns of the image on which H3 counts faces


@dataclass(frozen=True)
class FaceCounts:
    """The faces that a detector found.

    Attributes:
        counts: number of faces in each grid (anime) or in each image (face).
        detector: the detector and its settings, in words.
        sha256: digest of the cascade file; empty for dlib, whose detector is part of its package.
    """

    counts: tuple[int, ...]
    detector: str
    sha256: str = ""

    @property
    def mean(self) -> float:
        """Mean number of faces in a grid (anime) or an image (face)."""
        return float(np.mean(self.counts))

    @property
    def fraction_with_one(self) -> float:
        """Fraction of images with exactly one face, in [0, 1]."""
        return float(np.mean(np.array(self.counts) == 1))


def find_cascade(path: str | Path | None = None) -> Path:
    """Returns the named cascade file, or the one in the cache folder.

    Raises:
        UserError: it does not exist; says how to get it.
    """
    file = Path(path) if path is not None else cache_folder() / CASCADE_NAME
    if not os.path.isfile(file):  # unlike Path.is_file, False in a folder of somebody else too
        problem = f"There is no anime face cascade at '{file}' ({CASCADE_NAME} by nagadomi, 2011)"
        raise UserError(problem, f"Name the file by --cascade, or put it at '{cache_folder() / CASCADE_NAME}'")
    return file


def check_detector(detector: str, cascade: str | Path | None = None) -> None:
    """Checks that a detector's library and file are there, before images are read for it.

    Raises:
        UserError: one of them is not; says how to get it.
    """
    if detector == "anime":
        find_cascade(cascade)
        _opencv()
    elif importlib.util.find_spec("dlib") is None:
        raise _no_dlib()


def count_anime_faces(images: Iterable[np.ndarray], cascade: str | Path | None = None) -> FaceCounts:
    """Counts anime faces in whole images as H3's ``baseline.py`` does.

    Args:
        images: uint8 RGB [height, width, 3] each, for example grids of 5x5 images of 64x64.
        cascade: the cascade file; by default the one in the cache folder.

    Raises:
        UserError: there is no cascade, it cannot be read, or OpenCV is missing or too new for cascades.
    """
    file = find_cascade(cascade)
    cv2 = _opencv()
    detector = cv2.CascadeClassifier()
    try:
        loaded = detector.load(str(file))
    except cv2.error:
        loaded = False
    if not loaded:
        raise UserError(f"OpenCV cannot read '{file}' as a cascade", f"Get {CASCADE_NAME} again")
    counts = []
    for image in images:
        gray = cv2.equalizeHist(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY))
        counts.append(len(detector.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))))
    detector_name = f"{file.name}, gray, histogram equalized, scaleFactor 1.1, minNeighbors 5, minSize 24x24"
    return FaceCounts(tuple(counts), detector_name, hashlib.sha256(file.read_bytes()).hexdigest())


def detect_anime_faces(images: np.ndarray, cascade: str | Path | None = None) -> FaceCounts:
    """Counts faces in 5x5 grids made of the images in their order; the last ones that fill no grid are left out.

    Args:
        images: uint8 [n, height, width, 3] with n >= 25.
        cascade: see `count_anime_faces`.

    Raises:
        UserError: fewer than 25 images, or as `count_anime_faces`.
    """
    size = _GRID_ROWS**2
    if len(images) < size:
        noun = "image is" if len(images) == 1 else "images are"
        raise UserError(f"{len(images)} {noun} too few: the anime face detector needs grids of {size}", "Add images")
    grids = (
        tile_images(images[start : start + size], _GRID_ROWS, _GRID_ROWS) for start in range(0, len(images) - size + 1, size)
    )
    return count_anime_faces(grids, cascade)


def detect_faces(images: Iterable[np.ndarray]) -> FaceCounts:
    """Counts faces in each image with dlib's HOG detector, upsampled once, as ``face_recognition.face_locations``.

    Args:
        images: uint8 RGB [height, width, 3] each.

    Raises:
        UserError: dlib is not installed.
    """
    try:
        import dlib
    except ImportError as error:
        raise _no_dlib() from error
    detector = dlib.get_frontal_face_detector()
    counts = tuple(len(detector(np.ascontiguousarray(image), 1)) for image in images)
    return FaceCounts(counts, f"dlib {dlib.__version__} frontal face detector (HOG), upsampled once")


def _no_dlib() -> UserError:
    return UserError("dlib is not installed, which the face detector needs", "Run: pip install dlib-bin")


def _opencv() -> Any:
    hint = "Run: pip install 'opencv-python-headless<5'"
    try:
        import cv2
    except ImportError as error:
        raise UserError("OpenCV is not installed, which the anime face detector needs", hint) from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise UserError(f"OpenCV {cv2.__version__} has no cascades; OpenCV 4 is needed", hint)
    return cv2
