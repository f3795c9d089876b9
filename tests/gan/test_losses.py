"""The GAN losses and their gradients against closed forms in NumPy, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.reference_losses import REFERENCE_LOSSES, central_differences

from gan_tf.gan.config import LOSS_PRESETS, GanConfig
from gan_tf.gan.losses import LOSSES, check_same_shape, mean_per_image

NAMES = sorted(LOSSES)
SHAPES = [(5,), (5, 1), (5, 3, 3, 1), (5, 2, 4, 1)]


def random_logits(shape):
    """Returns real and fake logits on both sides of every kink of a loss, but not close to one."""
    random = np.random.default_rng(len(shape))
    return 2.0 * random.normal(size=shape) + 0.3, 2.0 * random.normal(size=shape) - 0.2


def test_losses_presets_and_references_have_the_same_names():
    assert set(LOSSES) == set(LOSS_PRESETS) == set(REFERENCE_LOSSES)


def test_loss_presets_set_fields_of_the_config_only():
    fields = set(GanConfig.__dataclass_fields__)
    assert all(set(preset) <= fields for preset in LOSS_PRESETS.values())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_loss_values_equal_numpy(name, shape):
    real, fake = random_logits(shape)
    d_loss = LOSSES[name].discriminator(tf.constant(real), tf.constant(fake))
    np.testing.assert_allclose(d_loss, REFERENCE_LOSSES[name].discriminator(real, fake), rtol=1e-12)
    g_loss = LOSSES[name].generator(tf.constant(fake), tf.constant(real) if LOSSES[name].relativistic else None)
    np.testing.assert_allclose(g_loss, REFERENCE_LOSSES[name].generator(fake, real), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES[1:3], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_loss_gradients_equal_central_differences(name, shape):
    real, fake = random_logits(shape)
    real_logits, fake_logits = tf.constant(real), tf.constant(fake)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real_logits, fake_logits])
        d_loss = LOSSES[name].discriminator(real_logits, fake_logits)
        g_loss = LOSSES[name].generator(fake_logits, real_logits)
    zero, reference = tf.UnconnectedGradients.ZERO, REFERENCE_LOSSES[name]
    found = tape.gradient(d_loss, [real_logits, fake_logits], unconnected_gradients=zero)
    found += tape.gradient(g_loss, [fake_logits, real_logits], unconnected_gradients=zero)
    expected = central_differences(reference.discriminator, real, fake)
    expected += central_differences(reference.generator, fake, real)
    for found_gradient, expected_gradient in zip(found, expected, strict=True):
        np.testing.assert_allclose(found_gradient, expected_gradient, rtol=1e-7, atol=1e-9)


def test_gan_loss_of_an_undecided_discriminator_is_two_log_two():
    undecided = tf.zeros((4, 1), tf.float64)  # D = sigmoid(0) = 0.5
    np.testing.assert_allclose(LOSSES["gan"].discriminator(undecided, undecided), 2 * np.log(2), rtol=1e-15)
    np.testing.assert_allclose(LOSSES["gan"].generator(undecided), np.log(2), rtol=1e-15)


def test_relativistic_losses_depend_on_differences_only():
    real, fake = map(tf.constant, random_logits((6, 1)))
    for loss in (LOSSES["rpgan"].discriminator, LOSSES["rpgan"].generator):
        np.testing.assert_allclose(loss(real + 7.0, fake + 7.0), loss(real, fake), rtol=1e-12)


def test_mean_per_image_averages_the_patches_of_each_image():
    values = np.arange(24.0).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(mean_per_image(tf.constant(values)), [5.5, 17.5])


@pytest.mark.parametrize("shapes", [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (1, 1)), ((4, 1), (4, 2, 2, 1))], ids=str)
def test_check_same_shape_of_different_shapes_raises(shapes):
    real, fake = (tf.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match="differ in shape"):
        check_same_shape(real, fake)
    with pytest.raises(ValueError, match="differ in shape"):
        LOSSES["rpgan"].generator(fake, real)


@pytest.mark.parametrize("name", NAMES)
def test_losses_of_a_vector_and_a_column_do_not_broadcast(name):
    """[B] with [B, 1] is refused or gives one value per image, but never the [B, B] of NumPy's rules."""
    real, fake = random_logits((5, 1))
    if LOSSES[name].relativistic:
        with pytest.raises(ValueError, match="differ in shape"):
            LOSSES[name].discriminator(tf.constant(real[:, 0]), tf.constant(fake))
    else:
        found = LOSSES[name].discriminator(tf.constant(real[:, 0]), tf.constant(fake))
        np.testing.assert_allclose(found, REFERENCE_LOSSES[name].discriminator(real, fake), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_losses_and_gradients_of_extreme_logits_are_finite(name, size):
    real, fake = tf.constant([[size], [-size]]), tf.constant([[-size], [-size]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d_loss = LOSSES[name].discriminator(real, fake)
        g_loss = LOSSES[name].generator(fake, real)
    for loss in (d_loss, g_loss):
        assert np.isfinite(loss).all()
        gradients = tape.gradient(loss, [real, fake], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_losses_decrease_in_the_direction_each_network_wants(name):
    """D wants high logits of real images and low ones of fakes; G wants higher logits of fakes."""
    high, middle, low = tf.constant([[0.9]]), tf.constant([[0.0]]), tf.constant([[-0.9]])
    loss = LOSSES[name]
    assert float(loss.discriminator(high, low)[0]) < float(loss.discriminator(low, high)[0])
    assert float(loss.generator(middle, middle)[0]) < float(loss.generator(low, middle)[0])


@pytest.mark.parametrize("name", NAMES)
def test_loss_interpretation_of_logits_equals_reference(name):
    reference = REFERENCE_LOSSES[name]
    assert (LOSSES[name].threshold, LOSSES[name].is_probability) == (reference.threshold, reference.is_probability)
