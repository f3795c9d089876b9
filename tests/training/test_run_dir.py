"""Run folders: numbered once, locked by one process at a time, readable or refused."""

import fcntl
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gan_tf.training.run_dir import Run, create, newest, read_config
from pipelines.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "task": "anime",
    "command": "python train.py",
    "steps": 2,
    "settings": {"loss": "gan"},
    "sources": {"loss": "said"},
    "data": {"name": "faces", "path": None, "count": 9, "digest": "0a"},
    "environment": {},
}


def python(code: str, *words) -> subprocess.Popen:
    """Another process of this repository; it prints a line and waits for one."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> str:
    out, _ = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    return out


CREATE = """
import sys
from pathlib import Path
from gan_tf.training.run_dir import create
print("ready", flush=True)
sys.stdin.readline()
print(*(create(Path(sys.argv[1]), "anime", "gan-faces").folder.name for _ in range(25)))
"""


def test_several_processes_at_once_get_distinct_numbers(tmp_path):
    processes = [python(CREATE, tmp_path) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor() as pool:
        names = [name for out in pool.map(end, processes) for name in out.split()]
    assert sorted(names) == [f"{n:03d}-gan-faces" for n in range(100)]
    assert all((tmp_path / "anime" / name).is_dir() for name in names)


def test_others_wait_while_a_number_is_chosen_and_taken(tmp_path, monkeypatch):
    """What makes the numbers of the test above distinct, whoever is fast."""
    waits = []

    def looked(original):
        def look(path, *args, **more):
            numbering = tmp_path / "anime" / ".numbering"
            if numbering.exists():
                with open(numbering, "w") as other:
                    try:
                        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        waits.append(original.__name__)
            return original(path, *args, **more)

        return look

    for name in ("iterdir", "mkdir"):
        monkeypatch.setattr(Path, name, looked(getattr(Path, name)))
    create(tmp_path, "anime", "gan-faces")
    assert waits == ["iterdir", "mkdir"]


LOCK = """
import sys
from pathlib import Path
from gan_tf.training.run_dir import Run
run = Run(Path(sys.argv[1]))
run.lock()
print("locked", flush=True)
sys.stdin.readline()
"""


def test_one_process_at_a_time_trains_a_run(tmp_path):
    run = Run(tmp_path)
    other = python(LOCK, tmp_path)
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(InputError, match="trained by another process"):
        run.lock()
    end(other)
    run.lock()  # the lock ends with its process
    with pytest.raises(InputError, match="trained by another process"):
        Run(tmp_path).lock()
    run.unlock()
    again = Run(tmp_path)
    again.lock()
    again.unlock()


def test_a_killed_process_leaves_no_lock(tmp_path):
    other = python(LOCK, tmp_path)
    assert other.stdout.readline() == "locked\n"
    other.kill()
    other.communicate()
    run = Run(tmp_path)
    run.lock()
    run.unlock()


def test_unlocking_what_is_not_locked_does_nothing(tmp_path):
    run = Run(tmp_path)
    run.unlock()
    assert run.lock_file is None
    assert not (tmp_path / "lock").exists()


def test_numbers_go_on_after_the_highest(tmp_path):
    assert create(tmp_path, "anime", "gan-x").folder == tmp_path / "anime" / "000-gan-x"
    (tmp_path / "anime" / "041-wgan-y").mkdir()
    for stray in ("notes", "99-too-short", "100", "abc-gan", ".hidden"):
        (tmp_path / "anime" / stray).mkdir()
    assert create(tmp_path, "anime", "gan-x").folder.name == "042-gan-x"
    assert create(tmp_path, "face", "gan-x").folder.name == "000-gan-x"  # each task counts for itself


def test_numbers_beyond_three_digits(tmp_path):
    (tmp_path / "anime" / "999-gan").mkdir(parents=True)
    assert create(tmp_path, "anime", "gan").folder.name == "1000-gan"
    assert create(tmp_path, "anime", "gan").folder.name == "1001-gan"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("gan-my faces", "000-gan-my-faces"),
        ("gan-../../etc", "000-gan-..-..-etc"),
        ("gan-a/b\\c", "000-gan-a-b-c"),
        ("gan-猫", "000-gan"),
        ("gan-v1.2_x", "000-gan-v1.2_x"),
    ],
)
def test_names_become_plain_ones(tmp_path, name, folder):
    assert create(tmp_path, "anime", name).folder == tmp_path / "anime" / folder


def test_the_newest_run_is_the_highest_number_with_a_config(tmp_path):
    assert newest(tmp_path, "anime") is None
    runs = [create(tmp_path, "anime", name) for name in ("z", "y", "x")]
    assert newest(tmp_path, "anime") is None
    for run in runs[:2]:
        run.write_config(CONFIG)
    assert newest(tmp_path, "anime").folder == runs[1].folder
    Run(tmp_path / "anime").write_config(CONFIG)  # not in a run folder
    for name in ("999-b", "1000-a"):
        (tmp_path / "anime" / name).mkdir()
        Run(tmp_path / "anime" / name).write_config(CONFIG)
    assert newest(tmp_path, "anime").folder.name == "1000-a"  # by number, not by name


def test_a_config_comes_back(tmp_path):
    run = create(tmp_path, "anime", "gan-x")
    run.write_config(CONFIG)
    assert run.config == read_config(run.folder) == CONFIG


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
        *[json.dumps({name: value for name, value in CONFIG.items() if name != left_out}).encode() for left_out in CONFIG],
        *[json.dumps({**CONFIG, name: []}).encode() for name in CONFIG],
        json.dumps({**CONFIG, "data": {**CONFIG["data"], "digest": 5}}).encode(),
        json.dumps({**CONFIG, "watched": 5}).encode(),
    ],
)
def test_other_folders_are_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=r"has no readable config\.json") as refusal:
        read_config(tmp_path)
    assert str(tmp_path) in refusal.value.given
    assert "runs/" in refusal.value.mend


def test_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(InputError, match="is not a folder"):
            read_config(path)


def test_runs_that_can_not_be_made_are_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(InputError, match="can't be written"):
        create(tmp_path / "runs", "anime", "gan-x")
    with pytest.raises(InputError, match="can't be written"):
        Run(tmp_path / "runs").lock()
