"""Copies among samples are counted and shown; the published image contains no training image."""

import numpy as np
import pytest
from PIL import Image

from gan_tf.experiments import nearest as command
from gan_tf.utils.images import write_png


def random_images(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path):
    """60 training images and 20 held-out ones, 5 of which are mirror images of training images."""
    training, heldout = random_images(60, 1), random_images(20, 2)
    heldout[:5] = training[:5, :, ::-1]
    for folder, images in (("faces", training), ("val", heldout)):
        for i, image in enumerate(images):
            write_png(tmp_path / "data" / folder / f"{i:03d}.png", image)
    return tmp_path / "data"


@pytest.fixture
def samples(monkeypatch):
    """20 samples, 3 of which are copies of training images, one of them mirrored."""
    images, training = random_images(20, 3), random_images(60, 1)
    images[[0, 4]] = training[[7, 9]]
    images[2] = training[8, :, ::-1]
    monkeypatch.setattr(command, "generate_samples", lambda *_: images)
    return images


def test_nearest_copies_are_counted_and_shown(data, samples, tmp_path, capsys):
    figure, pairs = tmp_path / "figure.png", tmp_path / "pairs.png"
    arguments = ["--data", str(data), "--count", "20", "--figure", str(figure), "--neighbors", str(pairs)]
    assert command.main(arguments) == 0
    output = capsys.readouterr().out
    assert "20 samples and 20 held-out real images, compared with 60 training images: 3 and 5 are copies" in output
    assert " 0.00 % of the samples are closer" in output  # without the copies
    above, below = np.split(np.asarray(Image.open(pairs)), 2)
    assert above.shape == (64, 16 * 64, 3)
    np.testing.assert_array_equal(above, np.concatenate(samples[:16], axis=1))
    for i, tile in enumerate(np.split(below, 16, axis=1)):
        assert (tile == samples[i]).all() == (i in (0, 2, 4))  # a copy's nearest image, mirrored alike, is itself
    assert Image.open(figure).size[0] > 500


def test_nearest_without_neighbors_flag_writes_no_training_image(data, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "write_pairs", lambda *_: pytest.fail("not requested"))
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 0


def test_nearest_all_samples_are_copies_has_no_median(data, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "generate_samples", lambda *_: random_images(60, 1)[:20])
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 0
    output = capsys.readouterr().out
    assert "20 and 5 are copies" in output
    assert "median closeness – and" in output
    assert "none of the samples are closer" in output


def test_nearest_too_few_training_images_is_refused(data, samples, tmp_path, capsys):
    for path in list((data / "faces").glob("*.png"))[:10]:
        path.unlink()
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 2
    assert "only 50 images in" in capsys.readouterr().err


def test_nearest_all_heldout_images_are_copies_is_refused(data, samples, tmp_path, capsys):
    for path in (data / "val").glob("*.png"):
        if int(path.stem) >= 5:
            path.unlink()
    assert command.main(["--data", str(data), "--figure", str(tmp_path / "a.png")]) == 2
    assert "are copies" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--data"),
        (["--data", "{data}", "--count", "3"], "--count 3"),
        (["--data", "{data}", "--figure", "a.jpg"], "a.jpg"),
        (["--data", "{data}/val"], "no validation images"),
        (["--data", "{data}", "--task", "digits"], "--task digits"),
        (["--data", "{data}", "--weights", "lsgan"], "lsgan"),
    ],
)
def test_nearest_wrong_usage_is_one_line(arguments, named, data, capsys):
    assert command.main([argument.format(data=data) for argument in arguments]) == 2
    output = capsys.readouterr().err
    assert named in output
    assert output.count("\n") == 1
