"""A small extractor instead of Inception, so that all of the evaluation runs in milliseconds."""

import numpy as np
import pytest
from helpers.stand_in import SmallExtractor


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
