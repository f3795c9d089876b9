"""Stages of a training: a run that begins with the weights of another, and one whose rates fall to 0."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import run_folder, tiny, two_steps

from gan_tf import export
from gan_tf.cli import main as cli
from gan_tf.gan import workflow as workflow
from gan_tf.tasks import find
from gan_tf.training.run_dir import read_config


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return two_steps(tmp_path_factory.mktemp("runs"))


def test_init_from_takes_weights_only_and_lists_the_rest(run, pictures, tmp_path, capsys):
    words = ["--task", "anime", "--steps", "1", "--runs", str(tmp_path), "--init-from", str(run), "--data", str(pictures)]
    words += ["--batch", "4", "--latent", "8", "--loss", "wgangp"]
    assert cli.train([*words, "--hidden", "4"]) == 0
    assert "did not fit" not in capsys.readouterr().out
    assert cli.train([*words, "--hidden", "4", "--norm", "none"]) == 0
    said = capsys.readouterr().out
    assert "did not fit: discriminator" in said  # where the norm's parameters were, there are biases now
    assert "did not fit: generator" not in said
    assert cli.train([*words, "--hidden", "2"]) == 0
    assert "did not fit: generator" in capsys.readouterr().out


def test_init_from_exported_weights_takes_g_and_begins_d_anew(run, pictures, tmp_path, capsys):
    """Such as shipped ones, or those a run kept in best/; G is then the averaged one."""
    kept = tmp_path / "best"
    kept.mkdir()
    for name in (export.WEIGHTS, export.CARD):
        shutil.copy(run / name, kept)
    words = ["--task", "anime", "--runs", str(tmp_path / "runs"), "--data", str(pictures), "--loss", "hinge", *map(str, tiny)]
    assert cli.train([*words, "--steps", "1", "--g-rate", "1e-9", "--init-from", str(kept)]) == 0
    said = capsys.readouterr().out
    assert "begins anew, since there is none: discriminator" in said
    assert "did not fit" not in said
    folder = run_folder(tmp_path / "runs")
    stage = {name: json.loads((run / "card.json").read_text())[name] for name in export.STAGE}
    assert json.loads((folder / "card.json").read_text())["began_with"] == [stage]
    expected, found = (workflow.load(path, find("anime"))[0].trainable_variables for path in (kept, folder))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-6)


def test_init_from_another_kind_of_run_is_refused_before_there_is_a_run(run, tmp_path, capsys):
    words = ["--task", "reader", "--steps", "1", "--runs", str(tmp_path / "runs"), "--init-from", str(run)]
    assert cli.train(words) == 2
    assert f"--init-from {run}, a run of anime; expected a run of: reader" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_card_tells_all_stages_of_a_training(run, pictures, tmp_path):
    words = ["--task", "anime", "--runs", str(tmp_path), "--data", str(pictures)]
    small = ["--batch", "4", "--latent", "8", "--loss", "hinge", "--hidden", "4"]
    assert cli.train([*words, *small, "--steps", "2", "--init-from", str(run)]) == 0
    first = next(tmp_path.glob("anime/000-*"))
    assert cli.train([*words, *small, f"--init-from={first}", "--decay-images", "12", "--steps", "3"]) == 0
    second = next(tmp_path.glob("anime/001-*"))
    told = [json.loads((folder / "card.json").read_text()) for folder in (run, first, second)]
    stages = [{name: card[name] for name in ("command", "seconds", "step", "images_seen", "data")} for card in told]
    assert "began_with" not in told[0]
    assert told[1]["began_with"] == stages[:1]
    assert told[2]["began_with"] == stages[:2]
    assert "--data DIR --batch 4" in told[2]["command"]
    assert "--init-from=RUN --decay-images 12" in told[2]["command"]
    assert str(tmp_path) not in str(told[2])


def test_steps_after_the_rates_have_fallen_to_zero_are_refused(pictures, tmp_path, capsys):
    runs = tmp_path / "runs"
    words = ["--task", "anime", "--runs", str(runs), "--data", str(pictures), "--batch", "4", "--hidden", "2"]
    assert cli.train([*words, "--steps", "4", "--decay-images", "12"]) == 2
    assert "at most 3 steps" in capsys.readouterr().err
    assert not runs.exists()  # nor a run that --resume would then mean


def test_a_run_of_falling_rates_ends_where_they_are_zero(pictures, tmp_path):
    words = ["--task", "anime", "--runs", str(tmp_path), "--data", str(pictures), "--batch", "4", "--hidden", "2"]
    assert cli.train([*words, "--decay-images", "9", "--latent", "4"]) == 0
    assert read_config(next(tmp_path.glob("anime/000-*")))["steps"] == 3
