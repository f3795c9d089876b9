"""Labelled pictures: CSV folders against what was written, samples of a structure through the stream, the drawn digits."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.errors import InputError
from pipelines.formats.digits import digit_sets, training_digits
from pipelines.formats.label_csv import read_part, read_rows
from pipelines.labelled import Labelled, joined
from pipelines.stream import Stream
from pipelines.synthetic.digits import DrawnDigits, draw_digit


def write_digits(folder, images, rows: dict[str, str]):
    """The layout of a CSV folder: pictures 0.png, 1.png … and the text of each CSV file."""
    (folder / "data").mkdir(parents=True)
    for n, image in enumerate(images):
        Image.fromarray(image).save(folder / f"data/{n}.png")
    for name, text in rows.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), np.uint8)


@pytest.fixture
def digits(tmp_path, pixels):
    rows = {"train": "image_name,label\n2.png,7\n0.png,0\n", "val": "\ufeffid,label,image_name\r\n1,9,3.png\r\n"}
    return write_digits(tmp_path / "digits/mnistm", pixels, rows)


def test_the_rows_decide_order_and_labels(digits, pixels):
    train, val = read_part(digits, "train"), read_part(digits, "val")
    np.testing.assert_array_equal(train.images, pixels[[2, 0]])
    np.testing.assert_array_equal(train.labels, [7, 0])
    np.testing.assert_array_equal(val.images, pixels[[3]])
    assert (train.name, val.labels.tolist()) == ("mnistm", [9])
    assert train.summary == "mnistm: 2 labelled pictures of 28x28x3 (0: 1, 7: 1)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image_name,digit\n0.png,1\n", "no column label"),
        ("0.png,1\n", "no column image_name and no label"),
        ("", "no column"),
        ("image_name,label\n", "no rows"),
        ("image_name,label\n0.png,ten\n", "line 2"),
        ("image_name,label\n0.png,1\n1.png,10\n", "line 3"),
        ("image_name,label\n0.png\n", "line 2"),
        ("image_name,label\n,1\n", "line 2"),
        ("image_name,label\n5.png,1\n0.png,1\n", "5.png"),
    ],
)
def test_bad_tables_are_one_line(digits, text, says):
    (digits / "train.csv").write_text(text)
    with pytest.raises(InputError, match=says) as error:
        read_part(digits, "train")
    assert "\n" not in str(error.value)


def test_missing_tables_are_one_line(digits):
    (digits / "val.csv").unlink()
    with pytest.raises(InputError, match=r"val\.csv can't be read"):
        read_rows(digits / "val.csv")


def test_sets_are_found_below_a_folder(digits, tmp_path):
    for folder in (tmp_path, tmp_path / "digits", digits):
        assert [part.name for part in digit_sets(folder)] == ["mnistm"]
    assert digit_sets(tmp_path, validation=True)[0].labels.tolist() == [9]
    assert training_digits(tmp_path).digest == read_part(digits, "train").digest
    with pytest.raises(InputError, match="no labelled digits"):
        digit_sets(digits / "data")


def test_joined_sets_keep_order_and_labels(pixels):
    one, two = Labelled(pixels[:3], np.array([1, 2, 3]), "a"), Labelled(pixels[3:], np.array([4]), "b")
    both = joined([one, two])
    np.testing.assert_array_equal(both.images, pixels)
    assert (both.labels.tolist(), both.name, joined([one])) == ([1, 2, 3, 4], "a-b", one)
    assert len({one.digest, two.digest, both.digest, Labelled(pixels[:3], np.array([1, 2, 4]), "a").digest}) == 4
    with pytest.raises(ValueError, match="labels"):
        Labelled(pixels, np.array([1]), "a")


@pytest.mark.parametrize("kind", ["labelled", "drawn"])
def test_a_stream_hands_out_structures(kind, pixels):
    source = DrawnDigits(count=4) if kind == "drawn" else Labelled(pixels, np.array([5, 6, 7, 8]), "a")
    stream = Stream(source, 2, per_step=3, seed=1)
    for step, batch in enumerate(stream.dataset(0, 3)):
        rows = stream.indices(step).numpy().reshape(2, 3)
        np.testing.assert_array_equal(batch["real"]["image"], source.images[rows])
        np.testing.assert_array_equal(batch["real"]["label"], source.labels[rows])
        np.testing.assert_array_equal(batch["real"]["image"], stream.at(step)["real"]["image"])
    spec = stream.dataset(0, 1).element_spec["real"]
    assert spec == {"image": tf.TensorSpec((2, 3, 28, 28, 3), tf.uint8), "label": tf.TensorSpec((2, 3), tf.uint8)}
    with pytest.raises(ValueError, match="indices"):
        source.take([4])


def test_a_drawn_digit_depends_on_seed_and_index_alone():
    source = DrawnDigits(count=20, seed=3)
    np.testing.assert_array_equal(source.labels, [*range(10), *range(10)])
    for index in (13, 4):
        np.testing.assert_array_equal(source.take([index])["image"][0], draw_digit(3, index))
    assert source.digest != DrawnDigits(count=20, seed=4).digest


def test_drawn_digits_differ_between_digits_more_than_within():
    """A nearest-mean classifier reads them: as shapes, whatever the colours."""
    drawn = np.stack([draw_digit(1, index) for index in range(300)]).astype(np.float64)
    grey = drawn.mean(axis=3).reshape(300, -1)
    shapes = np.abs(grey - np.median(grey, axis=1, keepdims=True))
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    means = shapes[:200].reshape(20, 10, -1).mean(axis=0)
    guesses = (shapes[200:] @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)
    assert (guesses == np.arange(100) % 10).mean() > 0.6
