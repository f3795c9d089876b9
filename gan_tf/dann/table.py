"""The CSV file of predictions: every image once, sorted, whether it is readable or not."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gan_tf.dann.predictor import Predictor
from gan_tf.utils.files import format_label_table, write_atomic
from pipelines.decode import DecodedImage, UnreadableImage, decode_bytes, read_bytes
from pipelines.errors import UserError, counted
from pipelines.formats.domains import SHAPE
from pipelines.image_listing import list_images

UNREADABLE = "-1"
"""The label of an unreadable image: its row is there, so that rows can be counted; no class has it, so it is never right."""

_CHUNK = 1024  # images in memory at a time
_MAX_NAMED = 5


def write_predictions(predictor: Predictor, folder: Path, out: Path) -> None:
    """Writes image_name,label of all images below a folder, in the order of their names; says what was noticed about them.

    A row depends on its own image alone.

    Args:
        predictor: the classifier.
        folder: searched at any depth; files that are no images by their suffix are left out.
        out: the CSV file; missing folders are created.

    Raises:
        UserError: there are no images, none is readable, or the file cannot be written.
    """
    files = list_images(folder)
    labels: list[str] = []
    unreadable: list[UnreadableImage] = []
    sizes: Counter[tuple[int, int]] = Counter()
    with tqdm(total=len(files), unit="image", disable=len(files) < 2 * _CHUNK) as bar:
        for start in range(0, len(files), _CHUNK):
            images = [_decode(path) for path in files[start : start + _CHUNK]]
            labels += _label(predictor, images)
            unreadable += [image for image in images if isinstance(image, UnreadableImage)]
            sizes.update(image.own_size for image in images if isinstance(image, DecodedImage))
            bar.update(len(images))
    if len(unreadable) == len(files):
        raise UserError(f"None of the {len(files):,} images in {folder} is readable: {unreadable[0]}", "Copy them again")
    _report_sizes(sizes)
    _report_unreadable(unreadable, folder)
    write_atomic(out, format_label_table([path.relative_to(folder).as_posix() for path in files], labels))
    print(f"{out}: {counted(len(labels), 'label')}")


def _decode(path: Path) -> DecodedImage | UnreadableImage:
    try:
        return decode_bytes(read_bytes(path), path, SHAPE[0], SHAPE[2])
    except UnreadableImage as error:
        return error


def _label(predictor: Predictor, images: list[DecodedImage | UnreadableImage]) -> list[str]:
    """Returns the names of the classes of images; ``UNREADABLE`` for those that are."""
    pixels = [image.pixels for image in images if isinstance(image, DecodedImage)]
    numbers = iter(predictor.predict(np.stack(pixels)) if pixels else ())
    return [predictor.classes[next(numbers)] if isinstance(image, DecodedImage) else UNREADABLE for image in images]


def _report_sizes(sizes: Counter[tuple[int, int]]) -> None:
    """Says in one line which images were resized."""
    others = {size: count for size, count in sizes.items() if size != SHAPE[:2]}
    if others:
        (height, width), _ = max(others.items(), key=lambda item: item[1])
        num_others = sum(others.values())
        print(
            f"{counted(num_others, 'image')} resized to {SHAPE[1]}x{SHAPE[0]}, most of them from {width}x{height}", flush=True
        )


def _report_unreadable(unreadable: list[UnreadableImage], folder: Path) -> None:
    if unreadable:
        names = "; ".join(f"{error.path.relative_to(folder)} ({error.reason})" for error in unreadable[:_MAX_NAMED])
        more = f" and {len(unreadable) - _MAX_NAMED:,} more" if len(unreadable) > _MAX_NAMED else ""
        text = f"warning: {len(unreadable):,} unreadable images have the label {UNREADABLE}: {names}{more}"
        print(text, file=sys.stderr, flush=True)
