"""What happens during training beside the updates: sample grids, curves, exported weights, scores against training images."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from helpers import gaussians
from helpers.cli import TINY, call, only_run
from PIL import Image

from gan_tf import cards, export, workflow
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.training import callbacks
from gan_tf.training.callbacks import Curves, ExportWeights, SampleGrid, TrainingSetScores
from gan_tf.training.curves import render_curves
from gan_tf.training.loggers import Loggers
from gan_tf.training.loop import TrainingPlan
from pipelines.errors import UserError
from pipelines.image_folder import ImageFolder
from pipelines.stream import Stream


def build_run(directory, **options):
    """Returns a toy GAN and the context of its run, as if 60 seconds of training were over."""
    model, stream = gaussians.build()
    return model, gaussians.run_context(directory, stream, TrainingPlan(8, state={"seconds": 60.4}), **options)


def logged(directory) -> list[dict]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_sample_grid_writes_an_image_of_the_step(tmp_path):
    _, run = build_run(tmp_path / "run")
    callback = SampleGrid(5, run, lambda step: np.full((4, 6, 3), step, np.uint8))
    callback.on_interval(7)
    run.loggers.close()
    (path,) = (tmp_path / "run/images").iterdir()
    assert path.name == "step-000000007.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.full((4, 6, 3), 7))
    assert callback.interval == 5


def test_curves_are_drawn_once_there_are_points(tmp_path):
    _, run = build_run(tmp_path / "run")
    callback, path = Curves(5, run), tmp_path / "run/curves.png"
    assert callback.interval == 5
    callback.on_interval(5)
    assert not path.exists()
    run.loggers.scalars(10, {"d_loss": 1.0})
    callback.on_interval(10)
    first = path.read_bytes()
    run.loggers.scalars(15, {"d_loss": 2.0})
    callback.on_interval(15)
    assert path.read_bytes() == render_curves(tmp_path / "run/metrics.jsonl") != first
    run.loggers.close()


def test_export_weights_writes_ema_discriminator_and_card(tmp_path):
    model, run = build_run(tmp_path / "run")
    run.config["initialized_from"] = [{"step": 1}]
    run.plan.state["best"] = {"step": 3, "fid_train": 1.5, "images": 10}
    for i, variable in enumerate(model.generator_ema.variables):
        variable.assign(np.full(variable.shape, i + 0.5))
    model.images_seen.assign(320)
    ExportWeights(run, model, (8, 8, 1)).on_checkpoint(20)
    found = export.read_weights(tmp_path / "run")
    assert (found.task, found.config, found.image_shape) == ("gaussians", run.config["config"], (8, 8, 1))
    assert list(found.networks) == ["generator"]
    for i, (_, array) in enumerate(found.networks["generator"]):
        assert (array == i + 0.5).all()
    discriminator = gaussians.build_discriminator(seed=99)
    export.assign_weights(discriminator, export.read_finetune(tmp_path / "run")["discriminator"], "run")
    for a, b in zip(discriminator.weights, model.discriminator.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-7)
    card = cards.read_card(tmp_path / "run")
    assert (card["step"], card["images_seen"], card["seconds"]) == (20, 320, 60)
    assert card["data"] == run.config["data"]["sources"]
    assert "best" not in card  # a later score may be better; see RUN/best
    for name in ("run_id", "task", "initialized_from", "command", "config", "sources", "environment"):
        assert card[name] == run.config[name]


def test_export_weights_networks_are_computed_once_for_each_step(tmp_path, monkeypatch):
    model, run = build_run(tmp_path / "run")
    networks = [{"generator": model.generator_ema} for _ in range(2)]
    monkeypatch.setattr(model, "exported", lambda stream: networks.pop(0))
    exporter = ExportWeights(run, model, (8, 8, 1))
    first = exporter.networks(20)
    exporter.on_checkpoint(20)
    assert exporter.networks(20) is first
    assert exporter.networks(21) is not first
    assert not networks


class MeanColors:
    """An extractor whose features are the mean colors of the four quarters of an image."""

    name, weights_sha256, protocol, resize, warning, has_logits = "means", "0" * 64, "test", "none", None, False
    classifier_sha256 = ""

    def __call__(self, images):
        n, height, width, _ = images.shape
        quarters = images.astype(np.float64).reshape(n, 2, height // 2, 2, width // 2, 3).mean(axis=(2, 4))
        return (quarters.reshape(n, 12) / 255).astype(np.float32), None


class Images:
    """A source of 12 random images."""

    name, split, digest, summary = "images", "", "0" * 64, ""

    def __init__(self):
        self.images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)

    def __len__(self):
        return len(self.images)

    def take(self, indices):
        return tf.gather(tf.constant(self.images), indices)


@pytest.fixture
def mean_colors(tmp_path, monkeypatch):
    """Scores by ``MeanColors`` instead of the FID's network, whose weights need not be there."""
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(callbacks, "fid_extractor", MeanColors)
    monkeypatch.setattr(workflow, "find_weights_file", lambda: None)


@pytest.fixture
def scores(tmp_path, mean_colors):
    """Returns a run, its scores, and a list of batches of generated images: the next score is that of the next batch."""
    model, run = build_run(tmp_path / "run", eval_count=20)
    batches = []

    def generate(networks, count):
        assert set(networks) == {"generator"}
        assert count == 12  # no more than there are training images
        return batches.pop(0)

    return run, TrainingSetScores(2, run, Images(), generate, ExportWeights(run, model, (8, 8, 3))), batches


def test_training_set_scores_are_logged_and_the_best_weights_kept(scores, tmp_path):
    run, callback, batches = scores
    real = Images().images
    closer, farther = real // 2, real // 4
    expected = [frechet_distance_of_features(MeanColors()(images)[0], MeanColors()(real)[0]) for images in (farther, closer)]
    batches += [farther, closer, farther]
    for step in (2, 4, 6):
        callback.on_interval(step)
    run.loggers.close()
    lines = logged(tmp_path / "run")
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert [line["fid_train"] for line in lines] == pytest.approx([*expected, expected[0]])
    assert all("kid_train" in line for line in lines)
    assert run.plan.state["best"] == {"step": 4, "fid_train": lines[1]["fid_train"], "images": 12}
    card = cards.read_card(tmp_path / "run/best")
    assert card["step"] == 4
    assert card["best"] == run.plan.state["best"]
    export.read_weights(tmp_path / "run/best")


def test_training_set_scores_resumed_run_compares_with_the_former_best(scores, tmp_path):
    """A best score beyond the step that the run resumes from was that of a killed process, and does not count."""
    run, callback, batches = scores
    real = Images().images
    batches += [real // 2, real // 4, real // 8]
    callback.on_start(0)
    callback.on_interval(2)
    best = run.plan.state["best"]
    run.plan.state.clear()
    run.plan.state["seconds"] = 0.0
    callback.on_start(2)
    assert run.plan.state["best"] == best
    callback.on_interval(4)
    assert cards.read_card(tmp_path / "run/best")["step"] == 2
    callback.on_start(1)
    callback.on_interval(2)
    assert run.plan.state["best"]["fid_train"] > best["fid_train"]


def test_training_set_scores_where_a_run_is_stopped_early_are_printed_only(scores, tmp_path, capsys):
    """Otherwise the best weights and the curves of a resumed run would be others than those of an uninterrupted one."""
    run, callback, batches = scores
    real = Images().images
    batches += [real // 4, real, real // 2, real // 3]
    for step in (2, 3, 4, run.plan.steps):
        callback.on_interval(step)
    run.loggers.close()
    assert [line["step"] for line in logged(tmp_path / "run")] == [2, 4, run.plan.steps]
    assert cards.read_card(tmp_path / "run/best")["step"] == 4
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith("step 3: FID 0.0 ")
    assert "not compared" in printed[1]
    assert printed[2].endswith("(best so far)")


NO_CARDS_OF_THIS_RUN = [lambda card: "{", lambda card: card.pop("best") and card, lambda card: card | {"run_id": "x"}]


@pytest.mark.parametrize("change", NO_CARDS_OF_THIS_RUN)
def test_training_set_scores_with_the_card_of_another_run_are_refused(scores, tmp_path, change):
    run, callback, batches = scores
    run.config["run_id"] = "of this run"
    batches.append(Images().images // 2)
    callback.on_interval(2)
    path = tmp_path / "run/best/card.json"
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(UserError, match=r"card\.json.*move .*best away"):
        callback.on_start(2)


def test_training_set_scores_resumed_run_says_that_the_best_weights_are_lost(scores, tmp_path):
    run, callback, batches = scores
    batches.append(Images().images // 2)
    callback.on_interval(2)
    shutil.rmtree(tmp_path / "run/best")
    with pytest.warns(UserWarning, match="best is lost"):
        callback.on_start(2)
    assert "best" not in run.plan.state


def test_training_set_scores_say_how_good_they_are(scores, capsys):
    run, callback, batches = scores
    real = Images().images
    batches += [real // 4, real // 2, real // 4]
    for step in (1000, 2000, 3000):
        callback.on_interval(step)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("step 1,000: FID ")
    assert first.endswith("against training images (best so far)")
    assert second.endswith("(best so far)")
    assert third.endswith("at step 2,000)")
    assert run.progress["FID"] in third
    run.loggers.flush()
    assert callback.is_done(2000)
    assert not callback.is_done(2500)


def test_real_grid_shows_the_first_batch(tmp_path, image_dir):
    """Without flips, the tiles are the images of the files in the order of the stream."""
    words = ["--task", "anime", "--data", image_dir, "--runs", tmp_path / "runs", "--steps", 1, "--no-flip", *TINY]
    assert call("train", *words) == 0
    tiles = np.asarray(Image.open(only_run(tmp_path / "runs") / "images/reals.png"))
    source = ImageFolder(image_dir, 64)
    order = Stream({"real": source}, 4, seed=0).indices(0, "real")
    expected = source.take(order).numpy().reshape(2, 2, 64, 64, 3).swapaxes(1, 2).reshape(128, 128, 3)
    np.testing.assert_array_equal(tiles, expected)


def test_train_eval_every_scores_the_images_that_infer_writes(image_dir, tmp_path, mean_colors):
    """The last score is computed again from the images of infer.py and from the training files."""
    words = ["--task", "anime", "--data", image_dir, "--runs", tmp_path / "runs", "--steps", 4, "--eval-every", 2]
    assert call("train", *words, "--eval-count", 12, *TINY, "--network", "baseline") == 0
    run = only_run(tmp_path / "runs")
    scores = [line for line in logged(run) if "fid_train" in line]
    assert [line["step"] for line in scores] == [2, 4]
    assert (run / "curves.png").read_bytes() == render_curves(run / "metrics.jsonl")  # with the last score
    best = min(scores, key=lambda line: line["fid_train"])
    assert cards.read_card(run / "best")["step"] == best["step"]
    assert call("infer", "--task", "anime", "--weights", run, "--count", 12, tmp_path / "out") == 0
    images = [
        np.stack([np.asarray(Image.open(path)) for path in sorted(directory.iterdir())])
        for directory in (tmp_path / "out", image_dir)
    ]
    expected = frechet_distance_of_features(*[MeanColors()(side)[0] for side in images])
    assert scores[-1]["fid_train"] == pytest.approx(expected, rel=0.02)  # float16 weights change a few pixels by one level


@pytest.fixture
def train_with_scores(image_dir, tmp_path, mean_colors):
    """Returns a function that trains six steps with three scores in a folder and returns the exit code."""
    words = ["--task", "anime", "--data", image_dir, "--steps", 6, "--eval-every", 2, "--log-every", 2, "--grid-every", 2]
    words += ["--checkpoint-every", 2, *TINY, "--network", "baseline"]
    return lambda runs, *more: call("train", *words, "--runs", tmp_path / runs, *more)


def assert_same_curves_and_best_weights(runs, other_runs):
    whole, stopped = only_run(runs), only_run(other_runs)
    for file in ("metrics.jsonl", "best/weights.npz", "best/finetune.npz", "weights.npz", "curves.png"):
        assert (whole / file).read_bytes() == (stopped / file).read_bytes(), file
    assert cards.read_card(whole / "best")["best"] == cards.read_card(stopped / "best")["best"]
    export.read_weights(stopped / "best")  # which checks that the card describes them


def test_train_interrupted_run_ends_with_curves_and_best_weights_of_an_uninterrupted_one(
    train_with_scores, tmp_path, monkeypatch, capsys
):
    assert train_with_scores("whole") == 0

    def interrupt(grid, step):  # during step 2, so that step 3 is the last one
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(SampleGrid, "on_interval", interrupt)
        assert train_with_scores("stopped") == 130
    assert "step 3: FID" in capsys.readouterr().out
    assert train_with_scores("stopped", "--resume") == 0
    assert_same_curves_and_best_weights(tmp_path / "whole", tmp_path / "stopped")


class Killed(BaseException):
    """Stands for kill -9."""


def test_train_killed_while_it_scores_ends_with_curves_and_best_weights_of_an_uninterrupted_one(
    train_with_scores, tmp_path, monkeypatch
):
    """Killed in turn before a score, between the best weights and their card, and between the card and the curves."""
    assert train_with_scores("whole") == 0

    def kill(*_):
        raise Killed

    def kill_at_best(path, value):
        if path.parent.name == "best":
            raise Killed
        write_json(path, value)

    def kill_at_scores(loggers, step, values):
        if "fid_train" in values:
            raise Killed
        scalars(loggers, step, values)

    write_json, scalars = export.write_json, Loggers.scalars
    moments = (
        (TrainingSetScores, "on_interval", kill),
        (export, "write_json", kill_at_best),
        (Loggers, "scalars", kill_at_scores),
    )
    for owner, name, replacement in moments:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, replacement)
            with pytest.raises(Killed):
                train_with_scores("killed", "--resume")
    assert train_with_scores("killed", "--resume") == 0
    assert_same_curves_and_best_weights(tmp_path / "whole", tmp_path / "killed")


def test_train_eval_every_without_fid_weights_says_how_to_get_them(image_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    words = ["--task", "anime", "--data", image_dir, "--runs", tmp_path / "runs", "--steps", 4, "--eval-every", 1, *TINY]
    assert call("train", *words) == 2
    assert "fetch" in capsys.readouterr().err


def test_train_without_fid_weights_ends_with_a_line(image_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    image_dir.rename(tmp_path / "data/faces")
    (tmp_path / "data/val").mkdir()
    for i in range(4):
        Image.fromarray(np.full((64, 64, 3), 50 * i, np.uint8)).save(tmp_path / f"data/val/{i}.png")
    words = ["--task", "anime", "--data", tmp_path / "data", "--runs", tmp_path / "runs", "--steps", 1, *TINY]
    assert call("train", *words, "--network", "baseline") == 0
    output = capsys.readouterr().out
    assert "not scored: " in output
    assert "fetch" in output


def test_training_set_scores_of_one_image_are_refused_before_training(tmp_path):
    source = Images()
    source.images = source.images[:1]
    with pytest.raises(UserError, match="A FID needs two or more training images, but images has one"):
        callbacks.TrainingSetMetrics(source, 20, 0)
