"""Images as data URIs, each below a bound, so that a page needs no other file and stays small."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipelines.errors import READ_ERRORS

MAX_GRID_BYTES = 150_000
"""Of an embedded sample grid; a larger file is embedded as WebP, and smaller if need be."""
MAX_FIGURE_BYTES = 400_000
"""Of any other embedded image."""

_MIME_TYPES = {"PNG": "image/png", "WEBP": "image/webp", "JPEG": "image/jpeg", "GIF": "image/gif"}
_MAX_SIDE = 2048  # pixels of an image that is encoded again
_QUALITIES = (90, 75)  # of WebP, the better one first
_SHRINK = 0.7  # of both sides, where no quality is small enough
_MAX_KNOWN = 50  # images that are remembered, more than a page has
_ENCODER_EFFORT = 2  # of 0 to 6: a training waits for it


class UnusableImage(Exception):
    """An image file that is missing, damaged or too large; the text says so in a few words."""


@dataclass(frozen=True)
class EmbeddedImage:
    """An image for a page.

    Attributes:
        uri: the data URI.
        width: of the original, in pixels.
        height: of the original, in pixels.
        exact: whether the file itself is embedded, not a smaller one of the same image.
        animated: whether it moves.
    """

    uri: str
    width: int
    height: int
    exact: bool
    animated: bool


class ImageEmbedder:
    """Embeds image files, and remembers what it has embedded, since a page is made again and again from the same grids."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], EmbeddedImage]] = {}

    def embed(self, path: Path, max_bytes: int) -> EmbeddedImage:
        """Returns an image file as a data URI of at most ``max_bytes`` bytes before its base64 encoding.

        Raises:
            UnusableImage: it is missing or damaged, or an animation that is too large.
        """
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, max_bytes)
            known = self._known.pop(path, None)
            if known is None or known[0] != stamp:
                known = stamp, _embed(path.read_bytes(), max_bytes)
        except FileNotFoundError:
            raise UnusableImage("is missing") from None
        except (*READ_ERRORS, Image.DecompressionBombError) as error:
            raise UnusableImage(f"cannot be read ({type(error).__name__})") from None
        self._known[path] = known
        if len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]  # the one that was not needed for the longest time
        return known[1]


def _embed(data: bytes, max_bytes: int) -> EmbeddedImage:
    with Image.open(io.BytesIO(data), formats=tuple(_MIME_TYPES)) as image:
        image.load()  # raises if it is damaged
        kind, animated = str(image.format), bool(image.info.get("duration"))
        width, height = image.size
        exact = len(data) <= max_bytes
        if not exact:
            if animated:
                raise UnusableImage(f"is an animation of {len(data) / 1e6:.1f} MB, too large for this page")
            data, kind = _encode_smaller(image.convert("RGB"), max_bytes), "WEBP"
    encoded = base64.b64encode(data).decode("ascii")
    return EmbeddedImage(f"data:{_MIME_TYPES[kind]};base64,{encoded}", width, height, exact, animated)


def _encode_smaller(image: Image.Image, max_bytes: int) -> bytes:
    """Returns an image as WebP of at most ``max_bytes`` bytes, at the best quality and then the largest size that fits."""
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    while True:
        for quality in _QUALITIES:
            data = io.BytesIO()
            image.save(data, "WEBP", quality=quality, method=_ENCODER_EFFORT)
            if data.tell() <= max_bytes:
                return data.getvalue()
        image = image.resize((max(1, round(_SHRINK * image.width)), max(1, round(_SHRINK * image.height))))
