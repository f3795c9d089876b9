"""What every row of the task table must do: one real step, finite numbers, a checkpoint, resume, inference."""

import dataclasses
import json

import numpy as np
import pytest
from helpers.cli import run_folder, tiny
from PIL import Image

from gan_tf.cli import main as cli
from gan_tf.options import flag
from gan_tf.tasks import TASKS


def write_pictures(task, folder):
    """Six pictures of the task's size: a folder of them, or with the tables of labels that a layout of its own has."""
    place = folder / ("data" if task.source else "faces")
    place.mkdir()
    height, width, channels = task.shape
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (height, width, channels), np.uint8)
        Image.fromarray(pixels.squeeze()).save(place / f"{i}.png")
    for part in ("train", "val") if task.source else ():
        (folder / f"{part}.csv").write_text("image_name,label\n" + "".join(f"{i}.png,{i}\n" for i in range(6)))


def tiny_for(task) -> list:
    """Of the words for tiny networks those that the task's settings have."""
    names = {flag(field.name) for field in dataclasses.fields(cli.workflow_of(task).SETTINGS)}
    return [word for name, value in zip(tiny[::2], tiny[1::2], strict=True) if name in names for word in (name, value)]


@pytest.fixture(scope="module", params=sorted(TASKS))
def trained(request, tmp_path_factory):
    """A run of two steps on a handful of pictures of the task's size."""
    task, folder = TASKS[request.param], tmp_path_factory.mktemp(request.param)
    write_pictures(task, folder)
    words = ["--task", task.name, "--runs", folder / "runs", *tiny_for(task)]
    assert cli.train([str(w) for w in [*words, "--data", folder, "--steps", 2, "--log-every", 1]]) == 0
    return task, folder


def test_numbers_are_finite(trained):
    task, folder = trained
    lines = [json.loads(line) for line in (run_folder(folder / "runs", task.name) / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert len(lines[0]) > 2


def test_the_run_describes_itself(trained):
    task, folder = trained
    run = run_folder(folder / "runs", task.name)
    config, card = (json.loads((run / name).read_text()) for name in ("config.json", "card.json"))
    assert config["settings"].keys() == config["sources"].keys()
    assert config["sources"]["batch"] == "said"
    assert config["data"]["count"] == 6
    assert card["images_seen"] == card["step"] * config["settings"]["batch"] == 8
    assert str(folder) not in (run / "card.json").read_text()  # a card is shipped: no path of this machine
    assert (run / "images/step-000000002.png").is_file()


def test_resume_goes_on(trained, capsys):
    task, folder = trained
    words = ["--task", task.name, "--runs", folder / "runs", "--resume", "--steps", 3, "--log-every", 1]
    assert cli.train([str(w) for w in words]) == 0
    assert "restored step 2" in capsys.readouterr().out
    lines = (run_folder(folder / "runs", task.name) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


def test_inference_from_the_run(trained, tmp_path, capsys):
    task, folder = trained
    run = run_folder(folder / "runs", task.name)
    if task.source:  # pictures to labels
        assert cli.infer(["--task", task.name, "--run", str(run), str(folder / "data"), str(tmp_path / "out.csv")]) == 0
        header, *rows = (tmp_path / "out.csv").read_text().splitlines()
        assert header == "image_name,label"
        assert [row.split(",")[0] for row in rows] == [f"{i}.png" for i in range(6)]
        return
    assert cli.infer(["--task", task.name, "--run", str(run), "--count", "3", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith(f"weights: {run}")
    files = sorted((tmp_path / "out").iterdir())
    assert [f.name for f in files] == ["0000.png", "0001.png", "0002.png"]
    pictures = [np.asarray(Image.open(f)) for f in files]
    assert {p.shape for p in pictures} == {tuple(n for n in task.shape if n > 1)}
    assert not np.array_equal(pictures[0], pictures[1])
