"""``train.py``: what a run records, what it is resumed with, and what is refused without a change."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from helpers.cli import TINY, call, only_run

from gan_tf import cards
from gan_tf.cli.arguments import Parser
from gan_tf.cli.train import build_parser
from gan_tf.evaluation.scores import Score
from gan_tf.run_dir import FAILURE, RunDir, read_run_config
from gan_tf.tasks import TASKS
from gan_tf.training import conclusion
from gan_tf.training import run as training_run
from pipelines.errors import UserError

ANIME = ["--task", "anime"]
FEW_LAYERS = [*TINY, "--network", "baseline"]  # whose step is traced in half the time


def test_train_dry_run_describes_the_training_and_starts_nothing(tmp_path, capsys):
    words = ["--loss", "wgangp", "--d-steps", 1, *TINY, "--runs", tmp_path, "--steps", 7]
    assert call("train", *ANIME, *words, "--dry-run") == 0
    output = capsys.readouterr().out
    lines = [line.split() for line in output.splitlines()]
    assert ["hidden_dim", "4", "cli"] in lines
    assert ["norm", "layer", "loss"] in lines
    assert "discriminator: " in output
    assert "7 steps of " in output
    assert not list(tmp_path.iterdir())


def test_train_without_data_names_the_run_synthetic(run):
    assert run.name == "000-wgangp-synthetic"


def test_train_config_records_sources_and_explicit_values(run):
    config = read_run_config(run)
    assert config["config"]["d_steps"] == 2
    assert config["config"]["norm"] == "layer"
    sources = {name: config["sources"][name] for name in ("hidden_dim", "d_steps", "norm", "latent_dim", "g_steps")}
    assert sources == {"hidden_dim": "cli", "d_steps": "cli", "norm": "loss", "latent_dim": "cli", "g_steps": "default"}
    assert config["explicit"] == {"loss": "wgangp", "d_steps": 2, "hidden_dim": 4, "batch": 4, "latent_dim": 8}


def test_train_config_file_of_a_run_repeats_its_configuration(run, tmp_path, capsys):
    words = ["--config", run / "config.json", "--runs", tmp_path, "--steps", 1]
    assert call("train", *ANIME, *words) == 0
    again = read_run_config(only_run(tmp_path))
    assert again["config"] == read_run_config(run)["config"]
    assert again["sources"]["hidden_dim"] == "config"


def test_train_resume_with_another_value_is_refused(run, capsys):
    assert call("train", *ANIME, "--runs", run.parents[1], "--resume", "--hidden-dim", 8) == 2
    assert "--hidden-dim 8 differs from 4" in capsys.readouterr().err


def test_train_resume_keeps_the_options_of_the_run(image_dir, tmp_path):
    """Otherwise a resume would remove the checkpoints that --keep-every keeps; what is given again replaces it."""
    words = [*ANIME, "--data", image_dir, "--runs", tmp_path, *FEW_LAYERS]
    often = ["--keep-every", 2, "--checkpoint-every", 1, "--grid-every", 3, "--log-every", 2, "--memory-budget", 0]
    assert call("train", *words, *often, "--steps", 3) == 0
    assert call("train", *words, "--resume", "--steps", 7) == 0
    assert call("train", *words, "--resume", "--steps", 9, "--log-every", 1) == 0
    folder = only_run(tmp_path)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [f"step-{n:09d}" for n in (2, 4, 6, 7, 8, 9)]
    grids = sorted(path.name for path in (folder / "images").glob("step-*"))
    assert grids == [f"step-{n:09d}.png" for n in (3, 6, 7, 9)]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "d_loss" in line] == [2, 4, 6, 8, 9]
    expected = {"checkpoint_every": 1, "keep_every": 2, "grid_every": 3, "log_every": 1, "memory_budget": 0.0}
    assert read_run_config(folder)["options"].items() >= expected.items()


def lose_checkpoints(folder):
    shutil.rmtree(folder / "checkpoints")


def lose_config(folder):
    (folder / "config.json").unlink()


def damage_config(folder):
    (folder / "config.json").write_text('{"format": 3')


def damage_checkpoints(folder):
    for path in (folder / "checkpoints").iterdir():
        (path / "state.json").write_text("{}")


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("lose", [lose_checkpoints, lose_config, damage_config, damage_checkpoints])
def test_train_run_that_lost_files_is_refused_and_unchanged(run, tmp_path, lose, newest, capsys):
    """It is not resumed as if it were new: its weights would be overwritten. A new run can start from them."""
    folder = tmp_path / "runs/anime" / run.name
    shutil.copytree(run, folder)
    lose(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    words = [*ANIME, "--runs", tmp_path / "runs", "--steps", 4]
    assert call("train", *words, "--resume", *([] if newest else [folder])) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"--init-from {folder}" in error
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    assert after == {path: content for path, content in before.items() if path.name != "lock"}
    assert call("train", *ANIME, "--runs", tmp_path / "new", "--steps", 1, "--init-from", folder, *TINY) == 0
    (copied,) = re.findall(r"initialized (\d+) of \d+ weights", capsys.readouterr().out)
    assert int(copied) > 0


def test_train_run_killed_before_its_first_checkpoint_starts_again(run, tmp_path, capsys):
    folder = tmp_path / "runs/anime" / run.name
    folder.mkdir(parents=True)
    shutil.copy(run / "config.json", folder)
    (folder / "metrics.jsonl").write_text('{"step": 1, "d_loss": 0.5}\n')
    assert call("train", *ANIME, "--runs", tmp_path / "runs", "--resume") == 0
    assert "no checkpoint yet: starting at step 0" in capsys.readouterr().out
    assert (folder / "weights.npz").read_bytes() == (run / "weights.npz").read_bytes()
    (folder / "metrics.jsonl").write_text('{"step": 501, "d_loss": 0.5}\n')  # a checkpoint at 500 has been there
    shutil.rmtree(folder / "checkpoints")
    for name in (cards.WEIGHTS, cards.FINETUNE, cards.CARD):
        (folder / name).unlink()
    assert call("train", *ANIME, "--runs", tmp_path / "runs", "--resume") == 2
    assert "its checkpoints are lost. Put them back, or start a new run." in capsys.readouterr().err


@pytest.mark.parametrize("trace", [cards.CARD, cards.FINETUNE, cards.SCORES, "initialized_from"])
def test_train_run_that_lost_checkpoints_and_weights_is_never_started_again(run, tmp_path, trace, capsys):
    """What is written after a checkpoint tells that there was one; in a run of --init-from, there is one from the start."""
    folder = tmp_path / "runs/anime" / run.name
    folder.mkdir(parents=True)
    config = read_run_config(run)
    (folder / "config.json").write_text(json.dumps(config | ({trace: []} if trace == "initialized_from" else {})))
    if trace != "initialized_from":
        (folder / trace).write_text("{}")
    assert call("train", *ANIME, "--runs", tmp_path / "runs", "--resume") == 2
    assert "its checkpoints are lost" in capsys.readouterr().err


def test_train_resumed_run_writes_a_damaged_card_and_says_which_curves_are_lost(run, tmp_path, capsys):
    folder = tmp_path / "runs/anime" / run.name
    shutil.copytree(run, folder)
    for content in ("{", "[]", "{}"):
        (folder / cards.CARD).write_text(content)
        assert call("train", *ANIME, "--runs", tmp_path / "runs", "--resume") == 0
        found, expected = (json.loads((path / cards.CARD).read_text()) for path in (folder, run))
        assert found == expected | {"environment": found["environment"]}
    assert "lost" not in capsys.readouterr().err
    (folder / "metrics.jsonl").unlink()
    shutil.rmtree(folder / "tensorboard")
    assert call("train", *ANIME, "--runs", tmp_path / "runs", "--resume") == 0
    errors = capsys.readouterr().err
    for name in ("metrics.jsonl", "tensorboard"):
        assert f"{folder / name} is lost" in errors


def test_train_resumed_run_whose_images_have_moved_says_what_to_do(run, tmp_path, capsys):
    folder = tmp_path / run.name
    shutil.copytree(run, folder)
    config = read_run_config(run)
    config["data"]["path"] = str(tmp_path / "gone")
    (folder / "config.json").write_text(json.dumps(config))
    assert call("train", *ANIME, "--resume", folder) == 2
    assert f"{tmp_path / 'gone'}, which are not there any more" in capsys.readouterr().err


def test_train_newest_run_of_another_task_is_refused(run, tmp_path, capsys):
    folder = tmp_path / "anime" / run.name
    shutil.copytree(run, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "task": "digits"}))
    assert call("train", *ANIME, "--runs", tmp_path, "--resume") == 2
    assert "is a run of task digits, not of anime" in capsys.readouterr().err


def test_train_checkpoints_and_weights_of_another_run_are_refused(run, image_dir, tmp_path, capsys):
    words = [*ANIME, "--runs", tmp_path, "--loss", "wgangp", "--steps", 2, *TINY]
    assert call("train", *words) == 0
    folder = only_run(tmp_path)
    shutil.rmtree(folder / "checkpoints")
    shutil.copytree(run / "checkpoints", folder / "checkpoints")
    assert call("train", *words[:4], "--resume", "--steps", 3) == 2
    assert "belongs to another run" in capsys.readouterr().err
    for file in (cards.WEIGHTS, cards.CARD):
        shutil.copy(run / file, folder)
    assert call("infer", *ANIME, "--weights", folder, "--count", 1, tmp_path / "out") == 2
    assert "belongs to another run than the config.json beside it" in capsys.readouterr().err


def test_train_scores_belong_to_the_weights_beside_them(image_dir, tmp_path, capsys, monkeypatch):
    """They carry step and digest, are computed once, and go when the weights are trained further."""
    scored = []

    def evaluate(task, weights, data, options, report):
        scored.append(weights)
        return {"fid": Score(1.0, cards.weights_identity(weights))}

    monkeypatch.setattr(conclusion, "evaluate_weights", evaluate)
    words = [*ANIME, "--data", image_dir, "--runs", tmp_path, "--checkpoint-every", 1, *TINY]
    assert call("train", *words, "--steps", 1) == 0
    folder = only_run(tmp_path)

    def scores():
        return json.loads((folder / "scores.json").read_text())["fid"]["protocol"]

    digest = hashlib.sha256((folder / "weights.npz").read_bytes()).hexdigest()
    assert scores() == {"model_step": 1, "model_sha256": digest}
    assert call("train", *words, "--steps", 1, "--resume") == 0
    assert "these weights have been scored" in capsys.readouterr().out
    for content in ("{", "[]", '{"fid": {"value": 0.0, "protocol": {"model_sha256": "0"}}}'):  # damaged, of other weights
        (folder / "scores.json").write_text(content)
        assert call("train", *words, "--steps", 1, "--resume") == 0
        assert scores() == {"model_step": 1, "model_sha256": digest}
    assert call("train", *words, "--steps", 2, "--resume") == 0
    assert scores()["model_step"] == 2
    assert len(scored) == 2 + 3
    trained = read_run_config(folder) and json.loads((folder / "card.json").read_text())["seconds"] / 60
    assert call("train", *words, "--steps", 9, "--minutes", trained + 0.02, "--resume") == 0
    assert not (folder / "scores.json").exists()  # stopped at a later step, not scored yet


def test_train_fewer_steps_than_done_is_refused(run, capsys):
    assert call("train", *ANIME, "--runs", run.parents[1], "--resume", "--steps", 1) == 2
    assert "less than the 2 steps" in capsys.readouterr().err


def test_train_minutes_end_a_training_that_can_be_resumed(image_dir, tmp_path, capsys):
    words = [*ANIME, "--data", image_dir, "--runs", tmp_path / "runs", "--resume", *FEW_LAYERS]
    assert call("train", *words, "--steps", 2000, "--minutes", 0.0001) == 0
    output = capsys.readouterr().out
    folder = only_run(tmp_path / "runs")
    assert "stopped at step 1 with a checkpoint after --minutes 0.0001" in output
    assert f"--resume {folder} --minutes 0.0002  (or without --minutes, to step 2000)" in output
    assert "scored" not in output  # an unfinished run is not scored on validation images
    assert json.loads((folder / "card.json").read_text())["step"] == 1
    assert call("train", *words, "--minutes", 0.0001) == 2
    assert "error: --minutes 0.0001 is not more than the" in capsys.readouterr().err
    assert call("train", *words, "--minutes", 10, "--steps", 2) == 0
    assert "done: 2 steps" in capsys.readouterr().out


def test_train_locked_run_is_refused(run, capsys):
    holder = RunDir(run)
    holder.lock()
    try:
        assert call("train", *ANIME, "--runs", run.parents[1], "--resume") == 2
        assert "locked by another process" in capsys.readouterr().err
    finally:
        holder.unlock()


def test_train_resume_with_other_images_is_refused(run, image_dir, capsys):
    assert call("train", *ANIME, "--runs", run.parents[1], "--resume", "--data", image_dir) == 2
    assert "are not those that" in capsys.readouterr().err


def test_train_run_is_locked_while_it_is_scored(image_dir, tmp_path, monkeypatch):
    """Otherwise another process could train further, and its card would get the scores of older weights."""
    refused = []

    def score(request, run):
        with pytest.raises(UserError, match="locked by another process"):
            RunDir(run.run_dir.path).lock()
        refused.append(run.run_dir.path)

    monkeypatch.setattr(conclusion, "_score", score)
    assert call("train", *ANIME, "--runs", tmp_path, "--data", image_dir, *FEW_LAYERS, "--steps", 1) == 0
    assert len(refused) == 1
    RunDir(refused[0]).lock()


def test_train_diverged_run_records_the_failure(image_dir, tmp_path, capsys):
    words = [*ANIME, "--runs", tmp_path, "--data", image_dir, *FEW_LAYERS, "--loss", "wgan", "--clip", 1e30, "--d-lr", 1e30]
    assert call("train", *words, "--d-steps", 1, "--steps", 50) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    failure = json.loads((only_run(tmp_path) / FAILURE).read_text())
    assert failure["kind"] == "non-finite"
    assert f"step {failure['step']}, because {failure['quantity']} was not finite" in line


def test_recorded_command_hides_own_paths():
    recorded = build_parser(TASKS["anime"]).recorded_command
    words = ["--task", "anime", "--data", "/mine/faces", "--runs=/mine/runs", "--resume", "--loss", "gan"]
    assert recorded(words) == "python train.py --task anime --data DIR --loss gan"
    words = ["--resume", "/mine/run", "--runs", "/mine", "--init-from=/mine/other", "--config", "/mine/c.json"]
    assert recorded(words) == "python train.py --init-from=RUN --config FILE"
    assert recorded(["--data", "tfds:mnist@/mine"]) == "python train.py --data tfds:mnist"
    assert recorded(["--data=tfds@/mine", "--flip"]) == "python train.py --data=tfds --flip"
    words = ["--task", "dann", "--source-data", "/mine", "--classes", "cat/dog"]
    expected = "python train.py --task dann --source-data DIR --classes cat/dog"
    assert build_parser(TASKS["dann"]).recorded_command(words) == expected


def test_recorded_command_of_an_experiment_keeps_its_numbers():
    parser = Parser("python -m gan_tf.experiments.one", "")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--weights", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--steps", type=int, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE")
    words = ["/mine/run", "--weights", "/mine/a", "b", "--only", "two words", "one", "--out", "x.md", "--steps", "5"]
    parser.parse(words)
    command = "python -m gan_tf.experiments.one RUN --weights DIR DIR --only 'two words' one --steps 5"
    assert parser.recorded_command(words) == command
    words = ["--steps", "5", "--", "-mine"]
    parser.parse(words)
    assert parser.recorded_command(words) == "python -m gan_tf.experiments.one --steps 5 -- RUN"


def test_train_resume_run_of_a_version_without_an_option_takes_its_default(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "old")
    config = read_run_config(run)
    for values in (config["config"], config["sources"]):
        del values["dropout"]
    (tmp_path / "old/config.json").write_text(json.dumps(config))
    words = ["--task", "anime", "--resume", tmp_path / "old", "--steps", 3, "--dry-run"]
    assert call("train", *words) == 0
    assert re.search(r"dropout +0\.0 +default", capsys.readouterr().out)
    (tmp_path / "old/config.json").write_text(json.dumps({**config, "explicit": {"batch": "x"}}))
    assert call("train", *words) == 2
    assert "--batch x" in capsys.readouterr().err


def test_train_several_gpus_are_used_and_the_run_resumes_on_them(image_dir, two_devices, tmp_path, monkeypatch, capsys):
    """Two virtual CPUs stand for two GPUs: the whole way through the command, checkpoint and resume included."""
    monkeypatch.setattr(training_run, "find_gpus", lambda: ["CPU:0", "CPU:1"])
    # TensorFlow's collectives know one strategy a process: the one that all tests share.
    distribute = training_run.build_strategy.__globals__["tf"].distribute
    monkeypatch.setattr(distribute, "MirroredStrategy", {("CPU:0", "CPU:1"): two_devices}.__getitem__)
    words = [*ANIME, "--runs", tmp_path, "--data", image_dir, "--log-every", 1, *FEW_LAYERS, "--norm", "batch"]
    assert call("train", *words, "--batch", 5, "--steps", 1) == 2
    assert "multiple" in capsys.readouterr().err
    assert call("train", *words, "--steps", 2) == 0
    assert call("train", *words, "--steps", 3, "--resume") == 0
    *_, last = sorted((tmp_path / "anime").glob("*/metrics.jsonl"))
    lines = [json.loads(line) for line in last.read_text().splitlines()]
    assert [line["step"] for line in lines if "d_loss" in line] == [1, 2, 3]
