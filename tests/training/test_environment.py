"""What a run's bits depend on: described in JSON, and told when it changes."""

import hashlib
import json

import pytest
import tensorflow as tf
from helpers.cli import run_folder, tiny

from gan_tf.cli import main as cli
from gan_tf.cli import train
from gan_tf.cli.train import again, fit_machine
from gan_tf.gan import workflow as gan
from gan_tf.options import GanSettings, ReaderSettings, resolve, resolve_gan
from gan_tf.training import environment
from gan_tf.training.environment import cpu_features, describe, differences, fast_precision


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


# --- precision -------------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """Pretends to be a machine with these processor features and so many GPUs."""

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
def test_which_machines_are_fast_in_bfloat16(machine, features, gpus, expected):
    machine(features, gpus)
    assert fast_precision() == expected


FAST, SLOW = ["amx_bf16"], ["avx2"]


@pytest.mark.parametrize(("features", "expected"), [(FAST, "bfloat16"), (SLOW, "float32")])
def test_the_machine_decides_where_nobody_has(machine, features, expected):
    machine(features)
    resolved = resolve_gan({}, {}, {"loss": "hinge"})
    fitted = fit_machine(resolved)
    assert (fitted.settings.precision, fitted.sources["precision"]) == (expected, "machine")
    assert {**fitted.sources, "precision": "default"} == resolved.sources
    assert resolved.settings.precision == "float32"
    assert resolved.sources["precision"] == "default"


@pytest.mark.parametrize("features", [FAST, SLOW])
@pytest.mark.parametrize("source", ["task", "config", "said"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_was_said_stays(machine, features, source, precision):
    machine(features)
    resolved = resolve(GanSettings, [(source, {"precision": precision})])
    assert fit_machine(resolved) == resolved


def test_methods_without_a_precision_are_left_alone(machine):
    machine(FAST)
    resolved = resolve(ReaderSettings, [])
    assert fit_machine(resolved) == resolved


def test_a_run_of_before_there_was_a_choice_goes_on_in_float32(machine):
    machine(FAST)
    config = {"settings": {"loss": "gan"}, "sources": {"loss": "said"}}
    assert again(gan, config, {}).settings.precision == "float32"


def test_a_run_keeps_the_precision_it_began_with(machine, pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "score", lambda task, folder: None)  # which takes longer than all the rest
    words = ["--task", "anime", "--data", str(pictures), "--runs", str(tmp_path), *map(str, tiny)]

    def config():
        written = json.loads((run_folder(tmp_path) / "config.json").read_text())
        return written["settings"]["precision"], written["sources"]["precision"], written["steps"]

    machine(FAST)
    assert cli.train([*words, "--steps", "1"]) == 0
    assert config() == ("bfloat16", "machine", 1)
    machine(SLOW)
    assert cli.train([*words, "--steps", "2", "--resume"]) == 0
    assert config() == ("bfloat16", "machine", 2)
    capsys.readouterr()
    assert cli.train([*words, "--steps", "2", "--resume", "--precision", "float32"]) == 2
    assert "--precision float32; expected bfloat16" in capsys.readouterr().err
