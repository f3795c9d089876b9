"""What the tests of the experiments share: an extractor without weights, and processes that only pretend to train."""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.exports import CARD

from gan_tf import cards
from gan_tf.experiments import recipes, trainings
from gan_tf.experiments.trainings import Training
from gan_tf.run_dir import FAILURE, FORMAT
from gan_tf.utils.images import write_png

RECIPES = (Training("one", "the first", {"loss": "gan"}), Training("two", "the second", {"loss": "hinge", "hidden_dim": 8}))


class QuarterMeans:
    """A feature extractor: features are the mean colors of the four quarters of an image."""

    name, weights_sha256, protocol, resize, warning, has_logits = "means", "0" * 64, "test", "no resize", None, False
    classifier_sha256 = ""

    def __call__(self, images):
        n, height, width, _ = images.shape
        quarters = images.astype(np.float64).reshape(n, 2, height // 2, 2, width // 2, 3).mean(axis=(2, 4))
        return (quarters.reshape(n, 12) / 255).astype(np.float32), None


@pytest.fixture
def quarter_means(monkeypatch, tmp_path):
    """``QuarterMeans`` in place of the FID network, and a cache folder of its own."""
    from gan_tf import workflow
    from gan_tf.training import callbacks

    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(callbacks, "fid_extractor", QuarterMeans)
    monkeypatch.setattr(workflow, "find_weights_file", lambda: None)
    return QuarterMeans


def write_weights(directory: Path, step: int) -> None:
    """Writes what ``cards.has_step`` takes for the export of a step."""
    (directory / cards.WEIGHTS).write_bytes(b"weights")
    card = {**CARD, "step": step, "sha256": hashlib.sha256(b"weights").hexdigest()}
    (directory / cards.CARD).write_text(json.dumps(card))


class FakeProcesses:
    """Replaces ``run_python``: a training writes a run of 10 steps per minute, and scores come from ``fids``.

    Attributes:
        fids: for each recipe the FIDs that it will get, in order.
        failures: maps (recipe, minutes) to the step at which that training diverges.
        exit_codes: maps (recipe, minutes) to the exit code of that training, or to an exception that it raises.
        trainings: (recipe, minutes) of the trainings so far.
        digest: of the images.
    """

    def __init__(self):
        self.fids: dict[str, list[float]] = {}
        self.failures: dict[tuple[str, float], int] = {}
        self.exit_codes: dict[tuple[str, float], int | BaseException] = {}
        self.trainings: list[tuple[str, float]] = []
        self.digest = "d"

    def __call__(self, arguments, log: Path) -> int:
        flags = dict(itertools.pairwise(arguments))
        if "gan_tf.experiments.recipe_scores" in arguments:
            return self.score(log.parent, flags)
        training = (log.parent.name, float(flags["--minutes"]))
        self.trainings.append(training)
        self.write_run(log.parent, training, flags)
        code = self.exit_codes.pop(training, 2 if training in self.failures else 0)
        if isinstance(code, BaseException):
            raise code
        return code

    def write_run(self, folder: Path, training: tuple[str, float], flags: dict) -> None:
        run_dir, minutes = folder / "anime/000-x-y", training[1]
        state = run_dir / "checkpoints" / f"step-{int(10 * minutes):09d}/state.json"
        state.parent.mkdir(parents=True)
        state.write_text(json.dumps({"step": int(10 * minutes), "seconds": 60.0 * minutes}))
        write_weights(run_dir, int(10 * minutes))
        source = {"name": "faces", "count": 25000, "digest": self.digest}
        explicit = {"loss": flags["--loss"]} | ({"hidden_dim": 8} if "--hidden-dim" in flags else {})
        config = {
            "format": FORMAT,
            "run_id": "0a",
            "task": "anime",
            "command": "",
            "steps": 1,
            "config": {"loss": flags["--loss"], "batch": 64, "seed": 0, "precision": "bfloat16"},  # chosen by the machine
            "sources": {},
            "explicit": explicit,
            "options": {},
            "data": {"path": flags["--data"], "sources": {"real": source}},
            "environment": {"devices": ["CPU"]},
        }
        (run_dir / "config.json").write_text(json.dumps(config))
        if training in self.failures:
            failure = {"kind": "non-finite", "step": self.failures[training], "quantity": "D's loss"}
            (run_dir / FAILURE).write_text(json.dumps(failure))

    def score(self, folder: Path, flags: dict) -> int:
        protocol = {"name": "net", "protocol": "pytorch-fid", "resize": "bilinear", "warning": None}
        parameters = {"generator": 1_500_000, "discriminator": 700_000}
        score = {"fid": self.fids[folder.name].pop(0), "kid": 0.1, "images": 2000, "seed": 0}
        Path(flags["--out"]).write_text(json.dumps({**score, "parameters": parameters, "protocol": protocol}))
        write_png(Path(flags["--samples"]), np.full((64, 512, 3), 100, np.uint8))
        return 0


@pytest.fixture
def processes(monkeypatch, tmp_path):
    """A comparison of ``RECIPES`` whose processes are ``FakeProcesses``, and which needs no weights."""
    from gan_tf.evaluation.features import inception_weights

    fake = FakeProcesses()
    for module in (recipes, trainings):
        monkeypatch.setattr(module, "run_python", fake)
    monkeypatch.setattr(recipes, "RECIPES", RECIPES)
    monkeypatch.setattr(inception_weights, "load_weights", lambda: None)
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "faces/one.png", np.zeros((64, 64, 3), np.uint8))
    return fake
