"""The experiment on tips: which runs it makes, and the page of a comparison whose trainings are only pretended."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli import call, only_run
from helpers.gan_weights import TINY, write_gan_weights
from helpers.mean_gray import MeanGray
from helpers.run_folders import describe, write_json

from gan_tf.cli import train as train_command
from gan_tf.cli.arguments import given_options
from gan_tf.cli.main import run_command
from gan_tf.experiments import models, tips, trainings
from gan_tf.experiments.processes import TRAIN
from gan_tf.experiments.recipe_record import to_arguments
from gan_tf.experiments.tips import BASE, TIPS, select_tips
from gan_tf.experiments.trainings import Budget
from gan_tf.gan.config import GanConfig
from gan_tf.run_dir import RunDir
from gan_tf.tasks import ANIME
from pipelines.errors import UserError
from pipelines.image_array import ImageArray


def test_tips_are_those_of_the_handout():
    assert [tip.number for tip in TIPS] == [1, 2, 3, 4, 5, 6, 9, 13, 14, 17]
    assert [tip.number for tip in TIPS if not tip.turns_on] == [1, 2, 3, 4, 5]  # these are the defaults


@pytest.mark.parametrize("tip", TIPS, ids=lambda tip: str(tip.number))
def test_tip_flags_are_valid_arguments_that_change_the_base(tip):
    flags = tip.training.flags
    assert given_options(train_command.build_parser(ANIME).parse(to_arguments(flags)), GanConfig) == flags
    config, base = (ANIME.family.resolve(ANIME, {}, values).config for values in (flags, BASE.flags))
    assert config.loss == "gan"
    assert all(getattr(config, name) != getattr(base, name) for name in tip.flags if name != "instance_noise_images")


def test_select_tips_keeps_the_order_and_refuses_others():
    assert [tip.number for tip in select_tips([9, 1])] == [1, 9]
    assert select_tips(None) == list(TIPS)
    with pytest.raises(UserError, match="no experiment on tip 7"):
        select_tips([7])


@pytest.fixture
def no_training(tmp_path, monkeypatch):
    """Trainings that write weights at once; the one of tip 9 diverges. Returns the names of the trainings."""
    trained = []

    def train(task, training, data, budget, folder, grid_every=0):
        trained.append(training.name)
        write_gan_weights(folder, task, **{**training.flags, **TINY})
        return RunDir(folder), {"step": 12} if "d_optimizer" in training.flags else None

    monkeypatch.setattr(tips, "train_to", train)
    monkeypatch.setattr(models, "open_metrics", lambda *args: MeanGray(8))
    pixels = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    monkeypatch.setattr(models, "open_training_images", lambda *args: ImageArray(pixels, "faces"))
    return trained


def test_tips_page_has_a_row_for_each_tip(no_training, tmp_path):
    words = ["--data", tmp_path, "--only", 2, 9, 17, "--steps", 5, "--count", 8, "--out", tmp_path / "tips.md"]
    assert run_command(tips.run, [*map(str, words), "--runs", str(tmp_path / "runs")]) == 0
    assert no_training == ["base", "tip02-without", "tip09-with", "tip17-with"]
    text = (tmp_path / "tips.md").read_text()
    rows = {line.split(":")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert set(rows) >= {"2", "9", "17"}
    assert "diverged at step 12" in rows["9"]
    assert "`--dropout 0.5`" in rows["17"]
    cells = [cell.strip() for cell in rows["17"].split("|")]
    assert float(cells[5]) == pytest.approx(float(cells[3]) - float(cells[4]), abs=0.11)
    assert "--steps 5" in text
    assert (tmp_path / "tips-samples.png").is_file()


@pytest.mark.parametrize("words", [["--only", "7"], ["--task", "digits"], ["--count", "1"], ["--out", "x.txt"]])
def test_tips_wrong_arguments_train_nothing(no_training, words, capsys):
    assert run_command(tips.run, ["--data", ".", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert no_training == []


def test_train_to_trains_once_without_scores(image_dir, tmp_path, monkeypatch):
    """A budget of steps is a run of ``train.py``, which is not repeated."""
    calls = []

    def run_here(arguments, log):
        calls.append(arguments)
        return call("train", *arguments[len(TRAIN) :])

    monkeypatch.setattr(trainings, "run_python", run_here)
    monkeypatch.chdir(image_dir.parent)  # the images are named relative to the current folder
    image_dir = Path(image_dir.name)
    training = trainings.Training("tiny", "", {"loss": "gan", **TINY, "batch": 4})
    for _ in range(2):
        run_dir, failure = trainings.train_to(ANIME, training, image_dir, Budget(steps=2), tmp_path / "runs")
    assert failure is None
    assert run_dir.path == only_run(tmp_path / "runs")
    assert len(calls) == 1
    assert "--no-score" in calls[0]
    assert trainings.read_progress(run_dir)["step"] == 2
    (run_dir.path / "weights.npz").unlink()  # as after a kill between the checkpoint and the export
    run_dir, _ = trainings.train_to(ANIME, training, image_dir, Budget(minutes=1e-9), tmp_path / "runs")
    assert (len(calls), (run_dir.path / "weights.npz").is_file()) == (2, True)


def test_read_progress_skips_damaged_states(tmp_path):
    for step, content in {1: '{"seconds": 60}', 2: "", 3: "[]", 4: "{}", 5: '{"seconds": null}'}.items():
        (tmp_path / f"checkpoints/step-{step:09d}").mkdir(parents=True)
        (tmp_path / f"checkpoints/step-{step:09d}/state.json").write_text(content)
    assert trainings.read_progress(RunDir(tmp_path)) == {"step": 1, "seconds": 60.0}


def test_find_run_refuses_a_run_of_something_else(tmp_path):
    """A page must not show what an earlier call with other arguments has trained."""
    flags = {"loss": "gan", "batch": 4}
    data, folder = tmp_path / "images", tmp_path / "runs"
    assert trainings.find_run(ANIME, folder, flags, data, Budget(steps=5)) is None
    run = folder / "anime/000-gan-images"
    (run / "checkpoints/step-000000005").mkdir(parents=True)
    about = describe(ANIME, ANIME.family.resolve(ANIME, {}, flags), 5)
    write_json(run / "config.json", {**about, "explicit": flags, "data": {**about["data"], "path": str(data)}})
    (run / "checkpoints/step-000000005/state.json").write_text('{"seconds": 600.0}')
    assert trainings.find_run(ANIME, folder, flags, data, Budget(steps=5)).path == run
    assert trainings.find_run(ANIME, folder, flags, data, Budget(minutes=10)).path == run
    for changed, message in (
        ({"flags": {"loss": "gan"}}, "other options"),
        ({"data": tmp_path / "others"}, "was trained on the images in"),
        ({"budget": Budget(steps=4)}, "has been trained for 5 steps in 10 minutes, more than 4 steps"),
        ({"budget": Budget(minutes=8)}, "more than 8 minutes"),
    ):
        given = {"flags": flags, "data": data, "budget": Budget(steps=5), **changed}
        with pytest.raises(UserError, match=message):
            trainings.find_run(ANIME, folder, **given)
