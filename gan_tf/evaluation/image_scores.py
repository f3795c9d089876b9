"""All scores of generated images against real ones, each with its protocol and its real-vs-real baseline."""

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.evaluation.features.cifar10_head import SCORE, HeadScore
from gan_tf.evaluation.features.extractor import FeatureExtractor, extract
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.image_files import sample_indices
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.inception_score import inception_score
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.evaluation.metrics.precision_recall import manifold_scores
from gan_tf.evaluation.scores import ImageSet, Report, Score, count_warning
from gan_tf.utils.cache import cache_folder
from pipelines.errors import UserError
from pipelines.transforms import pixels_sha256

METRICS = ("fid", "kid", "precision", "recall", "density", "coverage", "inception_score")
_KID_SUBSETS, _KID_SUBSET_SIZE = 100, 1000
_K, _K_COVERAGE = 3, 5
_MIN_IMAGES = {"fid": 2, "kid": 2} | dict.fromkeys(("precision", "recall", "density", "coverage"), _K_COVERAGE + 1)
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


def score_images(
    generated: ImageSet,
    real: RealImages,
    extractor: FeatureExtractor,
    options: ImageScoreOptions = ImageScoreOptions(),
    head: HeadScore | None = None,
    report: Report = print,
) -> dict[str, Score]:
    """Scores generated images against a reference, by name in the order of ``METRICS``, the head's score last.

    The baseline of each distance is the same distance of a second real sample, of as many images as were generated if it
    has so many; without one, of one half of the reference against the other. The Inception Score, which has no
    reference, has the reference's own score as its baseline. A score for which there are too few images is left out.

    Args:
        generated: uint8 images, already rounded.
        real: what they are compared with.
        extractor: what ``fid_extractor`` returns, or a small one in tests.
        options: how to score.
        head: adds the Inception Score by a head of CIFAR-10's classes, under its own name.
        report: receives what is left out, and why.

    Raises:
        UserError: a side has no images, or features that are not finite.
    """
    reference = real.reference
    if not len(reference):
        raise UserError(f"There are no images in '{reference.name}'", "Check the folder or the count")
    reference_features, reference_logits = real_features(extractor, reference.images, options.cache_dir)
    features, logits = extract(extractor, generated.images)
    protocol = _comparison_protocol(generated, real, extractor, options)
    values, too_few = _distances(features, reference_features, protocol, options)
    _report_too_few(report, too_few, len(generated), len(reference))
    sample, other_sample, differences = _baseline_samples(len(features), reference_features, real, extractor, options)
    baselines, too_few = _distances(sample, other_sample, protocol | differences, options)
    _report_too_few(report, [f"the baseline of {name}" for name in too_few if name in values], len(sample), len(other_sample))
    scores = {name: Score(s.value, s.protocol, s.deviation, baselines.get(name)) for name, s in values.items()}
    if logits is not None and reference_logits is not None and "inception_score" in options.metrics:
        fewest = min(len(logits), len(reference_logits))
        if _fills_splits(fewest, options, report):
            generated_protocol = protocol | _classifier_protocol(extractor, logits)
            real_protocol = generated_protocol | {"generated": reference.name, "images": len(reference_logits)}
            score = _inception_score(logits, generated_protocol, options)
            baseline = _inception_score(reference_logits, real_protocol, options)
            scores["inception_score"] = dataclasses.replace(score, baseline=baseline)
    if head is not None:
        scores[SCORE] = head(features, protocol, splits=options.splits, seed=options.seed)
    return scores


def _comparison_protocol(
    generated: ImageSet, real: RealImages, extractor: FeatureExtractor, options: ImageScoreOptions
) -> dict[str, Any]:
    """Returns how the two sides are compared, which all scores have in common."""
    reference = real.reference
    protocol = _extractor_protocol(extractor) | {
        "generated": generated.name,
        "images": len(generated),
        "size": generated.size,
        "reference": reference.name,
        "reference_images": len(reference),
        "reference_size": reference.size,
        "reference_sha256": pixels_sha256(reference.images),
        "split": reference.split,
        "seed": options.seed,
    }
    return _add_warnings(protocol, _comparison_warnings(generated, real))


def _report_too_few(report: Report, names: Collection[str], count: int, reference_count: int) -> None:
    if names:
        fewest = min(count, reference_count)
        report(f"{', '.join(names)}, since {fewest:,} {'image is' if fewest == 1 else 'images are'} too few")


def _comparison_warnings(generated: ImageSet, real: RealImages) -> list[str]:
    """Returns what makes the comparison of two sets of images misleading."""
    warnings, reference, second = [], real.reference, real.second_sample
    if generated.size != reference.size:
        sizes = f"generated images have {generated.size} pixels, real ones {reference.size}"
        warnings.append(f"{sizes}: the size changes the features; --image-size brings both to one")
    shared = _count_shared(generated, reference)
    if shared:
        warnings.append(f"{shared:,} of the {len(generated):,} generated images are copies of real ones, pixel by pixel")
    if second is None:
        half = len(reference) // 2
        counts = f"{min(len(generated), half):,} with {len(reference) - half:,}"
        warnings.append(f"real images: two halves of the reference, {counts}; with fewer images the distances are larger")
    else:
        shared = _count_shared(second, reference)
        if shared:
            warnings.append(f"{shared:,} of the {len(second):,} images of {second.name} are also in {reference.name}")
    return warnings


def _count_shared(images: ImageSet, others: ImageSet) -> int:
    """Returns how many images are also among the others, pixel by pixel."""
    if images.size != others.size:
        return 0
    digests = {hashlib.sha256(image.tobytes()).digest() for image in others.images}
    return sum(hashlib.sha256(image.tobytes()).digest() in digests for image in images.images)


def _add_warnings(protocol: Mapping[str, Any], warnings: Iterable[str | None]) -> dict[str, Any]:
    """Returns a protocol with more warnings, if there are any."""
    texts = [text for text in (protocol.get("warning"), *warnings) if text]
    return {**protocol, "warning": "; ".join(texts)} if texts else dict(protocol)


def score_without_reference(
    generated: ImageSet,
    extractor: FeatureExtractor,
    options: ImageScoreOptions = ImageScoreOptions(),
    head: HeadScore | None = None,
    report: Report = print,
) -> dict[str, Score]:
    """Computes only the scores of ``score_images`` that need no reference: the Inception Scores. Arguments as there.

    There is none if the network has no classifier and no head is given.
    """
    if head is None and not extractor.has_logits:
        return {}
    features, logits = extract(extractor, generated.images)
    protocol = _extractor_protocol(extractor)
    protocol |= {"generated": generated.name, "images": len(features), "size": generated.size, "seed": options.seed}
    scores = {}
    if logits is not None and _fills_splits(len(logits), options, report):
        scores["inception_score"] = _inception_score(logits, protocol | _classifier_protocol(extractor, logits), options)
    if head is not None:
        scores[SCORE] = head(features, protocol, splits=options.splits, seed=options.seed)
    return scores


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
) -> tuple[dict[str, Score], list[str]]:
    """Computes the metrics of two sets of features, without the Inception Score.

    Returns:
        The scores, and the names of those for which there are too few images.
    """
    wanted = [name for name in _MIN_IMAGES if name in options.metrics]
    count = min(len(features), len(reference))
    too_few = [name for name in wanted if count < _MIN_IMAGES[name]]
    possible = [name for name in wanted if name not in too_few]
    protocol = _add_warnings(protocol, [count_warning(len(features), len(reference))])
    scores = {}
    if "fid" in possible:
        scores["fid"] = Score(frechet_distance_of_features(features, reference), protocol)
    if "kid" in possible:
        size = min(_KID_SUBSET_SIZE, count)
        mean, deviation = kernel_distance_of_subsets(features, reference, subsets=_KID_SUBSETS, size=size, seed=options.seed)
        subsets = _KID_SUBSETS if deviation is not None else 1
        scores["kid"] = Score(mean, protocol | {"subsets": subsets, "subset_size": size}, deviation)
    if any(name in possible for name in _NEIGHBORS):
        manifold = manifold_scores(features, reference, k=_K, k_coverage=_K_COVERAGE)
        for name, neighbors in _NEIGHBORS.items():
            if name in possible:
                scores[name] = Score(getattr(manifold, name), protocol | {"neighbors": neighbors})
    return scores, too_few


def _baseline_samples(
    count: int, reference_features: np.ndarray, real: RealImages, extractor: FeatureExtractor, options: ImageScoreOptions
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Returns the features of two real samples, and what differs in their protocol from that of the generated images."""
    if real.second_sample is None:
        order = np.random.default_rng(options.seed).permutation(len(reference_features))
        half = len(order) // 2
        size = min(count, half)
        differences = {
            "generated": f"one half of {real.reference.name}",
            "images": size,
            "reference": f"the other half of {real.reference.name}",
            "reference_images": len(order) - half,
        }
        return reference_features[order[:size]], reference_features[order[half:]], differences
    second = real.second_sample
    size = min(count, len(second))
    images = second.images[sample_indices(len(second), size, options.seed)]
    features, _ = real_features(extractor, images, options.cache_dir)
    return features, reference_features, {"generated": second.name, "images": size}


def _fills_splits(count: int, options: ImageScoreOptions, report: Report) -> bool:
    """Returns whether an Inception Score of so many images can be computed; reports if it cannot."""
    if count < options.splits:
        report(f"inception_score, since {count:,} images cannot be divided into {options.splits} splits")
    return count >= options.splits


def _classifier_protocol(extractor: FeatureExtractor, logits: np.ndarray) -> dict[str, Any]:
    return {"classes": logits.shape[1], "classifier_sha256": extractor.classifier_sha256}


def _inception_score(logits: np.ndarray, protocol: Mapping[str, Any], options: ImageScoreOptions) -> Score:
    value, deviation = inception_score(logits, splits=options.splits, seed=options.seed)
    protocol = _add_warnings(protocol, [count_warning(len(logits))])
    return Score(value, protocol | {"splits": options.splits}, deviation)
