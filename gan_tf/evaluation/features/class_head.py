"""A ten-class head on a network's features: softmax regression with an L2 penalty, fitted to labeled training images.

Features are standardized first. An Inception Score depends on how certain the head is, so the penalty is chosen by the
likelihood of labels that the fit has not seen, not by accuracy.
"""

import hashlib
import logging
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.utils.files import write_arrays
from pipelines.errors import UserError
from pipelines.transforms import pixels_sha256

CLASSES = 10
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""The candidates, from strong to weak; the search ends where the likelihood of the validation part falls."""

_SEED = 2020
_COARSE, _FINE = 1e-4, 1e-6
_RECIPE = (f"fit 3/5, choose 1/5, held out 1/5, seed {_SEED}", PENALTIES, _COARSE, _FINE)

_log = logging.getLogger(__name__)


def cross_entropy(
    parameters: np.ndarray, features: np.ndarray, targets: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """Computes the mean cross-entropy of softmax regression plus ``penalty / 2`` ‖kernel‖², and its gradient.

    Args:
        parameters: kernel [d, classes] and bias [classes], flattened and concatenated; the bias is not penalized.
        features: float64 [n, d].
        targets: float64 [n, classes], one-hot.
        penalty: 0 or more.

    Returns:
        The value, and its gradient in the shape of ``parameters``.
    """
    kernel, bias = _unpack(parameters, targets.shape[1])
    log_p = log_softmax(features @ kernel + bias, axis=1)
    residual = (np.exp(log_p) - targets) / len(features)
    gradient = np.concatenate([(features.T @ residual + penalty * kernel).ravel(), residual.sum(axis=0)])
    return -np.sum(log_p * targets) / len(features) + penalty / 2 * np.sum(kernel**2), gradient


def fit_softmax(
    features: np.ndarray,
    labels: np.ndarray,
    penalty: float,
    *,
    classes: int = CLASSES,
    initial: np.ndarray | None = None,
    tolerance: float = _FINE,
) -> np.ndarray:
    """Minimizes ``cross_entropy`` by L-BFGS, to gradients below ``tolerance``.

    Args:
        features: [n, d], preferably standardized.
        labels: integers [n] in 0..classes - 1.
        penalty: above 0, so that there is one minimum.
        classes: their number.
        initial: flat initial parameters; zeros by default.
        tolerance: of the gradient's largest entry.

    Returns:
        Kernel [d, classes] and bias [classes], flattened and concatenated, float64.
    """
    features = np.asarray(features, np.float64)
    initial = np.zeros((features.shape[1] + 1) * classes) if initial is None else initial
    options = {"gtol": tolerance, "ftol": 0, "maxiter": 5000, "maxfun": 10000, "maxcor": 20}
    arguments = (features, np.eye(classes)[labels], penalty)
    found = minimize(cross_entropy, initial, arguments, jac=True, method="L-BFGS-B", options=options)
    if np.abs(found.jac).max() > 10 * tolerance:
        _log.warning("softmax regression with penalty %g has not converged (%s)", penalty, found.message)
    return found.x


def _unpack(parameters: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    return parameters[:-classes].reshape(-1, classes), parameters[-classes:]


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
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels, np.int64)
    order = np.random.default_rng(_SEED).permutation(len(features))
    fit, choose, held_out = np.split(order, [len(order) * 3 // 5, len(order) * 4 // 5])
    both = order[: len(fit) + len(choose)]
    mean, deviation = features[both].mean(axis=0), features[both].std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    features = (features - mean) / scale
    penalty, initial = _choose_penalty(features, labels, fit, choose)
    kernel, bias = _unpack(fit_softmax(features[both], labels[both], penalty, initial=initial), CLASSES)
    is_correct = (features[held_out] @ kernel + bias).argmax(axis=1) == labels[held_out]
    kernel = kernel / scale[:, None]
    return ClassHead(kernel, bias - mean @ kernel, penalty, len(both), len(held_out), float(is_correct.mean()))


def _choose_penalty(features: np.ndarray, labels: np.ndarray, fit: np.ndarray, choose: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns the penalty after which the likelihood of the labels in ``choose`` falls, and the parameters fitted with it."""
    best = -np.inf
    parameters: np.ndarray | None = None
    for penalty in PENALTIES:
        parameters = fit_softmax(features[fit], labels[fit], penalty, initial=parameters, tolerance=_COARSE)
        kernel, bias = _unpack(parameters, CLASSES)
        log_p = log_softmax(features[choose] @ kernel + bias, axis=1)
        likelihood = log_p[np.arange(len(choose)), labels[choose]].mean()
        if likelihood <= best:
            break
        best, chosen = likelihood, (penalty, parameters)
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
        with np.load(file, allow_pickle=False) as cached:
            head = ClassHead(
                cached["kernel"],
                cached["bias"],
                float(cached["penalty"]),
                int(cached["fitted"]),
                int(cached["held_out"]),
                float(cached["accuracy"]),
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = head.kernel.shape[1:] == head.bias.shape == (CLASSES,)
    return head if fits and np.isfinite(head.kernel).all() and np.isfinite(head.bias).all() else None
