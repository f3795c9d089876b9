"""Where MNIST and MNIST-M are found: every layout that is in use, and what is said where a file is missing."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats.digits import MNIST_DIRS, MNISTM_DIRS, LabeledDigitsData, read_digit_sets

PAGE = Path(__file__).resolve().parents[3] / "docs/your-own-images.md"


def write_mnist(folder, part, labels, separator="-", suffix=""):
    """Writes images and labels of one part ("train" or "t10k")."""
    folder.mkdir(parents=True, exist_ok=True)
    count = struct.pack(">I", len(labels))
    images = b"\0\0\x08\x03" + count + struct.pack(">II", 28, 28) + bytes(len(labels) * 28 * 28)
    for name, data in (("images", images), ("labels", b"\0\0\x08\x01" + count + bytes(labels))):
        path = folder / f"{part}-{name}{separator}idx{3 if name == 'images' else 1}-ubyte{suffix}"
        path.write_bytes(gzip.compress(data) if suffix else data)


def write_mnistm(folder, **labels):
    """Writes the tables of some splits, and an image for each of their rows."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, digits in labels.items():
        rows = [f"{split}{i}.png,{digit}" for i, digit in enumerate(digits)]
        (folder / f"{split}.csv").write_text("\n".join(["image_name,label", *rows]) + "\n")
        for i in range(len(digits)):
            Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(folder / f"data/{split}{i}.png")


def found(folder, split):
    """Returns names and labels of the sets of a split."""
    return [(images.name, images.labels.tolist()) for images in read_digit_sets(folder, split)]


@pytest.mark.parametrize(
    "place", ["", "raw", "mnist", "mnist/raw", "MNIST", "MNIST/raw", "digits/mnist", "digits/MNIST/raw", "Mnist/RAW"]
)
@pytest.mark.parametrize(("separator", "suffix"), [("-", ""), (".", ".gz")])
def test_read_digit_sets_finds_mnist(place, separator, suffix, tmp_path):
    data = tmp_path / "downloads"
    write_mnist(data / place, "train", [1, 2, 3], separator, suffix)
    write_mnist(data / place, "t10k", [4], separator, suffix)
    name = "mnist" if "mnist" in place.lower() else "downloads"
    assert found(data, "train") == [(name, [1, 2, 3])]
    assert found(data, "val") == [(name, [4])]


@pytest.mark.parametrize("place", ["", "mnistm", "MNISTM", "digits/mnistm", "hw2_data/digits/mnistm", "hw2_data/digits/MNISTM"])
def test_read_digit_sets_finds_mnistm(place, tmp_path):
    data = tmp_path / "downloads"
    write_mnistm(data / place, train=[5, 6], val=[7])
    name = "mnistm" if place else "downloads"
    assert found(data, "train") == [(name, [5, 6])]
    assert found(data, "val") == [(name, [7])]


def test_read_digit_sets_takes_the_first_place_that_has_the_part(tmp_path):
    write_mnist(tmp_path, "train", [1])
    write_mnist(tmp_path / "mnist", "train", [2])
    write_mnist(tmp_path / "MNIST/raw", "t10k", [3])
    write_mnistm(tmp_path / "mnistm", train=[4])
    write_mnistm(tmp_path / "hw2_data/digits/mnistm", train=[5], val=[6])
    assert [labels for _, labels in found(tmp_path, "train")] == [[1], [4]]
    assert found(tmp_path, "val") == [("mnist", [3]), ("mnistm", [6])]


def test_read_digit_sets_prefers_images_with_labels(tmp_path):
    write_mnist(tmp_path, "train", [1])
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    write_mnist(tmp_path / "mnist", "train", [2])
    assert found(tmp_path, "train") == [("mnist", [2])]


@pytest.mark.parametrize(("split", "missing"), [("train", "train-labels-idx1-ubyte"), ("val", "t10k-images-idx3-ubyte")])
def test_read_digit_sets_of_an_incomplete_mnist_names_the_missing_file(split, missing, tmp_path):
    write_mnist(tmp_path / "MNIST/raw", "train", [1])
    (tmp_path / "MNIST/raw/train-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/MNIST/raw lacks {missing}")):
        read_digit_sets(tmp_path, split)


def test_read_digit_sets_of_an_incomplete_mnistm_names_the_missing_file(tmp_path):
    write_mnistm(tmp_path / "mnistm", train=[1])
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/mnistm/val.csv")):
        read_digit_sets(tmp_path, "val")


@pytest.mark.parametrize("folder", ["empty", "absent", "file"])
def test_read_digit_sets_without_digits_lists_the_layouts(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="No labeled digits") as error:
        LabeledDigitsData().open(tmp_path / folder, "train", 0)
    for name in {*MNIST_DIRS, *MNISTM_DIRS} - {"."}:
        assert f"{name}/" in error.value.hint


def test_page_lists_the_places():
    rows = {row.split("|")[1].strip(): row for row in PAGE.read_text().splitlines() if row.startswith("| MNIST")}
    for data_set, names in (("MNIST", MNIST_DIRS), ("MNIST-M", MNISTM_DIRS)):
        listed = re.findall(r"`([a-z0-9_/]+)/`", rows[data_set])
        assert listed == [name for name in names if name != "."]
