"""The digit judge against counting by hand, with a network in the reader's place whose answers are known."""

import argparse
import json

import keras
import numpy as np
import pytest
from PIL import Image

from gan_tf import export
from gan_tf.classifier.config import ClassifierConfig
from gan_tf.classifier.networks import build_classifier
from gan_tf.evaluation import digits
from gan_tf.evaluation.digits import Reader, accuracy, asked_digits, digit_scores, labelled_scores, load_reader, read_as_asked
from gan_tf.evaluation.evaluate import add_arguments, run
from gan_tf.evaluation.features.extractor import extract
from gan_tf.evaluation.metrics.frechet import frechet_distance
from gan_tf.evaluation.scores import ImageSet, Line
from pipelines.errors import InputError
from pipelines.labeled import LabeledImages


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Reads digit d in a picture of brightness 25 d: logits -(25 d - mean)^2; its features are the mean of each channel."""
    images = keras.Input((28, 28, 3))
    features = keras.layers.GlobalAveragePooling2D()(images)
    mean = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(127.5 / 3))(features)
    levels = 25.0 * np.arange(10) - 127.5
    weights = [2 * levels[None], -(levels**2)]
    logits = keras.layers.Dense(10)
    model = keras.Model(images, [features, logits(mean)])
    logits.set_weights(weights)
    return Reader(model, "0" * 64)


def shades(values, size=28) -> np.ndarray:
    """Plain pictures that the fixture reads as ``values``."""
    return np.broadcast_to(25 * np.asarray(values, np.uint8)[:, None, None, None], (len(values), size, size, 3)).copy()


@pytest.fixture
def folder(tmp_path):
    """Ten pictures, each asked for its own digit, save that 3 shows a 4 and 9 an 8."""
    path = tmp_path / "pictures"
    path.mkdir()
    for asked, shown in enumerate([0, 1, 2, 4, 4, 5, 6, 7, 8, 8]):
        Image.fromarray(shades([shown])[0]).save(path / f"{asked}_001.png")
    return path


def test_the_share_read_as_asked(folder, reader, monkeypatch):
    assert read_as_asked(folder, reader) == pytest.approx(0.8)
    monkeypatch.setattr(digits, "load_reader", lambda: reader)
    assert read_as_asked(folder) == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["0000.png", "10_001.png", "a_1.png", "_7.png"])
def test_names_that_ask_for_nothing_are_refused(folder, reader, name):
    (folder / "5_001.png").rename(folder / name)
    with pytest.raises(InputError, match="names ask for no digit"):
        read_as_asked(folder, reader)


def test_names_are_read_wherever_they_lie():
    assert asked_digits(["a/7_001.png", "3_x/0_2.png"]).tolist() == [7, 0]


def test_any_number_and_size_of_pictures(reader):
    values = np.random.default_rng(0).integers(0, 10, 300)  # more than one chunk, the last filled up
    np.testing.assert_array_equal(reader.read(shades(values)), values)
    np.testing.assert_array_equal(reader.read(shades(values[:5], size=64)), values[:5])
    np.testing.assert_array_equal(reader.read([shades(values[:7]), shades(values[7:20])]), values[:20])
    features, logits = extract(reader, shades(values))
    np.testing.assert_allclose(features, np.repeat(25 * values[:, None] / 127.5 - 1, 3, axis=1), atol=1e-5)
    assert logits.shape == (300, 10)


def test_accuracy_by_hand(reader):
    shown, said = np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])
    assert accuracy(reader, shades(shown), said) == pytest.approx(0.75)
    scores = labelled_scores([LabeledImages(shades(shown), said, "mnist")], reader)
    assert scores["mnist_accuracy"].value == pytest.approx(75.0)
    assert scores["mnist_accuracy"].protocol["images"] == 4


def test_reader_fid_is_the_distance_of_two_gaussians(reader):
    draws = np.random.default_rng(0)
    one, two = (draws.integers(0, 256, (40, 28, 28, 3), np.uint8) // part for part in (1, 2))
    means, covariances = [], []
    for images in (one, two):
        values = images.mean(axis=(1, 2)) / 127.5 - 1
        means.append(values.mean(axis=0))
        covariances.append(np.cov(values.T))
    expected = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    asked = np.zeros(40, int)
    scores = digit_scores(ImageSet("one", one), asked, ImageSet("two", two), reader)
    assert scores["reader_fid"].value == pytest.approx(expected, rel=1e-3)
    assert scores["reader_fid"].protocol["extractor"] == reader.name
    assert scores["reader_fid"].protocol["protocol"] == "reader"


def test_the_least_well_read_digit_is_named(reader):
    scores = digit_scores(ImageSet("some", shades([1, 1, 2, 3])), np.array([1, 1, 2, 2]), None, reader)
    assert (scores["read_as_asked"].value, scores["read_as_asked_least"].value) == (75.0, 50.0)
    assert scores["read_as_asked_least"].protocol["digit"] == "2"
    assert "reader_fid" not in scores


def test_pictures_that_nobody_asked_for_are_refused(reader):
    with pytest.raises(InputError, match="nothing says which digits"):
        digit_scores(ImageSet("some", shades([1, 1])), None, None, reader)


def test_the_judge_through_the_command(folder, reader, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(digits, "load_reader", lambda: reader)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--images", str(folder), "--judge", "digits", "--json", str(tmp_path / "s.json")])
    assert run(args, lines=[Line("read_as_asked", ">=", 80, "H1 simple")]) == 0
    assert ">= 80 (H1 simple): met" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["read_as_asked"]["value"] == 80.0
    Image.fromarray(shades([1])[0]).save(folder / "one.png")
    with pytest.raises(InputError, match=r"one\.png"):
        run(args)


def test_weights_are_read_and_named_by_their_digest(tmp_path):
    network = build_classifier((28, 28, 3), 2)
    about = {"task": "reader", "settings": vars(ClassifierConfig(hidden_dim=2))}
    export.write(tmp_path, network.get_weights(), about, {})
    network.set_weights([w.astype(np.float16).astype(np.float32) for w in network.get_weights()])
    reader = load_reader(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8)
    for found, expected in zip(reader(images), network(images / np.float32(127.5) - 1.0, training=False), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    export.write(tmp_path, network.get_weights(), {**about, "task": "anime"}, {})
    with pytest.raises(InputError, match="weights of task 'anime'"):
        load_reader(tmp_path)
