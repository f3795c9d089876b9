"""The comparison of losses: whose weights it takes, and its page, with scores that need no network."""

import numpy as np
import pytest
from helpers.gan_weights import TINY, write_curves, write_gan_weights
from helpers.mean_gray import MeanGray

from gan_tf.cli.main import run_command
from gan_tf.evaluation.scores import Score
from gan_tf.experiments import inception_scores, loss_comparison, models, trainings
from gan_tf.experiments.loss_comparison import HEAD, LOSSES, describe_head
from gan_tf.experiments.models import Facts, Measures, split_by_task
from gan_tf.run_dir import RunDir
from gan_tf.tasks import ANIME, CIFAR10, TASKS
from pipelines.errors import UserError
from pipelines.image_array import ImageArray


def test_losses_have_the_names_of_their_variants():
    for name, compared in LOSSES.items():
        task = TASKS[name]
        for training in compared:
            assert task.variant_of(task.family.resolve(task, {}, training.flags).config) == training.name


def test_split_by_task_needs_the_images_of_each(tmp_path):
    weights = write_gan_weights(tmp_path / "a", ANIME)
    assert split_by_task([weights], {"anime": tmp_path, "cifar10": None}) == {"anime": [weights], "cifar10": []}
    with pytest.raises(UserError, match="whose images are not named") as refusal:
        split_by_task([weights], {"anime": None, "cifar10": tmp_path})
    assert refusal.value.hint == "Add --anime DIR"


def make_result(scores, reasons):
    measures = Measures(np.zeros((1, 4, 4, 3), np.uint8), 50.0, 1.0)
    return loss_comparison.Result(Facts(1, 1.0, 1, None), measures, inception_scores.Row("cifar10/gan", scores, reasons))


def test_describe_head_names_the_ceiling_or_the_reason():
    options = inception_scores.InceptionScoreOptions()
    real = Score(6.2, {"generated": "cifar10 test"})
    result = make_result({HEAD: Score(4.0, {}, baseline=real)}, {})
    assert "The ceiling is that of real images, 6.20 (cifar10 test)." in describe_head({"gan": result}, options)
    missing = make_result({}, {HEAD: "CIFAR-10 is missing"})
    assert describe_head({"gan": missing}, options) == "The Inception Score is not computed: CIFAR-10 is missing."


def test_render_results_marks_the_lowest_fid():
    results = {}
    for name, fid in (("gan", 60.0), ("lsgan", 50.0), ("wgan", 70.0)):
        measures = Measures(np.zeros((1, 4, 4, 3), np.uint8), fid, 1.0)
        results[name] = loss_comparison.Result(Facts(1, 1.0, 1, None), measures, None)
    rows = loss_comparison.render_results(results).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["gan", "**lsgan**", "wgan"]
    assert [row.split("|")[4].strip() for row in rows] == ["60.0", "50.0", "70.0"]


def test_loss_comparison_page_takes_named_weights_and_trains_the_others(tmp_path, monkeypatch):
    trained = []

    def train(task, training, data, budget, folder, grid_every=0):
        trained.append((task.name, training.name, budget.minutes))
        write_gan_weights(folder, task, **{**training.flags, **TINY})
        write_curves(folder, ("d_loss", "g_loss"))
        return RunDir(folder), None

    def score(models, directories, options):
        losses = {model.name: len(model.variant) for model in models if model.name in directories}
        scores = {name: Score(float(n), {}, baseline=Score(6.2, {"generated": "test"})) for name, n in losses.items()}
        return [inception_scores.Row(name, {HEAD: score}, {}) for name, score in scores.items()]

    monkeypatch.setattr(trainings, "train_to", train)
    monkeypatch.setattr(models, "open_metrics", lambda *args: MeanGray(32))
    monkeypatch.setattr(models.shipped, "shipped_variants", lambda task: [])
    monkeypatch.setattr(loss_comparison, "score_rows", score)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    monkeypatch.setattr(models, "open_training_images", lambda *args: ImageArray(pixels, "images"))
    named = write_gan_weights(tmp_path / "named", CIFAR10, loss="lsgan")
    words = ["--cifar10", tmp_path, "--anime", tmp_path, "--weights", named, "--count", 32, "--minutes", 2]
    words += ["--runs", tmp_path / "runs", "--out", tmp_path / "losses.md"]
    assert run_command(loss_comparison.run, [str(word) for word in words]) == 0
    cifar10 = [("cifar10", loss, 2.0) for loss in ("gan", "wgan", "wgangp")]
    assert trained == [*cifar10, ("anime", "hinge", 2.0), ("anime", "wgangp", 2.0)]
    text = (tmp_path / "losses.md").read_text()
    assert text.index("## cifar10") < text.index("## anime")
    assert "| 6.00 |" in text  # the score of wgangp
    assert "Not shown: the curves of lsgan" in text
    for name in ("cifar10", "anime"):
        assert (tmp_path / f"losses-{name}-samples.png").is_file()
        assert (tmp_path / f"losses-{name}-curves.png").is_file()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "No images were given"),
        (["--anime", ".", "--count", "5"], "--count 5 is not valid"),
        (["--anime", ".", "--head-data", "cifar.tgz"], "There is no CIFAR-10 at 'cifar.tgz'"),
    ],
)
def test_loss_comparison_wrong_arguments_are_refused(words, named, capsys):
    assert run_command(loss_comparison.run, words) == 2
    assert named in capsys.readouterr().err
