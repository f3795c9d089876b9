"""Runs side by side: what differs, curves in the same charts, and the command that writes the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cli import call
from helpers.run_folders import Page, write_run

from gan_tf.report.comparison import name_runs, write_comparison
from gan_tf.report.run_files import read_run_files
from gan_tf.report.settings import find_differences
from gan_tf.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
MNIST = TASKS["mnist"]


@pytest.fixture
def runs(tmp_path):
    """Two runs that differ in one option, and a third one of another family."""
    return [
        write_run(tmp_path / "mnist/000-16-16-images", MNIST),
        write_run(tmp_path / "mnist/001-100-16-images", MNIST, grids=9, latent_dim=100),
        write_run(tmp_path / "diffusion/000-unet-images", TASKS["diffusion"]),
    ]


def test_find_differences_names_the_option_and_nothing_else(runs):
    assert find_differences([read_run_files(MNIST, path) for path in runs[:2]]) == [("--latent-dim", ["16", "100"])]


def test_find_differences_of_equal_runs_is_empty(runs):
    assert find_differences([read_run_files(MNIST, runs[0])] * 2) == []


def test_write_comparison_shows_each_run_in_the_same_charts(runs, tmp_path):
    tasks = [MNIST, MNIST, TASKS["diffusion"]]
    write_comparison(list(zip(tasks, runs, strict=True)), tmp_path / "all.html")
    shown = Page((tmp_path / "all.html").read_text())
    assert shown.errors == []
    charts = json.loads(shown.scripts[0])
    (losses,) = [chart for chart in charts if chart["title"] == "Losses: loss"]
    assert [line["name"] for line in losses["lines"]] == [path.name for path in runs]
    assert [line["color"] for line in losses["lines"]] == [0, 1, 2]
    assert len(shown.find("img")) == 3 + 5 + 3  # 24 grids over three runs: eight each, so every second of nine
    for path in runs:
        assert path.name in shown.text
    assert "fid 50.0000" in shown.text


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/mnist/000-x", "a/mnist/001-y"], ["000-x", "001-y"]),
        (["a/mnist/000-x", "b/mnist/000-x"], ["a", "b"]),
        (["a/mnist/000-x", "a/mnist/000-x"], ["1: 000-x", "2: 000-x"]),
    ],
)
def test_name_runs_tells_them_apart(paths, names):
    assert name_runs([Path(path) for path in paths]) == names


def test_report_command_writes_a_page_for_one_run_and_a_comparison_for_several(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("report", runs[0]) == 0
    assert Page((runs[0] / "report.html").read_text()).errors == []
    assert call("report", *runs) == 0
    assert call("report", *runs, "--out", "mine.html") == call("report", *runs, "--out", "mine.html") == 0
    assert (tmp_path / "comparison.html").read_bytes() == (tmp_path / "mine.html").read_bytes()
    assert "mine.html: 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["RUN", "RUN", "--out", "notes.html"], "notes.html exists already, and gan_tf has not written it"),
        (["RUN", "RUN", "--out", "page.txt"], "must be an .html file"),
        (["RUN", "--out", "page.html"], "--out applies to comparisons"),
        (["nowhere"], "nowhere is not a folder"),
        ([], "RUN"),
    ],
)
def test_report_command_refuses_in_one_line(runs, tmp_path, monkeypatch, capsys, words, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.html").write_text("<p>mine</p>")
    assert call("report", *(runs[0] if word == "RUN" else word for word in words)) == 2
    assert problem in capsys.readouterr().err
    assert (tmp_path / "notes.html").read_text() == "<p>mine</p>"


def test_report_command_needs_no_tensorflow(runs):
    code = "import sys; from gan_tf.cli.main import report; report(sys.argv[1:]); sys.exit('tensorflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, *map(str, runs)]
    done = subprocess.run(words, cwd=runs[0], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
