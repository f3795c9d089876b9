"""Weights are found by the name of their variant, by their folder, or as those of the newest run."""

from pathlib import Path

import pytest
from helpers.exports import write_small_export

from gan_tf import shipped
from gan_tf.run_dir import RunDir
from pipelines.errors import UserError


@pytest.fixture
def shipped_dir(tmp_path, monkeypatch) -> Path:
    """Returns a folder of shipped weights with two variants of a task."""
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "shipped")
    for variant in ("gan", "wgan"):
        write_small_export(tmp_path / "shipped/anime" / variant)
    return tmp_path / "shipped"


def find(requested, runs, task="anime", default="gan") -> Path:
    return shipped.find_weights(task, requested, default, runs)


def test_find_weights_shipped_variants(shipped_dir, tmp_path):
    assert shipped.shipped_variants("anime") == ["gan", "wgan"]
    assert shipped.shipped_variants("face") == []
    assert find(None, tmp_path) == find("gan", tmp_path) == shipped_dir / "anime/gan"
    assert find("wgan", tmp_path) == shipped_dir / "anime/wgan"
    assert shipped.describe_weights(shipped_dir / "anime/wgan") == "anime/wgan, shipped with gan_tf"


def test_find_weights_unknown_name_lists_variants_and_suggests_one(shipped_dir, tmp_path):
    with pytest.raises(UserError, match=r"--weights wgam .*choose one of: gan, wgan \(did you mean 'wgan'\?\)"):
        find("wgam", tmp_path)
    with pytest.raises(UserError, match="none are shipped"):
        find("wgan", tmp_path, task="face")
    with pytest.raises(UserError, match="No weights are shipped for task face"):
        find(None, tmp_path, task="face")


def test_find_weights_directory(shipped_dir, tmp_path):
    write_small_export(tmp_path / "mine")
    assert find(str(tmp_path / "mine"), tmp_path) == tmp_path / "mine"
    assert shipped.describe_weights(tmp_path / "mine") == str(tmp_path / "mine")
    with pytest.raises(UserError, match=r"holds no weights\.npz"):
        find(str(shipped_dir), tmp_path)


def test_find_weights_newest_run(shipped_dir, tmp_path):
    runs = tmp_path / "runs"
    with pytest.raises(UserError, match="no run of task anime"):
        find("newest", runs)
    for number in (1, 2):
        RunDir(runs / f"anime/00{number}-gan-faces").write_config({"settings": {}} if number == 2 else {})
    write_small_export(runs / "anime/001-gan-faces")
    with pytest.raises(UserError, match="written by an older version"):
        find("newest", runs)
    write_small_export(runs / "anime/002-gan-faces")
    assert find("newest", runs) == runs / "anime/002-gan-faces"
