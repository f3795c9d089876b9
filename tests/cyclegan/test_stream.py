"""The stream of a CycleGAN: two domains at their own pace, and random crops that differ from epoch to epoch."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.cyclegans import cyclegan_config

from gan_tf.cyclegan.model import CycleGAN
from gan_tf.cyclegan.workflow import CycleGanWorkflow
from gan_tf.tasks import YOSEMITE
from pipelines.image_array import ImageArray
from pipelines.stream import Stream

COUNTS = {"a": 7, "b": 4}
LOAD = 40


def positions(count: int) -> np.ndarray:
    """Images whose red tells their number, and green and blue the row and the column."""
    number, row, column = np.meshgrid(np.arange(count), np.arange(LOAD), np.arange(LOAD), indexing="ij")
    return np.stack([number, row, column], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> CycleGAN:
    return CycleGanWorkflow(YOSEMITE, cyclegan_config(num_blocks=0, load_size=LOAD)).build_model()


def build_stream(model, **options) -> Stream:
    workflow = CycleGanWorkflow(YOSEMITE, cyclegan_config(num_blocks=0, load_size=LOAD, **options))
    return workflow.build_stream(model, {name: ImageArray(positions(count), name) for name, count in COUNTS.items()})


def crops_at(stream: Stream, step: int, name: str) -> np.ndarray:
    """Returns which image each crop of a step is of, its row and column, and whether it is mirrored, ``[batch, 4]``."""
    images = np.rint((np.asarray(stream.batch_at(step)[name])[:, 0] + 1) * 127.5).astype(int)
    is_mirrored = images[:, 0, 0, 2] > images[:, 0, 1, 2]
    return np.column_stack([images[:, 0, 0, 0], images[:, 0, 0, 1], images[:, 0, :, 2].min(axis=1), is_mirrored])


def test_epochs_of_each_domain_are_permutations_at_their_own_pace(model):
    stream = build_stream(model)
    for name, count in COUNTS.items():
        numbers = np.array([crops_at(stream, step, name)[0, 0] for step in range(6 * count)]).reshape(6, count)
        assert (np.sort(numbers, axis=1) == np.arange(count)).all()
        assert len({tuple(order) for order in numbers}) > 1


def test_pairing_of_the_domains_differs_between_epochs(model):
    stream = build_stream(model)
    partners = [{}, {}]
    for step in range(2 * COUNTS["a"]):
        numbers = [crops_at(stream, step, name)[0, 0] for name in ("a", "b")]
        partners[step // COUNTS["a"]][numbers[0]] = numbers[1]
    assert partners[0].keys() == partners[1].keys()
    assert partners[0] != partners[1]


@pytest.mark.parametrize("name", ["a", "b"])
def test_crops_of_an_image_differ_from_epoch_to_epoch(model, name):
    stream, count = build_stream(model), COUNTS[name]
    crops = np.array([crops_at(stream, step, name)[0] for step in range(8 * count)])
    for number in range(count):
        corners = crops[crops[:, 0] == number, 1:3]
        assert len(corners) == 8
        assert len(np.unique(corners, axis=0)) > 4  # of 81 places
    assert 0.2 < crops[:, 3].mean() < 0.8
    assert crops[:, 1:3].max() <= LOAD - 32


def test_crops_and_flips_of_the_two_domains_are_independent(model):
    stream = build_stream(model, batch=4)
    a, b = (np.concatenate([crops_at(stream, step, name) for step in range(40)]) for name in ("a", "b"))
    for column in (1, 2, 3):
        assert abs(np.corrcoef(a[:, column], b[:, column])[0, 1]) < 4.5 / np.sqrt(160)


def test_crops_without_flip_are_never_mirrored(model):
    stream = build_stream(model, flip=False)
    assert not any(crops_at(stream, step, "a")[0, 3] for step in range(20))


def test_batch_at_is_a_function_of_the_step_and_equal_in_a_dataset(model):
    stream = build_stream(model, batch=2)
    for step, batch in zip(range(3, 6), stream.dataset(3, 6), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, stream.batch_at(step))


def test_epoch_counts_the_images_of_each_domain(model):
    stream = build_stream(model, batch=2)
    epochs = np.asarray(stream.batch_at(13)["epoch"])
    np.testing.assert_allclose(epochs, [[28 / 7, 28 / 4]] * 2, rtol=1e-6)
