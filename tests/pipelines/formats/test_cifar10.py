"""CIFAR-10 in each of its layouts, with fewer images."""

import io
import json
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats import cifar10_files as cifar10
from pipelines.formats.cifar10 import Cifar10Data
from pipelines.formats.cifar10_files import read_cifar10
from pipelines.formats.cifar10_pickle import read_batch

COUNT = 20


@pytest.fixture
def images(monkeypatch):
    monkeypatch.setattr(cifar10, "_PER_FILE", COUNT)
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6 * COUNT, 32, 32, 3), np.uint8), rng.integers(0, 10, 6 * COUNT).astype(np.uint8)


def parts(images, labels):
    for i in range(6):
        name = "test_batch" if i == 5 else f"data_batch_{i + 1}"
        yield name, images[i * COUNT : (i + 1) * COUNT], labels[i * COUNT : (i + 1) * COUNT]


def write_binary(folder, images, labels):
    for name, some, some_labels in parts(images, labels):
        records = np.concatenate([some_labels[:, None], some.transpose(0, 3, 1, 2).reshape(COUNT, -1)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_npm(folder, images, labels):
    for name, some, _ in parts(images, labels):
        Image.fromarray(some.reshape(COUNT, 1024, 3)).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps(labels[: 5 * COUNT].tolist()))
    (folder / "test_lables.json").write_text(json.dumps(labels[5 * COUNT :].tolist()))


class Python2Pickler(pickle._Pickler):
    """Pickles bytes as Python 2 did its strings, so that the files are like the official ones."""

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_bytes}  # noqa: RUF012


def write_python(folder, images, labels):
    for name, some, some_labels in parts(images, labels):
        data = np.ascontiguousarray(some.transpose(0, 3, 1, 2)).reshape(COUNT, -1)
        content = {
            b"batch_label": name.encode(),
            b"labels": some_labels.tolist(),
            b"data": data,
            b"filenames": [b"a.png"] * COUNT,
        }
        with open(folder / name, "wb") as file:
            Python2Pickler(file, protocol=2).dump(content)


@pytest.mark.parametrize("write", [write_binary, write_npm, write_python])
@pytest.mark.parametrize("packed", [True, False])
def test_read_cifar10_of_each_layout_and_its_archive(tmp_path, images, write, packed):
    folder = tmp_path / "package"
    folder.mkdir()
    write(folder, *images)
    source = tmp_path
    if packed:
        source = tmp_path / "c.tgz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(folder, "package")
    for part, cut in (("train", slice(0, 5 * COUNT)), ("test", slice(5 * COUNT, None))):
        read, labels = read_cifar10(source, part)
        np.testing.assert_array_equal(read, images[0][cut])
        np.testing.assert_array_equal(labels, images[1][cut])
        assert (read.dtype, labels.dtype) == (np.uint8, np.uint8)


def test_read_cifar10_of_a_damaged_xz_archive_is_an_error(tmp_path, images):
    (tmp_path / "package").mkdir()
    write_binary(tmp_path / "package", *images)
    with tarfile.open(tmp_path / "c.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "package", "package")
    content = bytearray((tmp_path / "c.tar.xz").read_bytes())
    assert read_cifar10(tmp_path / "c.tar.xz", "test")[0].shape[0] == COUNT
    for at in range(16, len(content), len(content) // 10):
        damaged = content.copy()
        damaged[at] ^= 0xFF
        (tmp_path / "c.tar.xz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"c\.tar\.xz"):
            read_cifar10(tmp_path / "c.tar.xz", "test")


def test_read_cifar10_of_missing_files_is_an_error(tmp_path):
    with pytest.raises(UserError, match="npm pack"):
        read_cifar10(tmp_path, "train")
    with pytest.raises(UserError, match="nowhere"):
        read_cifar10(tmp_path / "nowhere", "train")


@pytest.mark.parametrize("damage", [b"short", b""])
def test_read_cifar10_of_damaged_files_is_an_error(tmp_path, images, damage):
    write_binary(tmp_path, *images)
    (tmp_path / "test_batch.bin").write_bytes(damage)
    with pytest.raises(UserError, match="test_batch"):
        read_cifar10(tmp_path, "test")


def test_read_cifar10_of_damaged_images_and_labels_is_an_error(tmp_path, images):
    write_npm(tmp_path, *images)
    (tmp_path / "test_lables.json").write_text("[1, 2]")
    with pytest.raises(UserError, match="labels"):
        read_cifar10(tmp_path, "test")
    for content in ("{}", "null", "[null, 1]", "[1e99, 1]", "[" * 100_000):
        (tmp_path / "test_lables.json").write_text(content)
        with pytest.raises(UserError, match="cannot be read as CIFAR-10"):
            read_cifar10(tmp_path, "test")
    (tmp_path / "test_batch.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError):
        read_cifar10(tmp_path, "test")


def test_read_cifar10_of_the_pickled_version_is_an_error(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        archive.addfile(member, io.BytesIO(b""))
    with pytest.raises(UserError, match="lacks"):
        read_cifar10(tmp_path / "cifar-10-python.tar.gz", "train")


class Hostile:
    """Unpickled by Python's own means, it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_read_batch_executes_nothing(tmp_path, protocol):
    for content in (Hostile(tmp_path / "done"), {b"data": Hostile(tmp_path / "done"), b"labels": [1]}):
        with pytest.raises(ValueError, match="no part of CIFAR-10"):
            read_batch(pickle.dumps(content, protocol))
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": np.zeros((2, 3072), np.float32), b"labels": [1, 2]}, 4),
        pickle.dumps({b"data": np.zeros((2, 3000), np.uint8), b"labels": [1, 2]}, 4),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}, 4),
    ],
)
def test_read_batch_of_something_else_raises(content):
    with pytest.raises(ValueError, match="it is no batch of CIFAR-10"):
        read_batch(content)


def test_cifar10_data_reads_files_or_class_folders(tmp_path, images):
    data = Cifar10Data()
    (tmp_path / "files/cifar-10-batches-py").mkdir(parents=True)
    write_python(tmp_path / "files/cifar-10-batches-py", *images)
    assert data.has_validation(tmp_path / "files")
    train, val = (data.open(tmp_path / "files", split, 0)["real"] for split in ("train", "val"))
    np.testing.assert_array_equal(train.take(range(5 * COUNT)), images[0][: 5 * COUNT])
    np.testing.assert_array_equal(val.take(range(COUNT)), images[0][5 * COUNT :])
    for part, count in (("train", 3), ("test", 2)):
        (tmp_path / "folders" / part / "cat").mkdir(parents=True)
        for index in range(count):
            Image.fromarray(images[0][index]).save(tmp_path / "folders" / part / f"cat/{index}.png")
    assert data.has_validation(tmp_path / "folders")
    train, val = (data.open(tmp_path / "folders", split, 0)["real"] for split in ("train", "val"))
    assert (len(train), len(val)) == (3, 2)
    np.testing.assert_array_equal(train.take([1]), images[0][1:2])
