"""The whole path from images to scores with a small extractor: what must grow grows, what must not change does not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gan_tf.evaluation.image_scores import METRICS, ImageScoreOptions, RealImages, score_images
from gan_tf.evaluation.metrics.frechet import frechet_distance
from gan_tf.evaluation.report import render_table
from gan_tf.evaluation.scores import ImageSet
from pipelines.errors import UserError


def score(generated, real, extractor, second_sample=None, **options):
    images = RealImages(ImageSet("real", real), second_sample)
    return score_images(ImageSet("generated", generated), images, extractor, ImageScoreOptions(**options))


def test_score_images_every_score_has_its_protocol(extractor, photos):
    scores = score(photos(60, 0), photos(80, 1), extractor, splits=2)
    assert tuple(scores) == METRICS
    for value in scores.values():
        assert value.protocol["images"] == 60
        assert value.protocol["reference_images"] == 80
        assert value.protocol["extractor"] == "small"
        assert len(value.protocol["reference_sha256"]) == 64
        assert value.baseline is not None
    assert "fewer than 2,048" in scores["fid"].protocol["warning"]
    assert scores["kid"].protocol["subset_size"] == 60
    assert (scores["precision"].protocol["neighbors"], scores["coverage"].protocol["neighbors"]) == (3, 5)
    assert scores["inception_score"].protocol["splits"] == 2


def test_score_images_fid_is_that_of_numpy_statistics(extractor, photos):
    generated, real = photos(60, 0), photos(80, 1)
    one, two = (extractor(images)[0].astype(np.float64) for images in (generated, real))
    expected = frechet_distance(one.mean(0), np.cov(one.T), two.mean(0), np.cov(two.T))
    assert score(generated, real, extractor)["fid"].value == pytest.approx(expected, rel=1e-9)


def damages(images):
    random = np.random.default_rng(9)
    for amount in (1, 3):
        yield "blur", gaussian_filter(images, (0, amount, amount, 0))
    for amount in (20, 90):
        yield "noise", (images + random.normal(0, amount, (len(images), 1, 1, 3))).clip(0, 255).astype(np.uint8)
    bright = images.mean(axis=(1, 2, 3))
    for amount in (0.6, 0.2):
        yield "modes", images[np.argsort(bright)[: int(len(images) * amount)]]


def test_score_images_distances_grow_with_damage(extractor, photos):
    images, real = photos(400, 0), photos(400, 1)
    same = score(images, real, extractor, metrics=("fid", "kid"))
    assert same["fid"].value < 0.1
    assert same["fid"].baseline.value < 0.2
    assert abs(same["kid"].value) < 0.01
    fids, kids = {}, {}
    for kind, damaged in damages(images):
        scores = score(damaged, real, extractor, metrics=("fid", "kid"))
        fids.setdefault(kind, [same["fid"].value]).append(scores["fid"].value)
        kids.setdefault(kind, [same["kid"].value]).append(scores["kid"].value)
    for series in (*fids.values(), *kids.values()):
        assert series[0] < series[1] < series[2]


def test_score_images_collapsed_generator_has_low_recall_and_coverage(extractor, photos):
    real = photos(300, 1)
    collapsed = np.repeat(real[:3], 100, axis=0)
    scores = score(collapsed, real, extractor, metrics=("precision", "recall", "coverage"))
    assert scores["precision"].value > 0.9
    assert scores["recall"].value < 0.1
    assert scores["coverage"].value < 0.2


def test_score_images_seeds_matter_to_the_baseline_only(extractor, photos):
    generated, real = photos(50, 0), photos(70, 1)
    whole, other = score(generated, real, extractor), score(generated, real, extractor, seed=1)
    assert other["fid"].value == whole["fid"].value
    assert other["fid"].baseline.value != whole["fid"].baseline.value


def test_score_images_halves_as_the_baseline_state_their_counts(extractor, photos):
    fid = score(photos(150, 0), photos(150, 1), extractor)["fid"]
    assert (fid.baseline.protocol["images"], fid.baseline.protocol["reference_images"]) == (75, 75)
    assert "two halves of the reference, 75 with 75" in fid.protocol["warning"]
    assert "(75 vs 75)" in render_table({"fid": fid})


def test_score_images_identical_sets_are_warned_of(extractor, photos):
    images = photos(40, 0)
    assert "40 of the 40 generated images are copies" in score(images, images, extractor)["fid"].protocol["warning"]
    second = ImageSet("train", np.concatenate([images[:3], photos(20, 2)]))
    warning = score(photos(40, 1), images, extractor, second)["fid"].protocol["warning"]
    assert "3 of the 23 images of train are also in real" in warning


def test_score_images_deviations_that_mean_nothing_are_left_out(extractor, photos):
    """KID's subsets of all images are all the same, and one split has no deviation."""
    scores = score(photos(40, 0), photos(40, 1), extractor, splits=1)
    assert (scores["kid"].deviation, scores["kid"].protocol["subsets"]) == (None, 1)
    assert scores["inception_score"].deviation is None
    assert score(photos(40, 0), photos(50, 1), extractor)["kid"].deviation > 0


def test_score_images_fewer_images_than_splits_leave_the_inception_score_out(extractor, photos, capsys):
    scores = score(photos(8, 0), photos(40, 1), extractor, splits=10)
    assert "inception_score" not in scores
    assert "fid" in scores
    assert "inception_score, since 8 images cannot be divided into 10 splits" in capsys.readouterr().out


def test_score_images_baseline_uses_a_second_sample_of_the_same_count(extractor, photos):
    second = ImageSet("train", photos(500, 2))
    protocol = score(photos(50, 0), photos(70, 1), extractor, second)["fid"].baseline.protocol
    assert (protocol["generated"], protocol["images"], protocol["reference_images"]) == ("train", 50, 70)


def test_score_images_real_features_are_cached_by_content(make_extractor, photos, tmp_path):
    generated, real = photos(40, 0), photos(40, 1)
    score(generated, real, make_extractor())
    again = make_extractor()
    first = score(generated, real.copy(), again)["fid"].value
    assert again.calls == 1  # the generated images only
    other = make_extractor()
    changed = real.copy()
    changed[0, 0, 0, 0] ^= 1
    score(generated, changed, other)
    assert other.calls == 2
    renamed = make_extractor()
    renamed.weights_sha256 = "1" * 64
    score(generated, real, renamed)
    assert renamed.calls == 2
    for file in (tmp_path / "cache" / "features").iterdir():
        file.write_bytes(b"damaged")
    recomputed = make_extractor()
    assert score(generated, real, recomputed)["fid"].value == first
    assert recomputed.calls == 2


def test_score_images_cache_that_cannot_be_written_only_warns(extractor, photos, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    score(photos(40, 0), photos(40, 1), extractor, cache=tmp_path / "file")
    assert "not cached" in caplog.text


def test_score_images_without_a_classifier_has_no_inception_score(make_extractor, photos):
    assert "inception_score" not in score(photos(40, 0), photos(40, 1), make_extractor(has_logits=False))


def test_score_images_no_images_are_refused(extractor, photos):
    with pytest.raises(UserError, match="There are no images"):
        score(photos(40, 1)[:0], photos(40, 1), extractor)
    with pytest.raises(UserError, match="There are no images in 'real'"):
        score(photos(5, 0), photos(5, 0)[:0], extractor)
