"""Labeled images: CSV folders against what was written, dictionaries through the stream, and synthetic digits."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats.digits import read_digit_sets, read_training_digits
from pipelines.formats.label_csv import read_rows, read_split, read_unlabeled
from pipelines.labeled import LabeledImages, concatenate
from pipelines.stream import Stream
from pipelines.synthetic.digits import SyntheticDigits, draw_digit


def write_digits(folder, images, rows: dict[str, str]):
    """Writes the layout of a CSV folder: images 0.png, 1.png … and the text of each CSV file."""
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


def test_read_split_returns_images_and_labels_in_the_order_of_the_rows(digits, pixels):
    train, val = read_split(digits, "train"), read_split(digits, "val")
    np.testing.assert_array_equal(train.images, pixels[[2, 0]])
    np.testing.assert_array_equal(train.labels, [7, 0])
    np.testing.assert_array_equal(val.images, pixels[[3]])
    assert (train.name, val.labels.tolist()) == ("mnistm", [9])
    assert train.summary == "mnistm: 2 labeled images of 28x28x3 (0: 1, 7: 1)"


def test_read_split_never_trains_on_images_that_both_tables_list(digits):
    (digits / "val.csv").write_text("image_name,label\n2.png,7\n3.png,9\n")
    train = read_split(digits, "train")
    assert train.labels.tolist() == [0]
    assert train.summary.endswith("held out: 1 that val.csv lists too: 2.png")
    assert len(read_unlabeled(digits)) == 2  # nothing of val.csv may decide a training without labels
    assert read_split(digits, "val").labels.tolist() == [7, 9]
    (digits / "val.csv").write_text("image_name\n2.png\n0.png\n")
    with pytest.raises(UserError, match=r"lists only images that val\.csv lists too"):
        read_split(digits, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_name,digit\n0.png,1\n", "no column label"),
        ("0.png,1\n", "no column image_name and no label"),
        ("", "no column"),
        ("image_name,label\n", "no rows"),
        ("image_name,label\n0.png,ten\n", "line 2"),
        ("image_name,label\n0.png,1\n1.png,10\n", "line 3"),
        ("image_name,label\n0.png\n", "line 2"),
        ("image_name,label\n,1\n", "line 2"),
        ("image_name,label\n5.png,1\n6.png,1\n", r"None of the 2 images .* 5\.png \(No such file or directory\); 6\.png"),
    ],
)
def test_read_split_of_an_invalid_table_is_an_error_of_one_line(digits, text, message):
    (digits / "train.csv").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_split(digits, "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image_name;label\n0.png;1\n", r"its first line is 'image_name;label'\. Begin it with .* separate columns by commas"),
        ("image_name,label\n0.png,1\n".encode("utf-16"), "no column image_name and no label; its first line is "),
        (b"image_name,label\n0.png," + b"9" * 5000 + b"\n", r"line 2: '0\.png','9{60}…'\. Correct"),
        (b"x" * 5000 + b",label\n0.png,1\n", "its first line is 'x{60}…'"),
        (b"image_name,label\n" + b"x" * 1_000_000 + b",1\n", r"cannot be read \(field larger"),
    ],
)
def test_read_rows_of_another_kind_of_table_shows_its_beginning(tmp_path, content, message):
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_rows(tmp_path / "train.csv")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < len(str(tmp_path)) + 250


@pytest.mark.parametrize("name", [b"\xff\xfe.png", "\u732b.png".encode()])
def test_read_split_of_names_and_columns_in_other_encodings_reads_the_images(digits, pixels, name):
    """As infer.py writes names, and as tables with a column in Latin-1 come."""
    (digits / "data/1.png").rename(digits / "data" / os.fsdecode(name))
    (digits / "train.csv").write_bytes(b"image_name,note,label\n" + name + b",caf\xe9,7\n0.png,,5\n")
    np.testing.assert_array_equal(read_split(digits, "train").images, pixels[[1, 0]])


@pytest.mark.parametrize(
    ("name", "shown"), [(b"a\0.png", r"a\x00.png"), (b"\xff.png", r"\udcff.png"), (b"x" * 300, "x" * 60 + "…")]
)
def test_read_split_leaves_out_impossible_names_and_shows_them(digits, pixels, name, shown):
    (digits / "train.csv").write_bytes(b"image_name,label\n" + name + b",7\n0.png,5\n")
    train = read_split(digits, "train")
    np.testing.assert_array_equal(train.images, pixels[[0]])
    assert f"1 unreadable file left out: {shown} (" in train.summary
    assert train.summary.isprintable()


def test_read_split_leaves_out_unreadable_images_with_their_labels_and_names_them(digits, pixels):
    """As folders of images do; in the joined set, which repeats the smaller ones, each note stands once."""
    (digits / "train.csv").write_text("image_name,label\n1.png,7\n2.png,8\nlost.png,9\n0.png,5\n")
    (digits / "data/2.png").write_bytes(b"damaged")
    train = read_split(digits, "train")
    np.testing.assert_array_equal(train.images, pixels[[1, 0]])
    assert train.labels.tolist() == [7, 5]
    left_out = "2 unreadable files left out: 2.png (not an image in a supported format); lost.png (No such file or directory)"
    assert train.summary == f"mnistm: 2 labeled images of 28x28x3 (5: 1, 7: 1); {left_out}"
    other = LabeledImages(np.repeat(pixels, 2, axis=0), np.arange(8), "mnist")
    assert concatenate([other, train, train]).summary.endswith(f"; mnistm: {left_out}")


def test_read_rows_of_a_missing_table_is_an_error(digits):
    (digits / "val.csv").unlink()
    with pytest.raises(UserError, match=r"val\.csv cannot be read"):
        read_rows(digits / "val.csv")


def test_read_digit_sets_finds_the_sets_below_a_folder(digits, tmp_path):
    for folder in (tmp_path, tmp_path / "digits", digits):
        assert [part.name for part in read_digit_sets(folder, "train")] == ["mnistm"]
    assert read_digit_sets(tmp_path, "val")[0].labels.tolist() == [9]
    assert read_training_digits(tmp_path).digest == read_split(digits, "train").digest
    with pytest.raises(UserError, match="No labeled digits"):
        read_digit_sets(digits / "data", "train")


def test_concatenate_keeps_order_and_labels(pixels):
    one, two = LabeledImages(pixels[:3], np.array([1, 2, 3]), "a"), LabeledImages(pixels[3:], np.array([4]), "b")
    both = concatenate([one, two])
    np.testing.assert_array_equal(both.images, pixels)
    assert (both.labels.tolist(), both.name, concatenate([one])) == ([1, 2, 3, 4], "a-b", one)
    assert len({one.digest, two.digest, both.digest, LabeledImages(pixels[:3], np.array([1, 2, 4]), "a").digest}) == 4
    for labels in ([1], [1, 2, 3, 256], [1, 2, 3, -1]):
        with pytest.raises(ValueError, match="labels"):
            LabeledImages(pixels, np.array(labels), "a")


@pytest.mark.parametrize("kind", ["labeled", "synthetic"])
def test_stream_of_labelled_images_returns_dictionaries(kind, pixels):
    source = SyntheticDigits(count=4) if kind == "synthetic" else LabeledImages(pixels, np.array([5, 6, 7, 8]), "a")
    stream = Stream({"real": source}, 2, samples_per_step={"real": 3}, seed=1)
    for step, batch in enumerate(stream.dataset(0, 3)):
        rows = stream.indices(step, "real").numpy().reshape(2, 3)
        np.testing.assert_array_equal(batch["real"]["image"], source.images[rows])
        np.testing.assert_array_equal(batch["real"]["label"], source.labels[rows])
        np.testing.assert_array_equal(batch["real"]["image"], stream.batch_at(step)["real"]["image"])
    spec = stream.dataset(0, 1).element_spec["real"]
    assert spec == {"image": tf.TensorSpec((2, 3, 28, 28, 3), tf.uint8), "label": tf.TensorSpec((2, 3), tf.uint8)}
    with pytest.raises(ValueError, match="indices"):
        source.take([4])


def test_draw_digit_depends_only_on_seed_and_index():
    source = SyntheticDigits(count=20, seed=3)
    np.testing.assert_array_equal(source.labels, [*range(10), *range(10)])
    for index in (13, 4):
        np.testing.assert_array_equal(source.take([index])["image"][0], draw_digit(3, index))
    assert source.digest != SyntheticDigits(count=20, seed=4).digest


def test_synthetic_digits_are_recognized_by_a_nearest_mean_classifier():
    """It compares shapes, whatever the colors."""
    images = np.stack([draw_digit(1, index) for index in range(300)]).astype(np.float64)
    gray = images.mean(axis=3).reshape(300, -1)
    shapes = np.abs(gray - np.median(gray, axis=1, keepdims=True))
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    means = shapes[:200].reshape(20, 10, -1).mean(axis=0)
    guesses = (shapes[200:] @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)
    assert (guesses == np.arange(100) % 10).mean() > 0.6
