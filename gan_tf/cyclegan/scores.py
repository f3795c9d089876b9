"""Scores of translated images: FID and KID against real images of the other domain, beside those of untranslated images."""

import dataclasses
from collections.abc import Mapping

from gan_tf.cyclegan.config import DIRECTIONS
from gan_tf.cyclegan.translation import ImageTranslator
from gan_tf.evaluation.evaluate import check_requested, evaluate_images
from gan_tf.evaluation.image_files import MEMORY_BUDGET, source_images
from gan_tf.evaluation.image_scores import RealImages
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet, Report, Score
from pipelines.errors import UserError
from pipelines.location import Location, has_validation, open_data
from pipelines.source import DataSpec, Split

_SPLITS: tuple[Split, ...] = ("val", "train")
_DISTANCES = ("fid", "kid")
_NOT_APPLICABLE = ("reference", "image_size", "detector", "classifier")


def translation_scores(
    translator: ImageTranslator, spec: DataSpec, data: Location | None, options: EvaluationOptions, report: Report
) -> dict[str, Score]:
    """Scores both directions: translated test images against the *training* images of the other domain.

    There are too few test images for a stable KID. Their own distance to the training images of their domain is the
    baseline. "…_untranslated" is the distance of the images before their translation, which a translation should lower.

    Args:
        translator: the generators.
        spec: how the data is read, at the size that the generators were trained for.
        data: the folder of the data; None without any.
        options: how to score; ``count`` takes a sample of the test images.
        report: receives what is left out, and why.

    Raises:
        UserError: options that do not apply, no test images, or no score can be computed.
    """
    _check_options(options)
    if data is None:
        raise UserError("There are no images to translate", "Name a folder with test images of both domains by --data")
    check_test_images(spec, data)
    test, train = (open_data(spec, data, split, MEMORY_BUDGET) for split in _SPLITS)
    for source in (*test.values(), *train.values()):
        print(source.summary, flush=True)
    scores: dict[str, Score] = {}
    for direction, name, target in zip(DIRECTIONS, ("a", "b"), ("b", "a"), strict=True):
        images = source_images(test[name], options.count, options.seed)
        real = RealImages(source_images(train[target]), source_images(test[target]))
        translated = ImageSet(f"{images.name} {direction}", translator.translate_all(images.images, direction), images.split)
        scores |= _add_suffix(evaluate_images(translated, real, options, report), direction)
        plain = dataclasses.replace(options, head=None, cifar=None)
        distances = evaluate_images(images, real, plain, report)
        distances = {key: score for key, score in distances.items() if key.removeprefix("imagenet_") in _DISTANCES}
        scores |= _add_suffix(distances, f"{direction}_untranslated")
    return scores


def check_test_images(spec: DataSpec, data: Location) -> None:
    """Checks that there are images to translate.

    Raises:
        UserError: there are no test images of both domains.
    """
    if not has_validation(spec, data):
        raise UserError(f"{data} has no test images of both domains", "Put them into testA and testB")


def _check_options(options: EvaluationOptions) -> None:
    check_requested(options)
    hint = "Leave it out, or name a folder of images by --images"
    options.refuse(_NOT_APPLICABLE, "translations, which are scored against the other domain", hint)


def _add_suffix(scores: Mapping[str, Score], suffix: str) -> dict[str, Score]:
    return {f"{name}_{suffix}": score for name, score in scores.items()}
