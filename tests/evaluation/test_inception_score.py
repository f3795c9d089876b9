"""The Inception Score by the command, with random classifiers of 1,008 and of 1,000 classes, against NumPy."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.cli import call
from PIL import Image

from gan_tf.evaluation.features import extractor as extractors
from gan_tf.evaluation.features.extractor import extract, fid_extractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.features.inception_weights import from_tensors, kernel_shapes
from gan_tf.evaluation.image_scores import ImageScoreOptions, score_without_reference
from gan_tf.evaluation.scores import ImageSet


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Calls of three images, so that the large network is fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractors, "BATCH", 3)
        yield


@pytest.fixture(scope="module")
def images():
    """Six images of colored squares."""
    colors = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3))
    return np.kron(colors, np.ones((1, 8, 8, 1))).astype(np.uint8)


@pytest.fixture
def folder(images, tmp_path):
    (tmp_path / "images").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"images/{number}.png")
    return tmp_path / "images"


@pytest.fixture(scope="module")
def fid_weights(images, tmp_path_factory):
    """A file of the FID network's shapes and names with random numbers, and the logits [6, 1008] of the images."""
    random = np.random.default_rng(0)
    tensors = {}
    for name, (height, width, inputs, outputs) in kernel_shapes().items():
        scale = np.sqrt(2 / (height * width * inputs))
        tensors[f"{name}.conv.weight"] = random.normal(0, scale, (outputs, inputs, height, width)).astype(np.float32)
        for part, (low, high) in {"bias": (-0.2, 0.3), "running_mean": (-0.1, 0.1), "running_var": (0.8, 1.3)}.items():
            tensors[f"{name}.bn.{part}"] = random.uniform(low, high, outputs).astype(np.float32)
    features, _ = extract(fid_extractor(from_tensors(tensors, "random")), images)
    kernel = classifier_kernel(features, 1008)
    tensors |= {"fc.weight": kernel.T, "fc.bias": random.normal(size=1008).astype(np.float32)}
    file = tmp_path_factory.mktemp("fid") / "random.npz"
    np.savez(file, **tensors)
    return file, features.astype(np.float64) @ kernel


def classifier_kernel(features, classes):
    """A random kernel that tells images apart by their features [n, d], which hardly differ in a random network."""
    kernel = np.random.default_rng(1).normal(size=(features.shape[1], classes))
    mean = features.mean(axis=0, dtype=np.float64)
    kernel -= np.outer(mean, mean @ kernel) / (mean @ mean)  # what all images share has no class
    return (kernel * 2 / (features @ kernel).std()).astype(np.float32)


def expected_score(p):
    """exp of the mean KL divergence of p(y|x) from p(y), for probabilities [n, classes]."""
    p = p.astype(np.float64)
    p = p / p.sum(axis=1, keepdims=True)
    terms = np.where(p > 0, p * (np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(p.mean(axis=0), 1e-300))), 0)
    return np.exp(terms.sum(axis=1).mean())


def read_scores(*words):
    *words, file = words
    assert call("evaluate", *words, "--splits", 1, "--json", file) == 0
    return json.loads(file.read_text())


def test_command_fid_network_with_its_classifier_gives_the_inception_score(folder, fid_weights, tmp_path):
    """The probabilities are those of the 1,008 logits without bias, as torch-fidelity has them."""
    file, logits = fid_weights
    scores = read_scores("--images", folder, "--inception-weights", file, tmp_path / "s.json")
    assert list(scores) == ["inception_score"]
    expected = expected_score(np.exp(logits - logits.max(axis=1, keepdims=True)))
    assert 1.2 < expected < 6
    assert scores["inception_score"]["value"] == pytest.approx(expected, rel=1e-3)
    protocol = scores["inception_score"]["protocol"]
    assert (protocol["classes"], protocol["images"], protocol["splits"]) == (1008, 6, 1)
    assert "not the original 2015 weights" in protocol["warning"]


def test_command_imagenet_network_gives_the_score_of_its_own_probabilities(folder, images, tmp_path):
    """Keras's own softmax over 1,000 classes is the reference; the score has a name of its own."""
    keras.utils.set_random_seed(0)
    network = keras.applications.InceptionV3(weights=None)
    prepared = tf.image.resize(images, (299, 299)) / 127.5 - 1
    features = keras.Model(network.inputs, network.get_layer("avg_pool").output)(prepared).numpy()
    network.get_layer("predictions").set_weights([classifier_kernel(features, 1000), np.zeros(1000, np.float32)])
    network.save_weights(tmp_path / "random.weights.h5")
    words = ["--images", folder, "--inception", "imagenet", "--inception-weights", tmp_path / "random.weights.h5"]
    scores = read_scores(*words, tmp_path / "s.json")
    assert list(scores) == ["imagenet_inception_score"]
    expected = expected_score(network(prepared).numpy())
    assert 1.2 < expected < 6
    assert scores["imagenet_inception_score"]["value"] == pytest.approx(expected, rel=1e-3)
    assert scores["imagenet_inception_score"]["protocol"]["classes"] == 1000


def test_real_features_of_another_classifier_are_not_those_of_the_cache(images, make_extractor, tmp_path):
    first, second = make_extractor(), make_extractor()
    second.classifier_sha256 = "1" * 64
    real_features(first, images, tmp_path)
    real_features(second, images, tmp_path)
    assert (first.calls, second.calls) == (1, 1)
    again = make_extractor()
    real_features(again, images, tmp_path)
    assert again.calls == 0


def test_command_weights_without_a_classifier_say_why_there_is_no_score(folder, monkeypatch, make_extractor, tmp_path, capsys):
    (tmp_path / "weights.npz").write_bytes(b"")
    monkeypatch.setattr(extractors, "fid_extractor", lambda weights, protocol: make_extractor(has_logits=False))
    assert call("evaluate", "--images", folder, "--inception-weights", tmp_path / "weights.npz") == 2
    assert "these weights of the network have no classifier" in capsys.readouterr().err


def test_score_without_reference_too_few_images_for_the_splits_are_reported(images, make_extractor, capsys):
    assert score_without_reference(ImageSet("g", images), make_extractor(), ImageScoreOptions(splits=7)) == {}
    assert "6 images cannot be divided into 7 splits" in capsys.readouterr().out
