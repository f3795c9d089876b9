"""Which target domain a folder of images belongs to, as ``infer.py`` decides it. Free of TensorFlow."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError
from pipelines.formats.domains import DIGIT_TARGETS
from pipelines.image_listing import list_images


@dataclass(frozen=True)
class StatedTarget:
    """A target domain, and how it is known.

    Attributes:
        name: "svhn" or "usps".
        reason: a clause that follows the name.
    """

    name: str
    reason: str


def find_target(folder: Path, requested: str | None) -> StatedTarget:
    """Returns the requested target, else the last part of the folder's path that names one, else what the images look like.

    Images of USPS are gray: all three channels are equal in every readable image.

    Raises:
        UserError: the path names none, and there are no images, or none is readable.
    """
    if requested is not None:
        return StatedTarget(requested, "by --target")
    parts = Path(os.path.abspath(folder)).parts  # which keeps links, so that the path is the one that was typed
    named = next((part for part in reversed(parts) if part in DIGIT_TARGETS), None)
    if named is not None:
        return StatedTarget(named, f"since its path has a folder {named}")
    files = list_images(folder)
    num_gray = 0
    for path in files:
        is_gray = _is_gray(path)
        if is_gray is False:
            return StatedTarget("svhn", f"since {path.relative_to(folder)} is in color")
        num_gray += bool(is_gray)
    if not num_gray:
        raise UserError(f"None of the {len(files):,} images in {folder} is readable", "Copy the images again")
    return StatedTarget("usps", f"since all {num_gray:,} images are gray")


def _is_gray(path: Path) -> bool | None:
    """Returns whether the channels of an image are equal; None if it is unreadable."""
    from pipelines.decode import UnreadableImage, decode

    try:
        pixels = decode(path)
    except UnreadableImage:
        return None
    return bool((pixels[..., :1] == pixels).all())
