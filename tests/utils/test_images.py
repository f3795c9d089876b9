"""Images as uint8 arrays and PNG files."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from gan_tf.utils.images import (
    empty_image_dir,
    is_own_image,
    require_own_image,
    split_tiles,
    tile_images,
    to_uint8,
    write_images,
    write_png,
)
from pipelines.errors import UserError
from pipelines.transforms import normalize


def random_pixels(*shape) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


def test_to_uint8_rounds_to_the_nearest_level_and_clips():
    levels = np.arange(256)
    exact = levels / 127.5 - 1
    np.testing.assert_array_equal(to_uint8(exact), levels)
    np.testing.assert_array_equal(to_uint8(exact + 0.49 / 127.5), levels)
    np.testing.assert_array_equal(to_uint8(exact - 0.49 / 127.5), levels)
    np.testing.assert_array_equal(to_uint8(np.array([-1.0, 1.0, -1.7, 1.7, -100.0, 100.0])), [0, 255, 0, 255, 0, 255])
    assert to_uint8(np.zeros(3)).dtype == np.uint8
    np.testing.assert_array_equal(to_uint8(normalize(levels.astype(np.uint8))), levels)


def test_tile_images_row_by_row():
    tiles = random_pixels(6, 4, 5, 3)
    image = tile_images(tiles, 2, 3)
    assert image.shape == (8, 15, 3)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, 3)
        np.testing.assert_array_equal(image[4 * row : 4 * row + 4, 5 * column : 5 * column + 5], tile)


def test_tile_images_missing_tiles_are_black_and_extra_ones_ignored():
    tiles = random_pixels(7, 2, 2, 1)
    image = tile_images(tiles[:3], 2, 2)
    np.testing.assert_array_equal(image[2:, :2], tiles[2])
    assert not image[2:, 2:].any()
    np.testing.assert_array_equal(tile_images(tiles, 2, 2), tile_images(tiles[:4], 2, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_write_png_holds_the_pixels_in_the_same_bytes_each_time(tmp_path, channels):
    image = random_pixels(6, 9, channels)
    for name in ("a.png", "b.png"):
        write_png(tmp_path / "new folder" / name, image)
    first, second = ((tmp_path / "new folder" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    with Image.open(io.BytesIO(first)) as file:
        assert (file.format, file.mode) == ("PNG", {1: "L", 3: "RGB"}[channels])
        np.testing.assert_array_equal(np.asarray(file).reshape(6, 9, channels), image)


def test_split_tiles_returns_the_images_that_tile_images_has_tiled():
    images = random_pixels(6, 4, 4, 3)
    tiled = tile_images(images, 2, 3)
    np.testing.assert_array_equal(split_tiles(tiled, 4), images)
    np.testing.assert_array_equal(split_tiles(tiled, 4)[4], tiled[4:8, 4:8])
    with pytest.raises(ValueError, match="12x8"):
        split_tiles(tiled, 5)


def test_write_images_numbers_from_0000(tmp_path):
    images = random_pixels(5, 4, 4, 3)
    write_images(tmp_path, [images[:2], images[2:4], images[4:]], 5)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png"]
    for name, image in zip(names, images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), image)


@pytest.mark.parametrize(("count", "digits"), [(10_000, 4), (10_001, 5)])
def test_write_images_names_have_as_many_digits_as_the_last_number(tmp_path, monkeypatch, count, digits):
    names = []
    monkeypatch.setattr("gan_tf.utils.images.write_png", lambda path, *_args, **_kwargs: names.append(path.name))
    write_images(tmp_path, [np.zeros((count, 1, 1, 1), np.uint8)], count)
    assert names[0] == "0" * digits + ".png"
    assert names[-1] == f"{count - 1}.png"
    assert names == sorted(names)
    assert len(set(names)) == count


def test_write_images_prefix_and_first_number_name_the_files(tmp_path):
    write_images(tmp_path, [np.zeros((3, 1, 1, 1), np.uint8)], 3, first=9_999, prefix="seed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed09999.png", "seed10000.png", "seed10001.png"]


def test_empty_image_dir_removes_images_of_this_program_only_if_asked(tmp_path):
    directory = tmp_path / "out"
    empty_image_dir(directory, overwrite=False)
    assert not directory.exists()
    write_images(directory, [random_pixels(3, 4, 4, 3)], 3)
    (directory / ".hidden").write_text("")
    with pytest.raises(UserError, match=r"is not empty.*add --overwrite"):
        empty_image_dir(directory, overwrite=False)
    assert len(list(directory.glob("*.png"))) == 3
    empty_image_dir(directory, overwrite=True)
    assert [path.name for path in directory.iterdir()] == [".hidden"]


def test_is_own_image_of_an_enormous_image_is_false(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", random_pixels(8, 8, 3))
    assert is_own_image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # more than twice as many may be an attack
    assert not is_own_image(tmp_path / "a.png")


@pytest.mark.parametrize("overwrite", [False, True])
def test_empty_image_dir_removes_what_a_killed_process_has_not_finished(tmp_path, overwrite):
    (tmp_path / ".gan_tf-0123456789abcdef.tmp").write_bytes(b"\x89PNG")
    if overwrite:  # the folder of one image, as of a translation
        (tmp_path / "below").mkdir()
        (tmp_path / "below/.gan_tf-0123456789abcdef.tmp").write_bytes(b"\x89PNG")
    empty_image_dir(tmp_path, overwrite)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_empty_image_dir_of_a_folder_that_is_refused_leaves_what_others_write_there(tmp_path, overwrite):
    """As the root of a project with a training that runs in it."""
    writing = tmp_path / "runs/mnist/000/.gan_tf-0123456789abcdef.tmp"
    writing.parent.mkdir(parents=True)
    for path in (writing, tmp_path / "README.md"):
        path.write_text("text")
    with pytest.raises(UserError):
        empty_image_dir(tmp_path, overwrite)
    assert writing.exists()


@pytest.mark.parametrize("kind", ["file", "pipe", "loop"])
def test_empty_image_dir_of_something_else_is_refused(tmp_path, kind):
    path = tmp_path / kind
    if kind == "file":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    with pytest.raises(UserError, match="is not a folder"):
        empty_image_dir(path, overwrite=True)


@pytest.mark.parametrize("kind", ["png", "jpg", "txt", "folder", "link", "pipe"])
def test_empty_image_dir_with_files_of_others_is_refused_and_unchanged(tmp_path, kind):
    """None is removed, not even those of this program: otherwise old images would mix with new ones."""
    directory = tmp_path / "out"
    write_images(directory, [random_pixels(2, 4, 4, 3)], 2)
    other = directory / f"photo.{kind}"
    if kind == "folder":
        other.mkdir()
    elif kind == "link":  # to an image of this program
        other.symlink_to(directory / "0000.png")
    elif kind == "pipe":
        os.mkfifo(other)
    elif kind == "txt":
        other.write_text("mine")
    else:
        Image.fromarray(random_pixels(4, 4, 3)).save(other)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="is not empty" if not overwrite else f"has not written, such as photo.{kind}"):
            empty_image_dir(directory, overwrite)
    assert len(list(directory.iterdir())) == 3


def test_require_own_image_protects_other_files(tmp_path):
    require_own_image(tmp_path / "new.png")
    write_png(tmp_path / "own.png", random_pixels(4, 4, 3))
    require_own_image(tmp_path / "own.png")
    Image.fromarray(random_pixels(4, 4, 3)).save(tmp_path / "photo.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "link.png").symlink_to(tmp_path / "own.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    for name in ("photo.png", "text.png", "link.png", "broken.png"):
        with pytest.raises(UserError, match="exists already, and gan_tf has not written it"):
            require_own_image(tmp_path / name)
