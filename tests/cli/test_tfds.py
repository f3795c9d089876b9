"""The commands on a data set of tensorflow-datasets: trained, resumed with the same bits, scored against its test images."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.cli import TINY, call, only_run
from helpers.tfds_fixtures import prepare_labeled

from gan_tf import cards
from gan_tf.run_dir import read_run_config


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    prepare_labeled("cifar10", folder, {"train": 12, "test": 6})
    prepare_labeled("mnist", folder, {"train": 12, "test": 6})
    return folder


def test_train_on_tfds_resumes_with_the_same_bits(tmp_path, data_dir, monkeypatch, capsys):
    monkeypatch.chdir(data_dir)  # the run keeps the absolute folder
    words = ["--task", "cifar10", "--log-every", 1, "--network", "mlp", *TINY]
    for name in ("whole", "parts"):
        steps = 4 if name == "whole" else 2
        assert call("train", *words, "--data", "tfds@.", "--steps", steps, "--runs", tmp_path / name) == 0
    monkeypatch.chdir(tmp_path)
    assert call("train", "--task", "cifar10", "--runs", tmp_path / "parts", "--resume", "--steps", 4) == 0
    output = capsys.readouterr().out
    assert output.count("cifar10: 12 images of 32x32x3") == 3
    assert output.count("real images: cifar10: 6 images of 32x32x3") == 3  # the scores at the end compare with test images
    whole, parts = (only_run(tmp_path / name, "cifar10") for name in ("whole", "parts"))
    assert whole.name == "000-gan-cifar10"
    assert (whole / "weights.npz").read_bytes() == (parts / "weights.npz").read_bytes()
    assert read_run_config(parts)["data"]["path"] == f"tfds@{data_dir}"
    card = (parts / "card.json").read_text()
    assert "--data tfds " in json.loads(card)["command"]
    assert str(data_dir) not in card


def test_resume_on_other_images_of_tfds_is_refused(tmp_path, data_dir, capsys):
    words = ["--task", "cifar10", "--runs", tmp_path / "runs"]
    assert call("train", *words, "--data", f"tfds@{data_dir}", "--steps", 1, "--network", "mlp", *TINY) == 0
    prepare_labeled("cifar10", tmp_path / "other", {"train": 11})
    assert call("train", *words, "--resume", "--steps", 2, "--data", f"tfds@{tmp_path / 'other'}") == 2
    assert "The images in cifar10 (11) are not those that" in capsys.readouterr().err


def test_evaluate_on_tfds_scores_the_classifier_on_the_test_split(tmp_path, data_dir):
    words = ["--task", "digits", "--data", f"tfds@{data_dir}"]
    assert call("train", *words, "--runs", tmp_path, "--steps", 1, "--batch", 4, "--hidden-dim", 4) == 0
    run = only_run(tmp_path, "digits")
    assert call("evaluate", *words, "--weights", run, "--json", tmp_path / "scores.json") == 0
    protocol = json.loads((tmp_path / "scores.json").read_text())["mnist_accuracy"]["protocol"]
    assert (protocol["images"], protocol["data"]) == (6, "mnist")
    assert cards.has_scores(run)  # the training's own evaluation found the test images too
    assert np.isfinite(json.loads((run / "scores.json").read_text())["mnist_accuracy"]["value"])


@pytest.mark.parametrize("command", ["train.py", "evaluate.py"])
def test_data_that_tfds_has_not_prepared_is_one_line(command, tmp_path, monkeypatch):
    """As a process, since tensorflow-datasets would write to the streams that pytest does not see."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")  # which this process has set; with it, TensorFlow's messages are shown
    words = [sys.executable, command, "--task", "cifar10", "--data", "tfds"]
    words += ["--runs", str(tmp_path / "runs")] if command == "train.py" else ["--images", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: The data set cifar10 of tensorflow-datasets has not been prepared: there is no {tmp_path}")
    assert list(tmp_path.iterdir()) == []
