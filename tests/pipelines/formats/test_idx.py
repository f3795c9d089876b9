"""IDX files against bytes put together by hand."""

import gzip
import struct

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.formats.digits import read_digit_sets
from pipelines.formats.idx import find_file, read_digits, read_idx
from pipelines.formats.mnistm import read_mnist

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 2), np.uint8)


def images(pixels=PIXELS) -> bytes:
    return bytes([0, 0, 8, 3]) + struct.pack(">III", *pixels.shape) + pixels.tobytes()


def labels(values=(3, 0, 9, 9, 1)) -> bytes:
    return bytes([0, 0, 8, 1]) + struct.pack(">I", len(values)) + bytes(values)


@pytest.fixture
def mnist(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images()))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels())
    return tmp_path


def test_read_digits_of_plain_and_gzipped_files(mnist):
    found = read_digits(mnist, "train")
    assert found.name == mnist.name
    assert found.images.shape == (5, 3, 2, 3)
    for channel in range(3):
        np.testing.assert_array_equal(found.images[..., channel], PIXELS)
    np.testing.assert_array_equal(found.labels, [3, 0, 9, 9, 1])
    assert read_digits(mnist, "train", channels=1).images.shape == (5, 3, 2, 1)


def test_find_file_finds_both_spellings(mnist):
    (mnist / "t10k-images.idx3-ubyte").write_bytes(images())
    assert find_file(mnist, "test", "images").name == "t10k-images.idx3-ubyte"
    assert find_file(mnist, "train", "images").suffix == ".gz"
    assert find_file(mnist, "test", "labels") is None


DAMAGED = {
    "truncated": images()[:-1],
    "too long": images() + b"0",
    "header truncated": images()[:9],
    "empty": b"",
    "text": b"<html>not found</html>",
    "floats": bytes([0, 0, 13, 3]) + images()[4:],
    "labels for images": labels(),
    "truncated gzip": gzip.compress(images())[:-9],
    "damaged gzip": b"\x1f\x8b" + bytes(30),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_read_idx_of_a_damaged_file_is_an_error_that_names_it(data, tmp_path):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(UserError, match=r"file .*\. [A-Z].*\.$") as error:
        read_idx(tmp_path / "file", 3)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(0, 28, 28), (5, 0, 0), (5, 0, 3)])
def test_read_digits_without_pixels_is_an_error(mnist, shape):
    (mnist / "train-images-idx3-ubyte").write_bytes(images(np.empty(shape, np.uint8)))
    (mnist / "train-labels-idx1-ubyte").write_bytes(labels(bytes(shape[0])))
    with pytest.raises(UserError, match=rf"has {shape[0]} images of {shape[2]}x{shape[1]} pixels"):
        read_digits(mnist, "train")


@pytest.mark.parametrize("read", [read_digit_sets, read_mnist])
def test_digits_of_another_size_are_refused_where_they_are_not_resized(mnist, read):
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz has images of 2x3 pixels, but 28x28 are needed"):
        read(mnist, "train")


def test_read_digits_of_inconsistent_files_is_an_error(mnist):
    with pytest.raises(UserError, match="lacks t10k-images"):
        read_digits(mnist, "test")
    (mnist / "train-labels-idx1-ubyte").write_bytes(labels((1, 2)))
    with pytest.raises(UserError, match="5 train images and 2 labels"):
        read_digits(mnist, "train")
    (mnist / "train-labels-idx1-ubyte").write_bytes(labels((1, 2, 3, 4, 10)))
    with pytest.raises(UserError, match="label 10"):
        read_digits(mnist, "train")
    (mnist / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="lacks train-labels"):
        read_digits(mnist, "train")
