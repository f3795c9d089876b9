"""Data specifications: which directories they read, and what their sources are called."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats.digits import LabeledDigitsData, read_digit_sets
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.image_folder import ImageFolder

FACES = ImageFolderData(
    image_shape=(8, 8, 3),
    training_dirs=("extra/images", "extra", "faces"),
    reference_dirs=("val",),
    synthetic="pipelines.synthetic.anime:SyntheticFaces",
)


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_image_folder_data_reads_training_and_validation_images_apart(tmp_path):
    training, validation = write_images(tmp_path / "anime/faces", 3), write_images(tmp_path / "anime/val", 2)
    data = tmp_path / "anime"
    assert (FACES.training_dir(data), FACES.reference_dir(data)) == (training, validation)
    for split, folder in (("train", training), ("val", validation)):
        source = FACES.open(data, split, 1 << 20)["real"]
        np.testing.assert_array_equal(source.take([0, 1]), ImageFolder(folder, 8).take([0, 1]))
        assert (source.name, source.split) == (f"anime/{folder.name}", split)
        assert f"nothing else in {data} is used" in source.summary
        assert source.digest == ImageFolder(folder, 8).digest
    assert FACES.open(data, "train", 0)["real"].memory_bytes == 0


def test_image_folder_data_prefers_the_first_directory(tmp_path):
    for name in ("extra/images", "faces"):
        write_images(tmp_path / name, 1)
    assert FACES.training_dir(tmp_path) == tmp_path / "extra/images"


def test_image_folder_data_without_known_directories_reads_the_folder_itself(tmp_path):
    data = write_images(tmp_path / "my faces", 2)
    source = FACES.open(data, "train", 1 << 20)["real"]
    assert (len(source), source.name) == (2, "my faces")
    assert "nothing else" not in source.summary
    assert FACES.reference_dir(data) is None
    with pytest.raises(UserError, match="no folder of validation images"):
        FACES.open(data, "val", 1 << 20)


def write_mnist(folder: Path) -> None:
    folder.mkdir(parents=True)
    for prefix, count in (("train", 6), ("t10k", 2)):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
        header = np.array([count, 28, 28], ">u4").tobytes()
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + header + pixels.tobytes())
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + header[:4] + bytes(range(count)))


def test_labeled_digits_data_joins_mnist_and_mnistm(tmp_path):
    """MNIST-M's 2 training images are repeated to be about as many as MNIST's 6; validation images are not."""
    write_mnist(tmp_path / "mnist")
    write_images(tmp_path / "mnistm/data", 3)
    (tmp_path / "mnistm/train.csv").write_text("image_name,label\n0.png,7\n1.png,8\n")
    (tmp_path / "mnistm/val.csv").write_text("image_name,label\n2.png,9\n")
    spec = LabeledDigitsData()
    training, validation = (spec.open(tmp_path, split, 1 << 20)["real"] for split in ("train", "val"))
    assert (training.name, training.split) == (validation.name, "train") == ("mnist-mnistm", "train")
    assert validation.split == "val"
    assert training.labels.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 7, 8, 7, 8]
    assert validation.labels.tolist() == [0, 1, 9]
    assert [images.split for images in read_digit_sets(tmp_path, "val")] == ["val", "val"]
    assert spec.training_dir(tmp_path) == tmp_path
    assert spec.reference_dir(tmp_path) is None


@pytest.mark.parametrize(("spec", "shape"), [(FACES, (64, 64, 3)), (LabeledDigitsData(), (28, 28, 3))])
def test_open_synthetic_returns_images_without_data(spec, shape):
    sources = spec.open_synthetic()
    sample = sources["real"].take([0])
    assert set(sources) == {"real"}
    assert (sample["image"] if isinstance(sample, dict) else sample).shape == (1, *shape)
    assert sources["real"].name == "synthetic"


def test_data_specs_import_no_tensorflow():
    modules = "pipelines.errors, pipelines.source, pipelines.formats.digits, pipelines.formats.image_dirs"
    code = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
