"""Layers that Keras lacks, or whose Keras version is slow or has a wrong second derivative.

All of them compute in the dtype of their policy (``mixed_bfloat16`` or ``float32``) from float32 variables. Biases are
added with ``+`` instead of Keras's ``tf.nn.bias_add``: on a CPU the gradient of the latter is summed in bfloat16, which
over a batch of images loses almost all precision. The last convolution of a discriminator computes in float32 (set by its
``dtype``): a critic's outputs may be far from 0, where bfloat16 cannot represent the difference between real and fake.
"""

from typing import Any

import keras
import tensorflow as tf

from gan_tf.nn import strided_conv


class _NoAutocast:
    """Mixin of layers that read their variables in float32, whatever the dtype policy of the caller.

    Keras would cast them to the policy's dtype first, and so round a kernel before its singular value is computed.
    """

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        return super().add_weight(*args, **kwargs | {"autocast": False})  # type: ignore[misc]  # defined by the Keras layer


@keras.saving.register_keras_serializable("gan_tf")
class Conv2D(_NoAutocast, keras.layers.Conv2D):
    """``keras.layers.Conv2D`` with the faster kernel gradient of ``strided_conv`` where that applies."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.activation(_add_bias(self, self.convolution_op(inputs, self.kernel)))

    def convolution_op(self, inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
        inputs, kernel = (tf.cast(tf.convert_to_tensor(x), self.compute_dtype) for x in (inputs, kernel))
        has_even_size = not any(size is None or size % 2 for size in inputs.shape[1:3])
        applies = has_even_size and self.groups == 1 and _is_k4s2_same(self)
        if applies and strided_conv.is_faster(inputs.shape[1] // 2, inputs.shape[3], self.compute_dtype):
            return strided_conv.conv2d(inputs, kernel)
        return super().convolution_op(inputs, kernel)


def _is_k4s2_same(layer: keras.layers.Layer) -> bool:
    """Returns whether a convolution is of the only kind that ``strided_conv`` computes."""
    has_defaults = layer.dilation_rate == (1, 1) and layer.data_format == "channels_last"
    return layer.kernel_size == (4, 4) and layer.strides == (2, 2) and layer.padding == "same" and has_defaults


def _add_bias(layer: keras.layers.Layer, outputs: tf.Tensor) -> tf.Tensor:
    return outputs if layer.bias is None else outputs + tf.cast(tf.convert_to_tensor(layer.bias), outputs.dtype)


@keras.saving.register_keras_serializable("gan_tf")
class SpectralConv2D(Conv2D):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, algorithm 1).

    The kernel ``[h, w, in, out]`` is treated as the matrix ``[h*w*in, out]``. Each call in training does one power
    iteration, which updates the variable ``left``, an estimate of a singular vector. Both singular vectors are constants
    in the gradient, which therefore is that of w / sigma(w). (``keras.layers.SpectralNormalization`` overwrites its kernel
    instead, and so has another gradient.)
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.left = self.add_weight(
            shape=(1, self.filters),
            initializer=keras.initializers.RandomNormal(seed=self.filters),
            trainable=False,
            aggregation="only_first_replica",
            name="left",
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        matrix = tf.reshape(tf.convert_to_tensor(self.kernel), [-1, self.filters])
        constant_matrix = tf.stop_gradient(matrix)
        left = tf.convert_to_tensor(self.left)
        right = tf.math.l2_normalize(tf.matmul(left, constant_matrix, transpose_b=True))
        if training:
            left = tf.math.l2_normalize(tf.matmul(right, constant_matrix))
            self.left.assign(left)
        sigma = tf.reduce_sum(tf.matmul(right, matrix) * tf.math.l2_normalize(left))
        return self.activation(_add_bias(self, self.convolution_op(inputs, self.kernel / sigma)))

    # Those of Keras's convolutions handle kernel and bias only, so that a saved network could not be loaded.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables


@keras.saving.register_keras_serializable("gan_tf")
class Conv2DTranspose(_NoAutocast, keras.layers.Conv2DTranspose):
    """``keras.layers.Conv2DTranspose`` with the faster kernel gradient of ``strided_conv`` where that applies."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        inputs, kernel = (tf.cast(tf.convert_to_tensor(x), self.compute_dtype) for x in (inputs, self.kernel))
        if _is_k4s2_same(self) and strided_conv.is_faster(inputs.shape[1], self.filters, self.compute_dtype):
            return self.activation(_add_bias(self, strided_conv.conv2d_transpose(inputs, kernel)))
        outputs = keras.ops.conv_transpose(inputs, kernel, list(self.strides), self.padding)
        return self.activation(_add_bias(self, outputs))


@keras.saving.register_keras_serializable("gan_tf")
class BatchNorm(_NoAutocast, keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization``, computed by TensorFlow's fused operation for images in training."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        can_be_fused = (
            training
            and self.trainable
            and not self.synchronized
            and len(inputs.shape) == 4
            and inputs.dtype in (tf.float32, tf.bfloat16)
        )
        if not can_be_fused:
            return super().call(inputs, training=training, mask=mask)
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=self.epsilon)
        # The operation returns the unbiased variance (divided by n - 1); Keras averages the biased one.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        for moving, current in ((self.moving_mean, mean), (self.moving_variance, variance * (count - 1.0) / count)):
            moving.assign(current + self.momentum * (moving - current))
        return tf.cast(outputs, self.compute_dtype)


@keras.saving.register_keras_serializable("gan_tf")
class GroupNorm(_NoAutocast, keras.layers.GroupNormalization):
    """``keras.layers.GroupNormalization`` of images, with one group or one per channel, and a correct second derivative.

    Keras computes the variance with ``tf.nn.moments``, which treats the mean as a constant: this is right for the
    gradient, but wrong for the gradient of a gradient norm, which gradient penalties need.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        images = tf.cast(inputs, tf.float64 if inputs.dtype == tf.float64 else tf.float32)
        axes = [1, 2, 3] if self.groups == 1 else [1, 2]
        centered = images - tf.reduce_mean(images, axes, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centered), axes, keepdims=True) + self.epsilon)
        outputs = centered * (scale * tf.convert_to_tensor(self.gamma)) + tf.convert_to_tensor(self.beta)
        return tf.cast(outputs, self.compute_dtype)


@keras.saving.register_keras_serializable("gan_tf")
class InstanceNorm(keras.layers.Layer):
    """Instance normalization (Ulyanov et al. 2016) without learned scale and offset, PyTorch's default.

    The fused batch norm of each single image computes it: in bfloat16 on CPUs in half the time of separate operations. Where
    the number of images is not known when the graph is built, separate operations do.
    """

    epsilon = 1e-5

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if inputs.shape[0] is None:
            images = tf.cast(inputs, tf.float32)
            mean, variance = tf.nn.moments(images, [1, 2], keepdims=True)
            return tf.cast((images - mean) * tf.math.rsqrt(variance + self.epsilon), inputs.dtype)
        channels = inputs.shape[3]
        scale, offset = tf.ones([channels]), tf.zeros([channels])
        images = tf.split(inputs, inputs.shape[0])
        normed = [tf.compat.v1.nn.fused_batch_norm(image, scale, offset, epsilon=self.epsilon)[0] for image in images]
        return tf.concat(normed, axis=0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


def conv_layer(norm: str) -> type[Conv2D]:
    """Returns the class of a discriminator's convolutions: spectral norm normalizes kernels, not activations."""
    return SpectralConv2D if norm == "spectral" else Conv2D


def apply_norm(x: keras.KerasTensor, norm: str, gamma_initializer: Any = "ones") -> keras.KerasTensor:
    """Normalizes activations ``[batch, height, width, channels]`` of a discriminator.

    Args:
        x: the activations.
        norm: "batch" (over the images of all devices), "layer" (over height, width and channels, with one scale per
            channel), "instance" (over height and width, Ulyanov et al. 2016); "spectral" and "none" return ``x``.
        gamma_initializer: of batch norm's scales.
    """
    if norm == "batch":
        return batch_norm(gamma_initializer)(x)
    if norm in ("layer", "instance"):
        return GroupNorm(groups=1 if norm == "layer" else -1, epsilon=1e-5)(x)
    return x


def batch_norm(gamma_initializer: Any = "ones") -> BatchNorm:
    """Returns a batch norm layer, synchronized over devices under a distribution strategy."""
    return BatchNorm(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=gamma_initializer,
        synchronized=tf.distribute.has_strategy(),
    )
