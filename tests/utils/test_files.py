"""Files appear whole or not at all, whatever fails on the way, and refusals of the file system become one line."""

import builtins
import errno
import json
import os

import pytest

from gan_tf.utils import files
from gan_tf.utils.files import readable_failures, require_space, write_json, write_whole
from pipelines.errors import InputError

OLD, NEW = b"old", b"new content" * 1000


class Failing:
    """A file whose writing fails after half of the data."""

    def __init__(self, file, error):
        self.file, self.error = file, error

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        raise self.error


def inject(monkeypatch, call: str, error: BaseException, nth: int = 1) -> None:
    """Makes the nth call of open, write, fsync, replace or mkdir fail."""
    count = 0

    def failing(original):
        def counted(*args, **more):
            nonlocal count
            count += 1
            if count == nth:
                if call == "write":
                    return Failing(original(*args, **more), error)
                raise error
            return original(*args, **more)

        return counted

    if call in ("open", "write"):
        monkeypatch.setattr(files, "open", failing(builtins.open), raising=False)
    else:
        monkeypatch.setattr(os, call, failing(getattr(os, call)))


CALLS = [("open", 1), ("write", 1), ("fsync", 1), ("replace", 1)]
PROBLEMS = [
    (OSError(errno.ENOSPC, "No space left on device"), InputError),
    (OSError(errno.EDQUOT, "Quota exceeded"), InputError),
    (PermissionError(errno.EACCES, "Permission denied"), InputError),
    (OSError(errno.EROFS, "Read-only file system"), InputError),
    (OSError(errno.EIO, "Input/output error"), OSError),
    (KeyboardInterrupt(), KeyboardInterrupt),
    (MemoryError(), MemoryError),
]


@pytest.mark.parametrize(("call", "nth"), CALLS)
@pytest.mark.parametrize(("problem", "raised"), PROBLEMS, ids=lambda x: str(x) if isinstance(x, BaseException) else "")
@pytest.mark.parametrize("before", [OLD, None])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, call, nth, problem, raised, before):
    path = tmp_path / "file.bin"
    if before is not None:
        path.write_bytes(before)
    inject(monkeypatch, call, problem, nth)
    with pytest.raises(raised):
        write_whole(path, NEW)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ([] if before is None else ["file.bin"])
    assert before is None or path.read_bytes() == before
    write_whole(path, NEW)
    assert path.read_bytes() == NEW


def test_a_failure_after_the_renaming_leaves_the_new_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    inject(monkeypatch, "fsync", OSError(errno.ENOSPC, "No space left on device"), nth=2)  # the folder's
    with pytest.raises(InputError):
        write_whole(path, NEW)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]
    assert path.read_bytes() == NEW


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    seen = []
    for call in ("fsync", "replace"):
        original = getattr(os, call)

        def looked(*args, original=original):
            seen.append(path.read_bytes())
            return original(*args)

        monkeypatch.setattr(os, call, looked)
    write_whole(path, NEW)
    assert seen == [OLD, OLD, NEW]  # the file's fsync, the renaming, the folder's fsync


def test_pictures_need_not_reach_the_disk_at_once(tmp_path, monkeypatch):
    inject(monkeypatch, "fsync", AssertionError("flushed"))
    write_whole(tmp_path / "a.png", NEW, durable=False)
    assert (tmp_path / "a.png").read_bytes() == NEW


def test_folders_on_the_way_are_made(tmp_path):
    write_whole(tmp_path / "a" / "b" / "c.bin", NEW)
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == NEW


def test_real_refusals_of_the_file_system(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="can't be written"):
            write_whole(path, NEW)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_full_disk_says_what_to_do(tmp_path, monkeypatch):
    inject(monkeypatch, "write", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(InputError) as refusal:
        write_whole(tmp_path / "file.bin", NEW)
    assert str(tmp_path / "file.bin") in refusal.value.given
    assert "No space left" in refusal.value.given
    assert refusal.value.expected == "free space on the disk"
    assert "make room" in refusal.value.mend


def test_what_no_person_can_mend_stays_what_it_is():
    with pytest.raises(OSError, match="broken") as raised, readable_failures("x"):
        raise OSError(errno.EIO, "broken")
    assert raised.type is OSError
    with pytest.raises(ValueError, match="a bug"), readable_failures("x"):
        raise ValueError("a bug")


def test_json_for_people(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ü": "猫"}}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert list(json.loads(text)) == ["b", "a"]
    assert text.endswith("}\n")
    assert "猫" in text
    assert len(text.splitlines()) > 5


def test_space_is_asked_for_in_advance(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5_000_000}))
    require_space(tmp_path, 5_000_000)
    with pytest.raises(InputError, match="has 5 MB free; expected at least 6 MB"):
        require_space(tmp_path, 6_000_000)


def test_space_is_asked_for_where_the_folder_will_be(tmp_path):
    require_space(tmp_path / "not" / "yet", 1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(InputError, match="can't be written"):
        require_space(tmp_path / "file" / "runs", 1)
