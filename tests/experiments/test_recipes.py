"""The comparison of recipes: what is trained, what goes on, what is refused; the door itself is real in the last test."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from gan_tf.cli import main as cli
from gan_tf.experiments import recipe_record, recipe_scores, recipes
from gan_tf.experiments.recipe_table import spoken
from gan_tf.experiments.recipes import RECIPES, Recipe, chosen, main
from gan_tf.gan import workflow as gan
from gan_tf.options import GanSettings
from gan_tf.tasks import find
from gan_tf.training import loop
from gan_tf.training.run_dir import Run
from pipelines.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["--data", "faces", "--minutes", "20"]


def results(runs="runs/recipes") -> dict:
    return json.loads(Path(runs, "results.json").read_text())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_recipe_is_one_that_the_door_takes(recipe):
    said = cli.said(cli.train_parser(find("anime")).parse(spoken(recipe.flags)), GanSettings)
    assert said == recipe.flags
    settings = gan.resolve(find("anime"), {}, said).settings
    assert {name: getattr(settings, name) for name in recipe.flags} == recipe.flags
    assert re.fullmatch(r"[a-z0-9-]+", recipe.name)
    assert [r.name for r in RECIPES].count(recipe.name) == 1


def test_wrong_usage_loads_no_tensorflow():
    code = (
        "import sys; from gan_tf.experiments.recipes import main\n"
        "print(main(['--data', 'x', '--only', 'hinj']), sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"
    assert "did you mean 'hinge'?" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no --data"),
        ([*WORDS, "--minutes", "0"], "above 0"),
        ([*WORDS, "--minutes", "nan"], "above 0"),
        ([*WORDS, "--task", "reader"], "a task with a GAN"),
        ([*WORDS, "--task", "anme"], "did you mean 'anime'"),
        ([*WORDS, "--table", "x.txt"], "ends in .md"),
        ([*WORDS, "--only", "tow"], "did you mean 'two'"),
    ],
)
def test_bad_arguments_train_nothing(door, words, says, capsys):
    assert main(words) == 2
    assert says in capsys.readouterr().err
    assert door.trainings == []
    assert not Path("docs").exists()


def test_only_keeps_the_order_of_the_table():
    names = [RECIPES[2].name, RECIPES[0].name]
    assert chosen(names) == [RECIPES[0], RECIPES[2]]
    assert chosen(None) == list(RECIPES)
    with pytest.raises(InputError, match="did you mean 'rpgan'"):
        chosen(["rpgna"])


def test_each_is_trained_and_scored_twice(door, capsys):
    door.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(WORDS) == 0
    assert door.trainings == [("one", 10.0), ("one", 20.0), ("two", 10.0), ("two", 20.0)]
    row = results()["rows"]["two"]
    assert (row["flags"], row["half"]["fid"], row["full"]["fid"]) == ({"loss": "hinge", "hidden": 8}, 70.0, 60.0)
    assert (row["full"]["step"], row["full"]["seconds"]) == (200, 1200.0)
    assert Path("docs/recipes.md").is_file()
    assert Image.open("docs/recipes.png").height == 128
    assert "Not measured" not in Path("docs/recipes.md").read_text()
    assert main(WORDS) == 0
    assert len(door.trainings) == 4
    assert "one: finished, skipped" in capsys.readouterr().out


def test_mended_words_reach_the_table_without_training(door, monkeypatch):
    door.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(WORDS) == 0
    first, second = recipes.RECIPES
    monkeypatch.setattr(recipes, "RECIPES", (dataclasses.replace(first, about="said better"), second))
    assert main(WORDS) == 0
    assert len(door.trainings) == 4
    assert "* **one**: said better\n" in Path("docs/recipes.md").read_text()


def test_an_interrupted_comparison_goes_on(door):
    door.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    door.trouble[("one", 20.0)] = KeyboardInterrupt()
    assert main(WORDS) == 130
    assert "Not measured to the end yet: one, two." in Path("docs/recipes.md").read_text()
    assert main([*WORDS, "--only", "two"]) == 0
    assert [line for line in Path("docs/recipes.md").read_text().splitlines() if "Not measured to the end yet: one." in line]
    door.trainings.clear()
    (shaken,) = Path("runs/recipes/one/anime/000-x-y/checkpoints").glob("step-000000200")
    state = shaken / "state.json"
    state.write_text(state.read_text().replace("1200.0", "900.0"))  # it was stopped before its time was over
    shaken.rename(shaken.with_name("step-000000150"))
    assert main(WORDS) == 0
    assert door.trainings == [("one", 20.0)]  # its half is known


def test_a_stop_between_training_and_score_trains_no_more(door):
    door.fids = {"one": []}
    with pytest.raises(IndexError):  # the score fails after the half was trained
        main([*WORDS, "--only", "one"])
    door.fids = {"one": [90.0, 80.0]}
    assert main([*WORDS, "--only", "one"]) == 0
    assert door.trainings == [("one", 10.0), ("one", 20.0)]


def test_divergence_is_a_result(door):
    guard = "error: training stopped at step 1234: D's loss was not finite; expected finite losses and gradients; go on"
    door.fids = {"one": [90.0], "two": [70.0, 60.0]}
    door.trouble[("one", 20.0)] = (2, f"some words\n{guard}\n")
    assert main(WORDS) == 0
    row = results()["rows"]["one"]
    assert row["diverged"] == {"step": 1234, "words": "D's loss was not finite"}
    assert "diverged at step 1,234" in Path("docs/recipes.md").read_text()
    assert main(WORDS) == 0
    assert len(door.trainings) == 4  # it isn't tried again


def test_another_failure_ends_the_comparison(door, capsys):
    door.trouble[("one", 10.0)] = (1, "Traceback: a bug in step 7\n")
    assert main(WORDS) == 2
    assert "training one ended with exit code 1" in capsys.readouterr().err
    assert door.trainings == [("one", 10.0)]


def test_what_differs_from_the_record_is_refused(door, capsys, monkeypatch, tmp_path):
    door.fids = {"one": [90.0, 80.0]}
    assert main([*WORDS, "--only", "one"]) == 0

    def refused(words, says):
        assert main(words) == 2
        assert says in capsys.readouterr().err

    refused(["--data", "faces", "--minutes", "10"], "--minutes 10.0; expected 20.0")
    refused(["--data", ".", "--minutes", "20"], "--data .; expected")
    with monkeypatch.context() as patch:
        patch.setattr(recipe_record, "machine", lambda: {"cpu": "faster", "cores": 64, "threads": 64})
        refused(WORDS, "this machine (faster, 64 of 64 cores)")
    with monkeypatch.context() as patch:
        patch.setattr(recipes, "RECIPES", (Recipe("one", "the first", {"loss": "wgan"}),))
        refused(WORDS, "recipe one with --loss wgan; expected --loss gan")
    with monkeypatch.context() as patch:
        patch.setattr(recipes, "find", lambda name: SimpleNamespace(**{**vars(find(name)), "defaults": {"batch": 32}}))
        refused(WORDS, "recipe one with batch 32; expected batch 64")
    (tmp_path / "runs/recipes/two").mkdir()
    refused(WORDS, "knows nothing of it")
    (tmp_path / "runs/recipes/two").rmdir()
    assert len(door.trainings) == 2
    door.digest = "e"
    refused(WORDS, "are not those of the other rows")
    (tmp_path / "runs/recipes/results.json").write_text("[]")
    refused(WORDS, "can't be read")


def test_one_comparison_at_a_time(door, capsys):
    other = Run(Path("runs/recipes"))
    other.folder.mkdir(parents=True)
    other.lock()
    assert main(WORDS) == 2
    assert "another process" in capsys.readouterr().err
    assert door.trainings == []
    other.unlock()
    door.fids = {"one": [90.0, 80.0], "two": [70.0, 60.0]}
    assert main(WORDS) == 0


def test_through_the_real_door(means, monkeypatch, pictures, tmp_path):
    """Training and scoring are the real ones, in this process and by a clock that ticks once a step."""
    from gan_tf.evaluation.features import inception_weights as weights

    ticks = iter(range(1000))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    monkeypatch.setattr(weights, "load_weights", lambda: None)
    tiny = {"loss": "gan", "hidden": 4, "batch": 4, "latent": 8, "flip": False}
    monkeypatch.setattr(recipes, "RECIPES", (Recipe("tiny", "a small one", tiny),))

    def watched(words, log):
        run = recipe_scores.run if words[0] == "-m" else cli.train
        return run(words[2:] if words[0] == "-m" else words[1:]), ""

    monkeypatch.setattr(recipes, "watched", watched)
    words = ["--data", pictures, "--minutes", 4 / 60, "--runs", tmp_path / "runs", "--table", tmp_path / "docs/table.md"]
    assert main([str(word) for word in words]) == 0
    row = results(tmp_path / "runs")["rows"]["tiny"]
    assert [(row[part]["step"], row[part]["seconds"]) for part in ("half", "full")] == [(2, 2.0), (4, 4.0)]
    assert all(row[part]["fid"] > 0 for part in ("half", "full"))
    assert row["full"]["images"] == 12
    assert not row["settings"]["flip"]
    (folder,) = (tmp_path / "runs/tiny/anime").glob("000-*")
    assert json.loads((folder / "card.json").read_text())["step"] == 4
    text = (tmp_path / "docs/table.md").read_text()
    assert "12 training images (`pictures`)" in text
    assert "| **tiny** | `--loss gan --hidden 4 --batch 4 --latent 8 --no-flip` | 4 | 16 | 1.000 |" in text
    assert Image.open(tmp_path / "docs/table.png").height == 64
