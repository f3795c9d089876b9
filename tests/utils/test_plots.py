"""Figures: counts against scikit-learn, and a confusion matrix whose cells are as dark as their rows are confused."""

import io
import json

import matplotlib
import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from sklearn import metrics

from gan_tf.diffusion.figures import render_losses
from gan_tf.experiments.figures import render_curves_side_by_side
from gan_tf.training.curves import render_curves
from gan_tf.utils.plots import confusion_matrix, render_confusion


def test_confusion_matrix_equals_that_of_scikit_learn():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, (2, 50))
    expected = metrics.confusion_matrix(labels, predicted, labels=range(5))
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, 5), expected)


@pytest.mark.parametrize("factor", [1, 100], ids=["few images", "many images"])
def test_render_confusion_colors_each_cell_by_its_share_of_the_row(factor):
    counts = factor * np.array([[10, 0], [3, 1]])
    data = render_confusion(counts, ["cat", "dog"])
    image = Image.open(io.BytesIO(data))
    assert image.info["Software"] == "gan_tf"  # and no version, so that the bytes are those of the pixels
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for share in (1.0, 0.75, 0.25):  # a quarter of the matrix each; a row without images of a class is white there
        color = np.rint(255 * np.array(colormaps["Blues"](share)[:3]))
        assert np.mean(np.abs(pixels - color).max(axis=1) <= 1) > 0.1, share


def test_render_confusion_of_a_class_without_images_leaves_its_row_white():
    data = render_confusion(np.array([[4, 0], [0, 0]]), ["cat", "dog"])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3)
    dark = np.rint(255 * np.array(colormaps["Blues"](1.0)[:3]))
    assert 0.1 < np.mean(np.abs(pixels - dark).max(axis=1) <= 1) < 0.3


def test_renderers_draw_the_same_whatever_settings_the_user_has(tmp_path):
    """LaTeX, which many have in their matplotlibrc, is not there or fails at labels such as d_loss."""
    lines = [{"step": step, "d_loss": 1.0 / step, "g_loss": 1.0} for step in range(1, 4)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    renderers = {
        "confusion": lambda: render_confusion(np.eye(2, dtype=int), ["a_b", "c"]),
        "curves": lambda: render_curves(tmp_path / "metrics.jsonl"),
        "losses": lambda: render_losses([1, 2], [0.5, 0.4]),
        "side by side": lambda: render_curves_side_by_side({"a_b": tmp_path}, {"losses": ("d_loss", "g_loss")}),
    }
    expected = {name: render() for name, render in renderers.items()}
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30.0, "figure.facecolor": "red"}):
        assert {name: render() for name, render in renderers.items()} == expected
        assert matplotlib.rcParams["text.usetex"]
