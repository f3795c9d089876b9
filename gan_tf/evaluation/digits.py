"""How well a digit classifier recognizes generated digits, and how far its features of them are from those of real ones.

Inception's features say little about digits, so a Fréchet distance on the classifier's 128 features, ``classifier_fid``,
stands beside the FID. It is this project's own score: compare it only for the same classifier, whose digest is in the
protocol.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_tf.evaluation.features.extractor import FeatureExtractor, extract
from gan_tf.evaluation.image_scores import ImageScoreOptions, RealImages, score_images
from gan_tf.evaluation.scores import ImageSet, Report, Score
from pipelines.errors import UserError
from pipelines.labeled import LabeledImages

if TYPE_CHECKING:
    from gan_tf.evaluation.image_files import SourceImages

_NAME = re.compile(r"([0-9])_.*")


def classify(classifier: FeatureExtractor, images: "np.ndarray | SourceImages") -> np.ndarray:
    """Returns the digits [n] that a classifier sees in images uint8 [n, height, width, 3]."""
    logits = extract(classifier, images)[1]
    assert logits is not None  # a classifier has logits
    return logits.argmax(axis=1)


def accuracy(classifier: FeatureExtractor, images: np.ndarray, labels: np.ndarray) -> float:
    """Returns the fraction of images [n, height, width, 3] that are classified as their labels [n], in [0, 1]."""
    return float(np.mean(classify(classifier, images) == labels))


def requested_digits(files: Iterable[Path]) -> np.ndarray:
    """Returns the digits [n] that file names ``<digit>_….png`` request.

    Raises:
        UserError: a name does not begin with a digit and an underscore.
    """
    names = [Path(file).name for file in files]
    others = [name for name in names if not _NAME.fullmatch(name)]
    if others:
        problem = f"{len(others):,} of {len(names):,} file names request no digit, such as {others[0]!r}"
        raise UserError(problem, "Rename the files to <digit>_<number>.png, such as 7_001.png")
    return np.array([int(name[0]) for name in names])


def digit_scores(
    generated: ImageSet,
    requested: np.ndarray,
    real: RealImages | None,
    classifier: FeatureExtractor,
    seed: int = 2020,
    report: Report = print,
) -> dict[str, Score]:
    """Computes the class-conditional accuracy in percent, that of the worst digit, and ``classifier_fid``.

    Args:
        generated: the images.
        requested: the digit [n] that each image should show.
        real: real digits; None leaves ``classifier_fid`` out.
        classifier: the digit classifier.
        seed: of the halves of the reference for the baseline.
        report: receives what is left out, and why.
    """
    correct = classify(classifier, generated.images) == requested
    protocol = {
        "classifier": classifier.name,
        "classifier_sha256": classifier.weights_sha256,
        "generated": generated.name,
        "images": len(requested),
    }
    worst = min((float(correct[requested == digit].mean()), int(digit)) for digit in np.unique(requested))
    scores = {
        "class_conditional_accuracy": Score(100 * float(correct.mean()), protocol),
        "class_conditional_accuracy_worst": Score(100 * worst[0], protocol | {"digit": str(worst[1])}),
    }
    if real is not None:
        options = ImageScoreOptions(metrics=("fid",), seed=seed)
        distances = score_images(generated, RealImages(real.reference), classifier, options, report=report)
        scores |= {f"classifier_{name}": score for name, score in distances.items()}
    return scores


def labeled_scores(data_sets: Iterable[LabeledImages], classifier: FeatureExtractor) -> dict[str, Score]:
    """Computes ``<name>_accuracy`` in percent for each data set."""
    scores = {}
    for data_set in data_sets:
        protocol = {
            "classifier": classifier.name,
            "classifier_sha256": classifier.weights_sha256,
            "images": len(data_set),
            "data": data_set.name,
            "data_sha256": data_set.digest,
        }
        value = 100 * accuracy(classifier, data_set.images, data_set.labels)
        scores[f"{data_set.name}_accuracy"] = Score(value, protocol)
    return scores
