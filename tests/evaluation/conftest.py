"""A small extractor instead of Inception, so that all of the evaluation runs in milliseconds."""

import numpy as np
import pytest


class SmallExtractor:
    """Features are the image at 2x2 pixels through a fixed matrix: 16 numbers; logits are the first four of them."""

    name = "small"
    weights_sha256 = "0" * 64
    protocol = "test"
    resize = "mean of quarters"
    warning = None
    classifier_sha256 = ""

    def __init__(self, has_logits=True):
        self.has_logits = has_logits
        self.calls = 0
        self._matrix = np.random.default_rng(0).normal(size=(12, 16))

    def __call__(self, images):
        self.calls += 1
        n, height, width, _ = images.shape
        small = images.astype(np.float64).reshape(n, 2, height // 2, 2, width // 2, 3).mean(axis=(2, 4)) / 255
        features = np.tanh(small.reshape(n, 12) @ self._matrix).astype(np.float32)
        return features, features[:, :4] if self.has_logits else None


@pytest.fixture
def extractor():
    return SmallExtractor()


@pytest.fixture
def make_extractor():
    return SmallExtractor


@pytest.fixture
def photos():
    """Smooth random images, uint8 [n, 8, 8, 3]; other seeds give other samples of one distribution."""

    def make(n, seed):
        random = np.random.default_rng(seed)
        corners = random.uniform(0, 255, (n, 2, 2, 3))
        return np.kron(corners, np.ones((1, 4, 4, 1))).round().astype(np.uint8)

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, request):
    """Tests do not use the user's cache, except the slow ones, which need the weights in it."""
    if "slow" not in request.keywords:
        monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    """KID of five subsets instead of a hundred."""
    from gan_tf.evaluation import image_scores

    monkeypatch.setattr(image_scores, "_KID_SUBSETS", 5)
