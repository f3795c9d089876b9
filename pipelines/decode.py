"""Decodes one image file (JPEG, PNG, BMP, WebP) to a uint8 array, at its own size or fitted to a square.

Pillow decodes, because ``tf.io`` decodes neither WebP files nor CMYK, palette and rotated (EXIF) images correctly. Plain
JPEG files that need no fitting, as in data sets of faces, take a faster path to the same bits.
"""

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
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
_SWAPPING = (5, 6, 7, 8)  # orientations that swap height and width
_ORIENTATION_MARKERS = (b"Exif\0", b"http://ns.adobe.com/xap/")  # of the blocks of a JPEG file that may hold an orientation

_Result = TypeVar("_Result")


class UnreadableImage(Exception):
    """The file at ``path`` holds no complete image; ``reason`` says in a few words what is wrong with it."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True)
class DecodedImage:
    """An image and the size that it has in its file.

    Attributes:
        pixels: uint8 [height, width, channels], in [0, 255].
        own_size: height and width in the file, after its EXIF orientation.
    """

    pixels: np.ndarray
    own_size: tuple[int, int]


def decode(path: str | os.PathLike[str], size: int | None = None, channels: int = 3) -> np.ndarray:
    """Reads a file and decodes it as ``decode_bytes``.

    Returns:
        uint8 [size, size, channels], or [height, width, channels] of the file's own size without ``size``; in [0, 255].
    """
    return decode_bytes(read_bytes(path), path, size, channels).pixels


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Returns the content of a file.

    Raises:
        UnreadableImage: it cannot be read, or it is empty.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableImage(Path(path), "no regular file")
            data = file.read()
    except OSError as error:
        raise UnreadableImage(Path(path), error.strerror or type(error).__name__) from error
    except ValueError as error:  # as a table may hold, with a zero byte
        raise UnreadableImage(Path(path), "no possible name of a file") from error
    if not data:
        raise UnreadableImage(Path(path), "empty file")
    return data


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would wait for its other end


def decode_bytes(data: bytes, path: str | os.PathLike[str], size: int | None = None, channels: int = 3) -> DecodedImage:
    """Decodes the bytes of a file; this is the only way in which images are seen, in training and in scoring.

    EXIF orientation is applied, transparency is composited on white, 16-bit gray is scaled to 8 bits; of an animation the
    first frame is used. With ``size``, the image is resized (Lanczos) to cover a square and cropped to its center, and left
    as it is if it has that size. JPEG files at least four times as large are then decoded at a reduced scale, twice as
    large or more, as for Pillow's thumbnails.

    Args:
        data: a JPEG, PNG, BMP or WebP file.
        path: where it was read, for the error.
        size: height and width of the square in pixels; None keeps the image's own size.
        channels: 3 for RGB, 1 for grayscale.

    Raises:
        UnreadableImage: the bytes hold no complete image.
        ValueError: ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, not {channels}")
    if channels == 3:
        plain = _decode_plain_jpeg(data, size)
        if plain is not None:
            return DecodedImage(plain, plain.shape[:2])
    image, own_size = _open(data, Path(path), lambda image: _load(image, size))
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(_convert(image, "RGB" if channels == 3 else "L"))
    return DecodedImage(pixels.reshape(image.height, image.width, channels), own_size)


def _decode_plain_jpeg(data: bytes, size: int | None) -> np.ndarray | None:
    """Decodes a complete JPEG file in YCbCr without an orientation, which has the given size if there is one.

    libjpeg-turbo decodes it, as it does for Pillow, so the bits are the same; Pillow's overhead takes most of the time.

    Returns:
        uint8 [height, width, 3]; None for any other file, and if the decoder gives a warning: then Pillow decides.
    """
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if size is not None and (height, width) != (size, size):
            return None
        if colorspace != "YCbCr" or any(marker in data for marker in _ORIENTATION_MARKERS):
            return None
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError:
        return None


def read_size(data: bytes, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Returns the height and width that the header of an image states, after its EXIF orientation.

    The pixels are not decoded, so a file that is truncated further on passes.

    Args:
        data: the bytes of a file.
        path: where they were read, for the error.

    Raises:
        UnreadableImage: the header is not that of a supported format, or states a size beyond the limits.
    """
    return _open(data, Path(path), _own_size)


def _open(data: bytes, path: Path, use: Callable[[Image.Image], _Result]) -> _Result:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return use(image)
    except MemoryError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(path, "not an image in a supported format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(path, f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except Exception as error:  # damaged bytes lead Pillow's parsers into errors of many classes
        raise UnreadableImage(path, " ".join(str(error).split()) or type(error).__name__) from error


def _own_size(image: Image.Image) -> tuple[int, int]:
    """Returns height and width of an image that is not loaded yet, after its orientation."""
    return (image.width, image.height) if _orientation(image) in _SWAPPING else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return 1


def _load(image: Image.Image, size: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """Returns the image upright, in mode L or RGB, perhaps at a reduced scale, and its own size."""
    own_size = image.size
    if size is not None:
        image.draft(None, (2 * size, 2 * size))
    image.load()
    orientation = _orientation(image)  # of a PNG file it is known only now, since it may follow the pixels
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    width, height = own_size[::-1] if orientation in _SWAPPING else own_size
    return _flatten(image), (height, width)


def _flatten(image: Image.Image) -> Image.Image:
    """Returns the image in mode L or RGB: 16 bits scaled to 8, transparency on white."""
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
