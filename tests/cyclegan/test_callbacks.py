"""What a CycleGAN's run shows: triptychs, and the warning of inverted brightness."""

import warnings

import numpy as np
import pytest

from gan_tf.cyclegan.callbacks import InversionWarning, Triptychs
from pipelines.image_array import ImageArray

SIZE = 8


class FakeTranslator:
    """Adds 10 levels to an image for A to B; subtracts them, or inverts the image, for B to A."""

    def __init__(self, inverts: bool = False):
        self.inverts = inverts

    def translate_all(self, images: np.ndarray, direction: str) -> np.ndarray:
        if direction == "AtoB":
            return images + 10
        return 255 - images if self.inverts else images - 10


def sources(count: int = 9) -> dict[str, ImageArray]:
    images = np.random.default_rng(0).integers(20, 200, (2, count, SIZE, SIZE, 3), np.uint8)
    return {name: ImageArray(images[i], name) for i, name in enumerate(("a", "b"))}


@pytest.mark.parametrize(("count", "chosen"), [(9, [0, 2, 5, 8]), (2, [0, 1]), (1, [0])])
def test_render_shows_images_there_and_back(count, chosen):
    data = sources(count)
    picture = Triptychs(FakeTranslator(), data).render(0)
    assert picture.shape == (len(chosen) * SIZE, 6 * SIZE, 3)
    for row, index in enumerate(chosen):
        tiles = np.split(picture[row * SIZE : (row + 1) * SIZE], 6, axis=1)
        a, b = (data[name].images[index] for name in ("a", "b"))
        for tile, expected in zip(tiles, (a, a + 10, a, b, b - 10, b), strict=True):
            np.testing.assert_array_equal(tile, expected)


def test_render_of_domains_of_different_size_has_the_rows_of_the_smaller_one():
    data = {"a": sources(3)["a"], "b": sources(9)["b"]}
    picture = Triptychs(FakeTranslator(), data).render(0)
    assert picture.shape == (3 * SIZE, 6 * SIZE, 3)
    np.testing.assert_array_equal(picture[-SIZE:, 3 * SIZE : 4 * SIZE], data["b"].images[8])


def test_inversion_warning_names_the_direction_that_inverts():
    with pytest.warns(UserWarning, match="generator BtoA inverts brightness") as caught:
        InversionWarning(10, Triptychs(FakeTranslator(inverts=True), sources())).on_interval(500)
    assert len(caught) == 1
    assert "step 500" in str(caught[0].message)


def test_inversion_warning_is_silent_where_brightness_is_kept():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        InversionWarning(10, Triptychs(FakeTranslator(), sources())).on_interval(500)
    assert caught == []


def test_brightness_correlation_equals_numpy_and_is_0_for_flat_images():
    data = sources(4)
    triptychs = Triptychs(FakeTranslator(inverts=True), data)
    assert triptychs.brightness_correlation("BtoA") == pytest.approx(-1)
    assert triptychs.brightness_correlation("AtoB") == pytest.approx(1)
    flat = {name: ImageArray(np.full((1, SIZE, SIZE, 3), 9, np.uint8), name) for name in ("a", "b")}
    assert Triptychs(FakeTranslator(), flat).brightness_correlation("AtoB") == 0
