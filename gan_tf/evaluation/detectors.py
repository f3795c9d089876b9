"""The handouts' judges: OpenCV's anime face cascade on grids of 25 (H3), dlib's HOG face detector (H1).

Judge libraries are extras and are imported when a judge is asked for.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_tf.utils.cache import cache_folder
from pipelines.errors import InputError

CASCADE_NAME = "lbpcascade_animeface.xml"
GRID = 5
"""Rows and columns of the picture that H3's judge looks at."""


@dataclass(frozen=True)
class FaceCounts:
    """What a judge counted.

    Attributes:
        counts: faces found in each grid (anime) or in each image (face).
        judge: the detector and its settings, in words.
        sha256: digest of the cascade file; empty for dlib, whose detector is part of its package.
    """

    counts: tuple[int, ...]
    judge: str
    sha256: str = ""

    @property
    def mean(self) -> float:
        """Faces a grid (anime) or an image (face)."""
        return float(np.mean(self.counts))

    @property
    def exactly_one(self) -> float:
        """Share with exactly one face, in [0, 1]."""
        return float(np.mean(np.array(self.counts) == 1))


def find_cascade(path: str | Path | None = None) -> Path:
    """The cascade file named, or the one in the cache folder.

    Raises:
        InputError: it isn't there; says how to get it.
    """
    file = Path(path) if path is not None else cache_folder() / CASCADE_NAME
    if not file.is_file():
        raise InputError(
            f"no anime face cascade at '{file}'",
            f"{CASCADE_NAME} (nagadomi's, 2011)",
            f"name the file by --cascade, or put it at '{cache_folder() / CASCADE_NAME}'",
        )
    return file


def tile(images: np.ndarray, columns: int = GRID) -> np.ndarray:
    """Puts images [rows·columns, h, w, c] side by side without gaps: [rows·h, columns·w, c]."""
    count, height, width, channels = images.shape
    grid = images.reshape(count // columns, columns, height, width, channels)
    return grid.transpose(0, 2, 1, 3, 4).reshape(-1, columns * width, channels)


def count_anime_faces(pictures: Iterable[np.ndarray], cascade: str | Path | None = None) -> FaceCounts:
    """Counts anime faces in whole pictures as H3's ``baseline.py`` does.

    Args:
        pictures: uint8 RGB [height, width, 3] each, for example 5x5 tiles of 64x64.
        cascade: the cascade file; by default the one in the cache folder.

    Raises:
        InputError: there is no cascade, it can't be read, or OpenCV is missing or too new for cascades.
    """
    file = find_cascade(cascade)
    cv2 = _opencv()
    detector = cv2.CascadeClassifier()
    try:
        loaded = detector.load(str(file))
    except cv2.error:
        loaded = False
    if not loaded:
        raise InputError(f"'{file}' can't be read by OpenCV", f"a cascade such as {CASCADE_NAME}", "get the file anew")
    counts = []
    for picture in pictures:
        grey = cv2.equalizeHist(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY))
        counts.append(len(detector.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))))
    judge = f"{file.name}, grey, equalised, scaleFactor 1.1, minNeighbors 5, minSize 24x24"
    return FaceCounts(tuple(counts), judge, hashlib.sha256(file.read_bytes()).hexdigest())


def judge_anime(images: np.ndarray, cascade: str | Path | None = None) -> FaceCounts:
    """Counts faces in 5x5 grids made of the images in their order; those that fill no grid are left out.

    Args:
        images: uint8 [n, height, width, 3] with n >= 25.
        cascade: see `count_anime_faces`.

    Raises:
        InputError: fewer than 25 images, or as `count_anime_faces`.
    """
    size = GRID * GRID
    if len(images) < size:
        raise InputError(f"{len(images)} images", f"{size} or more, the judge looks at 5x5 grids", "add images")
    grids = (tile(images[start : start + size]) for start in range(0, len(images) - size + 1, size))
    return count_anime_faces(grids, cascade)


def judge_faces(images: Iterable[np.ndarray]) -> FaceCounts:
    """Counts faces in each image with dlib's HOG detector, one doubling, as ``face_recognition.face_locations``.

    Args:
        images: uint8 RGB [height, width, 3] each.

    Raises:
        InputError: dlib isn't installed.
    """
    try:
        import dlib
    except ImportError as error:
        raise InputError("dlib is not installed", "dlib for the face judge", "run 'pip install dlib-bin'") from error
    detector = dlib.get_frontal_face_detector()
    counts = tuple(len(detector(np.ascontiguousarray(image), 1)) for image in images)
    return FaceCounts(counts, f"dlib {dlib.__version__} frontal face detector (HOG), upsampled once")


def _opencv():
    try:
        import cv2
    except ImportError as error:
        cv2, missing = None, error
    else:
        missing = None
    if cv2 is None or not hasattr(cv2, "CascadeClassifier"):
        raise InputError(
            "OpenCV is not installed" if cv2 is None else f"OpenCV {cv2.__version__} has no cascades",
            "OpenCV 4",
            "run 'pip install \"opencv-python-headless<5\"'",
        ) from missing
    return cv2
