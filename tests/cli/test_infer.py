"""``infer.py`` and ``evaluate.py`` on the weights of a run: which images, which files, and what is refused."""

import json
import os
import shutil

import numpy as np
import pytest
from helpers.cli import call
from PIL import Image

from gan_tf import cards

ANIME = ["--task", "anime"]


def test_infer_weights_of_another_task_or_size_are_refused(run, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    (other / cards.CARD).unlink()  # which has the digest of the weights
    with np.load(other / cards.WEIGHTS) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))
    np.savez(other / cards.WEIGHTS, **{**arrays, "about": np.array(json.dumps({**about, "task": "dog"}))})
    assert call("infer", *ANIME, "--weights", other, "--count", 1, tmp_path / "out") == 2
    assert "weights of task 'dog'" in capsys.readouterr().err
    halves = {name: value[..., :1] if name != "about" else value for name, value in arrays.items()}
    np.savez(other / cards.WEIGHTS, **halves)
    assert call("infer", *ANIME, "--weights", other, "--count", 1, tmp_path / "out") == 2
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_infer_output_that_cannot_be_written_is_refused(run, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert call("infer", *ANIME, "--weights", run, "--count", 1, tmp_path / "out") == 2
    assert "cannot be written" in capsys.readouterr().err


def infer(run, *words) -> None:
    assert call("infer", *ANIME, "--weights", run, *words) == 0


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_infer_newest_is_the_newest_run(run, tmp_path, capsys):
    infer("newest", "--runs", run.parents[1], "--count", 2, tmp_path / "newest")
    assert f"weights: {run}" in capsys.readouterr().out
    infer(run, "--count", 2, tmp_path / "named")
    assert (tmp_path / "newest/0001.png").read_bytes() == (tmp_path / "named/0001.png").read_bytes()


def test_evaluate_takes_no_config_of_another_program_for_that_of_a_run(run, tmp_path, capsys):
    """Exported weights in a project with a config.json of its own have no data of a run; those in RUN/best have."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "weights").mkdir()
    for name in ("weights.npz", "card.json"):
        shutil.copy(run / name, tmp_path / "weights")
    assert call("evaluate", *ANIME, "--weights", tmp_path / "weights") == 2
    assert "is not a run folder" not in capsys.readouterr().err


def test_infer_image_i_does_not_depend_on_the_count(run, tmp_path):
    infer(run, "--count", 3, tmp_path / "few")
    infer(run, "--count", 70, tmp_path / "many")
    infer(run, "--grid", "2x2", tmp_path / "grid.png")
    for i in range(3):
        assert (tmp_path / f"few/{i:04d}.png").read_bytes() == (tmp_path / f"many/{i:04d}.png").read_bytes()
    tiles = pixels(tmp_path / "grid.png")
    assert np.array_equal(tiles[:64, 64:], pixels(tmp_path / "few/0001.png"))
    assert np.array_equal(tiles[64:, :64], pixels(tmp_path / "few/0002.png"))


def test_infer_more_images_than_the_disk_holds_removes_nothing(run, tmp_path, monkeypatch, capsys):
    infer(run, "--count", 2, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 6_000_000}))
    assert call("infer", *ANIME, "--weights", run, "--count", 1000, "--overwrite", tmp_path) == 2
    assert "has 6 MB of free space, but 1,000 images need 6 MB" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 2


def test_infer_seeds_writes_image_0_of_each_seed(run, tmp_path):
    infer(run, "--seeds", "3-8", tmp_path / "seeds")
    assert sorted(path.name for path in (tmp_path / "seeds").iterdir()) == [f"seed{seed:04d}.png" for seed in range(3, 9)]
    infer(run, "--seeds", "3-8", "--grid", "2x3", tmp_path / "grid.png")
    tiles = pixels(tmp_path / "grid.png")
    for number, seed in enumerate(range(3, 9)):
        infer(run, "--seed", seed, "--count", 1, tmp_path / f"seed-{seed}")
        image = pixels(tmp_path / f"seed-{seed}/0000.png")
        assert np.array_equal(pixels(tmp_path / f"seeds/seed{seed:04d}.png"), image)
        row, column = divmod(number, 3)
        assert np.array_equal(tiles[64 * row : 64 * row + 64, 64 * column : 64 * column + 64], image)


def test_infer_into_a_folder_with_images_mixes_nothing(run, tmp_path, capsys):
    infer(run, "--count", 3, tmp_path / "out")
    words = ["infer", *ANIME, "--weights", run, "--count", 2, tmp_path / "out"]
    assert call(*words) == 2
    assert "is not empty" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert call(*words, "--overwrite") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0000.png", "0001.png"]


def test_infer_one_image_replaces_no_file_of_others(run, tmp_path, capsys):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(photo)
    before = photo.read_bytes()
    for words in (["--grid", "2x2"], ["--interpolate", 3]):
        assert call("infer", *ANIME, "--weights", run, *words, photo) == 2
        assert "gan_tf has not written it" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_infer_interpolations_begin_and_end_at_images_of_the_seed(run, tmp_path):
    infer(run, "--count", 4, tmp_path / "images")
    for path in ("slerp", "lerp"):
        infer(run, "--interpolate", 5, "--pairs", 2, "--path", path, tmp_path / "paths.png")
        rows = pixels(tmp_path / "paths.png")
        assert rows.shape == (128, 320, 3)
        for n, (row, column) in enumerate([(0, 0), (0, 4), (1, 0), (1, 4)]):
            tile = rows[64 * row : 64 * row + 64, 64 * column : 64 * column + 64].astype(int)
            assert np.abs(tile - pixels(tmp_path / f"images/{n:04d}.png")).max() <= 1
    infer(run, "--interpolate", 5, "--extrapolate", 0.5, "--pairs", 1, tmp_path / "beyond.png")
    inner = pixels(tmp_path / "beyond.png")[:, 64:128].astype(int)  # weights -0.5, 0, 0.5, 1, 1.5
    assert np.abs(inner - pixels(tmp_path / "images/0000.png")).max() <= 1
