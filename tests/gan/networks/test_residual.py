"""The residual networks: parameters by formula, initial images without checkerboards, blocks that start as shortcuts."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.keras_reference import keras_reference
from helpers.models import NORMS

from gan_tf.gan.losses import LOSSES
from gan_tf.gan.networks import residual
from gan_tf.nn.layers import GroupNorm, SpectralConv2D
from gan_tf.nn.precision import dtype_policy_scope


def random(*shape):
    return tf.constant(np.random.default_rng(sum(shape)).normal(size=shape), tf.float32)


def random_images(count, size):
    return tf.clip_by_value(random(count, size, size, 3), -1.0, 1.0)


def build_pair(size=32, hidden_dim=4, norm="spectral", seed=0):
    shape = (size, size, 3)
    return residual.build_generator(shape, 5, hidden_dim, seed), residual.build_discriminator(shape, hidden_dim, norm, seed)


def num_parameters(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_networks_of_each_size_have_the_right_output_shapes_and_ranges(size):
    generator, discriminator = build_pair(size, hidden_dim=8)
    images = generator(random(2, 5), training=True)
    assert images.shape == (2, size, size, 3)
    assert discriminator(images, training=True).shape == (2, 1)
    assert 0.02 < np.std(images) < 0.5  # gray with little contrast, neither constant nor saturated
    generator.set_weights([100.0 * w for w in generator.get_weights()])
    images = generator(random(2, 5), training=True).numpy()
    assert 0.99 < np.abs(images).max() <= 1.0
    assert images.min() < -0.5


@pytest.mark.parametrize("size", [-16, 0, 4, 8, 12, 15, 28, 48, 63, 65, 96])
def test_networks_of_another_size_raise(size):
    with pytest.raises(ValueError, match=f"16, 32, 64, 128, …, not {size}"):
        residual.build_generator((size, size, 3), 5, 4)
    with pytest.raises(ValueError, match=f"16, 32, 64, 128, …, not {size}"):
        residual.build_discriminator((size, size, 3), 4)


def expected_widths(size, hidden_dim):
    """Returns the numbers of channels from a quarter of the size down to 4x4."""
    return [4 * hidden_dim, *[8 * hidden_dim] * (int(np.log2(size)) - 4)]


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_generator_has_the_parameters_of_the_formula(size):
    hidden_dim, latent_dim, channels = 6, 5, 3
    widths = expected_widths(size, hidden_dim)
    expected = (latent_dim + 1) * 16 * widths[-1]
    for larger, smaller in itertools.pairwise(widths):  # channels of the larger and of the smaller images
        inner = larger // 2
        expected += smaller * inner + 9 * inner * inner + inner * larger + larger  # 1x1, 3x3, 1x1 with a bias
        expected += 2 * (smaller + inner + inner)  # batch norms
        expected += smaller * larger if smaller != larger else 0  # the shortcut
    half = hidden_dim // 2  # channels at half the size
    expected += widths[0] * 4 * half + 2 * 4 * half + 9 * half**2 + half + 9 * half * 4 * channels + 4 * channels
    assert num_parameters(residual.build_generator((size, size, channels), latent_dim, hidden_dim)) == expected


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_discriminator_has_the_parameters_of_the_formula(size, norm):
    hidden_dim, widths = 6, expected_widths(size, 6)
    has_norm_layers = norm in ("batch", "layer", "instance")
    expected = 16 * 3 * hidden_dim + hidden_dim
    for i, (larger, smaller) in enumerate(itertools.pairwise(widths)):
        inner = 3 * larger // 8
        expected += 16 * larger * inner + 9 * inner * smaller + smaller
        expected += 2 * (inner + (larger if i else 0)) if has_norm_layers else inner  # or a bias instead
        expected += larger * smaller if smaller != larger else 0
    expected += 16 * widths[-1] + 1
    assert num_parameters(residual.build_discriminator((size, size, 3), hidden_dim, norm)) == expected


# --- pixel shuffle ---------------------------------------------------------------------------------------------------


def test_depth_to_space_and_space_to_depth_equal_tensorflow():
    coarse, fine = random(2, 3, 3, 8), random(2, 6, 6, 5)
    for function, operation, values in (
        (residual.depth_to_space, tf.nn.depth_to_space, coarse),
        (residual.space_to_depth, tf.nn.space_to_depth, fine),
    ):
        inputs = keras.Input(values.shape[1:])
        np.testing.assert_array_equal(keras.Model(inputs, function(inputs))(values), operation(values, 2))


def is_constant_in_blocks(images, tolerance) -> bool:
    """Returns whether all pixels of each 2x2 block have the same value."""
    images = np.asarray(images)
    corners = images[:, ::2, ::2]
    return all(np.abs(images[:, y::2, x::2] - corners).max() <= tolerance for y in (0, 1) for x in (0, 1))


@pytest.mark.parametrize("training", [True, False])
def test_initial_images_have_no_checkerboard(training):
    """With ICNR each pixel shuffle starts as a nearest upsampling, until its kernel changes."""
    generator = residual.build_generator((32, 32, 3), 5, 4)
    reshaped = [
        layer.output for layer in generator.layers if isinstance(layer, keras.layers.Reshape) and len(layer.target_shape) == 3
    ]
    pixel_shuffles = keras.Model(generator.input, reshaped[1:])  # the first reshape follows the dense layer
    for outputs, size in zip(pixel_shuffles(random(3, 5), training=training), (16, 32), strict=True):
        assert outputs.shape[1] == size
        assert is_constant_in_blocks(outputs, 1e-6)
        assert np.std(outputs) > 0.01
    assert is_constant_in_blocks(generator(random(3, 5), training=training), 1e-6)
    for layer in generator.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.filters == 4 * 3:
            layer.kernel.assign(layer.kernel + 0.1 * random(*layer.kernel.shape))
    assert not is_constant_in_blocks(generator(random(3, 5), training=training), 1e-3)


def test_icnr_init_gives_four_equal_kernels_with_hes_standard_deviation():
    generator = residual.build_generator((64, 64, 3), 5, 32)
    first = next(layer for layer in generator.layers if getattr(layer, "filters", 0) == 64 and layer.kernel.shape[2] == 128)
    kernel = first.kernel.numpy()
    for i in range(1, 4):
        np.testing.assert_array_equal(kernel[..., 16 * i : 16 * (i + 1)], kernel[..., :16])
    assert abs(kernel.std() / np.sqrt(2 / 128) - 1) < 0.1


# --- blocks ----------------------------------------------------------------------------------------------------------


def branch_to_shortcut_ratios(network, inputs):
    """Returns for each block the standard deviation of its branch over that of its shortcut."""
    terms_of_sums = [layer.input for layer in network.layers if isinstance(layer, keras.layers.Add)]
    found = keras.Model(network.input, [tensor for terms in terms_of_sums for tensor in terms])(inputs, training=True)
    return [np.std(branch) / np.std(shortcut) for shortcut, branch in zip(found[::2], found[1::2], strict=True)]


def test_initial_blocks_are_close_to_their_shortcuts():
    """The last convolution of a branch has a tenth of He's standard deviation, and the branch about a tenth of the signal."""
    ratios = branch_to_shortcut_ratios(residual.build_generator((64, 64, 3), 5, 16), random(16, 5))
    smooth_images = tf.tanh(tf.image.resize(random(8, 8, 8, 3), (64, 64)))
    for norm in ("none", "batch", "layer", "instance"):
        ratios += branch_to_shortcut_ratios(residual.build_discriminator((64, 64, 3), 16, norm), smooth_images)
    assert len(ratios) == 10
    assert all(0.03 < ratio < 0.3 for ratio in ratios), ratios


@pytest.mark.parametrize("norm", NORMS)
def test_gradient_of_every_weight_with_each_norm_is_finite_and_not_zero(norm):
    generator, discriminator = build_pair(32, 4, norm)
    loss = LOSSES["hinge"]
    with tf.GradientTape(persistent=True) as tape:
        fake_images = generator(random(3, 5), training=True)
        real, fake = discriminator(random_images(3, 32), training=True), discriminator(fake_images, training=True)
        d_loss, g_loss = tf.reduce_sum(loss.discriminator(real, fake)), tf.reduce_sum(loss.generator(fake))
    for network, value in ((discriminator, d_loss), (generator, g_loss)):
        for v, gradient in zip(network.trainable_variables, tape.gradient(value, network.trainable_variables), strict=True):
            assert gradient is not None, v.path
            assert np.isfinite(gradient).all(), v.path
            if network is generator or v is not network.trainable_variables[-1]:  # in the hinge loss the last bias cancels
                assert np.abs(gradient).max() > 0, v.path


@pytest.mark.parametrize(
    ("norm", "layer_type", "count"),
    [
        ("spectral", SpectralConv2D, 5),  # every convolution: the first, three of a block, the last
        ("batch", keras.layers.BatchNormalization, 1),  # in the only block, before its second convolution
        ("layer", GroupNorm, 1),
        ("instance", GroupNorm, 1),
    ],
)
def test_discriminator_with_each_norm_has_its_layers_in_the_blocks(norm, layer_type, count):
    def count_layers(size, norm):
        layers = residual.build_discriminator((size, size, 3), 4, norm).layers
        return sum(isinstance(layer, layer_type) for layer in layers)

    assert count_layers(32, norm) == count
    # The second block has a norm before its first activation too, and no convolution on its shortcut.
    assert count_layers(64, norm) == count + 2
    assert count_layers(64, "none") == 0


@pytest.mark.parametrize("norm", NORMS)
def test_logit_of_an_image_depends_on_the_others_with_batch_norm_only(norm):
    """This is why a gradient penalty, a function of single images, excludes batch norm."""
    images = random_images(3, 32)
    others = images * tf.reshape([1.0, -0.5, -0.5], [3, 1, 1, 1])
    before, after = (build_pair(32, 4, norm)[1](batch, training=True).numpy() for batch in (images, others))
    assert (abs(after[0] - before[0]) > 1e-4) == (norm == "batch")
    assert (abs(after[1:] - before[1:]) > 1e-6).all()


# --- files and precision ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
def test_generator_of_keras_layers_after_saving_and_loading_has_the_same_outputs(tmp_path):
    generator = residual.build_generator((32, 32, 3), 5, 4)
    generator(random(8, 5), training=True)  # changes batch norm's statistics
    keras_reference(generator).save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_allclose(loaded(random(3, 5)), generator(random(3, 5)), atol=1e-6)


def test_networks_in_bfloat16_have_the_same_weights_and_float32_outputs():
    float32_weights = [network.get_weights() for network in build_pair()]
    with dtype_policy_scope("bfloat16"):
        generator, discriminator = build_pair()
    for weights, network in zip(float32_weights, (generator, discriminator), strict=True):
        assert all(v.dtype == "float32" for v in network.weights)
        for a, b in zip(weights, network.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(layer.compute_dtype == "bfloat16" for layer in generator.layers)
    images = generator(random(3, 5), training=True)
    logits = discriminator(images, training=True)
    assert images.dtype == logits.dtype == tf.float32
