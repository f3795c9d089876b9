"""Normalisations against NumPy and Keras, spectral norm against linear algebra, convolutions and precision against Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.networks import dcgan, strided
from gan_tf.networks.layers import BatchNorm, Conv2D, Conv2DTranspose, SpectralConv2D, computing_in, normalise


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 1, 2)), ("layer", (1, 2, 3)), ("instance", (1, 2))])
def test_normalisations_in_numpy(norm, axes):
    inputs = keras.Input((5, 4, 6))
    network = keras.Model(inputs, normalise(inputs, norm))
    values = 3.0 * random(3, 5, 4, 6) + 2.0
    mean, variance = values.mean(axis=axes, keepdims=True), values.var(axis=axes, keepdims=True)
    found = network(tf.constant(values, tf.float32), training=True)
    np.testing.assert_allclose(found, (values - mean) / np.sqrt(variance + 1e-5), atol=2e-5)
    assert [tuple(v.shape) for v in network.trainable_variables] == [(6,), (6,)]  # a scale and an offset a channel


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_normalisations_that_leave_activations_alone(norm):
    inputs = keras.Input((5, 4, 6))
    assert normalise(inputs, norm) is inputs


# --- spectral norm ---------------------------------------------------------------------------------------------------


def layer_and_input(filters=6, size=3, channels=2):
    """A float64 layer that sees each image at one place, so that it is the matrix product x.W / sigma."""
    layer = SpectralConv2D(filters, size, dtype="float64", kernel_initializer=keras.initializers.RandomNormal(0.0, 0.5, seed=3))
    images = tf.constant(random(4, size, size, channels))
    layer.build(images.shape)
    return layer, images, np.reshape(images, [4, -1])


def matrix_of(layer):
    return layer.kernel.numpy().reshape(-1, layer.filters)


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_sigma_becomes_the_largest_singular_value():
    layer, images, flat = layer_and_input()
    for _ in range(80):
        layer(images, training=True)
    largest = np.linalg.svd(matrix_of(layer), compute_uv=False)[0]
    for training in (True, False):
        found = layer(images, training=training).numpy().reshape(4, -1)
        np.testing.assert_allclose(found, flat @ matrix_of(layer) / largest, rtol=1e-7)


def test_one_power_iteration_a_training_call():
    layer, images, flat = layer_and_input()
    left = layer.left.numpy()[0]
    for _ in range(3):
        right = unit(matrix_of(layer) @ left)
        left = unit(matrix_of(layer).T @ right)
        sigma = right @ matrix_of(layer) @ left
        found = layer(images, training=True).numpy().reshape(4, -1)
        np.testing.assert_allclose(found, flat @ matrix_of(layer) / sigma, rtol=1e-9)
        np.testing.assert_allclose(layer.left.numpy()[0], left, rtol=1e-9)


def test_the_kernel_is_never_overwritten_and_inference_moves_nothing():
    layer, images, _ = layer_and_input()
    kernel, left = layer.kernel.numpy(), layer.left.numpy()
    layer(images, training=False)
    np.testing.assert_array_equal(layer.left.numpy(), left)
    layer(images, training=True)
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    assert (layer.left.numpy() != left).any()
    assert [v.name for v in layer.trainable_variables] == ["kernel", "bias"]


def test_the_gradient_is_orthogonal_to_the_kernel():
    """w / sigma(w) doesn't change with the length of w, so its gradient has no part along w."""
    layer, images, _ = layer_and_input()
    target = random(4, 1, 1, 6)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(images, training=True)) * target)
        gradient, kernel = tape.gradient(loss, layer.kernel.value).numpy().ravel(), layer.kernel.numpy().ravel()
        assert abs(gradient @ kernel) < 1e-10 * np.linalg.norm(gradient) * np.linalg.norm(kernel)
        assert np.linalg.norm(gradient) > 0.1


def test_the_gradient_against_finite_differences_with_the_vectors_fixed():
    layer, images, flat = layer_and_input()
    target = random(4, 6)
    matrix = matrix_of(layer)
    right = unit(matrix @ layer.left.numpy()[0])
    left = unit(matrix.T @ right)

    def loss(w):
        return np.sum(np.sin(flat @ w / (right @ w @ left)) * target)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.sin(tf.reshape(layer(images, training=True), [4, 6])) * target)
    np.testing.assert_allclose(value, loss(matrix), rtol=1e-10)
    found = tape.gradient(value, layer.kernel.value).numpy().reshape(matrix.shape)
    for at in np.ndindex(*matrix.shape):
        step = np.zeros_like(matrix)
        step[at] = 1e-6
        np.testing.assert_allclose(found[at], (loss(matrix + step) - loss(matrix - step)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_the_gradient_is_that_of_the_true_norm_once_the_iteration_has_settled():
    layer, images, flat = layer_and_input()
    target = random(4, 6)
    for _ in range(80):
        layer(images, training=True)
    matrix = matrix_of(layer)

    def loss(w):
        return np.sum(flat @ w / np.linalg.svd(w, compute_uv=False)[0] * target)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.reshape(layer(images, training=True), [4, 6]) * target)
    found = tape.gradient(value, layer.kernel.value).numpy().reshape(matrix.shape)
    for at in [(0, 0), (5, 3), (17, 5)]:
        step = np.zeros_like(matrix)
        step[at] = 1e-6
        np.testing.assert_allclose(found[at], (loss(matrix + step) - loss(matrix - step)) / 2e-6, rtol=1e-5)


def test_bias_strides_and_padding_are_those_of_a_convolution():
    images = random(2, 8, 8, 3)
    kernel = keras.initializers.RandomNormal(0.0, 0.5, seed=3)  # one whose largest singular value the iteration finds soon
    layer = SpectralConv2D(5, 4, 2, "same", dtype="float64", kernel_initializer=kernel)
    plain = keras.layers.Conv2D(5, 4, 2, "same", dtype="float64")
    for each in (layer, plain):
        each.build(images.shape)
    layer.bias.assign(np.arange(5.0))
    for _ in range(80):
        layer(images, training=True)
    plain.set_weights([layer.kernel.numpy() / np.linalg.svd(matrix_of(layer), compute_uv=False)[0], np.arange(5.0)])
    np.testing.assert_allclose(layer(images), plain(images), rtol=1e-6, atol=1e-9)


def test_an_activation_is_not_forgotten():
    layer = SpectralConv2D(5, 3, activation="relu")
    assert float(tf.reduce_min(layer(tf.constant(random(2, 5, 5, 3), tf.float32)))) >= 0.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
def test_it_is_saved_and_loaded_with_its_vector(tmp_path):
    network = dcgan.build_discriminator((8, 8, 1), 4, "spectral")
    images = tf.constant(np.clip(random(2, 8, 8, 1), -1, 1), tf.float32)
    network(images, training=True)
    network.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "net.keras")(images), network(images))


# --- batch norm ------------------------------------------------------------------------------------------------------


def two_norms(shape, kind=BatchNorm, **more):
    """Ours and Keras's with the same scales and offsets, none of them 1 or 0."""
    layers = [kind(momentum=0.9, epsilon=1e-5, **more), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **more)]
    for layer in layers:
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 2.0, shape[-1]))
        layer.beta.assign(np.linspace(-1.0, 1.0, shape[-1]))
    return layers


def with_gradients(layer, images, **more):
    """Outputs, and gradients by inputs and variables of their sum, weighted so that it doesn't cancel out."""
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, **more)
    weights = tf.reshape(1.5 + tf.sin(tf.range(tf.size(outputs), dtype=tf.float32)), outputs.shape)
    return [outputs, *tape.gradient(outputs, [images, *variables], tf.cast(weights, outputs.dtype))]


@pytest.fixture
def fused_calls(monkeypatch):
    """The shapes that TensorFlow's fused operation was called with."""
    operation, shapes = tf.compat.v1.nn.fused_batch_norm, []

    def counted(images, *args, **more):
        shapes.append(tuple(images.shape))
        return operation(images, *args, **more)

    monkeypatch.setattr(tf.compat.v1.nn, "fused_batch_norm", counted)
    return shapes


@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 1, 2, 3), (3, 4, 5, 2)], ids=str)
def test_batch_norm_is_keras_own_over_several_steps(shape, fused_calls):
    """Of 2 and 4 values a channel the biased and the unbiased variance differ by half and by a third."""
    ours, theirs = two_norms(shape)
    for step in range(4):
        images = tf.constant(np.random.default_rng(step).normal(step, 1.0 + step, shape), tf.float32)
        for found, expected in zip(*(with_gradients(layer, images, training=True) for layer in (ours, theirs)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=5e-4, atol=2e-4)
        np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-5)
    assert fused_calls == [shape] * 4
    for found, expected in zip(*(with_gradients(layer, images, training=False) for layer in (ours, theirs)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_moving_statistics_by_hand():
    layer = BatchNorm(momentum=0.75)
    layer(tf.reshape(tf.constant([1.0, 2.0, 6.0]), [3, 1, 1, 1]), training=True)
    np.testing.assert_allclose(layer.moving_mean, [0.25 * 3.0], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [0.75 + 0.25 * (4 + 1 + 9) / 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype", "training"),
    [
        ((5, 3), "float32", True),
        ((2, 5, 3), "float32", True),
        ((2, 3, 2, 3), "float64", True),
        ((2, 3, 2, 3), "float32", False),
    ],
    ids=["rank 2", "rank 3", "float64", "inference"],
)
def test_where_batch_norm_falls_back_on_keras(shape, dtype, training, fused_calls):
    ours, theirs = two_norms(shape, dtype=dtype)
    images = tf.constant(random(*shape), dtype)
    for found, expected in zip(*(with_gradients(layer, images, training=training) for layer in (ours, theirs)), strict=True):
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours.moving_variance, theirs.moving_variance)
    assert not fused_calls


def test_batch_norm_over_devices_falls_back_on_keras(fused_calls):
    ours, theirs = two_norms((2, 3, 2, 3), synchronized=True)
    images = tf.constant(random(2, 3, 2, 3), tf.float32)
    np.testing.assert_array_equal(ours(images, training=True), theirs(images, training=True))
    assert not fused_calls


def test_a_frozen_batch_norm_neither_moves_nor_uses_the_batch():
    ours, theirs = two_norms((2, 3, 2, 3))
    ours.trainable = theirs.trainable = False
    images = tf.constant(3.0 * random(2, 3, 2, 3) + 1.0, tf.float32)
    np.testing.assert_allclose(ours(images, training=True), theirs(images, training=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.moving_mean, np.zeros(3))


def network_of(layer, shape):
    """A network around one layer, of the policy that holds."""
    inputs = keras.Input(shape)
    first = keras.layers.Activation("linear", dtype=layer.dtype_policy)(inputs)  # casts to the layer's dtype
    return keras.Model(inputs, layer(first))


def surrounded(make, shape, around):
    """A layer made under bfloat16 and what calls it; how Keras casts variables depends on the caller's policy, too."""
    with computing_in("bfloat16"):
        layer = make()
        network = network_of(layer, shape)
    if around == "bfloat16":
        return layer, network
    if around == "float32":  # as where a network of bfloat16 was loaded from a file
        return layer, network_of(layer, shape)
    return layer, lambda images, **more: layer(tf.cast(images, tf.bfloat16), **more)


around = pytest.mark.parametrize("around", ["bfloat16", "float32", "nothing"])


FINE = 1.0 + 2.0**-10  # bfloat16 would make 1 of it


@around
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("gamma", "beta"), [(FINE, -1.0), (1.0, -FINE)], ids=["scale", "offset"])
def test_bfloat16_rounds_neither_scale_nor_offset(gamma, beta, training, around):
    layer, network = surrounded(lambda: BatchNorm(epsilon=1e-5), (1, 2, 1), around)
    assert {v.dtype for v in layer.variables} == {"float32"}
    layer.gamma.assign([gamma])
    layer.beta.assign([beta])
    layer.moving_variance.assign([64.0**2])
    outputs = network(tf.constant([[[[64.0], [-64.0]]]]), training=training)  # normalised to 1 and -1
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs[0, 0, 0], tf.float32), [gamma + beta], rtol=0.01)


@around
def test_bfloat16_keeps_moving_statistics_in_float32(around, fused_calls):
    layer, network = surrounded(lambda: BatchNorm(momentum=0.9), (1, 3, 1), around)
    values, mean, variance = np.array([1.0, 2.0, 2.0]), 0.0, 1.0  # a mean of 5/3 has no end in binary
    fused_calls.clear()
    for _ in range(3):
        network(tf.constant(values, tf.float32, (1, 1, 3, 1)), training=True)
        mean, variance = 0.9 * mean + 0.1 * values.mean(), 0.9 * variance + 0.1 * values.var()
    np.testing.assert_allclose(layer.moving_mean, [mean], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [variance], rtol=1e-6)
    assert fused_calls == [(1, 1, 3, 1)] * 3


# --- convolutions ----------------------------------------------------------------------------------------------------

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


class Seen(SpectralConv2D):
    """Keeps the kernel that it convolves with, before it is rounded."""

    def convolution_op(self, inputs, kernel):
        self.seen = tf.convert_to_tensor(kernel)
        return super().convolution_op(inputs, kernel)


@around
def test_bfloat16_divides_by_the_singular_value_of_float32(around):
    """All that makes this kernel more than a matrix of ones, bfloat16 would round away."""
    kernel = np.float32(1.0) + np.float32(2.0**-9) * np.random.default_rng(0).uniform(0.1, 0.9, (2, 2, 3, 5)).astype(np.float32)
    assert (tf.cast(kernel, tf.bfloat16).numpy() == 1.0).all()
    layer, network = surrounded(lambda: Seen(5, 2), (2, 2, 3), around)
    layer.kernel.assign(kernel)
    images = tf.constant(random(3, 2, 2, 3), tf.float32)
    for _ in range(20):
        network(images, training=True)
    largest = np.linalg.svd(kernel.reshape(-1, 5).astype(np.float64), compute_uv=False)[0]
    assert abs(largest / np.sqrt(60) - 1) > 5e-4  # of ones it would be sqrt(60)
    for training in (True, False):
        outputs = network(images, training=training)
        assert layer.seen.dtype == tf.float32
        np.testing.assert_allclose(kernel / layer.seen, largest, rtol=2e-6)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert outputs.dtype == tf.bfloat16
    expected = np.reshape(images, [3, 12]) @ kernel.reshape(12, 5) / largest
    np.testing.assert_allclose(tf.cast(outputs, tf.float32)[:, 0, 0], expected, atol=0.03)


# --- precision -------------------------------------------------------------------------------------------------------


def policy():
    return keras.config.dtype_policy().name


def test_layers_compute_in_what_surrounds_them():
    with computing_in("bfloat16"):
        low = keras.layers.Dense(2)
    with computing_in("float32"):
        high = keras.layers.Dense(2)
    for layer, dtype in ((low, "bfloat16"), (high, "float32")):
        layer.build((1, 3))
        assert layer.compute_dtype == layer(tf.ones((1, 3))).dtype == dtype
        assert {v.dtype for v in layer.variables} == {"float32"}


def test_the_policy_is_restored():
    before = keras.config.dtype_policy()
    with computing_in("bfloat16"):
        assert policy() == "mixed_bfloat16"
        with computing_in("float32"):
            assert policy() == "float32"
            with computing_in("bfloat16"):
                assert policy() == "mixed_bfloat16"
            assert policy() == "float32"
        assert policy() == "mixed_bfloat16"
    assert keras.config.dtype_policy() is before


def test_the_policy_is_restored_where_building_fails():
    before = keras.config.dtype_policy()
    with computing_in("float32"):
        with pytest.raises(ZeroDivisionError), computing_in("bfloat16"):
            1 / 0  # noqa: B018
        assert policy() == "float32"
    assert keras.config.dtype_policy() is before


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in its saving
@pytest.mark.parametrize("part", ["batch", "spectral", "none", "generator"])
def test_networks_of_bfloat16_are_saved_and_loaded(part, tmp_path):
    with computing_in("bfloat16"):
        if part == "generator":
            network, inputs = dcgan.build_generator((16, 16, 3), 5, 16), tf.constant(random(2, 5), tf.float32)
        else:
            network, inputs = dcgan.build_discriminator((16, 16, 3), 4, part), tf.constant(random(2, 16, 16, 3), tf.float32)
    network(inputs, training=True)
    network.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    computed = [[layer.compute_dtype for layer in each.layers[1:]] for each in (loaded, network)]
    assert computed[0] == computed[1]
    assert computed[0].count("bfloat16") > 3
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in network.layers]
    assert {v.dtype for v in loaded.trainable_variables} == {"float32"}
    np.testing.assert_array_equal(loaded(inputs), network(inputs))
    assert network(inputs).dtype == tf.float32


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_norms_can_be_differentiated_twice(norm):
    """The slope of a gradient's length along a direction of the kernel, against finite differences; Keras's own fails."""
    rng = np.random.default_rng(0)
    images, mix = (tf.constant(rng.normal(size=shape)) for shape in ((2, 4, 4, 3), (4, 4, 3)))
    kernel, direction = (rng.normal(size=(1, 1, 3, 3)) for _ in range(2))
    inputs = keras.Input((4, 4, 3), dtype="float64")
    with computing_in("float64"):  # in which finite differences are exact to many digits
        with_norm = keras.Model(inputs, normalise(inputs, norm))

    def length(weights):
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = tf.reduce_sum(mix * tf.tanh(with_norm(tf.nn.conv2d(images, weights, 1, "SAME"))))
        return tf.reduce_sum(tf.square(tape.gradient(score, images)))

    start = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(start)
        value = length(start)
    found = tf.reduce_sum(tape.gradient(value, start) * direction)
    step = 1e-5
    expected = (length(start + step * direction) - length(start - step * direction)) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
