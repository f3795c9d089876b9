"""Convolutions against Keras's layers, and where ``strided_conv`` is used."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import network_of, outputs_and_gradients, random

from gan_tf.nn import strided_conv
from gan_tf.nn.layers import Conv2D, Conv2DTranspose, SpectralConv2D
from gan_tf.nn.precision import dtype_policy_scope

GEOMETRY_NAMES = ("kernel_size", "strides", "padding")
GEOMETRIES = [(4, 2, "same"), (4, 1, "valid"), (4, 1, "same"), (3, 1, "same"), (1, 1, "same"), (3, 2, "same")]
LAYERS_AND_REFERENCES = {
    "forward": (Conv2D, keras.layers.Conv2D),
    "transposed": (Conv2DTranspose, keras.layers.Conv2DTranspose),
}


def build_layer_and_reference(name, shape, filters, geometry, **options):
    """Builds our layer and Keras's, with the same kernel and bias."""
    options |= dict(zip(GEOMETRY_NAMES, geometry, strict=True))
    layers = [kind(filters, **options) for kind in LAYERS_AND_REFERENCES[name]]
    for layer in layers:
        layer.build(shape)
        kernel = np.random.default_rng(1).normal(0, 0.3, layer.kernel.shape)
        layer.set_weights([kernel, np.linspace(-1, 1, filters)] if layer.use_bias else [kernel])
    return layers


@pytest.mark.parametrize(("bias", "activation"), [(True, None), (False, None), (True, "relu")])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("name", LAYERS_AND_REFERENCES)
def test_convolutions_equal_keras(name, geometry, bias, activation):
    shape = (2, 8, 8, 3)
    layer, reference = build_layer_and_reference(name, shape, 5, geometry, use_bias=bias, activation=activation)
    images = tf.constant(random(*shape), tf.float32)
    results = [outputs_and_gradients(each, images) for each in (layer, reference)]
    for found, expected in zip(*results, strict=True):
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def assert_close_in_norm(found, expected, tolerance):
    found, expected = (np.asarray(tf.cast(x, tf.float32)) for x in (found, expected))
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


WIDE = [("forward", (2, 16, 16, 64), 24), ("transposed", (2, 8, 8, 24), 64)]  # where strided_conv is used


@pytest.mark.parametrize(("bias", "activation"), [(True, None), (False, None), (False, "relu")])
@pytest.mark.parametrize(("name", "shape", "filters"), [*WIDE, ("forward", (2, 8, 8, 3), 5), ("transposed", (2, 8, 8, 3), 5)])
def test_bfloat16_convolutions_are_close_to_float32(name, shape, filters, bias, activation):
    options = {"use_bias": bias, "activation": activation}
    _, reference = build_layer_and_reference(name, shape, filters, (4, 2, "same"), **options)
    with dtype_policy_scope("bfloat16"):
        layer, _ = build_layer_and_reference(name, shape, filters, (4, 2, "same"), **options)
        network = network_of(layer, shape[1:])
    images = tf.constant(random(*shape), tf.float32)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert network(images).dtype == tf.bfloat16
    results = zip(outputs_and_gradients(network, images), outputs_and_gradients(reference, images), strict=True)
    for index, (found, expected) in enumerate(results):
        # After rounding, ReLU passes the gradient of a few other values.
        assert_close_in_norm(found, expected, 0.05 if activation and index else 2**-6)


@pytest.mark.parametrize(("name", "geometry"), [("forward", (1, 1, "same")), ("transposed", (4, 2, "same"))])
def test_gradient_of_a_bias_in_bfloat16_is_not_summed_in_bfloat16(name, geometry):
    """Such a sum of equal positive numbers stops growing at 256 times their size."""
    with dtype_policy_scope("bfloat16"):
        layer, _ = build_layer_and_reference(name, (16, 32, 32, 2), 32, geometry)
        network = network_of(layer, (32, 32, 2))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.cast(network(tf.zeros((16, 32, 32, 2))), tf.float32))
    num_positions = 16 * 32 * 32 * (4 if name == "transposed" else 1)
    np.testing.assert_allclose(tape.gradient(value, layer.bias.value), np.full(32, num_positions), rtol=2**-7)


@pytest.fixture
def strided_conv_calls(monkeypatch):
    """The names of the functions of ``strided_conv`` that layers call, as on a machine without a GPU."""
    calls, list_devices = [], tf.config.list_logical_devices
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [] if kind == "GPU" else list_devices(kind))

    def record_calls(name):
        function = getattr(strided_conv, name)

        def call(*args):
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(strided_conv, name, call)

    record_calls("conv2d")
    record_calls("conv2d_transpose")
    return calls


@pytest.mark.parametrize(
    ("precision", "size", "channels", "geometry", "is_used"),
    [
        ("bfloat16", 16, 64, (4, 2, "same"), True),
        ("bfloat16", 4, 64, (4, 2, "same"), True),
        ("bfloat16", 18, 64, (4, 2, "same"), False),
        ("bfloat16", 16, 63, (4, 2, "same"), False),
        ("float32", 16, 64, (4, 2, "same"), False),
        ("bfloat16", 16, 64, (4, 2, "valid"), False),
        ("bfloat16", 16, 64, (4, 1, "same"), False),
        ("bfloat16", 16, 64, (3, 2, "same"), False),
    ],
)
@pytest.mark.parametrize("kind", [Conv2D, SpectralConv2D])
def test_convolution_uses_strided_conv_where_it_is_faster(
    kind, precision, size, channels, geometry, is_used, strided_conv_calls
):
    with dtype_policy_scope(precision):
        layer = kind(6, **dict(zip(GEOMETRY_NAMES, geometry, strict=True)))
    layer.build((1, size, size, channels))
    layer(tf.constant(random(1, size, size, channels), tf.float32))
    assert strided_conv_calls == ["conv2d"] * is_used


@pytest.mark.parametrize(
    ("precision", "size", "filters", "geometry", "bias", "is_used"),
    [
        ("bfloat16", 8, 64, (4, 2, "same"), False, True),
        ("bfloat16", 9, 64, (4, 2, "same"), False, False),
        ("bfloat16", 8, 63, (4, 2, "same"), False, False),
        ("bfloat16", 8, 64, (4, 2, "same"), True, True),
        ("float32", 8, 64, (4, 2, "same"), False, False),
        ("bfloat16", 8, 64, (4, 2, "valid"), False, False),
        ("bfloat16", 8, 64, (3, 2, "same"), False, False),
        ("bfloat16", 8, 64, (4, 1, "same"), False, False),
    ],
)
def test_transposed_convolution_uses_strided_conv_where_it_is_faster(
    precision, size, filters, geometry, bias, is_used, strided_conv_calls
):
    with dtype_policy_scope(precision):
        layer = Conv2DTranspose(filters, **dict(zip(GEOMETRY_NAMES, geometry, strict=True)), use_bias=bias)
    layer.build((1, size, size, 6))
    layer(tf.constant(random(1, size, size, 6), tf.float32))
    assert strided_conv_calls == ["conv2d_transpose"] * is_used
