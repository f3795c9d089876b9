"""The residual pair: parameters by formula, first pictures without checkerboards, blocks that begin near their shortcuts."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.keras_reference import keras_reference

from gan_tf.gan.losses import LOSSES
from gan_tf.gan.networks import residual
from gan_tf.nn.layers import GroupNorm, SpectralConv2D
from gan_tf.options import GanSettings

NORMS = GanSettings.__dataclass_fields__["norm"].metadata["choices"]


def random(*shape):
    return tf.constant(np.random.default_rng(sum(shape)).normal(size=shape), tf.float32)


def pictures(count, size):
    return tf.clip_by_value(random(count, size, size, 3), -1.0, 1.0)


def pair(size=32, hidden=4, norm="spectral", seed=0):
    shape = (size, size, 3)
    return residual.build_generator(shape, 5, hidden, seed), residual.build_discriminator(shape, hidden, norm, seed)


def parameters(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_shapes_and_ranges(size):
    generator, discriminator = pair(size, hidden=8)
    images = generator(random(2, 5), training=True)
    assert images.shape == (2, size, size, 3)
    assert discriminator(images, training=True).shape == (2, 1)
    assert 0.02 < np.std(images) < 0.5  # a quiet grey, neither blank nor saturated
    generator.set_weights([100.0 * w for w in generator.get_weights()])
    images = generator(random(2, 5), training=True).numpy()
    assert 0.99 < np.abs(images).max() <= 1.0
    assert images.min() < -0.5


@pytest.mark.parametrize("size", [-16, 0, 4, 8, 12, 15, 28, 48, 63, 65, 96])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"16, 32, 64, 128, …, not {size}"):
        residual.build_generator((size, size, 3), 5, 4)
    with pytest.raises(ValueError, match=f"16, 32, 64, 128, …, not {size}"):
        residual.build_discriminator((size, size, 3), 4)


def expected_widths(size, hidden):
    """Channels from a quarter of the size down to 4x4."""
    return [4 * hidden, *[8 * hidden] * (int(np.log2(size)) - 4)]


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_parameters_of_the_generator(size):
    hidden, latent, colours = 6, 5, 3
    widths = expected_widths(size, hidden)
    expected = (latent + 1) * 16 * widths[-1]
    for above, below in itertools.pairwise(widths):
        inner = above // 2
        expected += below * inner + 9 * inner * inner + inner * above + above  # 1x1, 3x3, 1x1 with a bias
        expected += 2 * (below + inner + inner)  # batch norms
        expected += below * above if below != above else 0  # the shortcut
    light = hidden // 2
    expected += widths[0] * 4 * light + 2 * 4 * light + 9 * light**2 + light + 9 * light * 4 * colours + 4 * colours
    assert parameters(residual.build_generator((size, size, colours), latent, hidden)) == expected


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_parameters_of_the_discriminator(size, norm):
    hidden, widths = 6, expected_widths(size, 6)
    normed = norm in ("batch", "layer", "instance")
    expected = 16 * 3 * hidden + hidden
    for i, (above, below) in enumerate(itertools.pairwise(widths)):
        inner = 3 * above // 8
        expected += 16 * above * inner + 9 * inner * below + below
        expected += 2 * (inner + (above if i else 0)) if normed else inner  # or a bias in its place
        expected += above * below if above != below else 0
    expected += 16 * widths[-1] + 1
    assert parameters(residual.build_discriminator((size, size, 3), hidden, norm)) == expected


def test_the_seed_decides_every_kernel():
    first, again, other = ([w for net in pair(seed=seed) for w in net.weights] for seed in (7, 7, 8))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        if a.name == "kernel":
            assert np.mean(a.numpy() == c.numpy()) < 0.01
    assert sum(a.name == "kernel" for a in first) == (1 + 4 + 3) + (1 + 3 + 1)


def test_no_two_layers_begin_alike():
    networks = [net for seed in (0, 1) for net in pair(128, seed=seed)]
    starts = [v.numpy().ravel()[:12] for net in networks for v in net.weights if v.name == "kernel"]
    starts = np.stack([start / np.abs(start).max() for start in starts])
    alike = np.abs(starts[:, None] - starts[None]).max(axis=2) < 1e-3
    assert alike.sum() == len(starts)  # each is like itself only


# --- pixel shuffle ---------------------------------------------------------------------------------------------------


def test_shuffles_are_tensorflows():
    coarse, fine = random(2, 3, 3, 8), random(2, 6, 6, 5)
    for layers, operation, values in (
        (residual.to_space, tf.nn.depth_to_space, coarse),
        (residual.to_depth, tf.nn.space_to_depth, fine),
    ):
        inputs = keras.Input(values.shape[1:])
        np.testing.assert_array_equal(keras.Model(inputs, layers(inputs))(values), operation(values, 2))


def is_flat_in_blocks(images, tolerance=0.0) -> bool:
    """Whether every 2x2 block of pixels has one value."""
    images = np.asarray(images)
    corners = images[:, ::2, ::2]
    return all(np.abs(images[:, y::2, x::2] - corners).max() <= tolerance for y in (0, 1) for x in (0, 1))


@pytest.mark.parametrize("training", [True, False])
def test_the_first_pictures_have_no_checkerboard(training):
    """ICNR: each shuffle begins as a nearest upsampling, and neither is one any more once a kernel has moved."""
    generator = residual.build_generator((32, 32, 3), 5, 4)
    shuffled = [
        layer.output for layer in generator.layers if isinstance(layer, keras.layers.Reshape) and len(layer.target_shape) == 3
    ]
    inside = keras.Model(generator.input, shuffled[1:])  # the first lays out the noise
    for maps, size in zip(inside(random(3, 5), training=training), (16, 32), strict=True):
        assert maps.shape[1] == size
        assert is_flat_in_blocks(maps, 1e-6)
        assert np.std(maps) > 0.01
    assert is_flat_in_blocks(generator(random(3, 5), training=training), 1e-6)
    for layer in generator.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.filters == 4 * 3:
            layer.kernel.assign(layer.kernel + 0.1 * random(*layer.kernel.shape))
    assert not is_flat_in_blocks(generator(random(3, 5), training=training), 1e-3)


def test_alike_kernels_keep_hes_deviation():
    generator = residual.build_generator((64, 64, 3), 5, 32)
    first = next(layer for layer in generator.layers if getattr(layer, "filters", 0) == 64 and layer.kernel.shape[2] == 128)
    kernel = first.kernel.numpy()
    for i in range(1, 4):
        np.testing.assert_array_equal(kernel[..., 16 * i : 16 * (i + 1)], kernel[..., :16])
    assert abs(kernel.std() / np.sqrt(2 / 128) - 1) < 0.1


# --- blocks ----------------------------------------------------------------------------------------------------------


def shares_of_the_branches(network, values):
    """For each block: the deviation of its branch over that of its shortcut, on the way of ``values``."""
    sums = [layer.input for layer in network.layers if isinstance(layer, keras.layers.Add)]
    found = keras.Model(network.input, [tensor for terms in sums for tensor in terms])(values, training=True)
    return [np.std(branch) / np.std(shortcut) for shortcut, branch in zip(found[::2], found[1::2], strict=True)]


def test_blocks_begin_near_their_shortcuts():
    """A tenth of He's deviation in the last convolution, so about a tenth of the signal; with zero it would be none."""
    shares = shares_of_the_branches(residual.build_generator((64, 64, 3), 5, 16), random(16, 5))
    smooth = tf.tanh(tf.image.resize(random(8, 8, 8, 3), (64, 64)))
    for norm in ("none", "batch", "layer", "instance"):
        shares += shares_of_the_branches(residual.build_discriminator((64, 64, 3), 16, norm), smooth)
    assert len(shares) == 10
    assert all(0.03 < share < 0.3 for share in shares), shares


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_gives_every_weight_a_finite_gradient(norm):
    generator, discriminator = pair(32, 4, norm)
    loss = LOSSES["hinge"]
    with tf.GradientTape(persistent=True) as tape:
        fakes = generator(random(3, 5), training=True)
        real, fake = discriminator(pictures(3, 32), training=True), discriminator(fakes, training=True)
        d_loss, g_loss = tf.reduce_sum(loss.discriminator(real, fake)), tf.reduce_sum(loss.generator(fake))
    for network, value in ((discriminator, d_loss), (generator, g_loss)):
        for v, gradient in zip(network.trainable_variables, tape.gradient(value, network.trainable_variables), strict=True):
            assert gradient is not None, v.path
            assert np.isfinite(gradient).all(), v.path
            if network is generator or v is not network.trainable_variables[-1]:  # hinge: d/dbias of real and fake cancel
                assert np.abs(gradient).max() > 0, v.path


@pytest.mark.parametrize(
    ("norm", "kind", "count"),
    [
        ("spectral", SpectralConv2D, 5),  # every convolution: the first, three of a block, the last
        ("batch", keras.layers.BatchNormalization, 1),  # in the one block, before its second convolution
        ("layer", GroupNorm, 1),
        ("instance", GroupNorm, 1),
    ],
)
def test_norms_stand_in_the_blocks(norm, kind, count):
    def counted(size):
        return sum(isinstance(layer, kind) for layer in residual.build_discriminator((size, size, 3), 4, norm).layers)

    assert counted(32) == count
    assert counted(64) == count + 2  # no convolution on the shortcut between equal widths; a norm before the first as well
    assert not any(isinstance(layer, kind) for layer in residual.build_discriminator((64, 64, 3), 4, "none").layers)


@pytest.mark.parametrize("norm", NORMS)
def test_only_batch_norm_mixes_images(norm):
    """Why a gradient penalty, which judges each image alone, excludes batch norm."""
    images = pictures(3, 32)
    others = images * tf.reshape([1.0, -0.5, -0.5], [3, 1, 1, 1])
    before, after = (pair(32, 4, norm)[1](batch, training=True).numpy() for batch in (images, others))
    assert (abs(after[0] - before[0]) > 1e-4) == (norm == "batch")
    assert (abs(after[1:] - before[1:]) > 1e-6).all()


# --- files and precision ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
def test_the_generator_loads_as_stock_keras(tmp_path):
    generator = residual.build_generator((32, 32, 3), 5, 4)
    generator(random(8, 5), training=True)  # batch norm's statistics are no longer those of the start
    keras_reference(generator).save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_allclose(loaded(random(3, 5)), generator(random(3, 5)), atol=1e-6)


def test_mixed_precision_ends_in_float32():
    before = keras.config.dtype_policy()
    full = [network.get_weights() for network in pair()]
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, discriminator = pair()
    finally:
        keras.config.set_dtype_policy(before)
    for weights, network in zip(full, (generator, discriminator), strict=True):
        assert all(v.dtype == "float32" for v in network.weights)
        for a, b in zip(weights, network.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(layer.compute_dtype == "bfloat16" for layer in generator.layers)
    images = generator(random(3, 5), training=True)
    logits = discriminator(images, training=True)
    assert images.dtype == logits.dtype == tf.float32
