"""A disk that is full or read-only from any write on: one sentence, no half file, and the same bits once there is space."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.command_server import Result
from helpers.drills import QUICK, spread
from helpers.runs import assert_same_run, assert_whole_files, newest_run
from helpers.write_faults import Fault, is_supported

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs Linux's user notifications of system calls on x86-64")

ERRORS = {"ENOSPC": "No space left on device", "EROFS": "Read-only file system"}


def assert_one_sentence(done: Result, error: str) -> None:
    """Checks that a command ended with one line that names the reason and says what to do."""
    where = f"{len(done.writes)}: {done.writes[-1:]}\n{done.out}\n{done.err}"
    assert done.status == 2, where
    assert "Traceback" not in done.err, where
    (line,) = [line for line in done.err.replace("\r", "\n").splitlines() if "error: " in line]
    assert f"cannot be written ({ERRORS[error]})" in line, where


def check_training(server, training, runs: Path, fault: tuple[int, str]) -> None:
    number, error = fault
    done = server.run("train", training.words(runs), Fault(str(runs), number, error))
    assert_one_sentence(done, error)
    assert_whole_files(runs)
    resumed = server.run("train", training.words(runs, "--resume"))
    assert resumed.status == 0, f"{done.writes[-1]}\n{resumed.err}"
    assert "Traceback" not in resumed.err
    assert_whole_files(runs)
    assert_same_run(training.run, newest_run(runs))
    shutil.rmtree(runs)


@pytest.mark.drill("full disk")
def test_train_with_a_full_disk_at_some_writes_says_so_and_resumes_to_the_same_bits(server, training, trial, tmp_path):
    writes = [write for write in training.writes if " /runs/" in write]
    assert len(writes) > 100
    for number in spread(len(writes) - 16, training.family, QUICK[training.family]):  # a full disk may remove files
        with trial():
            check_training(server, training, tmp_path / f"{number}", (number, list(ERRORS)[number % 2]))


@pytest.mark.slow
@pytest.mark.drill("full disk")
@pytest.mark.parametrize("error", ERRORS)
def test_train_with_a_full_disk_at_every_write_says_so_and_resumes_to_the_same_bits(server, training, trial, tmp_path, error):
    counted = server.run("train", training.words(tmp_path / "count"), Fault(str(tmp_path / "count"), 0, error))
    assert counted.status == 0, counted.err
    for number in range(1, len(counted.writes) + 1):
        with trial():
            check_training(server, training, tmp_path / f"{number}", (number, error))


def check_inference(server, words: list, out: Path, expected: dict[str, bytes], fault: tuple[int, str]) -> None:
    done = server.run("infer", [*words, out], Fault(str(out.parent), *fault))
    assert_one_sentence(done, fault[1])
    assert_whole_files(out.parent)
    again = server.run("infer", [*words, "--overwrite", out])
    assert again.status == 0, again.err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == expected


def check_score(server, words: list, folder: Path, expected: dict, fault: tuple[int, str]) -> None:
    folder.mkdir()
    done = server.run("evaluate", [*words, "--json", folder / "scores.json"], Fault(str(folder), *fault))
    assert_one_sentence(done, fault[1])
    assert_whole_files(folder)
    again = server.run("evaluate", [*words, "--json", folder / "scores.json"])
    assert again.status == 0, again.err
    assert json.loads((folder / "scores.json").read_text()) == expected


def positions(count: int, is_every: bool) -> list[int]:
    return list(range(1, count + 1)) if is_every else spread(count, "gan", QUICK["gan"])


@pytest.mark.parametrize("is_every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "every"])
def test_infer_with_a_full_disk_says_so_and_gives_the_same_images_later(server, trainings, tmp_path, is_every):
    words = ["--task", "mnist", "--weights", trainings("gan").run, "--count", 3]
    counted = server.run("infer", [*words, tmp_path / "whole/out"], Fault(str(tmp_path / "whole"), 0, "EROFS"))
    assert counted.status == 0, counted.err
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole/out").iterdir()}
    assert len(expected) == 3
    for number in positions(len(counted.writes), is_every):
        error = list(ERRORS)[number % 2]
        check_inference(server, words, tmp_path / f"{number}/out", expected, (number, error))


@pytest.mark.parametrize("is_every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "every"])
def test_evaluate_with_a_full_disk_says_so_and_gives_the_same_scores_later(server, trainings, tmp_path, is_every):
    words = ["--task", "mnist", "--weights", trainings("gan").run, "--data", trainings("gan").data]
    (tmp_path / "whole").mkdir()
    counted = server.run(
        "evaluate", [*words, "--json", tmp_path / "whole/scores.json"], Fault(str(tmp_path / "whole"), 0, "EROFS")
    )
    assert counted.status == 0, counted.err
    expected = json.loads((tmp_path / "whole/scores.json").read_text())
    for number in positions(len(counted.writes), is_every):
        check_score(server, words, tmp_path / f"{number}", expected, (number, list(ERRORS)[number % 2]))
