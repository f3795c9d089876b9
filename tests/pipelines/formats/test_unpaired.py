"""Two domains in trainA, trainB, testA and testB: where they are found, and what is said where they are not."""

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats.unpaired import UnpairedData

SPEC = UnpairedData(size=16, names=("yosemite",))


def write_images(folder, count: int, shape: tuple[int, ...] = (20, 24, 3)) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng([*folder.name.encode(), i]).integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.fixture
def data(tmp_path):
    """A folder with 3 and 2 training images and one test image of each domain."""
    for name, count in (("trainA", 3), ("trainB", 2), ("testA", 1), ("testB", 1)):
        write_images(tmp_path / name, count)
    return tmp_path


@pytest.mark.parametrize(("split", "counts"), [("train", {"a": 3, "b": 2}), ("val", {"a": 1, "b": 1})])
def test_open_reads_both_domains(data, split, counts):
    sources = SPEC.open(data, split, 1 << 20)
    assert {name: len(source) for name, source in sources.items()} == counts
    folder = "train" if split == "train" else "test"
    assert [source.name for source in sources.values()] == [f"{data.name}/{folder}{domain}" for domain in "AB"]
    assert {source.split for source in sources.values()} == {split}
    assert sources["a"].take([0]).shape == (1, 16, 16, 3)
    assert sources["a"].digest != sources["b"].digest


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_open_within_any_memory_budget_gives_the_same_images(data, budget):
    expected = SPEC.open(data, "train", 1 << 30)["b"].take([1, 0])
    np.testing.assert_array_equal(SPEC.open(data, "train", budget)["b"].take([1, 0]), expected)


def test_open_finds_the_data_set_by_its_name_and_in_any_case(data):
    (data / "trainA").rename(data / "traina")
    outer = data.parent / "outer"
    outer.mkdir()
    data.rename(outer / "Yosemite")
    assert len(SPEC.open(outer, "train", 1 << 20)["a"]) == 3
    assert SPEC.has_validation(outer)


def test_has_validation_needs_both_domains(data):
    assert SPEC.has_validation(data)
    (data / "testB/0.png").unlink()
    (data / "testB").rmdir()
    assert not SPEC.has_validation(data)


def test_open_without_a_domain_says_what_was_found(data):
    (data / "trainB").rename(data / "winter")
    with pytest.raises(UserError) as error:
        SPEC.open(data, "train", 1 << 20)
    assert error.value.problem == f"{data} has no folder trainB; it holds only testA, testB, trainA, winter"
    assert f"{data / 'trainA'} and {data / 'trainB'}" in error.value.hint


@pytest.mark.parametrize(
    ("name", "words"), [("empty", "holds nothing"), ("nowhere", "does not exist"), ("file", "is not a folder")]
)
def test_open_of_no_data_set_is_refused(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=words):
        SPEC.open(tmp_path / name, "train", 1 << 20)


def test_open_with_a_domain_without_images_is_refused(data):
    for path in (data / "trainB").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"No images were found in .*trainB"):
        SPEC.open(data, "train", 1 << 20)


def test_open_reads_gray_tiny_and_transparent_images(tmp_path):
    write_images(tmp_path / "trainA", 1, (8, 8))
    write_images(tmp_path / "trainB", 1, (30, 20, 4))
    for source in SPEC.open(tmp_path, "train", 1 << 20).values():
        assert source.take([0]).shape == (1, 16, 16, 3)


def test_open_synthetic_gives_a_green_and_a_white_domain_of_different_size():
    sources = UnpairedData(size=32).open_synthetic()
    assert len(sources["a"]) != len(sources["b"])
    summer, winter = (np.asarray(sources[name].take(range(40)), np.float64)[:, 16:] for name in ("a", "b"))  # below the sky
    greenness = [images[..., 1] - images[..., (0, 2)].mean(axis=-1) for images in (summer, winter)]
    assert greenness[0].mean((1, 2)).min() > greenness[1].mean((1, 2)).max() + 20
    assert winter.mean((1, 2, 3)).min() > summer.mean((1, 2, 3)).max()
    assert sources["a"].take([0]).shape == (1, 32, 32, 3)
    assert len({image.tobytes() for image in summer}) == 40
