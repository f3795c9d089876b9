"""Diffusion through the commands: what is written under which names, what a run shows, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from helpers.cli import call, only_run
from PIL import Image

import gan_tf
from gan_tf.diffusion.callbacks import nearest_images
from gan_tf.diffusion.workflow import image_names
from gan_tf.evaluation.digits import classify
from gan_tf.tasks import DIFFUSION
from pipelines.image_array import ImageArray
from pipelines.synthetic.digits import draw_digit

TINY = ["--hidden-dim", 2, "--blocks", 1, "--batch", 4, "--timesteps", 10, "--log-every", 1]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Thirty synthetic digits in MNIST-M's layout."""
    folder = tmp_path_factory.mktemp("digits") / "mnistm"
    (folder / "data").mkdir(parents=True)
    for i in range(30):
        Image.fromarray(draw_digit(0, i)).save(folder / f"data/{i:02d}.png")
    for part, rows in (("train", range(20)), ("val", range(20, 30))):
        lines = [f"{i:02d}.png,{i % 10}" for i in rows]
        (folder / f"{part}.csv").write_text("\n".join(["image_name,label", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_TF_CACHE", str(runs / "cache"))  # without the FID network, which takes minutes
        words = ["--steps", 2, "--eval-every", 2, "--eval-count", 10]
        assert call("train", "--task", "diffusion", "--data", data, "--runs", runs, *words, *TINY) == 0
    return only_run(runs, "diffusion")


def infer(run, *words) -> int:
    return call("infer", "--task", "diffusion", "--weights", run, *words)


def contents(folder) -> dict[str, bytes]:
    """Returns all files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_train_ends_with_the_scores_of_requested_digits(run):
    assert run.name == "000-unet-mnistm"
    scores = json.loads((run / "scores.json").read_text())
    protocol = scores["class_conditional_accuracy"]["protocol"]
    assert protocol["images"] == 1000
    assert "dpm-solver++ with 10 steps and guidance 2, seed 2020" in protocol["generated"]
    assert scores["classifier_fid"]["protocol"]["reference_images"] == 10
    assert {threshold["bound"] for threshold in scores["thresholds"]} == {80, 88}


def test_train_writes_the_figures_with_their_captions(run):
    captions = json.loads((run / "figures/figures.json").read_text())
    assert set(captions) == {"reverse-process.png", "loss-by-timestep.png", "nearest.png", "confusion.png"}
    for name in captions:
        Image.open(run / "figures" / name).verify()
    assert "trainable" in (run / "network.txt").read_text().lower()


def test_resume_draws_the_figures_again_that_are_of_an_earlier_step(run, tmp_path):
    """As after a kill between the last checkpoint of a longer training and its figures."""
    copy = tmp_path / "runs/diffusion" / run.name
    shutil.copytree(run, copy)
    record = json.loads((copy / "figures/step.json").read_text())
    assert record == {"step": json.loads((copy / "card.json").read_text())["step"]}
    (copy / "figures/step.json").write_text('{"step": 0}')
    (copy / "figures/nearest.png").unlink()
    assert call("train", "--task", "diffusion", "--resume", copy) == 0
    assert json.loads((copy / "figures/step.json").read_text()) == record
    assert (copy / "figures/nearest.png").read_bytes() == (run / "figures/nearest.png").read_bytes()


def test_train_writes_the_reverse_process_as_an_animation(run):
    with Image.open(run / "figures/reverse-process.webp") as animation:
        assert animation.n_frames == 11  # t = 10 to 0
        first = np.asarray(animation.convert("RGB"))
        animation.seek(10)
        last = np.asarray(animation.convert("RGB"))
    assert first.shape == (224, 224, 3)
    assert np.any(first != last)


def test_train_eval_every_logs_the_accuracy(run):
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    images = gan_tf.load("diffusion", run).generate(10, seed=0)
    predicted = classify(DIFFUSION.load_classifier(), images)
    assert last["generated_accuracy"] == pytest.approx(np.mean(predicted == np.arange(10) % 10))
    assert last["classifier_fid_train"] > 0


def test_infer_names_images_by_digit_and_number(run, tmp_path):
    assert infer(run, "--labels", "3,1,4", "--per-digit", 2, "--sample-steps", 3, tmp_path / "out") == 0
    files = contents(tmp_path / "out")
    assert sorted(files) == ["1_001.png", "1_002.png", "3_001.png", "3_002.png", "4_001.png", "4_002.png"]
    assert np.asarray(Image.open(tmp_path / "out/3_001.png")).shape == (28, 28, 3)
    assert len(set(files.values())) == 6


def test_infer_images_do_not_depend_on_what_else_is_requested(run, tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    assert infer(run, "--labels", "4", "--per-digit", 3, "--sample-steps", 3, few) == 0
    assert infer(run, "--count", 50, "--sample-steps", 3, many) == 0
    written = contents(many)
    assert len(written) == 50
    assert all(written[name] == data for name, data in contents(few).items())
    assert infer(run, "--labels", "4", "--per-digit", 3, "--sample-steps", 3, "--seed", 1, "--overwrite", few) == 0
    assert all(written[name] != data for name, data in contents(few).items())


@pytest.mark.parametrize(
    ("counts", "expected"),
    [({3: 2, 1: 1}, ["3_001.png", "3_002.png", "1_001.png"]), ({0: 1000}, ["0_0001.png", "0_1000.png"])],
)
def test_image_names_have_three_digits_or_more(counts, expected):
    names = image_names(counts)
    assert (names if len(names) < 10 else [names[0], names[-1]]) == expected


def test_generate_by_the_library_is_what_infer_writes(run, tmp_path):
    assert infer(run, "--count", 10, tmp_path / "out") == 0
    images = gan_tf.load("diffusion", run).generate(10)
    for digit in range(10):
        np.testing.assert_array_equal(images[digit], np.asarray(Image.open(tmp_path / f"out/{digit}_001.png")))


BAD_INPUT = [
    ("infer", ["--weights", "{run}", "--labels", "3,12", "{tmp}/out"], "labels 0 to 9"),
    ("infer", ["--weights", "{run}", "--labels", "3,x", "{tmp}/out"], "not a list of different labels"),
    ("infer", ["--weights", "{run}", "--labels", "3,3", "{tmp}/out"], "not a list of different labels"),
    ("infer", ["--weights", "{run}", "--labels", "", "{tmp}/out"], "--labels is empty"),
    ("infer", ["--weights", "{run}", "--sample-steps", "11", "{tmp}/out"], "11 sampling steps are more than the 10"),
    ("infer", ["--weights", "{run}", "--count", "3", "--per-digit", "3", "{tmp}/out"], "exclude each other"),
    ("infer", ["--weights", "{run}", "--sampler", "dpm", "{tmp}/out"], "dpm-solver++"),
    ("infer", ["--weights", "{run}", "{data}/data"], "not empty"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{data}/data", "--classes", "10", *map(str, TINY)], "have no labels"),
    (
        "train",
        ["--runs", "{tmp}/runs", "--data", "{data}", "--classes", "5", *map(str, TINY)],
        "too few for images with labels up to",
    ),
    ("train", ["--runs", "{tmp}/runs", "--classes", "9", *map(str, TINY)], "Use --classes 10, or 0"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{data}/data", "--eval-every", "5"], "--eval-every needs"),
    ("train", ["--runs", "{tmp}/runs", "--data", "{tmp}"], "no images"),
    ("evaluate", ["--weights", "{run}", "--classifier", "digits"], "--images only"),
]


@pytest.mark.parametrize(("command", "words", "message"), BAD_INPUT, ids=str)
def test_command_bad_input_prints_one_line_and_exits_with_2(command, words, message, run, data, tmp_path, capsys):
    words = [word.format(run=run, data=data, tmp=tmp_path) for word in words]
    assert call(command, "--task", "diffusion", *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message.lower() in line.lower()


def test_infer_more_images_than_the_disk_holds_is_refused(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5_000_000}))
    assert infer(run, "--per-digit", 500, tmp_path / "out") == 2
    assert "has 5 MB of free space, but 5,000 images need 20 MB" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_train_on_images_without_labels_generates_without_labels(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    words = ["--data", data / "data", "--runs", tmp_path / "runs", "--steps", 1, "--grid-every", 0, *TINY]
    assert call("train", "--task", "diffusion", *words) == 0
    run = only_run(tmp_path / "runs", "diffusion")
    assert run.name == "000-unet-unconditional-data"
    assert json.loads((run / "config.json").read_text())["sources"]["classes"] == "data"
    assert infer(run, "--count", 2, tmp_path / "out") == 0
    assert sorted(contents(tmp_path / "out")) == ["0000.png", "0001.png"]
    assert infer(run, "--labels", "3", tmp_path / "more") == 2
    assert "trained without labels" in capsys.readouterr().err


def test_nearest_images_are_those_of_the_smallest_difference():
    random = np.random.default_rng(0)
    real = random.integers(0, 256, (3000, 4, 4, 3), np.uint8)
    wanted = real[[5, 2500]].copy()
    wanted[1, 0, 0, 0] ^= 64
    found, distances = nearest_images(wanted, ImageArray(real, "random"), seed=0)
    np.testing.assert_array_equal(found, real[[5, 2500]])
    np.testing.assert_allclose(distances, [0, 64 / np.sqrt(48)], atol=0.1)
