"""Checkpoints: complete or absent, whatever stops the writing, and damage is always found."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.training.checkpoints import Checkpoints, find_damage
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


class TinyModel(tf.Module):
    """A network and an optimizer whose variables all have the same value."""

    def __init__(self, value: float = 0.0, width: int = 3):
        self.net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(width)])
        self.optimizer = keras.optimizers.Adam()
        self.optimizer.build(self.net.trainable_variables)
        self.fill(value)

    def fill(self, value):
        for v in (*self.net.variables, self.optimizer.iterations):
            v.assign(tf.cast(tf.fill(v.shape, value), v.dtype))

    def value(self) -> float:
        values = {float(x) for v in self.net.variables for x in np.ravel(np.asarray(v))}
        assert values == {float(self.optimizer.iterations)}
        return values.pop()


def test_restore_gives_what_was_saved(tmp_path):
    model = TinyModel(1.0)
    checkpoints = Checkpoints(tmp_path, model)
    checkpoints.save(7, {"best": 3.5})
    model.fill(2.0)
    assert checkpoints.newest() == 7
    assert checkpoints.restore(7) == {"step": 7, "best": 3.5}
    assert model.value() == 1.0


def test_save_keeps_the_newest_and_permanent_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path, TinyModel(), keep=3, keep_every=10)
    for step in range(5, 45, 5):
        checkpoints.save(step)
    assert checkpoints.steps() == [10, 20, 30, 35, 40]


def test_restore_other_shapes_are_refused(tmp_path):
    Checkpoints(tmp_path, TinyModel(width=3)).save(1)
    with pytest.raises(UserError, match="does not match"):
        Checkpoints(tmp_path, TinyModel(width=4)).restore(1)


def test_restore_missing_variable_is_refused(tmp_path):
    Checkpoints(tmp_path, TinyModel()).save(1)
    more = TinyModel()
    more.extra = tf.Variable(1.0)
    with pytest.raises(UserError, match="does not match"):
        Checkpoints(tmp_path, more).restore(1)


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    model = TinyModel(1.0)
    checkpoints = Checkpoints(folder, model)
    checkpoints.save(1)
    model.fill(2.0)
    checkpoints.save(2)
    return folder


FILES = ["manifest.json", "state.json", "tensors.index", "tensors.data-00000-of-00001"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("how", ["first byte", "middle byte", "last byte", "truncated", "removed", "empty"])
def test_newest_damaged_file_is_skipped(two_checkpoints, tmp_path, file, how):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    path = tmp_path / "c/step-000000002" / file
    data = bytearray(path.read_bytes())
    if how == "removed":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[:-1])
    else:
        at = {"first byte": 0, "middle byte": len(data) // 2, "last byte": len(data) - 1}[how]
        data[at] ^= 0x10
        path.write_bytes(data)
    model = TinyModel(9.0)
    checkpoints = Checkpoints(tmp_path / "c", model)
    with pytest.warns(UserWarning, match="step 2 is damaged"):
        assert checkpoints.newest() == 1
    checkpoints.restore(1)
    assert model.value() == 1.0


@pytest.mark.parametrize("file", ["tensors.index", "tensors.data-00000-of-00001"])
@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_restore_damaged_file_is_refused(two_checkpoints, tmp_path, file, how):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    path = tmp_path / "c/step-000000002" / file
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:2])
    with pytest.raises(UserError, match=r"step-000000002 is damaged|does not match"):
        Checkpoints(tmp_path / "c", TinyModel()).restore(2)


def test_find_damage_any_changed_byte_of_the_manifest(two_checkpoints, tmp_path):
    folder = tmp_path / "c"
    shutil.copytree(two_checkpoints / "step-000000002", folder)
    valid = (folder / "manifest.json").read_bytes()
    for at in range(len(valid)):
        changed = bytearray(valid)
        changed[at] ^= 0x01
        (folder / "manifest.json").write_bytes(changed)
        assert find_damage(folder) is not None, f"byte {at}: {bytes(changed)}"


def test_newest_empty_folder_is_skipped(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    (tmp_path / "c/step-000000003").mkdir()
    with pytest.warns(UserWarning, match="step 3 is damaged"):
        assert Checkpoints(tmp_path / "c", TinyModel()).newest() == 2


def test_discard_after_allows_damaged_steps_to_be_written_again(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    (tmp_path / "c/step-000000002/state.json").unlink()
    checkpoints = Checkpoints(tmp_path / "c", TinyModel(5.0))
    checkpoints.discard_after(1)
    assert checkpoints.steps() == [1]
    checkpoints.save(2)
    assert checkpoints.newest() == 2


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_save_full_disk_leaves_the_old_ones(tmp_path, monkeypatch, call):
    model = TinyModel(1.0)
    checkpoints = Checkpoints(tmp_path, model)
    checkpoints.save(1)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError, match="disk space"):
        checkpoints.save(2)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000001"]
    assert checkpoints.newest() == 1


KILLED = """
import os, sys
folder, stop = sys.argv[1], int(sys.argv[2])
import importlib.util
spec = importlib.util.spec_from_file_location("t", sys.argv[3])
t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)
from pathlib import Path
import builtins, json
model = t.TinyModel(1.0)
checkpoints = t.Checkpoints(Path(folder), model)
checkpoints.save(1)
model.fill(2.0)
count = 0
def before(function):
    def counted(*args, **kwargs):
        global count
        count += 1
        if count == stop:
            os._exit(9)
        return function(*args, **kwargs)
    return counted
for module, names in ((os, ("fsync", "rename", "mkdir", "open")), (Path, ("write_text",)), (t.tf.train.Checkpoint, ("write",))):
    for name in names:
        setattr(module, name, before(getattr(module, name)))
checkpoints.save(2)
print("calls", count)
"""


@pytest.mark.slow
def test_save_killed_at_any_call_leaves_a_valid_checkpoint(tmp_path):
    """The process ends before each call that changes the disk, one after the other."""

    def attempt(stop):
        folder = tmp_path / str(stop)
        words = [sys.executable, "-c", KILLED, str(folder), str(stop), __file__]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        model = TinyModel()
        checkpoints = Checkpoints(folder, model)
        newest = checkpoints.newest()
        checkpoints.restore(newest)
        assert model.value() == float(newest)
        return done, newest

    done, newest = attempt(0)
    calls = int(done.stdout.split("calls")[1])
    assert (done.returncode, newest) == (0, 2)
    assert calls >= 10
    outcomes = [attempt(stop) for stop in range(1, calls + 1)]
    assert all(done.returncode == 9 for done, _ in outcomes)
    assert [newest for _, newest in outcomes] == sorted(newest for _, newest in outcomes)
    assert {newest for _, newest in outcomes} == {1, 2}
