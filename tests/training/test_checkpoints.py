"""Checkpoints: whole or not there, whatever stops the writing and whatever happens to them afterwards."""

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

from gan_tf.training.checkpoints import Checkpoints, damage
from pipelines.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


class Thing(tf.Module):
    """Something with a network and an optimiser."""

    def __init__(self, value: float = 0.0, width: int = 3):
        self.net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(width)])
        self.rate = keras.optimizers.Adam()
        self.rate.build(self.net.trainable_variables)
        self.put(value)

    def put(self, value):
        for v in (*self.net.variables, self.rate.iterations):
            v.assign(tf.cast(tf.fill(v.shape, value), v.dtype))

    def value(self) -> float:
        values = {float(x) for v in self.net.variables for x in np.ravel(np.asarray(v))}
        assert values == {float(self.rate.iterations)}
        return values.pop()


def test_round_trip(tmp_path):
    thing = Thing(1.0)
    kept = Checkpoints(tmp_path, thing)
    kept.save(7, {"best": 3.5})
    thing.put(2.0)
    assert kept.newest() == 7
    assert kept.restore(7) == {"step": 7, "best": 3.5}
    assert thing.value() == 1.0


def test_only_the_newest_and_those_kept_for_good_stay(tmp_path):
    kept = Checkpoints(tmp_path, Thing(), keep=3, keep_every=10)
    for step in range(5, 45, 5):
        kept.save(step)
    assert kept.steps() == [10, 20, 30, 35, 40]


def test_what_does_not_fit_is_refused(tmp_path):
    Checkpoints(tmp_path, Thing(width=3)).save(1)
    with pytest.raises(InputError, match="doesn't fit"):
        Checkpoints(tmp_path, Thing(width=4)).restore(1)


def test_something_missing_is_refused(tmp_path):
    Checkpoints(tmp_path, Thing()).save(1)
    more = Thing()
    more.extra = tf.Variable(1.0)
    with pytest.raises(InputError, match="doesn't fit"):
        Checkpoints(tmp_path, more).restore(1)


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    thing = Thing(1.0)
    kept = Checkpoints(folder, thing)
    kept.save(1)
    thing.put(2.0)
    kept.save(2)
    return folder


FILES = ["manifest.json", "state.json", "tensors.index", "tensors.data-00000-of-00001"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("how", ["first byte", "middle byte", "last byte", "cut", "gone", "empty"])
def test_damage_to_any_file_is_seen(two_checkpoints, tmp_path, file, how):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    path = tmp_path / "c/step-000000002" / file
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[:-1])
    else:
        at = {"first byte": 0, "middle byte": len(data) // 2, "last byte": len(data) - 1}[how]
        data[at] ^= 0x10
        path.write_bytes(data)
    thing = Thing(9.0)
    kept = Checkpoints(tmp_path / "c", thing)
    with pytest.warns(UserWarning, match="step 2 is damaged"):
        assert kept.newest() == 1
    kept.restore(1)
    assert thing.value() == 1.0


def test_every_byte_of_the_manifest_counts(two_checkpoints, tmp_path):
    folder = tmp_path / "c"
    shutil.copytree(two_checkpoints / "step-000000002", folder)
    whole = (folder / "manifest.json").read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x01
        (folder / "manifest.json").write_bytes(changed)
        assert damage(folder) is not None, f"byte {at}: {bytes(changed)}"


def test_an_empty_folder_is_passed_over(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    (tmp_path / "c/step-000000003").mkdir()
    with pytest.warns(UserWarning, match="step 3 is damaged"):
        assert Checkpoints(tmp_path / "c", Thing()).newest() == 2


def test_a_resumed_run_writes_damaged_steps_again(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path / "c")
    (tmp_path / "c/step-000000002/state.json").unlink()
    kept = Checkpoints(tmp_path / "c", Thing(5.0))
    kept.discard_after(1)
    assert kept.steps() == [1]
    kept.save(2)
    assert kept.newest() == 2


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_a_full_disk_leaves_the_old_ones_alone(tmp_path, monkeypatch, call):
    thing = Thing(1.0)
    kept = Checkpoints(tmp_path, thing)
    kept.save(1)

    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError, match="free space"):
        kept.save(2)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000001"]
    assert kept.newest() == 1


KILLED = """
import os, sys
folder, stop = sys.argv[1], int(sys.argv[2])
import importlib.util
spec = importlib.util.spec_from_file_location("t", sys.argv[3])
t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)
from pathlib import Path
import builtins, json
thing = t.Thing(1.0)
kept = t.Checkpoints(Path(folder), thing)
kept.save(1)
thing.put(2.0)
count = 0
def before(function):
    def counted(*args, **more):
        global count
        count += 1
        if count == stop:
            os._exit(9)
        return function(*args, **more)
    return counted
for module, names in ((os, ("fsync", "rename", "mkdir", "open")), (Path, ("write_text",)), (t.tf.train.Checkpoint, ("write",))):
    for name in names:
        setattr(module, name, before(getattr(module, name)))
kept.save(2)
print("calls", count)
"""


@pytest.mark.slow
def test_a_stop_at_any_call_leaves_a_whole_checkpoint(tmp_path):
    """The writer is stopped before each call that changes the disk, one after the other."""

    def attempt(stop):
        folder = tmp_path / str(stop)
        words = [sys.executable, "-c", KILLED, str(folder), str(stop), __file__]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        thing = Thing()
        kept = Checkpoints(folder, thing)
        newest = kept.newest()
        kept.restore(newest)
        assert thing.value() == float(newest)
        return done, newest

    done, newest = attempt(0)
    calls = int(done.stdout.split("calls")[1])
    assert (done.returncode, newest) == (0, 2)
    assert calls >= 10
    outcomes = [attempt(stop) for stop in range(1, calls + 1)]
    assert all(done.returncode == 9 for done, _ in outcomes)
    assert [newest for _, newest in outcomes] == sorted(newest for _, newest in outcomes)
    assert {newest for _, newest in outcomes} == {1, 2}
