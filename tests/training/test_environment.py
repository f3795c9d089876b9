"""What a run's bits depend on: described in JSON, and told when it changes."""

import hashlib
import json

import pytest

from gan_tf.training import environment
from gan_tf.training.environment import cpu_features, describe, differences


def test_the_description_survives_json():
    now = describe()
    assert json.loads(json.dumps(now)) == now
    assert set(now) == {"versions", "devices", "threads", "cpu_features", "code"}
    assert {"python", "tensorflow", "keras", "numpy"} <= set(now["versions"])
    assert now["threads"] >= 1
    assert differences(now, describe()) == []


@pytest.mark.parametrize(
    ("name", "other", "word"),
    [
        ("versions", {"python": "2.7"}, "library versions"),
        ("threads", -1, "number of threads"),
        ("cpu_features", ["none"], "processor"),
        ("code", "0", "code"),
        ("devices", ["GPU"], "devices"),
    ],
)
def test_each_difference_is_named(name, other, word):
    now = describe()
    assert differences({**now, name: other}, now) == [word]
    assert differences({k: v for k, v in now.items() if k != name}, now) == [word]


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A small tree of code in place of the program's."""
    for room, name, text in (("gan_tf", "a.py", "a"), ("gan_tf/deep", "b.py", "b"), ("pipelines", "c.py", "c")):
        (tmp_path / room).mkdir(exist_ok=True)
        (tmp_path / room / name).write_text(text)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    return tmp_path


def test_the_digest_by_hand(sources, monkeypatch):
    listed = environment.Path.rglob  # in any order, as file systems do
    monkeypatch.setattr(environment.Path, "rglob", lambda path, pattern: sorted(listed(path, pattern), reverse=True))
    text = b"gan_tf/a.py\0a\0gan_tf/deep/b.py\0b\0pipelines/c.py\0c\0"
    assert environment.code_digest() == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "gan_tf/deep/b.py").write_text("changed"),
        lambda root: (root / "pipelines/c.py").rename(root / "pipelines/d.py"),
        lambda root: (root / "gan_tf/new.py").write_text(""),
        lambda root: (root / "gan_tf/a.py").unlink(),
    ],
)
def test_any_change_of_the_code_changes_the_digest(sources, change):
    before = environment.code_digest()
    change(sources)
    assert environment.code_digest() != before


def test_what_is_no_code_does_not(sources):
    before = environment.code_digest()
    (sources / "gan_tf/notes.txt").write_text("x")
    (sources / "elsewhere.py").write_text("x")
    assert environment.code_digest() == before


def test_processor_features_without_proc(monkeypatch):
    def missing(*_args, **_more):
        raise FileNotFoundError

    monkeypatch.setattr(environment.Path, "read_text", missing)
    assert len(cpu_features()) == 1
