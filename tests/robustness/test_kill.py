"""kill -9 at any moment: what is there stays usable, and the resumed run ends with the bits of an undisturbed one."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.command_server import CommandServer, command_server
from helpers.drills import QUICK, spread
from helpers.runs import assert_same_run, assert_whole_files, newest_run
from helpers.write_faults import Fault, is_supported

needs_faults = pytest.mark.skipif(not is_supported(), reason="needs Linux's user notifications of system calls on x86-64")
# More steps than other trainings, and no FID on the way, which needs weights to download.
GRAPH_PLAN = ("--steps", 6, "--checkpoint-every", 2, "--grid-every", 6, "--eval-every", 0)


def features(cache: Path) -> dict[str, np.ndarray]:
    """Returns what is cached, by the names of the files."""
    return {path.name: np.load(path)["features"] for path in (cache / "features").glob("*.npz")}


def scores(run: Path) -> dict[str, float]:
    """Returns the values in a run's ``scores.json``."""
    found = json.loads((run / "scores.json").read_text())
    return {name: score["value"] for name, score in found.items() if name != "thresholds"}


def check_killed_training(server: CommandServer, training, folder: Path, number: int) -> None:
    words, cache = training.words(folder / "runs"), folder / "cache"
    done = server.run("train", words, Fault(str(folder), number, "kill"), cache)
    where = f"before write {number}: {done.writes[-1]}"
    assert done.status == -signal.SIGKILL, where
    assert_whole_files(folder)
    resumed = server.run("train", [*words, "--resume"], cache=cache)
    assert resumed.status == 0, f"{where}\n{resumed.err}"
    assert "Traceback" not in resumed.err, where
    assert_whole_files(folder)
    run = newest_run(folder / "runs")
    assert_same_run(training.run, run)
    assert not list(run.rglob(".gan_tf-*.tmp")), where
    assert scores(run) == scores(training.run), where
    for name, values in features(training.folder / "cache").items():
        np.testing.assert_array_equal(features(cache)[name], values)
    shutil.rmtree(folder)


@needs_faults
@pytest.mark.drill("kill at a write")
@pytest.mark.parametrize("is_every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "every"])
def test_train_killed_at_a_write_resumes_to_the_same_bits_and_scores(server, training, trial, tmp_path, is_every):
    count = len(training.writes)
    last_first = [
        1 + count - number for number in spread(count, training.family, QUICK[training.family])
    ]  # unlike those that fail on a full disk
    for number in range(1, count + 1) if is_every else last_first:
        with trial():
            check_killed_training(server, training, tmp_path / f"{number}", number)


@pytest.fixture(scope="module")
def graph_server(tmp_path_factory):
    """Trains as a user does: with compiled graphs, and threads that prepare batches."""
    with command_server(tmp_path_factory.mktemp("server")) as commands:
        yield commands


def run_until(server: CommandServer, words: list, seconds: float) -> int:
    """Runs a training that is killed after some seconds, unless it has ended by then; returns its status."""
    process = server.start("train", words)
    descriptor = os.pidfd_open(process)  # unlike its number, it is never that of another process
    time.sleep(seconds)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
    return server.finish().status


def train_to_end(server: CommandServer, words: list) -> float:
    """Trains; returns the seconds it took."""
    start = time.monotonic()
    done = server.run("train", words)
    assert done.status == 0, done.err
    return time.monotonic() - start


def kill_in_a_row(server: CommandServer, words: list, moments: list[float]) -> int:
    """Kills a training after each of some numbers of seconds, and resumes it, to its end at last; returns the kills."""
    kills = 0
    for seconds in moments:
        status = run_until(server, words, seconds)
        assert status in (0, -signal.SIGKILL)
        kills += status == -signal.SIGKILL
        if status == 0:
            break
    train_to_end(server, words)
    return kills


def check_random_kills(server: CommandServer, training, trial, folder: Path, kills: int) -> None:
    """Kills and resumes trainings, each up to five times, and compares what they end with."""
    moments, seconds = random.Random(training.family), train_to_end(server, training.words(folder / "whole", *GRAPH_PLAN))
    while kills > 0:
        waits = [moments.uniform(0, seconds) for _ in range(min(kills, 5))]
        done = kill_in_a_row(server, training.words(folder / "killed", *GRAPH_PLAN, "--resume"), waits)
        with trial(done):
            assert_whole_files(folder / "killed")
            assert_same_run(newest_run(folder / "whole"), newest_run(folder / "killed"))
        shutil.rmtree(folder / "killed")
        kills -= done


@pytest.mark.slow
@pytest.mark.drill("random kill")
def test_train_killed_often_at_random_moments_resumes_to_the_same_bits(request, graph_server, training, trial, tmp_path):
    check_random_kills(graph_server, training, trial, tmp_path, request.config.getoption("--drill-kills"))


@needs_faults
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "every"])
def test_evaluate_killed_at_a_write_leaves_a_sound_cache_and_the_same_scores_later(server, trainings, tmp_path, step):
    words = ["--task", "mnist", "--weights", trainings("gan").run, "--data", trainings("gan").data, "--json"]
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
def test_evaluate_with_a_damaged_cache_computes_the_features_again(server, trainings, tmp_path, damage):
    words = ["--task", "mnist", "--weights", trainings("gan").run, "--data", trainings("gan").data, "--json"]
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
