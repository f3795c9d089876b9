"""Modes of points, of digits and of stacked digits against closed forms; the pages with trainings that are only pretended."""

import dataclasses
import math

import numpy as np
import pytest
from helpers.gan_weights import TINY, write_curves, write_gan_weights
from helpers.mean_gray import MeanGray

from gan_tf.cli.main import run_command
from gan_tf.experiments import gaussian_grid, mode_collapse, models, stacked_mnist, trainings
from gan_tf.experiments.gaussian_grid import CENTERS, STANDARD_DEVIATION, GaussianGrid, count_modes, train_points
from gan_tf.experiments.mode_collapse import PAIR
from gan_tf.experiments.stacked_mnist import STACKED, StackedDigits, count_stacked_modes
from gan_tf.gan.collapse import first_alarm
from gan_tf.run_dir import RunDir
from gan_tf.tasks import ANIME, MNIST
from pipelines.image_array import ImageArray

RANDOM = np.random.default_rng(0)


# --- points ------------------------------------------------------------------------------------------------------------


def test_count_modes_of_the_data_finds_all_and_their_fraction_within_three_deviations():
    modes = count_modes(GaussianGrid().points[:20_000])
    assert modes.found == 25
    assert modes.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.003)  # of a normal distribution in the plane


def test_count_modes_needs_a_sample_near_a_center():
    offsets = np.array([[3.1, 0.0], [0.0, 2.9], [0.0, 0.0]]) * STANDARD_DEVIATION
    assert count_modes(CENTERS[:3] + offsets) == gaussian_grid.Modes(2, pytest.approx(2 / 3))


def test_gaussian_grid_gives_networks_points_from_minus_1_to_1():
    source = GaussianGrid()
    images = source.take(np.arange(500)).numpy()
    assert images.shape == (500, 1, 1, 2)
    np.testing.assert_allclose(4 * images[:, 0, 0], source.points[:500], atol=1e-6)


def test_train_points_is_repeatable_and_depends_on_the_loss(monkeypatch):
    monkeypatch.setattr(gaussian_grid, "SETTINGS", {**gaussian_grid.SETTINGS, "hidden_dim": 4, "batch": 8})
    first, again, other = (train_points({"loss": loss}, 3) for loss in ("gan", "gan", "rpgan"))
    assert first.shape == (2500, 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


# --- stacked digits ----------------------------------------------------------------------------------------------------


def test_count_stacked_modes_of_even_modes_has_no_divergence():
    digits = np.stack(np.unravel_index(np.tile(np.arange(1000), 26), (10, 10, 10)), axis=1)
    assert count_stacked_modes(digits) == stacked_mnist.ModeCount(1000, pytest.approx(0.0, abs=1e-12))


def test_count_stacked_modes_of_a_few_modes_equals_scipy():
    from scipy.stats import entropy

    digits = np.repeat([[0, 0, 0], [1, 2, 3], [9, 9, 9]], [5, 3, 2], axis=0)
    modes = count_stacked_modes(digits)
    assert modes.found == 3
    frequencies = np.zeros(1000)
    frequencies[[0, 123, 999]] = 0.5, 0.3, 0.2
    assert modes.divergence == pytest.approx(entropy(frequencies, np.full(1000, 1e-3)))


def test_stacked_digits_are_random_images_in_each_channel():
    digits = RANDOM.integers(0, 256, (50, 8, 8, 1), np.uint8)
    source = StackedDigits(ImageArray(digits, "mnist", "train"))
    images = source.take(np.arange(2000)).numpy()
    assert images.shape == (2000, 8, 8, 3)
    for image, triple in zip(images[:20], source.triples[:20], strict=True):
        np.testing.assert_array_equal(image, np.concatenate(digits[triple], axis=2))
    assert len(np.unique(source.triples[:2000], axis=0)) > 1900
    assert source.digest == StackedDigits(ImageArray(digits, "mnist", "train")).digest != source.digits.digest


class Brightness:
    """A classifier that reads the digit from the sum of an image."""

    has_logits = True

    def __call__(self, images):
        digits = images.reshape(len(images), -1).sum(axis=1).astype(int) % 10
        return np.zeros((len(images), 1), np.float32), np.eye(10)[digits]


def test_stacked_mnist_trains_counts_and_does_not_train_again(image_dir, tmp_path, monkeypatch, capsys):
    tiny = {"flip": False, **TINY, "batch": 4, "precision": "float32"}
    monkeypatch.setattr(stacked_mnist, "STACKED", dataclasses.replace(STACKED, defaults=tiny))
    monkeypatch.setattr(stacked_mnist, "NUM_SAMPLES", 64)
    monkeypatch.setattr(type(MNIST), "load_classifier", lambda task: Brightness() if task is MNIST else None)
    words = ["--data", image_dir, "--steps", 2, "--runs", tmp_path / "runs", "--out", tmp_path / "stacked.md"]
    for _ in range(2):
        assert run_command(stacked_mnist.run, [str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert printed.count("run folder:") == 1
    assert "python train.py" not in printed  # which does not know the task
    text = (tmp_path / "stacked.md").read_text()
    assert "| training images |" in text
    assert (tmp_path / "stacked-samples.png").is_file()


# --- images ------------------------------------------------------------------------------------------------------------


def test_first_alarm_is_the_first_low_diversity_after_the_warm_up():
    steps = np.array([1000.0, 2000.0, 3000.0, 4000.0])
    assert first_alarm(np.stack([steps, [0.1, 0.9, 0.4, 0.2]], axis=1), 64) == 3000
    assert first_alarm(np.stack([steps, [0.1, 0.9, 0.9, 0.9]], axis=1), 64) is None
    assert first_alarm(np.stack([steps, [0.1, 0.9, 0.9, 0.9]], axis=1), 128) == 1000
    assert first_alarm(None, 64) is None


def test_pair_differs_in_the_loss_only():
    for task in (ANIME, MNIST):
        first, second = (dataclasses.asdict(task.family.resolve(task, {}, training.flags).config) for training in PAIR)
        different = {name for name in first if first[name] != second[name]}
        assert different == {"loss", "norm", "beta1", "beta2"}  # what a loss brings with it


def test_mode_collapse_page_has_points_and_images(tmp_path, monkeypatch):
    def train(task, training, data, budget, folder, grid_every=0):
        write_gan_weights(folder, task, **{**training.flags, **TINY})
        write_curves(folder, ("sample_diversity", "d_loss", "g_loss"), 0.2 if training.name == "gan" else 0.9)
        metrics = (folder / "metrics.jsonl").read_text().replace('"step": ', '"step": 9')
        (folder / "metrics.jsonl").write_text(metrics)  # steps 910 to 9100
        return RunDir(folder), None

    monkeypatch.setattr(trainings, "train_to", train)
    monkeypatch.setattr(gaussian_grid, "train_points", lambda flags, steps: CENTERS)
    monkeypatch.setattr(models, "open_metrics", lambda *args: MeanGray(12))
    monkeypatch.setattr(type(MNIST), "load_classifier", lambda task: Brightness())
    pixels = RANDOM.integers(0, 256, (20, 32, 32, 1), np.uint8)
    monkeypatch.setattr(models, "open_training_images", lambda *args: ImageArray(pixels, "mnist"))
    other = write_gan_weights(tmp_path / "other", MNIST)
    words = ["--mnist", tmp_path, "--weights", other, "--count", 12, "--out", tmp_path / "collapse.md"]
    assert run_command(mode_collapse.run, [*map(str, words), "--runs", str(tmp_path / "runs")]) == 0
    rows = {line.split("|")[1].strip(): line for line in (tmp_path / "collapse.md").read_text().splitlines() if "|" in line}
    assert "| 9,100 |" in rows["gan"]  # the first step from 100,000 images on
    assert "| – |" in rows["hinge"]
    assert str(other) in rows
    for name in ("points", "mnist-samples", "mnist-curves"):
        assert (tmp_path / f"collapse-{name}.png").is_file()


@pytest.mark.parametrize(
    ("words", "named"),
    [(["--point-steps", "0"], "--point-steps 0"), (["--count", "1"], "--count 1"), (["--out", "x.txt"], "must be a .md file")],
)
def test_mode_collapse_wrong_arguments_are_refused(words, named, capsys):
    assert run_command(mode_collapse.run, words) == 2
    assert named in capsys.readouterr().err


def test_mode_collapse_weights_without_images_are_refused(tmp_path, capsys):
    weights = write_gan_weights(tmp_path / "weights", MNIST)
    assert run_command(mode_collapse.run, ["--weights", str(weights)]) == 2
    assert "Add --mnist DIR" in capsys.readouterr().err
