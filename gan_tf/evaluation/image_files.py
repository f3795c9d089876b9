"""Folders of pictures to be scored, decoded as pytorch-fid decodes them: Pillow, converted to RGB, nothing resized.

Unlike in training, one unreadable file or one picture of another size is an error: a score must say what it is of.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gan_tf.evaluation.scores import Images
from pipelines.errors import InputError

_PART = 256


def read_folder(folder: str | Path, *, count: int | None = None, seed: int = 2020) -> Images:
    """The pictures below a folder, in the order of their paths; read when they are asked for.

    Args:
        folder: any depth, any names; JPEG, PNG, BMP or WebP.
        count: take only as many, drawn without repetition; None takes all.
        seed: of the draw.

    Raises:
        InputError: there are no pictures, or fewer than ``count``; while reading, a file is damaged or of another size.
    """
    from pipelines.image_folder import list_images

    files = list_images(folder)
    split = ""
    if count is not None:
        if not 1 <= count <= len(files):
            raise InputError(f"{count} images of '{folder}', which has {len(files)}", "no more", "lower --count")
        chosen = np.sort(np.random.default_rng(seed).choice(len(files), count, replace=False))
        split = f"{count:,} drawn of {len(files):,}" if count < len(files) else ""
        files = [files[index] for index in chosen]
    return Images(str(folder), _Pictures(files), split)


class _Pictures:
    """Arrays uint8 [n, height, width, 3] of up to 256 pictures; can be gone through more than once."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __iter__(self) -> Iterator[np.ndarray]:
        first = None
        for start in range(0, len(self.files), _PART):
            part = []
            for file in self.files[start : start + _PART]:
                part.append(_decode(file))
                first = part[0] if first is None else first
                if part[-1].shape != first.shape:
                    raise InputError(
                        f"'{file}' has {part[-1].shape[1]}x{part[-1].shape[0]} pixels, "
                        f"'{self.files[0]}' {first.shape[1]}x{first.shape[0]}",
                        "one size in the whole folder",
                        "bring them to one size first: a mixture has no comparable score",
                    )
            yield np.stack(part)


def _decode(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"'{file}' can't be read ({error})", "a whole picture", "remove it or get it anew") from error
