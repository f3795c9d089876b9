"""The figures of an adaptation: captions, and an embedding that keeps what is apart apart."""

import io
import json

import numpy as np
from PIL import Image

from gan_tf.dann.figures import DomainFeatures, draw_predicted_classes, embed, write_figures


def test_embed_keeps_clusters_apart_and_is_repeatable():
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(0, 1, (30, 8)), random.normal(12, 1, (30, 8))]).astype(np.float32)
    points = embed(features)
    np.testing.assert_array_equal(points, embed(features))
    first, second = points[:30], points[30:]
    distance = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert distance > 2 * max(first.std(), second.std())


def test_write_figures_writes_three_with_captions(tmp_path):
    random = np.random.default_rng(0)
    domains = [
        DomainFeatures(name, random.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3, np.arange(12) % 2)
        for name in ("mnistm (source)", "svhn (target)")
    ]
    paths = write_figures(tmp_path / "figures", "full method", domains, ("cat", "dog", "owl"))
    captions = json.loads((tmp_path / "figures/figures.json").read_text())
    assert (
        list(captions) == [path.name for path in paths] == ["features-by-class.png", "features-by-domain.png", "confusion.png"]
    )
    assert "12 of mnistm (source) and 12 of svhn (target)" in captions["features-by-class.png"]
    assert "12 validation images of svhn (target)" in captions["confusion.png"]
    assert {Image.open(path).size for path in paths} == {(700, 600)}


def test_draw_predicted_classes_has_bars_as_high_as_the_fractions():
    image = np.asarray(Image.open(io.BytesIO(draw_predicted_classes(np.array([0.6, 0.3, 0.1]), "abc"))).convert("RGB"))
    blue = (image == (0x1F, 0x77, 0xB4)).all(axis=2)
    columns = np.flatnonzero(blue.any(axis=0))
    bars = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    heights = np.array([blue[:, bar[len(bar) // 2]].sum() for bar in bars])
    np.testing.assert_allclose(heights / heights.sum(), [0.6, 0.3, 0.1], atol=0.02)
