"""Images as uint8 arrays and PNG files, each of which is written whole or not at all."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from gan_tf.utils.files import write_atomic


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts floats in [-1, 1] to uint8, rounded to the nearest level; values outside are clipped."""
    return np.clip(np.rint((np.asarray(images) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def tile_images(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Tiles uint8 ``[n, h, w, c]`` row by row into ``[rows * h, columns * w, c]``; missing tiles are black."""
    n, height, width, channels = images.shape
    tiles = np.zeros((rows * columns, height, width, channels), np.uint8)
    tiles[: min(n, rows * columns)] = images[: rows * columns]
    rows_first = tiles.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return rows_first.reshape(rows * height, columns * width, channels)


def write_png(path: Path, image: np.ndarray, durable: bool = True) -> None:
    """Writes uint8 ``[h, w, 3]`` or ``[h, w, 1]`` as a PNG file, with the same bytes for the same pixels.

    Raises:
        UserError: it cannot be written.
    """
    data = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(data, "PNG")
    write_atomic(Path(path), data.getvalue(), durable)


def write_images(directory: Path, batches: Iterable[np.ndarray], count: int) -> None:
    """Writes images as 0000.png, 0001.png, … (with more digits for more than 10,000).

    Args:
        directory: created if it does not exist.
        batches: uint8 ``[n, h, w, c]``.
        count: how many images they hold in all.

    Raises:
        UserError: a file cannot be written.
    """
    digits = max(4, len(str(count - 1)))
    with tqdm(total=count, unit="image", disable=count < 200) as bar:
        number = 0
        for batch in batches:
            for image in batch:
                write_png(Path(directory) / f"{number:0{digits}d}.png", image, durable=False)
                number += 1
            bar.update(len(batch))
