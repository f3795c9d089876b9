"""A ten-class head on a network's features: softmax regression with an L2 penalty, fitted to labeled training images.

Features are standardised first. An Inception Score by the head leans on how certain it is, so the penalty is chosen by
the likelihood of labels that the fit hasn't seen, not by accuracy. Only NumPy and SciPy.
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
from pipelines.errors import InputError
from pipelines.transforms import pixels_sha256

CLASSES = 10
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""What the penalty is chosen from, from strong to weak, until the likelihood of the choosing part worsens."""

_SEED = 2020
_ROUGH, _FINE = 1e-4, 1e-6
_RECIPE = (f"fit 3/5, choose 1/5, held out 1/5, seed {_SEED}", PENALTIES, _ROUGH, _FINE)

_log = logging.getLogger(__name__)


def cross_entropy(numbers: np.ndarray, features: np.ndarray, targets: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
    """Mean cross-entropy of softmax regression with ``penalty / 2`` times the kernel's squared norm, and its gradient.

    Args:
        numbers: kernel [d, classes] and bias [classes], flat and one after the other; the bias is not penalised.
        features: float64 [n, d].
        targets: float64 [n, classes], a one in each row.
        penalty: 0 or more.

    Returns:
        The value, and its gradient in the shape of ``numbers``.
    """
    kernel, bias = _unpacked(numbers, targets.shape[1])
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
    start: np.ndarray | None = None,
    tolerance: float = _FINE,
) -> np.ndarray:
    """The minimum of `cross_entropy` by L-BFGS, to gradients below ``tolerance``.

    Args:
        features: [n, d], best standardised.
        labels: integers [n] in 0..classes - 1.
        penalty: above 0, so that there is one minimum.
        classes: how many there are.
        start: flat numbers to begin with; by default zeros.
        tolerance: of the gradient's largest entry.

    Returns:
        Kernel [d, classes] and bias [classes], flat and one after the other, float64.
    """
    features = np.asarray(features, np.float64)
    start = np.zeros((features.shape[1] + 1) * classes) if start is None else start
    options = {"gtol": tolerance, "ftol": 0, "maxiter": 5000, "maxfun": 10000, "maxcor": 20}
    arguments = (features, np.eye(classes)[labels], penalty)
    found = minimize(cross_entropy, start, arguments, jac=True, method="L-BFGS-B", options=options)
    if np.abs(found.jac).max() > 10 * tolerance:
        _log.warning("softmax regression with penalty %g has not converged (%s)", penalty, found.message)
    return found.x


def _unpacked(numbers: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    return numbers[:-classes].reshape(-1, classes), numbers[-classes:]


@dataclass(frozen=True)
class ClassHead:
    """A linear classifier of features and how well it does.

    Attributes:
        kernel: float64 [d, 10], for features as they come: the standardising is folded in.
        bias: float64 [10].
        penalty: the one that was chosen.
        fitted: how many images it was fitted to.
        held_out: how many images neither the fit nor the choice has seen.
        accuracy: share of these that it gets right, in [0, 1].
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    fitted: int
    held_out: int
    accuracy: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Class logits float64 [n, 10] of features [n, d]."""
        return np.asarray(features, np.float64) @ self.kernel + self.bias

    @property
    def sha256(self) -> str:
        """Digest of kernel and bias; on another machine the same head may differ in its last digits, and so in this."""
        return hashlib.sha256(np.ascontiguousarray(np.concatenate([self.kernel.ravel(), self.bias]), "<f8")).hexdigest()


def fit_head(features: np.ndarray, labels: np.ndarray) -> ClassHead:
    """Fits the head: the penalty on three and one fifth of the images, the rest on both, its accuracy on the last fifth.

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
    penalty, near = _chosen_penalty(features, labels, fit, choose)
    kernel, bias = _unpacked(fit_softmax(features[both], labels[both], penalty, start=near), CLASSES)
    right = (features[held_out] @ kernel + bias).argmax(axis=1) == labels[held_out]
    kernel = kernel / scale[:, None]
    return ClassHead(kernel, bias - mean @ kernel, penalty, len(both), len(held_out), float(right.mean()))


def _chosen_penalty(features: np.ndarray, labels: np.ndarray, fit: np.ndarray, choose: np.ndarray) -> tuple[float, np.ndarray]:
    """The penalty after which the likelihood of the labels in ``choose`` falls, and the numbers fitted with it."""
    best, chosen, numbers = -np.inf, None, None
    for penalty in PENALTIES:
        numbers = fit_softmax(features[fit], labels[fit], penalty, start=numbers, tolerance=_ROUGH)
        kernel, bias = _unpacked(numbers, CLASSES)
        log_p = log_softmax(features[choose] @ kernel + bias, axis=1)
        likelihood = log_p[np.arange(len(choose)), labels[choose]].mean()
        if likelihood <= best:
            break
        best, chosen = likelihood, (penalty, numbers)
    return chosen


def kept_head(
    extractor: FeatureExtractor, images: np.ndarray, labels: np.ndarray, cache: Path, tell: Callable[[str], None] = _log.info
) -> ClassHead:
    """`fit_head` on the images' features, from the cache where it has it and into it where it hasn't.

    Args:
        extractor: the network; all that names it is part of the key, and so are pixels, labels and the recipe of the fit.
        images: training images, uint8 [n, height, width, 3].
        labels: integers [n] in 0..9.
        cache: the cache folder. One that can't be written is told in a warning and does no harm.
        tell: gets a line if the head must be fitted, which takes minutes.
    """
    named = (extractor.name, extractor.weights_sha256, extractor.protocol, extractor.resize, _RECIPE)
    named += (pixels_sha256(images), hashlib.sha256(np.ascontiguousarray(labels, np.uint8)).hexdigest())
    file = cache / "heads" / f"{hashlib.sha256(repr(named).encode()).hexdigest()}.npz"
    head = _read(file)
    if head is None:
        tell(f"fitting the head to features of {len(images):,} training images; this takes minutes, once")
        head = fit_head(real_features(extractor, images, cache)[0], labels)
        try:
            write_arrays(file, vars(head))
        except InputError as error:
            _log.warning("the head is not kept: %s", error)
    return head


def _read(file: Path) -> ClassHead | None:
    try:
        with np.load(file, allow_pickle=False) as kept:
            head = ClassHead(
                kept["kernel"],
                kept["bias"],
                float(kept["penalty"]),
                int(kept["fitted"]),
                int(kept["held_out"]),
                float(kept["accuracy"]),
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = head.kernel.shape[1:] == head.bias.shape == (CLASSES,)
    return head if fits and np.isfinite(head.kernel).all() and np.isfinite(head.bias).all() else None
