"""Folders of images that are to be scored, decoded as pytorch-fid decodes them: Pillow, converted to RGB, not resized.

Unlike in training, one unreadable file or one image of another size is an error: a score must say what it is of.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gan_tf.evaluation.scores import ImageSet
from pipelines.errors import UserError
from pipelines.image_folder import list_images

_BATCH = 256


def read_image_dir(directory: str | Path, *, count: int | None = None, seed: int = 2020) -> ImageSet:
    """Returns the images below a directory, in the order of their paths; they are read when they are needed.

    Args:
        directory: any depth, any names; JPEG, PNG, BMP or WebP.
        count: take only so many, sampled without replacement; None takes all.
        seed: of the sample.

    Raises:
        UserError: there are no images, or fewer than ``count``; while reading, a file is damaged or of another size.
    """
    files = list_images(directory)
    split = ""
    if count is not None:
        if not 1 <= count <= len(files):
            problem = f"--count {count} is not possible: {directory} has {len(files)} images"
            raise UserError(problem, "Lower --count")
        indices = np.sort(np.random.default_rng(seed).choice(len(files), count, replace=False))
        split = f"{count:,} sampled from {len(files):,}" if count < len(files) else ""
        files = [files[index] for index in indices]
    return ImageSet(str(directory), _ImageFiles(files), split, tuple(files))


class _ImageFiles:
    """Arrays uint8 [n, height, width, 3] of up to 256 images; can be iterated more than once."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __iter__(self) -> Iterator[np.ndarray]:
        shape = None
        for start in range(0, len(self.files), _BATCH):
            batch = []
            for file in self.files[start : start + _BATCH]:
                image = _decode(file)
                shape = shape or image.shape
                if image.shape != shape:
                    problem = f"'{file}' has {image.shape[1]}x{image.shape[0]} pixels, "
                    problem += f"but '{self.files[0]}' has {shape[1]}x{shape[0]}"
                    raise UserError(problem, "Bring all images of the folder to one size: a mixture has no comparable score")
                batch.append(image)
            yield np.stack(batch)


def _decode(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"'{file}' cannot be read as an image ({error})", "Remove it, or get it again") from error
