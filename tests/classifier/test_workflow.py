"""The digit classifier through its commands: what it writes, what it refuses, and that it learns."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers.cli import call, only_run
from PIL import Image

from gan_tf.classifier.config import ClassifierConfig
from gan_tf.classifier.digit_classifier import DigitClassifier, load_digit_classifier
from gan_tf.classifier.workflow import ClassifierWorkflow
from gan_tf.evaluation.digits import accuracy
from gan_tf.tasks import DIGITS
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.initialization import initialize_model
from pipelines.location import open_data
from pipelines.synthetic.digits import SyntheticDigits, draw_digit

TINY = ["--hidden-dim", 2, "--batch", 4, "--log-every", 1, "--grid-every", 2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twenty synthetic digits in MNIST-M's layout."""
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
    assert call("train", "--task", "digits", "--data", data, "--runs", runs, "--steps", 2, *TINY) == 0
    return only_run(runs, "digits")


def test_train_ends_with_the_scores(run):
    assert run.name == "000-classifier-mnistm"
    scores = json.loads((run / "scores.json").read_text())
    assert scores["mnistm_accuracy"]["protocol"]["images"] == 6
    assert scores["thresholds"][0] == {
        "score": "mnistm_accuracy",
        "relation": ">=",
        "bound": 97,
        "source": "this project",
        "passed": False,
    }


def test_train_logs_the_accuracy_of_the_exported_network_and_draws_what_it_confuses(run, data):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (logged,) = [line["ema_accuracy"] for line in lines if "ema_accuracy" in line]
    sources = open_data(DIGITS.data, data, "train", 0)
    stream = ClassifierWorkflow.of_weights(DIGITS, run).build_stream(None, sources)
    network = load_digit_classifier(run).network
    batches = [stream.batch_at(step)["real"] for step in range(16)]
    right = [np.argmax(network(batch["image"][:, 0])[1], axis=1) == batch["label"][:, 0] for batch in batches]
    assert logged == pytest.approx(np.mean(right))
    assert Image.open(run / "figures/confusion.png").size == (700, 600)


def test_evaluate_accuracy_is_that_of_the_labels_infer_writes(run, data, tmp_path, capsys):
    assert call("infer", "--task", "digits", "--weights", run, data / "data", tmp_path / "all.csv") == 0
    rows = [line.split(",") for line in (tmp_path / "all.csv").read_text().splitlines()[1:]]
    assert [name for name, _ in rows] == [f"{i:02d}.png" for i in range(20)]
    expected = np.mean([int(label) == int(name[:2]) % 10 for name, label in rows[14:]])
    capsys.readouterr()
    words = ["--task", "digits", "--weights", run, "--data", data, "--json", tmp_path / "scores.json"]
    assert call("evaluate", *words) == 0
    assert "mnistm_accuracy" in capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["mnistm_accuracy"]["value"] == pytest.approx(100 * expected)


def test_unreadable_image_is_left_out_and_named_in_training_scores_and_infer(data, tmp_path, capsys):
    folder = tmp_path / "mnistm"
    shutil.copytree(data, folder)
    for name in ("03.png", "15.png"):  # one of each part
        (folder / "data" / name).write_bytes(b"damaged")
    words = ["train", "--task", "digits", "--data", folder, "--runs", tmp_path / "runs", "--steps", 1, *TINY]
    assert call(*words) == 0
    run, output = only_run(tmp_path / "runs", "digits"), capsys.readouterr().out
    assert "mnistm: 13 labeled images of 28x28x3" in output
    assert "1 unreadable file left out: 03.png (not an image" in output
    assert "1 unreadable file left out: 15.png (not an image" in output
    assert json.loads((run / "scores.json").read_text())["mnistm_accuracy"]["protocol"]["images"] == 5
    assert call("infer", "--task", "digits", "--weights", run, folder / "data", tmp_path / "all.csv") == 0
    assert "2 unreadable files left out: 03.png (not an image" in capsys.readouterr().out
    names = [line.split(",")[0] for line in (tmp_path / "all.csv").read_text().splitlines()[1:]]
    assert names == [f"{i:02d}.png" for i in range(20) if i not in (3, 15)]


BAD_INPUT = [
    ("infer", ["--weights", "{run}", "{data}/data", "{tmp}/out.txt"], ".csv"),
    ("infer", ["--weights", "{run}", "{data}/none", "{tmp}/out.csv"], "not a folder"),
    ("infer", ["--weights", "{run}", "{tmp}", "{tmp}/out.csv"], "no images"),
    ("evaluate", ["--weights", "{run}", "--data", "{tmp}"], "no labeled digits"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{tmp}"], "no labeled digits"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{data}", "--smoothing", "1"], "0.9"),
    ("train", ["--runs", "{tmp}/runs", "--loss", "gan"], "no argument --loss"),
]


@pytest.mark.parametrize(("command", "words", "message"), BAD_INPUT, ids=str)
def test_command_bad_input_prints_one_line_and_exits_with_2(command, words, message, run, data, tmp_path, capsys):
    words = [word.format(run=run, data=data, tmp=tmp_path) for word in words]
    assert call(command, "--task", "digits", *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message.lower() in line.lower()


def test_evaluate_classifier_needs_no_task(data, capsys):
    assert call("evaluate", "--classifier", "digits", "--images", data / "data") == 2
    assert "<digit>_<number>.png" in capsys.readouterr().err


def test_initialize_model_copies_the_weights_of_a_run(run):
    theirs, same, wider = (ClassifierWorkflow(DIGITS, ClassifierConfig(hidden_dim=n, seed=9)).build_model() for n in (2, 2, 3))
    initialization = initialize_model(same, DIGITS, run)
    assert "initialized 37 of 37 weights" in initialization.lines[0]
    card = json.loads((run / "card.json").read_text())
    assert initialization.stages == [{name: card[name] for name in ("command", "seconds", "step", "images_seen", "data")}]
    Checkpoints(run / "checkpoints", theirs).restore(2)
    for weight, expected in zip(same.network.weights, theirs.network.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    first, *others = initialize_model(wider, DIGITS, run).lines
    assert "of 37 weights" in first
    assert others[0].startswith("  not copied, of another shape: network")


def test_stream_is_a_pure_function_of_the_step():
    workflow, source = ClassifierWorkflow(DIGITS, ClassifierConfig(batch=6, seed=3)), SyntheticDigits(count=12)
    stream = workflow.build_stream(workflow.build_model(), {"real": source})
    for step, batch in enumerate(stream.dataset(0, 3)):
        again = stream.batch_at(step)["real"]
        np.testing.assert_allclose(batch["real"]["image"], again["image"], atol=1e-4)
        np.testing.assert_array_equal(batch["real"]["label"], again["label"])
    plain = ClassifierWorkflow(DIGITS, ClassifierConfig(batch=12, augment=False))
    images = plain.build_stream(None, {"real": source}).batch_at(0)["real"]["image"][:, 0].numpy()
    expected = np.stack([source.take([i])["image"][0] for i in range(12)]) / 127.5 - 1
    np.testing.assert_allclose(sorted(images.sum((1, 2, 3))), sorted(expected.sum((1, 2, 3))), rtol=1e-5)


def test_classifier_learns_synthetic_digits():
    """A hundred steps on synthetic digits classify those of another seed far better than chance."""
    source, others = SyntheticDigits(count=400), SyntheticDigits(count=100, seed=1)
    workflow = ClassifierWorkflow(DIGITS, ClassifierConfig(hidden_dim=8, batch=32, augment=False, ema_half_life=500.0))
    model = workflow.build_model()
    stream, update = workflow.build_stream(model, {"real": source}), tf.function(model.train_step)
    for batch in stream.dataset(0, 100):
        update(batch)
    network = model.exported(stream)["network"]
    held_out = others.take(list(range(100)))
    assert accuracy(DigitClassifier(network, ""), held_out["image"].numpy(), held_out["label"].numpy()) > 0.4
