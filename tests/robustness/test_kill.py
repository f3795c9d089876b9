"""kill -9 just before any write, scores included: what is there stays usable, and the end is that of an undisturbed run."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import QUICK, assert_same_run, assert_whole_files, newest_run, train_words
from helpers.write_faults import Fault, is_supported

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs Linux's user notifications of system calls on x86-64")


@pytest.fixture(scope="module")
def whole(server, data, tmp_path_factory) -> tuple[Path, int]:
    """An undisturbed run, and the number of its writes, those into the cache included."""
    folder = tmp_path_factory.mktemp("whole")
    done = server.run("train", train_words(data, folder / "runs"), Fault(str(folder), 0, "kill"), folder / "cache")
    assert done.status == 0, done.err
    assert any(write.startswith("rename /cache/features/") for write in done.writes)
    return newest_run(folder / "runs"), len(done.writes)


def features(cache: Path) -> dict[str, np.ndarray]:
    """Returns what is cached, by the names of the files."""
    return {path.name: np.load(path)["features"] for path in (cache / "features").glob("*.npz")}


def check_killed_training(server, data: Path, folder: Path, whole: Path, number: int) -> None:
    words, cache = train_words(data, folder / "runs"), folder / "cache"
    done = server.run("train", words, Fault(str(folder), number, "kill"), cache)
    where = f"before write {number}: {done.writes[-1]}"
    assert done.status == -signal.SIGKILL, where
    assert_whole_files(folder)
    resumed = server.run("train", [*words, "--resume"], cache=cache)
    assert resumed.status == 0, f"{where}\n{resumed.err}"
    assert "Traceback" not in resumed.err, where
    assert_whole_files(folder)
    run = newest_run(folder / "runs")
    assert_same_run(whole, run)
    assert not list(run.rglob(".gan_tf-*.tmp")), where
    expected, found = (json.loads((path / "scores.json").read_text()) for path in (whole, run))
    assert {name: score["value"] for name, score in found.items() if name != "thresholds"} == {
        name: score["value"] for name, score in expected.items() if name != "thresholds"
    }, where
    for name, values in features(whole.parents[2] / "cache").items():
        np.testing.assert_array_equal(features(cache)[name], values)


def test_train_killed_at_some_writes_resumes_to_the_same_bits_and_scores(server, data, whole, tmp_path):
    run, count = whole
    for number in np.linspace(count // 3, count, QUICK).astype(int):  # the last ones are those of the scores
        check_killed_training(server, data, tmp_path / f"{number}", run, int(number))


@pytest.mark.slow
def test_train_killed_at_every_write_resumes_to_the_same_bits_and_scores(server, data, whole, tmp_path):
    run, count = whole
    for number in range(1, count + 1):
        check_killed_training(server, data, tmp_path / f"{number}", run, number)


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "every"])
def test_evaluate_killed_at_a_write_leaves_a_sound_cache_and_the_same_scores_later(server, data, whole, tmp_path, step):
    words = ["--task", "mnist", "--weights", whole[0], "--data", data, "--json"]
    (tmp_path / "whole").mkdir()
    fault = Fault(str(tmp_path / "whole"), 0, "kill")
    done = server.run("evaluate", [*words, tmp_path / "whole/scores.json"], fault, tmp_path / "whole/cache")
    assert done.status == 0, done.err
    expected = (tmp_path / "whole/scores.json").read_bytes()
    for number in range(1, len(done.writes) + 1, step):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        killed = server.run("evaluate", [*words, folder / "scores.json"], Fault(str(folder), number, "kill"), folder / "cache")
        assert killed.status == -signal.SIGKILL
        assert_whole_files(folder)
        again = server.run("evaluate", [*words, folder / "scores.json"], cache=folder / "cache")
        assert again.status == 0, again.err
        assert (folder / "scores.json").read_bytes() == expected
        assert features(folder / "cache").keys() == features(tmp_path / "whole/cache").keys()


@pytest.mark.parametrize("damage", ["cut", "other numbers", "not finite", "empty", "folder"])
def test_evaluate_with_a_damaged_cache_computes_the_features_again(server, data, whole, tmp_path, damage):
    words = ["--task", "mnist", "--weights", whole[0], "--data", data, "--json"]
    assert server.run("evaluate", [*words, tmp_path / "before.json"], cache=tmp_path).status == 0
    for path in sorted((tmp_path / "features").glob("*.npz")):
        content = path.read_bytes()
        path.unlink()
        if damage == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "other numbers":
            middle = len(content) // 2
            path.write_bytes(
                content[:middle] + bytes(255 - byte for byte in content[middle : middle + 4]) + content[middle + 4 :]
            )
        elif damage == "not finite":
            np.savez(path, features=np.full((6, 16), np.nan, np.float32), logits=np.zeros((6, 4), np.float32))
        elif damage == "empty":
            path.touch()
        else:
            path.mkdir()
    done = server.run("evaluate", [*words, tmp_path / "after.json"], cache=tmp_path)
    assert done.status == 0, done.err
    assert "Traceback" not in done.err
    assert (tmp_path / "after.json").read_bytes() == (tmp_path / "before.json").read_bytes()
