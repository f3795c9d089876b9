"""Scores images: which real images they are compared with, and which scores are computed of them."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_tf.evaluation.detectors import check_detector, count_anime_faces, detect_anime_faces, detect_faces
from gan_tf.evaluation.digits import digit_scores, requested_digits
from gan_tf.evaluation.features import extractor as extractors
from gan_tf.evaluation.features.cifar10_head import cifar10_head_score, find_cifar10
from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.features.inception_weights import find_weights_file
from gan_tf.evaluation.image_files import MEMORY_BUDGET, read_image_dir, source_images
from gan_tf.evaluation.image_scores import ImageScoreOptions, RealImages, score_images, score_without_reference
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet, Report, Score
from gan_tf.utils.images import split_tiles
from pipelines.errors import UserError
from pipelines.location import Location, has_validation, open_data

if TYPE_CHECKING:
    from gan_tf.tasks import Task

_CLASSIFIER_SIZE = 28  # pixels of the digits that the classifier was trained on
_NETWORK_SCORES = "FID, KID, precision and recall"


def find_real_images(
    task: "Task | None", data: Location | None, options: EvaluationOptions, report: Report = print, count: int | None = None
) -> RealImages | None:
    """Returns what generated images are compared with; None, and a report, if there is nothing.

    Args:
        task: whose images are scored, at the task's size; None takes images of any size.
        data: what ``--data`` names, or what a run was trained on; None without any.
        options: ``reference`` overrides the task's own images.
        report: receives why there are none.
        count: how many training images serve for the baseline; None takes all.

    Raises:
        UserError: a folder without images, or as ``check_requested``.
    """
    check_requested(options)
    if options.reference is not None:
        return RealImages(read_image_dir(options.reference, scored_size(task, options)))
    if task is None or data is None:
        if options.detector is None and options.classifier is None:
            report(f"{_NETWORK_SCORES}, since there are no real images to compare with")
        return None
    if not has_validation(task.data, data):
        example = ", such as a folder val/ in it" if isinstance(data, Path) else ""
        report(f"{_NETWORK_SCORES}, since {data} has no validation images{example}")
        return None
    validation = open_data(task.data, data, "val", MEMORY_BUDGET)
    if len(validation) > 1:
        problem = f"Task {task.name} has images of {len(validation)} domains, and nothing says which to compare with"
        raise UserError(problem, "Name a folder of real images by --reference")
    (reference,) = validation.values()
    print(f"real images: {reference.summary}", flush=True)
    (training,) = open_data(task.data, data, "train", 0).values()
    if training.digest == reference.digest:
        print(f"there is no validation set: the reference are all {len(reference):,} training images", flush=True)
        return RealImages(source_images(reference))
    return RealImages(source_images(reference), source_images(training, count, options.seed))


def scored_size(task: "Task | None", options: EvaluationOptions) -> int | None:
    """Returns the height and width that images of folders are brought to: the given, task's or classifier's one, or None."""
    if task is None:
        return options.image_size or (_CLASSIFIER_SIZE if options.classifier else None)
    return options.image_size or task.image_shape[0]


def check_requested(options: EvaluationOptions) -> None:
    """Checks what was requested as far as that is possible before images are read or generated, which may take long.

    Raises:
        UserError: options that make no sense together, or files or libraries that are missing.
    """
    _check_head(options)
    if options.detector is not None:
        check_detector(options.detector, options.cascade)
    if _is_extractor_requested(options) and options.inception == "fid":
        find_weights_file(options.inception_weights)


def _check_head(options: EvaluationOptions) -> None:
    if options.head is not None:
        find_cifar10(options.cifar)
    elif options.cifar is not None:
        raise UserError("--cifar applies to --head only", "Add --head cifar10, or leave --cifar out")


def _is_extractor_requested(options: EvaluationOptions) -> bool:
    return any((options.reference, options.head, options.inception_weights, options.inception != "fid"))


def evaluate_images(
    generated: ImageSet,
    real: RealImages | None,
    options: EvaluationOptions,
    report: Report = print,
    detector: str | None = None,
    classifier: FeatureExtractor | None = None,
) -> dict[str, Score]:
    """Scores generated images. What was not requested and cannot be computed is left out with a report.

    Args:
        generated: the images.
        real: what they are compared with; None computes only what needs no real images.
        options: how to score.
        report: receives what is left out, and why.
        detector: the task's face detector; ``options.detector`` overrides it.
        classifier: the digit classifier, where class-conditional accuracy is wanted: the file names request the digits.

    Raises:
        UserError: there is nothing to compute, or what was requested cannot be computed.
    """
    _check_head(options)
    scores: dict[str, Score] = {}
    left_out: list[str] = []

    def report_left_out(words: str) -> None:
        left_out.append(words)
        report(words)

    extractor = _build_extractor(real, options, report_left_out)
    if classifier is not None:
        requested = requested_digits(generated.files)
        scores |= digit_scores(generated, requested, real, classifier, options.seed, report_left_out)
    if options.detector is not None:
        scores |= detector_scores(options.detector, generated, real.reference if real else None, options.cascade)
    elif detector is not None:
        try:
            scores |= detector_scores(detector, generated, real.reference if real else None, options.cascade)
        except UserError as error:
            report_left_out(f"{detector} faces, since {_as_clause(error.problem)}")
    if extractor is not None:
        scores |= _network_scores(generated, real, extractor, options, report_left_out)
    if not scores and real is not None:
        raise UserError(f"No score can be computed: {'; '.join(left_out)}", "Add images")
    if not scores:
        problem = "There is nothing to score against" + (f" (left out: {'; '.join(left_out)})" if left_out else "")
        raise UserError(problem, "Name real images by --reference, or add --detector or --head")
    return scores


def _as_clause(sentence: str) -> str:
    """Returns a sentence so that it can follow "since"."""
    return sentence if sentence[:2].isupper() else sentence[:1].lower() + sentence[1:]


def _build_extractor(real: RealImages | None, options: EvaluationOptions, report: Report) -> FeatureExtractor | None:
    """Returns the Inception network; None if nothing needs it, or, with a report, if its weights are not there.

    Without real images it may still be needed: for the Inception Score, where a head or weights are requested.

    Raises:
        UserError: its weights are not there although a score on its features was requested.
    """
    if real is None and not _is_extractor_requested(options):
        return None
    build = extractors.fid_extractor if options.inception == "fid" else extractors.imagenet_extractor
    try:
        return build(options.inception_weights, options.protocol)
    except UserError as error:
        if _is_extractor_requested(options):
            raise
        report(f"{_NETWORK_SCORES}, since {_as_clause(error.problem)} ({_as_clause(error.hint)})")
        return None


def _network_scores(
    generated: ImageSet, real: RealImages | None, extractor: FeatureExtractor, options: EvaluationOptions, report: Report
) -> dict[str, Score]:
    """Computes the scores on the features of an Inception network."""
    head = None
    if options.head is not None:
        head = cifar10_head_score(extractor, options.cifar, report=partial(print, flush=True))
    score_options = ImageScoreOptions(splits=options.splits, seed=options.seed)
    if real is not None:
        scores = score_images(generated, real, extractor, score_options, head, report)
    else:
        scores = score_without_reference(generated, extractor, score_options, head, report)
    if options.inception == "imagenet":
        scores = {f"imagenet_{name}": score for name, score in scores.items()}
    if not extractor.has_logits:
        report("inception_score, since these weights of the network have no classifier")
    return scores


def grid_scores(image: np.ndarray, name: str, cascade: str | Path | None = None) -> dict[str, Score]:
    """Counts anime faces in one whole image, as the handout does in its grid of 25 ("anime_faces").

    Args:
        image: uint8 [height, width, 3].
        name: what a reader knows it by.
        cascade: the anime cascade's file; by default the one in the cache folder.
    """
    result = count_anime_faces([image], cascade)
    height, width, _ = image.shape
    protocol = {"detector": result.detector, "cascade_sha256": result.sha256, "generated": name, "size": f"{width}x{height}"}
    return {"anime_faces": Score(result.counts[0], protocol)}


def face_grid_scores(image: np.ndarray, name: str, tile_size: int) -> dict[str, Score]:
    """Computes the percentage of an image's tiles with exactly one face ("one_face"), by dlib's detector.

    Args:
        image: uint8 [rows * tile_size, columns * tile_size, 3], for example 5x5 tiles of 64x64.
        name: what a reader knows it by.
        tile_size: height and width of a tile.

    Raises:
        UserError: the image cannot be divided into such tiles, or dlib is missing.
    """
    height, width, _ = image.shape
    if height % tile_size or width % tile_size:
        problem = f"{name} has {width}x{height} pixels, which are no grid of {tile_size}x{tile_size} tiles"
        raise UserError(problem, "Name a grid without borders, or give the size of its tiles by --image-size")
    return detector_scores("face", ImageSet(name, split_tiles(image, tile_size)), None)


def detector_scores(
    detector: str, generated: ImageSet, reference: ImageSet | None, cascade: str | Path | None = None
) -> dict[str, Score]:
    """Computes a face detector's scores of images, and the same of real images as the baseline.

    Args:
        detector: "anime" ("anime_faces": faces in a 5x5 grid, mean over the grids; "anime_faces_worst": in the worst grid)
            or "face" ("one_face": percentage of images with exactly one face).
        generated: the images.
        reference: real images, of which as many are used as there are generated ones; None: no baseline.
        cascade: the anime cascade's file; by default the one in the cache folder.
    """
    count = len(generated)
    scores = _detect(detector, generated, count, cascade)
    if reference is None or (detector == "anime" and len(reference) < 25):
        return scores
    baselines = _detect(detector, reference, count, cascade)
    return {name: Score(s.value, s.protocol, s.deviation, baselines[name]) for name, s in scores.items()}


def _detect(detector: str, images: ImageSet, limit: int, cascade: str | Path | None) -> dict[str, Score]:
    pixels = images.images[:limit]
    result = detect_anime_faces(pixels, cascade) if detector == "anime" else detect_faces(pixels)
    protocol: dict[str, Any] = {
        "detector": result.detector,
        "cascade_sha256": result.sha256,
        "generated": images.name,
        "images": len(pixels),
        "size": images.size,
    }
    if detector == "face":
        return {"one_face": Score(100 * result.fraction_with_one, protocol)}
    protocol |= {"images": 25 * len(result.counts), "grids": len(result.counts)}
    deviation = float(np.std(result.counts)) if len(result.counts) > 1 else None
    return {
        "anime_faces": Score(result.mean, protocol, deviation),
        "anime_faces_worst": Score(min(result.counts), protocol),
    }
