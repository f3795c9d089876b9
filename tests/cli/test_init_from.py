"""Fine-tuning stages: a run that starts from the weights of another, and one whose learning rates decay to 0."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import TINY, call, only_run, train_two_steps

from gan_tf import cards, export
from gan_tf.api import load
from gan_tf.run_dir import read_run_config

ANIME = ["--task", "anime"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return train_two_steps(tmp_path_factory.mktemp("runs"))


def copy_export(run: Path, to: Path, names) -> Path:
    to.mkdir()
    for name in names:
        shutil.copy(run / name, to)
    return to


def test_init_from_run_copies_weights_only_and_lists_the_rest(run, image_dir, tmp_path, capsys):
    words = [*ANIME, "--steps", 1, "--runs", tmp_path, "--init-from", run, "--data", image_dir]
    words += ["--batch", 4, "--latent-dim", 8, "--loss", "hinge", "--norm", "layer"]  # the networks of ``run``
    assert call("train", *words, "--hidden-dim", 4) == 0
    output = capsys.readouterr().out
    assert "not copied" not in output
    assert "optimizer state was not restored" in output
    assert call("train", *words, "--hidden-dim", 4, "--norm", "none") == 0
    output = capsys.readouterr().out
    assert "not copied, of another shape: discriminator" in output  # biases, where the norm's parameters were
    assert "not copied, of another shape: generator" not in output
    assert call("train", *words, "--hidden-dim", 2) == 0
    assert "not copied, of another shape: generator" in capsys.readouterr().out


@pytest.mark.parametrize("with_discriminator", [True, False])
def test_init_from_exported_weights_copies_what_there_is(run, image_dir, tmp_path, capsys, with_discriminator):
    """Such as shipped weights, or those in best/: the generator is the EMA's, the discriminator that of finetune.npz."""
    names = [cards.WEIGHTS, cards.CARD] + ([cards.FINETUNE] if with_discriminator else [])
    exported = copy_export(run, tmp_path / "exported", names)
    words = [*ANIME, "--runs", tmp_path / "runs", "--data", image_dir, "--loss", "hinge", "--norm", "layer", *TINY]
    words += ["--steps", 1, "--g-lr", 1e-9, "--d-lr", 1e-9, "--init-from", exported]
    assert call("train", *words) == 0
    output = capsys.readouterr().out
    assert ("starts from scratch" in output) is not with_discriminator
    assert "not copied" not in output
    folder = only_run(tmp_path / "runs")
    stage = {name: json.loads((run / "card.json").read_text())[name] for name in cards.STAGE}
    assert json.loads((folder / "card.json").read_text())["initialized_from"] == [stage]
    expected, found = (load("anime", path).network.trainable_variables for path in (exported, folder))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-6)
    if with_discriminator:
        for (_, a), (_, b) in zip(
            export.read_finetune(exported)["discriminator"], export.read_finetune(folder)["discriminator"], strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-6)


def test_init_from_run_of_another_family_is_refused_before_there_is_a_run(run, tmp_path, capsys):
    assert call("train", "--task", "digits", "--steps", 1, "--runs", tmp_path / "runs", "--init-from", run) == 2
    assert f"--init-from {run} holds weights of task anime" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_init_from_card_lists_all_stages(run, image_dir, tmp_path):
    words = [*ANIME, "--runs", tmp_path, "--data", image_dir, *TINY, "--loss", "hinge"]
    assert call("train", *words, "--steps", 2, "--init-from", run) == 0
    first = next(tmp_path.glob("anime/000-*"))
    assert call("train", *words, f"--init-from={first}", "--lr-decay-images", 12, "--steps", 3) == 0
    second = next(tmp_path.glob("anime/001-*"))
    cards = [json.loads((folder / "card.json").read_text()) for folder in (run, first, second)]
    stages = [{name: card[name] for name in ("command", "seconds", "step", "images_seen", "data")} for card in cards]
    assert "initialized_from" not in cards[0]
    assert cards[1]["initialized_from"] == stages[:1]
    assert cards[2]["initialized_from"] == stages[:2]
    assert "--data DIR --hidden-dim 4" in cards[2]["command"]
    assert "--init-from=RUN --lr-decay-images 12" in cards[2]["command"]
    assert str(tmp_path) not in str(cards[2])


def test_lr_decay_more_steps_than_until_zero_are_refused(image_dir, tmp_path, capsys):
    runs = tmp_path / "runs"
    words = [*ANIME, "--runs", runs, "--data", image_dir, "--batch", 4, "--hidden-dim", 2]
    assert call("train", *words, "--steps", 4, "--lr-decay-images", 12) == 2
    assert "more than the 3 steps" in capsys.readouterr().err
    assert not runs.exists()  # nor a run that --resume would find then


def test_lr_decay_run_ends_where_the_learning_rates_are_zero(image_dir, tmp_path):
    words = [*ANIME, "--runs", tmp_path, "--data", image_dir, "--batch", 4, "--hidden-dim", 2, "--network", "baseline"]
    assert call("train", *words, "--lr-decay-images", 9, "--latent-dim", 4) == 0
    assert read_run_config(next(tmp_path.glob("anime/000-*")))["steps"] == 3
