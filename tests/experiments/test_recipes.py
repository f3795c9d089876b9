"""The comparison of recipes: what is trained, continued and refused; the last test really trains and scores."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from gan_tf.cli import train as train_command
from gan_tf.cli.arguments import given_options
from gan_tf.experiments import recipe_record, recipe_scores, recipes, trainings
from gan_tf.experiments.processes import TRAIN
from gan_tf.experiments.recipe_record import to_arguments
from gan_tf.experiments.recipes import RECIPES, main, select_recipes
from gan_tf.experiments.trainings import Training
from gan_tf.gan.config import GAN_FAMILY, GanConfig
from gan_tf.run_dir import RunDir
from gan_tf.tasks import find_task
from gan_tf.training import loop
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--data", "faces", "--minutes", "20"]


def read_results(runs="runs/recipes") -> dict:
    return json.loads(Path(runs, "results.json").read_text())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipe_flags_are_valid_arguments_of_train(recipe):
    task = find_task("anime")
    given = given_options(train_command.build_parser(task).parse(to_arguments(recipe.flags)), GanConfig)
    assert given == recipe.flags
    config = GAN_FAMILY.resolve(task, {}, given).config
    assert {name: getattr(config, name) for name in recipe.flags} == recipe.flags
    assert re.fullmatch(r"[a-z0-9-]+", recipe.name)
    assert [other.name for other in RECIPES].count(recipe.name) == 1


def test_recipes_wrong_usage_loads_no_tensorflow():
    code = (
        "import sys; from gan_tf.experiments.recipes import main\n"
        "print(main(['--data', 'x', '--only', 'hinj']), sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"
    assert "did you mean 'hinge'?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--data"),
        ([*ARGUMENTS, "--minutes", "0"], "above 0"),
        ([*ARGUMENTS, "--minutes", "nan"], "above 0"),
        ([*ARGUMENTS, "--task", "digits"], "has no GAN"),
        ([*ARGUMENTS, "--task", "anme"], "did you mean 'anime'"),
        ([*ARGUMENTS, "--table", "x.txt"], "must be a .md file"),
        ([*ARGUMENTS, "--only", "tow"], "did you mean 'two'"),
    ],
)
def test_recipes_wrong_arguments_train_nothing(processes, arguments, named, capsys):
    assert main(arguments) == 2
    assert named in capsys.readouterr().err
    assert processes.trainings == []
    assert not Path("docs").exists()


def test_recipes_of_images_that_are_not_there_leaves_nothing(processes, capsys):
    """Otherwise the right --data would differ from the one that the comparison was started with."""
    assert main(["--data", "faecs", "--minutes", "20"]) == 2
    assert "faecs" in capsys.readouterr().err
    assert not Path("runs/recipes/results.json").exists()
    processes.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(ARGUMENTS) == 0


def test_select_recipes_keeps_the_order_of_the_table():
    names = [RECIPES[2].name, RECIPES[0].name]
    assert select_recipes(names) == [RECIPES[0], RECIPES[2]]
    assert select_recipes(None) == list(RECIPES)
    with pytest.raises(UserError, match="did you mean 'rpgan'"):
        select_recipes(["rpgna"])


def test_recipes_each_is_trained_and_scored_twice(processes, capsys):
    processes.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(ARGUMENTS) == 0
    assert processes.trainings == [("one", 10.0), ("one", 20.0), ("two", 10.0), ("two", 20.0)]
    row = read_results()["rows"]["two"]
    assert (row["flags"], row["half"]["fid"], row["full"]["fid"]) == ({"loss": "hinge", "hidden_dim": 8}, 70.0, 60.0)
    assert (row["full"]["step"], row["full"]["seconds"]) == (200, 1200.0)
    assert Path("docs/recipes.md").is_file()
    assert Image.open("docs/recipes.png").height == 128
    assert "Not measured" not in Path("docs/recipes.md").read_text()
    assert main(ARGUMENTS) == 0
    assert len(processes.trainings) == 4
    assert "one: finished, skipped" in capsys.readouterr().out


def test_recipes_reworded_description_reaches_the_table_without_training(processes, monkeypatch):
    processes.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(ARGUMENTS) == 0
    first, second = recipes.RECIPES
    monkeypatch.setattr(recipes, "RECIPES", (dataclasses.replace(first, about="better words"), second))
    assert main(ARGUMENTS) == 0
    assert len(processes.trainings) == 4
    assert "* **one**: better words\n" in Path("docs/recipes.md").read_text()


def test_recipes_interrupted_comparison_continues(processes):
    processes.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    processes.exit_codes[("one", 20.0)] = KeyboardInterrupt()
    assert main(ARGUMENTS) == 130
    assert "Not measured to the end yet: one, two." in Path("docs/recipes.md").read_text()
    assert main([*ARGUMENTS, "--only", "two"]) == 0
    assert "Not measured to the end yet: one." in Path("docs/recipes.md").read_text()
    processes.trainings.clear()
    (checkpoint,) = Path("runs/recipes/one/anime/000-x-y/checkpoints").glob("step-000000200")
    state = checkpoint / "state.json"
    state.write_text(state.read_text().replace("1200.0", "900.0"))  # it was stopped before its time was up
    checkpoint.rename(checkpoint.with_name("step-000000150"))
    assert main(ARGUMENTS) == 0
    assert processes.trainings == [("one", 20.0)]  # its score at half time is known


def test_recipes_stopped_between_training_and_score_does_not_train_again(processes):
    processes.fids = {"one": []}
    with pytest.raises(IndexError):  # the score fails after half the training
        main([*ARGUMENTS, "--only", "one"])
    processes.fids = {"one": [90.0, 80.0]}
    assert main([*ARGUMENTS, "--only", "one"]) == 0
    assert processes.trainings == [("one", 10.0), ("one", 20.0)]


def test_recipes_divergence_is_a_result(processes):
    processes.fids = {"one": [90.0], "two": [70.0, 60.0]}
    processes.failures[("one", 20.0)] = 1234
    assert main(ARGUMENTS) == 0
    assert read_results()["rows"]["one"]["diverged"] == {"step": 1234, "quantity": "D's loss"}
    assert "diverged at step 1,234" in Path("docs/recipes.md").read_text()
    assert main(ARGUMENTS) == 0
    assert len(processes.trainings) == 4  # it is not tried again


def test_recipes_other_failure_ends_the_comparison(processes, capsys):
    processes.exit_codes[("one", 10.0)] = 1
    assert main(ARGUMENTS) == 2
    assert "Training one ended with exit code 1" in capsys.readouterr().err
    assert processes.trainings == [("one", 10.0)]


@pytest.fixture
def measured(processes):
    """A comparison in which the recipe "one" is finished."""
    processes.fids = {"one": [90.0, 80.0]}
    assert main([*ARGUMENTS, "--only", "one"]) == 0
    return processes


def refused_because(arguments, capsys) -> str:
    """Returns the error of a command that must refuse its arguments."""
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_recipes_other_arguments_than_recorded_are_refused(measured, capsys):
    assert "--minutes 10.0 differs from 20.0" in refused_because(["--data", "faces", "--minutes", "10"], capsys)
    assert "--data . differs from" in refused_because(["--data", ".", "--minutes", "20"], capsys)
    assert len(measured.trainings) == 2


def test_recipes_other_machine_than_recorded_is_refused(measured, capsys, monkeypatch):
    monkeypatch.setattr(recipe_record, "detect_machine", lambda: {"cpu": "faster", "cores": 64, "threads": 64})
    assert "This machine (faster, 64 of 64 cores)" in refused_because(ARGUMENTS, capsys)


def test_recipes_other_flags_than_recorded_are_refused(measured, capsys, monkeypatch):
    monkeypatch.setattr(recipes, "RECIPES", (Training("one", "the first", {"loss": "wgan"}),))
    error = refused_because(ARGUMENTS, capsys)
    assert "Recipe one has the flags --loss wgan, but was recorded with --loss gan" in error


def test_recipes_other_defaults_than_recorded_are_refused(measured, capsys, monkeypatch):
    monkeypatch.setattr(recipes, "find_task", lambda name: dataclasses.replace(find_task(name), defaults={"batch": 32}))
    assert "Recipe one has batch 32, but was recorded with batch 64" in refused_because(ARGUMENTS, capsys)


def test_recipes_folder_without_row_is_refused(measured, capsys):
    Path("runs/recipes/two").mkdir()
    assert "has no row for it" in refused_because(ARGUMENTS, capsys)


def test_recipes_other_images_than_recorded_are_refused(measured, capsys):
    measured.digest = "e"
    assert "are not those of the other rows" in refused_because(ARGUMENTS, capsys)


def test_recipes_damaged_record_is_refused(measured, capsys):
    Path("runs/recipes/results.json").write_text("[]")
    assert "is not the record of a comparison" in refused_because(ARGUMENTS, capsys)


def test_recipes_locked_comparison_is_refused(processes, capsys):
    other = RunDir(Path("runs/recipes"))
    other.path.mkdir(parents=True)
    other.lock()
    assert "another process" in refused_because(ARGUMENTS, capsys)
    assert processes.trainings == []
    other.unlock()
    processes.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(ARGUMENTS) == 0


def test_recipes_real_training_and_scoring(quarter_means, monkeypatch, image_dir, tmp_path):
    """Trains and scores in this process, by a clock that advances one second per step."""
    from gan_tf.evaluation.features import inception_weights

    seconds = iter(range(1000))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    monkeypatch.setattr(inception_weights, "load_weights", lambda: None)
    flags = {"loss": "gan", "network": "baseline", "hidden_dim": 4, "batch": 4, "latent_dim": 8, "flip": False}
    monkeypatch.setattr(recipes, "RECIPES", (Training("tiny", "a small one", flags),))

    def run_here(arguments, log):
        is_training = tuple(arguments[: len(TRAIN)]) == TRAIN
        return train_command.run(arguments[len(TRAIN) :]) if is_training else recipe_scores.run(arguments[2:])

    for module in (recipes, trainings):
        monkeypatch.setattr(module, "run_python", run_here)
    arguments = ["--data", image_dir, "--minutes", 4 / 60, "--runs", tmp_path / "runs", "--table", tmp_path / "docs/table.md"]
    assert main([str(argument) for argument in arguments]) == 0
    row = read_results(tmp_path / "runs")["rows"]["tiny"]
    assert [(row[part]["step"], row[part]["seconds"]) for part in ("half", "full")] == [(2, 2.0), (4, 4.0)]
    assert all(row[part]["fid"] > 0 for part in ("half", "full"))
    assert row["full"]["images"] == 12
    assert not row["config"]["flip"]
    (run_dir,) = (tmp_path / "runs/tiny/anime").glob("000-*")
    assert json.loads((run_dir / "card.json").read_text())["step"] == 4
    text = (tmp_path / "docs/table.md").read_text()
    assert f"12 training images (`{image_dir.name}`)" in text
    row = "| **tiny** | `--loss gan --network baseline --hidden-dim 4 --batch 4 --latent-dim 8 --no-flip` | 4 | 16 | 1.000 |"
    assert row in text
    assert Image.open(tmp_path / "docs/table.png").height == 64
