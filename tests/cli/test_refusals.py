"""What cannot be trained is refused before the images are read, and leaves no run folder."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.cli import TINY, call, only_run, train_two_steps

from gan_tf import cards
from gan_tf.gan.workflow import GanWorkflow
from gan_tf.run_dir import FAILURE, RunDir, find_newest_run, has_trained
from gan_tf.training import data as training_data
from gan_tf.training.checkpoints import Checkpoints
from pipelines.errors import UserError

ANIME = ["--task", "anime", *TINY, "--network", "baseline"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return train_two_steps(tmp_path_factory.mktemp("runs"))


def damaged_export(run: Path, folder: Path) -> list:
    shutil.copytree(run, folder / "damaged", ignore=shutil.ignore_patterns("checkpoints", "config.json"))
    (folder / "damaged" / cards.WEIGHTS).write_bytes(b"damaged")
    return [*ANIME, "--init-from", folder / "damaged"]


def damaged_run(run: Path, folder: Path) -> list:
    shutil.copytree(run, folder / "damaged")
    (folder / "damaged" / cards.WEIGHTS).unlink()
    for path in (folder / "damaged/checkpoints").iterdir():
        (path / "state.json").write_text("{}")
    return [*ANIME, "--init-from", folder / "damaged"]


def run_with_checkpoints_of_another(run: Path, folder: Path) -> list:
    shutil.copytree(run, folder / "mixed")
    config = json.loads((run / "config.json").read_text())
    (folder / "mixed/config.json").write_text(json.dumps({**config, "run_id": "another"}))
    return [*ANIME, "--init-from", folder / "mixed"]


def missing_fid_weights(run: Path, folder: Path) -> list:
    return [*ANIME, "--eval-every", 1]


def scores_of_a_classifier(run: Path, folder: Path) -> list:
    return ["--task", "digits", "--eval-every", 1]


def run_without_checkpoints(run: Path, folder: Path) -> list:
    shutil.copytree(run, folder / "lost")
    shutil.rmtree(folder / "lost/checkpoints")
    return ["--task", "anime", "--resume", folder / "lost"]


def run_that_is_finished(run: Path, folder: Path) -> list:
    shutil.copytree(run, folder / "finished")
    return ["--task", "anime", "--resume", folder / "finished", "--steps", 1]


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize(
    "build_words",
    [
        damaged_export,
        damaged_run,
        run_with_checkpoints_of_another,
        missing_fid_weights,
        scores_of_a_classifier,
        run_without_checkpoints,
        run_that_is_finished,
    ],
)
def test_train_refused_request_reads_no_images_and_leaves_no_run(
    build_words, dry, run, image_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(training_data, "open_sources", lambda *_: pytest.fail("the images are read"))
    words = [*build_words(run, tmp_path), "--data", image_dir, "--runs", tmp_path / "runs"]
    assert call("train", *words, *(["--dry-run"] if dry else [])) == 2
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]) == 1
    assert not (tmp_path / "runs").exists()


FAILURES = [UserError("The FID needs more images", "Add some"), KeyboardInterrupt(), ZeroDivisionError()]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("unit", ["build_model", "build_stream", "callbacks"])
def test_train_that_fails_before_its_first_step_leaves_no_run(failure, unit, run, image_dir, tmp_path, monkeypatch):
    def fail(*_):
        raise failure

    monkeypatch.setattr(GanWorkflow, unit, fail)
    words = ["train", *ANIME, "--data", image_dir, "--runs", tmp_path / "runs", "--init-from", run]
    if isinstance(failure, ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):
            call(*words)
    else:
        assert call(*words) == (130 if isinstance(failure, KeyboardInterrupt) else 2)
    assert not list(tmp_path.glob("runs/anime/[0-9]*"))


def test_train_resumed_run_that_fails_before_its_first_step_is_unchanged(run, tmp_path, monkeypatch):
    folder = tmp_path / "runs/anime" / run.name
    shutil.copytree(run, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "config.json"}
    monkeypatch.setattr(GanWorkflow, "callbacks", lambda *_: (_ for _ in ()).throw(UserError("No FID", "Leave it out")))
    assert call("train", "--task", "anime", "--resume", folder, "--steps", 4) == 2
    after = {path: path.read_bytes() for path in before}
    assert after == before


class Killed(BaseException):
    """Stands for kill -9."""


def test_train_killed_between_the_weights_of_init_from_and_its_config_is_no_run(run, image_dir, tmp_path, monkeypatch):
    """The folder is left by kill -9 only; --resume does not take it for a run."""

    def save_and_be_killed(checkpoints, step, state=None):
        save(checkpoints, step, state)
        raise Killed  # the folder is not removed then

    save = Checkpoints.save
    words = [*ANIME, "--data", image_dir, "--runs", tmp_path, "--steps", 1]
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_be_killed)
        patch.setattr(RunDir, "remove_untrained", lambda run_dir: None)
        with pytest.raises(Killed):
            call("train", *words, "--init-from", run)
    killed = only_run(tmp_path)
    assert (killed / "checkpoints/step-000000000").is_dir()
    assert find_newest_run(tmp_path, "anime") is None


@pytest.mark.parametrize(
    ("file", "is_kept"),
    [
        ("config.json", False),
        ("checkpoints/step-000000000/state.json", False),
        ("checkpoints/step-000000001.tmp/state.json", False),
        ("checkpoints/step-000000010/state.json", True),
        ("metrics.jsonl", True),
        ("weights.npz", True),
        (FAILURE, True),
    ],
)
def test_remove_untrained_keeps_what_training_has_made(file, is_kept, tmp_path):
    path = tmp_path / "run" / file
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    RunDir(tmp_path / "run").remove_untrained()
    assert path.exists() is is_kept
    assert has_trained(tmp_path / "run") is (is_kept and file != FAILURE)
