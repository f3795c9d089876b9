"""One picture file becomes a uint8 array: what JPEG, PNG, BMP and WebP files hold, fitted to a square.

Pillow decodes, because ``tf.io`` reads neither WebP files nor CMYK, palette and rotated (EXIF) pictures as meant. Plain
JPEG files that need no fitting, which is what data sets of faces are made of, take a shorter way to the same bits.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageOps

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")  # GIF, because collected pictures often bear the wrong suffix
_Turn = Image.Transpose
_FIRST = (_Turn.FLIP_LEFT_RIGHT, _Turn.ROTATE_180, _Turn.FLIP_TOP_BOTTOM, _Turn.TRANSPOSE, _Turn.ROTATE_270)
_TURNS = dict(enumerate((*_FIRST, _Turn.TRANSVERSE, _Turn.ROTATE_90), start=2))  # what undoes EXIF orientations 2 to 8

_TURNING = (b"Exif\0", b"http://ns.adobe.com/xap/")  # marks of the blocks in a JPEG file that may say how it is turned

_Result = TypeVar("_Result")


class UnreadableImage(Exception):
    """The file at ``path`` holds no whole picture; ``reason`` says in a few words what is wrong with it."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


def decode(path: str | os.PathLike[str], size: int, channels: int = 3) -> np.ndarray:
    """Decodes one picture, fitted to cover a square and cropped to its centre (Lanczos); left alone at that size.

    EXIF orientation is applied, transparency laid on white, 16-bit grey scaled to 8 bits; of an animation it is the
    first frame. JPEG files at least four times as large are decoded at a reduced scale, twice as large or more, as for
    Pillow's thumbnails.

    Args:
        path: a JPEG, PNG, BMP or WebP file.
        size: side of the square in pixels.
        channels: 3 for RGB, 1 for grey.

    Returns:
        uint8 [size, size, channels], in [0, 255].

    Raises:
        UnreadableImage: there is no whole picture in the file.
        ValueError: ``channels`` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, not {channels}")
    if channels == 3 and (pixels := _plain_jpeg(Path(path), size)) is not None:
        return pixels
    picture = _readable(Path(path), lambda image: _pixels(image, size))
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(_in_mode(picture, "RGB" if channels == 3 else "L"))
    return pixels.reshape(size, size, channels)


def _plain_jpeg(path: Path, size: int) -> np.ndarray | None:
    """The pixels of a whole JPEG file of just that size in the usual colours (YCbCr), which nothing turns round.

    libjpeg-turbo decodes it, as below Pillow, so the bits are the same; what surrounds it there takes most of the time.

    Returns:
        uint8 [size, size, 3]; None for any other file, and where the decoder so much as warns: Pillow's ways decide then.
    """
    try:
        data = path.read_bytes()
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if (height, width, colours) != (size, size, "YCbCr") or any(mark in data for mark in _TURNING):
            return None
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (OSError, ValueError):
        return None


def check_header(path: str | os.PathLike[str]) -> None:
    """Checks that a file isn't empty, begins as a format read here, and that its header parses and tells a sane size.

    The pixels aren't decoded, so a file that is cut off further on passes.

    Raises:
        UnreadableImage: one of these doesn't hold.
    """
    _readable(Path(path), lambda image: image.size)


def _readable(path: Path, use: Callable[[Image.Image], _Result]) -> _Result:
    try:
        if not os.path.getsize(path):
            raise UnreadableImage(path, "empty file")
        with Image.open(path, formats=_FORMATS) as image:
            return use(image)
    except (UnreadableImage, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(path, "not a picture in a format read here") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImage(path, f"more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels") from error
    except Exception as error:  # damaged bytes lead Pillow's parsers into errors of many classes
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImage(path, " ".join(reason.split())) from error


def _pixels(image: Image.Image, size: int) -> Image.Image:
    image.draft(None, (2 * size, 2 * size))
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        orientation = 1
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return _in_mode(image, "L" if image.mode in ("1", "L") else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # convert would copy it


def _from_16_bits(image: Image.Image) -> Image.Image:
    # Pillow's own convert("L") clips at 255 instead of scaling.
    values = np.asarray(image).astype(np.int64)
    if (transparent := image.info.get("transparency")) is not None:
        values[values == transparent] = 65535
    return Image.fromarray(((values.clip(0, 65535) + 128) // 257).astype(np.uint8))
