"""The table of an adaptation's checkpoints: which one is the last, the chosen and the best one; and a tiny run."""

import json

import pytest
from helpers.cli import call, only_run
from helpers.domains import TINY_DANN, write_digits

from gan_tf.experiments.adaptation_checkpoints import ScoredCheckpoint, run, write_page
from gan_tf.experiments.page import Page
from pipelines.errors import UserError


def test_write_page_tells_last_chosen_and_best_apart(tmp_path):
    scored = [ScoredCheckpoint(300, 70.0, 80.0), ScoredCheckpoint(100, 60.0, 85.0), ScoredCheckpoint(200, 75.0, 82.0)]
    write_page(Page(tmp_path / "page.md", "Checkpoints", "python"), scored)
    page = (tmp_path / "page.md").read_text()
    assert "last, which is what is used: step 300, 80.00 %" in page
    assert "chosen by the highest agreement, without labels: step 200, 82.00 %" in page
    assert "not allowed: step 100, 85.00 %" in page


def test_adaptation_checkpoints_scores_those_of_a_run(tmp_path):
    """The last checkpoint's accuracy is the run's score."""
    data = write_digits(tmp_path / "data")
    words = ["--task", "dann", "--data", data, "--runs", tmp_path, "--steps", 2, "--checkpoint-every", 1, *TINY_DANN]
    assert call("train", *words) == 0
    folder = only_run(tmp_path, "dann")
    assert run([str(folder), "--data", str(data), "--out", str(tmp_path / "page.md")]) == 0
    accuracy = json.loads((folder / "scores.json").read_text())["svhn_accuracy"]["value"]
    page = (tmp_path / "page.md").read_text()
    assert f"last, which is what is used: step 2, {accuracy:.2f} %" in page
    assert page.count("\n| ") == 4  # the header, the line below it, and two checkpoints


def test_adaptation_checkpoints_of_a_missing_run_are_refused(tmp_path):
    with pytest.raises(UserError, match="not a folder"):
        run([str(tmp_path / "none"), "--data", str(tmp_path)])


@pytest.mark.parametrize(("out", "message"), [("weights.npz", r"must be a \.md file"), ("folder.md", "is a folder")])
def test_adaptation_checkpoints_never_replaces_something_else(tmp_path, out, message):
    (tmp_path / "weights.npz").write_text("mine")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(UserError, match=message):
        run([str(tmp_path / "run"), "--data", str(tmp_path), "--out", str(tmp_path / out)])
