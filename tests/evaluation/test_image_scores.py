"""The whole path from images to scores with a small extractor: what must grow grows, what must not change does not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gan_tf.evaluation.image_scores import MEASURES, score_images, streamed_statistics
from gan_tf.evaluation.metrics.frechet import frechet_distance
from gan_tf.evaluation.scores import ImageSet
from pipelines.errors import InputError


def scored(generated, real, extractor, **more):
    return score_images(ImageSet("generated", generated), ImageSet("real", real), extractor, **more)


def test_all_scores_have_their_protocol(extractor, photos):
    scores = scored(photos(60, 0), photos(80, 1), extractor, splits=2)
    assert tuple(scores) == MEASURES
    for score in scores.values():
        assert score.protocol["images"] == 60
        assert score.protocol["reference_images"] == 80
        assert score.protocol["extractor"] == "small"
        assert len(score.protocol["reference_sha256"]) == 64
        assert score.floor is not None
    assert "fewer than 2,048" in scores["fid"].protocol["warning"]
    assert scores["kid"].protocol["subset_size"] == 60
    assert (scores["precision"].protocol["neighbours"], scores["coverage"].protocol["neighbours"]) == (3, 5)
    assert scores["inception_score"].protocol["splits"] == 2


def test_fid_is_that_of_numpys_mean_and_covariance(extractor, photos):
    generated, real = photos(60, 0), photos(80, 1)
    one, two = (extractor(images)[0].astype(np.float64) for images in (generated, real))
    expected = frechet_distance(one.mean(0), np.cov(one.T), two.mean(0), np.cov(two.T))
    assert scored(generated, real, extractor)["fid"].value == pytest.approx(expected, rel=1e-9)


def test_statistics_stream(extractor, photos):
    images = photos(700, 0)
    streamed = streamed_statistics(extractor, (images[start : start + 90] for start in range(0, 700, 90)))
    features = extractor(images)[0].astype(np.float64)
    assert streamed.count == 700
    np.testing.assert_allclose(streamed.mean, features.mean(0), rtol=1e-10)
    np.testing.assert_allclose(streamed.covariance, np.cov(features.T), rtol=1e-9, atol=1e-12)


def damages(images):
    draws = np.random.default_rng(9)
    for amount in (1, 3):
        yield "blur", gaussian_filter(images, (0, amount, amount, 0))
    for amount in (20, 90):
        yield "noise", (images + draws.normal(0, amount, (len(images), 1, 1, 3))).clip(0, 255).astype(np.uint8)
    bright = images.mean(axis=(1, 2, 3))
    for amount in (0.6, 0.2):
        yield "modes", images[np.argsort(bright)[: int(len(images) * amount)]]


def test_real_against_real_is_near_0_and_damage_grows(extractor, photos):
    images, real = photos(400, 0), photos(400, 1)
    same = scored(images, real, extractor, measures=("fid", "kid"))
    assert same["fid"].value < 0.1
    assert same["fid"].floor.value < 0.2
    assert abs(same["kid"].value) < 0.01
    fids, kids = {}, {}
    for kind, damaged in damages(images):
        scores = scored(damaged, real, extractor, measures=("fid", "kid"))
        fids.setdefault(kind, [same["fid"].value]).append(scores["fid"].value)
        kids.setdefault(kind, [same["kid"].value]).append(scores["kid"].value)
    for series in (*fids.values(), *kids.values()):
        assert series[0] < series[1] < series[2]


def test_a_collapsed_generator_gets_low_recall_and_coverage(extractor, photos):
    real = photos(300, 1)
    collapsed = np.repeat(real[:3], 100, axis=0)
    scores = scored(collapsed, real, extractor, measures=("precision", "recall", "coverage"))
    assert scores["precision"].value > 0.9
    assert scores["recall"].value < 0.1
    assert scores["coverage"].value < 0.2


def test_parts_and_seeds(extractor, photos):
    generated, real = photos(50, 0), photos(70, 1)
    whole = scored(generated, real, extractor)
    parts = scored(iter([generated[:7], generated[7:]]), iter([real[:60], real[60:]]), extractor)
    assert {name: score.record() for name, score in parts.items()} == {n: s.record() for n, s in whole.items()}
    other = scored(generated, real, extractor, seed=1)
    assert other["fid"].value == whole["fid"].value
    assert other["fid"].floor.value != whole["fid"].floor.value


def test_the_floor_takes_a_second_sample_of_the_same_count(extractor, photos):
    second = ImageSet("train", photos(500, 2))
    floor = scored(photos(50, 0), photos(70, 1), extractor, second_real=second)["fid"].floor
    assert (floor.protocol["generated"], floor.protocol["images"], floor.protocol["reference_images"]) == ("train", 50, 70)


def test_real_features_are_kept_by_content_not_by_name(make_extractor, photos, tmp_path):
    generated, real = photos(40, 0), photos(40, 1)
    scored(generated, real, make_extractor())
    again = make_extractor()
    first = scored(generated, real.copy(), again)["fid"].value
    assert again.calls == 1  # the generated images only
    other = make_extractor()
    changed = real.copy()
    changed[0, 0, 0, 0] ^= 1
    scored(generated, changed, other)
    assert other.calls == 2
    renamed = make_extractor()
    renamed.weights_sha256 = "1" * 64
    scored(generated, real, renamed)
    assert renamed.calls == 2
    for file in (tmp_path / "cache" / "features").iterdir():
        file.write_bytes(b"damaged")
    mended = make_extractor()
    assert scored(generated, real, mended)["fid"].value == first
    assert mended.calls == 2


def test_a_cache_that_cannot_be_written_does_no_harm(extractor, photos, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    scored(photos(40, 0), photos(40, 1), extractor, cache=tmp_path / "file")
    assert "not kept" in caplog.text


def test_without_a_classifier_there_is_no_inception_score(make_extractor, photos):
    assert "inception_score" not in scored(photos(40, 0), photos(40, 1), make_extractor(has_logits=False))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_refused(extractor, photos, count):
    with pytest.raises(InputError):
        scored([photos(1, 0)] * count, photos(40, 1), extractor, splits=1)
