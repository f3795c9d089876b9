"""Layers that Keras lacks, has wrong or has slow, and the one place that knows how a discriminator is normalised.

All of them compute in their policy's dtype (``mixed_bfloat16`` or ``float32``) from variables in float32. A bias is
added by ``+``, never by ``tf.nn.bias_add`` as Keras does: in bfloat16 on a CPU that one's gradient is summed in bfloat16
too, which over a batch of images leaves hardly a digit of it. The last convolution of D computes in float32 (its dtype):
a critic's outputs may lie far from 0, where bfloat16 is too coarse for the difference between real and fake.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from gan_tf.nn import strided_conv as strided


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers built within compute in "float32" or "bfloat16"; their variables are float32 either way."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class ExactVariables:
    """A layer that reads its variables as they are, in float32, whatever policy surrounds it.

    Keras would cast them to the policy's dtype first, and so round a kernel before its singular value is known.
    """

    def add_weight(self, *args, **kwargs):
        return super().add_weight(*args, **kwargs | {"autocast": False})


@keras.saving.register_keras_serializable("gan_tf")
class Conv2D(ExactVariables, keras.layers.Conv2D):
    """``keras.layers.Conv2D`` with the faster gradient of ``strided`` where that applies."""

    def call(self, inputs):
        return self.activation(biased(self, self.convolution_op(inputs, self.kernel)))

    def convolution_op(self, inputs, kernel):
        inputs, kernel = (tf.cast(tf.convert_to_tensor(x), self.compute_dtype) for x in (inputs, kernel))
        even = not any(size is None or size % 2 for size in inputs.shape[1:3])
        if halves(self) and even and strided.is_faster(inputs.shape[1] // 2, inputs.shape[3], self.compute_dtype):
            return strided.convolve(inputs, kernel)
        return super().convolution_op(inputs, kernel)


def halves(layer) -> bool:
    """Whether a convolution is of the kind that ``strided`` is about."""
    plain = layer.dilation_rate == (1, 1) and layer.data_format == "channels_last" and getattr(layer, "groups", 1) == 1
    return layer.kernel_size == (4, 4) and layer.strides == (2, 2) and layer.padding == "same" and plain


def biased(layer, outputs: tf.Tensor) -> tf.Tensor:
    """A convolution's outputs with its bias, if it has any."""
    return outputs if layer.bias is None else outputs + tf.cast(tf.convert_to_tensor(layer.bias), outputs.dtype)


@keras.saving.register_keras_serializable("gan_tf")
class SpectralConv2D(Conv2D):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, algorithm 1).

    The kernel ``[h, w, in, out]`` counts as a matrix ``[h*w*in, out]``. One power iteration a training call updates the
    left vector, which is a variable; both vectors are constants to the gradient, which therefore is that of w / sigma(w)
    (``keras.layers.SpectralNormalization`` overwrites its kernel instead, and its gradient is another one).
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.left = self.add_weight(
            shape=(1, self.filters),
            initializer=keras.initializers.RandomNormal(seed=self.filters),
            trainable=False,
            aggregation="only_first_replica",
            name="left",
        )

    def call(self, inputs, training=False):
        matrix = tf.reshape(tf.convert_to_tensor(self.kernel), [-1, self.filters])
        constant = tf.stop_gradient(matrix)
        left = tf.convert_to_tensor(self.left)
        right = tf.math.l2_normalize(tf.matmul(left, constant, transpose_b=True))
        if training:
            left = tf.math.l2_normalize(tf.matmul(right, constant))
            self.left.assign(left)
        sigma = tf.reduce_sum(tf.matmul(right, matrix) * tf.math.l2_normalize(left))
        return self.activation(biased(self, self.convolution_op(inputs, self.kernel / sigma)))

    # A convolution's own pair knows of kernel and bias only, so that a saved network could not be loaded.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables


@keras.saving.register_keras_serializable("gan_tf")
class Conv2DTranspose(ExactVariables, keras.layers.Conv2DTranspose):
    """``keras.layers.Conv2DTranspose`` with the faster gradient of ``strided`` where that applies."""

    def call(self, inputs):
        inputs, kernel = (tf.cast(tf.convert_to_tensor(x), self.compute_dtype) for x in (inputs, self.kernel))
        if halves(self) and strided.is_faster(inputs.shape[1], self.filters, self.compute_dtype):
            return self.activation(biased(self, strided.transpose(inputs, kernel)))
        outputs = keras.ops.conv_transpose(inputs, kernel, list(self.strides), self.padding)
        return self.activation(biased(self, outputs))


@keras.saving.register_keras_serializable("gan_tf")
class BatchNorm(ExactVariables, keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` of images, in training by TensorFlow's fused operation."""

    def call(self, inputs, training=None, mask=None):
        fused = (
            training
            and self.trainable
            and not self.synchronized
            and len(inputs.shape) == 4
            and inputs.dtype in (tf.float32, tf.bfloat16)
        )
        if not fused:
            return super().call(inputs, training=training, mask=mask)
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=self.epsilon)
        # The operation gives the unbiased variance (divided by n - 1), Keras keeps the one that it normalises by.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance * (count - 1.0) / count)):
            moving.assign(now + self.momentum * (moving - now))
        return tf.cast(outputs, self.compute_dtype)


@keras.saving.register_keras_serializable("gan_tf")
class GroupNorm(ExactVariables, keras.layers.GroupNormalization):
    """``keras.layers.GroupNormalization`` of images with one group, or one a channel, that can be differentiated twice.

    Keras's own takes its variance from ``tf.nn.moments``, which holds the mean constant: right for a gradient, wrong for
    the gradient of a gradient's length, which is what penalties descend.
    """

    def call(self, inputs):
        images = tf.cast(inputs, tf.float64 if inputs.dtype == tf.float64 else tf.float32)
        axes = [1, 2, 3] if self.groups == 1 else [1, 2]
        centred = images - tf.reduce_mean(images, axes, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axes, keepdims=True) + self.epsilon)
        outputs = centred * (scale * tf.convert_to_tensor(self.gamma)) + tf.convert_to_tensor(self.beta)
        return tf.cast(outputs, self.compute_dtype)


def convolution(norm: str):
    """The convolution layer that goes with a normalisation: spectral norm is one of the kernel, not of activations."""
    return SpectralConv2D if norm == "spectral" else Conv2D


def normalise(x, norm: str, scale="ones"):
    """Applies ``norm`` to activations ``[batch, height, width, channels]``.

    "layer" is over height, width and channels with a scale a channel, "instance" over height and width (Ulyanov et al.
    2016), "batch" is computed over all devices together; "spectral" and "none" leave activations alone.
    ``scale`` initialises batch norm's gamma.
    """
    if norm == "batch":
        return batch_norm(scale)(x)
    if norm in ("layer", "instance"):
        return GroupNorm(groups=1 if norm == "layer" else -1, epsilon=1e-5)(x)
    return x


def batch_norm(scale="ones"):
    """Batch norm, gamma initialised by ``scale``, its statistics over all devices where there is a strategy."""
    return BatchNorm(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=scale,
        synchronized=tf.distribute.has_strategy(),
    )
