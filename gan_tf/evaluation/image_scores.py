"""All scores of generated images against real ones, each with its protocol and its real-vs-real baseline."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.evaluation.features.cifar10_head import SCORE, HeadScore
from gan_tf.evaluation.features.extractor import FeatureExtractor, check_images, extract, iterate_batches
from gan_tf.evaluation.features.feature_cache import pixels_sha256, real_features
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.inception_score import inception_score
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.evaluation.metrics.precision_recall import manifold_scores
from gan_tf.evaluation.scores import ImageSet, Score, count_warning
from gan_tf.utils.cache import cache_folder
from pipelines.errors import UserError

METRICS = ("fid", "kid", "precision", "recall", "density", "coverage", "inception_score")
_KID_SUBSETS, _KID_SUBSET_SIZE = 100, 1000
_K, _K_COVERAGE = 3, 5
_NEIGHBORS = {"precision": _K, "recall": _K, "density": _K_COVERAGE, "coverage": _K_COVERAGE}


@dataclass(frozen=True)
class RealImages:
    """What generated images are compared with.

    Attributes:
        reference: real images; their features are cached by content.
        second_sample: other real images of the same distribution, for the baseline; None takes halves of the reference.
    """

    reference: ImageSet
    second_sample: ImageSet | None = None


@dataclass(frozen=True)
class ImageScoreOptions:
    """How to score.

    Attributes:
        metrics: which of ``METRICS``; "inception_score" is left out if the network has no classifier.
        splits: splits of the Inception Score.
        seed: of all random choices (KID's subsets, the order for the Inception Score, the halves of the reference).
        cache: folder for features of real images; None takes the project's cache folder.
    """

    metrics: Collection[str] = METRICS
    splits: int = 10
    seed: int = 2020
    cache: Path | None = None

    @property
    def cache_dir(self) -> Path:
        """The folder for features of real images."""
        return cache_folder() if self.cache is None else self.cache


def as_array(images: ImageSet) -> np.ndarray:
    """Returns images as one array, uint8 [n, height, width, 3]; without a copy if they are one already.

    Raises:
        UserError: none, mixed sizes, or unreadable files.
    """
    if isinstance(images.batches, np.ndarray):
        return images.batches
    batches = list(iterate_batches(images.batches))
    if not batches:
        raise UserError(f"There are no images in '{images.name}'", "Check the folder or the count")
    return np.concatenate(batches)


def gather(images: ImageSet) -> ImageSet:
    """Returns the same images as one array in memory; raises as ``as_array``, and for arrays of another kind."""
    array = as_array(images)
    check_images(array)
    return dataclasses.replace(images, batches=array)


def score_images(
    generated: ImageSet,
    real: RealImages,
    extractor: FeatureExtractor,
    options: ImageScoreOptions = ImageScoreOptions(),
    head: HeadScore | None = None,
) -> dict[str, Score]:
    """Scores generated images against a reference, by name in the order of ``METRICS``, the head's score last.

    The baseline of each distance is the same distance of a second real sample, of as many images as were generated if it
    has so many; without one, of one half of the reference against the other. The Inception Score, which has no
    reference, has the reference's own score as its baseline.

    Args:
        generated: uint8 images, already rounded.
        real: what they are compared with.
        extractor: what ``fid_extractor`` returns, or a small one in tests.
        options: how to score.
        head: adds the Inception Score by a head of CIFAR-10's classes, under its own name.

    Raises:
        UserError: a side has too few images, mixed sizes, or features that are not finite.
    """
    reference = as_array(real.reference)
    reference_features, reference_logits = real_features(extractor, reference, options.cache_dir)
    features, logits = extract(extractor, generated.batches)
    protocol = _extractor_protocol(extractor) | {
        "generated": generated.name,
        "images": len(features),
        "reference": real.reference.name,
        "reference_images": len(reference),
        "reference_sha256": pixels_sha256(reference),
        "split": real.reference.split,
        "seed": options.seed,
    }
    values = _distances(features, reference_features, protocol, options)
    sample, other_sample, differences = _baseline_samples(len(features), reference_features, real, extractor, options)
    baselines = _distances(sample, other_sample, protocol | differences, options)
    scores = {name: Score(s.value, s.protocol, s.deviation, baselines[name]) for name, s in values.items()}
    if logits is not None and reference_logits is not None and "inception_score" in options.metrics:
        scores["inception_score"] = _inception_score(logits, reference_logits, protocol, real.reference.name, options)
    if head is not None:
        scores[SCORE] = head(features, protocol, splits=options.splits, seed=options.seed)
    return scores


def score_by_head(
    generated: ImageSet, extractor: FeatureExtractor, head: HeadScore, options: ImageScoreOptions = ImageScoreOptions()
) -> dict[str, Score]:
    """Computes only the score that ``score_images`` adds for a head, which needs no reference. Errors as there."""
    features, _ = extract(extractor, generated.batches)
    protocol = _extractor_protocol(extractor)
    protocol |= {"generated": generated.name, "images": len(features), "seed": options.seed}
    return {SCORE: head(features, protocol, splits=options.splits, seed=options.seed)}


def _extractor_protocol(extractor: FeatureExtractor) -> dict[str, Any]:
    protocol = {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "protocol": extractor.protocol,
        "resize": extractor.resize,
    }
    return protocol | ({"warning": extractor.warning} if extractor.warning else {})


def _distances(
    features: np.ndarray, reference: np.ndarray, protocol: dict[str, Any], options: ImageScoreOptions
) -> dict[str, Score]:
    """Computes the metrics of two sets of features, without the Inception Score."""
    few = count_warning(len(features), len(reference))
    if few:
        protocol = protocol | {"warning": "; ".join(filter(None, (protocol.get("warning"), few)))}
    scores = {}
    if "fid" in options.metrics:
        scores["fid"] = Score(frechet_distance_of_features(features, reference), protocol)
    if "kid" in options.metrics:
        size = min(_KID_SUBSET_SIZE, len(features), len(reference))
        mean, deviation = kernel_distance_of_subsets(features, reference, subsets=_KID_SUBSETS, size=size, seed=options.seed)
        scores["kid"] = Score(mean, protocol | {"subsets": _KID_SUBSETS, "subset_size": size}, deviation)
    if any(name in options.metrics for name in _NEIGHBORS):
        manifold = manifold_scores(features, reference, k=_K, k_coverage=_K_COVERAGE)
        for name, neighbors in _NEIGHBORS.items():
            if name in options.metrics:
                scores[name] = Score(getattr(manifold, name), protocol | {"neighbors": neighbors})
    return scores


def _baseline_samples(
    count: int, reference_features: np.ndarray, real: RealImages, extractor: FeatureExtractor, options: ImageScoreOptions
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Returns the features of two real samples, and what differs in their protocol from that of the generated images."""
    random = np.random.default_rng(options.seed)
    if real.second_sample is None:
        order = random.permutation(len(reference_features))
        half = len(order) // 2
        size = min(count, half)
        differences = {
            "generated": f"one half of {real.reference.name}",
            "images": size,
            "reference": f"the other half of {real.reference.name}",
            "reference_images": len(order) - half,
        }
        return reference_features[order[:size]], reference_features[order[half:]], differences
    images = as_array(real.second_sample)
    size = min(count, len(images))
    images = images[np.sort(random.choice(len(images), size, replace=False))]
    features, _ = real_features(extractor, images, options.cache_dir)
    return features, reference_features, {"generated": real.second_sample.name, "images": size}


def _inception_score(
    logits: np.ndarray,
    reference_logits: np.ndarray,
    protocol: dict[str, Any],
    reference_name: str,
    options: ImageScoreOptions,
) -> Score:
    protocol = protocol | {"splits": options.splits}
    baseline_protocol = protocol | {"generated": reference_name, "images": len(reference_logits)}
    value, deviation = inception_score(logits, splits=options.splits, seed=options.seed)
    real_value, real_deviation = inception_score(reference_logits, splits=options.splits, seed=options.seed)
    return Score(value, protocol, deviation, Score(real_value, baseline_protocol, real_deviation))
