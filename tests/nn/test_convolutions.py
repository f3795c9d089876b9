"""Convolutions against Keras's own, and when the faster ones are taken."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.layers import network_of, random, with_gradients

from gan_tf.nn import strided_conv as strided
from gan_tf.nn.layers import Conv2D, Conv2DTranspose, SpectralConv2D, computing_in

KEYS = ("kernel_size", "strides", "padding")
GEOMETRIES = [(4, 2, "same"), (4, 1, "valid"), (4, 1, "same"), (3, 1, "same"), (1, 1, "same"), (3, 2, "same")]
PAIRS = {
    "forward": (Conv2D, keras.layers.Conv2D),
    "transposed": (Conv2DTranspose, keras.layers.Conv2DTranspose),
}


def two_convolutions(name, shape, filters, geometry, **more):
    """Ours and Keras's with the same kernel and bias."""
    layers = [kind(filters, **dict(zip(KEYS, geometry, strict=True)), **more) for kind in PAIRS[name]]
    for layer in layers:
        layer.build(shape)
        kernel = np.random.default_rng(1).normal(0, 0.3, layer.kernel.shape)
        layer.set_weights([kernel, np.linspace(-1, 1, filters)] if layer.use_bias else [kernel])
    return layers


@pytest.mark.parametrize(("bias", "activation"), [(True, None), (False, None), (True, "relu")])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_convolutions_are_keras_own(name, geometry, bias, activation):
    shape = (2, 8, 8, 3)
    ours, theirs = two_convolutions(name, shape, 5, geometry, use_bias=bias, activation=activation)
    images = tf.constant(random(*shape), tf.float32)
    for found, expected in zip(*(with_gradients(layer, images) for layer in (ours, theirs)), strict=True):
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def roughly(found, expected, tolerance):
    found, expected = (np.asarray(tf.cast(x, tf.float32)) for x in (found, expected))
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


WIDE = [("forward", (2, 16, 16, 64), 24), ("transposed", (2, 8, 8, 24), 64)]  # where `strided` is taken


@pytest.mark.parametrize(("bias", "activation"), [(True, None), (False, None), (False, "relu")])
@pytest.mark.parametrize(("name", "shape", "filters"), [*WIDE, ("forward", (2, 8, 8, 3), 5), ("transposed", (2, 8, 8, 3), 5)])
def test_bfloat16_is_float32_but_for_rounding(name, shape, filters, bias, activation):
    more = {"use_bias": bias, "activation": activation}
    exact = two_convolutions(name, shape, filters, (4, 2, "same"), **more)[1]
    with computing_in("bfloat16"):
        layer = two_convolutions(name, shape, filters, (4, 2, "same"), **more)[0]
        network = network_of(layer, shape[1:])
    images = tf.constant(random(*shape), tf.float32)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert network(images).dtype == tf.bfloat16
    values = zip(with_gradients(network, images), with_gradients(exact, images), strict=True)
    for index, (found, expected) in enumerate(values):
        roughly(found, expected, 0.05 if activation and index else 2**-6)  # ReLU lets another few values pass


@pytest.mark.parametrize(("name", "geometry"), [("forward", (1, 1, "same")), ("transposed", (4, 2, "same"))])
def test_the_gradient_of_a_bias_in_bfloat16_is_no_sum_of_bfloat16(name, geometry):
    """Such a sum of positive numbers stands still at 256 times their size."""
    with computing_in("bfloat16"):
        layer = two_convolutions(name, (16, 32, 32, 2), 32, geometry)[0]
        network = network_of(layer, (32, 32, 2))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.cast(network(tf.zeros((16, 32, 32, 2))), tf.float32))
    places = 16 * 32 * 32 * (4 if name == "transposed" else 1)
    np.testing.assert_allclose(tape.gradient(value, layer.bias.value), np.full(32, places), rtol=2**-7)


@pytest.fixture
def strided_calls(monkeypatch):
    """Names of the functions of ``strided`` as layers call them, on a machine that has no GPU."""
    calls, listed = [], tf.config.list_logical_devices
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [] if kind == "GPU" else listed(kind))
    for name in ("convolve", "transpose"):
        function = getattr(strided, name)
        monkeypatch.setattr(strided, name, lambda *args, name=name, function=function: calls.append(name) or function(*args))
    return calls


@pytest.mark.parametrize(
    ("precision", "size", "channels", "geometry", "taken"),
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
def test_when_a_convolution_is_a_strided_one(kind, precision, size, channels, geometry, taken, strided_calls):
    with computing_in(precision):
        layer = kind(6, **dict(zip(KEYS, geometry, strict=True)))
    layer.build((1, size, size, channels))
    layer(tf.constant(random(1, size, size, channels), tf.float32))
    assert strided_calls == ["convolve"] * taken


@pytest.mark.parametrize(
    ("precision", "size", "filters", "geometry", "bias", "taken"),
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
def test_when_a_transposed_convolution_is_a_strided_one(precision, size, filters, geometry, bias, taken, strided_calls):
    with computing_in(precision):
        layer = Conv2DTranspose(filters, **dict(zip(KEYS, geometry, strict=True)), use_bias=bias)
    layer.build((1, size, size, 6))
    layer(tf.constant(random(1, size, size, 6), tf.float32))
    assert strided_calls == ["transpose"] * taken
