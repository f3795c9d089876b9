"""The file of Inception Scores: a line for each loss and measure, with small networks."""

import re

import numpy as np
import pytest
from helpers.exports import export_untrained

import gan_tf
from gan_tf import shipped
from gan_tf.cli.main import run_command
from gan_tf.evaluation.features import extractor as extractors
from gan_tf.experiments.inception_scores import run
from gan_tf.tasks import YOSEMITE
from gan_tf.utils.images import write_png
from gan_tf.workflow import load_workflow
from pipelines.formats.unpaired import UnpairedData

SUMMER = "yosemite, winter to summer"


class FewClasses:
    """Logits are four times the mean color of an image's quarters, in [0, 4]: twelve classes."""

    name, weights_sha256, protocol, resize, warning, classifier_sha256 = "quarters", "0" * 64, "test", "none", None, ""

    def __init__(self, has_logits):
        self.has_logits = has_logits

    def __call__(self, images):
        n, height, width, _ = images.shape
        features = images.reshape(n, 2, height // 2, 2, width // 2, 3).mean(axis=(2, 4)).reshape(n, 12) / 255
        return features.astype(np.float32), 4 * features.astype(np.float32) if self.has_logits else None


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights of two losses and of another task; nothing is shipped, and there is no CIFAR-10."""
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "inception.npz").write_bytes(b"")
    export_untrained(tmp_path / "shipped/cifar10/gan", "cifar10", loss="gan")
    export_untrained(tmp_path / "wgan", "cifar10", loss="wgan", seed=1)
    export_untrained(tmp_path / "mnist", "mnist")
    return tmp_path


def scores(directory, *words, has_logits=True):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractors, "fid_extractor", lambda weights, protocol: FewClasses(has_logits))
        common = ["--inception-weights", directory / "inception.npz", "--out", directory / "inception_score.txt", "--count", 20]
        return run_command(run, [str(word) for word in [*common, *words]])


def read_scores(path):
    """Returns the text of the file, and what it says by model and measure."""
    text = path.read_text()
    lines = [re.split("  +", line) for line in text.splitlines() if line.startswith(("cifar10/", SUMMER))]
    return text, {(name, measure): value for name, measure, value in lines}


def expected_score(images):
    """The Inception Score in one split, as it is defined."""
    logits = FewClasses(True)(images)[1].astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.exp(np.sum(p * np.log(p / p.mean(axis=0)), axis=1).mean())


def test_inception_scores_are_those_of_the_images_of_infer(weights):
    """The lines name their measures; the number is that of NumPy for the images of seed 0."""
    assert scores(weights, "--weights", weights / "wgan") == 0
    text, lines = read_scores(weights / "inception_score.txt")
    assert len(lines) == 10
    for loss, directory in (("gan", weights / "shipped/cifar10/gan"), ("wgan", weights / "wgan")):
        expected = expected_score(gan_tf.load("cifar10", directory).generate(20, seed=0))
        assert lines[f"cifar10/{loss}", "inception_score"].startswith(f"{expected:.4f} (20 images, weights ")
        assert lines[f"cifar10/{loss}", "inception_score_cifar10_head"].startswith("not computed: There is no CIFAR-10")
    for name in ("cifar10/lsgan", "cifar10/wgangp", SUMMER):
        assert lines[name, "inception_score"] == "not computed: there are no weights of it"
    assert "of 20 images of each model, or of all test images; 1 split, seed 0" in text
    assert "protocol of inception_score: extractor quarters" in text
    assert "classes 12" in text


def test_inception_scores_translations_are_those_of_winter(weights):
    """The fifth line is of all test images of winter, however few, as summer."""
    export_untrained(weights / "cyclegan", "yosemite")
    random = np.random.default_rng(0)
    for folder, count in {"trainA": 14, "trainB": 12, "testA": 10, "testB": 9}.items():
        (weights / "photographs" / folder).mkdir(parents=True)
        for i in range(count):
            write_png(weights / "photographs" / folder / f"{i}.png", random.integers(0, 256, (32, 32, 3), np.uint8))
    words = ["--weights", weights / "cyclegan"]
    assert scores(weights, *words) == 0
    without = read_scores(weights / "inception_score.txt")[1]
    assert without[SUMMER, "inception_score"] == "not computed: --yosemite names no photographs"
    assert scores(weights, *words, "--yosemite", weights / "photographs") == 0
    text, lines = read_scores(weights / "inception_score.txt")
    winter = UnpairedData(size=32).open(weights / "photographs", "val", memory_budget=1 << 20)["b"].take(np.arange(9))
    translator = load_workflow(YOSEMITE, weights / "cyclegan").load(weights / "cyclegan")
    expected = expected_score(translator.translate_all(winter.numpy(), "BtoA"))
    assert lines[SUMMER, "inception_score"].startswith(f"{expected:.4f} (9 images, weights ")
    assert lines["cifar10/gan", "inception_score"] == without["cifar10/gan", "inception_score"]
    assert "protocol of inception_score: extractor quarters" in text
    assert "photographs" not in text.partition("protocol")[2]  # only what all models have in common


REFUSED = [
    (["--weights", "wgan", "shipped/cifar10/gan", "wgan"], "both hold weights of cifar10/wgan"),
    (["--cifar", "cifar.tgz"], "There is no CIFAR-10 at 'cifar.tgz'"),
    (["--weights", "mnist"], "Name some of: cifar10/gan, cifar10/lsgan, cifar10/wgan, cifar10/wgangp, yosemite"),
    (["--yosemite", "nowhere"], "nowhere"),
    (["--weights", "nowhere"], "nowhere"),
    (["--splits", "21"], "cannot be divided into 21 splits"),
    (["--inception-weights", "nowhere.npz"], "nowhere.npz"),
    (["--out", "photo.txt"], "exists already and holds no Inception Scores"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_inception_scores_bad_input_is_one_line_and_writes_nothing(weights, words, message, monkeypatch, capsys):
    monkeypatch.chdir(weights)
    (weights / "photo.txt").write_text("mine")
    assert scores(weights, *words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (weights / "inception_score.txt").exists()
    assert (weights / "photo.txt").read_text() == "mine"


def test_inception_scores_nothing_that_can_be_computed_writes_nothing(weights, capsys):
    assert scores(weights, has_logits=False) == 2
    assert "these weights of the network have no classifier" in capsys.readouterr().err
    assert not (weights / "inception_score.txt").exists()


def test_inception_scores_file_of_scores_is_replaced(weights):
    (weights / "inception_score.txt").write_text("Inception Scores of former weights\n")
    assert scores(weights) == 0
    assert "cifar10/gan" in (weights / "inception_score.txt").read_text()
