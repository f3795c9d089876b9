"""What the tests of the experiments share: an extractor without weights, and a door that pretends to train."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from gan_tf.experiments import recipes
from gan_tf.experiments.recipes import Recipe
from gan_tf.utils.images import write_png

TABLE = (Recipe("one", "the first", {"loss": "gan"}), Recipe("two", "the second", {"loss": "hinge", "hidden": 8}))


class Means:
    """Features are the mean colours of the four quarters of an image."""

    name, weights_sha256, protocol, resize, warning, has_logits = "means", "0" * 64, "test", "no resize", None, False

    def __call__(self, images):
        n, height, width, _ = images.shape
        quarters = images.astype(np.float64).reshape(n, 2, height // 2, 2, width // 2, 3).mean(axis=(2, 4))
        return (quarters.reshape(n, 12) / 255).astype(np.float32), None


@pytest.fixture
def means(monkeypatch, tmp_path):
    """``Means`` in place of the FID network, and a cache folder of its own."""
    from gan_tf.training import callbacks as scoring

    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scoring, "fid_extractor", Means)
    return Means


class Door:
    """Stands in for the processes: a training leaves a run of 10 steps a minute, a score comes from ``fids``.

    ``trouble`` maps (recipe, minutes) to what the training then ends with: exit code and words, or an exception.
    """

    def __init__(self):
        self.fids: dict[str, list[float]] = {}
        self.trouble: dict = {}
        self.trainings: list[tuple[str, float]] = []
        self.digest = "d"

    def __call__(self, words, log: Path):
        said = dict(itertools.pairwise(words))
        if words[0] == "-m":
            return self.score(log.parent, said)
        name, minutes = log.parent.name, float(said["--minutes"])
        self.trainings.append((name, minutes))
        self.run(log.parent, minutes, said)
        end = self.trouble.pop((name, minutes), (0, ""))
        if not isinstance(end, tuple):
            raise end
        return end

    def run(self, folder: Path, minutes: float, said: dict) -> None:
        state = folder / "anime/000-x-y/checkpoints" / f"step-{int(10 * minutes):09d}/state.json"
        state.parent.mkdir(parents=True)
        state.write_text(json.dumps({"step": int(10 * minutes), "seconds": 60.0 * minutes}))
        settings = {"loss": said["--loss"], "batch": 64, "seed": 0, "precision": "bfloat16"}  # which the machine chose
        data = {"name": "faces", "path": None, "count": 25000, "digest": self.digest}
        config = {"task": "anime", "command": "", "steps": 1, "settings": settings, "sources": {}, "data": data}
        config["environment"] = {"devices": ["CPU"]}
        (folder / "anime/000-x-y/config.json").write_text(json.dumps(config))

    def score(self, folder: Path, said: dict):
        protocol = {"name": "net", "protocol": "pytorch-fid", "resize": "bilinear", "warning": None}
        networks = {"generator": 1_500_000, "discriminator": 700_000}
        score = {"fid": self.fids[folder.name].pop(0), "kid": 0.1, "images": 2000, "seed": 0}
        Path(said["--out"]).write_text(json.dumps({**score, "parameters": networks, "protocol": protocol}))
        write_png(Path(said["--samples"]), np.full((64, 512, 3), 100, np.uint8))
        return 0, ""


@pytest.fixture
def door(monkeypatch, tmp_path):
    """A comparison of ``TABLE`` whose processes are a ``Door``, and which needs no weights."""
    from gan_tf.evaluation.features import inception_weights as weights

    made = Door()
    monkeypatch.setattr(recipes, "watched", made)
    monkeypatch.setattr(recipes, "RECIPES", TABLE)
    monkeypatch.setattr(weights, "load_weights", lambda: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").mkdir()
    return made
