"""The page of a run while it trains: it is refreshed, it costs little, and no error in it ends a training."""

import json
import warnings

import numpy as np
import pytest
from helpers import gaussians
from helpers.cli import call, only_run, train_two_steps
from helpers.gaussian_family import GAUSSIANS
from helpers.run_folders import Page

from gan_tf.report import page
from gan_tf.training import report_page
from gan_tf.training.loop import TrainingPlan
from gan_tf.training.report_page import ReportPage


@pytest.fixture
def build_page(tmp_path):
    """Builds the callback of a toy run, whose ``config.json`` is of another family."""
    model, stream = gaussians.build()
    run = gaussians.run_context(tmp_path / "run", stream, TrainingPlan(8), grid_every=2)
    yield lambda: ReportPage(GAUSSIANS, run, model)
    run.loggers.close()


@pytest.fixture
def written(monkeypatch):
    """The times at which pages were written, by a clock that stands still but while a page is written."""
    clock, written = [1000.0], []

    def write(*_):
        written.append(clock[0])
        clock[0] += 0.5

    monkeypatch.setattr(report_page, "write_run_page", write)
    monkeypatch.setattr(report_page.time, "monotonic", lambda: clock[0])
    return clock, written


def test_report_page_takes_at_most_two_percent_of_the_time(build_page, written):
    clock, times = written
    callback = build_page()
    for _ in range(1000):
        clock[0] += 1.0
        callback.on_interval(0)
    assert len(times) > 10
    assert 0.5 * len(times) <= 0.021 * (clock[0] - 1000)
    assert min(np.diff(times)) >= 25


def test_report_page_final_one_is_never_left_out(build_page, written):
    _, times = written
    callback = build_page()
    for _ in range(3):
        callback.write()
    assert len(times) == 3


def test_report_page_error_is_a_warning(build_page, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(report_page, "write_run_page", fail)
    with pytest.warns(UserWarning, match=r"report\.html is not written \(ZeroDivisionError: a bug\)"):
        build_page().on_interval(2)
    assert not (tmp_path / "run" / page.PAGE).exists()


def test_report_page_unwritable_summary_of_networks_is_a_warning(build_page, tmp_path):
    (tmp_path / "run/networks.json").mkdir()
    with pytest.warns(UserWarning, match=r"networks\.json is not written \(UserError: "):
        build_page().on_start(0)
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith((".", "networks"))] == ["networks.json"]


def test_report_page_training_writes_it_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*is not written")
        run = train_two_steps(tmp_path)
    shown = Page((run / page.PAGE).read_text())
    assert shown.errors == []
    assert "finished after 2 steps" in shown.text
    assert [attributes["data-step"] for attributes in shown.find("img") if "data-step" in attributes] == ["2"]
    networks = json.loads((run / "networks.json").read_text())
    assert list(networks) == ["generator", "discriminator"]
    assert all(sum(layer[3] for layer in network["layers"]) == network["parameters"] for network in networks.values())


def test_report_page_failing_training_trains_on(tmp_path, monkeypatch, capsys):
    """Whatever is wrong with the page: the weights are the same, and the command ends well."""

    def fail(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(report_page, "write_run_page", fail)
    words = ["--task", "anime", "--steps", 2, "--batch", 4, "--hidden-dim", 4, "--latent-dim", 8]
    assert call("train", *words, "--runs", tmp_path / "bad") == 0
    assert "report.html is not written (ZeroDivisionError: a bug)" in capsys.readouterr().err
    monkeypatch.undo()
    assert call("train", *words, "--runs", tmp_path / "good") == 0
    bad, good = only_run(tmp_path / "bad"), only_run(tmp_path / "good")
    assert not (bad / page.PAGE).exists()
    assert (bad / "weights.npz").read_bytes() == (good / "weights.npz").read_bytes()
