"""Decodes one image file (JPEG, PNG, BMP, WebP) to a uint8 array, fitted to a square.

Pillow decodes, because ``tf.io`` decodes neither WebP files nor CMYK, palette and rotated (EXIF) images correctly. Plain
JPEG files that need no fitting, as in data sets of faces, take a faster path to the same bits.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageOps

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")  # GIF, because the suffixes of collected images are often wrong
_TRANSPOSE = {  # what undoes each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_MARKERS = (b"Exif\0", b"http://ns.adobe.com/xap/")  # of the blocks of a JPEG file that may hold an orientation

_Result = TypeVar("_Result")


class UnreadableImage(Exception):
    """The file at ``path`` holds no complete image; ``reason`` says in a few words what is wrong with it."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


def decode(path: str | os.PathLike[str], size: int, channels: int = 3) -> np.ndarray:
    """Decodes one image, resized (Lanczos) to cover a square and cropped to its center; unchanged if it has that size.

    EXIF orientation is applied, transparency is composited on white, 16-bit gray is scaled to 8 bits; of an animation the
    first frame is used. JPEG files at least four times as large are decoded at a reduced scale, twice as large or more, as
    for Pillow's thumbnails.

    Args:
        path: a JPEG, PNG, BMP or WebP file.
        size: height and width of the square in pixels.
        channels: 3 for RGB, 1 for grayscale.

    Returns:
        uint8 [size, size, channels], in [0, 255].

    Raises:
        UnreadableImage: the file holds no complete image.
        ValueError: ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, not {channels}")
    if channels == 3:
        pixels = _decode_plain_jpeg(Path(path), size)
        if pixels is not None:
            return pixels
    image = _open(Path(path), lambda image: _load(image, size))
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(_convert(image, "RGB" if channels == 3 else "L"))
    return pixels.reshape(size, size, channels)


def _decode_plain_jpeg(path: Path, size: int) -> np.ndarray | None:
    """Decodes a complete JPEG file of exactly that size in YCbCr without an orientation.

    libjpeg-turbo decodes it, as it does for Pillow, so the bits are the same; Pillow's overhead takes most of the time.

    Returns:
        uint8 [size, size, 3]; None for any other file, and if the decoder gives a warning: then Pillow decides.
    """
    try:
        data = path.read_bytes()
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if (height, width, colorspace) != (size, size, "YCbCr") or any(marker in data for marker in _ORIENTATION_MARKERS):
            return None
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (OSError, ValueError):
        return None


def check_header(path: str | os.PathLike[str]) -> None:
    """Checks that a file is not empty and that its header is that of a supported format and states a size within limits.

    The pixels are not decoded, so a file that is truncated further on passes.

    Raises:
        UnreadableImage: one of these is not the case.
    """
    _open(Path(path), lambda image: image.size)


def _open(path: Path, use: Callable[[Image.Image], _Result]) -> _Result:
    try:
        if not os.path.getsize(path):
            raise UnreadableImage(path, "empty file")
        with Image.open(path, formats=_FORMATS) as image:
            return use(image)
    except (UnreadableImage, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(path, "not an image in a supported format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(path, f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except Exception as error:  # damaged bytes lead Pillow's parsers into errors of many classes
        strerror = error.strerror if isinstance(error, OSError) else None
        reason = strerror or str(error) or type(error).__name__
        raise UnreadableImage(path, " ".join(reason.split())) from error


def _load(image: Image.Image, size: int) -> Image.Image:
    image.draft(None, (2 * size, 2 * size))
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        orientation = 1
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return _convert(image, "L" if image.mode in ("1", "L") else "RGB")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # convert would copy it


def _from_16_bits(image: Image.Image) -> Image.Image:
    # Pillow's own convert("L") clips at 255 instead of scaling.
    values = np.asarray(image).astype(np.int64)
    transparent = image.info.get("transparency")
    if transparent is not None:
        values[values == transparent] = 65535
    return Image.fromarray(((values.clip(0, 65535) + 128) // 257).astype(np.uint8))
