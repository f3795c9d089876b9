"""Scores images: which real images they are compared with, and which scores are computed of them."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.evaluation.detectors import detect_anime_faces, detect_faces, find_cascade
from gan_tf.evaluation.digits import digit_scores, requested_digits
from gan_tf.evaluation.features import extractor as extractors
from gan_tf.evaluation.features.cifar10_head import cifar10_head_score, find_cifar10
from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.image_files import read_image_dir
from gan_tf.evaluation.image_scores import ImageScoreOptions, RealImages, as_array, gather, score_by_head, score_images
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet, Score
from pipelines.errors import UserError
from pipelines.image_folder import list_images
from pipelines.source import DataSpec


def find_real_images(
    spec: DataSpec | None, data: Path | None, options: EvaluationOptions, count: int | None = None
) -> RealImages | None:
    """Returns what generated images are compared with; None, and a printed line, if there is nothing.

    Args:
        spec: where the task's images lie below ``data``; None without a task.
        data: what ``--data`` names, or what a run was trained on; None without any.
        options: ``reference`` overrides the task's own images.
        count: how many training images serve for the baseline; None takes all.

    Raises:
        UserError: a folder without images.
    """
    if options.reference is not None:
        return RealImages(read_image_dir(options.reference))
    if spec is None or data is None:
        if options.detector is None and options.classifier is None:
            print("no FID, KID, precision or recall: there are no real images to compare with; add --data or --reference")
        return None
    reference_dir = spec.reference_dir(data)
    if reference_dir is None:
        print(f"no FID, KID, precision or recall: {data} has no folder of validation images; name real images by --reference")
        return None
    reference = _name_below(data, read_image_dir(reference_dir), reference_dir)
    training_dir = spec.training_dir(data)
    if training_dir == data:
        return RealImages(reference)
    available = len(list_images(training_dir))
    sample = read_image_dir(training_dir, count=min(count or available, available), seed=options.seed)
    return RealImages(reference, _name_below(data, sample, training_dir))


def evaluate_images(
    generated: ImageSet,
    real: RealImages | None,
    options: EvaluationOptions,
    detector: str | None = None,
    classifier: FeatureExtractor | None = None,
) -> dict[str, Score]:
    """Scores generated images.

    Args:
        generated: the images.
        real: what they are compared with; None computes only what needs no real images.
        options: how to score.
        detector: the task's face detector; ``options.detector`` overrides it.
        classifier: the digit classifier, where class-conditional accuracy is wanted: the file names request the digits.

    Raises:
        UserError: there is nothing to compute, or images, weights or a detector's files are missing.
    """
    if options.head is not None:
        find_cifar10(options.cifar)  # what is missing is reported before anything that takes long
    elif options.cifar is not None:
        raise UserError("--cifar applies to --head only", "Add --head cifar10, or leave --cifar out")
    detector = options.detector or _usable_detector(detector, options)
    if real is None and detector is None and classifier is None and options.head is None:
        raise UserError("There is nothing to score against", "Name real images by --reference, or add --detector or --head")
    requested = requested_digits(generated.files) if classifier is not None else None
    generated = gather(generated)
    if real is not None:
        real = dataclasses.replace(real, reference=gather(real.reference))
    scores: dict[str, Score] = {}
    if classifier is not None and requested is not None:
        scores |= digit_scores(generated, requested, real, classifier, seed=options.seed)
    elif detector is not None:
        scores |= detector_scores(detector, generated, real.reference if real else None, options.cascade)
    if real is not None or options.head is not None:
        scores |= _network_scores(generated, real, options)
    return scores


def _usable_detector(detector: str | None, options: EvaluationOptions) -> str | None:
    """Returns the task's detector; None, and a printed line, if it was not requested and its cascade is not available."""
    if detector != "anime" or options.cascade is not None:
        return detector
    try:
        find_cascade()
    except UserError as error:
        print(f"the anime face detector is left out: {error}")
        return None
    return detector


def _network_scores(generated: ImageSet, real: RealImages | None, options: EvaluationOptions) -> dict[str, Score]:
    """Computes the scores on the features of an Inception network."""
    build = extractors.fid_extractor if options.inception == "fid" else extractors.imagenet_extractor
    extractor = build(options.inception_weights, options.protocol)
    head = None
    if options.head is not None:
        head = cifar10_head_score(extractor, options.cifar, report=partial(print, flush=True))
    score_options = ImageScoreOptions(splits=options.splits, seed=options.seed)
    if real is not None:
        scores = score_images(generated, real, extractor, score_options, head)
    else:
        assert head is not None  # otherwise there would be nothing to compute
        scores = score_by_head(generated, extractor, head, score_options)
    if options.inception == "imagenet":
        scores = {f"imagenet_{name}": score for name, score in scores.items()}
    if not extractor.has_logits:
        print("inception_score: not computed, since these weights have no classifier; name others by --inception-weights")
    return scores


def detector_scores(
    detector: str, generated: ImageSet, reference: ImageSet | None, cascade: str | Path | None = None
) -> dict[str, Score]:
    """Computes a face detector's scores of images that are held as arrays, and the same of real images as the baseline.

    Args:
        detector: "anime" ("anime_faces": faces in a 5x5 grid, mean over the grids; "anime_faces_worst": in the worst grid)
            or "face" ("one_face": percentage of images with exactly one face).
        generated: the images.
        reference: real images, of which as many are used as there are generated ones; None: no baseline.
        cascade: the anime cascade's file; by default the one in the cache folder.
    """
    count = len(as_array(generated))
    scores = _detect(detector, generated, count, cascade)
    if reference is None or (detector == "anime" and len(as_array(reference)) < 25):
        return scores
    baselines = _detect(detector, reference, count, cascade)
    return {name: Score(s.value, s.protocol, s.deviation, baselines[name]) for name, s in scores.items()}


def _detect(detector: str, images: ImageSet, limit: int, cascade: str | Path | None) -> dict[str, Score]:
    pixels = as_array(images)[:limit]
    result = detect_anime_faces(pixels, cascade) if detector == "anime" else detect_faces(pixels)
    protocol: dict[str, Any] = {
        "detector": result.detector,
        "cascade_sha256": result.sha256,
        "generated": images.name,
        "images": len(pixels),
    }
    if detector == "face":
        return {"one_face": Score(100 * result.fraction_with_one, protocol)}
    protocol["grids"] = len(result.counts)
    return {
        "anime_faces": Score(result.mean, protocol, float(np.std(result.counts))),
        "anime_faces_worst": Score(min(result.counts), protocol),
    }


def _name_below(data: Path, images: ImageSet, directory: Path) -> ImageSet:
    """Returns the same images, named by their path below the data folder: a protocol holds no path of one's own machine."""
    return dataclasses.replace(images, name=Path(data.resolve().name, *directory.relative_to(data).parts).as_posix())
