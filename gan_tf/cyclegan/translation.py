"""Uses exported generators: translates images of any size, and files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from gan_tf.cyclegan.config import DIRECTIONS, SIZE_FACTOR, CycleGanInferOptions
from gan_tf.utils.files import require_space
from gan_tf.utils.images import empty_image_dir, require_own_image, to_uint8, write_png
from gan_tf.utils.memory import available_memory
from pipelines.decode import UnreadableImage, decode, read_bytes, read_size
from pipelines.errors import UserError, counted
from pipelines.image_listing import list_images
from pipelines.transforms import normalize

_SMALLEST = 2 * SIZE_FACTOR  # a generator reflects pixels where the image has a quarter of its size
_MAX_NAMED = 5  # files that a message names
_BYTES_PER_PIXEL = 24  # of working memory for each channel next to the image; 13 to 19 were measured


class ImageTranslator:
    """Exported generators, ready for use.

    Args:
        networks: "generator_ab" and "generator_ba", from images in [-1, 1] to images in [-1, 1].
        hidden_dim: their channels next to the image, on which their memory depends.
    """

    def __init__(self, networks: Mapping[str, keras.Model], hidden_dim: int):
        self.hidden_dim = hidden_dim
        names = ("generator_ab", "generator_ba")
        self._generators = {key: _as_function(networks[name]) for key, name in zip(DIRECTIONS, names, strict=True)}

    def translate(self, image: np.ndarray, direction: str = "AtoB") -> np.ndarray:
        """Translates one image.

        Args:
            image: uint8 ``[height, width, 3]`` of any size.
            direction: "AtoB" or "BtoA".

        Returns:
            uint8 of the same shape. Where the size does not suit the generators, the image is extended by reflection for them.

        Raises:
            ValueError: another type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an image must be uint8 [height, width, 3], not {image.dtype} {list(image.shape)}")
        height, width, _ = image.shape
        (top, bottom), (left, right) = _margins(height), _margins(width)
        padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), "reflect")
        translated = to_uint8(self._generators[direction](normalize(padded[None]))[0])
        return translated[top : top + height, left : left + width]

    def translate_all(self, images: Sequence[np.ndarray] | np.ndarray, direction: str) -> np.ndarray:
        """Returns the translations of images of one size, uint8 ``[n, height, width, 3]``."""
        return np.stack([self.translate(image, direction) for image in tqdm(images, unit="image", disable=len(images) < 200)])

    def largest_side(self) -> int:
        """Returns the side of the largest square image whose translation fits the memory that is available now."""
        return int((available_memory() / (_BYTES_PER_PIXEL * self.hidden_dim)) ** 0.5)


def translate_files(translator: ImageTranslator, options: CycleGanInferOptions) -> None:
    """Translates an image, or all images of a folder, as PNG files of the same names.

    Raises:
        UserError: an image is too large for the memory, none can be read, or an output cannot be written.
    """
    assert options.source is not None  # argparse requires both
    assert options.out is not None
    files = plan_files(options.source, options.out)
    unreadable, num_pixels = _check_sizes(list(files), options.max_size, translator.largest_side())
    if len(unreadable) == len(files):
        raise UserError(f"No image in {options.source} can be read: {_name_first(unreadable)}", "Copy the images again")
    folder = options.out if options.source.is_dir() else options.out.parent
    require_space(folder, num_pixels * 3 // 2, counted(len(files), "translation"))  # PNG files of half of their pixels
    if options.source.is_dir():
        empty_image_dir(options.out, options.overwrite)
    elif not options.overwrite and options.out.exists():
        raise UserError(f"{options.out} exists already", "Name another file, or add --overwrite")
    else:
        require_own_image(options.out)
    known = {error.path for error in unreadable}
    for path, target in tqdm(files.items(), unit="image", disable=len(files) < 20):
        if path in known:
            continue
        try:
            image = decode(path)
        except UnreadableImage as error:
            unreadable.append(error)
            continue
        write_png(target, translator.translate(_shrink(image, options.max_size), options.direction), durable=False)
    count = len(files) - len(unreadable)
    print(f"{options.out}: {counted(count, 'image')} translated {options.direction}")
    if unreadable:
        print(f"left out: {counted(len(unreadable), 'unreadable file')}: {_name_first(unreadable)}")


def plan_files(source: Path, out: Path) -> dict[Path, Path]:
    """Returns for each image below ``source``, or for the one image, where its translation is written.

    Raises:
        UserError: there is no image, two would have the same name, or one of the folders lies in the other.
    """
    if not source.is_dir():
        return {source: out}
    first, second = (Path(os.path.realpath(path)) for path in (source, out))  # unlike resolve(), this takes links in a circle
    if first == second or first in second.parents or second in first.parents:
        raise UserError(f"{out} and {source} must be separate folders", "Name another folder for the translations")
    targets: dict[Path, Path] = {}
    for path in list_images(source):
        target = out / path.relative_to(source).with_suffix(".png")
        other = targets.setdefault(target, path)
        if other is not path:
            problem = f"{other.name} and {path.name} in {path.parent} would both be written as {target.name}"
            raise UserError(problem, "Rename one of them")
    return {path: target for target, path in targets.items()}


def _check_sizes(paths: Sequence[Path], max_size: int | None, largest: int) -> tuple[list[UnreadableImage], int]:
    """Checks by the headers of files that each image fits the memory; returns those that cannot be read, and all pixels."""
    unreadable, num_pixels = [], 0
    for path in paths:
        try:
            height, width = read_size(read_bytes(path), path)
        except UnreadableImage as error:
            unreadable.append(error)
            continue
        height, width = _shrunken_size(height, width, max_size)
        num_pixels += height * width
        if height * width > largest**2:
            possible = SIZE_FACTOR * int(largest * max(height, width) / (height * width) ** 0.5 / SIZE_FACTOR)
            problem = f"{path} has {width}x{height} pixels, which the free memory is too small for"
            raise UserError(problem, f"Add --max-size {possible}, which shrinks it")
    return unreadable, num_pixels


def _shrink(image: np.ndarray, max_size: int | None) -> np.ndarray:
    """Returns the image, shrunken (Lanczos) so that its longer side has at most ``max_size`` pixels."""
    height, width = _shrunken_size(image.shape[0], image.shape[1], max_size)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _shrunken_size(height: int, width: int, max_size: int | None) -> tuple[int, int]:
    longer = max(height, width)
    if max_size is None or longer <= max_size:
        return height, width
    return max(1, round(height * max_size / longer)), max(1, round(width * max_size / longer))


def _margins(size: int) -> tuple[int, int]:
    """Returns by how many pixels a side is extended at both its ends."""
    extra = max(_SMALLEST, -(-size // SIZE_FACTOR) * SIZE_FACTOR) - size
    return extra // 2, extra - extra // 2


def _as_function(network: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """Returns the network as one graph for images of all sizes."""
    signature = tf.TensorSpec([1, None, None, 3], tf.float32)
    return tf.function(lambda images: network(images, training=False), input_signature=[signature], autograph=False)


def _name_first(errors: Sequence[UnreadableImage]) -> str:
    more = len(errors) - _MAX_NAMED
    return ", ".join(str(error) for error in errors[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
