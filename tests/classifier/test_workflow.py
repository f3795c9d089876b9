"""The digit reader through its doors: what it writes, what it refuses, and that it learns."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.cli import run_folder
from PIL import Image

from gan_tf.classifier import workflow as reader
from gan_tf.cli import main as cli
from gan_tf.evaluation.digits import Reader, accuracy
from gan_tf.options import ReaderSettings
from gan_tf.tasks import find
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.transfer import begin_with
from pipelines.labelled import Labelled
from pipelines.synthetic.digits import DrawnDigits, draw_digit

TINY = ["--hidden", "2", "--batch", "4", "--log-every", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twenty drawn digits as MNIST-M lies on the disk."""
    folder = tmp_path_factory.mktemp("digits") / "mnistm"
    (folder / "data").mkdir(parents=True)
    for i in range(20):
        Image.fromarray(draw_digit(0, i)).save(folder / f"data/{i:02d}.png")
    for part, rows in (("train", range(14)), ("val", range(14, 20))):
        lines = [f"{i:02d}.png,{i % 10}" for i in rows]
        (folder / f"{part}.csv").write_text("\n".join(["image_name,label", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = ["--task", "reader", "--data", str(data), "--runs", str(runs), "--steps", "2", *TINY]
    assert cli.train(words) == 0
    return run_folder(runs, "reader")


def test_a_training_ends_with_its_scores(run):
    assert run.name == "000-reader-mnistm"
    scores = json.loads((run / "scores.json").read_text())
    assert scores["mnistm_accuracy"]["protocol"]["images"] == 6
    assert scores["lines"][0] == {
        "score": "mnistm_accuracy",
        "relation": ">=",
        "bound": 97,
        "source": "this project",
        "met": False,
    }


def test_the_accuracy_is_that_of_the_labels_written(run, data, tmp_path, capsys):
    assert cli.infer(["--task", "reader", "--run", str(run), str(data / "data"), str(tmp_path / "all.csv")]) == 0
    rows = [line.split(",") for line in (tmp_path / "all.csv").read_text().splitlines()[1:]]
    assert [name for name, _ in rows] == [f"{i:02d}.png" for i in range(20)]
    right = np.mean([int(label) == int(name[:2]) % 10 for name, label in rows[14:]])
    capsys.readouterr()
    assert cli.evaluate(["--task", "reader", "--run", str(run), "--data", str(data), "--json", str(tmp_path / "s.json")]) == 0
    assert "mnistm_accuracy" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["mnistm_accuracy"]["value"] == pytest.approx(100 * right)


REFUSED = [
    (cli.infer, ["{run}", "{data}/data", "{tmp}/out.txt"], ".csv"),
    (cli.infer, ["{run}", "{data}/none", "{tmp}/out.csv"], "not a folder"),
    (cli.infer, ["{run}", "{tmp}", "{tmp}/out.csv"], "no pictures"),
    (cli.evaluate, ["{run}", "--data", "{tmp}"], "no labelled digits"),
    (cli.train, ["{none}", "--data", "{tmp}"], "no labelled digits"),
    (cli.train, ["{none}", "--data", "{data}", "--smoothing", "1"], "0.9"),
    (cli.train, ["{none}", "--loss", "gan"], "unknown argument --loss"),
]


@pytest.mark.parametrize(("door", "words", "says"), REFUSED)
def test_what_can_be_mended_is_one_line(door, words, says, run, data, tmp_path, capsys):
    first = {"{run}": ["--run", str(run)], "{none}": ["--runs", str(tmp_path / "runs")]}[words[0]]
    words = [word.format(data=data, tmp=tmp_path) for word in words[1:]]
    assert door(["--task", "reader", *first, *words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert says in line


def test_the_judge_needs_no_task(data, tmp_path, capsys):
    assert cli.evaluate(["--judge", "digits", "--images", str(data / "data")]) == 2
    assert "names ask for no digit" in capsys.readouterr().err


def test_weights_of_another_run_are_taken_over(run):
    theirs, same, wider = (reader.build(find("reader"), ReaderSettings(hidden=hidden, seed=9)) for hidden in (2, 2, 3))
    stages, lines = begin_with(reader, same, run)
    assert "began with 37 of 37 weights" in lines[0]
    card = json.loads((run / "card.json").read_text())
    assert stages == [{name: card[name] for name in ("command", "seconds", "step", "images_seen", "data")}]
    Checkpoints(run / "checkpoints", theirs).restore(2)
    for mine, other in zip(same.network.weights, theirs.network.weights, strict=True):
        np.testing.assert_array_equal(mine, other)
    _, (first, *odd) = begin_with(reader, wider, run)
    assert "of 37 weights" in first
    assert odd[0].startswith("  did not fit: network")


def test_preparation_is_a_pure_function_of_the_step():
    settings, source = ReaderSettings(batch=6, seed=3), DrawnDigits(count=12)
    stream = reader.stream_for(reader.build(find("reader"), settings), source)
    for step, batch in enumerate(stream.dataset(0, 3)):
        again = stream.at(step)["real"]
        np.testing.assert_allclose(batch["real"]["image"], again["image"], atol=1e-4)
        np.testing.assert_array_equal(batch["real"]["label"], source.labels[stream.indices(step).numpy()][:, None])
    plain = reader.ready(ReaderSettings(augment=False), source.take([0, 5]), tf.constant(0))
    np.testing.assert_allclose(plain["image"], source.images[[0, 5]] / 127.5 - 1, atol=1e-6)


def test_it_learns_drawn_digits():
    """A hundred steps on the digits the program draws read digits of another seed far better than chance."""
    source, others = DrawnDigits(count=400), DrawnDigits(count=100, seed=1)
    settings = ReaderSettings(hidden=8, batch=32, augment=False, ema_half_life=500.0)
    method = reader.build(find("reader"), settings)
    stream, update = reader.stream_for(method, source), tf.function(method.train_step)
    for batch in stream.dataset(0, 100):
        update(batch)
    network = method.sampler(stream.at(n)["real"]["image"][:, 0] for n in range(8))
    held = Labelled(others.images, others.labels, "held")
    assert accuracy(Reader(network, ""), held.images, held.labels) > 0.4
