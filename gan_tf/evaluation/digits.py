"""The digit judge: this project's own reader tells which digit a picture shows, and its features measure a distance.

Inception's features say little about digits, so a Fréchet distance on the reader's 128 features, ``reader_fid``, stands
beside the FID. It is this project's own measure: compare it only with the same weights' (their digest is in the protocol).
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gan_tf.evaluation.features.extractor import check_images, extract
from gan_tf.evaluation.scores import Images, Score
from pipelines.errors import InputError

CHUNK = 256
"""Images in one call of the network; the last call is filled up, so that no value depends on how many there are."""
SIZE = 28
NAME = re.compile(r"([0-9])_.*")


class Reader:
    """The reader behind the interface of ``features.Extractor``; use ``load_reader``."""

    name = "gan_tf-digit-reader"
    protocol = "reader"
    resize = "28x28 as they are, else bilinear with antialiasing; x/127.5 - 1"
    has_logits = True
    warning = None

    def __init__(self, network, weights_sha256: str):
        import tensorflow as tf

        self.weights_sha256 = weights_sha256

        @tf.function(input_signature=[tf.TensorSpec([CHUNK, None, None, 3], tf.uint8)])
        def apply(images):
            resized = tf.image.resize(images, (SIZE, SIZE), antialias=True)
            return network(resized / 127.5 - 1.0, training=False)

        self._apply = apply

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [n, 128] and logits [n, 10] of images uint8 [n, height, width, 3].

        Raises:
            InputError: other shapes or types.
        """
        check_images(images)
        parts = []
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            filled = np.zeros((CHUNK, *images.shape[1:]), np.uint8)
            filled[: len(chunk)] = chunk
            parts.append([output.numpy()[: len(chunk)] for output in self._apply(filled)])
        features, logits = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
        return features, logits

    def read(self, images: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """The digits [n] that images uint8 [n, height, width, 3] show."""
        return extract(self, images)[1].argmax(axis=1)


def load_reader(folder: Path | None = None) -> Reader:
    """The shipped reader, or the one of a run.

    Raises:
        InputError: there are no weights, or those of something else.
    """
    from gan_tf import export
    from gan_tf.classifier.networks import build_reader
    from gan_tf.options import ReaderSettings

    folder = export.shipped("reader", "reader") if folder is None else Path(folder)
    network, _ = export.load(folder, "reader", ReaderSettings, lambda settings: build_reader((SIZE, SIZE, 3), settings.hidden))
    numbers = hashlib.sha256()
    for values in network.get_weights():
        numbers.update(np.ascontiguousarray(values, "<f4"))
    return Reader(network, numbers.hexdigest())


def accuracy(reader: Reader, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images [n, height, width, 3] that are read as their labels [n] say, in [0, 1]."""
    return float(np.mean(reader.read(images) == labels))


def asked_digits(files: Iterable[Path]) -> np.ndarray:
    """The digits [n] that the names ``<digit>_….png`` ask for.

    Raises:
        InputError: a name begins with no digit and underscore.
    """
    names = [Path(file).name for file in files]
    odd = [name for name in names if not NAME.fullmatch(name)]
    if odd:
        given = f"{len(odd):,} of {len(names):,} names ask for no digit, such as {odd[0]!r}"
        raise InputError(given, "names <digit>_<number>.png, such as 7_001.png", "rename the files")
    return np.array([int(name[0]) for name in names])


def read_as_asked(folder: str | Path, reader: Reader | None = None) -> float:
    """Share of the pictures ``<digit>_….png`` below a folder in which the reader sees the digit asked for, in [0, 1].

    Raises:
        InputError: there are no pictures, one is damaged or of another size, or a name asks for no digit.
    """
    from gan_tf.evaluation.image_files import read_folder

    pictures = read_folder(folder).parts
    asked = asked_digits(pictures.files)
    return float(np.mean((reader or load_reader()).read(pictures) == asked))


def digit_scores(
    generated: Images, asked: np.ndarray | None, reference: Images | None = None, reader: Reader | None = None, seed: int = 2020
) -> dict[str, Score]:
    """``read_as_asked`` in percent, the same of the least well read digit, and ``reader_fid`` where there is a reference.

    Args:
        generated: held as one array.
        asked: the digit [n] that each picture should show.
        reference: real digits, held as one array.
        reader: by default the shipped one.
        seed: of the draw of the floor's halves.

    Raises:
        InputError: nothing says which digits were asked for, or the reader's weights are missing.
    """
    if asked is None:
        given = f"nothing says which digits {generated.name} should show"
        raise InputError(given, "pictures named <digit>_<number>.png", "name their folder by --images")
    reader = reader or load_reader()
    right = reader.read(generated.parts) == asked
    protocol = {"judge": reader.name, "reader_sha256": reader.weights_sha256, "generated": generated.name, "images": len(asked)}
    least = min((float(right[asked == digit].mean()), int(digit)) for digit in np.unique(asked))
    scores = {
        "read_as_asked": Score(100 * float(right.mean()), protocol),
        "read_as_asked_least": Score(100 * least[0], protocol | {"digit": str(least[1])}),
    }
    if reference is not None:
        from gan_tf.evaluation.image_scores import score_images

        scores["reader_fid"] = score_images(generated, reference, reader, measures=("fid",), seed=seed)["fid"]
    return scores


def labelled_scores(sets: Iterable, reader: Reader) -> dict[str, Score]:
    """``<name>_accuracy`` in percent of each set of ``pipelines.labelled.Labelled``."""
    return {
        f"{part.name}_accuracy": Score(
            100 * accuracy(reader, part.images, part.labels),
            {
                "reader": reader.name,
                "reader_sha256": reader.weights_sha256,
                "images": len(part),
                "data": part.name,
                "data_sha256": part.digest,
            },
        )
        for part in sets
    }
