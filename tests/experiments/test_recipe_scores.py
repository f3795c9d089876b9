"""A recipe's score is the one that ``train.py --eval-every`` logs, of the weights as they were exported."""

import json

import numpy as np
import pytest
from helpers.cli import TINY, call, only_run

from gan_tf.experiments.recipe_scores import NUM_SAMPLES, score_run


def test_score_run_equals_logged_fid_and_kid(quarter_means, image_dir, tmp_path):
    arguments = ["--task", "anime", "--data", image_dir, "--runs", tmp_path / "runs", "--steps", 2, "--loss", "gan", *TINY]
    assert call("train", *arguments, "--eval-every", 2, "--eval-count", 10) == 0
    run_dir = only_run(tmp_path / "runs")
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    (expected,) = [line for line in lines if "fid_train" in line]
    scores, samples = score_run(run_dir, image_dir, 10)
    assert scores["images"] == 10
    assert scores["fid"] == pytest.approx(expected["fid_train"], rel=0.02)  # float16 weights change a few gray levels
    assert scores["kid"] == pytest.approx(expected["kid_train"], rel=0.02)
    assert scores["protocol"]["name"] == "means"
    assert samples.shape == (NUM_SAMPLES, 64, 64, 3)
    with np.load(run_dir / "weights.npz") as archive:
        sizes = [archive[name].size for name in archive.files if name != "about"]
    moving_statistics = 2 * (4 + 8 + 16 + 32)  # means and variances of four batch norms, which are not trained
    assert scores["parameters"]["generator"] == sum(sizes) - moving_statistics
