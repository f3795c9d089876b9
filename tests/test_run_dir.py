"""Run folders: numbered once, locked by one process at a time, readable or refused."""

import fcntl
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gan_tf.run_dir import FORMAT, RunDir, create_run_dir, find_newest_run, read_run_config
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
SOURCE = {"name": "faces", "count": 9, "digest": "0a"}
CONFIG = {
    "format": FORMAT,
    "run_id": "0a1b",
    "task": "anime",
    "command": "python train.py",
    "steps": 2,
    "config": {"loss": "gan"},
    "sources": {"loss": "cli"},
    "explicit": {"loss": "gan"},
    "options": {"log_every": 10},
    "data": {"path": None, "sources": {"real": SOURCE}},
    "environment": {},
}


def python(code: str, *words) -> subprocess.Popen:
    """Another process of this repository; it prints a line and locked_calls for one."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> str:
    out, _ = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    return out


CREATE = """
import sys
from pathlib import Path
from gan_tf.run_dir import create_run_dir
print("ready", flush=True)
sys.stdin.readline()
print(*(create_run_dir(Path(sys.argv[1]), "anime", "gan-faces").path.name for _ in range(25)))
"""


def test_create_run_dir_several_processes_get_distinct_numbers(tmp_path):
    processes = [python(CREATE, tmp_path) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor() as pool:
        names = [name for out in pool.map(end, processes) for name in out.split()]
    assert sorted(names) == [f"{n:03d}-gan-faces" for n in range(100)]
    assert all((tmp_path / "anime" / name).is_dir() for name in names)


def test_create_run_dir_locks_while_a_number_is_chosen(tmp_path, monkeypatch):
    """The lock makes the numbers of the test above distinct, whatever the timing."""
    locked_calls = []

    def check_lock(original):
        def checked(path, *args, **kwargs):
            numbering = tmp_path / "anime" / ".numbering"
            if numbering.exists():
                with open(numbering, "w") as other:
                    try:
                        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        locked_calls.append(original.__name__)
            return original(path, *args, **kwargs)

        return checked

    for name in ("iterdir", "mkdir"):
        monkeypatch.setattr(Path, name, check_lock(getattr(Path, name)))
    create_run_dir(tmp_path, "anime", "gan-faces")
    assert locked_calls == ["iterdir", "mkdir"]


LOCK = """
import sys
from pathlib import Path
from gan_tf.run_dir import RunDir
run = RunDir(Path(sys.argv[1]))
run.lock()
print("locked", flush=True)
sys.stdin.readline()
"""


def test_lock_is_held_by_one_process_at_a_time(tmp_path):
    run = RunDir(tmp_path)
    other = python(LOCK, tmp_path)
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(UserError, match="locked by another process"):
        run.lock()
    end(other)
    run.lock()  # the other process has ended
    with pytest.raises(UserError, match="locked by another process"):
        RunDir(tmp_path).lock()
    run.unlock()
    second = RunDir(tmp_path)
    second.lock()
    second.unlock()


def test_lock_of_a_killed_process_is_free(tmp_path):
    other = python(LOCK, tmp_path)
    assert other.stdout.readline() == "locked\n"
    other.kill()
    other.communicate()
    run = RunDir(tmp_path)
    run.lock()
    run.unlock()


def test_unlock_without_lock_does_nothing(tmp_path):
    run = RunDir(tmp_path)
    run.unlock()
    assert not (tmp_path / "lock").exists()


def test_create_run_dir_continues_after_the_highest_number(tmp_path):
    assert create_run_dir(tmp_path, "anime", "gan-x").path == tmp_path / "anime" / "000-gan-x"
    (tmp_path / "anime" / "041-wgan-y").mkdir()
    for stray in ("notes", "99-too-short", "100", "abc-gan", ".hidden"):
        (tmp_path / "anime" / stray).mkdir()
    assert create_run_dir(tmp_path, "anime", "gan-x").path.name == "042-gan-x"
    assert create_run_dir(tmp_path, "face", "gan-x").path.name == "000-gan-x"  # each task has its own numbers


def test_create_run_dir_numbers_beyond_three_digits(tmp_path):
    (tmp_path / "anime" / "999-gan").mkdir(parents=True)
    assert create_run_dir(tmp_path, "anime", "gan").path.name == "1000-gan"
    assert create_run_dir(tmp_path, "anime", "gan").path.name == "1001-gan"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("gan-my faces", "000-gan-my-faces"),
        ("gan-../../etc", "000-gan-..-..-etc"),
        ("gan-a/b\\c", "000-gan-a-b-c"),
        ("gan-猫", "000-gan"),
        ("gan-v1.2_x", "000-gan-v1.2_x"),
        ("gan-" + 250 * "a", "000-gan-" + 96 * "a"),
    ],
)
def test_create_run_dir_names_become_safe_in_paths(tmp_path, name, folder):
    assert create_run_dir(tmp_path, "anime", name).path == tmp_path / "anime" / folder


def test_find_newest_run_is_the_highest_number_with_a_config(tmp_path):
    assert find_newest_run(tmp_path, "anime") is None
    runs = [create_run_dir(tmp_path, "anime", name) for name in ("z", "y", "x")]
    assert find_newest_run(tmp_path, "anime") is None
    for run in runs[:2]:
        run.write_config(CONFIG)
    assert find_newest_run(tmp_path, "anime").path == runs[1].path
    RunDir(tmp_path / "anime").write_config(CONFIG)  # not in a run folder
    for name in ("999-b", "1000-a"):
        (tmp_path / "anime" / name).mkdir()
        RunDir(tmp_path / "anime" / name).write_config(CONFIG)
    assert find_newest_run(tmp_path, "anime").path.name == "1000-a"  # by number, not by name


def test_read_run_config_is_what_was_written(tmp_path):
    run = create_run_dir(tmp_path, "anime", "gan-x")
    run.write_config(CONFIG)
    assert run.config == read_run_config(run.path) == CONFIG


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b"\xff\xfe\x00",
        *[json.dumps({name: value for name, value in CONFIG.items() if name != missing}).encode() for missing in CONFIG],
        *[json.dumps({**CONFIG, name: []}).encode() for name in CONFIG],
        json.dumps({**CONFIG, "data": {"path": 5, "sources": {}}}).encode(),
        json.dumps({**CONFIG, "data": {"path": None, "sources": {"real": {**SOURCE, "digest": 5}}}}).encode(),
        json.dumps({**CONFIG, "format": FORMAT + 1}).encode(),
        json.dumps({**CONFIG, "initialized_from": 5}).encode(),
        json.dumps({**CONFIG, "initialized_from": ["a"]}).encode(),
        *[json.dumps({**CONFIG, "data": {**CONFIG["data"], "folders": value}}).encode() for value in (5, {"source": 5})],
        json.dumps({**CONFIG, "data": {**CONFIG["data"], "annotations": 5}}).encode(),
        *[json.dumps({**CONFIG, "environment": {name: [5]}}).encode() for name in ("versions", "variables")],
    ],
)
def test_read_run_config_other_content_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"has no readable config\.json") as caught:
        read_run_config(tmp_path)
    assert str(tmp_path) in caught.value.problem
    assert "runs/" in caught.value.hint


def test_read_run_config_older_format_is_refused(tmp_path):
    for older in ({"task": "anime", "settings": {"loss": "gan"}}, {**CONFIG, "format": FORMAT - 1}):
        RunDir(tmp_path).write_config(older)
        with pytest.raises(UserError, match="written by an older version") as caught:
            read_run_config(tmp_path)
        assert "Train again" in caught.value.hint


@pytest.mark.parametrize("trace", ["checkpoints/step-000000500/manifest.json", "weights.npz", "metrics.jsonl"])
@pytest.mark.parametrize("content", [None, "{"])
def test_read_run_config_of_a_trained_run_that_lost_it_offers_weights_that_are_there(tmp_path, trace, content):
    run = create_run_dir(tmp_path, "anime", "gan-x")
    assert find_newest_run(tmp_path, "anime") is None
    (run.path / trace).parent.mkdir(parents=True, exist_ok=True)
    (run.path / trace).write_text("x")
    if content is not None:
        (run.path / "config.json").write_text(content)
    newest = find_newest_run(tmp_path, "anime")
    assert newest.path == run.path
    with pytest.raises(UserError, match=r"has been trained, but its config\.json is lost or damaged.*start a new run\.$"):
        read_run_config(newest.path)
    for file in ("weights.npz", "card.json"):
        (run.path / file).write_text("x")
    with pytest.raises(UserError, match=f"start a new run from its weights by train.py --init-from {run.path}"):
        read_run_config(newest.path)


def test_find_newest_run_that_was_renamed_is_refused_and_named(tmp_path):
    run = create_run_dir(tmp_path, "anime", "gan-x")
    run.write_config(CONFIG)
    renamed = run.path.rename(tmp_path / "anime/mine")
    with pytest.raises(UserError, match=f"mine is one without.*{renamed}"):
        find_newest_run(tmp_path, "anime")
    second = create_run_dir(tmp_path, "anime", "gan-x")
    second.write_config(CONFIG)
    assert find_newest_run(tmp_path, "anime").path == second.path


def test_read_run_config_missing_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(UserError, match="is not a folder"):
            read_run_config(path)


def test_create_run_dir_and_lock_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        create_run_dir(tmp_path / "runs", "anime", "gan-x")
    with pytest.raises(UserError, match="cannot be written"):
        RunDir(tmp_path / "runs").lock()
