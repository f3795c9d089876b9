"""Copies among samples are counted and shown; the published figure contains no training image."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gan_tf.evaluation.metrics.nearest_neighbors import find_nearest
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
    monkeypatch.setattr(command, "load_generator", lambda *_: SimpleNamespace(generate=lambda *_: images))
    return images


def test_nearest_copies_are_counted_and_shown(data, samples, tmp_path, capsys):
    figure, neighbors = tmp_path / "figure.png", tmp_path / "neighbors.png"
    arguments = ["--data", str(data), "--count", "20", "--figure", str(figure), "--neighbors", str(neighbors)]
    assert command.main(arguments) == 0
    output = capsys.readouterr().out
    assert "20 samples and 20 held-out real images, compared with 60 training images: 3 and 5 are copies" in output
    assert " 0.00 % of the samples are closer" in output  # without the copies
    assert Image.open(neighbors).size[1] > Image.open(neighbors).size[0] > 500
    assert Image.open(figure).size[0] > 500


@pytest.mark.parametrize("count", [20, 3])
def test_draw_neighbors_shows_the_closest_samples_beside_their_nearest_training_images(samples, count):
    """Compared with a plain search for each sample that is shown; the copies come first, and a copy beside itself."""
    images, training = samples[:count], random_images(60, 1)
    figure = command.draw_neighbors(images, find_nearest(images, training), training)
    left, right = figure.subfigs
    assert (left.get_suptitle(), right.get_suptitle()) == ("sample", "nearest training images, and their distance")
    shown, beside = (np.stack([axes.images[0].get_array() for axes in part.axes]) for part in (left, right))
    rows = min(count, 8)
    assert (len(shown), len(beside)) == (rows, rows * 5)
    titles = [axes.get_title() for axes in right.axes]
    for sample, neighbors, texts in zip(shown, np.split(beside, rows), np.split(np.array(titles), rows), strict=True):
        both = np.concatenate([training, training[:, :, ::-1]]).astype(float)
        distances = np.sqrt(np.mean((sample - both) ** 2, axis=(1, 2, 3)))
        order = np.argsort(np.minimum(*np.split(distances, 2)))[:5]
        for i, neighbor, text in zip(order, neighbors, texts, strict=True):
            mirrored = bool(distances[i + 60] < distances[i])
            np.testing.assert_array_equal(neighbor, both[i + 60 * mirrored])
            assert text == f"{min(distances[i], distances[i + 60]):.1f}" + ", mirrored" * mirrored
    copies = 3 if count == 20 else 2
    colors = [axes.title.get_color() for axes in left.axes]
    assert colors == ["red"] * copies + ["black"] * (rows - copies)
    assert [axes.get_title() for axes in left.axes[:copies]] == ["closeness 0.00: copy"] * copies
    np.testing.assert_array_equal(shown[:copies], beside[: 5 * copies : 5])


def test_nearest_without_neighbors_flag_writes_no_training_image(data, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "draw_neighbors", lambda *_: pytest.fail("not requested"))
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 0


def test_nearest_all_samples_are_copies_has_no_median(data, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "load_generator", lambda *_: SimpleNamespace(generate=lambda *_: random_images(60, 1)[:20]))
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 0
    output = capsys.readouterr().out
    assert "20 and 5 are copies" in output
    assert "median closeness – and" in output
    assert "none of the samples are closer" in output


def test_nearest_images_of_a_folder_are_compared_instead_of_weights(data, monkeypatch, tmp_path, capsys):
    """Of four images, two are copies; the order of the count is that of their names."""
    monkeypatch.setattr(command, "load_generator", lambda *_: pytest.fail("not requested"))
    images = np.concatenate([random_images(2, 4), random_images(60, 1)[[30, 31]]])
    for i, image in enumerate(images):
        write_png(tmp_path / f"out/{i:04d}.png", image)
    arguments = ["--data", str(data), "--images", str(tmp_path / "out"), "--figure", str(tmp_path / "a.png")]
    assert command.main([*arguments, "--neighbors", str(tmp_path / "b.png")]) == 0
    assert "4 samples and 20 held-out real images, compared with 60 training images: 2 and 5 are" in capsys.readouterr().out
    for i in range(4, 17):
        write_png(tmp_path / f"out/{i:04d}.png", images[3])
    assert command.main([*arguments, "--count", "16"]) == 0
    assert "16 samples and 16 held-out real images, compared with 60 training images: 14 and 5" in capsys.readouterr().out


def test_nearest_figures_that_cannot_be_written_are_refused_before_images_are_read(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "open_real_images", lambda *_: pytest.fail("too late"))
    words = ["--data", str(data), "--figure", str(tmp_path / "a.png"), "--neighbors"]
    assert command.main([*words, f"{tmp_path}/./a.png"]) == 2
    assert "only one of them may contain training images" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert command.main([*words, str(tmp_path / "file/b.png")]) == 2
    assert "file" in capsys.readouterr().err


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
        (["--data", "{data}", "--images", "{data}/val", "--weights", "hinge"], "--images and --weights"),
        (["--data", "{data}", "--images", "{data}/none", "--figure", "a.png"], "no folder"),
        (["--data", "{data}", "--images", "{data}/val"], "without --figure"),
    ],
)
def test_nearest_wrong_usage_is_one_line(arguments, named, data, capsys):
    assert command.main([argument.format(data=data) for argument in arguments]) == 2
    output = capsys.readouterr().err
    assert named in output
    assert output.count("\n") == 1


def test_nearest_samples_of_another_size_are_refused(data, tmp_path, monkeypatch, capsys):
    larger = np.zeros((20, 128, 128, 3), np.uint8)
    monkeypatch.setattr(command, "load_generator", lambda *_: SimpleNamespace(generate=lambda *_: larger))
    assert command.main(["--data", str(data), "--figure", str(tmp_path / "figure.png")]) == 2
    assert "The samples have 128x128 pixels, but the images of --task anime 64x64" in capsys.readouterr().err


def test_nearest_replaces_no_picture_of_somebody_else(data, samples, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "holiday.png")
    before = (tmp_path / "holiday.png").read_bytes()
    assert command.main(["--data", str(data), "--figure", str(tmp_path / "holiday.png")]) == 2
    assert "holiday.png exists already" in capsys.readouterr().err
    assert (tmp_path / "holiday.png").read_bytes() == before
    for _ in range(2):  # its own may be replaced
        assert command.main(["--data", str(data), "--figure", str(tmp_path / "own.png")]) == 0
