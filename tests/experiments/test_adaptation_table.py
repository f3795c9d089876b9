"""The table of adaptations: its numbers, and a tiny one from the command to the page."""

import re
import statistics

import numpy as np
import pytest
from helpers.domains import write_digits
from PIL import Image

from gan_tf.experiments import adaptation_table
from gan_tf.experiments.adaptation_table import ROWS, Row, format_accuracy, write_page
from gan_tf.experiments.page import Page
from gan_tf.experiments.processes import run_python
from pipelines.errors import UserError


def test_format_accuracy_is_mean_and_sample_deviation():
    values = [88.0, 89.5, 90.1]
    assert format_accuracy(values) == f"{sum(values) / 3:.2f} ± {statistics.stdev(values):.2f}"
    assert (format_accuracy([88.0]), format_accuracy([])) == ("88.00", "–")


def test_write_page_has_a_line_for_each_row_that_was_measured(tmp_path):
    accuracies = {("source", "svhn"): [40.0, 42.0], ("source", "usps"): [80.0, 80.0], ("full", "svhn"): [88.0]}
    write_page(Page(tmp_path / "page.md", "Adaptation", "python"), accuracies, {})
    page = (tmp_path / "page.md").read_text()
    assert "| source only (lower bound) | 41.00 ± 1.41 | 80.00 ± 0.00 | 2 |" in page
    assert "| full method | 88.00 | – | 1 |" in page
    assert "upper bound" not in page
    assert "No row has seen labels of the target" in page
    write_page(Page(tmp_path / "page.md", "Adaptation", "python"), {("target", "svhn"): [90.0]}, {})
    assert "Only the last row has seen labels of the target" in (tmp_path / "page.md").read_text()


def test_rows_of_the_table_are_trained_without_labels_but_for_the_last():
    assert [row.name for row in ROWS if row.flags.get("phase") == "target"] == ["target"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: --data"),
        (["--data", "nowhere"], "--data nowhere is not a folder"),
        (["--data", ".", "--only", "oracle"], "oracle"),
        (["--data", ".", "--out", "page.txt"], "must be a .md file"),
    ],
)
def test_adaptation_table_bad_input_is_refused_before_anything_is_trained(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adaptation_table, "run_python", lambda *_: pytest.fail("trained"))
    with pytest.raises(UserError, match=re.escape(message)):
        adaptation_table.run(words)
    assert list(tmp_path.iterdir()) == []


def test_adaptation_table_trains_scores_draws_and_continues(tmp_path, monkeypatch):
    data = write_digits(tmp_path / "data")
    row = Row("source", "source only", {"phase": "source", "hidden_dim": 2, "batch": 4})
    monkeypatch.setattr(adaptation_table, "ROWS", (row,))
    short = ["--steps", "1", "--log-every", "1", "--grid-every", "0"]
    monkeypatch.setattr(adaptation_table, "run_python", lambda arguments, log: run_python([*arguments, *short], log))
    words = ["--data", data, "--seeds", 1, "--targets", "svhn", "--runs", tmp_path / "runs", "--out", tmp_path / "page.md"]
    assert adaptation_table.run(list(map(str, words))) == 0
    page = (tmp_path / "page.md").read_text()
    assert "| source only | " in page
    (folder,) = (tmp_path / "runs/svhn-source-0/dann").glob("0*")
    assert (folder / "figures/confusion.png").is_file()
    assert "](page-svhn-features.png)" in page
    shown = np.asarray(Image.open(tmp_path / "page-svhn-features.png"))
    for column, name in enumerate(("features-by-class.png", "features-by-domain.png")):
        figure = np.asarray(Image.open(folder / "figures" / name).convert("RGB"))
        np.testing.assert_array_equal(shown[:, 700 * column :][:, :700], figure)
    monkeypatch.setattr(adaptation_table, "run_python", lambda *_: pytest.fail("trained again"))
    assert adaptation_table.run(list(map(str, words))) == 0
    assert (tmp_path / "page.md").read_text() == page
    monkeypatch.setattr(adaptation_table, "ROWS", (Row("source", "source only", {"phase": "source", "hidden_dim": 2}),))
    with pytest.raises(UserError, match="was started with other options"):
        adaptation_table.run(list(map(str, words)))
