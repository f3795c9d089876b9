"""The doors as people meet them: help, wrong usage, bad input, and what bad input must not do."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import run_folder, tiny, two_steps
from PIL import Image

from gan_tf import export
from gan_tf.cli import main as cli
from gan_tf.cli import train as commands_train
from gan_tf.training.run_dir import Run, read_config
from pipelines.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return two_steps(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("name", ["train", "infer"])
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--task", "anim"], ["--nonsense"]])
def test_help_and_wrong_usage_load_no_tensorflow(name, words):
    code = (
        f"import sys; from gan_tf.cli import main as cli\ntry: sys.exit(cli.{name}({words!r}))\n"
        "finally: print('loaded', sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if words[0] in ("--help", "--version") else 2)
    assert "loaded []" in done.stderr


TRAIN, INFER = "train", "infer"
REFUSED = [
    (TRAIN, [], "no task"),
    (TRAIN, ["--task", "anme"], "did you mean 'anime'"),
    (TRAIN, ["--task", "anime", "--loss", "wgan-gp"], "did you mean 'wgangp'"),
    (TRAIN, ["--task", "anime", "--los", "gan"], "perhaps --loss"),
    (TRAIN, ["--task", "anime", "--steps", "0"], "from 1"),
    (TRAIN, ["--task", "anime", "--steps", "many"], "--steps"),
    (TRAIN, ["--task", "anime", "--minutes", "0"], "above 0"),
    (TRAIN, ["--task", "anime", "--minutes", "nan"], "above 0"),
    (TRAIN, ["--task", "anime", "--minutes", "inf"], "above 0"),
    (TRAIN, ["--task", "anime", "--g-rate", "-1"], "above 0"),
    (TRAIN, ["--task", "anime", "--g-rate", "nan"], "above 0"),
    (TRAIN, ["--task", "anime", "--loss", "wgangp", "--norm", "batch"], "batch norm mixes them"),
    (TRAIN, ["--task", "anime", "--data", "{tmp}/nowhere"], "nowhere"),
    (TRAIN, ["--task", "anime", "--data", "{tmp}/empty"], "empty"),
    (TRAIN, ["--task", "anime", "--data", "{tmp}/words"], "words"),
    (TRAIN, ["--task", "anime", "--data", "{tmp}/words/a.txt"], "a.txt"),
    (TRAIN, ["--task", "anime", "--resume", "{tmp}/empty"], "config.json"),
    (TRAIN, ["--task", "anime", "--init-from", "{tmp}/empty"], "config.json"),
    (TRAIN, ["--task", "anime", "--config", "{tmp}/words/a.txt"], "a JSON file"),
    (TRAIN, ["--task", "anime", "--config", "{tmp}/nowhere.json"], "(No such file or directory)"),
    (TRAIN, ["--task", "reader", "--config", "{run}/config.json"], "of a run of anime; expected settings of reader"),
    (TRAIN, ["--task", "anime", "--runs", "{tmp}/words/a.txt"], "a.txt"),
    (INFER, ["{tmp}/out"], "no task"),
    (INFER, ["--task", "anime"], "OUT"),
    (INFER, ["--task", "anime", "--run", "{tmp}/empty", "{tmp}/out"], "config.json"),
    (INFER, ["--task", "anime", "--run", "{tmp}/nowhere", "{tmp}/out"], "not a folder"),
    (INFER, ["--task", "anime", "--run", "{run}", "--grid", "5", "{tmp}/x.png"], "5x5"),
    (INFER, ["--task", "anime", "--run", "{run}", "--grid", "5x5", "{tmp}/out"], ".png"),
    (INFER, ["--task", "anime", "--run", "{run}", "--count", "0", "{tmp}/out"], "from 1"),
    (INFER, ["--task", "anime", "--run", "{run}", "--pairs", "3", "{tmp}/out"], "--pairs without --interpolate"),
    (INFER, ["--task", "anime", "--run", "{run}", "--grid", "2x2", "--walk", "straight", "{tmp}/x.png"], "--walk without"),
    (INFER, ["--task", "anime", "--run", "{run}", "--interpolate", "1", "{tmp}/x.png"], "at least 2"),
    (INFER, ["--task", "anime", "--run", "{run}", "--count", "2", "{tmp}/words/a.txt"], "a.txt"),
    (INFER, ["--task", "anime", "--loss", "rpgann", "{tmp}/out"], "did you mean 'rpgan'"),
]


@pytest.mark.parametrize(("name", "words", "says"), REFUSED, ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else None)
def test_bad_input_gets_one_line_and_two(name, words, says, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words/a.txt").write_text("no picture")
    words = [w.format(tmp=tmp_path, run=run) for w in words]
    assert getattr(cli, name)(words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if line.startswith("error: ")]) == 1
    assert says in lines[-1]
    assert "; expected " in lines[-1]
    left = sorted(p.name for p in tmp_path.rglob("*") if p.name not in ("runs", "anime", ".numbering", "lock"))
    assert left == ["a.txt", "empty", "words"]


def test_without_data_the_run_says_drawn(run):
    assert run.name == "000-wgangp-drawn"


def test_recipe_and_sources_stand_in_the_config(run):
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["d_steps"] == 5
    assert config["settings"]["norm"] == "layer"
    sources = {name: config["sources"][name] for name in ("hidden", "d_steps", "latent", "g_steps")}
    assert sources == {"hidden": "said", "d_steps": "loss", "latent": "said", "g_steps": "default"}


def test_settings_that_contradict_a_run_are_refused(run, capsys):
    words = ["--task", "anime", "--runs", str(run.parents[1]), "--resume"]
    assert cli.train([*words, "--hidden", "8"]) == 2
    assert "--hidden 8; expected 4" in capsys.readouterr().err


def test_a_run_is_kept_and_looked_at_as_it_began(pictures, tmp_path):
    """Or a resume would prune the checkpoints that --keep-every keeps; what is said again replaces it, and stays too."""
    words = ["--task", "anime", "--data", str(pictures), "--runs", str(tmp_path), *map(str, tiny)]
    often = ["--keep-every", "2", "--checkpoint-every", "1", "--grid-every", "3", "--log-every", "2", "--memory-budget", "0"]
    assert cli.train([*words, *often, "--steps", "3"]) == 0
    assert cli.train([*words, "--resume", "--steps", "7"]) == 0
    assert cli.train([*words, "--resume", "--steps", "9", "--log-every", "1"]) == 0
    folder = run_folder(tmp_path)
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == [f"step-{n:09d}" for n in (2, 4, 6, 7, 8, 9)]
    assert sorted(p.name for p in (folder / "images").iterdir()) == [f"step-{n:09d}.png" for n in (3, 6, 7, 9)]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6, 8, 9]
    watched = {"checkpoint_every": 1, "keep_every": 2, "grid_every": 3, "log_every": 1, "memory_budget": 0.0}
    assert read_config(folder)["watched"].items() >= watched.items()


def test_fewer_steps_than_done_are_refused(run, capsys):
    assert cli.train(["--task", "anime", "--runs", str(run.parents[1]), "--resume", "--steps", "1"]) == 2
    assert "at least 2" in capsys.readouterr().err


def test_minutes_end_a_training_that_can_go_on(pictures, tmp_path, capsys):
    words = ["--task", "anime", "--data", str(pictures), "--runs", str(tmp_path / "runs"), "--resume", *map(str, tiny)]
    assert cli.train([*words, "--steps", "2000", "--minutes", "0.0001"]) == 0
    said = capsys.readouterr().out
    folder = run_folder(tmp_path / "runs")
    assert "stopped at step 1 with a checkpoint, since --minutes 0.0001 are over" in said
    assert f"--resume {folder} --minutes 0.0002  (or without --minutes, to step 2000)" in said
    assert "scored" not in said  # what isn't done is not judged by validation images
    assert json.loads((folder / "card.json").read_text())["step"] == 1
    assert cli.train([*words, "--minutes", "0.0001"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "error: --minutes 0.0001; expected more than " in line]
    assert cli.train([*words, "--minutes", "10", "--steps", "2"]) == 0
    assert "done: 2 steps" in capsys.readouterr().out


def test_a_run_in_training_is_locked(run, capsys):
    from gan_tf.training.run_dir import Run

    holder = Run(run)
    holder.lock()
    try:
        assert cli.train(["--task", "anime", "--runs", str(run.parents[1]), "--resume"]) == 2
        assert "being trained by another process" in capsys.readouterr().err
    finally:
        holder.unlock()


def test_other_images_are_refused_on_resume(run, pictures, capsys):
    words = ["--task", "anime", "--runs", str(run.parents[1]), "--resume", "--data", str(pictures)]
    assert cli.train(words) == 2
    assert "are not those of" in capsys.readouterr().err


def test_weights_of_another_task_or_size_are_refused(run, tmp_path, capsys):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    arrays, about = export.read(run)
    export.write(other, arrays, {**about, "task": "dog"}, {})
    assert cli.infer(["--task", "anime", "--run", str(other), "--count", "1", str(tmp_path / "out")]) == 2
    assert "weights of task 'dog'" in capsys.readouterr().err
    export.write(other, [a[..., :1] for a in arrays], about, {})
    assert cli.infer(["--task", "anime", "--run", str(other), "--count", "1", str(tmp_path / "out")]) == 2
    assert "weights of another size" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_is_locked_while_it_is_scored(pictures, tmp_path, monkeypatch):
    """Or another process could train on, and its card would get the scores of older weights."""
    refused = []

    def scored(task, folder):
        with pytest.raises(InputError, match="being trained by another process"):
            Run(folder).lock()
        refused.append(folder)

    monkeypatch.setattr(commands_train, "score", scored)
    words = ["--task", "anime", "--runs", str(tmp_path), "--data", str(pictures), "--batch", "4", "--hidden", "2"]
    assert cli.train([*words, "--steps", "1", "--latent", "4"]) == 0
    assert len(refused) == 1
    Run(refused[0]).lock()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_may_not_be_written(run, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert cli.infer(["--task", "anime", "--run", str(run), "--count", "1", str(tmp_path / "out")]) == 2
    assert "can't be written" in capsys.readouterr().err


def infer(run, *words) -> None:
    assert cli.infer([str(w) for w in ["--task", "anime", "--run", run, *words]]) == 0


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_image_i_does_not_depend_on_the_count(run, tmp_path):
    infer(run, "--count", 3, tmp_path / "few")
    infer(run, "--count", 70, tmp_path / "many")
    infer(run, "--grid", "2x2", tmp_path / "grid.png")
    for i in range(3):
        assert (tmp_path / f"few/{i:04d}.png").read_bytes() == (tmp_path / f"many/{i:04d}.png").read_bytes()
    tiles = pixels(tmp_path / "grid.png")
    assert np.array_equal(tiles[:64, 64:], pixels(tmp_path / "few/0001.png"))
    assert np.array_equal(tiles[64:, :64], pixels(tmp_path / "few/0002.png"))


def test_walks_begin_and_end_at_images_of_the_seed(run, tmp_path):
    infer(run, "--count", 4, tmp_path / "images")
    for walk in ("great-circle", "straight"):
        infer(run, "--interpolate", 5, "--pairs", 2, "--walk", walk, tmp_path / "walk.png")
        rows = pixels(tmp_path / "walk.png")
        assert rows.shape == (128, 320, 3)
        for n, (row, column) in enumerate([(0, 0), (0, 4), (1, 0), (1, 4)]):
            tile = rows[64 * row : 64 * row + 64, 64 * column : 64 * column + 64].astype(int)
            assert np.abs(tile - pixels(tmp_path / f"images/{n:04d}.png")).max() <= 1
    infer(run, "--interpolate", 5, "--extrapolate", 0.5, "--pairs", 1, tmp_path / "beyond.png")
    inner = pixels(tmp_path / "beyond.png")[:, 64:128].astype(int)  # shares -0.5, 0, 0.5, 1, 1.5
    assert np.abs(inner - pixels(tmp_path / "images/0000.png")).max() <= 1


def test_all_gpus_are_used_and_a_run_resumes_on_them(pictures, two_devices, tmp_path, monkeypatch, capsys):
    """Two virtual CPUs stand for two GPUs: the whole way through the door, checkpoint and resume included."""
    from gan_tf.training import devices

    monkeypatch.setattr(devices, "gpus", lambda: ["CPU:0", "CPU:1"])
    # TensorFlow's collectives know one strategy a process: the one that all tests share.
    monkeypatch.setattr(devices.tf.distribute, "MirroredStrategy", {("CPU:0", "CPU:1"): two_devices}.__getitem__)
    words = ["--task", "anime", "--runs", str(tmp_path), "--data", str(pictures), "--log-every", "1", *map(str, tiny)]
    assert cli.train([*words, "--batch", "5", "--steps", "1"]) == 2
    assert "multiple" in capsys.readouterr().err
    assert cli.train([*words, "--steps", "2"]) == 0
    assert cli.train([*words, "--steps", "3", "--resume"]) == 0
    *_, last = sorted((tmp_path / "anime").glob("*/metrics.jsonl"))
    assert [json.loads(line)["step"] for line in last.read_text().splitlines()] == [1, 2, 3]
