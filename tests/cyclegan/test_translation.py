"""Translation of images of any size and of files, with generators that compute something known."""

import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from gan_tf.cyclegan import translation
from gan_tf.cyclegan.config import CycleGanInferOptions
from gan_tf.cyclegan.networks import build_generator
from gan_tf.cyclegan.translation import ImageTranslator, translate_files
from gan_tf.utils.images import is_own_image, write_png
from pipelines.errors import UserError


def pointwise(function, name: str) -> keras.Model:
    images = keras.Input((None, None, 3))
    return keras.Model(images, keras.layers.Lambda(function, output_shape=(None, None, 3))(images), name=name)


@pytest.fixture(scope="module")
def translator() -> ImageTranslator:
    """A to B inverts, B to A copies."""
    inverse, copy = pointwise(lambda x: -x, "generator_ab"), pointwise(lambda x: 1.0 * x, "generator_ba")
    return ImageTranslator({"generator_ab": inverse, "generator_ba": copy}, hidden_dim=4)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def translate(translator, source, out, **options) -> None:
    chosen = CycleGanInferOptions(source=source, out=out, **options)
    chosen.validate()
    translate_files(translator, chosen)


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (8, 8), (31, 50), (64, 37)])
def test_translate_of_any_size_keeps_the_size_and_the_places_of_pixels(translator, size):
    image = noise(*size, 3)
    np.testing.assert_array_equal(translator.translate(image, "BtoA"), image)
    np.testing.assert_array_equal(translator.translate(image, "AtoB"), 255 - image)


@pytest.mark.parametrize("size", [(1, 1), (9, 14), (32, 32)])
def test_translate_by_a_real_generator_accepts_any_size(size):
    network = build_generator(4, 1)
    image = noise(*size, 3)
    translated = ImageTranslator({"generator_ab": network, "generator_ba": network}, 4).translate(image)
    assert (translated.dtype, translated.shape) == (np.uint8, image.shape)


def test_translate_of_a_suitable_size_equals_the_network():
    network = build_generator(4, 1)
    image = noise(32, 40, 3)
    expected = np.rint((np.asarray(network(image[None] / np.float32(127.5) - 1))[0] + 1) * 127.5)
    found = ImageTranslator({"generator_ab": network, "generator_ba": network}, 4).translate(image)
    assert np.abs(found - expected).max() <= 1  # graph and eager round differently


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_translate_of_another_type_or_shape_is_refused(translator, image):
    with pytest.raises(ValueError, match="uint8"):
        translator.translate(image)


def test_translate_files_of_a_folder_keeps_names_and_sizes(translator, tmp_path, capsys):
    for name, shape in (("a.png", (9, 12, 3)), ("deep/b.png", (8, 8)), ("c.d.png", (20, 5, 4))):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*shape)).save(tmp_path / "in" / name)
    (tmp_path / "in/broken.jpg").write_text("no image")
    translate(translator, tmp_path / "in", tmp_path / "out", direction="BtoA")
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert written == ["a.png", "c.d.png", "deep/b.png"]
    assert all(is_own_image(tmp_path / "out" / name) for name in written)
    np.testing.assert_array_equal(Image.open(tmp_path / "out/a.png"), noise(9, 12, 3))
    assert Image.open(tmp_path / "out/c.d.png").size == (5, 20)
    output = capsys.readouterr().out
    assert "3 images translated BtoA" in output
    assert "left out: 1 unreadable file" in output
    assert "broken.jpg" in output


def test_translate_files_of_one_image_writes_one(translator, tmp_path):
    Image.fromarray(noise(10, 11, 3)).save(tmp_path / "in.png")
    translate(translator, tmp_path / "in.png", tmp_path / "new/out.png")
    np.testing.assert_array_equal(Image.open(tmp_path / "new/out.png"), 255 - noise(10, 11, 3))
    with pytest.raises(UserError, match="exists already"):
        translate(translator, tmp_path / "in.png", tmp_path / "new/out.png")
    translate(translator, tmp_path / "in.png", tmp_path / "new/out.png", direction="BtoA", overwrite=True)
    np.testing.assert_array_equal(Image.open(tmp_path / "new/out.png"), noise(10, 11, 3))


def test_translate_files_that_do_not_fit_on_the_disk_removes_nothing(translator, tmp_path, monkeypatch):
    write_png(tmp_path / "in/a.png", noise(64, 64, 3))
    translate(translator, tmp_path / "in", tmp_path / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 6000}))
    with pytest.raises(UserError, match="but 1 translation need"):
        translate(translator, tmp_path / "in", tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/a.png").is_file()


def test_translate_files_with_max_size_shrinks_the_longer_side(translator, tmp_path):
    Image.fromarray(noise(40, 60, 3)).save(tmp_path / "in.png")
    translate(translator, tmp_path / "in.png", tmp_path / "out.png", max_size=30)
    assert Image.open(tmp_path / "out.png").size == (30, 20)


def test_translate_files_beyond_the_memory_names_a_size_that_fits(translator, tmp_path, monkeypatch):
    Image.fromarray(noise(40, 80, 3)).save(tmp_path / "in.png")
    monkeypatch.setattr(translation, "available_memory", lambda: 40 * translation._BYTES_PER_PIXEL * 4 * 40)
    with pytest.raises(UserError, match="80x40 pixels") as error:
        translate(translator, tmp_path / "in.png", tmp_path / "out.png")
    size = int(error.value.hint.split()[2].strip(","))
    assert 40 < size < 80
    translate(translator, tmp_path / "in.png", tmp_path / "out.png", max_size=size)
    assert Image.open(tmp_path / "out.png").size == (size, size // 2)


def write_one(path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(noise(8, 8, 3)).save(path)


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [
        ("nowhere", "out", "nothing at"),
        ("in", "out.png", "must be a folder"),
        ("in/a.png", "out", r"must be a \.png file"),
        ("in", "in", "separate folders"),
        ("in", "in/out", "separate folders"),
        ("in/deep", "in", "separate folders"),
        ("twice", "out", r"both be written as a\.png"),
        ("broken", "out", "No image in"),
        ("empty", "out", "No images were found"),
        ("in", "loop", "is not a folder"),
        ("in", "loop/out", "cannot be written"),
    ],
)
def test_translate_files_of_bad_input_is_refused(translator, tmp_path, source, out, words):
    write_one(tmp_path / "in/a.png")
    write_one(tmp_path / "in/deep/a.png")
    for name in ("a.png", "a.bmp"):
        write_one(tmp_path / "twice" / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.png").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=words):
        translate(translator, tmp_path / source, tmp_path / out)


def test_translate_files_into_a_folder_with_others_removes_only_own_images(translator, tmp_path):
    write_one(tmp_path / "in/a.png")
    write_one(tmp_path / "in/deep/b.png")
    translate(translator, tmp_path / "in", tmp_path / "out")
    with pytest.raises(UserError, match="not empty"):
        translate(translator, tmp_path / "in", tmp_path / "out")
    (tmp_path / "in/deep/b.png").rename(tmp_path / "in/deep/c.png")
    translate(translator, tmp_path / "in", tmp_path / "out", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "c.png"]
    write_one(tmp_path / "out/deep/mine.png")
    with pytest.raises(UserError, match=r"mine\.png"):
        translate(translator, tmp_path / "in", tmp_path / "out", overwrite=True)
