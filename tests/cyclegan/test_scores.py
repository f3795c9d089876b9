"""Scores of translations in both directions, with mean colors instead of Inception's features."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gan_tf.cyclegan.callbacks import TranslationScores
from gan_tf.cyclegan.scores import translation_scores
from gan_tf.evaluation.evaluate import find_real_images
from gan_tf.evaluation.features import extractor as features
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.tasks import YOSEMITE
from gan_tf.training import callbacks
from gan_tf.training.loggers import Loggers
from pipelines.errors import UserError
from pipelines.formats.unpaired import UnpairedData
from pipelines.image_array import ImageArray

SPEC = UnpairedData(size=8)
COUNTS = {"trainA": 9, "trainB": 12, "testA": 6, "testB": 6}


class MeanColors:
    """Features are the mean color of an image."""

    name, weights_sha256, protocol, resize, classifier_sha256 = "mean-colors", "0" * 64, "test", "none", ""
    warning, has_logits = None, False

    def __init__(self, *_):
        pass

    def __call__(self, images):
        return mean_colors(images), None


class ColorTranslator:
    """Adds 60 for A to B and subtracts 40 for B to A."""

    def translate_all(self, images, direction: str) -> np.ndarray:
        return translate(np.asarray(images[:]), direction)


def mean_colors(images) -> np.ndarray:
    return (np.asarray(images, np.float32) / 255).mean(axis=(1, 2))


def translate(images: np.ndarray, direction: str) -> np.ndarray:
    return images + np.uint8(60) if direction == "AtoB" else images - np.uint8(40)


def pixels(name: str) -> np.ndarray:
    """Returns the images of a folder: B is 60 levels brighter than A in the mean."""
    low = 60 if name.endswith("A") else 120
    return np.random.default_rng([*name.encode()]).integers(low, low + 60, (COUNTS[name], 8, 8, 3), np.uint8)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "fid_extractor", MeanColors)
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    for name in COUNTS:
        (tmp_path / "data" / name).mkdir(parents=True)
        for i, image in enumerate(pixels(name)):
            Image.fromarray(image).save(tmp_path / f"data/{name}/{i}.png")
    return tmp_path / "data"


def expected_fid(first: np.ndarray, second: np.ndarray) -> float:
    return frechet_distance_of_features(mean_colors(first), mean_colors(second))


def test_scores_compare_with_the_training_images_of_the_other_domain(data):
    scores = translation_scores(ColorTranslator(), SPEC, data, EvaluationOptions(), print)
    for direction, source, target in (("AtoB", "A", "B"), ("BtoA", "B", "A")):
        test, train, own = pixels(f"test{source}"), pixels(f"train{target}"), pixels(f"test{target}")
        score = scores[f"fid_{direction}"]
        assert score.value == pytest.approx(expected_fid(translate(test, direction), train), rel=1e-4)
        assert score.baseline.value == pytest.approx(expected_fid(own, train), rel=1e-4)
        untranslated = scores[f"fid_{direction}_untranslated"]
        assert untranslated.value == pytest.approx(expected_fid(test, train), rel=1e-4)
        assert score.value < untranslated.value
        assert score.protocol["images"] == len(test)
        assert score.protocol["reference_images"] == len(train)
    assert scores["kid_AtoB"].value < scores["kid_AtoB_untranslated"].value
    assert not any(name.startswith("precision") and name.endswith("untranslated") for name in scores)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"image_size": 64}, "--image-size does not apply"), ({"classifier": "digits"}, "--classifier does not apply")],
)
def test_scores_with_options_that_do_not_apply_are_refused(data, options, words):
    with pytest.raises(UserError, match=words):
        translation_scores(ColorTranslator(), SPEC, data, EvaluationOptions(**options), print)


def test_scores_without_test_images_are_refused(data):
    for path in (data / "testB").iterdir():
        path.unlink()
    (data / "testB").rmdir()
    with pytest.raises(UserError, match="no test images of both domains"):
        translation_scores(ColorTranslator(), SPEC, data, EvaluationOptions(), print)
    with pytest.raises(UserError, match="no images to translate"):
        translation_scores(ColorTranslator(), SPEC, None, EvaluationOptions(), print)


def test_scores_of_a_folder_need_to_know_the_domain(data):
    with pytest.raises(UserError, match="images of 2 domains"):
        find_real_images(YOSEMITE, data, EvaluationOptions())


def test_scores_during_training_are_logged_for_both_directions(data, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "fid_extractor", MeanColors)
    (tmp_path / "run").mkdir()
    loggers = Loggers(tmp_path / "run", 0)
    sources = {name: ImageArray(pixels(f"train{name.upper()}"), name) for name in ("a", "b")}
    run = SimpleNamespace(
        options=SimpleNamespace(eval_count=100),
        config={"config": {"seed": 0}},
        stream=SimpleNamespace(sources=sources),
        loggers=loggers,
    )
    scores = TranslationScores(5, run, ColorTranslator())
    assert not scores.is_done(10)
    scores.on_interval(10)
    assert scores.is_done(10)
    loggers.close()
    (line,) = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    for direction, source, target in (("AtoB", "A", "B"), ("BtoA", "B", "A")):
        first, second = translate(pixels(f"train{source}"), direction), pixels(f"train{target}")
        assert line[f"fid_train_{direction}"] == pytest.approx(expected_fid(first, second), rel=1e-4)
        colors = mean_colors(first), mean_colors(second)
        expected, _ = kernel_distance_of_subsets(*colors, subsets=callbacks.KID_SUBSETS, size=COUNTS["trainA"], seed=0)
        assert line[f"kid_train_{direction}"] == pytest.approx(expected, rel=1e-4)
