"""The networks: parameters counted by hand, distributions of the initial weights, every norm."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import random
from helpers.models import NETWORKS, NORMS
from scipy import stats

from gan_tf.gan.networks import baseline, cifar10, dcgan, improved, mlp
from gan_tf.nn.layers import BatchNorm, GroupNorm, SpectralConv2D

SEQUENTIAL = ["baseline", "dcgan"]  # test_residual.py tests the other ones


def num_parameters(network) -> int:
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 16, 3), (32, 32, 1)], ids=str)
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_networks_of_each_size_have_the_right_output_shapes_and_ranges(name, shape):
    generator = NETWORKS[name].build_generator(shape, latent_dim=5, hidden_dim=4)
    discriminator = NETWORKS[name].build_discriminator(shape, hidden_dim=4)
    latents = tf.constant(random(3, 5), tf.float32)
    images = generator(latents, training=True)
    assert images.shape == (3, *shape)
    assert discriminator(images, training=True).shape == (3, 1)
    generator.set_weights([100.0 * w for w in generator.get_weights()])  # saturates tanh
    images = generator(latents, training=True).numpy()
    assert np.abs(images).max() <= 1.0
    assert np.abs(images).max() > 0.99
    assert images.min() < -0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_generator_has_fixed_input_and_output_shapes(name):
    generator = NETWORKS[name].build_generator((16, 16, 3), latent_dim=7, hidden_dim=4)
    assert generator.input_shape == (None, 7)  # from which sampling reads latent_dim
    assert generator.output_shape == (None, 16, 16, 3)


def test_baseline_has_the_parameters_of_the_handouts_table():
    generator = baseline.build_generator((64, 64, 3), latent_dim=100, hidden_dim=32)
    dense = 100 * (128 * 16 * 16) + 128 * 16 * 16
    convolutions = (4 * 4 * 128 * 128 + 128) + (4 * 4 * 128 * 64 + 64) + (4 * 4 * 64 * 3 + 3)
    assert num_parameters(generator) == dense + convolutions
    discriminator = baseline.build_discriminator((64, 64, 3), hidden_dim=32)
    widths = [3, 32, 64, 128, 256]
    convolutions = sum(4 * 4 * a * b + b for a, b in itertools.pairwise(widths))
    assert num_parameters(discriminator) == convolutions + (256 * 4 * 4 * 1 + 1)


def test_dcgan_has_the_parameters_of_pytorchs_example():
    """The example has 3,576,704 and 2,765,568 parameters and no biases; ours has biases in three layers."""
    generator = dcgan.build_generator((64, 64, 3), latent_dim=100, hidden_dim=64)
    assert num_parameters(generator) == 3_576_704 + 3
    discriminator = dcgan.build_discriminator((64, 64, 3), hidden_dim=64)
    assert num_parameters(discriminator) == 2_765_568 + 64 + 1


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_cifar10_networks_have_the_parameters_of_the_handouts_table(norm):
    """H2's own check prints 1,707,904 and 663,424; layer norm has as many parameters as batch norm."""
    assert num_parameters(cifar10.build_generator((32, 32, 3), latent_dim=256, hidden_dim=64)) == 1_707_904
    discriminator = cifar10.build_discriminator((32, 32, 3), hidden_dim=64, norm=norm)
    assert num_parameters(discriminator) == 663_424
    assert not any(layer.use_bias for layer in discriminator.layers if isinstance(layer, keras.layers.Conv2D))


def test_mlp_has_the_parameters_of_its_layers():
    pixels, units = 32 * 32, [20, 40, 80]
    generator = mlp.build_generator((32, 32, 1), latent_dim=5, hidden_dim=20)
    layers = sum(a * b for a, b in itertools.pairwise([5, *units, pixels]))
    assert num_parameters(generator) == layers + 2 * sum(units) + pixels
    discriminator = mlp.build_discriminator((32, 32, 1), hidden_dim=20)
    assert num_parameters(discriminator) == sum(a * b + b for a, b in itertools.pairwise([pixels, *units[::-1], 1]))


def test_mlp_generator_equals_matrix_products():
    generator = mlp.build_generator((4, 4, 1), latent_dim=3, hidden_dim=2)
    latents = x = random(5, 3)
    for layer in generator.layers:
        if isinstance(layer, keras.layers.Conv2D):
            x = x @ layer.kernel.numpy()[0, 0] + (layer.bias.numpy() if layer.use_bias else 0.0)
        elif isinstance(layer, BatchNorm):
            x = x / np.sqrt(1 + layer.epsilon) * layer.gamma.numpy()  # mean 0 and variance 1 at first
        elif isinstance(layer, keras.layers.ReLU):
            x = np.maximum(x, 0)
    np.testing.assert_allclose(generator(latents.astype(np.float32)), np.tanh(x).reshape(5, 4, 4, 1), atol=1e-5)


def test_modulate_scales_and_shifts_each_channel_by_the_latents():
    """y[b, h, w, c] = x[b, h, w, c] * (1 + scale(z)[b, c]) + offset(z)[b, c], with two layers each in NumPy."""
    latents, x = keras.Input((5,)), keras.Input((2, 2, 3))
    network = keras.Model([latents, x], improved.modulate(x, latents, seed=0, index=1))
    hidden, scale, offset = (layer for layer in network.layers if isinstance(layer, keras.layers.Dense))
    for layer in (hidden, scale, offset):
        layer.set_weights([random(*weight.shape) for weight in layer.get_weights()])
    z, images = random(4, 5), random(4, 2, 2, 3)

    def apply(layer, vectors):
        kernel, bias = layer.get_weights()
        return vectors @ kernel + bias

    units = np.maximum(apply(hidden, z), 0)
    expected = images * (1 + apply(scale, units))[:, None, None] + apply(offset, units)[:, None, None]
    np.testing.assert_allclose(network([z.astype(np.float32), images.astype(np.float32)]), expected, rtol=1e-4, atol=1e-4)


def test_improved_generator_depends_on_the_latents_in_each_layer():
    """With the first layer's kernel set to 0, the plain DCGAN gives one image whatever the latents; this one does not."""
    for module, is_constant in ((dcgan, True), (improved, False)):
        generator = module.build_generator((16, 16, 3), latent_dim=5, hidden_dim=4)
        first = next(layer for layer in generator.layers if isinstance(layer, keras.layers.Dense) and not layer.use_bias)
        first.set_weights([np.zeros_like(first.get_weights()[0])])
        generator.set_weights([10.0 * weight for weight in generator.get_weights()])
        images = generator(random(2, 5).astype(np.float32)).numpy()
        assert np.array_equal(images[0], images[1]) == is_constant


@pytest.mark.parametrize("size", [8, 16, 32])
def test_dcgan_of_other_sizes_has_the_parameters_of_the_formula(size):
    n, hidden_dim, latent_dim, channels = int(np.log2(size // 4)), 3, 5, 2
    widths = [latent_dim, *(hidden_dim * 2**i for i in reversed(range(n))), channels]
    expected = sum(16 * a * b for a, b in itertools.pairwise(widths)) + sum(2 * w for w in widths[1:-1]) + channels
    assert num_parameters(dcgan.build_generator((size, size, channels), latent_dim, hidden_dim)) == expected


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 1024])
def test_num_upsamplings_doubles_4_to_the_size(size):
    assert 4 * 2 ** dcgan.num_upsamplings(size) == size


@pytest.mark.parametrize("size", [-8, 0, 1, 4, 7, 9, 12, 28, 48, 63, 65])
def test_num_upsamplings_of_another_size_raises(size):
    with pytest.raises(ValueError, match=f"not {size}"):
        dcgan.num_upsamplings(size)


def variables_by_name(network):
    """Returns the flat values of kernels, gammas, betas and biases."""
    found = {"kernel": [], "gamma": [], "beta": [], "bias": []}
    for v in network.trainable_variables:
        found[v.name].append(v.numpy().ravel())
    return found


def test_initial_weights_of_dcgan_are_normal_with_standard_deviation_0_02():
    for network in (dcgan.build_generator((32, 32, 3), 20, 16), dcgan.build_discriminator((32, 32, 3), 16)):
        found = variables_by_name(network)
        for kernel in found["kernel"]:
            assert abs(kernel.mean()) < 5 * 0.02 / np.sqrt(kernel.size)
            assert abs(kernel.std() / 0.02 - 1) < 5 / np.sqrt(2 * kernel.size)
        kernels = np.concatenate(found["kernel"]) / 0.02
        assert stats.kstest(kernels, "norm").pvalue > 1e-6  # fails for truncated or uniform ones of the same deviation
        assert np.abs(kernels).max() > 3.5
        gammas = (np.concatenate(found["gamma"]) - 1) / 0.02
        assert stats.kstest(gammas, "norm").pvalue > 1e-6
        assert not any(values.any() for values in found["beta"] + found["bias"])


def test_initial_weights_of_baseline_are_glorot_uniform():
    """Uniform within sqrt(6 / (fan in + fan out))."""
    for network in (baseline.build_generator((16, 16, 3), 20, 8), baseline.build_discriminator((16, 16, 3), 8)):
        for v in network.trainable_variables:
            if v.name == "kernel":
                receptive_field = int(np.prod(v.shape[:-2]))
                bound = np.sqrt(6 / (receptive_field * (v.shape[-2] + v.shape[-1])))
                assert 0.95 < np.abs(v.numpy()).max() / bound <= 1.0
                assert stats.kstest(v.numpy().ravel() / bound, "uniform", (-1, 2)).pvalue > 1e-6
            else:
                assert not v.numpy().any()


@pytest.mark.parametrize("name", NETWORKS)
def test_initial_weights_depend_on_the_seed(name):
    def build(seed):
        generator = NETWORKS[name].build_generator((32, 32, 3), 5, 4, seed=seed)
        discriminator = NETWORKS[name].build_discriminator((32, 32, 3), 4, seed=seed)
        return [*generator.weights, *discriminator.weights]

    for a, b, c in zip(build(7), build(7), build(8), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        if a.name == "kernel":
            assert np.mean(a.numpy() == c.numpy()) < 0.01


@pytest.mark.parametrize(("name", "size"), [("baseline", 32), ("dcgan", 32), ("residual", 128)])
def test_initial_weights_of_any_two_layers_differ(name, size):
    """Random numbers shared by two layers, or by networks of successive seeds, would give equal first values."""
    first_values = []
    for seed in (0, 1):
        generator = NETWORKS[name].build_generator((size, size, 3), 5, 4, seed=seed)
        discriminator = NETWORKS[name].build_discriminator((size, size, 3), 4, seed=seed)
        variables = [*generator.weights, *discriminator.weights]
        first_values += [v.numpy().ravel()[:12] for v in variables if v.name == "kernel"]
    scaled = np.stack([values / np.abs(values).max() for values in first_values])
    are_equal = np.abs(scaled[:, None] - scaled[None]).max(axis=2) < 1e-3
    assert are_equal.sum() == len(scaled)  # each equals itself only


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_discriminator_with_each_norm_has_its_layers_and_finite_logits(name, norm):
    discriminator = NETWORKS[name].build_discriminator((16, 16, 3), 4, norm)
    images = tf.constant(np.clip(random(3, 16, 16, 3), -1, 1), tf.float32)
    for training in (True, False):
        logits = discriminator(images, training=training)
        assert logits.shape == (3, 1)
        assert np.isfinite(logits).all()
    layer_types = [type(layer) for layer in discriminator.layers]
    expected_type = {"batch": BatchNorm, "spectral": SpectralConv2D}.get(norm, GroupNorm)
    # The first of the two hidden layers has no norm of activations.
    assert layer_types.count(expected_type) == {"none": 0, "spectral": 3}.get(norm, 1)


@pytest.mark.parametrize("norm", NORMS)
def test_logit_of_an_image_depends_on_the_others_with_batch_norm_only(norm):
    """This is why a gradient penalty, a function of single images, excludes batch norm."""
    images = np.clip(random(3, 16, 16, 3), -1, 1).astype(np.float32)
    others_changed = images * np.array([1.0, -0.5, -0.5], np.float32)[:, None, None, None]
    before, after = (
        dcgan.build_discriminator((16, 16, 3), 4, norm)(batch, training=True).numpy() for batch in (images, others_changed)
    )
    assert (abs(after[0] - before[0]) > 1e-6) == (norm == "batch")
    assert (abs(after[1:] - before[1:]) > 1e-6).all()


def test_batch_norm_of_separate_real_and_fake_batches_normalizes_each():
    """Each batch has the mean beta and the standard deviation gamma in every channel; both as one batch have not."""
    discriminator = dcgan.build_discriminator((16, 16, 3), 8, "batch")
    layer = next(layer for layer in discriminator.layers if isinstance(layer, keras.layers.BatchNormalization))
    up_to_norm = keras.Model(discriminator.input, layer.output)
    up_to_norm.set_weights([50.0 * w if w.ndim == 4 else w for w in up_to_norm.get_weights()])  # makes epsilon negligible
    real, fake = (tf.constant(np.clip(random(4, 16, 16, 3) * 0.3 + mean, -1, 1), tf.float32) for mean in (0.5, -0.5))
    for images in (real, fake):
        normalized = up_to_norm(images, training=True).numpy()
        np.testing.assert_allclose(normalized.mean(axis=(0, 1, 2)), layer.beta.numpy(), atol=1e-5)
        np.testing.assert_allclose(normalized.std(axis=(0, 1, 2)), layer.gamma.numpy(), rtol=1e-3)
    as_one_batch = up_to_norm(tf.concat([real, fake], axis=0), training=True).numpy()
    assert np.abs(as_one_batch[:4].mean(axis=(0, 1, 2)) - layer.beta.numpy()).max() > 0.1
