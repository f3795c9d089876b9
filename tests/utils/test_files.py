"""Files appear whole or not at all, whatever fails, and errors of the file system that the user can fix are UserErrors."""

import builtins
import errno
import json
import os

import pytest

from gan_tf.utils import files
from gan_tf.utils.files import file_errors, remove_leftovers, require_space, write_atomic, write_json
from pipelines.errors import UserError

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
        def counted(*args, **kwargs):
            nonlocal count
            count += 1
            if count == nth:
                if call == "write":
                    return Failing(original(*args, **kwargs), error)
                raise error
            return original(*args, **kwargs)

        return counted

    if call in ("open", "write"):
        monkeypatch.setattr(files, "open", failing(builtins.open), raising=False)
    else:
        monkeypatch.setattr(os, call, failing(getattr(os, call)))


CALLS = [("open", 1), ("write", 1), ("fsync", 1), ("replace", 1)]
PROBLEMS = [
    (OSError(errno.ENOSPC, "No space left on device"), UserError),
    (OSError(errno.EDQUOT, "Quota exceeded"), UserError),
    (PermissionError(errno.EACCES, "Permission denied"), UserError),
    (OSError(errno.EROFS, "Read-only file system"), UserError),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), UserError),  # as below /proc, or after rm -r
    (OSError(errno.ELOOP, "Too many levels of symbolic links"), UserError),
    (OSError(errno.EIO, "Input/output error"), OSError),
    (KeyboardInterrupt(), KeyboardInterrupt),
    (MemoryError(), MemoryError),
]


@pytest.mark.parametrize(("call", "nth"), CALLS)
@pytest.mark.parametrize(("problem", "raised"), PROBLEMS, ids=lambda x: str(x) if isinstance(x, BaseException) else "")
@pytest.mark.parametrize("before", [OLD, None])
def test_write_atomic_failure_leaves_the_old_file(tmp_path, monkeypatch, call, nth, problem, raised, before):
    path = tmp_path / "file.bin"
    if before is not None:
        path.write_bytes(before)
    inject(monkeypatch, call, problem, nth)
    with pytest.raises(raised):
        write_atomic(path, NEW)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ([] if before is None else ["file.bin"])
    assert before is None or path.read_bytes() == before
    write_atomic(path, NEW)
    assert path.read_bytes() == NEW


def test_write_atomic_failure_after_the_rename_leaves_the_new_file(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    inject(monkeypatch, "fsync", OSError(errno.ENOSPC, "No space left on device"), nth=2)  # the folder's
    with pytest.raises(UserError):
        write_atomic(path, NEW)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]
    assert path.read_bytes() == NEW


def test_write_atomic_readers_see_the_old_file_until_the_rename(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    contents = []
    for call in ("fsync", "replace"):
        original = getattr(os, call)

        def recorded(*args, original=original):
            contents.append(path.read_bytes())
            return original(*args)

        monkeypatch.setattr(os, call, recorded)
    write_atomic(path, NEW)
    assert contents == [OLD, OLD, NEW]  # the file's fsync, the renaming, the folder's fsync


def test_write_atomic_not_durable_calls_no_fsync(tmp_path, monkeypatch):
    inject(monkeypatch, "fsync", AssertionError("flushed"))
    write_atomic(tmp_path / "a.png", NEW, durable=False)
    assert (tmp_path / "a.png").read_bytes() == NEW


def test_write_atomic_of_two_machines_with_the_same_process_numbers_uses_different_files(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(os, "replace", lambda source, target: names.append(source))
    for _ in range(2):
        write_atomic(tmp_path / "a.bin", NEW, durable=False)
    assert len(set(names)) == 2


def test_write_atomic_to_the_longest_name_works(tmp_path):
    write_atomic(tmp_path / ("x" * 255), NEW)
    assert (tmp_path / ("x" * 255)).read_bytes() == NEW


def test_remove_leftovers_removes_what_killed_processes_left_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    for name in ("a.tmp", ".hidden", "deep/.other.tmp"):
        (tmp_path / name).write_bytes(OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: None)  # killed before
        write_atomic(tmp_path / "deep/a.bin", NEW, durable=False)
    assert len(list((tmp_path / "deep").iterdir())) == 2
    remove_leftovers(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        ".hidden",
        "a.tmp",
        "deep",
        "deep/.other.tmp",
    ]


def test_write_atomic_creates_missing_folders(tmp_path):
    write_atomic(tmp_path / "a" / "b" / "c.bin", NEW)
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == NEW


def test_write_atomic_errors_of_a_real_file_system(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match="cannot be written"):
            write_atomic(path, NEW)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_write_atomic_full_disk_says_what_to_do(tmp_path, monkeypatch):
    inject(monkeypatch, "write", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(UserError) as caught:
        write_atomic(tmp_path / "file.bin", NEW)
    assert str(tmp_path / "file.bin") in caught.value.problem
    assert "No space left" in caught.value.problem
    assert "Free some disk space" in caught.value.hint


def test_file_errors_other_errors_pass_unchanged():
    with pytest.raises(OSError, match="broken") as raised, file_errors("x"):
        raise OSError(errno.EIO, "broken")
    assert raised.type is OSError
    with pytest.raises(ValueError, match="a bug"), file_errors("x"):
        raise ValueError("a bug")


def test_write_json_is_indented_and_keeps_order_and_characters(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ü": "猫"}}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert list(json.loads(text)) == ["b", "a"]
    assert text.endswith("}\n")
    assert "猫" in text
    assert len(text.splitlines()) > 5


def test_require_space_too_little_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5_000_000}))
    require_space(tmp_path, 5_000_000)
    with pytest.raises(UserError, match="has 5 MB of free space, but checkpoints need 6 MB"):
        require_space(tmp_path, 6_000_000)
    with pytest.raises(UserError, match="but 9 images need 6 MB"):
        require_space(tmp_path, 6_000_000, "9 images")


def test_require_space_checks_the_nearest_existing_folder(tmp_path):
    require_space(tmp_path / "a" / "b", 1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(UserError, match="cannot be written"):
        require_space(tmp_path / "file" / "runs", 1)
