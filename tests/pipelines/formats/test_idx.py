"""IDX files against bytes put together by hand."""

import gzip
import struct

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.formats.idx import find, read_digits, read_idx

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


def test_images_and_labels_plain_and_zipped(mnist):
    found = read_digits(mnist, "train")
    assert found.name == mnist.name
    assert found.images.shape == (5, 3, 2, 3)
    for channel in range(3):
        np.testing.assert_array_equal(found.images[..., channel], PIXELS)
    np.testing.assert_array_equal(found.labels, [3, 0, 9, 9, 1])
    assert read_digits(mnist, "train", channels=1).images.shape == (5, 3, 2, 1)


def test_both_spellings_are_found(mnist):
    (mnist / "t10k-images.idx3-ubyte").write_bytes(images())
    assert find(mnist, "test", "images").name == "t10k-images.idx3-ubyte"
    assert find(mnist, "train", "images").suffix == ".gz"
    assert find(mnist, "test", "labels") is None


DAMAGED = {
    "cut off": images()[:-1],
    "too long": images() + b"0",
    "header cut off": images()[:9],
    "empty": b"",
    "text": b"<html>not found</html>",
    "floats": bytes([0, 0, 13, 3]) + images()[4:],
    "labels for images": labels(),
    "cut gzip": gzip.compress(images())[:-9],
    "damaged gzip": b"\x1f\x8b" + bytes(30),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_line_that_names_the_file(data, tmp_path):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=r"file.*; expected .*; ") as error:
        read_idx(tmp_path / "file", 3)
    assert "\n" not in str(error.value)


def test_files_that_do_not_belong_together_are_refused(mnist):
    with pytest.raises(InputError, match="lacks t10k-images"):
        read_digits(mnist, "test")
    (mnist / "train-labels-idx1-ubyte").write_bytes(labels((1, 2)))
    with pytest.raises(InputError, match="5 train images and 2 labels"):
        read_digits(mnist, "train")
    (mnist / "train-labels-idx1-ubyte").write_bytes(labels((1, 2, 3, 4, 10)))
    with pytest.raises(InputError, match="label 10"):
        read_digits(mnist, "train")
    (mnist / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="lacks train-labels"):
        read_digits(mnist, "train")
