"""Domain adaptation through its commands: what it writes, what it refuses, and that a resumed run has the same bits."""

import csv
import json

import numpy as np
import pytest
from helpers.cli import call, only_run
from helpers.domains import NUM_TRAIN, NUM_VAL, TINY_DANN, dann_config, write_digits
from PIL import Image

from gan_tf import export
from gan_tf.dann.run_figures import PREDICTED_CLASSES
from gan_tf.dann.stated_target import find_target
from gan_tf.dann.table import UNREADABLE
from gan_tf.dann.workflow import render_by_class
from gan_tf.tasks import DANN
from pipelines.synthetic.digits import draw_digit


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = ["--task", "dann", "--data", data, "--runs", runs, "--steps", 4, *TINY_DANN, "--grid-every", 2]
    assert call("train", *words) == 0
    return only_run(runs, "dann")


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["image_name", "label"]
    return rows


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "svhn"),
        ({"target": "usps"}, "usps"),
        ({"method": "dann"}, "svhn-dann"),
        ({"phase": "source"}, "svhn-source"),
        ({"phase": "target", "target": "usps"}, "usps-target"),
    ],
)
def test_variant_names_target_phase_and_method(options, name):
    assert DANN.variant_of(dann_config(**options)) == name


def test_train_ends_with_the_accuracy_on_the_targets_validation_images(run):
    assert run.name == "000-svhn-mnistm-svhn"
    scores = json.loads((run / "scores.json").read_text())
    assert scores["svhn_accuracy"]["protocol"]["images"] == NUM_VAL
    assert {threshold["bound"] for threshold in scores["thresholds"]} == {40}
    assert (run / "images/step-000000004.png").is_file()


def test_train_says_how_it_goes(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    reports = [line for line in lines if "agreement" in line]
    assert [line["step"] for line in reports] == [2, 4]
    assert all(0 <= line[name] <= 1 for line in reports for name in ("agreement", "largest_class"))
    assert Image.open(run / PREDICTED_CLASSES).size == (700, 600)


def test_train_resumed_run_has_the_same_bits(data, run, tmp_path):
    words = ["--task", "dann", "--data", data, "--runs", tmp_path, *TINY_DANN]
    assert call("train", *words, "--steps", 2) == 0
    assert call("train", "--task", "dann", "--runs", tmp_path, "--resume", "--steps", 4) == 0
    resumed = only_run(tmp_path, "dann")
    assert (resumed / "weights.npz").read_bytes() == (run / "weights.npz").read_bytes()
    assert (resumed / "finetune.npz").read_bytes() == (run / "finetune.npz").read_bytes()


def test_evaluate_accuracy_is_that_of_the_labels_infer_writes(run, data, tmp_path):
    assert call("infer", "--task", "dann", "--weights", run, data / "svhn/data", tmp_path / "all.csv") == 0
    rows = read_table(tmp_path / "all.csv")
    assert [name for name, _ in rows] == [f"{index:02d}.png" for index in range(NUM_TRAIN + NUM_VAL)]
    expected = np.mean([int(label) == int(name[:2]) % 10 for name, label in rows[NUM_TRAIN:]])
    for folder in (data, data / "svhn"):
        words = ["--task", "dann", "--weights", run, "--data", folder, "--json", tmp_path / "scores.json"]
        assert call("evaluate", *words) == 0
        scores = json.loads((tmp_path / "scores.json").read_text())
        assert scores["svhn_accuracy"]["value"] == pytest.approx(100 * expected)


def test_infer_rows_depend_on_their_own_image_alone(run, data, tmp_path):
    """Any part of the folder gives the same labels; grayscale files and files with three equal channels too."""
    for index in (15, 3, 7):
        (tmp_path / "svhn/deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"svhn/deep/{index:02d}.png").write_bytes((data / f"svhn/data/{index:02d}.png").read_bytes())
    for folder, out in ((data / "svhn/data", "all.csv"), (tmp_path / "svhn", "some.csv")):
        assert call("infer", "--task", "dann", "--weights", run, folder, tmp_path / out) == 0
    labels = dict(read_table(tmp_path / "all.csv"))
    some = read_table(tmp_path / "some.csv")
    assert some == [[f"deep/{index:02d}.png", labels[f"{index:02d}.png"]] for index in (3, 7, 15)]


def test_infer_gives_unreadable_images_a_row_that_is_never_right(run, data, tmp_path, capsys):
    folder = tmp_path / "svhn"
    folder.mkdir()
    for name in ("a.png", "c,d.png", "e.jpg"):
        (folder / name).write_bytes((data / "svhn/data/03.png").read_bytes())
    (folder / "b.png").write_bytes(b"no image")
    (folder / "empty.png").touch()
    (folder / "labels.txt").write_text("no image by its name")
    Image.fromarray(draw_digit(1, 3, 60)).save(folder / "large.png")
    assert call("infer", "--task", "dann", "--weights", run, folder, tmp_path / "new/out.csv") == 0
    rows = read_table(tmp_path / "new/out.csv")
    assert [name for name, _ in rows] == ["a.png", "b.png", "c,d.png", "e.jpg", "empty.png", "large.png"]
    assert [label == UNREADABLE for _, label in rows] == [False, True, False, False, True, False]
    assert rows[0][1] == rows[2][1] == rows[3][1]
    output = capsys.readouterr()
    assert "1 image resized to 28x28, most of them from 60x60" in output.out
    assert "2 unreadable images have the label -1: b.png (not an image in a supported format); empty.png" in output.err


@pytest.mark.parametrize(
    ("path", "requested", "name"),
    [
        ("x/svhn/test", None, "svhn"),
        ("usps/svhn", None, "svhn"),
        ("svhn/usps/test", None, "usps"),
        ("svhn-usps/my_svhn", None, "usps"),
        ("x/svhn", "usps", "usps"),
    ],
)
def test_find_target_by_request_then_by_path_then_by_images(tmp_path, path, requested, name):
    folder = tmp_path / path
    folder.mkdir(parents=True)
    for index in range(3):  # three equal channels, as grayscale files have
        gray = np.repeat(draw_digit(0, index).mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
        Image.fromarray(gray).save(folder / f"{index}.png")
    assert find_target(folder, requested).name == name


def test_find_target_one_image_in_color_makes_svhn(tmp_path):
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    assert find_target(tmp_path, None).name == "usps"
    pixels = np.zeros((28, 28, 3), np.uint8)
    pixels[0, 0] = (1, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "2.png")
    assert find_target(tmp_path, None).reason == "since 2.png is in color"


BAD_INPUT = [
    ("infer", ["--weights", "{run}", "{data}/svhn/data", "{tmp}/out.txt"], ".csv"),
    ("infer", ["--weights", "{run}", "{data}/none", "{tmp}/out.csv"], "not a folder"),
    ("infer", ["--weights", "{run}", "{tmp}", "{tmp}/out.csv"], "No images were found"),
    ("infer", ["--weights", "{run}", "{data}/usps/data", "{tmp}/out.csv"], "trained for svhn, but the images are of usps"),
    ("infer", ["--weights", "{run}", "--target", "usps", "{data}/svhn/data", "{tmp}/out.csv"], "of usps, by --target"),
    ("infer", ["--target", "mnist", "{data}/svhn/data", "{tmp}/out.csv"], "choose one of"),
    ("evaluate", ["--weights", "{run}", "--data", "{tmp}"], "No images of SVHN, the target domain"),
    ("evaluate", ["--weights", "{run}", "--data", "{data}", "--detector", "face"], "does not apply"),
    ("evaluate", ["--weights", "{run}", "--data", "{data}/usps"], "were trained for svhn, not for"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{tmp}"], "No images of MNIST-M, the source domain"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{data}", "--phase", "source", "--method", "dann"], "nothing is adapted"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{data}", "--source-data", "{tmp}"], "exclude each other"),
    ("train", ["--runs", "{tmp}/runs", "--source-data", "{tmp}", "--target-data", "{tmp}"], "0 class folders"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{data}", "--eval-every", "2"], "a classifier makes none"),
    ("train", ["--runs", "{tmp}/runs", "--classes", "cat"], "two or more different classes"),
    ("train", ["--runs", "{tmp}/runs", "--classes", "/".join(map(str, range(257)))], "names 257 classes"),
    ("train", ["--runs", "{tmp}/runs", "--classes", "cat/dog"], "have the classes 0 to 9"),
    ("train", ["--runs", "{tmp}/runs", "--classes", "1/0/2/3/4/5/6/7/8/9", "--data", "{data}"], "have the classes 0 to 9"),
]


@pytest.mark.parametrize(("command", "words", "message"), BAD_INPUT, ids=str)
def test_command_bad_input_is_one_line(run, data, tmp_path, capsys, command, words, message):
    words = [word.format(run=run, data=data, tmp=tmp_path) for word in words]
    assert call(command, "--task", "dann", *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert message in line
    assert not (tmp_path / "out.csv").exists()


def test_train_target_with_val_but_no_train_table_is_refused(tmp_path, capsys):
    """Nothing would tell which of the images are for validation."""
    data = write_digits(tmp_path / "data")
    (data / "svhn/train.csv").unlink()
    assert call("train", "--task", "dann", "--data", data, "--runs", tmp_path / "runs", *TINY_DANN) == 2
    assert "has val.csv but no train.csv" in capsys.readouterr().err


def test_train_several_devices_are_refused(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gan_tf.training.run.find_gpus", lambda: ["GPU:0", "GPU:1"])
    assert call("train", "--task", "dann", "--data", data, "--runs", tmp_path, *TINY_DANN) == 2
    assert "--task dann is trained on one device, but TensorFlow sees 2 GPUs" in capsys.readouterr().err


def test_class_folders_of_any_number_of_classes(tmp_path, capsys):
    """Two folders with three classes: trained, scored, and their names written by infer.py."""
    names = ("cat", "dog", "owl")
    for domain, seed in (("drawings", 0), ("photos", 3)):
        for part in ("train", "val"):
            for index in range(9):
                folder = tmp_path / domain / part / names[index % 3]
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draw_digit(seed, index % 3 + 10 * index, 32)).save(folder / f"{index}.png")
    folders = ["--source-data", tmp_path / "drawings", "--target-data", tmp_path / "photos"]
    assert call("train", "--task", "dann", *folders, "--runs", tmp_path / "runs", "--steps", 2, *TINY_DANN) == 0
    run = only_run(tmp_path / "runs", "dann")
    assert run.name == "000-folder-drawings-photos"
    assert json.loads((run / "scores.json").read_text())["folder_accuracy"]["protocol"]["images"] == 9
    assert str(tmp_path) not in (run / "card.json").read_text()
    assert export.read_weights(run).config["classes"] == "cat/dog/owl"
    assert call("infer", "--task", "dann", "--weights", run, tmp_path / "photos/val", tmp_path / "out.csv") == 0
    rows = read_table(tmp_path / "out.csv")
    assert len(rows) == 9
    assert {label for _, label in rows} <= set(names)
    assert call("train", "--task", "dann", "--runs", tmp_path / "runs", "--resume", "--steps", 3) == 0
    assert "restored step 2" in capsys.readouterr().out


def test_render_by_class_puts_images_into_the_rows_of_their_labels():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8) + 1
    picture = render_by_class(images, np.array([1, 0, 1, 2, 1]), 3)
    assert picture.shape == (6, 32, 3)
    np.testing.assert_array_equal(picture[::2, :8:2, 0], [[2, 0, 0, 0], [1, 3, 5, 0], [4, 0, 0, 0]])
