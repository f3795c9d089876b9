"""Images cut out of larger ones by boxes: one sample for each box."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.decode import DecodedImage, UnreadableImage, decode_bytes
from pipelines.image_folder import ImageFolder


@dataclass(frozen=True)
class Box:
    """A rectangle in an image of ``width`` x ``height`` pixels; 0 <= left < right <= width, 0 <= top < bottom <= height."""

    left: float
    top: float
    right: float
    bottom: float
    width: int
    height: int


class BoxedImages(ImageFolder):
    """A source (see ``pipelines.source.Source``) with a sample for each pair of a file and a box in its image.

    The box becomes a square with the same center, as long as its longer side. Where the image ends, the square is shifted
    into it; where the image is narrower than the square, it is mirrored at its edges.

    Args:
        folder: all files lie below it.
        size: height and width of a sample in pixels.
        files: the file of each sample; one with several boxes stands there as often.
        boxes: the box of each sample.
        memory_budget: see ``ImageFolder``.

    Raises:
        UserError: as ``ImageFolder``.
    """

    def __init__(self, folder: Path, size: int, files: Sequence[Path], boxes: Sequence[Box], memory_budget: int):
        self._boxes = boxes
        super().__init__(folder, size, 3, memory_budget, files=files, check_pixels=True)

    def _decode_file(self, number: int, data: bytes) -> DecodedImage:
        decoded = decode_bytes(data, self._files[number])
        if 0 in decoded.own_size:
            raise UnreadableImage(self._files[number], "an image without pixels")
        return DecodedImage(cut_square(decoded.pixels, self._boxes[number], self.image_shape[0]), self.image_shape[:2])

    def _key(self, number: int) -> bytes:
        return super()._key(number) + repr(self._boxes[number]).encode()


def cut_square(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """Returns the square around a box, resized (Lanczos) to ``size``; see ``BoxedImages``.

    Args:
        image: uint8 [height, width, 3]. If it has another size than the box's image, the box is scaled.
        box: a rectangle.
        size: height and width of the result in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    height, width, _ = image.shape
    scale_x, scale_y = width / box.width, height / box.height
    left, right = box.left * scale_x, box.right * scale_x
    top, bottom = box.top * scale_y, box.bottom * scale_y
    side = max(right - left, bottom - top)
    missing_x, missing_y = max(0.0, side - width), max(0.0, side - height)
    pad_x, pad_y = int(np.ceil(missing_x / 2)), int(np.ceil(missing_y / 2))
    x = _shift_inside((left + right - side) / 2, side, width) + pad_x
    y = _shift_inside((top + bottom - side) / 2, side, height) + pad_y
    padded = np.pad(image, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="reflect")
    square = (x, y, min(x + side, padded.shape[1]), min(y + side, padded.shape[0]))
    return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.LANCZOS, box=square))


def _shift_inside(start: float, side: float, length: int) -> float:
    """Returns where a side begins that lies inside [0, length] if it fits, and is centered on it otherwise."""
    return (length - side) / 2 if side > length else min(max(start, 0.0), length - side)
