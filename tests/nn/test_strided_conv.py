"""Strided convolutions and their gradients of all orders used, against TensorFlow's own operations and NumPy loops."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn import strided_conv

# batch, height and width of the smaller images, channels of the larger and of the smaller ones
SIZES = [(2, 4, 4, 3, 5), (1, 1, 1, 2, 3), (3, 2, 5, 1, 7), (1, 8, 8, 5, 1), (2, 3, 1, 4, 4)]


def native_conv2d(images, kernel):
    return tf.nn.conv2d(images, kernel, 2, "SAME")


def native_conv2d_transpose(images, kernel):
    shape = [tf.shape(images)[0], 2 * images.shape[1], 2 * images.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(images, kernel, shape, 2, "SAME")


def native_kernel_gradient(images, outputs):
    shape = [4, 4, images.shape[3], outputs.shape[3]]
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images, filter_sizes=shape, out_backprop=outputs, strides=[1, 2, 2, 1], padding="SAME"
    )


def random_arrays(batch, height, width, channels, out, dtype=tf.float32):
    """Returns larger images, a kernel and smaller images."""
    random = np.random.default_rng([batch, height, width, channels, out])
    shapes = (batch, 2 * height, 2 * width, channels), (4, 4, channels, out), (batch, height, width, out)
    return [tf.constant(random.normal(size=shape), dtype) for shape in shapes]


def assert_close(found, expected, tolerance=1e-5):
    """Compares with a tolerance relative to the largest value, since small values may be sums of large ones."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    expected = np.asarray(expected, np.float64)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_equal_native_operations(size):
    large, kernel, small = random_arrays(*size)
    assert_close(strided_conv.conv2d(large, kernel), native_conv2d(large, kernel))
    assert_close(strided_conv.conv2d_transpose(small, kernel), native_conv2d_transpose(small, kernel))
    assert_close(strided_conv.kernel_gradient(large, small), native_kernel_gradient(large, small))


@pytest.mark.parametrize("size", [(1, 1, 2, 2, 3), (2, 2, 2, 1, 2)], ids=str)
def test_values_equal_numpy_loops(size):
    """Output (i, j) depends on rows 2i - 1 to 2i + 2 and columns 2j - 1 to 2j + 2, with zeros beyond the border."""
    batch, height, width, _, _ = size
    large, kernel, small = (np.asarray(x, np.float64) for x in random_arrays(*size))
    convolved, transposed, products = np.zeros_like(small), np.zeros_like(large), np.zeros_like(kernel)
    for b, i, j, u, v in itertools.product(range(batch), range(height), range(width), range(4), range(4)):
        row, column = 2 * i - 1 + u, 2 * j - 1 + v
        if 0 <= row < 2 * height and 0 <= column < 2 * width:
            convolved[b, i, j] += large[b, row, column] @ kernel[u, v]
            transposed[b, row, column] += kernel[u, v] @ small[b, i, j]
            products[u, v] += np.outer(large[b, row, column], small[b, i, j])
    large32, kernel32, small32 = random_arrays(*size)
    np.testing.assert_allclose(strided_conv.conv2d(large32, kernel32), convolved, atol=1e-5)
    np.testing.assert_allclose(strided_conv.conv2d_transpose(small32, kernel32), transposed, atol=1e-5)
    np.testing.assert_allclose(strided_conv.kernel_gradient(large32, small32), products, atol=1e-5)


FUNCTIONS = {  # ours, the native one, which two of (larger images, kernel, smaller images) are its arguments
    "conv2d": (strided_conv.conv2d, native_conv2d, (0, 1)),
    "conv2d_transpose": (strided_conv.conv2d_transpose, native_conv2d_transpose, (2, 1)),
    "kernel_gradient": (strided_conv.kernel_gradient, native_kernel_gradient, (0, 2)),
}


def gradients(function, first, second):
    """Returns the gradients of a nonlinear function of the output by both inputs."""
    with tf.GradientTape() as tape:
        tape.watch([first, second])
        value = tf.reduce_sum(tf.sin(function(first, second)))
    return tape.gradient(value, [first, second])


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_first_order_equal_native_ones(name, size):
    function, native, (first, second) = FUNCTIONS[name]
    inputs = random_arrays(*size)
    found = gradients(function, inputs[first], inputs[second])
    expected = gradients(native, inputs[first], inputs[second])
    for found_gradient, expected_gradient in zip(found, expected, strict=True):
        assert_close(found_gradient, expected_gradient)


def penalty_gradient(function, first, second):
    """Returns the gradients of a squared gradient norm by both inputs, as WGAN-GP, R1 and R2 need (second order)."""
    with tf.GradientTape() as outer:
        outer.watch([first, second])
        with tf.GradientTape() as tape:
            tape.watch(first)
            value = tf.reduce_sum(tf.sin(function(first, second)))
        norm = tf.reduce_sum(tf.square(tape.gradient(value, first)))
    return outer.gradient(norm, [first, second])


def hessian_product(function, first, second):
    """Returns the Hessian by both inputs times fixed vectors (second order), and the gradients of its norm (third order)."""
    vectors = [tf.sin(tf.range(tf.size(x), dtype=x.dtype)) for x in (first, second)]
    with tf.GradientTape() as outer:
        outer.watch([first, second])
        with tf.GradientTape() as middle:
            middle.watch([first, second])
            first_order = gradients(function, first, second)
            sums = [tf.reduce_sum(tf.reshape(g, [-1]) * v) for g, v in zip(first_order, vectors, strict=True)]
            directional_derivative = tf.add_n(sums)
        products = middle.gradient(directional_derivative, [first, second])
        norm = tf.add_n([tf.reduce_sum(tf.square(p)) for p in products])
    return [*products, *outer.gradient(norm, [first, second])]


@pytest.mark.parametrize("use_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("order", [penalty_gradient, hessian_product])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_higher_order_equal_native_ones(name, order, use_graph):
    function, native, (first, second) = FUNCTIONS[name]
    inputs = random_arrays(2, 3, 2, 3, 4)

    def run(function):
        def call(a, b):
            return order(function, a, b)

        return (tf.function(call) if use_graph else call)(inputs[first], inputs[second])

    found, expected = run(function), run(native)
    for found_gradient, expected_gradient in zip(found, expected, strict=True):
        assert_close(found_gradient, expected_gradient, 2e-5)


def test_hessian_product_equals_finite_differences_of_native_gradients():
    large, kernel, _ = random_arrays(1, 2, 2, 2, 3, dtype=tf.float64)
    direction = tf.sin(tf.reshape(tf.range(tf.size(kernel), dtype=tf.float64), kernel.shape))
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        directional_derivative = tf.reduce_sum(gradients(strided_conv.conv2d, large, kernel)[1] * direction)
    above, below = (gradients(native_conv2d, large, kernel + s * 1e-5 * direction)[1] for s in (1.0, -1.0))
    assert_close(outer.gradient(directional_derivative, kernel), (above - below) / 2e-5, 1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_an_unknown_batch_size_are_traced_once(name):
    function, native, (first, second) = FUNCTIONS[name]
    sizes = [(3, 2, 4, 3, 5), (1, 2, 4, 3, 5)]
    example = random_arrays(*sizes[0])
    specs = [tf.TensorSpec(x.shape if x.shape[:2] == (4, 4) else [None, *x.shape[1:]]) for x in example]

    @tf.function(input_signature=[specs[first], specs[second]])
    def traced(a, b):
        return function(a, b), *penalty_gradient(function, a, b)

    outputs = traced.get_concrete_function().outputs
    assert outputs[0].shape[1:] == function(example[first], example[second]).shape[1:]
    assert (outputs[0].shape[0] is None) == (name != "kernel_gradient")
    for size in sizes:
        inputs = random_arrays(*size)
        found = traced(inputs[first], inputs[second])
        expected = native(inputs[first], inputs[second]), *penalty_gradient(native, inputs[first], inputs[second])
        for found_values, expected_values in zip(found, expected, strict=True):
            assert_close(found_values, expected_values, 2e-5)
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bfloat16_values_and_gradients_are_close_to_float32(name):
    """Sums are computed in float32 and rounded once, by 2^-8 of a value; gradients are rounded a few times."""
    function, native, (first, second) = FUNCTIONS[name]
    # Float32 numbers that bfloat16 represents exactly.
    exact = [tf.cast(tf.cast(x, tf.bfloat16), tf.float32) for x in random_arrays(2, 4, 4, 64, 32)]
    rounded = [tf.cast(x, tf.bfloat16) for x in exact]
    found, expected = function(rounded[first], rounded[second]), native(exact[first], exact[second])
    assert found.dtype == tf.bfloat16
    assert_close(tf.cast(found, tf.float32), expected, 2**-8)
    with tf.GradientTape() as tape:
        tape.watch([rounded[first], rounded[second]])
        value = function(rounded[first], rounded[second])
    output_gradient = tf.cast(tf.cast(tf.sin(tf.range(tf.size(value), dtype=tf.float32)), tf.bfloat16), tf.float32)
    output_gradient = tf.reshape(output_gradient, value.shape)
    rounded_gradients = tape.gradient(
        value, [rounded[first], rounded[second]], output_gradients=tf.cast(output_gradient, tf.bfloat16)
    )
    with tf.GradientTape() as tape:
        tape.watch([exact[first], exact[second]])
        value = native(exact[first], exact[second])
    exact_gradients = tape.gradient(value, [exact[first], exact[second]], output_gradient)
    for found, expected in zip(rounded_gradients, exact_gradients, strict=True):
        assert found.dtype == tf.bfloat16
        assert_close(tf.cast(found, tf.float32), expected, 2**-7)


@pytest.mark.parametrize(
    ("size", "channels", "dtype", "gpus", "expected"),
    [
        (8, 64, "bfloat16", 0, True),
        (4, 512, "bfloat16", 0, True),
        (1, 64, "bfloat16", 0, True),
        (9, 64, "bfloat16", 0, False),
        (16, 512, "bfloat16", 0, False),
        (8, 63, "bfloat16", 0, False),
        (8, 3, "bfloat16", 0, False),
        (8, 64, "float32", 0, False),
        (8, 64, "float64", 0, False),
        (8, 64, "bfloat16", 1, False),
        (4, 512, "bfloat16", 2, False),
    ],
)
def test_is_faster_for_small_bfloat16_images_with_many_channels_on_cpus(size, channels, dtype, gpus, expected, monkeypatch):
    devices = {"GPU": ["a GPU"] * gpus, "CPU": ["a CPU"]}
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices[kind])
    assert strided_conv.is_faster(size, channels, dtype) is expected
