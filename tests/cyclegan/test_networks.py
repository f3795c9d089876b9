"""The networks of CycleGAN: sizes, parameters, patches, symmetries."""

import keras
import numpy as np
import pytest

from gan_tf.cyclegan.networks import ReflectionPad, build_discriminator, build_generator, upsample_block
from gan_tf.nn.layers import InstanceNorm
from gan_tf.nn.precision import dtype_policy_scope


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("upsample", ["deconv", "resize"])
def test_networks_by_default_have_the_parameters_of_the_table(upsample):
    assert build_generator(upsample=upsample).count_params() == 7_837_696
    assert build_discriminator().count_params() == 2_764_672


def test_networks_have_biases_only_where_the_table_has_them():
    biases = [layer.use_bias for layer in build_generator(4, 1).layers if hasattr(layer, "use_bias")]
    assert biases == [True] * 7 + [False]
    biases = [layer.use_bias for layer in build_discriminator(4).layers if hasattr(layer, "use_bias")]
    assert biases == [False, True, True, True, False]


@pytest.mark.parametrize(("size", "patches"), [(256, 30), (128, 14), (32, 2)])
def test_discriminator_gives_one_logit_for_each_patch(size, patches):
    assert build_discriminator(2)(noise(1, size, size, 3)).shape == (1, patches, patches, 1)


def test_discriminator_logit_sees_a_patch_of_70_pixels():
    """The receptive field of the paper's 70x70 PatchGAN; instance norm, which sees all pixels, is left out here."""
    size = 1
    for kernel, stride in ((4, 1), (4, 1), (4, 2), (4, 2), (4, 2)):  # from the last layer to the first
        size = (size - 1) * stride + kernel
    convolutions = [layer for layer in build_discriminator(2).layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.kernel_size[0], layer.strides[0]) for layer in reversed(convolutions)] == [
        *((4, 1), (4, 1), (4, 2), (4, 2), (4, 2))
    ]
    assert size == 70


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (1, 44, 64, 3)])
def test_generator_keeps_the_size_and_gives_float32(shape):
    with dtype_policy_scope("bfloat16"):
        images = build_generator(4, 1)(noise(*shape))
    assert images.shape == shape
    assert images.dtype == "float32"
    assert np.abs(images).max() <= 1


@pytest.mark.parametrize("policy", ["float32", "bfloat16"])
def test_generator_with_input_skip_changes_nothing_but_contrast_before_training(policy):
    with dtype_policy_scope(policy):
        generator = build_generator(4, 1, input_skip=True)
    assert generator.count_params() == build_generator(4, 1).count_params()
    images = noise(2, 32, 44, 3)
    images[0, 0, :2] = [[1, 1, 1], [-1, -1, -1]]  # finite at the ends, too
    np.testing.assert_allclose(generator(images), 0.99 * images, atol=1e-5)


def test_generator_with_input_skip_is_the_tanh_of_image_and_change():
    generator = build_generator(4, 1, input_skip=True)
    last = generator.layers[-2]
    last.kernel.assign(noise(*last.kernel.shape))
    images = noise(1, 32, 32, 3)
    change = keras.Model(generator.inputs, last.output)(images)
    assert np.abs(change).max() > 1
    np.testing.assert_allclose(generator(images), np.tanh(change + np.arctanh(0.99 * images)), atol=1e-5)


@pytest.mark.parametrize("known_batch", [True, False])
def test_instance_norm_equals_its_formula(known_batch):
    images = 3.0 + 2.0 * noise(3, 5, 6, 4)
    expected = (images - images.mean((1, 2), keepdims=True)) / np.sqrt(images.var((1, 2), keepdims=True) + 1e-5)
    layer = InstanceNorm()
    if known_batch:
        outputs = layer(images)
    else:
        inputs = keras.Input((5, 6, 4))
        outputs = keras.Model(inputs, layer(inputs)).predict(images, verbose=0)  # its graph does not know the batch
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_reflection_pad_equals_numpy():
    images = noise(2, 6, 5, 3)
    np.testing.assert_array_equal(ReflectionPad(3)(images), np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), "reflect"))
    assert ReflectionPad(3).compute_output_shape((None, 6, None, 3)) == (None, 12, None, 3)


@pytest.mark.parametrize(("upsample", "is_flat"), [("resize", True), ("deconv", False)])
def test_upsample_block_of_a_flat_area_is_flat_only_by_resizing(upsample, is_flat):
    """A pixel of a transposed convolution of kernel 3 and stride 2 gets 1, 2 or 4 products: a checkerboard."""
    inputs = keras.Input((8, 8, 2))
    outputs = keras.Model(inputs, upsample_block(inputs, 1, upsample, 0, 0))(np.ones((1, 8, 8, 2), np.float32))
    assert outputs.shape == (1, 16, 16, 1)
    assert (np.std(outputs[0, 2:-2, 2:-2]) < 1e-6) == is_flat
