"""Scores of generated digits against counting, with a network whose answers are known as the classifier."""

import json

import keras
import numpy as np
import pytest
from helpers.cli import call
from PIL import Image

from gan_tf import export
from gan_tf.classifier import digit_classifier
from gan_tf.classifier.digit_classifier import DigitClassifier, load_digit_classifier
from gan_tf.classifier.networks import build_classifier
from gan_tf.evaluation.digits import accuracy, digit_scores, labeled_scores, requested_digits
from gan_tf.evaluation.features.extractor import extract
from gan_tf.evaluation.image_scores import RealImages
from gan_tf.evaluation.metrics.frechet import frechet_distance
from gan_tf.evaluation.scores import ImageSet
from pipelines.errors import UserError
from pipelines.labeled import LabeledImages


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    """Sees digit d in an image of brightness 25 d: logits -(25 d - mean)²; its features are the mean of each channel."""
    images = keras.Input((28, 28, 3))
    features = keras.layers.GlobalAveragePooling2D()(images)
    mean = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(127.5 / 3))(features)
    levels = 25.0 * np.arange(10) - 127.5
    logits = keras.layers.Dense(10)
    model = keras.Model(images, [features, logits(mean)])
    logits.set_weights([2 * levels[None], -(levels**2)])
    return DigitClassifier(model, "0" * 64)


def shades(values, size=28) -> np.ndarray:
    """Returns plain images that the fixture classifies as ``values``."""
    return np.broadcast_to(25 * np.asarray(values, np.uint8)[:, None, None, None], (len(values), size, size, 3)).copy()


@pytest.fixture
def folder(tmp_path):
    """Ten images, one for each requested digit, but 3 shows a 4 and 9 an 8."""
    path = tmp_path / "images"
    path.mkdir()
    for requested, shown in enumerate([0, 1, 2, 4, 4, 5, 6, 7, 8, 8]):
        Image.fromarray(shades([shown])[0]).save(path / f"{requested}_001.png")
    return path


@pytest.mark.parametrize("name", ["0000.png", "10_001.png", "a_1.png", "_7.png"])
def test_requested_digits_other_names_are_refused(name):
    with pytest.raises(UserError, match="request no digit"):
        requested_digits(["7_001.png", name])


def test_requested_digits_are_read_from_the_file_name():
    assert requested_digits(["a/7_001.png", "3_x/0_2.png"]).tolist() == [7, 0]


def test_predict_any_number_and_size_of_images(classifier):
    values = np.random.default_rng(0).integers(0, 10, 300)  # more than one batch, the last one padded
    np.testing.assert_array_equal(classifier.predict(shades(values)), values)
    np.testing.assert_array_equal(classifier.predict(shades(values[:5], size=64)), values[:5])
    features, logits = extract(classifier, shades(values))
    np.testing.assert_allclose(features, np.repeat(25 * values[:, None] / 127.5 - 1, 3, axis=1), atol=1e-5)
    assert logits.shape == (300, 10)


def test_accuracy_equals_counting(classifier):
    shown, labels = np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])
    assert accuracy(classifier, shades(shown), labels) == pytest.approx(0.75)
    scores = labeled_scores([LabeledImages(shades(shown), labels, "mnist")], classifier)
    assert scores["mnist_accuracy"].value == pytest.approx(75.0)
    assert scores["mnist_accuracy"].protocol["images"] == 4


def test_digit_scores_classifier_fid_is_the_distance_of_two_gaussians(classifier):
    random = np.random.default_rng(0)
    one, two = (random.integers(0, 256, (40, 28, 28, 3), np.uint8) // divisor for divisor in (1, 2))
    means, covariances = [], []
    for images in (one, two):
        values = images.mean(axis=(1, 2)) / 127.5 - 1
        means.append(values.mean(axis=0))
        covariances.append(np.cov(values.T))
    expected = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    scores = digit_scores(ImageSet("one", one), np.zeros(40, int), RealImages(ImageSet("two", two)), classifier)
    assert scores["classifier_fid"].value == pytest.approx(expected, rel=1e-3)
    assert scores["classifier_fid"].protocol["extractor"] == classifier.name


def test_digit_scores_worst_digit_is_named(classifier):
    scores = digit_scores(ImageSet("some", shades([1, 1, 2, 3])), np.array([1, 1, 2, 2]), None, classifier)
    worst = scores["class_conditional_accuracy_worst"]
    assert (scores["class_conditional_accuracy"].value, worst.value) == (75.0, 50.0)
    assert worst.protocol["digit"] == "2"
    assert "classifier_fid" not in scores


def test_command_classifier_scores_the_requested_digits(folder, classifier, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(digit_classifier, "load_digit_classifier", lambda: classifier)
    words = ["--images", folder, "--classifier", "digits", "--json", tmp_path / "s.json"]
    assert call("evaluate", *words) == 0
    assert json.loads((tmp_path / "s.json").read_text())["class_conditional_accuracy"]["value"] == pytest.approx(80.0)
    Image.fromarray(shades([1])[0]).save(folder / "one.png")
    assert call("evaluate", *words) == 2
    assert "one.png" in capsys.readouterr().err


def test_load_digit_classifier_computes_as_its_network(tmp_path):
    network = build_classifier((28, 28, 3), 2)
    about = {"task": "digits", "config": {"hidden_dim": 2}, "image_shape": [28, 28, 3]}
    card = {"task": "digits", "command": "python train.py", "seconds": 1, "step": 1, "images_seen": 64, "data": {}}
    export.write_export(tmp_path, {"network": network}, {}, about, card)
    network.set_weights([weight.astype(np.float16).astype(np.float32) for weight in network.get_weights()])
    classifier = load_digit_classifier(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8)
    for found, expected in zip(classifier(images), network(images / np.float32(127.5) - 1.0, training=False), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
