"""What the bits of a run depend on: described in JSON, and reported when it changes."""

import hashlib
import json

import pytest
import tensorflow as tf

from gan_tf.training import environment
from gan_tf.training.environment import changed_facts, cpu_features, describe_environment, fast_precision


def test_describe_environment_survives_json():
    now = describe_environment()
    assert json.loads(json.dumps(now)) == now
    assert set(now) == {"versions", "devices", "threads", "cpu_features", "code", "variables"}
    assert {"python", "tensorflow", "keras", "numpy"} <= set(now["versions"])
    assert now["threads"] >= 1
    assert changed_facts(now, describe_environment()) == []


@pytest.mark.parametrize(
    ("name", "other", "word"),
    [
        ("versions", {"python": "2.7"}, "library versions"),
        ("threads", -1, "number of threads"),
        ("cpu_features", ["none"], "CPU features"),
        ("code", "0", "code"),
        ("devices", ["GPU"], "devices"),
    ],
)
def test_changed_facts_names_each_difference(name, other, word):
    now = describe_environment()
    assert changed_facts({**now, name: other}, now) == [word]
    assert changed_facts({k: v for k, v in now.items() if k != name}, now) == [word]


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A small tree of code in place of the package's."""
    for package, name, text in (("gan_tf", "a.py", "a"), ("gan_tf/deep", "b.py", "b"), ("pipelines", "c.py", "c")):
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / name).write_text(text)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    return tmp_path


def test_code_digest_equals_the_written_out_definition(sources, monkeypatch):
    rglob = environment.Path.rglob
    monkeypatch.setattr(
        environment.Path, "rglob", lambda path, pattern: sorted(rglob(path, pattern), reverse=True)
    )  # file systems list in any order
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
def test_code_digest_any_change_of_the_code_changes_it(sources, change):
    before = environment.code_digest()
    change(sources)
    assert environment.code_digest() != before


def test_code_digest_other_files_do_not_change_it(sources):
    before = environment.code_digest()
    (sources / "gan_tf/notes.txt").write_text("x")
    (sources / "elsewhere.py").write_text("x")
    assert environment.code_digest() == before


def test_cpu_features_without_proc(monkeypatch):
    def missing(*_args, **_kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(environment.Path, "read_text", missing)
    assert len(cpu_features()) == 1


@pytest.fixture
def pretend_machine(monkeypatch):
    """Returns a function that pretends to be a machine with these CPU features and so many GPUs."""

    def pretend(features=(), gpus=0):
        devices = tf.config.get_visible_devices()
        listed = {"GPU": ["a GPU"] * gpus, "CPU": ["a CPU"]}
        monkeypatch.setattr(environment, "cpu_features", lambda: sorted(features))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: listed[kind] if kind else devices)

    return pretend


@pytest.mark.parametrize(
    ("features", "gpus", "expected"),
    [
        (["amx_bf16", "amx_tile", "avx2"], 0, "bfloat16"),
        (["amx_bf16"], 1, "float32"),
        (["avx512_bf16", "avx512f"], 0, "bfloat16"),
        (["amx_tile", "amx_int8", "avx512f"], 0, "float32"),
        (["arm64"], 0, "float32"),
        ([], 2, "float32"),
    ],
)
def test_fast_precision_by_cpu_features_and_gpus(pretend_machine, features, gpus, expected):
    pretend_machine(features, gpus)
    assert fast_precision() == expected
