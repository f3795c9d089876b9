"""A recipe's score is the one that ``train.py --eval-every`` writes, of the weights as they were exported."""

import json

import numpy as np
import pytest
from helpers.cli import run_folder, tiny

from gan_tf.cli import main as cli
from gan_tf.experiments.recipe_scores import SAMPLES, score_run


def test_it_is_the_fid_train_of_the_same_step(means, pictures, tmp_path):
    words = ["--task", "anime", "--data", pictures, "--runs", tmp_path / "runs", "--steps", 2, "--loss", "gan", *tiny]
    assert cli.train([str(w) for w in [*words, "--eval-every", 2, "--eval-count", 10]]) == 0
    folder = run_folder(tmp_path / "runs")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (expected,) = [line for line in lines if "fid_train" in line]
    scores, samples = score_run(folder, pictures, 10)
    assert scores["images"] == 10
    assert scores["fid"] == pytest.approx(expected["fid_train"], rel=0.02)  # float16 weights move a level here and there
    assert scores["kid"] == pytest.approx(expected["kid_train"], rel=0.02)
    assert scores["protocol"]["name"] == "means"
    assert samples.shape == (SAMPLES, 64, 64, 3)
    with np.load(folder / "generator.npz") as archive:  # all but the moving means and variances of four batch norms
        numbers = [archive[name].size for name in archive.files if name != "about"]
    assert scores["parameters"]["generator"] == sum(numbers) - 2 * (4 + 8 + 16 + 32)
