"""All scores of generated images against real ones in one call, each with its protocol and its floor."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.evaluation.features.cifar10_head import SCORE, HeadScore
from gan_tf.evaluation.features.extractor import Extractor, extract, in_chunks
from gan_tf.evaluation.features.feature_cache import pixels_sha256, real_features
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.inception_score import inception_score
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.evaluation.metrics.precision_recall import manifold_scores
from gan_tf.evaluation.metrics.statistics import FeatureStatistics
from gan_tf.evaluation.scores import Images, Score, count_warning
from gan_tf.utils.cache import cache_folder
from pipelines.errors import InputError

MEASURES = ("fid", "kid", "precision", "recall", "density", "coverage", "inception_score")
_KID_SUBSETS, _KID_SIZE = 100, 1000
_K, _K_COVERAGE = 3, 5
_MANIFOLD = {"precision": _K, "recall": _K, "density": _K_COVERAGE, "coverage": _K_COVERAGE}


def score_images(
    generated: Images,
    reference: Images,
    extractor: Extractor,
    *,
    second_real: Images | None = None,
    measures: Collection[str] = MEASURES,
    splits: int = 10,
    seed: int = 2020,
    cache: Path | None = None,
    head: HeadScore | None = None,
) -> dict[str, Score]:
    """Scores generated images against a reference, by name in the order of `MEASURES`, the head's last.

    The floor of each distance is the same distance of a second real sample, of as many images as were generated where
    it has them; without one, of one half of the reference against the other. The Inception Score, which has no reference,
    has the reference's own score there.

    Args:
        generated: uint8 images, already rounded.
        reference: real uint8 images; their features are cached by content.
        extractor: what `features.fid_extractor` gives, or a small one in tests.
        second_real: other real images for the floor, of the same distribution.
        measures: which of `MEASURES`; ``inception_score`` is left out where the network has no classifier.
        splits: parts of the Inception Score.
        seed: of all draws (KID's subsets, the order for the Inception Score, the halves of the reference).
        cache: folder for features of real images; by default the project's cache folder.
        head: adds the Inception Score by a head of CIFAR-10's classes, under its own name.

    Raises:
        InputError: a side has too few images, mixed sizes, or features that are not finite.
    """
    cache = cache_folder() if cache is None else cache
    real = _gathered(reference)
    real_values, real_logits = real_features(extractor, real, cache)
    values, logits = extract(extractor, generated.parts)
    told = {"generated": generated.name, "images": len(values), "reference": reference.name, "reference_images": len(real)}
    told |= {"reference_sha256": pixels_sha256(real), "split": reference.split, "seed": seed}
    protocol = _extractor_protocol(extractor) | told
    wanted = [name for name in MEASURES if name in measures]
    scores = _distances(values, real_values, protocol, wanted, seed)
    first, second, told = _floor_samples(len(values), real_values, reference, second_real, extractor, seed, cache)
    floors = _distances(first, second, protocol | told, wanted, seed)
    scores = {name: Score(s.value, s.protocol, s.deviation, floors[name]) for name, s in scores.items()}
    if logits is not None and "inception_score" in wanted:
        scores["inception_score"] = _inception_score(logits, real_logits, protocol, reference, splits, seed)
    if head is not None:
        scores[SCORE] = head(values, protocol, splits=splits, seed=seed)
    return scores


def score_by_head(
    generated: Images, extractor: Extractor, head: HeadScore, *, splits: int = 10, seed: int = 2020
) -> dict[str, Score]:
    """The score that `score_images` adds for a head, by itself: it needs no reference. Arguments and errors as there."""
    values, _ = extract(extractor, generated.parts)
    protocol = {**_extractor_protocol(extractor), "generated": generated.name, "images": len(values), "seed": seed}
    return {SCORE: head(values, protocol, splits=splits, seed=seed)}


def streamed_statistics(extractor: Extractor, images: Iterable[np.ndarray]) -> FeatureStatistics:
    """Mean and covariance of the features of any number of images, in memory that doesn't grow with it.

    Args:
        extractor: as in `score_images`.
        images: uint8 [n, height, width, 3], or an iterable of such arrays, which is read once.

    Raises:
        InputError: no images, mixed sizes, or features that are not finite.
    """
    statistics = None
    for chunk in in_chunks(images):
        part = FeatureStatistics.of(extractor(chunk)[0])
        statistics = part if statistics is None else statistics.merge(part)
    if statistics is None:
        raise InputError("no images", "two or more", "check what was asked for")
    return statistics


def _gathered(images: Images) -> np.ndarray:
    parts = list(in_chunks(images.parts))
    if not parts:
        raise InputError(f"no images in '{images.name}'", "two or more", "check the folder")
    return np.concatenate(parts)


def _extractor_protocol(extractor: Extractor) -> dict[str, Any]:
    return {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "protocol": extractor.protocol,
        "resize": extractor.resize,
        **({"warning": extractor.warning} if extractor.warning else {}),
    }


def _distances(
    values: np.ndarray, real: np.ndarray, protocol: dict[str, Any], wanted: list[str], seed: int
) -> dict[str, Score]:
    few = count_warning(len(values), len(real))
    if few:
        protocol = protocol | {"warning": "; ".join(filter(None, (protocol.get("warning"), few)))}
    scores = {}
    if "fid" in wanted:
        scores["fid"] = Score(frechet_distance_of_features(values, real), protocol)
    if "kid" in wanted:
        size = min(_KID_SIZE, len(values), len(real))
        mean, deviation = kernel_distance_of_subsets(values, real, subsets=_KID_SUBSETS, size=size, seed=seed)
        scores["kid"] = Score(mean, protocol | {"subsets": _KID_SUBSETS, "subset_size": size}, deviation)
    if any(name in _MANIFOLD for name in wanted):
        shares = manifold_scores(values, real, k=_K, k_coverage=_K_COVERAGE)
        for name, k in _MANIFOLD.items():
            if name in wanted:
                scores[name] = Score(getattr(shares, name), protocol | {"neighbours": k})
    return scores


def _floor_samples(
    count: int,
    real_values: np.ndarray,
    reference: Images,
    second_real: Images | None,
    extractor: Extractor,
    seed: int,
    cache: Path,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    draws = np.random.default_rng(seed)
    if second_real is None:
        order = draws.permutation(len(real_values))
        half = len(order) // 2
        taken = min(count, half)
        told = {
            "generated": f"one half of {reference.name}",
            "images": taken,
            "reference": f"the other half of {reference.name}",
            "reference_images": len(order) - half,
        }
        return real_values[order[:taken]], real_values[order[half:]], told
    images = _gathered(second_real)
    taken = min(count, len(images))
    images = images[np.sort(draws.choice(len(images), taken, replace=False))]
    values, _ = real_features(extractor, images, cache)
    return values, real_values, {"generated": second_real.name, "images": taken}


def _inception_score(
    logits: np.ndarray, real: np.ndarray, protocol: dict[str, Any], reference: Images, splits: int, seed: int
) -> Score:
    protocol = protocol | {"splits": splits}
    ceiling = protocol | {"generated": reference.name, "images": len(real)}
    value, deviation = inception_score(logits, splits=splits, seed=seed)
    real_value, real_deviation = inception_score(real, splits=splits, seed=seed)
    return Score(value, protocol, deviation, Score(real_value, ceiling, real_deviation))
