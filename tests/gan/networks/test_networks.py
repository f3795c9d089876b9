"""Networks: sizes counted by hand, first weights by their distribution, every normalisation built."""

import importlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from gan_tf.gan.config import NETWORK_RECIPES
from gan_tf.gan.networks import baseline, dcgan
from gan_tf.nn.layers import BatchNorm, GroupNorm, SpectralConv2D
from gan_tf.options import GanSettings

NETWORKS = sorted(NETWORK_RECIPES)
PLAIN = ["baseline", "dcgan"]  # stacks of convolutions; test_residual.py looks at the other kind
NORMS = GanSettings.__dataclass_fields__["norm"].metadata["choices"]


def module(name):
    return importlib.import_module(f"gan_tf.gan.networks.{name}")


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def parameters(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 16, 3), (32, 32, 1)], ids=str)
@pytest.mark.parametrize("name", PLAIN)
def test_shapes_and_ranges(name, shape):
    generator = module(name).build_generator(shape, latent=5, hidden=4)
    discriminator = module(name).build_discriminator(shape, hidden=4)
    noise = tf.constant(random(3, 5), tf.float32)
    images = generator(noise, training=True)
    assert images.shape == (3, *shape)
    assert discriminator(images, training=True).shape == (3, 1)
    generator.set_weights([100.0 * w for w in generator.get_weights()])  # far into the saturation
    images = generator(noise, training=True).numpy()
    assert np.abs(images).max() <= 1.0
    assert np.abs(images).max() > 0.99
    assert images.min() < -0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_and_outputs_are_named_in_the_model(name):
    generator = module(name).build_generator((16, 16, 3), latent=7, hidden=4)
    assert generator.input_shape == (None, 7)  # what sampling reads the noise's size from
    assert generator.output_shape == (None, 16, 16, 3)


def test_baseline_has_the_parameters_of_the_handouts_table():
    generator = baseline.build_generator((64, 64, 3), latent=100, hidden=32)
    dense = 100 * (128 * 16 * 16) + 128 * 16 * 16
    convolutions = (4 * 4 * 128 * 128 + 128) + (4 * 4 * 128 * 64 + 64) + (4 * 4 * 64 * 3 + 3)
    assert parameters(generator) == dense + convolutions
    discriminator = baseline.build_discriminator((64, 64, 3), hidden=32)
    widths = [3, 32, 64, 128, 256]
    convolutions = sum(4 * 4 * a * b + b for a, b in itertools.pairwise(widths))
    assert parameters(discriminator) == convolutions + (256 * 4 * 4 * 1 + 1)


def test_dcgan_64_has_the_papers_parameters():
    """PyTorch's DCGAN example counts 3,576,704 and 2,765,568 without any bias; ours has three layers with biases."""
    generator = dcgan.build_generator((64, 64, 3), latent=100, hidden=64)
    widths = [100, 512, 256, 128, 64, 3]
    kernels = sum(4 * 4 * a * b for a, b in itertools.pairwise(widths))
    norms = sum(2 * width for width in widths[1:-1])
    assert kernels + norms == 3_576_704
    assert parameters(generator) == kernels + norms + 3
    discriminator = dcgan.build_discriminator((64, 64, 3), hidden=64)
    widths = [3, 64, 128, 256, 512, 1]
    kernels = sum(4 * 4 * a * b for a, b in itertools.pairwise(widths))
    norms = sum(2 * width for width in widths[2:-1])
    assert kernels + norms == 2_765_568
    assert parameters(discriminator) == kernels + norms + 64 + 1


@pytest.mark.parametrize("size", [8, 16, 32])
def test_dcgan_of_other_sizes(size):
    n, hidden, latent, channels = int(np.log2(size // 4)), 3, 5, 2
    widths = [latent, *(hidden * 2**i for i in reversed(range(n))), channels]
    expected = sum(16 * a * b for a, b in itertools.pairwise(widths)) + sum(2 * w for w in widths[1:-1]) + channels
    assert parameters(dcgan.build_generator((size, size, channels), latent, hidden)) == expected


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 1024])
def test_doublings(size):
    assert 4 * 2 ** dcgan.doublings(size) == size


@pytest.mark.parametrize("size", [-8, 0, 1, 4, 7, 9, 12, 28, 48, 63, 65])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"not {size}"):
        dcgan.doublings(size)


def kinds(network):
    """The network's weights by what they are: kernels, gammas, betas, biases."""
    found = {"kernel": [], "gamma": [], "beta": [], "bias": []}
    for v in network.trainable_variables:
        found[v.name].append(v.numpy().ravel())
    return found


def test_dcgan_begins_with_normal_weights_of_deviation_a_fiftieth():
    for network in (dcgan.build_generator((32, 32, 3), 20, 16), dcgan.build_discriminator((32, 32, 3), 16)):
        found = kinds(network)
        for kernel in found["kernel"]:
            assert abs(kernel.mean()) < 5 * 0.02 / np.sqrt(kernel.size)
            assert abs(kernel.std() / 0.02 - 1) < 5 / np.sqrt(2 * kernel.size)
        kernels = np.concatenate(found["kernel"]) / 0.02
        assert stats.kstest(kernels, "norm").pvalue > 1e-6  # truncated or uniform ones of the same deviation fail
        assert np.abs(kernels).max() > 3.5
        gammas = (np.concatenate(found["gamma"]) - 1) / 0.02
        assert stats.kstest(gammas, "norm").pvalue > 1e-6
        assert not any(values.any() for values in found["beta"] + found["bias"])


def test_baseline_begins_as_keras_does():
    """Glorot's uniform weights: bounded by sqrt(6 / (fan in + fan out)), and reaching that bound."""
    for network in (baseline.build_generator((16, 16, 3), 20, 8), baseline.build_discriminator((16, 16, 3), 8)):
        for v in network.trainable_variables:
            if v.name == "kernel":
                field = int(np.prod(v.shape[:-2]))
                bound = np.sqrt(6 / (field * (v.shape[-2] + v.shape[-1])))
                assert 0.95 < np.abs(v.numpy()).max() / bound <= 1.0
                assert stats.kstest(v.numpy().ravel() / bound, "uniform", (-1, 2)).pvalue > 1e-6
            else:
                assert not v.numpy().any()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_decides_the_first_weights(name):
    def build(seed):
        generator = module(name).build_generator((16, 16, 3), 5, 4, seed=seed)
        return [w for net in (generator, module(name).build_discriminator((16, 16, 3), 4, seed=seed)) for w in net.weights]

    first, again, other = build(7), build(7), build(8)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        if a.name == "kernel":
            assert np.mean(a.numpy() == c.numpy()) < 0.01


@pytest.mark.parametrize("name", NETWORKS)
def test_no_two_layers_begin_alike(name):
    """A draw shared by two layers, or by the networks of neighbouring seeds, would show as equal first values."""
    starts = []
    for seed in (0, 1):
        for network in (
            module(name).build_generator((32, 32, 3), 5, 4, seed=seed),
            module(name).build_discriminator((32, 32, 3), 4, seed=seed),
        ):
            starts += [v.numpy().ravel()[:16] for v in network.weights if v.name == "kernel"]
    starts = np.stack([start / np.abs(start).max() for start in starts])
    alike = np.abs(starts[:, None] - starts[None]).max(axis=2) < 1e-3
    assert alike.sum() == len(starts)  # each is like itself only


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", PLAIN)
def test_every_normalisation_builds(name, norm):
    discriminator = module(name).build_discriminator((16, 16, 3), 4, norm)
    images = tf.constant(np.clip(random(3, 16, 16, 3), -1, 1), tf.float32)
    for training in (True, False):
        logits = discriminator(images, training=training)
        assert logits.shape == (3, 1)
        assert np.isfinite(logits).all()
    types = [type(layer) for layer in discriminator.layers]
    expected = {"batch": BatchNorm, "spectral": SpectralConv2D}.get(norm, GroupNorm)
    count = types.count(expected)
    assert count == {"none": 0, "spectral": 3}.get(norm, 1)  # of two hidden layers the first has no activation norm


@pytest.mark.parametrize("norm", NORMS)
def test_only_batch_norm_mixes_images(norm):
    """Why a gradient penalty, which judges each image alone, excludes batch norm."""
    images = np.clip(random(3, 16, 16, 3), -1, 1).astype(np.float32)
    others_changed = images * np.array([1.0, -0.5, -0.5], np.float32)[:, None, None, None]
    before, after = (
        dcgan.build_discriminator((16, 16, 3), 4, norm)(batch, training=True).numpy() for batch in (images, others_changed)
    )
    assert (abs(after[0] - before[0]) > 1e-6) == (norm == "batch")
    assert (abs(after[1:] - before[1:]) > 1e-6).all()


def test_batch_norm_keeps_real_and_fake_apart():
    """Passed one after the other, each batch is normalised by itself: mean beta and deviation gamma in every channel."""
    discriminator = dcgan.build_discriminator((16, 16, 3), 8, "batch")
    layer = next(layer for layer in discriminator.layers if isinstance(layer, keras.layers.BatchNormalization))
    inside = keras.Model(discriminator.input, layer.output)
    inside.set_weights([50.0 * w if w.ndim == 4 else w for w in inside.get_weights()])  # so that epsilon counts for nothing
    real, fake = (tf.constant(np.clip(random(4, 16, 16, 3) * 0.3 + at, -1, 1), tf.float32) for at in (0.5, -0.5))
    for images in (real, fake):
        normalised = inside(images, training=True).numpy()
        np.testing.assert_allclose(normalised.mean(axis=(0, 1, 2)), layer.beta.numpy(), atol=1e-5)
        np.testing.assert_allclose(normalised.std(axis=(0, 1, 2)), layer.gamma.numpy(), rtol=1e-3)
    together = inside(tf.concat([real, fake], axis=0), training=True).numpy()
    assert np.abs(together[:4].mean(axis=(0, 1, 2)) - layer.beta.numpy()).max() > 0.1
