"""Folders of pictures against the standard library and against ``decode``, one file at a time."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.decode import decode
from pipelines.errors import InputError
from pipelines.image_folder import SUFFIXES, Folder, list_images

SIDE = 8


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# Listing


def test_listing_equals_the_standard_librarys_walk(tmp_path):
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


def test_links_that_lead_back_are_followed_once(tmp_path):
    save(tmp_path / "a/x.png", noise(2, 2, 3))
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
    assert list_images(tmp_path) == [tmp_path / "a/x.png"]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("missing", ("no such folder", "exists as far as")),
        ("file", ("not a folder", "give a folder")),
        ("empty", ("no pictures", "it is empty", ".jpg, .jpeg, .png, .bmp, .webp")),
        ("others", ("no pictures", "3 other files (2 .txt, 1 .csv)")),
    ],
)
def test_wrong_folders_are_told_in_one_line(tmp_path, case, said):
    folder = tmp_path / "data"
    if case == "file":
        folder.write_text("")
    elif case != "missing":
        folder.mkdir()
    if case == "others":
        for name in ("a.txt", "b.TXT", "c.csv"):
            (folder / name).write_text("")
    with pytest.raises(InputError) as caught:
        Folder(folder, SIDE)
    line = str(caught.value)
    assert str(folder) in line
    assert "\n" not in line
    assert all(part in line for part in said)


# A folder as a source


@pytest.fixture
def folder(tmp_path) -> Path:
    """Nine good pictures of many kinds and eight that aren't; ``c-3.png`` and ``z-8.png`` have a good header."""
    root = tmp_path / "my pictures"
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


def test_in_memory_unreadable_files_are_left_out_and_named(folder):
    source = Folder(folder, SIDE)
    assert source.paths == good(folder)
    assert len(source) == 9
    assert source.memory_bytes == 9 * SIDE * SIDE * 3
    assert source.name == "my-pictures"
    assert "\n" not in source.summary
    assert "8 unreadable left out" in source.summary
    assert all(f"bad-{number}.jpg (empty file)" in source.summary for number in range(5))
    assert "bad-5.jpg" not in source.summary
    assert "and 3 more" in source.summary


@pytest.mark.parametrize("channels", [1, 3])
def test_both_modes_give_the_bytes_of_decode(folder, channels):
    for name in ("c-3.png", "z-8.png"):
        (folder / name).unlink()
    expected = np.stack([decode(path, SIDE, channels) for path in good(folder)])
    for budget in (2 << 30, 0):
        source = Folder(folder, SIDE, channels, memory_budget=budget)
        assert (source.memory_bytes == 0) == (budget == 0)
        np.testing.assert_array_equal(source.take(range(9)), expected)
        np.testing.assert_array_equal(source.take(tf.constant([8, 0, 0, 3], tf.int64)), expected[[8, 0, 0, 3]])


@pytest.mark.parametrize("budget", [2 << 30, 0])
def test_take_is_the_same_in_a_dataset(folder, budget):
    source = Folder(folder, SIDE, memory_budget=budget)
    steps = tf.data.Dataset.range(5).map(lambda step: source.take((step * 4 + tf.range(4, dtype=tf.int64)) % 9))
    assert steps.element_spec == tf.TensorSpec((4, SIDE, SIDE, 3), tf.uint8)
    for step, images in enumerate(steps):
        np.testing.assert_array_equal(images, source.take([(step * 4 + k) % 9 for k in range(4)]))


@pytest.mark.parametrize("budget", [2 << 30, 0])
@pytest.mark.parametrize("index", [-1, 1000])
def test_an_index_outside_is_refused(folder, budget, index):
    source = Folder(folder, SIDE, memory_budget=budget)
    with pytest.raises(ValueError, match="indices"):
        source.take([0, index])
    with pytest.raises(tf.errors.InvalidArgumentError, match="indices"):
        list(tf.data.Dataset.from_tensors([0, index]).map(source.take))


def test_the_budget_holds_to_the_byte(folder):
    needed = len(list_images(folder)) * SIDE * SIDE * 3
    assert Folder(folder, SIDE, memory_budget=needed).memory_bytes > 0
    source = Folder(folder, SIDE, memory_budget=needed - 1)
    assert source.memory_bytes == 0
    assert "only headers were checked" in source.summary


def test_a_file_found_damaged_later_is_replaced_by_the_next(folder, caplog):
    source = Folder(folder, SIDE, memory_budget=0)
    assert "6 unreadable left out" in source.summary
    names = [path.name for path in source.paths]
    first, last = names.index("c-3.png"), names.index("z-8.png")
    assert (first, last) == (0, 10)
    taken = source.take([last, first, 1])
    np.testing.assert_array_equal(taken, [decode(source.paths[1], SIDE)] * 3)  # after the last comes the first
    np.testing.assert_array_equal(Folder(folder, SIDE, memory_budget=0).take([1, first, last]), taken)
    assert "2 damaged replaced by the next" in source.summary
    source.take([first])
    logged = [record.getMessage() for record in caplog.records if "c-3.png" in record.getMessage()]
    assert len(logged) == 2  # once for each source


def test_a_folder_that_vanishes_is_an_error_with_a_name(folder):
    source = Folder(folder, SIDE, memory_budget=0)
    for path in source.paths:
        path.unlink()
    with pytest.raises(InputError, match="11 pictures in a row became unreadable"):
        source.take([0])


@pytest.mark.parametrize("budget", [2 << 30, 0])
def test_no_usable_picture_is_an_error(tmp_path, budget):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.jpg").write_text("text")
    with pytest.raises(InputError, match=r"none of the 2 pictures .* a\.png \(empty file\), b\.jpg \(not a picture"):
        Folder(tmp_path, SIDE, memory_budget=budget)


def test_the_digest_is_of_paths_and_sizes(folder):
    lines = [f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\n" for path in good(folder)]
    digest = Folder(folder, SIDE).digest
    assert digest == hashlib.sha256("".join(lines).encode()).hexdigest()
    moved = folder.rename(folder.parent / "moved")
    assert Folder(moved, 2 * SIDE).digest == digest
    with good(moved)[0].open("ab") as file:
        file.write(b"\0")
    assert Folder(moved, SIDE).digest != digest
