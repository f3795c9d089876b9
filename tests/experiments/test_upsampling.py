"""Spectra against closed forms, and the page of a comparison whose trainings are only pretended."""

import dataclasses

import numpy as np
import pytest
from helpers.cyclegans import SMALL, build_cyclegan
from helpers.exports import CARD
from helpers.mean_gray import MeanGray
from PIL import Image

from gan_tf import export
from gan_tf.cli.main import run_command
from gan_tf.experiments import trainings, upsampling
from gan_tf.experiments.spectrum import pattern_strength, power_spectrum
from gan_tf.run_dir import RunDir
from gan_tf.training import callbacks

RANDOM = np.random.default_rng(0)
SIZE = 32


def noise(count: int) -> np.ndarray:
    """Gray images of independent pixels."""
    return np.repeat(RANDOM.integers(64, 192, (count, SIZE, SIZE, 1), np.uint8), 3, axis=3)


def test_power_spectrum_of_noise_is_its_variance_at_all_frequencies_but_0():
    spectrum = power_spectrum(noise(400))
    window_power = (SIZE * 3 / 8) ** 2  # the sum of the squares of a Hann window in two dimensions
    expected = (128**2 - 1) / 12 * window_power
    assert np.mean(spectrum[4:-3, 4:-3]) == pytest.approx(expected, rel=0.02)


def test_power_spectrum_of_a_wave_has_its_power_at_its_frequency():
    wave = 100 + 50 * np.cos(2 * np.pi * 8 * np.arange(SIZE) / SIZE)
    image = np.broadcast_to(wave[None, :, None], (SIZE, SIZE, 3))
    spectrum = power_spectrum(np.rint(image)[None].astype(np.uint8))
    assert spectrum[0, 8] == pytest.approx((50 / 2 * (SIZE / 2) ** 2) ** 2, rel=0.01)  # times the sum of the window
    assert spectrum[0, 8] > 1e6 * spectrum[0, 12]


def test_pattern_strength_of_images_without_a_pattern_is_0():
    assert pattern_strength(power_spectrum(noise(400))) == pytest.approx(0, abs=0.3)
    frequency = np.abs(np.fft.fftfreq(64)) + 1e-3
    assert pattern_strength(1 / np.hypot(*np.meshgrid(frequency, frequency))) == pytest.approx(0, abs=0.7)


def test_pattern_strength_is_the_mean_excess_over_the_frequencies_of_the_pattern():
    spectrum = np.ones((SIZE, SIZE))
    spectrum[SIZE // 2, SIZE // 2] = 1000  # 30 dB at one of 15 frequencies: a checkerboard of single pixels
    assert pattern_strength(spectrum) == pytest.approx(30 / 15)
    spectrum[:: SIZE // 4, :: SIZE // 4] = 10
    assert pattern_strength(spectrum) == pytest.approx(10)


def test_pattern_strength_of_images_with_each_block_alike_is_high():
    blocks = noise(50)
    blocks[:, ::2, ::2] += 20  # one pixel of each 2 x 2 block
    assert pattern_strength(power_spectrum(blocks)) > pattern_strength(power_spectrum(noise(50))) + 1


@pytest.fixture
def no_training(monkeypatch):
    """Trainings that write random weights at once."""

    def train(task, training, data, budget, folder, grid_every=0):
        model = build_cyclegan(upsample=training.flags["upsample"])
        about = {"task": task.name, "config": dataclasses.asdict(model.config), "image_shape": [32, 32, 3]}
        export.write_export(folder, model.exported(), {}, about, {**CARD, "task": task.name})
        return RunDir(folder), None

    monkeypatch.setattr(trainings, "train_to", train)
    monkeypatch.setattr(upsampling, "_SIZES", {**SMALL})
    monkeypatch.setattr(callbacks, "TrainingSetMetrics", lambda source, count, seed: MeanGray(count))


def test_upsampling_page_has_a_row_for_real_images_and_for_each_training(no_training, tmp_path):
    for name in ("trainA", "trainB"):
        (tmp_path / name).mkdir()
        for index in range(4):
            Image.fromarray(RANDOM.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / name / f"{index}.png")
    words = ["--data", tmp_path, "--count", 3, "--out", tmp_path / "page.md", "--runs", tmp_path / "runs"]
    assert run_command(upsampling.run, [*map(str, words)]) == 0
    page = (tmp_path / "page.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == ["real images", "transposed convolutions", "resizing, then a convolution"]
    assert rows[2][2] == rows[2][4] == "–"
    assert rows[3][1] != rows[4][1]
    assert Image.open(tmp_path / "page-spectra.png").width > 500


@pytest.mark.parametrize(
    ("words", "named"),
    [([], "--data"), (["--data", ".", "--count", "1"], "--count 1"), (["--data", ".", "--out", "x.txt"], "must be a .md file")],
)
def test_upsampling_wrong_arguments_train_nothing(words, named, monkeypatch, capsys):
    monkeypatch.setattr(trainings, "train_to", lambda *_: pytest.fail("it was trained"))
    assert run_command(upsampling.run, words) == 2
    assert named in capsys.readouterr().err
