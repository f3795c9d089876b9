"""Images as uint8 arrays and PNG files, each of which is written whole or not at all."""

import io
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from gan_tf.utils.files import LEFTOVERS, file_errors, require_space, write_atomic
from pipelines.errors import UserError

SOFTWARE_KEY, SOFTWARE = "Software", "gan_tf"
"""What stands in the metadata of images that this program writes; the key is one of the PNG specification."""

_BLOCK = 4096  # bytes; what the smallest file takes on most file systems


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts floats in [-1, 1] to uint8, rounded to the nearest level; values outside are clipped."""
    return np.clip(np.rint((np.asarray(images) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def to_rgb(images: np.ndarray) -> np.ndarray:
    """Returns images ``[..., channels]`` with three channels; a gray one is repeated."""
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def tile_images(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Tiles uint8 ``[n, h, w, c]`` row by row into ``[rows * h, columns * w, c]``; missing tiles are black."""
    n, height, width, channels = images.shape
    tiles = np.zeros((rows * columns, height, width, channels), np.uint8)
    tiles[: min(n, rows * columns)] = images[: rows * columns]
    rows_first = tiles.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return rows_first.reshape(rows * height, columns * width, channels)


def split_tiles(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the tiles of an image row by row, uint8 ``[rows * columns, size, size, c]``: the inverse of ``tile_images``.

    Args:
        image: uint8 ``[rows * size, columns * size, c]``.
        size: height and width of a tile.

    Raises:
        ValueError: the image's size is not a multiple of ``size``.
    """
    height, width, channels = image.shape
    if height % size or width % size:
        raise ValueError(f"an image of {width}x{height} pixels cannot be divided into tiles of {size}x{size}")
    tiles = image.reshape(height // size, size, width // size, size, channels).swapaxes(1, 2)
    return tiles.reshape(-1, size, size, channels)


def write_png(path: Path, image: np.ndarray, durable: bool = True) -> None:
    """Writes uint8 ``[h, w, 3]`` or ``[h, w, 1]`` as a PNG file, with the same bytes for the same pixels.

    Its metadata name this program, by which ``is_own_image`` recognizes it.

    Raises:
        UserError: it cannot be written.
    """
    data, metadata = io.BytesIO(), PngInfo()
    metadata.add_text(SOFTWARE_KEY, SOFTWARE)
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(data, "PNG", pnginfo=metadata)
    write_atomic(Path(path), data.getvalue(), durable)


def is_own_image(path: Path) -> bool:
    """Returns whether a file is an image that ``write_png`` wrote; a link to one is not."""
    if path.is_symlink() or not path.is_file():  # opening a pipe would wait
        return False
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.info.get(SOFTWARE_KEY) == SOFTWARE
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # no PNG file, or an enormous one
        return False


def require_own_image(path: Path) -> None:
    """Checks that there is no file at ``path`` yet, or that it is an image of this program, which may be replaced.

    Raises:
        UserError: there is another file.
    """
    if os.path.lexists(path) and not is_own_image(path):
        raise UserError(f"{path} exists already, and gan_tf has not written it", "Name another file, or remove it")


def require_image_space(directory: Path, count: int, image_shape: Sequence[int]) -> None:
    """Checks that ``count`` PNG files fit on the disk of ``directory``, each of half as many bytes as its pixels or one block.

    Raises:
        UserError: they do not fit, or nothing can be written there.
    """
    require_space(directory, count * max(_BLOCK, math.prod(image_shape) // 2), f"{count:,} images")


def empty_image_dir(directory: Path, overwrite: bool) -> None:
    """Makes sure that a directory is empty, so that images that are written into it do not mix with others.

    What a killed process has not finished there is removed too, but only once nothing is refused: the folder may be that of a
    run, whose training is writing right now.

    Args:
        directory: may not exist yet.
        overwrite: whether to remove images that this program wrote there, and folders that hold nothing else.

    Raises:
        UserError: it is a file, it holds files, or without being overwritten images of this program.
    """
    if not directory.is_dir():
        if os.path.lexists(directory):
            raise UserError(f"{directory} is not a folder", "Name another folder for the images")
        return
    entries = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    if entries and not overwrite:
        hint = "Name another folder, or add --overwrite, which removes the images that gan_tf wrote there"
        raise UserError(f"{directory} is not empty, and images in it would mix with the new ones", hint)
    other = next((path for entry in entries if (path := _find_other(entry)) is not None), None)
    if other is not None:
        problem = f"{directory} holds files that gan_tf has not written, such as {other.relative_to(directory)}"
        raise UserError(problem, "Name another folder, or move them away")
    with file_errors(directory):
        for entry in [*directory.glob(LEFTOVERS), *entries]:
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _find_other(path: Path) -> Path | None:
    """Returns a file or an empty folder that this program has not written, at ``path`` or below it; None without any."""
    if path.match(LEFTOVERS):
        return None
    if path.is_symlink() or not path.is_dir():
        return None if is_own_image(path) else path
    children = sorted(path.iterdir())
    found = (_find_other(child) for child in children)
    return next((other for other in found if other is not None), None) if children else path


def write_images(directory: Path, batches: Iterable[np.ndarray], count: int, first: int = 0, prefix: str = "") -> None:
    """Writes images as 0000.png, 0001.png, … (with more digits if the last number has more); see ``write_named_images``.

    Args:
        directory: created if it does not exist.
        batches: uint8 ``[n, h, w, c]``.
        count: how many images they hold in all.
        first: number of the first image.
        prefix: what stands before the number.
    """
    digits = max(4, len(str(first + count - 1)))
    names = [f"{prefix}{number:0{digits}d}.png" for number in range(first, first + count)]
    write_named_images(directory, batches, names)


def write_named_images(directory: Path, batches: Iterable[np.ndarray], names: Sequence[str]) -> None:
    """Writes images as PNG files.

    Args:
        directory: created if it does not exist.
        batches: uint8 ``[n, h, w, c]``.
        names: of the files, one for each image.

    Raises:
        UserError: a file cannot be written.
    """
    remaining = iter(names)
    with tqdm(total=len(names), unit="image", disable=len(names) < 200) as bar:
        for batch in batches:
            for image in batch:
                write_png(Path(directory) / next(remaining), image, durable=False)
            bar.update(len(batch))
