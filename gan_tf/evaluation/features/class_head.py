"""A ten-class head on a network's features: softmax regression with an L2 penalty, fitted to labeled training images.

Features are standardized first. An Inception Score depends on how certain the head is, so the penalty is chosen by the
likelihood of labels that the fit has not seen, not by accuracy.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.utils.files import write_arrays
from pipelines.archives import open_arrays
from pipelines.errors import READ_ERRORS, UserError
from pipelines.transforms import pixels_sha256

CLASSES = 10
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""The candidates, from strong to weak; the search ends where the likelihood of the validation part falls."""

_SEED = 2020
_COARSE, _FINE = 1e-4, 1e-6
_RECIPE = (f"scikit-learn: fit 3/5, choose 1/5, held out 1/5, seed {_SEED}", PENALTIES, _COARSE, _FINE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassHead:
    """A linear classifier of features and how well it does.

    Attributes:
        kernel: float64 [d, 10], for unscaled features: standardization is folded in.
        bias: float64 [10].
        penalty: the chosen one.
        fitted: number of images that it was fitted to.
        held_out: number of images that neither the fit nor the choice has seen.
        accuracy: on these, in [0, 1].
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    fitted: int
    held_out: int
    accuracy: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns class logits float64 [n, 10] of features [n, d]."""
        return np.asarray(features, np.float64) @ self.kernel + self.bias

    @property
    def sha256(self) -> str:
        """Digest of kernel and bias; on another machine they may differ in their last digits."""
        return hashlib.sha256(np.ascontiguousarray(np.concatenate([self.kernel.ravel(), self.bias]), "<f8")).hexdigest()


def fit_head(features: np.ndarray, labels: np.ndarray) -> ClassHead:
    """Fits the head: chooses the penalty on three and one fifths, fits on both, measures accuracy on the last fifth.

    Args:
        features: [n, d] of training images.
        labels: integers [n] in 0..9.

    Raises:
        ValueError: a class is missing among the first three fifths.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels, np.int64)
    order = np.random.default_rng(_SEED).permutation(len(features))
    fit, choose, held_out = np.split(order, [len(order) * 3 // 5, len(order) * 4 // 5])
    if len(np.unique(labels[fit])) != CLASSES:
        raise ValueError(f"the head needs images of all {CLASSES} classes")
    both = order[: len(fit) + len(choose)]
    mean, deviation = features[both].mean(axis=0), features[both].std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    features = (features - mean) / scale
    penalty = _choose_penalty(features, labels, fit, choose)
    classifier = _build_classifier(penalty, len(both), _FINE).fit(features[both], labels[both])
    accuracy = float(classifier.score(features[held_out], labels[held_out]))
    kernel = classifier.coef_.T / scale[:, None]
    return ClassHead(kernel, classifier.intercept_ - mean @ kernel, penalty, len(both), len(held_out), accuracy)


def _build_classifier(penalty: float, count: int, tolerance: float) -> Any:
    """Returns scikit-learn's classifier for the mean cross-entropy of ``count`` images plus ``penalty / 2`` ‖kernel‖²."""
    from sklearn.linear_model import LogisticRegression  # imported here since it takes over a second, and few runs need it

    return LogisticRegression(C=1 / (penalty * count), tol=tolerance, max_iter=5000)


def _choose_penalty(features: np.ndarray, labels: np.ndarray, fit: np.ndarray, choose: np.ndarray) -> float:
    """Returns the penalty after which the likelihood of the labels in ``choose`` falls."""
    best, chosen = -np.inf, PENALTIES[0]
    for penalty in PENALTIES:
        classifier = _build_classifier(penalty, len(fit), _COARSE).fit(features[fit], labels[fit])
        log_p = classifier.predict_log_proba(features[choose])
        likelihood = log_p[np.arange(len(choose)), labels[choose]].mean()
        if likelihood <= best:
            break
        best, chosen = likelihood, penalty
    return chosen


def cached_head(
    extractor: FeatureExtractor, images: np.ndarray, labels: np.ndarray, cache: Path, report: Callable[[str], None] = _log.info
) -> ClassHead:
    """Returns ``fit_head`` on the images' features from the cache; fits and stores it if it is not there.

    Args:
        extractor: the network; its names are part of the key, and so are pixels, labels and how the head is fitted.
        images: training images, uint8 [n, height, width, 3].
        labels: integers [n] in 0..9.
        cache: the cache folder. One that cannot be written only causes a warning.
        report: receives a line if the head must be fitted, which takes minutes.
    """
    network = (extractor.name, extractor.weights_sha256, extractor.protocol, extractor.resize, _RECIPE)
    key = (*network, pixels_sha256(images), hashlib.sha256(np.ascontiguousarray(labels, np.uint8)).hexdigest())
    file = cache / "heads" / f"{hashlib.sha256(repr(key).encode()).hexdigest()}.npz"
    head = _read(file)
    if head is None:
        report(f"fitting the head to features of {len(images):,} training images; this takes minutes, once")
        head = fit_head(real_features(extractor, images, cache)[0], labels)
        try:
            write_arrays(file, vars(head))
        except UserError as error:
            _log.warning("the head is not cached: %s", error)
    return head


def _read(file: Path) -> ClassHead | None:
    try:
        with open_arrays(file) as cached:
            head = ClassHead(
                cached["kernel"],
                cached["bias"],
                float(cached["penalty"]),
                int(cached["fitted"]),
                int(cached["held_out"]),
                float(cached["accuracy"]),
            )
    except READ_ERRORS:
        return None
    fits = head.kernel.shape[1:] == head.bias.shape == (CLASSES,)
    return head if fits and np.isfinite(head.kernel).all() and np.isfinite(head.bias).all() else None
