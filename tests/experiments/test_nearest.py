"""Copies among samples are counted and shown; the published picture holds no picture of the data."""

import numpy as np
import pytest
from PIL import Image

from gan_tf.experiments import nearest as command
from gan_tf.utils.images import write_png


def pictures(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path):
    """60 training pictures and 20 kept apart, 5 of which are mirror images of training pictures."""
    train, apart = pictures(60, 1), pictures(20, 2)
    apart[:5] = train[:5, :, ::-1]
    for folder, images in (("faces", train), ("val", apart)):
        for i, image in enumerate(images):
            write_png(tmp_path / "data" / folder / f"{i:03d}.png", image)
    return tmp_path / "data"


@pytest.fixture
def samples(monkeypatch):
    """20 samples, 3 of which are copies of training pictures, one of them mirrored."""
    made, train = pictures(20, 3), pictures(60, 1)
    made[[0, 4]] = train[[7, 9]]
    made[2] = train[8, :, ::-1]
    monkeypatch.setattr(command, "made_by", lambda *_: made)
    return made


def test_copies_are_counted_and_shown(data, samples, tmp_path, capsys):
    figure, picture = tmp_path / "figure.png", tmp_path / "picture.png"
    words = ["--data", str(data), "--count", "20", "--figure", str(figure), "--picture", str(picture)]
    assert command.main(words) == 0
    said = capsys.readouterr().out
    assert "20 samples and 20 real pictures kept apart, looked for among 60 training pictures: 3 and 5 are copies" in said
    assert " 0.00 % of the samples are closer" in said  # the copies aside
    above, below = np.split(np.asarray(Image.open(picture)), 2)
    assert above.shape == (64, 16 * 64, 3)
    np.testing.assert_array_equal(above, np.concatenate(samples[:16], axis=1))
    for i, tile in enumerate(np.split(below, 16, axis=1)):
        assert (tile == samples[i]).all() == (i in (0, 2, 4))  # a copy's nearest picture, mirrored alike, is itself
    assert Image.open(figure).size[0] > 500


def test_without_picture_no_training_picture_is_written(data, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "write_picture", lambda *_: pytest.fail("it was not asked for"))
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 0


def test_nothing_but_copies(data, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "made_by", lambda *_: pictures(60, 1)[:20])
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 0
    assert "20 and 5 are copies" in (said := capsys.readouterr().out)
    assert "median closeness – and" in said
    assert "none of the samples are closer" in said


def test_too_few_training_pictures_are_named(data, samples, tmp_path, capsys):
    for path in list((data / "faces").glob("*.png"))[:10]:
        path.unlink()
    assert command.main(["--data", str(data), "--count", "20", "--figure", str(tmp_path / "a.png")]) == 2
    assert "50 pictures in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--data"),
        (["--data", "{data}", "--count", "3"], "--count 3"),
        (["--data", "{data}", "--figure", "a.jpg"], "a.jpg"),
        (["--data", "{data}/val"], "none of"),
        (["--data", "{data}", "--task", "reader"], "--task reader"),
        (["--data", "{data}", "--loss", "lsgan"], "lsgan"),
    ],
)
def test_what_can_be_mended_is_one_line(words, named, data, capsys):
    assert command.main([word.format(data=data) for word in words]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_pictures_that_are_all_known_compare_nothing(data, samples, tmp_path, capsys):
    for path in (data / "val").glob("*.png"):
        if int(path.stem) >= 5:
            path.unlink()
    assert command.main(["--data", str(data), "--figure", str(tmp_path / "a.png")]) == 2
    assert "are copies" in capsys.readouterr().err
