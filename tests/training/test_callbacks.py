"""Scores on the way and at the end, with a small extractor: what is written, what is kept, what is never looked at."""

import json

import numpy as np
import pytest
from helpers.cli import run_folder, tiny
from PIL import Image

from gan_tf import export
from gan_tf.cli import main as cli
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.training import callbacks as scoring


class Means:
    """Features are the mean colours of the four quarters of an image."""

    name, weights_sha256, protocol, resize, warning, has_logits = "means", "0" * 64, "test", "none", None, False

    def __call__(self, images):
        n, height, width, _ = images.shape
        quarters = images.astype(np.float64).reshape(n, 2, height // 2, 2, width // 2, 3).mean(axis=(2, 4))
        return (quarters.reshape(n, 12) / 255).astype(np.float32), None


@pytest.fixture
def scored(pictures, tmp_path, monkeypatch):
    """A run of four steps that is scored at each; the folder and its lines with a score."""
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scoring, "fid_extractor", Means)
    words = ["--task", "anime", "--data", pictures, "--runs", tmp_path / "runs", "--steps", 4, "--eval-every", 1]
    assert cli.train([str(w) for w in [*words, "--eval-count", 12, "--checkpoint-every", 4, *tiny]]) == 0
    folder = run_folder(tmp_path / "runs")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return folder, [line for line in lines if "fid_train" in line]


def test_each_score_is_written_and_the_best_weights_are_kept(scored):
    folder, lines = scored
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    best = min(lines, key=lambda line: line["fid_train"])
    card = json.loads((folder / "best/card.json").read_text())
    assert card["step"] == card["best"]["step"] == best["step"]
    assert card["best"]["fid_train"] == best["fid_train"]
    export.read(folder / "best")


def test_the_score_is_that_of_the_images_the_weights_make(scored, pictures, tmp_path):
    """The number is computed anew, from pictures that infer.py writes and from the training files themselves."""
    folder, lines = scored
    assert cli.infer(["--task", "anime", "--run", str(folder), "--count", "12", str(tmp_path / "out")]) == 0
    sides = [np.stack([np.asarray(Image.open(p)) for p in sorted(place.iterdir())]) for place in (tmp_path / "out", pictures)]
    expected = frechet_distance_of_features(*[Means()(side)[0] for side in sides])
    assert lines[-1]["fid_train"] == pytest.approx(expected, rel=0.02)  # float16 weights move a level here and there


def test_without_weights_for_the_fid_one_line_says_how_to_get_them(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    words = ["--task", "anime", "--data", pictures, "--runs", tmp_path / "runs", "--steps", 4, "--eval-every", 1, *tiny]
    assert cli.train([str(w) for w in words]) == 2
    assert "fetch_weights" in capsys.readouterr().err


def test_training_ends_with_its_scores_or_a_line(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    pictures.rename(tmp_path / "data/faces")
    (tmp_path / "data/val").mkdir()
    for i in range(4):
        Image.fromarray(np.full((64, 64, 3), 50 * i, np.uint8)).save(tmp_path / f"data/val/{i}.png")
    words = ["--task", "anime", "--data", tmp_path / "data", "--runs", tmp_path / "runs", "--steps", 1, *tiny]
    assert cli.train([str(w) for w in words]) == 0
    said = capsys.readouterr().out
    assert "not scored: " in said
    assert "fetch_weights" in said
