"""``--image-size``: folders of images at another size than the task's, from training to scores."""

import dataclasses

import numpy as np
import pytest
from helpers.cli import TINY, call, only_run
from PIL import Image

import gan_tf
from gan_tf.evaluation.evaluate import find_real_images
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.run_dir import read_run_config
from gan_tf.tasks import TASKS
from gan_tf.workflow import load_workflow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one step at 32x32 on images of other sizes."""
    folder = tmp_path_factory.mktemp("image_size")
    for part, count in (("train", 6), ("val", 3)):
        (folder / "data" / part).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng(i).integers(0, 256, (40, 50 + i, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "data" / part / f"{i}.png")
    words = ["--task", "anime", "--image-size", 32, "--data", folder / "data", "--runs", folder / "runs", "--steps", 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_TF_CACHE", str(folder / "cache"))
        assert call("train", *words, *TINY) == 0
    return folder, only_run(folder / "runs")


def test_train_at_another_size_names_and_records_it(trained):
    _, run = trained
    assert run.name == "000-hinge-32px-data-train"
    assert read_run_config(run)["config"]["image_size"] == 32
    assert gan_tf.export.read_weights(run).image_shape == (32, 32, 3)
    assert Image.open(run / "images/reals.png").size == (2 * 32, 2 * 32)


def test_infer_and_load_give_images_of_the_trained_size(trained, tmp_path):
    _, run = trained
    assert call("infer", "--task", "anime", "--weights", run, "--count", 2, tmp_path / "out") == 0
    assert Image.open(tmp_path / "out/0001.png").size == (32, 32)
    assert gan_tf.load("anime", run).generate(2).shape == (2, 32, 32, 3)


def test_scores_compare_at_the_trained_size(trained):
    folder, run = trained
    real = find_real_images(load_workflow(TASKS["anime"], run).task, folder / "data", EvaluationOptions())
    assert real is not None
    assert real.reference.size == "32x32"


def test_resume_keeps_the_size(trained, tmp_path, monkeypatch, capsys):
    folder, run = trained
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path))
    assert call("train", "--task", "anime", "--runs", folder / "runs", "--resume", "--steps", 2) == 0
    assert "restored step 1" in capsys.readouterr().out
    assert gan_tf.export.read_weights(run).image_shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--task", "anime", "--image-size", 48], "--image-size 48 is not valid; choose one of: 32, 64, 128"),
        (["--task", "anime", "--image-size", 128], "There are no synthetic images of 128x128 pixels"),
        (["--task", "mnist", "--image-size", 64], "applies to folders of images, not to a data set whose images have one size"),
        (["--task", "cifar10", "--image-size", 64], "applies to folders of images"),
    ],
)
def test_train_at_a_size_that_there_is_not_is_one_sentence(words, part, tmp_path, capsys):
    assert call("train", *words, "--runs", tmp_path / "runs", *TINY) == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", sorted(TASKS))
def test_at_size_with_its_own_size_is_the_task_itself(name):
    task = TASKS[name]
    assert task.at_size(None) is task
    assert task.at_size(task.image_shape[0]) is task


def test_at_size_changes_the_data_and_nothing_else():
    for name in ("anime", "face", "dog"):
        resized = TASKS[name].at_size(128)
        assert resized.image_shape == (128, 128, 3)
        assert dataclasses.replace(resized, image_shape=(64, 64, 3), data=TASKS[name].data) == TASKS[name]
        assert resized.data.layout == TASKS[name].data.layout
