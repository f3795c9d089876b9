"""The GAN losses and their gradients against closed forms in NumPy, in float64; a new loss is a row of ``TRUTH``."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.gan.config import LOSS_RECIPES
from gan_tf.gan.losses import LOSSES, per_image, same_shape
from gan_tf.options import GanSettings

NAMES = sorted(LOSSES)
SHAPES = [(5,), (5, 1), (5, 3, 3, 1), (5, 2, 4, 1)]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def mean(values):
    """The mean over all axes but the first."""
    return values.reshape(len(values), -1).mean(axis=1)


@dataclass(frozen=True)
class Truth:
    """A loss as its paper prints it, in NumPy: logarithms of probabilities, not softplus.

    Attributes:
        discriminator: ``(real, fake)`` logits, ``[batch, …]`` each, ``-> [batch]``, what D minimises.
        generator: ``(fake, real) -> [batch]``, what G minimises.
        boundary: the logit between fake and real; None for critics, which have none of their own.
        probability: whether the sigmoid of a logit is a probability.
    """

    discriminator: Callable
    generator: Callable
    boundary: float | None = None
    probability: bool = False


CRITIC = Truth(lambda r, f: mean(f) - mean(r), lambda f, r: -mean(f))
TRUTH = {
    "gan": Truth(
        lambda r, f: mean(-np.log(sigmoid(r))) + mean(-np.log(1 - sigmoid(f))),
        lambda f, r: mean(-np.log(sigmoid(f))),
        boundary=0.0,
        probability=True,
    ),
    "lsgan": Truth(
        lambda r, f: mean((r - 1) ** 2) / 2 + mean((f - 0) ** 2) / 2,
        lambda f, r: mean((f - 1) ** 2) / 2,
        boundary=0.5,  # halfway between its labels, 0 and 1
    ),
    "wgan": CRITIC,
    "wgangp": CRITIC,
    "hinge": Truth(
        lambda r, f: mean(np.maximum(0, 1 - r)) + mean(np.maximum(0, 1 + f)),
        lambda f, r: -mean(f),
        boundary=0.0,
    ),
    "rpgan": Truth(
        lambda r, f: mean(-np.log(sigmoid(r - f))),
        lambda f, r: mean(-np.log(sigmoid(f - r))),
    ),
}


def slopes(loss, real, fake, step=1e-6):
    """Gradients of the sum of ``loss(real, fake)`` by both, by central differences."""

    def slope(which, index):
        moved = []
        for by in (step, -step):
            arguments = [real.copy(), fake.copy()]
            arguments[which][index] += by
            moved.append(loss(*arguments).sum())
        return (moved[0] - moved[1]) / (2 * step)

    return [np.array([slope(which, i) for i in np.ndindex(real.shape)]).reshape(real.shape) for which in (0, 1)]


def logits(shape):
    """Real and fake logits on both sides of every kink, far from it."""
    random = np.random.default_rng(len(shape))
    return 2.0 * random.normal(size=shape) + 0.3, 2.0 * random.normal(size=shape) - 0.2


def test_every_loss_has_a_recipe_and_every_recipe_a_loss():
    assert set(LOSSES) == set(LOSS_RECIPES) == set(TRUTH)


def test_recipes_name_settings_only():
    fields = set(GanSettings.__dataclass_fields__)
    assert all(set(recipe) <= fields for recipe in LOSS_RECIPES.values())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_values(name, shape):
    real, fake = logits(shape)
    found = LOSSES[name].discriminator(tf.constant(real), tf.constant(fake))
    np.testing.assert_allclose(found, TRUTH[name].discriminator(real, fake), rtol=1e-12)
    found = LOSSES[name].generator(tf.constant(fake), tf.constant(real) if LOSSES[name].pairs else None)
    np.testing.assert_allclose(found, TRUTH[name].generator(fake, real), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES[1:3], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name, shape):
    real, fake = map(tf.constant, logits(shape))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d = LOSSES[name].discriminator(real, fake)
        g = LOSSES[name].generator(fake, real)
    zero = tf.UnconnectedGradients.ZERO
    for found, loss in ((d, TRUTH[name].discriminator), (g, lambda r, f: TRUTH[name].generator(f, r))):
        gradients = tape.gradient(found, [real, fake], unconnected_gradients=zero)
        for gradient, expected in zip(gradients, slopes(loss, real.numpy(), fake.numpy()), strict=True):
            np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-9)


def test_an_undecided_discriminator_costs_two_log_two():
    undecided = tf.zeros((4, 1), tf.float64)  # D = sigmoid(0) = 0.5
    np.testing.assert_allclose(LOSSES["gan"].discriminator(undecided, undecided), 2 * np.log(2), rtol=1e-15)
    np.testing.assert_allclose(LOSSES["gan"].generator(undecided), np.log(2), rtol=1e-15)


def test_relativistic_losses_look_at_differences_only():
    real, fake = map(tf.constant, logits((6, 1)))
    for loss in (LOSSES["rpgan"].discriminator, LOSSES["rpgan"].generator):
        np.testing.assert_allclose(loss(real + 7.0, fake + 7.0), loss(real, fake), rtol=1e-12)


def test_patches_are_averaged_image_by_image():
    values = np.arange(24.0).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(per_image(tf.constant(values)), [5.5, 17.5])


@pytest.mark.parametrize("shapes", [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (1, 1)), ((4, 1), (4, 2, 2, 1))], ids=str)
def test_other_shapes_are_refused(shapes):
    real, fake = (tf.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match="differ in shape"):
        same_shape(real, fake)
    with pytest.raises(ValueError, match="differ in shape"):
        LOSSES["rpgan"].generator(fake, real)


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_never_meets_a_column(name):
    """[B] against [B, 1]: refused, or one value an image; never the [B, B] of NumPy's rules."""
    real, fake = logits((5, 1))
    if LOSSES[name].pairs:
        with pytest.raises(ValueError, match="differ in shape"):
            LOSSES[name].discriminator(tf.constant(real[:, 0]), tf.constant(fake))
    else:
        found = LOSSES[name].discriminator(tf.constant(real[:, 0]), tf.constant(fake))
        np.testing.assert_allclose(found, TRUTH[name].discriminator(real, fake), rtol=1e-12)


def test_equal_shapes_pass():
    assert same_shape(tf.zeros((4, 1)), tf.ones((4, 1))) is None
    assert same_shape(tf.zeros((4, 3, 3, 1)), tf.ones((4, 3, 3, 1))) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_extreme_logits_stay_finite(name, size):
    real, fake = tf.constant([[size], [-size]]), tf.constant([[-size], [-size]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d = LOSSES[name].discriminator(real, fake)
        g = LOSSES[name].generator(fake, real)
    assert np.isfinite(d).all()
    assert np.isfinite(g).all()
    for loss in (d, g):
        gradients = tape.gradient(loss, [real, fake], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_losses_fall_towards_what_each_side_wants(name):
    """D wants real images high and fakes low; G wants fakes higher than low (where to is each loss's own affair)."""
    high, middle, low = tf.constant([[0.9]]), tf.constant([[0.0]]), tf.constant([[-0.9]])
    loss = LOSSES[name]
    assert float(loss.discriminator(high, low)[0]) < float(loss.discriminator(low, high)[0])
    assert float(loss.generator(middle, middle)[0]) < float(loss.generator(low, middle)[0])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_logit_means(name):
    assert (LOSSES[name].boundary, LOSSES[name].probability) == (TRUTH[name].boundary, TRUTH[name].probability)
