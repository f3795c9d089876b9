"""Reads splits that tensorflow-datasets has prepared, image by image, with this program's own decoder.

An example's image is taken as it is encoded in the file, so that images of tensorflow-datasets are seen as those of
folders are. A split is read once, in the order of its files, and held as decoded pixels: TFRecord files have no access by
index.
"""

import contextlib
import itertools
import logging
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pipelines.boxed_images import Box, cut_square
from pipelines.collect import collect_rows
from pipelines.decode import UnreadableImage, decode_bytes
from pipelines.errors import UserError
from pipelines.formats.mnist import resize
from pipelines.formats.tfds import ALL, TfdsSample
from pipelines.image_array import ImageArray
from pipelines.labeled import LabeledImages
from pipelines.source import Source

_EXAMPLES_PER_BATCH = 512
_NODE = re.compile(r"\{\{.*?\}\} ?")  # the place in a graph, in messages of TensorFlow
_MAX_NAMED = 5  # damaged examples that a message names
_BOX_DIGITS = 3  # of pixels: boxes are stored as fractions in float32, which hides the whole pixels that they were


def find_builder(name: str, data_dir: Path | None) -> tfds.core.DatasetBuilder:
    """Returns what reads a data set that has been prepared; nothing is downloaded.

    Args:
        name: as ``tfds.load`` takes it.
        data_dir: the folder of prepared data sets; None takes tensorflow-datasets' own.

    Raises:
        UserError: tensorflow-datasets knows no such data set, it has not been prepared there, or what describes it is damaged.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"There is no folder {data_dir}, where tfds:{name} should be", "Correct the folder behind the @")
    try:
        with _without_warnings():
            builder = tfds.builder(name, data_dir=data_dir)
            is_prepared = builder.is_prepared()
    except tfds.core.DatasetNotFoundError as error:
        problem = f"tensorflow-datasets has no data set {name.partition('/')[0]!r}"
        raise UserError(problem, "Choose one from https://www.tensorflow.org/datasets/catalog, or name a folder") from error
    except Exception as error:  # among others of classes that tensorflow-datasets makes when it raises
        damaged = _find_description(name, data_dir)
        if damaged is not None:
            problem = f"{damaged}, which describes the data set, cannot be read ({type(error).__name__})"
            raise UserError(problem, f"Remove {damaged.parent}, and prepare the data set again") from error
        if not isinstance(error, ValueError | AssertionError):  # an unknown configuration; an unknown version
            raise
        raise UserError(f"tensorflow-datasets has no {name!r} ({_reason(error)})", "Correct the name") from error
    if not is_prepared:
        place = "" if data_dir is None else f", data_dir={str(data_dir)!r}"
        problem = f"The data set {name} of tensorflow-datasets has not been prepared: there is no {builder.data_path}"
        hint = 'Download and prepare it once by: python -c "import tensorflow_datasets as tfds; '
        hint += f'tfds.builder({name!r}{place}).download_and_prepare()"; or name the folder that has it by tfds:{name}@DIR'
        raise UserError(problem, hint)
    return builder


def _find_description(name: str, data_dir: Path | None) -> Path | None:
    """Returns the file that describes a prepared data set, whatever it holds; None if there is none.

    Args:
        name: as ``tfds.load`` takes it, ``NAME[/CONFIG][:VERSION]``.
        data_dir: the folder of prepared data sets; None takes tensorflow-datasets' own.
    """
    folder, _, version = name.partition(":")
    place = Path(tfds.core.constants.DATA_DIR if data_dir is None else data_dir) / folder
    found = sorted(place.glob(f"**/{version or '*'}/dataset_info.json"))
    return found[-1] if found else None


def open_split(
    builder: tfds.core.DatasetBuilder, split: str, sample: TfdsSample, memory_budget: int, limit: int | None = None
) -> Source:
    """Reads one split as a source, with labels where ``sample`` has them.

    Damaged images and boxes without area are counted, named and left out.

    Args:
        builder: as ``find_builder`` returns it.
        split: its name, or ``ALL``.
        sample: what an example becomes.
        memory_budget: bytes of decoded images that may be held in memory; more are kept in a temporary file.
        limit: read only the first so many examples; None reads all.

    Raises:
        UserError: the data set lacks the split, or what ``sample`` needs, or its files are damaged.
    """
    if split != ALL and split not in builder.info.splits:
        problem = f"{builder.info.name} has no split {split!r}, but {', '.join(builder.info.splits) or 'none'}"
        raise UserError(problem, "Name another data set")
    shape = (sample.size, sample.size, sample.channels)
    with _without_warnings():
        reader = _SplitReader(builder, split, sample, limit)
        images = collect_rows(reader.read(), shape, memory_budget)
    if not len(images):
        first = f": {reader.describe_faults()}" if reader.faults else " (it is empty)"
        raise UserError(f"No example of split {split!r} of {builder.info.name} is usable{first}", "Prepare the data set again")
    name = builder.info.full_name.rpartition("/")[0].replace("/", "-")  # without the version
    source: ImageArray | LabeledImages
    if sample.num_classes:
        source = LabeledImages(images, np.array(reader.labels), name, split)
    else:
        source = ImageArray(images, name, split)
    source.note = reader.note
    return source


class _SplitReader:
    """One pass over a split.

    Attributes:
        labels: of the samples that were read.
        faults: what was left out, in words.
        note: what was noticed, in words.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, sample: TfdsSample, limit: int | None):
        self._builder, self._split, self._sample, self._limit = builder, split, sample, limit
        self._image_key = _find_image(builder, sample)
        self._has_boxes = sample.boxes and _has_boxes(builder.info.features)
        if sample.num_classes:
            _check_labels(builder, sample.num_classes)
        self._num_examples = 0
        self.labels: list[int] = []
        self.faults: list[str] = []

    def read(self) -> Iterator[np.ndarray]:
        """Yields the samples in batches, uint8 [n, size, size, channels]."""
        numbered = enumerate(self._examples())
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
            while batch := list(itertools.islice(numbered, _EXAMPLES_PER_BATCH)):
                images = []
                for (_, example), (found, faults) in zip(batch, pool.map(self._samples, batch), strict=True):
                    images += found
                    self.faults += faults
                    if self._sample.num_classes:
                        self.labels += [int(example["label"])] * len(found)
                self._num_examples += len(batch)
                if images:
                    yield np.stack(images)

    @property
    def note(self) -> str:
        """What was read, and what was left out."""
        words = f"{self._builder.info.full_name} of tensorflow-datasets, split {self._split}"
        if self._limit is not None:
            words += f", the first {self._num_examples:,} examples"
        if self._has_boxes:
            words += f"; the boxes of {self._num_examples:,} images"
        return words + (f"; {len(self.faults):,} left out: {self.describe_faults()}" if self.faults else "")

    def describe_faults(self) -> str:
        """Returns the first things that were left out, and how many more there are."""
        more = len(self.faults) - _MAX_NAMED
        return "; ".join(self.faults[:_MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")

    def _examples(self) -> Iterator[Mapping[str, Any]]:
        """Yields the examples with encoded images, in the order of the files."""
        keys: dict[str, Any] = {self._image_key: True}
        keys |= {"label": True} if self._sample.num_classes else {}
        keys |= {"objects": {"bbox": True}} if self._has_boxes else {}
        decoders = tfds.decode.PartialDecoding(keys, decoders={self._image_key: tfds.decode.SkipDecoding()})
        config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
        try:
            examples = self._builder.as_dataset(split=self._split, decoders=decoders, read_config=config)
            yield from tfds.as_numpy(examples if self._limit is None else examples.take(self._limit))
        except tf.errors.OpError as error:
            problem = f"The files of split {self._split!r} in {self._builder.data_path} are damaged ({_reason(error)})"
            raise UserError(problem, "Remove that folder, and prepare the data set again") from error
        except NotImplementedError as error:
            problem = f"{self._builder.data_path} holds files of another format than TFRecord"
            raise UserError(problem, "Prepare the data set again, with file_format='tfrecord'") from error

    def _samples(self, numbered: tuple[int, Mapping[str, Any]]) -> tuple[list[np.ndarray], list[str]]:
        """Returns the samples of an example, and what is wrong with it, in words."""
        number, example = numbered
        data, size, channels = example[self._image_key], self._sample.size, self._sample.channels
        where = Path(f"example {number}")
        try:
            if self._has_boxes:
                return _cut_boxes(decode_bytes(data, where).pixels, example["objects"]["bbox"], size, where)
            if self._sample.stretch:
                return [resize(decode_bytes(data, where, None, channels).pixels[None], size)[0]], []
            return [decode_bytes(data, where, size, channels).pixels], []
        except UnreadableImage as error:
            return [], [str(error)]


def _cut_boxes(pixels: np.ndarray, all_corners: np.ndarray, size: int, where: Path) -> tuple[list[np.ndarray], list[str]]:
    """Returns the squares of an image's boxes, fractions [n, 4], and what is wrong with the boxes, in words."""
    if not len(all_corners):
        return [], [f"{where}: no box"]
    boxes = [_to_box(corners, pixels) for corners in all_corners]
    faults = [f"{where}: a box without area" for box in boxes if box is None]
    return [cut_square(pixels, box, size) for box in boxes if box is not None], faults


def _to_box(corners: np.ndarray, pixels: np.ndarray) -> Box | None:
    """Returns a box in pixels from its fractions ymin, xmin, ymax, xmax; None if it has no area in the image."""
    height, width, _ = pixels.shape
    top, left, bottom, right = (
        round(min(max(float(fraction), 0.0), 1.0) * side, _BOX_DIGITS)
        for fraction, side in zip(corners, (height, width, height, width), strict=True)
    )
    return Box(left, top, right, bottom, width, height) if left < right and top < bottom else None


def _find_image(builder: tfds.core.DatasetBuilder, sample: TfdsSample) -> str:
    """Returns the name of the feature with the image, which must fit."""
    images = {name: feature for name, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)}
    name = "image" if "image" in images else next(iter(images), None)
    if name is None or (len(images) > 1 and name != "image"):
        found = ", ".join(builder.info.features)
        raise UserError(f"{builder.info.name} has not one image in each example, but {found}", "Name another data set")
    shape, dtype = images[name].shape, np.dtype(images[name].np_dtype)
    if dtype != np.uint8 or (sample.channels == 1 and shape[-1] not in (1, None)):
        problem = f"{builder.info.name} has {dtype} images of {_format_shape(shape)}, but this task takes uint8 images of "
        problem += _format_shape((sample.size, sample.size, sample.channels))
        raise UserError(problem, "Name another data set, or another task")
    return name


def _has_boxes(features: tfds.features.FeaturesDict) -> bool:
    objects = dict(features.items()).get("objects")
    return isinstance(objects, tfds.features.Sequence) and "bbox" in objects.feature


def _check_labels(builder: tfds.core.DatasetBuilder, num_classes: int) -> None:
    label = dict(builder.info.features.items()).get("label")
    if not isinstance(label, tfds.features.ClassLabel) or label.num_classes != num_classes:
        found = f"{label.num_classes} classes" if isinstance(label, tfds.features.ClassLabel) else "no labels"
        problem = f"{builder.info.name} has {found}, but this task takes images with labels of {num_classes} classes"
        raise UserError(problem, "Name another data set")


def _format_shape(shape: tuple[int | None, ...]) -> str:
    """Returns width x height x channels, with "any" for what varies."""
    height, width, channels = ("any" if number is None else str(number) for number in shape)
    return f"{width}x{height}x{channels}"


def _reason(error: Exception) -> str:
    """Returns the first sentence of an error, without the context that tensorflow-datasets puts before it."""
    sentence = str(error).split("\n")[0].rpartition('}": ')[2].partition(". ")[0]
    return _NODE.sub("", sentence).strip(" .")


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences warnings of tensorflow-datasets about its own code, and about missing data sets, which an error says better."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
