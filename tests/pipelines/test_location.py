"""What --data names: folders, and data sets of tensorflow-datasets."""

from pathlib import Path

import pytest

from gan_tf.tasks import ANIME, CIFAR10
from pipelines.errors import UserError
from pipelines.location import TfdsLocation, describe_locations, has_validation, open_data, parse_location
from pipelines.source import DataSpec

LOCATIONS = {
    "tfds": TfdsLocation(),
    "tfds:mnist": TfdsLocation("mnist"),
    "tfds@/data/a@b": TfdsLocation(None, Path("/data/a@b")),
    "tfds:cycle_gan/summer2winter_yosemite:3.0.0@here": TfdsLocation("cycle_gan/summer2winter_yosemite:3.0.0", Path("here")),
    "faces": Path("faces"),
    "./tfds": Path("./tfds"),
    "tfds/mnist": Path("tfds/mnist"),
    "/data/tfds:mnist": Path("/data/tfds:mnist"),
}


@pytest.mark.parametrize("text", LOCATIONS)
def test_parse_location_is_the_inverse_of_str(text):
    location = parse_location(text)
    assert location == LOCATIONS[text]
    assert parse_location(str(location.resolve())) == location.resolve()


@pytest.mark.parametrize("text", ["tfds:", "tfds:@/data", "tfds@", "tfds:huggingface:mnist", "tfds:a b", "tfds:/mnist"])
def test_parse_location_without_a_name_is_refused(text):
    with pytest.raises(UserError, match=r"is not tfds\[:NAME\]\[@DIR\]"):
        parse_location(text)


def test_parse_location_of_an_unknown_user_is_refused():
    with pytest.raises(UserError, match="names a user who has no home folder"):
        parse_location("tfds@~no-such-user/data")


def test_parse_location_resolves_the_home_and_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert parse_location("tfds@~/data") == TfdsLocation(None, tmp_path / "data")
    assert str(parse_location("tfds:mnist@data").resolve()) == f"tfds:mnist@{tmp_path / 'data'}"


class FoldersOnly(DataSpec):
    """Reads no data set of tensorflow-datasets."""

    layout = "files"

    def open(self, path, split, memory_budget):
        return {}

    def open_synthetic(self):
        return {}

    def has_validation(self, path):
        return False


def test_open_data_of_a_task_that_reads_folders_only_refuses_tfds(tmp_path):
    assert open_data(FoldersOnly(), tmp_path, "train", 0) == {}
    assert describe_locations(FoldersOnly()) == "a folder with files"
    for function in (
        lambda: open_data(FoldersOnly(), TfdsLocation(), "train", 0),
        lambda: has_validation(FoldersOnly(), TfdsLocation()),
    ):
        with pytest.raises(UserError, match="--data tfds does not apply to this task"):
            function()


def test_describe_locations_names_the_tasks_own_data_set():
    assert describe_locations(CIFAR10.data).endswith("or tfds[:NAME][@DIR]: tensorflow-datasets' cifar10")
    assert describe_locations(ANIME.data).endswith("tensorflow-datasets' data set NAME")
