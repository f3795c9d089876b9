"""What a run decides by itself: the precision that the machine is fast in."""

import dataclasses
import json

import pytest
from helpers.cli import TINY, call, only_run

from gan_tf.classifier.config import ClassifierConfig
from gan_tf.gan.config import resolve_gan
from gan_tf.options import resolve
from gan_tf.training import conclusion, environment
from gan_tf.training.run import _choose_precision

PRECISIONS = ["float32", "bfloat16"]


@pytest.fixture
def set_fast_precision(monkeypatch):
    """Returns a function that pretends that the machine is fast in a precision."""
    return lambda precision: monkeypatch.setattr(environment, "fast_precision", lambda: precision)


@pytest.mark.parametrize("fast", PRECISIONS)
def test_choose_precision_default_is_the_fast_one(set_fast_precision, fast):
    set_fast_precision(fast)
    resolved = resolve_gan({}, {}, {"loss": "hinge"})
    chosen = _choose_precision(resolved)
    assert (chosen.config.precision, chosen.sources["precision"]) == (fast, "machine")
    assert dataclasses.replace(chosen.config, precision="float32") == resolved.config
    assert {**chosen.sources, "precision": "default"} == resolved.sources
    assert resolved.config.precision == "float32"


@pytest.mark.parametrize("fast", PRECISIONS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("layer", ["task", "config", "cli"])
def test_choose_precision_given_one_is_kept(set_fast_precision, fast, precision, layer):
    set_fast_precision(fast)
    layers = {"task": {}, "config": {}, "cli": {}, layer: {"precision": precision}}
    resolved = resolve_gan(layers["task"], layers["config"], layers["cli"])
    assert _choose_precision(resolved) == resolved


def test_choose_precision_family_without_one_is_unchanged(set_fast_precision):
    set_fast_precision("bfloat16")
    resolved = resolve(ClassifierConfig, {}, (), {}, {})
    assert _choose_precision(resolved) == resolved


def test_train_resumed_run_keeps_its_precision(set_fast_precision, image_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(conclusion, "_score", lambda *args: None)  # which takes longer than all the rest
    words = ["--task", "anime", "--data", image_dir, "--runs", tmp_path, *TINY, "--network", "baseline"]

    def recorded():
        written = json.loads((only_run(tmp_path) / "config.json").read_text())
        return written["config"]["precision"], written["sources"]["precision"], written["steps"]

    set_fast_precision("bfloat16")
    assert call("train", *words, "--steps", "1") == 0
    assert recorded() == ("bfloat16", "machine", 1)
    set_fast_precision("float32")
    assert call("train", *words, "--steps", "2", "--resume") == 0
    assert recorded() == ("bfloat16", "machine", 2)
    capsys.readouterr()
    assert call("train", *words, "--steps", "2", "--resume", "--precision", "float32") == 2
    assert "--precision float32 differs from bfloat16" in capsys.readouterr().err
