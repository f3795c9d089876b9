"""The picture of predictions: which images, which digits below them, in which color; and that drawing it changes no weight."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.gaussians import run_context
from PIL import Image

from gan_tf.classifier.config import ClassifierConfig
from gan_tf.classifier.prediction_grid import RIGHT, SCALE, STRIP, WRONG, render_predictions
from gan_tf.classifier.workflow import ClassifierWorkflow
from gan_tf.tasks import DIGITS
from gan_tf.training.callbacks import SampleGrid
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.loop import TrainingPlan, train
from pipelines.synthetic.digits import SyntheticDigits

SIDE = 28 * SCALE


def split_grid(grid, columns):
    """Returns the title, and image and strip of each tile."""
    rows = (len(grid) - STRIP) // (SIDE + STRIP)
    assert grid.shape == (STRIP + rows * (SIDE + STRIP), columns * SIDE, 3)
    tiles = [tile for row in np.split(grid[STRIP:], rows) for tile in np.split(row, columns, axis=1)]
    return grid[:STRIP], [(tile[:SIDE], tile[SIDE:]) for tile in tiles]


def main_color(strip) -> tuple[int, ...]:
    """Returns the most frequent color, which is that behind the text."""
    colors, counts = np.unique(strip.reshape(-1, 3), axis=0, return_counts=True)
    return tuple(colors[counts.argmax()].tolist())


def text_width(strip) -> int:
    """Returns how many columns of pixels the text of a strip covers."""
    columns = np.flatnonzero((strip != main_color(strip)).any(axis=(0, 2)))
    return columns[-1] - columns[0] + 1


@pytest.mark.parametrize("channels", [1, 3])
def test_render_predictions_marks_wrong_ones_in_red_with_the_true_digit(channels):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, channels), np.uint8)
    labels = np.array([3, 8, 3, 7, 0])
    title, tiles = split_grid(render_predictions(images, np.full(5, 3), labels, 3), 3)
    assert (title == 255).any()
    for i, label in enumerate(labels):
        image, strip = tiles[i]
        np.testing.assert_array_equal(image, np.broadcast_to(np.kron(images[i], np.ones((SCALE, SCALE, 1))), (SIDE, SIDE, 3)))
        assert main_color(strip) == (RIGHT if label == 3 else WRONG)
        assert (strip == 255).all(axis=2).any()  # the text
    strips = [strip for _, strip in tiles]
    np.testing.assert_array_equal(strips[0], strips[2])
    assert (strips[1] != strips[3]).any()  # 3 (8) and 3 (7)
    assert text_width(strips[1]) > 2 * text_width(strips[0])
    assert not tiles[5][0].any()  # no sixth image


def build_workflow(batch, directory, steps=0, **options):
    """Returns a workflow with its model, and the context of a run on synthetic digits."""
    workflow = ClassifierWorkflow(DIGITS, ClassifierConfig(hidden_dim=2, batch=batch))
    model = workflow.build_model()
    stream = workflow.build_stream(model, {"real": SyntheticDigits(count=40)})
    return workflow, model, run_context(directory, stream, TrainingPlan(steps), **options)


@pytest.mark.parametrize(("batch", "columns"), [(70, 8), (6, 2)])
def test_sample_grid_shows_the_predictions_of_the_exported_network(batch, columns, tmp_path, monkeypatch):
    """A network that always sees a 3 is right for the images of the first batch that show a 3."""
    workflow, model, run = build_workflow(batch, tmp_path, grid_every=1)
    always_3 = tf.one_hot([3] * columns**2, 10)
    monkeypatch.setattr(model, "exported", lambda stream: {"network": lambda images, training: (None, always_3)})
    (grid,) = [callback for callback in workflow.callbacks(run, model) if isinstance(callback, SampleGrid)]
    grid.on_interval(5)
    run.loggers.close()
    (path,) = (tmp_path / "images").iterdir()
    _, tiles = split_grid(np.asarray(Image.open(path)), columns)
    first = run.stream.batch_at(0)["real"]
    is_3 = first["label"].numpy()[: columns**2, 0] == 3
    assert [main_color(strip) == RIGHT for _, strip in tiles] == is_3.tolist()
    assert {main_color(strip) for _, strip in tiles} <= {RIGHT, WRONG}
    for (shown, _), image in zip(tiles, first["image"].numpy()[:, 0], strict=False):
        np.testing.assert_allclose(shown[1::SCALE, 1::SCALE], (image + 1) * 127.5, atol=0.51)


def test_sample_grid_changes_no_weight(tmp_path):
    models = []
    for grid_every in (0, 1):
        directory = tmp_path / f"{grid_every}"
        workflow, model, run = build_workflow(4, directory, steps=3, grid_every=grid_every)
        train(run, model, Checkpoints(directory / "checkpoints", model), workflow.callbacks(run, model))
        run.loggers.close()
        models.append(model)
    assert len(list((tmp_path / "1/images").glob("step-*.png"))) == 3
    for without, with_grid in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_array_equal(without, with_grid)
