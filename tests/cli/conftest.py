"""What makes whole trainings by the command short: no scores at their end, and few synthetic faces."""

import functools
from pathlib import Path

import pytest
from helpers.cli import train_two_steps

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


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of anime faces after two steps, which no test changes."""
    return train_two_steps(tmp_path_factory.mktemp("runs"))
