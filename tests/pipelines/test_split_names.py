"""Names of folders of training and validation images, and folders that must not be trained on, in every format."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats import class_folders
from pipelines.formats.cifar10 import Cifar10Data
from pipelines.formats.domains import DomainData
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.formats.mnist import MnistData
from pipelines.formats.unpaired import UnpairedData
from pipelines.formats.voc import VocData
from pipelines.source import DataSpec
from pipelines.split_names import check_training_folder, find_split_dir, is_held_out, split_of

FACES = ImageFolderData((8, 8, 3), "pipelines.synthetic.anime:SyntheticFaces")
SPECS = {"folder": FACES, "voc": VocData(FACES), "cifar10": Cifar10Data(), "mnist": MnistData()}


def write_images(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng([seed, index]).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize("name", ["val", "VAL", "valid", "test", "testing", "eval", "holdout", "val2017", "test_set", "testA"])
def test_split_of_validation_names_is_val(name):
    assert is_held_out(name)
    assert is_held_out(f"extra_{name}") == (name in ("val", "VAL", "valid", "test", "testing", "eval", "holdout"))


@pytest.mark.parametrize(
    "name", ["latest", "contest", "valley", "testers", "value", "tests", "trainval", "evaluated", "images", ""]
)
def test_split_of_other_names_is_none(name):
    assert split_of(name) is None


@pytest.mark.parametrize("name", ["train", "Train", "training_set", "train2017", "trainB", "faces_train"])
def test_split_of_training_names_is_train(name):
    assert split_of(name)[0] == "train"


def test_find_split_dir_prefers_plain_names_and_leaves_equal_ones_undecided(tmp_path):
    for name in ("testA", "testB", "notes"):
        (tmp_path / name).mkdir()
    assert find_split_dir(tmp_path, "val") is None
    assert find_split_dir(tmp_path, "train") is None
    (tmp_path / "val_images").mkdir()
    assert find_split_dir(tmp_path, "val") == tmp_path / "val_images"
    (tmp_path / "Test").mkdir()
    assert find_split_dir(tmp_path, "val") == tmp_path / "Test"


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("training", ["train", "training_set", "train2017"])
@pytest.mark.parametrize("place", ["val/cats", "val/deep/er/cats", "Test/cats", "val2017/cats", "data_val/cats"])
def test_open_below_validation_images_beside_training_images_is_refused(tmp_path, spec: DataSpec, training, place):
    write_images(tmp_path / training, 3)
    write_images(tmp_path / place, 2)
    with pytest.raises(UserError, match=f"held out from training on .*/{training}"):
        spec.open(tmp_path / place, "train", 1 << 20)
    (tmp_path / "link").symlink_to(tmp_path / place)
    with pytest.raises(UserError, match="held out"):
        spec.open(tmp_path / "link", "train", 1 << 20)


def test_open_validation_images_inside_training_images_is_refused(tmp_path):
    write_images(tmp_path / "train/cats", 3)
    write_images(tmp_path / "train/val/cats", 2)
    with pytest.raises(UserError, match=f"held out from training on {tmp_path / 'train'}"):
        FACES.open(tmp_path / "train/val/cats", "train", 1 << 20)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("place", ["val", "val/cats", "test_set/cats"])
def test_open_named_like_validation_images_without_training_images_says_so_and_has_no_reference(tmp_path, spec, place):
    write_images(tmp_path / place, 3)
    source = spec.open(tmp_path / place, "train", 1 << 20)["real"]
    assert len(source) == 3
    assert f"trained on although it lies in {place.split('/')[0]}/" in source.summary
    assert not FACES.has_validation(tmp_path / place)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", ["val2017", "test_images", "extra_val", "testA"])
def test_open_a_folder_with_validation_images_under_names_with_additions_holds_them_out(tmp_path, spec, name):
    write_images(tmp_path / "a", 3)
    write_images(tmp_path / name, 2, seed=1)
    source = spec.open(tmp_path, "train", 1 << 20)["real"]
    assert {path.parent.name for path in source.paths} == {"a"}
    assert f"held out: {name}/" in source.summary
    assert {path.parent.name for path in spec.open(tmp_path, "val", 1 << 20)["real"].paths} == {name}


def test_open_folders_of_two_domains_as_one_holds_out_both_of_validation(tmp_path):
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_images(tmp_path / name, 2, seed)
    source = FACES.open(tmp_path, "train", 1 << 20)["real"]
    assert {path.parent.name for path in source.paths} == {"trainA", "trainB"}


def test_unpaired_data_holds_out_validation_images_inside_a_domain_and_finds_any_name(tmp_path):
    for seed, name in enumerate(("trainA", "trainB", "trainA/test", "valA", "valB")):
        write_images(tmp_path / name, 2, seed)
    data = UnpairedData(8)
    assert data.has_validation(tmp_path)
    train = data.open(tmp_path, "train", 1 << 20)
    assert {path.parent.name for path in train["a"].paths} == {"trainA"}
    assert "held out: trainA/test" in train["a"].summary
    assert {path.parent.name for path in data.open(tmp_path, "val", 1 << 20)["b"].paths} == {"valB"}


def write_classes(folder: Path, seed: int) -> None:
    for number, name in enumerate(("cats", "dogs")):
        write_images(folder / name, 2, 10 * seed + number)


@pytest.mark.parametrize("phase", ["adapt", "target"])
def test_domain_data_named_validation_images_beside_training_images_are_refused(tmp_path, phase):
    write_classes(tmp_path / "train", 0)
    write_classes(tmp_path / "test", 1)
    data = DomainData("folder", phase, ("cats", "dogs"))
    folders = {"source": tmp_path / "train", "target": tmp_path / "test"}
    with pytest.raises(UserError, match="held out from training on"):
        data.open_folders(folders, "train", 1 << 20)


def test_class_folders_with_validation_images_in_each_class_hold_them_out(tmp_path):
    write_classes(tmp_path, 0)
    write_images(tmp_path / "cats/val", 3, 7)
    images = class_folders.read_labeled(tmp_path, "train", ("cats", "dogs"), (8, 8, 3))
    assert images.labels.tolist() == [0, 0, 1, 1]


def test_class_folders_under_names_with_additions_are_found(tmp_path):
    write_classes(tmp_path / "training_set", 0)
    write_classes(tmp_path / "test_set", 1)
    assert class_folders.class_names(tmp_path) == ("cats", "dogs")
    assert len(class_folders.read_unlabeled(tmp_path, (8, 8, 3))) == 4
    assert class_folders.find_split(tmp_path, "val") == tmp_path / "test_set"


def test_class_names_of_more_classes_than_labels_can_tell_apart_are_refused(tmp_path):
    for number in range(257):
        (tmp_path / f"{number:03d}").mkdir()
    with pytest.raises(UserError, match="257 class folders, but at most 256 are possible"):
        class_folders.class_names(tmp_path)
    (tmp_path / "000").rmdir()
    assert len(class_folders.class_names(tmp_path)) == 256


def test_check_training_folder_of_a_plain_folder_has_nothing_to_say(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "more").mkdir()
    assert check_training_folder(tmp_path / "more") == ""
    assert check_training_folder(tmp_path / "train") == ""
