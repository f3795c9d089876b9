"""Data specifications: which directories they read, and what their sources are called."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats.digits import LabeledDigitsData, read_digit_sets
from pipelines.formats.image_dirs import FolderPair, ImageFolderData
from pipelines.image_folder import ImageFolder
from pipelines.synthetic import anime

FACES = ImageFolderData(
    image_shape=(8, 8, 3),
    synthetic="pipelines.synthetic.anime:SyntheticFaces",
    pairs=(FolderPair("extra/images", "extra_val"), FolderPair("faces", "val")),
)


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def open_split(data: Path, split: str):
    return FACES.open(data, split, 1 << 20)["real"]


def test_image_folder_data_reads_training_and_validation_images_apart(tmp_path):
    data = tmp_path / "anime"
    training, validation = write_images(data / "faces", 3), write_images(data / "val", 2)
    assert FACES.has_validation(data)
    for split, folder in (("train", training), ("val", validation)):
        source = open_split(data, split)
        np.testing.assert_array_equal(source.take([0, 1]), ImageFolder(folder, 8).take([0, 1]))
        assert (source.name, source.split) == (f"anime/{folder.name}", split)
        assert source.digest == ImageFolder(folder, 8).digest
    assert FACES.open(data, "train", 0)["real"].memory_bytes == 0


def test_image_folder_data_prefers_the_first_pair_and_its_own_validation_images(tmp_path):
    for name in ("faces", "val", "extra/images", "extra_val", "notes"):
        write_images(tmp_path / name, 1)
    training = open_split(tmp_path, "train")
    assert training.name == f"{tmp_path.name}/extra/images"
    assert open_split(tmp_path, "val").name == f"{tmp_path.name}/extra_val"
    assert training.summary.endswith("held out: extra_val/; not used: faces, notes, val")


def test_image_folder_data_without_known_folders_reads_the_folder_itself(tmp_path):
    data = write_images(tmp_path / "my faces", 2)
    source = open_split(data, "train")
    assert (len(source), source.name) == (2, "my faces")
    assert "not used" not in source.summary
    assert not FACES.has_validation(data)
    with pytest.raises(UserError, match="no folder of validation images"):
        open_split(data, "val")


@pytest.mark.parametrize("training", ["train", "Train", "training", "images", "one/two", ""])
@pytest.mark.parametrize("validation", ["val", "VAL", "valid", "validation", "test", "deep/val", "extra_val"])
def test_image_folder_data_never_trains_on_validation_images(tmp_path, training, validation):
    """Whatever the folders are called, the two splits share no file, and together they have all."""
    write_images(tmp_path / "data" / training / "a", 3)
    write_images(tmp_path / "data" / validation, 2)
    data = tmp_path / "data"
    train, val = open_split(data, "train"), open_split(data, "val")
    held_out = {path.relative_to(data) for path in val.paths}
    assert held_out == {Path(validation, f"{index}.png") for index in range(2)}
    assert {path.relative_to(data) for path in train.paths} == {Path(training, "a", f"{index}.png") for index in range(3)}
    assert f"held out: {validation}/" in train.summary


def test_image_folder_data_holds_out_folders_inside_the_training_folder(tmp_path):
    write_images(tmp_path / "train/cats", 2)
    write_images(tmp_path / "train/test", 1)
    source = open_split(tmp_path, "train")
    assert len(source) == 2
    assert "held out: train/test/" in source.summary


@pytest.mark.parametrize(
    ("link", "target", "data"),
    [
        ("train/more", "val", "."),
        ("train/0-copy.png", "val/0.png", "."),
        ("train/more", "val", "train"),
        ("more", "val/deep", "."),
        ("train/more", "train/sub/Test", "."),
    ],
)
def test_image_folder_data_with_links_to_validation_images_never_trains_on_them(tmp_path, link, target, data):
    write_images(tmp_path / "train", 3)
    write_images(tmp_path / "val", 2)
    write_images(tmp_path / "val/deep", 2)
    write_images(tmp_path / "train/sub/Test", 1)
    (tmp_path / link).symlink_to(tmp_path / target)
    source = open_split(tmp_path / data, "train")
    assert {path.resolve() for path in source.paths} == {tmp_path / "train" / f"{index}.png" for index in range(3)}


def test_image_folder_data_with_a_linked_validation_folder_holds_out_its_images(tmp_path):
    """The folder is outside or a folder of another name among the training images; other links to it are held out too."""
    write_images(tmp_path / "data/a", 3)
    write_images(tmp_path / "elsewhere", 2)
    (tmp_path / "data/val").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/more").symlink_to(tmp_path / "elsewhere")
    source = open_split(tmp_path / "data", "train")
    assert len(source) == 3
    assert "held out: more/, val/" in source.summary
    (tmp_path / "data/val").unlink()
    (tmp_path / "data/val").symlink_to("a")
    assert {path.parent.name for path in open_split(tmp_path / "data", "train").paths} == {"more"}


def test_image_folder_data_with_validation_images_only_says_so(tmp_path):
    write_images(tmp_path / "val", 2)
    with pytest.raises(UserError, match=r"but in val, which is held out from training. Put training images into .*train"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize("training", ["train", "Training", "faces", "extra/images"])
@pytest.mark.parametrize("validation", ["val", "TEST", "extra_val"])
@pytest.mark.parametrize("link", [False, True])
def test_image_folder_data_named_validation_images_beside_their_training_images_are_refused(
    tmp_path, training, validation, link, monkeypatch
):
    write_images(tmp_path / "data" / training, 3)
    data = write_images(tmp_path / "data" / validation, 2)
    if link:
        (tmp_path / "mine").symlink_to(data)
        data = tmp_path / "mine"
    with pytest.raises(UserError, match=f"held out from training on .*data/{training}") as error:
        open_split(data, "train")
    assert f"Name the folder of both, {tmp_path / 'data'}, by --data" in error.value.hint
    monkeypatch.chdir(data)
    with pytest.raises(UserError, match="held out"):
        open_split(Path(), "train")


def test_image_folder_data_called_like_validation_images_without_training_images_beside_it_is_read(tmp_path):
    write_images(tmp_path / "test", 2)
    assert len(open_split(tmp_path / "test", "train")) == 2
    write_images(tmp_path / "val/train", 3)  # a data set of its own
    write_images(tmp_path / "train", 1)
    assert len(open_split(tmp_path / "val", "train")) == 3
    with pytest.raises(UserError, match="no folder"):
        open_split(tmp_path / "validation", "train")


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


@pytest.mark.parametrize(("spec", "shape"), [(FACES, (64, 64, 3)), (LabeledDigitsData(), (28, 28, 3))])
def test_open_synthetic_returns_images_without_data(spec, shape, monkeypatch):
    monkeypatch.setattr(anime, "SyntheticFaces", functools.partial(anime.SyntheticFaces, 3))  # instead of thousands
    sources = spec.open_synthetic()
    sample = sources["real"].take([0])
    assert set(sources) == {"real"}
    assert (sample["image"] if isinstance(sample, dict) else sample).shape == (1, *shape)
    assert sources["real"].name == "synthetic"


def test_data_specs_import_no_tensorflow():
    modules = "pipelines.errors, pipelines.source, pipelines.formats.digits, pipelines.formats.image_dirs"
    code = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
