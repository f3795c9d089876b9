"""What makes whole trainings by the command short: no scores at their end, and few synthetic faces."""

import functools

import pytest

from pipelines.synthetic import anime


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Without the user's cache there are no weights and no detector to score with; test_families.py scores with them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_TF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def few_synthetic_faces():
    """16 synthetic faces instead of thousands, which are rendered whenever a run without data starts or resumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anime, "SyntheticFaces", functools.partial(anime.SyntheticFaces, 16))
        yield
