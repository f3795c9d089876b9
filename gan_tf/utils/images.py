"""Pictures on disk: single images and grids, written whole or not at all."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from gan_tf.utils.files import write_whole


def grid(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Tiles ``[n, h, w, c]`` uint8 row by row into ``[rows * h, columns * w, c]``; missing tiles are black."""
    n, height, width, channels = images.shape
    tiles = np.zeros((rows * columns, height, width, channels), np.uint8)
    tiles[: min(n, rows * columns)] = images[: rows * columns]
    rows_first = tiles.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return rows_first.reshape(rows * height, columns * width, channels)


def write_png(path: Path, image: np.ndarray, durable: bool = True) -> None:
    """Writes ``[h, w, 3]`` or ``[h, w, 1]`` uint8 as PNG: the same bytes for the same pixels."""
    data = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(data, "PNG")
    write_whole(Path(path), data.getvalue(), durable)


def write_images(folder: Path, chunks: Iterable[np.ndarray], count: int) -> None:
    """Writes ``count`` images as 0000.png, 0001.png, … (more digits where there are more than 10,000)."""
    digits = max(4, len(str(count - 1)))
    with tqdm(total=count, unit="image", disable=count < 200) as bar:
        n = 0
        for chunk in chunks:
            for image in chunk:
                write_png(Path(folder) / f"{n:0{digits}d}.png", image, durable=False)
                n += 1
            bar.update(len(chunk))
