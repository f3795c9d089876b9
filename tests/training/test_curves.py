"""The picture of a run's curves: what stands in which panel, and how points become lines."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from gan_tf.training import curves
from gan_tf.training.curves import render_curves, write_curves

GAN = ["d_loss", "penalty", "d_real", "d_fake_before", "d_accuracy_real", "d_accuracy_fake", "d_gradient_norm"]
GAN += ["g_loss", "d_fake_after", "g_gradient_norm"]


@pytest.fixture
def figures(monkeypatch):
    """All figures that are drawn."""
    drawn = []

    class RecordedFigure(curves.Figure):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            drawn.append(self)

    monkeypatch.setattr(curves, "Figure", RecordedFigure)
    return drawn


def write_lines(folder, lines):
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def panels(figure):
    """The names of the curves in each panel, by its title."""
    return {axes.get_title(loc="left"): [text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes}


def lines_of(figure):
    """The lines of the only panel, as arrays of steps and of values."""
    (axes,) = figure.axes
    return [line.get_xydata().T for line in axes.lines]


def test_render_curves_gan_has_a_panel_for_each_group(tmp_path, figures):
    logged = [{"step": step, **dict.fromkeys(GAN, step / 2)} for step in (10, 20, 30)]
    scores = [{"step": step, "fid_train": fid, "kid_train": 0.1} for step, fid in ((10, 90.0), (2000, 54.56), (30, 60.0))]
    image = Image.open(io.BytesIO(render_curves(write_lines(tmp_path, logged + scores))))
    assert image.format == "PNG"
    assert image.width == 1200
    (figure,) = figures
    assert list(panels(figure).values()) == [
        ["d_loss", "g_loss"],
        ["d_real", "d_fake_before", "d_fake_after"],
        ["d_accuracy_real", "d_accuracy_fake"],
        ["d_gradient_norm", "g_gradient_norm"],
        ["penalty"],
        ["fid_train", "lowest: 54.6 at step 2,000"],
        ["kid_train"],
    ]
    assert not set(panels(figure)) & {*GAN, "fid_train", "kid_train"}  # titles are words
    star = figure.axes[5].lines[-1].get_xydata()
    np.testing.assert_array_equal(star, [[2000, 54.56]])
    assert {(axes.get_xlabel(), axes.get_xscale(), axes.get_yscale()) for axes in figure.axes} == {("step", "linear", "linear")}
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_render_curves_classifier_has_a_panel_for_each_curve(tmp_path, figures):
    render_curves(write_lines(tmp_path, [{"step": 10, "loss": 2.3, "accuracy": 0.1, "gradient_norm": 5.0}]))
    assert list(panels(figures[0]).values()) == [["loss"], ["accuracy"], ["gradient_norm"]]


def test_render_curves_unknown_names_have_panels_of_their_own(tmp_path, figures):
    names = ["blossom", "$x$", "temperature"]
    render_curves(write_lines(tmp_path, [{"step": 10, "d_loss": 1.0, **dict.fromkeys(names, 1.0)}]))
    assert list(panels(figures[0]).values()) == [["d_loss"], ["blossom"], [r"\$x\$"], ["temperature"]]


def test_render_curves_penalty_of_a_run_without_one_is_left_out(tmp_path, figures):
    assert render_curves(write_lines(tmp_path, [{"step": 10, "penalty": 0.0}])) is None
    render_curves(write_lines(tmp_path, [{"step": 10, "penalty": 0.0, "d_loss": 0.0}]))
    assert list(panels(figures[0]).values()) == [["d_loss"]]


def test_render_curves_few_points_are_all_drawn(tmp_path, figures):
    render_curves(write_lines(tmp_path, [{"step": step, "loss": step / 4} for step in (1, 2, 5)]))
    (line,) = lines_of(figures[0])
    np.testing.assert_array_equal(line, [[1, 2, 5], [0.25, 0.5, 1.25]])
    assert figures[0].axes[0].lines[0].get_marker() == "o"  # a single point would be invisible without


def test_render_curves_many_points_have_a_running_mean(tmp_path, figures):
    values = np.random.default_rng(0).normal(size=300)
    render_curves(write_lines(tmp_path, [{"step": 10 * i, "loss": value} for i, value in enumerate(values)]))
    raw, (steps, means) = lines_of(figures[0])
    np.testing.assert_array_equal(raw[1], values)
    half = 4  # 3 % of 300 points: 9 with the one in the middle
    np.testing.assert_array_equal(steps, 10 * np.arange(300))
    np.testing.assert_allclose(means[half:-half], np.convolve(values, np.full(9, 1 / 9), "valid"), atol=1e-12)
    np.testing.assert_allclose(means[[0, -1]], [values[:5].mean(), values[-5:].mean()])


def test_render_curves_very_many_points_are_thinned_and_keep_their_spikes(tmp_path, figures):
    values = np.random.default_rng(0).normal(size=20_000)
    values[[7777, 12345]] = 40.0, -50.0
    render_curves(write_lines(tmp_path, [{"step": i, "loss": value} for i, value in enumerate(values)]))
    (steps, raw), mean = lines_of(figures[0])
    assert max(len(raw), mean.shape[1]) <= 1000
    np.testing.assert_array_equal(raw, values[steps.astype(int)])
    assert (np.diff(steps) > 0).all()
    assert (steps[raw.argmax()], steps[raw.argmin()]) == (7777, 12345)


@pytest.mark.parametrize("damage", [b"\xff\0", b"", b"{}", b'{"step": "x", "loss": 9}', b'{"step": 40, "lo'])
def test_render_curves_damaged_line_is_skipped(tmp_path, damage):
    path = write_lines(tmp_path, [{"step": step, "loss": 1 / step} for step in (10, 20, 30)])
    expected, lines = render_curves(path), path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + b"\n" + lines[1] + lines[2] + damage)
    assert render_curves(path) == expected


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "null", '"x"', "[1]", "1" + 400 * "0"])
def test_render_curves_values_that_are_no_finite_numbers_are_skipped(tmp_path, figures, value):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1, "loss": 1.0}}\n{{"step": 2, "loss": {value}}}\n{{"step": 3, "loss": 2.0}}\n')
    render_curves(path)
    (line,) = lines_of(figures[0])
    np.testing.assert_array_equal(line, [[1, 3], [1, 2]])


@pytest.mark.parametrize("content", [None, b"", b"nonsense\n", b'{"step": 1}\n', b'{"step": 1, "loss": NaN}\n'])
def test_write_curves_without_points_writes_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_bytes(content)
    assert render_curves(tmp_path / "metrics.jsonl") is None
    write_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()


def test_write_curves_replaces_the_former_picture(tmp_path):
    (tmp_path / "curves.png").write_bytes(b"former")
    path = write_lines(tmp_path, [{"step": 0, "loss": 1e-9}, {"step": 0, "loss": 3e38}])
    write_curves(tmp_path)
    assert (tmp_path / "curves.png").read_bytes() == render_curves(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["curves.png", "metrics.jsonl"]
