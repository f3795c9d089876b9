"""MNIST's images for generators: gray, resized, found in the same places as the labeled ones."""

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats.mnist import MnistData, resize


def write_mnist(folder, part, count):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
    header = np.array([count, 28, 28], ">u4").tobytes()
    (folder / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + header + pixels.tobytes())
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + header[:4] + bytes(count))
    return pixels


def test_mnist_data_reads_gray_images_resized_as_pillow_does(tmp_path):
    pixels = {part: write_mnist(tmp_path / "MNIST/raw", part, count) for part, count in (("train", 5), ("t10k", 3))}
    data = MnistData()
    assert data.has_validation(tmp_path)
    for split, part in (("train", "train"), ("val", "t10k")):
        source = data.open(tmp_path, split, 0)["real"]
        expected = [Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR) for image in pixels[part]]
        np.testing.assert_array_equal(source.take(range(len(expected)))[..., 0], np.stack(expected))
        assert (source.name, source.split) == ("mnist", split)


def test_mnist_data_without_test_images_has_no_validation(tmp_path):
    write_mnist(tmp_path, "train", 5)
    assert not MnistData().has_validation(tmp_path)
    assert len(MnistData().open(tmp_path, "train", 0)["real"]) == 5


def test_mnist_data_reads_folders_of_images_too(tmp_path):
    for folder, count in (("train", 3), ("val", 2)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            Image.fromarray(np.full((28, 28), 40 * index, np.uint8)).save(tmp_path / folder / f"{index}.png")
    train, val = (MnistData().open(tmp_path, split, 0)["real"] for split in ("train", "val"))
    assert (train.take([0, 1, 2]).shape, len(val)) == ((3, 32, 32, 1), 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No images were found"):
        MnistData().open(tmp_path / "empty", "train", 0)


def test_resize_keeps_images_of_the_right_size():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), np.uint8)
    assert resize(images, 32) is images
