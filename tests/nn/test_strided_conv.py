"""The strided convolutions against TensorFlow's own operations, plain NumPy loops and native gradients of every order used."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.nn import strided_conv as strided

# batch, height and width of the smaller images, channels of the larger and of the smaller ones
SIZES = [(2, 4, 4, 3, 5), (1, 1, 1, 2, 3), (3, 2, 5, 1, 7), (1, 8, 8, 5, 1), (2, 3, 1, 4, 4)]


def native(images, kernel):
    return tf.nn.conv2d(images, kernel, 2, "SAME")


def native_transpose(images, kernel):
    shape = [tf.shape(images)[0], 2 * images.shape[1], 2 * images.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(images, kernel, shape, 2, "SAME")


def native_kernel_gradient(images, outputs):
    shape = [4, 4, images.shape[3], outputs.shape[3]]
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images, filter_sizes=shape, out_backprop=outputs, strides=[1, 2, 2, 1], padding="SAME"
    )


def arrays(batch, height, width, channels, out, dtype=tf.float32):
    """Larger images, a kernel, smaller images."""
    random = np.random.default_rng([batch, height, width, channels, out])
    shapes = (batch, 2 * height, 2 * width, channels), (4, 4, channels, out), (batch, height, width, out)
    return [tf.constant(random.normal(size=shape), dtype) for shape in shapes]


def assert_close(found, expected, tolerance=1e-5):
    """Equal within ``tolerance`` of the largest value, for what cancels out keeps the error of its parts."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    expected = np.asarray(expected, np.float64)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_are_those_of_the_native_operations(size):
    large, kernel, small = arrays(*size)
    assert_close(strided.convolve(large, kernel), native(large, kernel))
    assert_close(strided.transpose(small, kernel), native_transpose(small, kernel))
    assert_close(strided.kernel_gradient(large, small), native_kernel_gradient(large, small))


@pytest.mark.parametrize("size", [(1, 1, 2, 2, 3), (2, 2, 2, 1, 2)], ids=str)
def test_values_in_plain_loops(size):
    """Output (i, j) sees rows 2i - 1 to 2i + 2 and columns 2j - 1 to 2j + 2, zeros beyond the border."""
    batch, height, width, _, _ = size
    large, kernel, small = (np.asarray(x, np.float64) for x in arrays(*size))
    convolved, spread, products = np.zeros_like(small), np.zeros_like(large), np.zeros_like(kernel)
    for b, i, j, u, v in itertools.product(range(batch), range(height), range(width), range(4), range(4)):
        row, column = 2 * i - 1 + u, 2 * j - 1 + v
        if 0 <= row < 2 * height and 0 <= column < 2 * width:
            convolved[b, i, j] += large[b, row, column] @ kernel[u, v]
            spread[b, row, column] += kernel[u, v] @ small[b, i, j]
            products[u, v] += np.outer(large[b, row, column], small[b, i, j])
    large32, kernel32, small32 = arrays(*size)
    np.testing.assert_allclose(strided.convolve(large32, kernel32), convolved, atol=1e-5)
    np.testing.assert_allclose(strided.transpose(small32, kernel32), spread, atol=1e-5)
    np.testing.assert_allclose(strided.kernel_gradient(large32, small32), products, atol=1e-5)


PAIRS = {  # ours, the native one, which two of (larger images, kernel, smaller images) it takes
    "convolve": (strided.convolve, native, (0, 1)),
    "transpose": (strided.transpose, native_transpose, (2, 1)),
    "kernel_gradient": (strided.kernel_gradient, native_kernel_gradient, (0, 2)),
}


def gradients(function, first, second):
    """Of a function of the output that is bent, by both inputs."""
    with tf.GradientTape() as tape:
        tape.watch([first, second])
        value = tf.reduce_sum(tf.sin(function(first, second)))
    return tape.gradient(value, [first, second])


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_first_gradients_are_the_native_ones(name, size):
    ours, theirs, (first, second) = PAIRS[name]
    inputs = arrays(*size)
    for found, expected in zip(
        gradients(ours, inputs[first], inputs[second]), gradients(theirs, inputs[first], inputs[second]), strict=True
    ):
        assert_close(found, expected)


def penalty_gradient(function, first, second):
    """The gradient of a squared gradient norm by both inputs: what WGAN-GP, R1 and R2 take (second order)."""
    with tf.GradientTape() as outer:
        outer.watch([first, second])
        with tf.GradientTape() as tape:
            tape.watch(first)
            value = tf.reduce_sum(tf.sin(function(first, second)))
        norm = tf.reduce_sum(tf.square(tape.gradient(value, first)))
    return outer.gradient(norm, [first, second])


def hessian_product(function, first, second):
    """The Hessian by both inputs times fixed vectors (second order), and the gradient of its norm (third order)."""
    vectors = [tf.sin(tf.range(tf.size(x), dtype=x.dtype)) for x in (first, second)]
    with tf.GradientTape() as outer:
        outer.watch([first, second])
        with tf.GradientTape() as middle:
            middle.watch([first, second])
            slopes = gradients(function, first, second)
            along = tf.add_n([tf.reduce_sum(tf.reshape(s, [-1]) * v) for s, v in zip(slopes, vectors, strict=True)])
        products = middle.gradient(along, [first, second])
        norm = tf.add_n([tf.reduce_sum(tf.square(p)) for p in products])
    return [*products, *outer.gradient(norm, [first, second])]


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize("order", [penalty_gradient, hessian_product])
@pytest.mark.parametrize("name", PAIRS)
def test_higher_gradients_are_the_native_ones(name, order, traced):
    ours, theirs, (first, second) = PAIRS[name]
    inputs = arrays(2, 3, 2, 3, 4)

    def run(function):
        def call(a, b):
            return order(function, a, b)

        return (tf.function(call) if traced else call)(inputs[first], inputs[second])

    found, expected = run(ours), run(theirs)
    for ours_now, theirs_now in zip(found, expected, strict=True):
        assert_close(ours_now, theirs_now, 2e-5)


def test_a_hessian_product_against_finite_differences():
    """Not only the native ones' equal: in float64, without any gradient of a gradient."""
    large, kernel, _ = arrays(1, 2, 2, 2, 3, dtype=tf.float64)
    direction = tf.sin(tf.reshape(tf.range(tf.size(kernel), dtype=tf.float64), kernel.shape))
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        along = tf.reduce_sum(gradients(strided.convolve, large, kernel)[1] * direction)
    ahead, behind = (gradients(native, large, kernel + s * 1e-5 * direction)[1] for s in (1.0, -1.0))
    assert_close(outer.gradient(along, kernel), (ahead - behind) / 2e-5, 1e-8)


@pytest.mark.parametrize("name", PAIRS)
def test_an_unknown_batch_size(name):
    ours, theirs, (first, second) = PAIRS[name]
    sizes = [(3, 2, 4, 3, 5), (1, 2, 4, 3, 5)]
    example = arrays(*sizes[0])
    specs = [tf.TensorSpec(x.shape if x.shape[:2] == (4, 4) else [None, *x.shape[1:]]) for x in example]
    traced = tf.function(
        lambda a, b: (ours(a, b), *penalty_gradient(ours, a, b)), input_signature=[specs[first], specs[second]]
    )
    outputs = traced.get_concrete_function().outputs
    assert outputs[0].shape[1:] == ours(example[first], example[second]).shape[1:]
    assert (outputs[0].shape[0] is None) == (name != "kernel_gradient")
    for size in sizes:
        inputs = arrays(*size)
        found = traced(inputs[first], inputs[second])
        expected = theirs(inputs[first], inputs[second]), *penalty_gradient(theirs, inputs[first], inputs[second])
        for ours_now, theirs_now in zip(found, expected, strict=True):
            assert_close(ours_now, theirs_now, 2e-5)
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", PAIRS)
def test_bfloat16_is_float32_rounded(name):
    """Sums are kept in float32 and rounded once: 2^-8 of a value; what gradients pass on is rounded a few times."""
    ours, theirs, (first, second) = PAIRS[name]
    exact = [tf.cast(tf.cast(x, tf.bfloat16), tf.float32) for x in arrays(2, 4, 4, 64, 32)]  # that bfloat16 can hold
    rounded = [tf.cast(x, tf.bfloat16) for x in exact]
    found, expected = ours(rounded[first], rounded[second]), theirs(exact[first], exact[second])
    assert found.dtype == tf.bfloat16
    assert_close(tf.cast(found, tf.float32), expected, 2**-8)
    with tf.GradientTape() as tape:
        tape.watch([rounded[first], rounded[second]])
        value = ours(rounded[first], rounded[second])
    cotangent = tf.cast(tf.cast(tf.sin(tf.range(tf.size(value), dtype=tf.float32)), tf.bfloat16), tf.float32)
    cotangent = tf.reshape(cotangent, value.shape)
    slopes = tape.gradient(value, [rounded[first], rounded[second]], output_gradients=tf.cast(cotangent, tf.bfloat16))
    with tf.GradientTape() as tape:
        tape.watch([exact[first], exact[second]])
        value = theirs(exact[first], exact[second])
    for found, expected in zip(slopes, tape.gradient(value, [exact[first], exact[second]], cotangent), strict=True):
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
def test_where_the_products_are_taken(size, channels, dtype, gpus, expected, monkeypatch):
    listed = {"GPU": ["a GPU"] * gpus, "CPU": ["a CPU"]}
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: listed[kind])
    assert strided.is_faster(size, channels, dtype) is expected
