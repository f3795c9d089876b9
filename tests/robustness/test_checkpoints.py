"""Damaged checkpoints of each family: the run goes on from an earlier one, or says in a sentence that it cannot."""

import shutil
from pathlib import Path

import pytest
from helpers.runs import assert_same_run

DATA, INDEX, STATE, MANIFEST = "tensors.data-00000-of-00001", "tensors.index", "state.json", "manifest.json"
QUICK_DAMAGE = [(DATA, "flipped bit")]  # tests/training/test_checkpoints.py has all of them, but without a training
EVERY_DAMAGE = [
    *[(name, how) for name in (DATA, INDEX, STATE, MANIFEST) for how in ("flipped bit", "cut", "empty", "gone", "folder")],
    ("", "gone"),
    ("", "empty"),
]


def damage(path: Path, how: str) -> None:
    """Damages a file of a checkpoint, or its whole folder."""
    content = path.read_bytes() if path.is_file() else b""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    if how == "flipped bit":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif how == "cut":
        path.write_bytes(content[:-1])
    elif how == "folder" or (how == "empty" and not content):
        path.mkdir()
    elif how == "empty":
        path.touch()


def copy_run(training, runs: Path) -> Path:
    """Copies an undisturbed run to another folder of runs; returns it."""
    return Path(shutil.copytree(training.run, runs / training.drill.task / training.run.name))


def check_newest_damaged(server, training, runs: Path, file: str, how: str) -> None:
    run = copy_run(training, runs)
    damage(run / "checkpoints/step-000000002" / file, how)
    done = server.run("train", training.words(runs, "--resume"))
    assert done.status == 0, done.err
    assert "Traceback" not in done.err
    assert "restored step 1" in done.out
    lines = [line for line in done.err.splitlines() if "checkpoint" in line]
    is_noticed = bool(file) or how == "empty"  # nothing tells that there was a folder that is gone
    assert len(lines) == is_noticed, done.err
    assert all("the checkpoint of step 2 is damaged (" in line and "is skipped" in line for line in lines)
    assert_same_run(training.run, run)
    shutil.rmtree(runs)


@pytest.mark.drill("damaged checkpoint")
@pytest.mark.parametrize("is_every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "every"])
def test_train_with_a_damaged_newest_checkpoint_goes_on_from_an_earlier_one(server, training, trial, tmp_path, is_every):
    for number, (file, how) in enumerate(EVERY_DAMAGE if is_every else QUICK_DAMAGE):
        with trial():
            check_newest_damaged(server, training, tmp_path / f"{number}", file, how)


def contents(run: Path) -> dict[str, bytes]:
    """Returns all files of a run but its lock."""
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.mark.drill("no valid checkpoint")
@pytest.mark.parametrize("how", ["flipped bit", "gone"])
def test_train_without_a_valid_checkpoint_is_refused_and_unchanged(server, training, trial, tmp_path, how):
    run = copy_run(training, tmp_path)
    for checkpoint in (run / "checkpoints").iterdir():
        damage(checkpoint / DATA if how == "flipped bit" else checkpoint, how)
    before = contents(run)
    with trial():
        done = server.run("train", training.words(tmp_path, "--resume"))
        assert done.status == 2, done.err
        assert "Traceback" not in done.err
        (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
        reason = "is valid. " if how == "flipped bit" else "has been trained, but its checkpoints are lost. "
        assert f"{reason}Put them back, or start a new run from its weights" in line
        assert contents(run) == before
