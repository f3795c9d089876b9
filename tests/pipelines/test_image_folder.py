"""Folders of images against the standard library and against ``decode``, one file at a time."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.decode import decode
from pipelines.errors import UserError, user_error_from
from pipelines.image_folder import ImageFolder
from pipelines.image_listing import SUFFIXES, list_images

SIDE = 8


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# Listing


def test_list_images_equals_a_walk_of_the_standard_library(tmp_path):
    for name in ("b.jpg", "a/z.PNG", "a/b/c/d.Jpeg", "a.webp", "a-b/x.bmp", "B.JPG", "10.png", "9.png", "ä.png"):
        save(tmp_path / name, noise(2, 2, 3), format="PNG")
    for name in (".hidden.png", ".cache/x.png", "a/._z.png", "notes.txt", "a/labels.csv", "jpg"):
        save(tmp_path / name, noise(2, 2, 3), format="PNG")
    relative = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    expected = [
        name
        for name in relative
        if os.path.splitext(name)[1].lower() in SUFFIXES and not any(part.startswith(".") for part in name.split("/"))
    ]
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == sorted(expected)
    assert len(expected) == 9


def test_list_images_with_circular_links_visits_each_folder_once(tmp_path):
    save(tmp_path / "a/x.png", noise(2, 2, 3))
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
    assert list_images(tmp_path) == [tmp_path / "a/x.png"]


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        ("missing", ("There is no folder", "exists as far as")),
        ("file", ("is not a folder", "Give a folder")),
        ("empty", ("No images were found", "it is empty", ".jpg, .jpeg, .png, .bmp, .webp")),
        ("others", ("No images were found", "3 other files (2 .txt, 1 .csv)", "Convert them")),
    ],
)
def test_image_folder_of_a_wrong_folder_is_an_error_of_one_line(tmp_path, case, parts):
    folder = tmp_path / "data"
    if case == "file":
        folder.write_text("")
    elif case != "missing":
        folder.mkdir()
    if case == "others":
        for name in ("a.txt", "b.TXT", "c.csv"):
            (folder / name).write_text("")
    with pytest.raises(UserError) as caught:
        ImageFolder(folder, SIDE)
    line = str(caught.value)
    assert str(folder) in line
    assert "\n" not in line
    assert all(part in line for part in parts)


# A folder as a source


@pytest.fixture
def folder(tmp_path) -> Path:
    """Nine readable images of many kinds and eight damaged ones, of which ``c-3.png`` and ``z-8.png`` have a valid header."""
    root = tmp_path / "my images"
    for number in range(9):
        kind = ("png", "jpg", "webp")[number % 3]
        save(root / f"d{number % 2}/good-{number}.{kind}", noise(10 + number, 12, 3, seed=number))
    for number in range(6):
        (root / f"bad-{number}.jpg").write_bytes(b"")
    for name in ("c-3.png", "z-8.png"):
        path = save(root / name, noise(64, 64, 3))
        path.write_bytes(path.read_bytes()[:5000])
    return root


def good(folder: Path) -> list[Path]:
    return [path for path in list_images(folder) if path.name.startswith("good")]


def test_image_folder_in_memory_leaves_out_and_names_unreadable_files(folder):
    source = ImageFolder(folder, SIDE)
    assert source.paths == good(folder)
    assert len(source) == 9
    assert source.memory_bytes == 9 * SIDE * SIDE * 3
    assert source.name == "my-images"
    assert "\n" not in source.summary
    assert "8 unreadable files left out" in source.summary
    assert all(f"bad-{number}.jpg (empty file)" in source.summary for number in range(5))
    assert "bad-5.jpg" not in source.summary
    assert "and 3 more" in source.summary


@pytest.mark.parametrize("channels", [1, 3])
def test_take_in_memory_and_on_access_equals_decode(folder, channels):
    for name in ("c-3.png", "z-8.png"):
        (folder / name).unlink()
    expected = np.stack([decode(path, SIDE, channels) for path in good(folder)])
    for budget in (2 << 30, 0):
        source = ImageFolder(folder, SIDE, channels, memory_budget=budget)
        assert (source.memory_bytes == 0) == (budget == 0)
        np.testing.assert_array_equal(source.take(range(9)), expected)
        np.testing.assert_array_equal(source.take(tf.constant([8, 0, 0, 3], tf.int64)), expected[[8, 0, 0, 3]])


@pytest.mark.parametrize("budget", [2 << 30, 0])
def test_take_in_a_dataset_equals_take_eagerly(folder, budget):
    source = ImageFolder(folder, SIDE, memory_budget=budget)
    steps = tf.data.Dataset.range(5).map(lambda step: source.take((step * 4 + tf.range(4, dtype=tf.int64)) % 9))
    assert steps.element_spec == tf.TensorSpec((4, SIDE, SIDE, 3), tf.uint8)
    for step, images in enumerate(steps):
        np.testing.assert_array_equal(images, source.take([(step * 4 + k) % 9 for k in range(4)]))


@pytest.mark.parametrize("budget", [2 << 30, 0])
@pytest.mark.parametrize("index", [-1, 1000])
def test_take_of_an_index_out_of_range_is_an_error(folder, budget, index):
    source = ImageFolder(folder, SIDE, memory_budget=budget)
    with pytest.raises(ValueError, match="indices"):
        source.take([0, index])
    with pytest.raises(tf.errors.InvalidArgumentError, match="indices"):
        list(tf.data.Dataset.from_tensors([0, index]).map(source.take))


def test_memory_budget_is_exact_to_the_byte(folder):
    needed = len(list_images(folder)) * SIDE * SIDE * 3
    assert ImageFolder(folder, SIDE, memory_budget=needed).memory_bytes > 0
    source = ImageFolder(folder, SIDE, memory_budget=needed - 1)
    assert source.memory_bytes == 0
    assert "only headers were checked" in source.summary


def test_take_of_a_file_found_damaged_later_returns_the_next(folder, caplog):
    source = ImageFolder(folder, SIDE, memory_budget=0)
    assert "6 unreadable files left out" in source.summary
    names = [path.name for path in source.paths]
    first, last = names.index("c-3.png"), names.index("z-8.png")
    assert (first, last) == (0, 10)
    taken = source.take([last, first, 1])
    np.testing.assert_array_equal(taken, [decode(source.paths[1], SIDE)] * 3)  # after the last comes the first
    np.testing.assert_array_equal(ImageFolder(folder, SIDE, memory_budget=0).take([1, first, last]), taken)
    assert "2 damaged files replaced by the next" in source.summary
    source.take([first])
    logged = [record.getMessage() for record in caplog.records if "c-3.png" in record.getMessage()]
    assert len(logged) == 2  # once for each source


def test_take_after_the_folder_vanished_is_an_error_eagerly_and_in_a_graph(folder):
    source = ImageFolder(folder, SIDE, memory_budget=0)
    for path in source.paths:
        path.unlink()
    with pytest.raises(UserError, match="11 images in a row have become unreadable") as caught:
        source.take([0])
    with pytest.raises(tf.errors.UnknownError) as caught_in_graph:
        list(tf.data.Dataset.from_tensors([0]).map(source.take))
    assert str(user_error_from(caught_in_graph.value)) == str(caught.value)


@pytest.mark.parametrize("budget", [2 << 30, 0])
def test_image_folder_without_readable_images_is_an_error(tmp_path, budget):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.jpg").write_text("text")
    with pytest.raises(UserError, match=r"None of the 2 images .* a\.png \(empty file\), b\.jpg \(not an image"):
        ImageFolder(tmp_path, SIDE, memory_budget=budget)


@pytest.mark.parametrize("budget", [1 << 20, 0])
def test_digest_is_that_of_relative_paths_and_contents(folder, budget):
    for name in ("c-3.png", "z-8.png"):  # whether they are noticed depends on the budget
        (folder / name).unlink()
    digest = ImageFolder(folder, SIDE, memory_budget=budget).digest
    expected = hashlib.sha256()
    for path in good(folder):
        expected.update(path.relative_to(folder).as_posix().encode() + b"\0")
        expected.update(hashlib.sha256(path.read_bytes()).digest())
    assert digest == expected.hexdigest()
    moved = folder.rename(folder.parent / "moved")
    assert ImageFolder(moved, 2 * SIDE, memory_budget=budget).digest == digest


@pytest.mark.parametrize("budget", [1 << 20, 0])
def test_digest_of_an_image_exchanged_in_place_is_another(folder, budget):
    """The other image has the same name, the same number of bytes and the same times."""
    path = good(folder)[0]
    save(path, np.zeros((4, 4, 3), np.uint8), format="BMP")
    digest, status = ImageFolder(folder, SIDE, memory_budget=budget).digest, path.stat()
    save(path, np.ones((4, 4, 3), np.uint8), format="BMP")
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert ImageFolder(folder, SIDE, memory_budget=budget).digest != digest


def test_image_folder_with_checked_pixels_leaves_out_what_only_decoding_finds(folder):
    checked, headers = (ImageFolder(folder, SIDE, memory_budget=0, check_pixels=check) for check in (True, False))
    assert checked.paths == good(folder)
    assert len(headers) == len(checked) + 2
    assert "only headers" not in checked.summary


def test_image_folder_of_its_own_size_keeps_the_pixels(tmp_path):
    images = noise(3, 5, 7, 3)
    for index, image in enumerate(images):
        save(tmp_path / f"{index}.png", image)
    for budget in (1 << 20, 0):
        source = ImageFolder(tmp_path, None, memory_budget=budget)
        np.testing.assert_array_equal(source.take([0, 1, 2]), images)
        assert "3 images of 7x5x3" in source.summary


def test_image_folder_of_several_own_sizes_is_refused_by_name_before_anything_is_scored(tmp_path):
    for index in range(4):
        save(tmp_path / f"{index}.png", noise(6, 8, 3) if index == 2 else noise(5, 7, 3))
    for budget in (1 << 20, 0):
        with pytest.raises(UserError, match=r"3 of 4 have 7x5 pixels, but 2.png has 8x6. Name one size"):
            ImageFolder(tmp_path, None, memory_budget=budget)


def test_summary_says_what_is_resized_and_enlarged(tmp_path):
    for index, (height, width) in enumerate(((SIDE, SIDE), (20, 30), (4, 30), (20, 30))):
        save(tmp_path / f"{index}.png", noise(height, width, 3))
    assert "3 resized and cropped from 2 other sizes, 1 of them enlarged" in ImageFolder(tmp_path, SIDE).summary
    for index in (0, 2):
        (tmp_path / f"{index}.png").unlink()
    assert "2 resized and cropped from 30x20, held" in ImageFolder(tmp_path, SIDE).summary
