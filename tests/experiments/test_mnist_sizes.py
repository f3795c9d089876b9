"""The comparison of sizes: what it computes, and the page that it writes of weights that are there."""

import math

import numpy as np
import pytest
from helpers.gan_weights import write_curves, write_gan_weights
from helpers.mean_gray import MeanGray
from PIL import Image
from scipy.stats import chi2

from gan_tf.cli.main import run_command
from gan_tf.experiments import mnist_sizes, models
from gan_tf.experiments.mnist_sizes import EQUILIBRIUM, TRAININGS, chi_square_even, describe_equilibrium, mean_of_end
from gan_tf.experiments.models import Facts
from gan_tf.experiments.trainings import Training
from gan_tf.tasks import MNIST
from pipelines.errors import UserError
from pipelines.image_array import ImageArray


class FirstPixels:
    """A classifier of random digits, the same for the same images."""

    has_logits = True

    def __call__(self, images):
        digits = images.reshape(len(images), -1)[:, :50].sum(axis=1).astype(int) % 10
        return np.zeros((len(images), 1), np.float32), np.eye(10)[digits]


def test_trainings_have_the_names_of_their_variants():
    for training in TRAININGS:
        assert MNIST.variant_of(MNIST.family.resolve(MNIST, {}, training.flags).config) == training.name


def test_mean_of_end_takes_the_last_fifth():
    steps = np.arange(1.0, 101.0)
    assert mean_of_end(np.stack([steps, np.where(steps > 80, 7.0, 1.0)], axis=1)) == 7.0


def test_chi_square_even_equals_the_formula():
    digits = np.array([12, 8, 10, 10, 15, 5, 10, 10, 11, 9])
    expected = ((digits - 10.0) ** 2 / 10).sum()
    assert chi_square_even(digits) == pytest.approx((expected, chi2.sf(expected, 9)))
    assert chi_square_even(np.full(10, 7)) == pytest.approx((0.0, 1.0))


def test_equilibrium_is_that_of_a_discriminator_that_cannot_tell():
    """With logits of 0, the losses as they are computed in training."""
    import tensorflow as tf

    from gan_tf.gan.losses import LOSSES

    logits, loss = tf.zeros((4, 1)), LOSSES["gan"]
    assert float(loss.discriminator(logits, logits)[0]) == pytest.approx(EQUILIBRIUM["d_loss"])
    assert float(loss.generator(logits)[0]) == pytest.approx(EQUILIBRIUM["g_loss"])
    assert math.isclose(float(tf.sigmoid(logits)[0, 0]), EQUILIBRIUM["d_real"])


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        (EQUILIBRIUM, "D's outputs are those of the equilibrium for 16-16"),
        ({**EQUILIBRIUM, "d_real": 0.8}, "No model is at the equilibrium"),
        ({**EQUILIBRIUM, "d_fake_before": 0.2}, "No model is at the equilibrium"),
    ],
)
def test_describe_equilibrium_compares_with_one_half(means, verdict):
    row = mnist_sizes.Row(Facts(1, 1.0, 1, None), 50.0, np.full(10, 5), means)
    assert verdict in describe_equilibrium({"16-16": row})[-1]


def test_describe_marks_the_lowest_fid_and_compares_the_mlp_with_the_best_convolutions():
    def row(fid: float) -> mnist_sizes.Row:
        return mnist_sizes.Row(Facts(1, 1.0, 1, None), fid, np.full(10, 5), {})

    rows = {"16-16": row(40.0), "100-16": row(30.0), "mlp": row(35.0)}
    _, table, mlp, *_ = mnist_sizes.describe(rows, 50, "protocol")
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["16-16", "**100-16**", "mlp"]
    assert mlp == "MLP against CNN: the FID of the fully connected networks, 35.0, is higher than the 30.0 of 100-16."
    assert "25.0, is not higher than the 30.0" in mnist_sizes.describe({**rows, "mlp": row(25.0)}, 50, "protocol")[2]


def test_describe_equilibrium_without_curves_says_nothing():
    assert describe_equilibrium({"16-16": mnist_sizes.Row(Facts(1, 1.0, 1, None), 50.0, np.full(10, 5), {})}) == []


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights of two tiny sizes, the only ones that are compared; one of them with curves."""
    tiny = tuple(Training(f"{n}-2", "", {"latent_dim": n, "hidden_dim": 2}) for n in (4, 5))
    monkeypatch.setattr(mnist_sizes, "TRAININGS", tiny)
    monkeypatch.setattr(models, "open_metrics", lambda *args: MeanGray(60))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 1), np.uint8)
    monkeypatch.setattr(models, "open_training_images", lambda *args: ImageArray(pixels, "mnist"))
    monkeypatch.setattr(type(MNIST), "load_classifier", lambda task: FirstPixels())
    found = [write_gan_weights(tmp_path / training.name, MNIST, **training.flags) for training in tiny]
    write_curves(found[0], tuple(EQUILIBRIUM))
    return found


def test_mnist_sizes_writes_page_and_figures(weights, tmp_path):
    page = tmp_path / "docs/sizes.md"
    words = ["--data", tmp_path, "--weights", *weights, "--count", 60, "--out", page]
    assert run_command(mnist_sizes.run, [str(word) for word in words]) == 0
    text = page.read_text()
    assert "| 4-2 |" in text.replace("**", "")
    assert "Not shown: the curves of 5-2" in text
    assert "D's outputs are those of the equilibrium for 4-2" in text
    for name in ("samples", "curves", "interpolation", "extrapolation"):
        assert f"(sizes-{name}.png)" in text
        assert (tmp_path / f"docs/sizes-{name}.png").is_file()
    assert Image.open(tmp_path / "docs/sizes-interpolation.png").size == (10 * 32, 5 * 32)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--steps", "5", "--minutes", "5"], "exclude each other"),
        (["--steps", "0"], "--steps 0"),
        (["--minutes", "0"], "--minutes 0"),
        (["--count", "10"], "--count 10"),
        (["--out", "x.txt"], "must be a .md file"),
    ],
)
def test_mnist_sizes_wrong_arguments_are_refused(words, named, capsys):
    assert run_command(mnist_sizes.run, ["--data", ".", *words]) == 2
    assert named in capsys.readouterr().err


def test_find_named_refuses_other_weights_and_two_of_one_kind(tmp_path):
    from gan_tf.experiments.models import find_named
    from gan_tf.tasks import ANIME

    ours, anime = write_gan_weights(tmp_path / "a", MNIST), write_gan_weights(tmp_path / "b", ANIME)
    assert find_named(MNIST, ["4-2"], [ours]) == {"4-2": ours}
    with pytest.raises(UserError, match="weights of mnist/4-2, which are not compared here"):
        find_named(MNIST, ["16-16"], [ours])
    with pytest.raises(UserError, match="weights of anime, which"):
        find_named(MNIST, ["4-2"], [anime])
    with pytest.raises(UserError, match="both hold weights of 4-2"):
        find_named(MNIST, ["4-2"], [ours, ours])
